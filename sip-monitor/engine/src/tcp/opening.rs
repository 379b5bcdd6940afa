//! How connections come up, or do not: what `tcp-failed` is told from. Facts about one connection; thresholds are the
//! diagnosis's.

use core::net::SocketAddr;
use core::time::Duration;

use super::{ACK, FIN, RST, SYN};
use crate::packet::{Direction, DropReason, DroppedSegment, IcmpError, IcmpKind, KernelDrop, Packet, TcpSegment};
use crate::time::Timestamp;

/// SYNs without an answer that make a time-out: hosts send again after 1 s at the earliest (RFC 6298 2.1), so this is 3 to 7 s.
const SYNS: u32 = 4;
/// A SYN that follows sooner is the same packet captured twice.
const SYN_AGAIN: Duration = Duration::from_millis(500);
/// So long at least the kernel must drop what opens a connection.
const DROPPED_FOR: Duration = Duration::from_secs(3);
/// How often, and for how long, a side must say that its window is closed.
const CLOSED_WINDOWS: u32 = 3;
const CLOSED_FOR: Duration = Duration::from_secs(5);

/// How a connection failed before anything was asked on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// Its SYN was answered with a reset or an ICMP error.
    Refused,
    /// Its SYN was not answered.
    TimedOut,
    /// Its SYN, or the answer to it, is dropped by a netfilter rule of this host.
    DroppedHere,
    /// It came up and was reset by the server before a request.
    Reset,
    /// It came up, and one side keeps its window closed.
    Stalled,
}

/// A connection that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFailure {
    /// How.
    pub kind: FailureKind,
    /// Who opened it; of a connection that was up before it was seen, who may not send.
    pub client: SocketAddr,
    /// Who was to accept it.
    pub server: SocketAddr,
    /// Which way it was opened, as seen from this host.
    pub direction: Direction,
    /// How often the SYN was seen.
    pub syns: u32,
    /// From the SYN, or the first closed window, to the failure.
    pub after: Duration,
    /// The ICMP error that refused it, and who sent it.
    pub icmp: Option<(IcmpKind, SocketAddr)>,
    /// What this host's kernel dropped of it, where that is why.
    pub dropped: Option<DroppedOpening>,
}

/// Segments that open a connection, dropped by this host's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DroppedOpening {
    /// They were on their way in or out.
    pub direction: Direction,
    /// The last run of them.
    pub drop: KernelDrop,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Opening {
    syn: Option<SynSeen>,
    accepted: bool,
    /// The client sent something, or closed.
    used: bool,
    /// The failure was told.
    told: bool,
    closed: Option<ClosedWindow>,
    dropped: Option<DroppedOpening>,
}

#[derive(Clone, Copy, Debug)]
struct SynSeen {
    client: SocketAddr,
    server: SocketAddr,
    direction: Direction,
    first_at: Timestamp,
    last_at: Timestamp,
    count: u32,
}

/// One side says again and again that nothing may be sent to it.
#[derive(Clone, Copy, Debug)]
struct ClosedWindow {
    by: SocketAddr,
    since: Timestamp,
    count: u32,
}

impl Opening {
    /// Takes a segment, after the connection has read it.
    pub(super) fn handle_segment(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        segment: &TcpSegment<'_>,
    ) -> Option<ConnectionFailure> {
        let kind = match (segment.flags & SYN != 0, segment.flags & ACK != 0) {
            (true, false) => self.handle_syn(now, packet),
            (true, true) => {
                self.accepted = true;
                None
            }
            (false, _) if segment.flags & RST != 0 => self.handle_reset(packet),
            (false, _) => {
                let from_client = self.syn.is_none_or(|syn| syn.client == packet.src);
                self.used |= from_client && (!segment.payload.is_empty() || segment.flags & FIN != 0);
                self.handle_window(now, packet, segment)
            }
        }?;
        self.fail(now, packet, kind, None)
    }

    /// Takes an ICMP error about a segment of this connection.
    pub(super) fn handle_icmp(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        error: &IcmpError,
    ) -> Option<ConnectionFailure> {
        let refuses = match error.kind {
            IcmpKind::PortUnreachable | IcmpKind::HostUnreachable | IcmpKind::NetUnreachable | IcmpKind::Prohibited => {
                true
            }
            IcmpKind::TimeExceeded | IcmpKind::TooBig | IcmpKind::Other => false,
        };
        let of_the_syn = self.syn.is_some_and(|syn| syn.client == error.quoted_src) && !self.accepted;
        if !refuses || !of_the_syn {
            return None;
        }
        self.fail(now, packet, FailureKind::Refused, Some((error.kind, packet.src)))
    }

    /// Takes what this host's firewall dropped of the opening: the SYN of who never got an answer, or one answer after the other. A
    /// SYN that is dropped on its way out is seen nowhere else.
    pub(super) fn handle_drop(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        drop: &KernelDrop,
    ) -> Option<ConnectionFailure> {
        let (client, server, direction) = match drop.segment? {
            DroppedSegment::Syn => (packet.src, packet.dst, packet.direction),
            DroppedSegment::SynAck => (packet.dst, packet.src, packet.direction.opposite()),
            DroppedSegment::Data | DroppedSegment::Ack => return None,
        };
        if drop.reason != DropReason::Netfilter || packet.direction == Direction::Transit {
            return None;
        }
        self.dropped = Some(DroppedOpening { direction: packet.direction, drop: *drop });
        let count = u32::try_from(drop.count).unwrap_or(u32::MAX);
        let syn = self.syn.get_or_insert(SynSeen {
            client,
            server,
            direction,
            first_at: drop.first_at,
            last_at: drop.last_at,
            count: 0,
        });
        // Of a SYN that leaves, the copies that are dropped are all there are.
        syn.count = syn.count.max(count);
        let got_through = self.accepted && drop.segment == Some(DroppedSegment::Syn);
        let lasts = syn.count >= SYNS && drop.last_at.since(syn.first_at) >= DROPPED_FOR;
        if !lasts || got_through || self.used {
            return None;
        }
        self.fail(now, packet, FailureKind::DroppedHere, None)
    }

    fn handle_syn(&mut self, now: Timestamp, packet: &Packet<'_>) -> Option<FailureKind> {
        let syn = self.syn.get_or_insert(SynSeen {
            client: packet.src,
            server: packet.dst,
            direction: packet.direction,
            first_at: now,
            last_at: now,
            count: 1,
        });
        // Where the firewall dropped the copy before, what becomes of this one it tells in a moment.
        let is_dropped = self.dropped.is_some_and(|dropped| dropped.drop.last_at >= syn.last_at);
        if now.since(syn.last_at) >= SYN_AGAIN {
            syn.last_at = now;
            syn.count += 1;
        }
        (syn.count >= SYNS && !self.accepted && !is_dropped).then_some(FailureKind::TimedOut)
    }

    /// Only the server's reset says that the client is not wanted; a client that resets was only looking.
    fn handle_reset(&mut self, packet: &Packet<'_>) -> Option<FailureKind> {
        let by_server = self.syn.is_some_and(|syn| syn.server == packet.src);
        match (by_server, self.accepted, self.used) {
            (true, false, _) => Some(FailureKind::Refused),
            (true, true, false) => Some(FailureKind::Reset),
            (true, true, true) | (false, ..) => None,
        }
    }

    fn handle_window(&mut self, now: Timestamp, packet: &Packet<'_>, segment: &TcpSegment<'_>) -> Option<FailureKind> {
        if segment.window != 0 || self.closed.is_some_and(|closed| closed.by != packet.src) {
            // It opened, or the other side could send: bytes that are sent all the same are probes of a closed window.
            let is_over = self.closed.is_some_and(|closed| closed.by == packet.src || segment.payload.len() > 1);
            if is_over {
                self.closed = None;
            }
            return None;
        }
        let closed = self.closed.get_or_insert(ClosedWindow { by: packet.src, since: now, count: 0 });
        closed.count += 1;
        (closed.count >= CLOSED_WINDOWS && now.since(closed.since) >= CLOSED_FOR).then_some(FailureKind::Stalled)
    }

    /// Each connection fails once.
    fn fail(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        kind: FailureKind,
        icmp: Option<(IcmpKind, SocketAddr)>,
    ) -> Option<ConnectionFailure> {
        if core::mem::replace(&mut self.told, true) {
            return None;
        }
        let dropped = self.dropped.filter(|_| kind == FailureKind::DroppedHere);
        let stalled_since = self.closed.filter(|_| kind == FailureKind::Stalled).map(|closed| closed.since);
        Some(match self.syn {
            Some(syn) => ConnectionFailure {
                kind,
                client: syn.client,
                server: syn.server,
                direction: syn.direction,
                syns: syn.count,
                after: now.since(stalled_since.unwrap_or(syn.first_at)),
                icmp,
                dropped,
            },
            None => ConnectionFailure {
                kind,
                client: packet.dst,
                server: packet.src,
                direction: packet.direction.opposite(),
                syns: 0,
                after: now.since(stalled_since.unwrap_or(now)),
                icmp,
                dropped,
            },
        })
    }
}
