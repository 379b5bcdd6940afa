//! Packets that this host's kernel dropped: which calls they hit, and when they are judged apart from any call.

use core::net::SocketAddr;

use smallvec::SmallVec;

use crate::Engine;
use crate::call::{Call, CallKey, Hop};
use crate::diagnosis::{DropsFacts, Subject};
use crate::drops::{DroppedFlow, DropsKey, Standing};
use crate::event::Event;
use crate::media::DroppedMedia;
use crate::packet::{Direction, DropReason, DroppedSegment, DroppedTraffic, KernelDrop, Packet};
use crate::tcp::FailureKind;
use crate::time::Timestamp;
use crate::wire::{Topic, WireKey};

/// Flows and reasons kept for one call.
const KEPT: usize = 8;
/// Codes of a call that tell the same of its messages as the kernel does: nobody answers them.
const UNANSWERED: [&str; 3] = ["request-unanswered", "teardown-failed", "cancel-ignored"];
/// The code that tells of connections which this host's firewall lets nobody open.
const UNOPENED: [&str; 1] = ["tcp-failed"];

/// Messages of the call's flows that this host's kernel dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropSeen {
    /// Source.
    pub src: SocketAddr,
    /// Destination.
    pub dst: SocketAddr,
    /// Which way they went.
    pub direction: Direction,
    /// A firewall rule drops what a stranger sends whom this host has refused before, or what answers it: that is meant.
    pub keeps_out: bool,
    /// The last run of them. The kernel counts by flow: other calls between the same two ports are in it.
    pub drop: KernelDrop,
}

impl Engine {
    /// Takes a report about packets that this host's kernel dropped.
    pub(crate) fn handle_drop(&mut self, now: Timestamp, packet: &Packet<'_>, drop: &KernelDrop) {
        self.counters.kernel_drop_reports += 1;
        match drop.traffic {
            DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort => {
                self.handle_dropped_signalling(now, packet, drop)
            }
            DroppedTraffic::Media => self.handle_dropped_media(now, packet, drop),
            DroppedTraffic::Rtcp => {
                // A media process without a socket for RTCP needs none.
                if drop.reason != DropReason::NoSocket {
                    self.handle_dropped_rtcp(now, packet, drop);
                }
            }
        }
    }

    fn handle_dropped_rtcp(&mut self, now: Timestamp, packet: &Packet<'_>, drop: &KernelDrop) {
        let Some(key) = self.media.rtcp_call(packet) else { return };
        let is_over = self.calls.get(key).and_then(|call| call.media.ended_at()).is_some_and(|at| drop.last_at >= at);
        // A relay that forwards in the kernel drops what came and sends its own copy.
        let is_forwarded = drop.reason == DropReason::Netfilter
            && packet.direction == Direction::In
            && self.media.is_passed_on(key, drop.last_at);
        if is_over || is_forwarded {
            return;
        }
        self.media.handle_dropped_rtcp(packet, drop);
        self.note_media(Some(key));
        self.note_drop(now, packet, drop, &[key]);
    }

    fn handle_dropped_signalling(&mut self, now: Timestamp, packet: &Packet<'_>, drop: &KernelDrop) {
        if let Some(failure) = self.connections.handle_drop(now, packet, drop) {
            self.note_wire(failure.into());
        }
        let mut concerned = self.flows.recent(packet.src, packet.dst, now);
        // A response that is dropped concerns the request that came the other way.
        for key in self.flows.recent(packet.dst, packet.src, now) {
            if !concerned.contains(&key) {
                concerned.push(key);
            }
        }
        let keeps_out = !concerned.is_empty() && self.keeps_out(packet, drop);
        for key in &concerned {
            if let Some(call) = self.calls.get_mut(*key) {
                call.note_drop(packet, drop, keeps_out);
                self.after(*key, &[Event::Noted]);
            }
        }
        self.note_drop(now, packet, drop, &concerned);
    }

    fn handle_dropped_media(&mut self, now: Timestamp, packet: &Packet<'_>, drop: &KernelDrop) {
        if self.media.is_harmless_drop(packet, drop) {
            return;
        }
        let key = self.media.handle_drop(packet, drop);
        self.note_media(key);
        let over = |call: &Call| call.media.ended_at().is_some_and(|at| drop.last_at >= at);
        // What still comes after a BYE finds its port closed.
        if key.and_then(|key| self.calls.get(key)).is_none_or(|call| !over(call)) {
            self.note_drop(now, packet, drop, key.as_slice());
        }
    }

    fn note_drop(&mut self, now: Timestamp, packet: &Packet<'_>, drop: &KernelDrop, concerned: &[CallKey]) {
        let named = concerned.iter().filter_map(|key| Some((*key, self.calls.get(*key)?.identity().call_id)));
        let calls: Vec<(CallKey, &str)> = named.collect();
        let remote = if packet.direction == Direction::Out { packet.dst } else { packet.src };
        let is_missed = match drop.traffic {
            DroppedTraffic::Media | DroppedTraffic::Rtcp => !calls.is_empty(),
            DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort => self.is_known(remote),
        };
        let Some(noted) = self.drops.note(now, packet, drop, &calls, is_missed) else { return };
        self.counters.drops_evicted = self.drops.evicted() + self.media.unclaimed_evicted();
        if let Some(evicted) = noted.evicted {
            self.alerts.forget(Subject::Drops(evicted));
        }
        if noted.is_due {
            self.judge_drops(noted.key);
        }
    }

    /// Judges what has settled by `now`, and forgets what is long over.
    pub(crate) fn run_drops(&mut self, now: Timestamp) {
        if self.drops.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        let (due, gone) = self.drops.handle_timeout(now);
        for key in due {
            self.judge_drops(key);
        }
        for key in gone {
            self.alerts.forget(Subject::Drops(key));
        }
    }

    fn judge_drops(&mut self, key: DropsKey) {
        let Some(drops) = self.drops.get(key) else { return };
        let standings: SmallVec<[Standing; 4]> = drops.flows.iter().map(|flow| self.standing(flow, key)).collect();
        self.drops.settle(key, &standings);
        let Some(drops) = self.drops.get(key) else { return };
        let facts =
            DropsFacts { now: self.now, config: &self.config, drops, peers: &self.peers, capture: &self.capture };
        self.alerts.judge_drops(&facts, &mut self.outputs);
    }

    fn standing(&self, flow: &DroppedFlow, key: DropsKey) -> Standing {
        let before = flow.standing;
        if key.traffic == DroppedTraffic::Rtcp {
            return Standing { has_call: !flow.calls.is_empty(), ..before };
        }
        if key.traffic == DroppedTraffic::Media {
            let share = self.media.dropped_share(&DroppedMedia {
                src: flow.src,
                dst: flow.dst,
                direction: key.direction,
                reason: key.reason,
                packets: flow.packets,
                first_at: flow.first_at,
                last_at: flow.last_at,
            });
            return Standing {
                has_call: !flow.calls.is_empty(),
                share: share.map(|s| s.share),
                from_the_start: share.is_some_and(|s| s.from_the_start),
                ..before
            };
        }
        let remote = flow.remote(key.direction);
        let unopened = Subject::Wire(WireKey { addr: remote, topic: Topic::Connection(FailureKind::DroppedHere) });
        let is_told = flow.calls.iter().any(|call| self.alerts.holds_any(Subject::Call(*call), &UNANSWERED))
            || (key.tcp && self.alerts.holds_any(unopened, &UNOPENED));
        let until = is_told.then(|| self.now + self.config.thresholds.alert_window);
        let address = if key.direction == Direction::Out { flow.dst } else { flow.src };
        let came = |call: &CallKey| {
            let hop = self.calls.get(*call).and_then(|call| call.hops.first());
            hop.is_some_and(|hop| hop.direction == Direction::In)
        };
        let was_answered = |call: &CallKey| self.calls.get(*call).is_some_and(|call| call.answered_at.is_some());
        Standing {
            is_known: before.is_known || self.is_known(address) || flow.calls.iter().any(was_answered),
            asked_first: before.asked_first || flow.calls.iter().any(came) || self.sources.get(remote).is_some(),
            explained_until: until.or(before.explained_until),
            ..before
        }
    }

    /// Whether a rule of the firewall drops what belongs to a stranger who was refused before and never let in.
    fn keeps_out(&self, packet: &Packet<'_>, drop: &KernelDrop) -> bool {
        let remote = if packet.direction == Direction::Out { packet.dst } else { packet.src };
        let is_unwanted = || self.sources.get(remote.ip()).is_some_and(|s| s.was_refused() || s.is_scanning());
        drop.reason == DropReason::Netfilter && is_unwanted() && !self.is_known(remote)
    }

    /// Whether somebody is no stranger at whom a firewall may well be aimed.
    pub(crate) fn is_known(&self, address: SocketAddr) -> bool {
        self.peers.trunk_of(address).is_some()
            || self.sources.get(address.ip()).is_some_and(|source| source.accepted > 0)
            || self.peers.find(address).is_some_and(|peer| {
                let asked = &peer.measured.total;
                peer.let_in || asked.attempts > 0 || asked.registrations > 0 || peer.pings.ended > 0
            })
    }
}

impl Call {
    fn note_drop(&mut self, packet: &Packet<'_>, drop: &KernelDrop, keeps_out: bool) {
        let (src, dst) = (packet.src, packet.dst);
        let is_hop = |hop: &Hop| {
            let ends = (hop.a, hop.b) == (src, dst) || (hop.b, hop.a) == (src, dst);
            ends && (hop.transport == "udp") == drop.segment.is_none()
        };
        // Who opens a connection asks nothing yet.
        let opens = matches!(drop.segment, Some(DroppedSegment::Syn | DroppedSegment::SynAck));
        if opens || !self.hops.iter().any(is_hop) {
            return;
        }
        let seen = DropSeen { src, dst, direction: packet.direction, keeps_out, drop: *drop };
        let id = |seen: &DropSeen| (seen.src, seen.dst, seen.drop.name, seen.drop.segment);
        let same = |known: &&mut DropSeen| id(known) == id(&seen);
        if let Some(known) = self.dropped.iter_mut().find(same) {
            *known = seen;
        } else if self.dropped.len() < KEPT {
            self.dropped.push(seen);
        }
    }
}
