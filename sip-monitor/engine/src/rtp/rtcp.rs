//! RTCP compounds (RFC 3550 6), reduced size ones too (RFC 5506).

use super::XrBlock;

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
        blocks: super::xr::XrBlocks<'a>,
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
        let _ = bytes;
        Err(NotRtcp)
    }
}

impl<'a> Iterator for Rtcp<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl<'a> RtcpPacket<'a> {
    /// The SSRC of who sent it; `None` where it names none.
    #[must_use]
    pub fn sender(&self) -> Option<u32> {
        None
    }

    /// Its report blocks, of an SR or RR; else none.
    #[must_use]
    pub fn reports(&self) -> ReportBlocks<'a> {
        ReportBlocks { rest: &[] }
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

#[allow(unused)]
fn _uses(_: XrBlock) {}
