//! What the streams towards one side show, and what refuses them.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use crate::call::KeyTimes;
use crate::media::flow::due::View;
use crate::media::flow::{Flow, FlowState, RTCP_INTERVAL, SETTLE, Travel};
use crate::media::{MediaTable, Refusal, RtcpSource, Stream, per_second};
use crate::packet::DropReason;
use crate::rtp::ReportBlock;
use crate::time::Timestamp;

/// ICMP errors must go on for so long before they say more than that a port was opened late.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(1);
/// An error belongs to the packets sent up to this much later: senders of ICMP limit themselves to one a second.
pub(super) const ICMP_INTERVAL: Duration = Duration::from_secs(2);
/// A stream of which at least this share is dropped is not heard.
const DROPPED_SHARE: f64 = 0.9;
/// A packet that leaves this long after the first drop has not been hit by it.
const DROPS_BEGIN: Duration = Duration::from_millis(500);
/// A stream is reported once a second: one that leaves is known to have ended after that.
const REPORTED_WITHIN: Duration = Duration::from_secs(2);
/// RTCP comes every 5 s or so (RFC 3550 6.2); three intervals without it and its sender is gone.
pub(super) const RTCP_ALIVE: Duration = Duration::from_secs(15);

/// What the streams towards one side show.
#[derive(Default)]
pub(super) struct Seen {
    pub packets: u64,
    pub strays: u64,
    pub last_at: Option<Timestamp>,
    pub stray_at: Option<Timestamp>,
    pub burst_at: Option<Timestamp>,
    pub pause: Option<(Timestamp, Timestamp)>,
    pub keys: KeyTimes,
    pub lowest_ttl: Option<u8>,
    comfort_noise: bool,
    /// More of it was missed than seen, as in a thinned capture: where nothing comes for a while, that says nothing.
    is_sparse: bool,
    paths: SmallVec<[Path; 2]>,
}

/// One 5-tuple without protocol, and what became of its packets.
struct Path {
    src: SocketAddr,
    dst: SocketAddr,
    last_at: Timestamp,
    refusal: Option<Refusal>,
    /// Of the stream seen on it last: its last packet and packets a second.
    stream: Option<(Timestamp, f64)>,
    unheard: Option<(ReportBlock, u64)>,
}

impl Seen {
    pub fn collect(view: &View<'_>) -> Self {
        let (table, receiver, sender) = (view.table, view.receiver, view.sender);
        let mut seen = Self::default();
        for endpoint in receiver.all() {
            for stream in table.streams_to(endpoint).filter(|s| !receiver.has(s.counters.key.src)) {
                // A learned address is one of many ports of a NAT or a media server: only what comes from the other
                // side counts there.
                let known = sender.has(stream.counters.key.src) || stream.call() == Some(view.key);
                if known || receiver.announced.contains(&endpoint) {
                    seen.add(stream, view.since);
                }
            }
        }
        if view.ice {
            // ICE settles on addresses that SDP may never tell (RFC 8445 7.2.5.3).
            for stream in sender.announced.iter().flat_map(|e| table.streams_from(*e)) {
                if stream.call() == Some(view.key) && !receiver.has(stream.counters.key.dst) {
                    seen.add(stream, view.since);
                }
            }
        }
        for refusal in table.refusals(view.key) {
            // Of a call that is over: a port that is closed then drops what still comes.
            let in_time = refusal.dropped.is_none() || refusal.first_at + REFUSED_FOR <= view.now;
            if in_time
                && !is_read_again(view, refusal)
                && receiver.has(refusal.dst)
                && sender.has_host(refusal.src.ip())
            {
                seen.refuse(refusal);
            }
        }
        seen
    }

    fn refuse(&mut self, refusal: &Refusal) {
        let (src, dst, last_at) = (refusal.src, refusal.dst, refusal.last_at);
        match self.paths.iter_mut().find(|p| (p.src, p.dst) == (src, dst)) {
            // The kernel's own word is better than the ICMP error that goes with it.
            Some(path) => {
                let tells_less = path.refusal.is_some_and(|known| {
                    let (a, b) = (known.last_at, last_at);
                    let together = a.since(b).max(b.since(a)) <= ICMP_INTERVAL;
                    if together && known.dropped.is_some() != refusal.dropped.is_some() {
                        known.dropped.is_some()
                    } else {
                        (known.last_at, known.count) > (last_at, refusal.count)
                    }
                });
                if !tells_less {
                    path.refusal = Some(*refusal);
                }
            }
            None => self.paths.push(Path { src, dst, last_at, refusal: Some(*refusal), stream: None, unheard: None }),
        }
    }

    /// Counts a stream. One that ended before media became due on these terms tells nothing but its TTL.
    fn add(&mut self, stream: &Stream, since: Timestamp) {
        let c = &stream.counters;
        self.lowest_ttl = Some(self.lowest_ttl.map_or(c.ttl_min, |ttl| ttl.min(c.ttl_min)));
        if c.last_at < since {
            return;
        }
        if !c.in_sequence {
            self.strays += c.packets;
            self.stray_at = self.stray_at.max(Some(c.last_at));
            return;
        }
        self.packets += c.packets;
        if self.last_at.is_none_or(|at| c.last_at > at) {
            self.last_at = Some(c.last_at);
            self.comfort_noise = stream.ended_in_comfort_noise();
            self.is_sparse = c.lost > c.packets;
        }
        self.burst_at = self.burst_at.max(Some(stream.burst_at));
        self.pause = self.pause.max(stream.pause);
        self.keys.merge(&stream.keys);
        let path = self.paths.iter_mut().find(|p| (p.src, p.dst) == (c.key.src, c.key.dst));
        let unheard = stream.reception.as_ref().filter(|r| r.hears_nothing()).map(|r| (r.block, r.sent_in_vain));
        let rate = Some((c.last_at, per_second(c.packets, c.first_at, c.last_at)));
        match path {
            Some(path) if path.last_at <= c.last_at => {
                (path.last_at, path.unheard, path.stream) = (c.last_at, unheard, rate);
            }
            Some(_) => {}
            None => {
                let (src, dst, last_at) = (c.key.src, c.key.dst, c.last_at);
                self.paths.push(Path { src, dst, last_at, refusal: None, stream: rate, unheard });
            }
        }
    }

    /// The run of ICMP errors that says most: the one on the path used last.
    pub fn refusal(&self, since: Timestamp) -> Option<Refusal> {
        self.paths.iter().filter_map(|p| p.refusal).filter(|r| r.last_at >= since).max_by_key(|r| (r.last_at, r.count))
    }

    /// What its receiver says of it, where that is that none of it arrives.
    pub fn unheard(&self) -> Option<(ReportBlock, u64)> {
        self.paths.iter().max_by_key(|p| p.last_at).and_then(|p| p.unheard)
    }

    pub fn state(&self, flow: &Flow, view: &View<'_>) -> FlowState {
        let now = view.now;
        let Some(last_at) = self.last_at else {
            let just_now = self.stray_at.is_some_and(|at| now.since(at) < SETTLE);
            return match (just_now, &flow.refusal) {
                (true, _) => FlowState::Starting,
                (false, Some(refusal)) if refusal.is_lasting(flow.due_since) => FlowState::Refused,
                (false, _) => FlowState::Absent,
            };
        };
        let used: SmallVec<[&Path; 2]> = self.paths.iter().filter(|p| last_at.since(p.last_at) < SETTLE).collect();
        if !used.is_empty() && used.iter().all(|p| p.is_refused(flow.due_since)) {
            return FlowState::Refused;
        }
        if now.since(last_at) >= view.config.thresholds.media_stopped {
            // A burst of less than a second is no talk yet that could break off.
            let is_brief = self.burst_at.is_some_and(|began| last_at.since(began) < Duration::from_secs(1));
            let on_purpose = self.comfort_noise || is_silent_on_purpose(flow.sender_rtcp.as_ref(), last_at, now);
            let silent = is_brief || self.is_sparse || on_purpose;
            return if silent { FlowState::Flowing } else { FlowState::Stopped(last_at) };
        }
        if used.iter().any(|p| p.unheard.is_some()) && used.iter().all(|p| p.unheard.is_some()) {
            return FlowState::Unheard;
        }
        if flow.travel == Travel::Out
            && flow.private_address.is_some_and(|address| nobody_there(view.table, address, &used))
        {
            return FlowState::Undeliverable;
        }
        FlowState::Flowing
    }
}

impl Path {
    /// Whether its packets were refused again and again, up to the last ones.
    fn is_refused(&self, since: Timestamp) -> bool {
        self.refusal.is_some_and(|r| {
            let lasts = r.last_at >= since && r.is_lasting(since) && self.last_at.since(r.last_at) <= ICMP_INTERVAL;
            lasts && (r.dropped.is_none() || self.drops_are_all(&r))
        })
    }

    /// Whether the kernel drops the stream and not just some packets of it. What arrives is counted before it is dropped, so
    /// its rates are compared; what leaves is mostly dropped before it is counted, so nothing of it is seen any more.
    fn drops_are_all(&self, drops: &Refusal) -> bool {
        match self.stream {
            None => true,
            Some((_, rate)) if drops.is_counted_first() => drops.rate() >= rate * DROPPED_SHARE,
            Some((seen_at, _)) => {
                seen_at.since(drops.first_at) <= DROPS_BEGIN && drops.last_at.since(seen_at) >= REPORTED_WITHIN
            }
        }
    }
}

/// Whether the process that let its receive buffer overflow is back: it sends from that port again.
fn is_read_again(view: &View<'_>, refusal: &Refusal) -> bool {
    let overflowed = refusal.dropped.is_some_and(|drop| drop.reason == DropReason::SocketReceiveBuffer);
    let sends = |s: &Stream| s.counters.in_sequence && s.counters.last_at > refusal.last_at;
    overflowed && view.table.streams_from(refusal.dst).any(sends)
}

/// Whether all that is sent goes to a private address from which nothing ever came.
fn nobody_there(table: &MediaTable, address: IpAddr, used: &[&Path]) -> bool {
    used.iter().all(|p| p.dst.ip() == address) && table.streams_from_host(address).next().is_none()
}

/// Whether the sender's RTCP goes on and does not claim that it sends: muted, or DTX (RFC 3550 6.4: an SR counts what was
/// sent).
fn is_silent_on_purpose(rtcp: Option<&RtcpSource>, last_at: Timestamp, now: Timestamp) -> bool {
    rtcp.is_some_and(|r| {
        now.since(r.last_at) <= RTCP_ALIVE
            && r.last_at > last_at
            && r.sent_grew_at.is_none_or(|t| t.since(last_at) <= RTCP_INTERVAL)
    })
}
