//! RTCP compounds (RFC 3550 6), reduced size ones too (RFC 5506).

use super::XrBlocks;
use super::bytes::{u8_at, u16_at, u32_at, u64_at, without_padding};

/// The first packet is no RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRtcp;

/// A compound: iterates over its packets. What follows the first cut or illegal one is left out.
#[derive(Clone, Copy, Debug)]
pub struct Rtcp<'a> {
    pub(super) rest: &'a [u8],
}

/// Sender information of an SR (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP timestamp, 32.32.
    pub ntp: u64,
    /// RTP timestamp of the same moment.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// What a receiver says of one source (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source it speaks of.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning; negative with duplicates.
    pub cumulative_lost: i32,
    /// Extended highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in RTP timestamp units.
    pub jitter_rtp_units: u32,
    /// Middle 32 bits of the last SR's NTP timestamp; 0 where none came.
    pub last_sr: u32,
    /// Time since that SR in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// Report blocks of an SR or RR.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a> {
    pub(super) rest: &'a [u8],
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum RtcpPacket<'a> {
    /// Sender report.
    SenderReport {
        /// Who sends.
        ssrc: u32,
        /// What it has sent.
        info: SenderInfo,
        /// What it receives.
        reports: ReportBlocks<'a>,
    },
    /// Receiver report.
    ReceiverReport {
        /// Who receives.
        ssrc: u32,
        /// What it receives.
        reports: ReportBlocks<'a>,
    },
    /// Source description: the first chunk.
    SourceDescription {
        /// Whom it describes; 0 where it has no chunk.
        ssrc: u32,
        /// Its CNAME.
        cname: Option<&'a [u8]>,
    },
    /// Goodbye.
    Bye {
        /// The first source that leaves; 0 where none is named.
        ssrc: u32,
        /// How many leave.
        count: u8,
        /// Why.
        reason: Option<&'a [u8]>,
    },
    /// Application-defined.
    App {
        /// Who sends.
        ssrc: u32,
        /// Its name.
        name: [u8; 4],
    },
    /// Transport-layer (205) or payload-specific (206) feedback (RFC 4585 6.1).
    Feedback {
        /// 205 or 206.
        packet_type: u8,
        /// Feedback message type.
        format: u8,
        /// Who sends.
        ssrc: u32,
        /// Whom it concerns.
        media_ssrc: u32,
    },
    /// Extended report (RFC 3611).
    ExtendedReport {
        /// Who sends.
        ssrc: u32,
        /// Its blocks.
        blocks: XrBlocks<'a>,
    },
    /// A packet type not read here.
    Other {
        /// Its type.
        packet_type: u8,
    },
}

impl<'a> Rtcp<'a> {
    /// Looks at a compound.
    ///
    /// # Errors
    /// [`NotRtcp`] where the first packet's header is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotRtcp> {
        Header::parse(bytes).map(|_| Self { rest: bytes }).ok_or(NotRtcp)
    }
}

impl<'a> Iterator for Rtcp<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::parse(self.rest)?;
        let (packet, rest) = self.rest.split_at_checked(header.length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        let is_whole = packet.len() == header.length;
        let packet = if header.padding && is_whole { without_padding(packet) } else { packet };
        let read = RtcpPacket::parse(header, packet, is_whole);
        if read.is_none() {
            // A packet that does not hold what its type demands: what follows it is not trusted.
            self.rest = &[];
        }
        read
    }
}

/// `V=2 P count PT length` (RFC 3550 6.4.1).
#[derive(Clone, Copy)]
struct Header {
    padding: bool,
    count: u8,
    packet_type: u8,
    length: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let first = u8_at(bytes, 0)?;
        let packet_type = u8_at(bytes, 1)?;
        // The range in which RTCP is told from RTP (RFC 5761 4).
        if first >> 6 != 2 || !(192..=223).contains(&packet_type) {
            return None;
        }
        let length = 4 + 4 * usize::from(u16_at(bytes, 2)?);
        Some(Self { padding: first & 0x20 != 0, count: first & 0x1f, packet_type, length })
    }
}

impl<'a> RtcpPacket<'a> {
    /// Reads one packet, header included. Of one that is cut, the whole report blocks are kept; the others need to be whole.
    fn parse(header: Header, packet: &'a [u8], is_whole: bool) -> Option<Self> {
        let count = header.count;
        let reports = |from: usize| {
            let blocks = packet.get(from..).unwrap_or_default();
            let length = blocks.len().min(usize::from(count) * ReportBlock::BYTES);
            ReportBlocks { rest: blocks.get(..length).unwrap_or_default() }
        };
        match header.packet_type {
            200 => {
                let info = SenderInfo {
                    ntp: u64_at(packet, 8)?,
                    rtp_timestamp: u32_at(packet, 16)?,
                    packets: u32_at(packet, 20)?,
                    octets: u32_at(packet, 24)?,
                };
                Some(Self::SenderReport { ssrc: u32_at(packet, 4)?, info, reports: reports(28) })
            }
            201 => Some(Self::ReceiverReport { ssrc: u32_at(packet, 4)?, reports: reports(8) }),
            _ if !is_whole => None,
            202 => {
                Some(Self::SourceDescription { ssrc: u32_at(packet, 4).unwrap_or(0), cname: cname(packet.get(8..)?) })
            }
            203 => {
                let text = packet.get(4 + 4 * usize::from(count)..).unwrap_or_default();
                let length = usize::from(u8_at(text, 0).unwrap_or(0));
                let reason = text.get(1..1 + length).filter(|reason| !reason.is_empty());
                let ssrc = if count == 0 { 0 } else { u32_at(packet, 4)? };
                Some(Self::Bye { ssrc, count, reason })
            }
            204 => Some(Self::App { ssrc: u32_at(packet, 4)?, name: packet.get(8..12)?.try_into().ok()? }),
            205 | 206 => Some(Self::Feedback {
                packet_type: header.packet_type,
                format: count,
                ssrc: u32_at(packet, 4)?,
                media_ssrc: u32_at(packet, 8)?,
            }),
            207 => Some(Self::ExtendedReport { ssrc: u32_at(packet, 4)?, blocks: XrBlocks { rest: packet.get(8..)? } }),
            packet_type => Some(Self::Other { packet_type }),
        }
    }

    /// The SSRC of who sent it; `None` where it names none.
    #[must_use]
    pub fn sender(&self) -> Option<u32> {
        match *self {
            Self::SenderReport { ssrc, .. }
            | Self::ReceiverReport { ssrc, .. }
            | Self::App { ssrc, .. }
            | Self::Feedback { ssrc, .. }
            | Self::ExtendedReport { ssrc, .. } => Some(ssrc),
            Self::SourceDescription { ssrc, .. } | Self::Bye { ssrc, .. } => Some(ssrc).filter(|ssrc| *ssrc != 0),
            Self::Other { .. } => None,
        }
    }

    /// Its report blocks, of an SR or RR; else none.
    #[must_use]
    pub fn reports(&self) -> ReportBlocks<'a> {
        match *self {
            Self::SenderReport { reports, .. } | Self::ReceiverReport { reports, .. } => reports,
            Self::SourceDescription { .. }
            | Self::Bye { .. }
            | Self::App { .. }
            | Self::Feedback { .. }
            | Self::ExtendedReport { .. }
            | Self::Other { .. } => ReportBlocks { rest: &[] },
        }
    }
}

/// The CNAME among the items of a chunk: type, length, text; type 0 ends them (RFC 3550 6.5).
fn cname(mut items: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, length) = (u8_at(items, 0)?, usize::from(u8_at(items, 1).unwrap_or(0)));
        let text = items.get(2..2 + length);
        match kind {
            0 => return None,
            1 => return text,
            _ => items = items.get(2 + length..)?,
        }
    }
}

impl ReportBlock {
    const BYTES: usize = 24;

    fn parse(block: &[u8]) -> Option<Self> {
        let lost = u32_at(block, 4)?;
        Some(Self {
            ssrc: u32_at(block, 0)?,
            fraction_lost: u8_at(block, 4)?,
            // 24 bits with sign: moved up and arithmetically down again.
            cumulative_lost: (lost << 8).cast_signed() >> 8,
            highest_sequence: u32_at(block, 8)?,
            jitter_rtp_units: u32_at(block, 12)?,
            last_sr: u32_at(block, 16)?,
            delay_since_last_sr: u32_at(block, 20)?,
        })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<Self::Item> {
        let block = ReportBlock::parse(self.rest)?;
        self.rest = self.rest.get(ReportBlock::BYTES..).unwrap_or_default();
        Some(block)
    }
}
