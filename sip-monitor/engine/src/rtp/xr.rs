//! Extended reports (RFC 3611).

use super::bytes::{u8_at, u16_at, u32_at};

/// Block type of the VoIP metrics (RFC 3611 4.7).
const VOIP_METRICS: u8 = 7;

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
        // Block: type, type-specific, length in words without the first (3).
        let kind = u8_at(self.rest, 0)?;
        let length = 4 + 4 * usize::from(u16_at(self.rest, 2)?);
        let (block, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        let is_whole = block.len() == length;
        self.rest = rest;
        if !is_whole {
            return None;
        }
        let metrics = if kind == VOIP_METRICS { VoipMetrics::parse(block) } else { None };
        Some(metrics.map_or(XrBlock::Other(kind), XrBlock::VoipMetrics))
    }
}

impl VoipMetrics {
    fn parse(block: &[u8]) -> Option<Self> {
        // Scores from 0 to 126; 127 is "unavailable" (4.7.5).
        let score = |at| u8_at(block, at).map(|score| (score < 127).then_some(score));
        Some(Self {
            ssrc: u32_at(block, 4)?,
            loss_rate: u8_at(block, 8)?,
            discard_rate: u8_at(block, 9)?,
            burst_density: u8_at(block, 10)?,
            gap_density: u8_at(block, 11)?,
            burst_duration_ms: u16_at(block, 12)?,
            gap_duration_ms: u16_at(block, 14)?,
            round_trip_delay_ms: u16_at(block, 16)?,
            end_system_delay_ms: u16_at(block, 18)?,
            r_factor: score(24)?,
            mos_lq_tenths: score(26)?,
            mos_cq_tenths: score(27)?,
            jitter_buffer_nominal_ms: u16_at(block, 30)?,
            jitter_buffer_maximum_ms: u16_at(block, 32)?,
        })
    }
}
