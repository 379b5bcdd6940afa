//! Static payload types (RFC 3551 6, tables 4 and 5).

/// What a payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// Encoding name.
    pub name: &'static str,
    /// Clock rate in hertz. G.722 runs at 16 kHz and is counted at 8,000 for a historic error (4.5.2).
    pub clock_rate_hz: u32,
    /// Channels.
    pub channels: u8,
}

/// The meaning of a static payload type; `None` for those that are dynamic, reserved or unassigned.
#[must_use]
pub const fn static_payload(payload_type: u8) -> Option<PayloadFormat> {
    let (name, clock_rate_hz, channels) = match payload_type {
        0 => ("PCMU", 8_000, 1),
        3 => ("GSM", 8_000, 1),
        4 => ("G723", 8_000, 1),
        5 => ("DVI4", 8_000, 1),
        6 => ("DVI4", 16_000, 1),
        7 => ("LPC", 8_000, 1),
        8 => ("PCMA", 8_000, 1),
        9 => ("G722", 8_000, 1),
        10 => ("L16", 44_100, 2),
        11 => ("L16", 44_100, 1),
        12 => ("QCELP", 8_000, 1),
        13 => ("CN", 8_000, 1),
        14 => ("MPA", 90_000, 1),
        15 => ("G728", 8_000, 1),
        16 => ("DVI4", 11_025, 1),
        17 => ("DVI4", 22_050, 1),
        18 => ("G729", 8_000, 1),
        25 => ("CelB", 90_000, 1),
        26 => ("JPEG", 90_000, 1),
        28 => ("nv", 90_000, 1),
        31 => ("H261", 90_000, 1),
        32 => ("MPV", 90_000, 1),
        33 => ("MP2T", 90_000, 1),
        34 => ("H263", 90_000, 1),
        _ => return None,
    };
    Some(PayloadFormat { name, clock_rate_hz, channels })
}
