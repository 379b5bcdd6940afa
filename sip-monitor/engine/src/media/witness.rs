//! What others say about the media of a call: ICMP errors that refuse it, the kernel that drops it, RTCP that tells of it.

use core::net::SocketAddr;
use core::time::Duration;

use crate::media::round_trip::{RoundTrip, SentReports};
use crate::packet::{Direction, DropReason, IcmpKind, KernelDrop, Packet};
use crate::record::Side;
use crate::rtp::RtcpPacket;
use crate::time::Timestamp;

/// An ICMP error this long after the last one begins a new run: Linux sends one a second to each source at least.
const RUN_GAP: Duration = Duration::from_secs(5);

/// Refused for less than this, a port may just have been opened late.
const LASTING: Duration = Duration::from_secs(1);
/// Fewer packets than this dropped by the kernel are no stream.
const DROPPED_STREAM: u64 = 10;

/// ICMP errors that quote one RTP flow, or packets of it that this host's kernel dropped, run by run: what was refused before a long silence says nothing of the present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refusal {
    /// Sender of the packets that were refused.
    pub src: SocketAddr,
    /// Where they were to go.
    pub dst: SocketAddr,
    /// What the last error said.
    pub kind: IcmpKind,
    /// Type and code of the last error, as on the wire.
    pub icmp: (u8, u8),
    /// Who sent the last error.
    pub reporter: SocketAddr,
    /// Which way the errors went: `Out` is this host refusing.
    pub direction: Direction,
    /// It was no ICMP error: this host's kernel dropped the packets, and said why.
    pub dropped: Option<KernelDrop>,
    /// Errors, or packets dropped, in this run.
    pub count: u64,
    /// First error of the run.
    pub first_at: Timestamp,
    /// Last error.
    pub last_at: Timestamp,
}

impl Refusal {
    /// Counts another error of the same flow.
    pub fn repeat(&mut self, next: &Self) {
        if next.dropped.is_some() {
            // The kernel counts runs itself.
            *self = *next;
            return;
        }
        let goes_on = next.last_at.since(self.last_at) <= RUN_GAP;
        let (count, first_at) = if goes_on { (self.count + 1, self.first_at) } else { (1, next.first_at) };
        *self = Self { count, first_at, ..*next };
    }

    /// What makes two reports tell of the same packets.
    #[must_use]
    pub fn id(&self) -> (SocketAddr, SocketAddr, Direction, Option<&'static str>) {
        (self.src, self.dst, self.direction, self.dropped.map(|drop| drop.name))
    }

    /// Whether this host itself refused.
    #[must_use]
    pub fn is_by_this_host(&self) -> bool {
        self.dropped.is_some() || self.direction == Direction::Out
    }

    /// Whether dropped packets were counted at the interface before: all that arrive, and what the queue of an interface drops.
    #[must_use]
    pub fn is_counted_first(&self) -> bool {
        self.direction == Direction::In || self.dropped.is_some_and(|drop| drop.reason == DropReason::QueueFull)
    }

    /// The name of the cause within this host, where it is one that has a name.
    #[must_use]
    pub fn local_cause(&self) -> Option<&'static str> {
        match (self.dropped.map(|d| d.reason), self.is_by_this_host()) {
            (Some(DropReason::Netfilter), _) => Some("local-firewall"),
            (Some(DropReason::NoSocket), _) => Some("no-listener"),
            (Some(DropReason::SocketReceiveBuffer), _) => Some("socket-overflow"),
            (Some(DropReason::ReversePathFilter), _) => Some("rp-filter"),
            (Some(DropReason::Neighbour), _) => Some("neighbour"),
            (Some(DropReason::Checksum), _) => Some("checksum"),
            (Some(DropReason::NoRoute | DropReason::QueueFull | DropReason::Other), _) | (None, false) => None,
            (None, true) if self.kind == IcmpKind::Prohibited => Some("local-firewall"),
            (None, true) => Some("no-listener"),
        }
    }

    /// Whether it goes on for so long that it says more than that a port was opened late.
    #[must_use]
    pub fn is_lasting(&self, since: Timestamp) -> bool {
        self.span_since(since) >= LASTING && (self.dropped.is_none() || self.count >= DROPPED_STREAM)
    }

    /// Packets a second, of a run of dropped ones.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.count, self.first_at, self.last_at)
    }

    /// Whether the error comes from the network on the way rather than from its end.
    #[must_use]
    pub const fn is_of_network(&self) -> bool {
        matches!(self.kind, IcmpKind::TimeExceeded | IcmpKind::NetUnreachable)
    }

    /// For how long after `since` errors came again and again: a port opened late gives only a short run of them.
    #[must_use]
    pub fn span_since(&self, since: Timestamp) -> Duration {
        self.last_at.since(self.first_at.max(since))
    }
}

/// Packets a second between the first and the last of so many.
#[must_use]
pub fn per_second(packets: u64, first_at: Timestamp, last_at: Timestamp) -> f64 {
    let seconds = last_at.since(first_at).as_secs_f64();
    if seconds > 0.0 { packets.saturating_sub(1) as f64 / seconds } else { 0.0 }
}

/// RTCP of a call that this host's kernel dropped: who should have had it has not, and the far end is not silent for that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RtcpDropped {
    /// Source of the packets.
    pub src: SocketAddr,
    /// Their destination.
    pub dst: SocketAddr,
    /// Which side sends it.
    pub from: Option<Side>,
    /// The last run. RTCP is so rare that each packet may be a run of its own.
    pub drop: KernelDrop,
    /// Packets of it and of the runs that it follows closely.
    pub packets: u64,
    /// First of these.
    pub first_at: Timestamp,
}

/// RTCP of one sender about a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RtcpSource {
    /// Source of the packets.
    pub src: SocketAddr,
    /// Their destination.
    pub dst: SocketAddr,
    /// SSRC of the sender.
    pub ssrc: u32,
    /// Which side sends it.
    pub from: Option<Side>,
    /// Which way it goes.
    pub direction: Direction,
    /// First compound.
    pub first_at: Timestamp,
    /// Last compound.
    pub last_at: Timestamp,
    /// RTP packets its last sender report claims to have sent; `None` while it only receives.
    pub sent_packets: Option<u32>,
    /// When that number was last seen to grow.
    pub sent_grew_at: Option<Timestamp>,
    /// It said goodbye.
    pub bye: bool,
    /// Lowest TTL or hop limit of its packets.
    pub ttl_min: u8,
    /// Its sender reports, as they passed here.
    pub sent_reports: SentReports,
    /// Time from this host to it and back.
    pub round_trip: RoundTrip,
}

impl RtcpSource {
    /// A sender at its first packet.
    #[must_use]
    pub fn new(at: Timestamp, packet: &Packet<'_>, ssrc: u32, from: Option<Side>) -> Self {
        Self {
            src: packet.src,
            dst: packet.dst,
            ssrc,
            from,
            direction: packet.direction,
            first_at: at,
            last_at: at,
            sent_packets: None,
            sent_grew_at: None,
            bye: false,
            ttl_min: packet.ttl,
            sent_reports: SentReports::default(),
            round_trip: RoundTrip::default(),
        }
    }

    /// Takes one packet of a compound of it.
    pub fn update(&mut self, at: Timestamp, packet: &Packet<'_>, part: &RtcpPacket<'_>) {
        self.last_at = at;
        self.ttl_min = self.ttl_min.min(packet.ttl);
        match part {
            RtcpPacket::SenderReport { info, .. } => {
                if self.sent_packets.unwrap_or(0) != info.packets {
                    self.sent_grew_at = Some(at);
                }
                self.sent_packets = Some(info.packets);
                self.sent_reports.note(info.ntp, at);
            }
            RtcpPacket::Bye { .. } => self.bye = true,
            RtcpPacket::ReceiverReport { .. }
            | RtcpPacket::SourceDescription { .. }
            | RtcpPacket::App { .. }
            | RtcpPacket::Feedback { .. }
            | RtcpPacket::ExtendedReport { .. }
            | RtcpPacket::Other { .. } => {}
        }
    }
}
