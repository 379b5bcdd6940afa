//! What the diagnoses of requests have in common: who sent one, who should have answered, and what ICMP says of it.

use core::cmp::Reverse;
use core::net::SocketAddr;
use core::time::Duration;

use smallvec::SmallVec;

use crate::call::{Call, DropSeen, HopView, IcmpSeen};
use crate::config::EngineConfig;
use crate::diagnosis::Fault;
use crate::packet::{Direction, DropReason, DroppedSegment, IcmpKind, KernelDrop};
use crate::record::Side;
use crate::transaction::Transaction;

/// Segments of TCP that are dropped so often over so long are lost: like four copies of a request over UDP.
const SEGMENTS: u64 = 4;
const SEGMENTS_OVER: Duration = Duration::from_secs(3);

/// The fault is with who should have taken a message that went this way.
pub(super) fn fault_of_receiver(view: &HopView) -> Fault {
    if view.direction == Direction::In { Fault::Local } else { Fault::Remote }
}

/// The fault is with who sent a message this way; not told where neither end is this host.
pub(super) fn fault_of_sender(view: &HopView) -> Option<Fault> {
    match view.direction {
        Direction::Out => Some(Fault::Local),
        Direction::In => Some(Fault::Remote),
        Direction::Transit => None,
    }
}

/// The end of a hop that is not this host.
pub(super) fn peer_of(view: &HopView) -> SocketAddr {
    if view.direction == Direction::In { view.src } else { view.dst }
}

/// Where a side of the call is, as seen from here.
pub(super) fn fault_of_side(call: &Call, config: &EngineConfig, side: Side) -> Option<Fault> {
    let addr = address_of_side(call, side)?;
    Some(if config.local.contains(&addr.ip()) { Fault::Local } else { Fault::Remote })
}

/// Where the messages of a side come from, on the hop nearest to it that was seen.
pub(super) fn address_of_side(call: &Call, side: Side) -> Option<SocketAddr> {
    let mut invites = call.invites();
    match side {
        Side::Caller => call.path(invites.next()?.path).map(|view| view.src),
        Side::Callee => call.path(invites.last()?.path).map(|view| view.dst),
    }
}

/// The side of the call that `view` leads to or comes from and that is not this host.
pub(super) fn side_name(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Caller) => "the caller",
        Some(Side::Callee) => "the callee",
        None => "one side",
    }
}

/// An ICMP error that quotes the way of a request, not older than it.
pub(super) fn icmp_against<'a>(call: &'a Call, request: &Transaction, view: &HopView) -> Option<&'a IcmpSeen> {
    call.icmp.iter().find(|icmp| {
        (icmp.quoted_src, icmp.quoted_dst) == (view.src, view.dst)
            && icmp.seen.last() >= request.sent.first()
            && !matches!(icmp.kind, IcmpKind::TooBig | IcmpKind::Other)
    })
}

/// Packets on the way of a request, or on that of its responses, that this host's kernel dropped, not older than it. What
/// hits the request itself goes first, then what was dropped most often.
pub(super) fn drops_against<'a>(
    call: &'a Call,
    request: &Transaction,
    view: &HopView,
) -> impl Iterator<Item = &'a DropSeen> + use<'a> {
    let (since, there, back) = (request.sent.first(), (view.src, view.dst), (view.dst, view.src));
    let is_between = |seen: &&DropSeen| (seen.src, seen.dst) == there || (seen.src, seen.dst) == back;
    let between = call.dropped.iter().filter(is_between).filter(|seen| seen.drop.last_at >= since);
    let mut seen: SmallVec<[&DropSeen; 4]> = between.collect();
    seen.sort_by_key(|seen| ((seen.src, seen.dst) != there, Reverse(seen.drop.count)));
    seen.into_iter()
}

/// Where another request of the same side that came the same way was sent on to from here.
pub(super) fn relays_to(call: &Call, request: &Transaction, view: &HopView) -> Option<SocketAddr> {
    let same_way = |t: &&Transaction| t.path == request.path && t.from == request.from && !core::ptr::eq(*t, request);
    call.transactions.iter().filter(same_way).find_map(|came| {
        let sent_on = |t: &&Transaction| {
            t.path != came.path && t.method == came.method && t.cseq == came.cseq && t.from == came.from
        };
        let mut onward = call.transactions.iter().filter(sent_on).filter_map(|t| call.path(t.path));
        onward.find(|to| to.direction == Direction::Out && to.dst != view.src).map(|to| to.dst)
    })
}

/// TCP sends the bytes again and again, and this host's firewall drops them each time: nobody need wait until the sender gives up.
pub(super) fn is_lost_over_tcp(call: &Call, request: &Transaction, view: &HopView) -> bool {
    drops_against(call, request, view)
        .any(|DropSeen { drop, .. }| drop.segment == Some(DroppedSegment::Data) && is_lasting(drop, request))
}

/// A single segment is sent again and gets through; a rule drops each copy.
pub(super) fn is_lasting(drop: &KernelDrop, request: &Transaction) -> bool {
    drop.reason == DropReason::Netfilter
        && drop.count >= SEGMENTS
        && drop.last_at.since(drop.first_at.max(request.sent.first())) >= SEGMENTS_OVER
}

/// What an ICMP error says of its destination.
pub(super) const fn icmp_text(kind: IcmpKind) -> &'static str {
    match kind {
        IcmpKind::PortUnreachable => "port unreachable",
        IcmpKind::HostUnreachable => "host unreachable",
        IcmpKind::NetUnreachable => "network unreachable",
        IcmpKind::Prohibited => "prohibited by a firewall",
        IcmpKind::TimeExceeded => "out of reach: time to live exceeded",
        IcmpKind::TooBig => "behind a link that the packet is too big for",
        IcmpKind::Other => "unreachable",
    }
}

/// `1 time`, `4 times`.
pub(super) fn times(count: u32) -> String {
    if count == 1 { "1 time".to_owned() } else { format!("{count} times") }
}

/// Seconds with one decimal.
pub(super) fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}
