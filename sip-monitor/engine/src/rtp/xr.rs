//! Extended reports (RFC 3611).

/// Blocks of an extended report.
#[derive(Clone, Copy, Debug)]
pub struct XrBlocks<'a> {
    pub(super) rest: &'a [u8],
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XrBlock {
    /// VoIP metrics (4.7).
    VoipMetrics(VoipMetrics),
    /// A block type not read here.
    Other(u8),
}

/// VoIP metrics report block (RFC 3611 4.7): units as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The source it speaks of.
    pub ssrc: u32,
    /// Share lost on the way, in 1/256.
    pub loss_rate: u8,
    /// Share discarded by the jitter buffer, in 1/256.
    pub discard_rate: u8,
    /// Share lost or discarded within bursts, in 1/256.
    pub burst_density: u8,
    /// The same within gaps.
    pub gap_density: u8,
    /// Mean burst, ms.
    pub burst_duration_ms: u16,
    /// Mean gap, ms.
    pub gap_duration_ms: u16,
    /// Round trip, ms.
    pub round_trip_delay_ms: u16,
    /// End system delay, ms.
    pub end_system_delay_ms: u16,
    /// R factor 0 to 100; `None` where unavailable (127).
    pub r_factor: Option<u8>,
    /// MOS-LQ in tenths; `None` where unavailable (127).
    pub mos_lq_tenths: Option<u8>,
    /// MOS-CQ in tenths; `None` where unavailable (127).
    pub mos_cq_tenths: Option<u8>,
    /// Nominal jitter buffer delay, ms.
    pub jitter_buffer_nominal_ms: u16,
    /// Maximum jitter buffer delay, ms.
    pub jitter_buffer_maximum_ms: u16,
}

impl Iterator for XrBlocks<'_> {
    type Item = XrBlock;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
