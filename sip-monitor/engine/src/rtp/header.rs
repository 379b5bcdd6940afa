//! The RTP header (RFC 3550 5.1).

use super::bytes::{u8_at, u16_at, u32_at, without_padding};

/// A view of an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader<'a> {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in units of the clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Bytes of header: CSRC list and extension included.
    pub header_bytes: usize,
    /// The payload, padding removed.
    pub payload: &'a [u8],
}

impl<'a> RtpHeader<'a> {
    /// Reads a packet; `None` where it is no RTP of version 2 or cut inside its header.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let first = u8_at(bytes, 0)?;
        if first >> 6 != 2 {
            return None;
        }
        let second = u8_at(bytes, 1)?;
        let mut header_bytes = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            header_bytes += 4 + 4 * usize::from(u16_at(bytes, header_bytes + 2)?);
        }
        let payload = bytes.get(header_bytes..)?;
        let payload = if first & 0x20 != 0 { without_padding(payload) } else { payload };
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16_at(bytes, 2)?,
            timestamp: u32_at(bytes, 4)?,
            ssrc: u32_at(bytes, 8)?,
            header_bytes,
            payload,
        })
    }
}
