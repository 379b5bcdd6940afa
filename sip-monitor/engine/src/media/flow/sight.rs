//! What could have been seen, and what was seen where it does not belong.

use core::net::IpAddr;

use crate::config::MediaSight;
use crate::media::Stream;
use crate::media::flow::due::{Ends, View};
use crate::media::flow::{Elsewhere, SETTLE, Sight, Travel};

/// How far the absence of media can be trusted (ground rules 5, 7 and 9).
pub(super) fn sight(view: &View<'_>) -> Sight {
    let (sender, receiver) = (view.sender, view.receiver);
    if view.table.sight() == MediaSight::Unseen || view.table.forgot_since(view.since) {
        return Sight::None;
    }
    match (view.travel, view.table.sight()) {
        // Between others: only what passes here both ways is known to pass here at all.
        (Travel::Past, _) => {
            if media_passed(view, sender, receiver) && media_passed(view, receiver, sender) {
                Sight::Full
            } else {
                Sight::None
            }
        }
        (_, MediaSight::Full) => Sight::Full,
        (_, MediaSight::Guessed | MediaSight::Unseen) => {
            if !media_of_host(view, receiver)
                && !media_of_host(view, sender)
                && view.table.refusals(view.key).is_empty()
            {
                return Sight::None;
            }
            let signalled = sender.has_host(sender.signalling) && receiver.has_host(receiver.signalling);
            if signalled || media_passed(view, sender, receiver) { Sight::Full } else { Sight::Partial }
        }
    }
}

/// Whether any RTP or RTCP was seen from one host to the other.
fn media_passed(view: &View<'_>, from: &Ends, to: &Ends) -> bool {
    let rtcp = view.table.rtcp(view.key);
    from.all().flat_map(|e| view.table.streams_from_host(e.ip())).any(|s| to.has_host(s.counters.key.dst.ip()))
        || rtcp.iter().any(|r| from.has_host(r.src.ip()) && to.has_host(r.dst.ip()))
}

/// Whether any media of this host was seen, of this call or of others.
fn media_of_host(view: &View<'_>, ends: &Ends) -> bool {
    let seen = |ip: IpAddr| {
        view.table.streams_to_host(ip).chain(view.table.streams_from_host(ip)).any(Stream::is_worth_a_record)
    };
    ends.all().map(|e| e.ip()).filter(|ip| view.table.is_local(*ip)).any(seen)
}

/// A stream from the sender that goes on to where the receiver's SDP does not send it: its old port, or none it announced.
/// ICE settles on addresses that SDP need not tell: there nothing is elsewhere.
pub(super) fn elsewhere(view: &View<'_>) -> Option<Elsewhere> {
    if view.ice {
        return None;
    }
    let (table, sender, receiver) = (view.table, view.sender, view.receiver);
    let fits = |stream: &&Stream| {
        let c = &stream.counters;
        let of_others = stream.owner.as_ref().is_some_and(|o| o.call != view.key);
        c.in_sequence && view.now.since(c.last_at) <= SETTLE && !of_others && !receiver.has(c.key.dst)
    };
    let told = |stream: &Stream| {
        let c = &stream.counters;
        Elsewhere { src: c.key.src, dst: c.key.dst, packets: c.packets, last_at: c.last_at }
    };
    let leaving = sender.all().flat_map(|e| table.streams_from(e)).filter(|s| {
        let dst = s.counters.key.dst;
        !sender.has(dst) && !table.is_held_by_others(dst, view.key)
    });
    if let Some(stream) = leaving.filter(fits).max_by_key(|s| s.counters.last_at) {
        return Some(told(stream));
    }
    // Neither end is as announced: only a stream between the two hosts that began with this session, the only one of
    // its kind, can be meant.
    let hosts = |ends: &Ends| ends.announced.first().map(|e| e.ip());
    let mut between = table
        .unowned_between(hosts(sender)?, hosts(receiver)?)
        .filter(|s| s.counters.first_at + SETTLE >= view.since && !table.is_held(s.counters.key.dst))
        .filter(fits);
    let only = between.next().map(told)?;
    between.next().is_none().then_some(only)
}
