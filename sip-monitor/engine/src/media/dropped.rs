//! RTP that this host's kernel dropped: whose it is, which part of a stream it is, and what of it is no fault.

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

use crate::call::CallKey;
use crate::media::table::MAX_WITNESSES;
use crate::media::witness::{Refusal, RtcpDropped};
use crate::media::{MediaTable, RTCP_MISSING, Stream, per_second};
use crate::packet::{Direction, DropReason, IcmpKind, KernelDrop, Packet};
use crate::time::Timestamp;

/// A stream that was heard so lately goes on.
const STILL_SENDS: Duration = Duration::from_secs(2);
/// How long an RTP stream takes to fill the receive buffer of a socket that nobody reads, with the kernel's default size.
const UNREAD_BUFFER: Range<Duration> = Duration::from_secs(2)..Duration::from_secs(15);
/// Two reports of one numbering lie so many packets apart at most: they come once a second each.
const APART: u16 = 500;
/// A stream that is dropped so soon after it began was dropped from its first packets on.
const FROM_THE_START: Duration = Duration::from_secs(1);

/// Packets of one flow that were dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DroppedMedia {
    /// Source.
    pub src: SocketAddr,
    /// Destination.
    pub dst: SocketAddr,
    /// Which way they went.
    pub direction: Direction,
    /// Why.
    pub reason: DropReason,
    /// How many.
    pub packets: u64,
    /// First of them.
    pub first_at: Timestamp,
    /// Last of them.
    pub last_at: Timestamp,
}

/// Dropped packets beside the stream they are of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DroppedShare {
    /// Which part of the stream was dropped, 0 to 1, over the time from the first drop to the last.
    pub share: f64,
    /// The stream was dropped from its first packets on.
    pub from_the_start: bool,
}

impl MediaTable {
    /// Takes packets that this host's kernel dropped. Returns the call whose media they are.
    pub fn handle_drop(&mut self, packet: &Packet<'_>, drop: &KernelDrop) -> Option<CallKey> {
        self.refuse(Refusal {
            src: packet.src,
            dst: packet.dst,
            kind: IcmpKind::Other,
            icmp: (0, 0),
            reporter: packet.dst,
            direction: packet.direction,
            dropped: Some(*drop),
            count: drop.count,
            first_at: drop.first_at,
            last_at: drop.last_at,
        })
    }

    /// Takes RTCP that this host's kernel dropped. Returns the call whose RTCP it is.
    pub fn handle_dropped_rtcp(&mut self, packet: &Packet<'_>, drop: &KernelDrop) -> Option<CallKey> {
        let (call, from) = self.rtcp_holder(packet.src, packet.dst)?;
        let known = &mut self.holders.call_mut(call)?.rtcp_dropped;
        let (packets, first_at) = (drop.count, drop.first_at);
        let dropped = RtcpDropped { src: packet.src, dst: packet.dst, from, drop: *drop, packets, first_at };
        let same = |known: &&mut RtcpDropped| {
            (known.src, known.dst, known.drop.name) == (dropped.src, dropped.dst, dropped.drop.name)
        };
        if let Some(known) = known.iter_mut().find(same) {
            *known = dropped.after(known);
        } else if known.len() < MAX_WITNESSES {
            known.push(dropped);
        }
        Some(call)
    }

    /// The call whose RTCP that is.
    #[must_use]
    pub(crate) fn rtcp_call(&self, packet: &Packet<'_>) -> Option<CallKey> {
        self.rtcp_holder(packet.src, packet.dst).map(|(call, _)| call)
    }

    /// Whether media of the call that arrives is sent on from here.
    #[must_use]
    pub fn is_passed_on(&self, call: CallKey, at: Timestamp) -> bool {
        self.streams_of(call).any(|stream| self.streams_of(call).any(|copy| is_copy(copy, stream, at)))
    }

    /// RTCP of the call that this host's kernel dropped.
    #[must_use]
    pub fn dropped_rtcp(&self, call: CallKey) -> &[RtcpDropped] {
        self.holders.call(call).map(|media| media.rtcp_dropped.as_slice()).unwrap_or_default()
    }

    /// Whether packets that the kernel dropped are not missed by anybody: of a process that only plays, or of a stream that a
    /// netfilter target of this host has sent on itself.
    #[must_use]
    pub fn is_harmless_drop(&self, packet: &Packet<'_>, drop: &KernelDrop) -> bool {
        match drop.reason {
            DropReason::SocketReceiveBuffer => self.is_of_a_player(packet, drop),
            DropReason::Netfilter => packet.direction == Direction::In && self.is_sent_on_within_call(packet, drop),
            DropReason::NoSocket
            | DropReason::ReversePathFilter
            | DropReason::Neighbour
            | DropReason::Checksum
            | DropReason::NoRoute
            | DropReason::QueueFull
            | DropReason::Other => false,
        }
    }

    /// Whether a full receive buffer is no fault: of a process that plays and never listens, such as an announcement or a
    /// load generator. It sends from that port all the same, or from another one while the port has never been read: then the
    /// buffer fills when its default size is used up, 5 s after the stream began or so. Who sends nothing any more hangs.
    fn is_of_a_player(&self, packet: &Packet<'_>, drop: &KernelDrop) -> bool {
        let sends = |s: &Stream| s.counters.in_sequence && drop.last_at.since(s.counters.last_at) <= STILL_SENDS;
        if self.streams_from(packet.dst).any(sends) {
            return true;
        }
        let sends_elsewhere = || {
            self.streams_from_host(packet.dst.ip()).filter(|s| s.counters.key.dst.ip() == packet.src.ip()).any(sends)
        };
        let began_at = self.streams_to(packet.dst).filter(|s| s.counters.key.src == packet.src);
        let began_at = began_at.map(|s| s.counters.first_at).min();
        began_at.is_some_and(|at| UNREAD_BUFFER.contains(&drop.first_at.since(at))) && sends_elsewhere()
    }

    /// A media relay that forwards in the kernel (a netfilter target) sends its own copy and drops the packet that came.
    fn is_sent_on_within_call(&self, packet: &Packet<'_>, drop: &KernelDrop) -> bool {
        let mut arriving = self.streams_to(packet.dst).filter(|s| s.counters.key.src == packet.src);
        arriving.any(|stream| {
            let call = stream.call();
            call.is_some_and(|call| self.streams_of(call).any(|s| is_copy(s, stream, drop.last_at)))
        })
    }

    /// Which part of a stream the kernel dropped. `None` where the stream is not known, or was sent on all the same.
    #[must_use]
    pub fn dropped_share(&self, dropped: &DroppedMedia) -> Option<DroppedShare> {
        let between = |s: &&Stream| {
            let c = &s.counters;
            c.key.src == dropped.src && c.in_sequence && c.last_at >= dropped.first_at && c.first_at <= dropped.last_at
        };
        let streams = || self.streams_to(dropped.dst).filter(between);
        let first_at = streams().map(|s| s.counters.first_at).min();
        let last_at = streams().map(|s| s.counters.last_at).max();
        let lost = per_second(dropped.packets, dropped.first_at, dropped.last_at);
        let (Some(first_at), Some(last_at)) = (first_at, last_at) else {
            // What is dropped on its way out is dropped before it can be counted.
            return (dropped.direction == Direction::Out).then_some(DroppedShare { share: 1.0, from_the_start: true });
        };
        let seen = per_second(streams().map(|s| s.counters.packets).sum(), first_at, last_at);
        let goes_out = |s: &Stream| is_copy_of_any(s, streams(), dropped.last_at);
        let is_lonely = streams().all(|s| s.call().is_none());
        if dropped.reason == DropReason::Netfilter
            && dropped.direction == Direction::In
            && is_lonely
            && self.streams_from_host(dropped.dst.ip()).any(goes_out)
        {
            return None;
        }
        // The queue of an interface drops behind the hook that counts, everything else on the way out before it.
        let counted_before = dropped.direction == Direction::In || dropped.reason == DropReason::QueueFull;
        let all = if counted_before { seen } else { seen + lost };
        let from_the_start = dropped.first_at.since(first_at) <= FROM_THE_START;
        (all > 0.0).then_some(DroppedShare { share: (lost / all).min(1.0), from_the_start })
    }
}

impl RtcpDropped {
    /// This one, with the packets known before: of the same run, or of one that it goes on with.
    fn after(self, known: &Self) -> Self {
        if self.drop.first_at.since(known.drop.last_at) >= RTCP_MISSING {
            return self;
        }
        let counted = if self.drop.first_at == known.drop.first_at { known.drop.count } else { 0 };
        let packets = known.packets.saturating_sub(counted) + self.drop.count;
        Self { packets, first_at: known.first_at, ..self }
    }
}

/// The same packets, sent on from another port. What is sent back from the port they came to is an answer, also where both
/// sides number alike, as load generators do.
fn is_copy(copy: &Stream, of: &Stream, at: Timestamp) -> bool {
    let (a, b) = (&copy.counters, &of.counters);
    let ahead = a.last_sequence.wrapping_sub(b.last_sequence);
    a.key.direction == Direction::Out
        && a.key.ssrc == b.key.ssrc
        && a.key.src != b.key.dst
        && a.in_sequence
        && ahead.min(ahead.wrapping_neg()) <= APART
        && at.since(a.last_at) <= STILL_SENDS
}

fn is_copy_of_any<'a>(copy: &Stream, mut of: impl Iterator<Item = &'a Stream>, at: Timestamp) -> bool {
    of.any(|stream| is_copy(copy, stream, at))
}
