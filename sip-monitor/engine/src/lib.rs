//! The logic of sip-monitor: packets in, alerts and records out.
//!
//! No I/O, no clock, no async, no thread: time comes in with each call and the same input gives the same output, byte for
//! byte. The contract is that of a sans-I/O protocol: [`Engine::handle_packet`], [`Engine::handle_timeout`],
//! [`Engine::poll_timeout`], [`Engine::poll_output`].
#![forbid(unsafe_code)]

pub mod alert;
pub mod call;
pub mod config;
pub mod counters;
pub mod diagnosis;
pub mod dialog;
pub mod drops;
pub mod event;
pub mod leg;
pub mod media;
pub mod metrics;
pub mod packet;
pub mod peer;
pub mod privacy;
pub mod quality;
pub mod record;
pub mod registration;
pub mod rtp;
pub mod sdp;
mod seen;
mod signalling;
pub mod sip;
pub mod source;
pub mod tcp;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
pub mod timer;
pub mod transaction;
pub mod wire;

use core::cell::OnceCell;
use core::time::Duration;
use std::collections::VecDeque;

use foldhash::fast::RandomState;

use alert::AlertBook;
use call::{Agents, Answered, Call, CallKey, CallTable, ChallengeIndex, Changes, Context, RecordContext, Referrals};
pub use config::EngineConfig;
use counters::Counters;
use diagnosis::{CallFacts, CaptureFacts, Diagnosis, HostFacts, PeerFacts, Subject, WireFacts, catalogue};
use drops::DropTable;
use event::{Event, Events};
use leg::{LegTable, Legs};
use media::MediaTable;
use media::flow::Audio;
use metrics::Metrics;
pub use packet::Packet;
use packet::{Body, CaptureLoss, IcmpError};
use peer::{FlowIndex, PeerTable, Reports, Touched};
use privacy::Redactor;
use record::CallRecord;
pub use record::Output;
use registration::RegistrationTable;
use source::SourceTable;
use tcp::ConnectionTable;
pub use time::Timestamp;
use timer::TimerQueue;
use wire::{Noted, WireTable};

/// All state, for one owner.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    redactor: Redactor,
    hasher: RandomState,
    now: Timestamp,
    calls: CallTable,
    timers: TimerQueue,
    flows: FlowIndex,
    referrals: Referrals,
    answered: Answered,
    agents: Agents,
    challenges: ChallengeIndex,
    registrations: RegistrationTable,
    sources: SourceTable,
    peers: PeerTable,
    reports: Reports,
    connections: ConnectionTable,
    wires: WireTable,
    media: MediaTable,
    drops: DropTable,
    legs: LegTable,
    alerts: AlertBook,
    capture: CaptureFacts,
    strays: VecDeque<(core::net::IpAddr, core::net::IpAddr)>,
    counters: Counters,
    metrics: Metrics,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self::with_catalogue(config, catalogue::ALL)
    }

    /// One that asks only these diagnoses, for who measures what a diagnosis costs or needs but a few of them.
    #[must_use]
    pub fn with_catalogue(config: EngineConfig, diagnoses: &[&'static Diagnosis]) -> Self {
        let hasher = RandomState::default();
        Self {
            redactor: Redactor::new(config.privacy, config.privacy_key),
            hasher: hasher.clone(),
            now: Timestamp::ZERO,
            wires: WireTable::new(config.thresholds.alert_window, hasher.clone()),
            connections: ConnectionTable::new(config.limits.connections, config.limits.stream_bytes, hasher.clone()),
            calls: CallTable::new(config.limits.calls, config.limits.text_bytes, hasher.clone()),
            timers: TimerQueue::default(),
            flows: FlowIndex::default(),
            referrals: Referrals::default(),
            answered: Answered::default(),
            agents: Agents::new(hasher.clone()),
            challenges: ChallengeIndex::default(),
            registrations: RegistrationTable::new(config.limits.registrations),
            sources: SourceTable::default(),
            legs: LegTable::new(&config.legs, hasher.clone()),
            peers: PeerTable::new(&config, hasher.clone()),
            reports: Reports::new(&config),
            media: MediaTable::new(&config),
            drops: DropTable::new(config.thresholds.alert_window, hasher),
            alerts: AlertBook::new(&config, diagnoses),
            capture: CaptureFacts { half_seen: config.half_seen, ..CaptureFacts::default() },
            strays: VecDeque::new(),
            counters: Counters::default(),
            metrics: Metrics::default(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Puts other settings in force, from the next packet on: thresholds, privacy, what to emit, local addresses, names.
    /// `timers` and `limits` stay as they were at the start.
    pub fn set_config(&mut self, config: EngineConfig) {
        self.config = EngineConfig { timers: self.config.timers, limits: self.config.limits, ..config };
        self.redactor = Redactor::new(self.config.privacy, self.config.privacy_key);
        self.media.set_config(&self.config);
        self.peers.set_config(&self.config);
        self.legs.set_settings(&self.config.legs);
        self.reports.set_config(&self.config);
        self.wires.set_keep(self.config.thresholds.alert_window);
        self.drops.set_keep(self.config.thresholds.alert_window);
        self.alerts.set_config(&self.config);
    }

    /// What was taken, and what could not be used or kept.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Messages and calls as sums that only grow.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What was told so far.
    #[must_use]
    pub fn alert_counters(&self) -> &alert::AlertCounters {
        self.alerts.counters()
    }

    /// Calls and other sessions known now.
    #[must_use]
    pub fn calls(&self) -> &CallTable {
        &self.calls
    }

    /// Peers known now, and what was measured of them.
    #[must_use]
    pub fn peers(&self) -> &PeerTable {
        &self.peers
    }

    /// Bindings of Contacts known now.
    #[must_use]
    pub fn registrations(&self) -> &RegistrationTable {
        &self.registrations
    }

    /// TCP connections known now.
    #[must_use]
    pub fn connections(&self) -> &ConnectionTable {
        &self.connections
    }

    /// What the monitor itself lost, as diagnoses know it.
    #[must_use]
    pub fn capture(&self) -> &CaptureFacts {
        &self.capture
    }

    /// Alerts that fire and have not ended.
    #[must_use]
    pub fn open_alerts(&self) -> usize {
        self.alerts.open_count()
    }

    /// How many calls each of them counts by now, by its id: lines tell that less and less often.
    pub fn calls_by_alert(&self) -> impl Iterator<Item = (&str, u64)> {
        self.alerts.calls_counted()
    }

    /// What is kept to find the legs of calls.
    #[must_use]
    pub fn leg_table(&self) -> &LegTable {
        &self.legs
    }

    /// Streams known now.
    #[must_use]
    pub fn media(&self) -> &MediaTable {
        &self.media
    }

    /// Takes one packet. Timers due before `now` run first; time does not go backwards here: an earlier `now` counts as
    /// the latest seen.
    pub fn handle_packet(&mut self, now: Timestamp, packet: &Packet<'_>) {
        self.counters.packets += 1;
        if now < self.now {
            self.counters.out_of_order += 1;
        }
        let now = self.advance(now);
        match packet.body {
            Body::Udp(payload) => self.handle_datagram(now, packet, payload),
            Body::Cut(payload) => self.handle_cut(now, packet, payload),
            Body::Tcp(segment) => self.handle_segment(now, packet, &segment),
            Body::Incomplete(incomplete) => self.handle_incomplete(now, packet, &incomplete),
            Body::Rtcp(payload) => {
                self.counters.rtcp += 1;
                let key = self.media.handle_rtcp(now, packet, payload);
                self.note_media(key);
            }
            Body::Icmp(error) => self.handle_icmp(now, packet, &error),
            Body::Drop(drop) => self.handle_drop(now, packet, &drop),
            Body::Stream(stream) => {
                self.counters.stream_reports += 1;
                let key = self.media.handle_stream(now, stream);
                self.note_streams();
                self.note_media(key);
            }
            Body::CaptureLoss(loss) => self.handle_capture_loss(now, loss),
        }
        self.drain_streams();
    }

    /// Runs the timers due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        self.drain_streams();
    }

    /// When [`Engine::handle_timeout`] should be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let due = [self.timers.next_at(), self.media.poll_timeout(), self.alerts.poll_timeout()];
        let kept = [
            self.peers.poll_timeout(),
            self.wires.poll_timeout(),
            self.registrations.poll_timeout(),
            self.sources.poll_timeout(),
            self.drops.poll_timeout(),
            self.reports.poll_timeout(),
        ];
        due.into_iter().chain(kept).flatten().min()
    }

    /// The next thing to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The capture is over at `now`: tells what was kept back since more of it might have followed, and writes the records of
    /// what is still up. Judges nothing that the capture did not show.
    pub fn finish(&mut self, now: Timestamp) {
        self.advance(now);
        let calls = self.calls.keys_by_age();
        calls.iter().for_each(|key| self.media.hear_rest(*key));
        self.drain_streams();
        for key in &calls {
            if self.calls.get(*key).is_some_and(|call| call.stranger_refused_at().is_some()) {
                self.judge_call(*key, true);
            }
        }
        self.write_peers(None);
        calls.into_iter().for_each(|key| self.free_call(key));
        self.finish_registrations();
        self.media.finish(self.now);
        self.drain_streams();
    }

    /// Runs every timer up to `now`, each at its own time, so that what it tells does not depend on when it was asked.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let mut next = self.poll_timeout();
        while let Some(at) = next.filter(|at| *at <= now) {
            self.now = self.now.max(at);
            while let Some((armed, key)) = self.timers.pop(self.now) {
                self.wake_call(armed, key);
            }
            if self.media.poll_timeout().is_some_and(|at| at <= self.now) {
                self.media.handle_timeout(self.now);
            }
            self.run_registrations(self.now);
            self.run_drops(self.now);
            if self.peers.poll_timeout().is_some_and(|at| at <= self.now) {
                let due = self.peers.handle_timeout(self.now);
                self.judge_peers(due.into_iter().map(|key| (key, true)).collect(), None);
            }
            if let Some(since) = self.reports.pop_due(self.now) {
                self.write_peers(since);
            }
            if self.wires.poll_timeout().is_some_and(|at| at <= self.now) {
                self.wires.handle_timeout(self.now).into_iter().for_each(|key| self.alerts.forget(Subject::Wire(key)));
            }
            if self.alerts.poll_timeout().is_some_and(|at| at <= self.now) {
                self.alerts.handle_timeout(self.now, &mut self.outputs);
            }
            // Who asks to be woken at a time that has just been handled would be asked for ever.
            next = self.poll_timeout();
            if next.is_some_and(|next| next <= at) {
                debug_assert!(false, "a timer stays due after it was handled");
                break;
            }
        }
        self.now = self.now.max(now);
        self.now
    }

    fn wake_call(&mut self, armed: Timestamp, key: CallKey) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(key).filter(|call| call.clock.armed == armed) else { return };
        call.clock.armed = Timestamp::MAX;
        if call.clock.due > now {
            return self.timers.arm(call);
        }
        let mut ctx = Context {
            config: &self.config,
            media: &mut self.media,
            counters: &mut self.counters,
            hasher: &self.hasher,
            events: Events::new(),
            changes: Changes::new(),
            agents: &mut self.agents,
            code: None,
            repeated: false,
        };
        let over = call.run_timers(&mut ctx, now);
        let (events, changes) = (ctx.events, ctx.changes);
        let touched = self.peers.observe_timers(call, now);
        self.count_changes(key, &changes);
        self.tell_changes(key, &changes, None);
        self.after(key, &events);
        self.judge_peers(touched, Some(key));
        if over {
            self.counters.idle += u64::from(self.calls.get(key).is_some_and(Call::is_idle));
            self.free_call(key);
        }
    }

    /// What follows from what happened to a call: a judgement if it can matter, and its next timer.
    pub(crate) fn after(&mut self, key: CallKey, events: &[Event]) {
        let repetitions = self.config.thresholds.no_ack_retransmissions;
        let matters = events.iter().any(|event| event.can_matter(repetitions));
        let audio = if matters { self.judge(key) } else { Audio::new() };
        let Some(call) = self.calls.get_mut(key) else { return };
        // Whatever claims to be due now has just been looked at: it may not keep the engine from going on.
        let due = call.next_due(self.now, &self.config, &self.media, &audio);
        call.clock.due = due.max(self.now + Duration::from_millis(1));
        self.timers.arm(call);
    }

    /// Puts a call before the diagnoses. Returns what was found of its audio on the way, where that was looked at.
    fn judge(&mut self, key: CallKey) -> Audio {
        self.judge_call(key, false)
    }

    fn judge_call(&mut self, key: CallKey, over: bool) -> Audio {
        let Some(call) = self.calls.get(key).filter(|call| call.is_judged()) else { return Audio::new() };
        // The calls of a scan are the scan, not so many faulty calls.
        let caller = call.hops.first().and_then(|hop| self.sources.get(hop.a.ip()));
        if caller.is_some_and(source::Source::is_scanning) {
            return Audio::new();
        }
        self.counters.judgements += 1;
        let facts = CallFacts {
            now: self.now,
            config: &self.config,
            identity: call.identity(),
            call,
            media: &self.media,
            answered: &self.answered,
            peers: &self.peers,
            legs: Legs { table: &self.legs, calls: &self.calls, media: &self.media, peers: &self.peers },
            drops: &self.drops,
            capture: &self.capture,
            caller_probes: caller.is_some_and(|source| source.probing.is_some()),
            over,
            unsteady_audio: OnceCell::new(),
        };
        self.alerts.judge_call(key, &facts, &mut self.outputs);
        facts.unsteady_audio.into_inner().unwrap_or_default()
    }

    /// Puts peers before the diagnoses whose measures changed in a way that can matter, or of which something is in force.
    pub(crate) fn judge_peers(&mut self, touched: Touched, call: Option<CallKey>) {
        let call = call.and_then(|key| self.calls.get(key)).filter(|call| call.is_call());
        for (index, (key, must)) in touched.iter().enumerate() {
            let is_done = touched.iter().take(index).any(|(other, done)| other == key && (*done || !must));
            if is_done || !(*must || self.alerts.holds(Subject::Peer(*key))) {
                continue;
            }
            let Some(peer) = self.peers.get(*key) else { continue };
            let facts = PeerFacts {
                now: self.now,
                config: &self.config,
                peer,
                call: call.map(Call::identity),
                peers: &self.peers,
                capture: &self.capture,
            };
            self.alerts.judge_peer(*key, &facts, &mut self.outputs);
        }
        for key in self.peers.take_evicted() {
            self.alerts.forget(Subject::Peer(key));
        }
    }

    /// Takes a sign that something is wrong with the way signalling travels, and puts it before the diagnoses.
    pub(crate) fn note_wire(&mut self, noted: Noted) {
        let (key, evicted) = self.wires.note(self.now, noted);
        evicted.into_iter().for_each(|key| self.alerts.forget(Subject::Wire(key)));
        let Some(wire) = self.wires.get(key) else { return };
        let facts = WireFacts {
            now: self.now,
            config: &self.config,
            wire,
            is_known: self.is_known(wire.peer),
            peers: &self.peers,
            capture: &self.capture,
        };
        self.alerts.judge_wire(&facts, &mut self.outputs);
    }

    pub(crate) fn note_media(&mut self, key: Option<CallKey>) {
        let Some(key) = key else { return };
        if let Some(call) = self.calls.get_mut(key) {
            call.clock.media = None;
        }
        self.after(key, &[Event::Media]);
    }

    fn handle_icmp(&mut self, now: Timestamp, packet: &Packet<'_>, error: &IcmpError) {
        if error.protocol == 6
            && let Some(failure) = self.connections.handle_icmp(now, packet, error)
        {
            self.note_wire(failure.into());
        }
        let concerned = self.flows.recent(error.quoted_src, error.quoted_dst, now);
        if concerned.is_empty() {
            self.counters.icmp_other += 1;
            let key = self.media.handle_icmp(now, packet, error);
            return self.note_media(key);
        }
        self.counters.icmp_signalling += 1;
        for key in concerned {
            if let Some(call) = self.calls.get_mut(key) {
                call.handle_icmp(now, packet, error);
                self.after(key, &[Event::Icmp]);
            }
        }
    }

    fn handle_capture_loss(&mut self, now: Timestamp, loss: CaptureLoss) {
        if loss.cut > 0 {
            self.capture.cut_at = Some(now);
        }
        if loss.drop_reports + loss.drops_unread > 0 {
            self.capture.drops_untold_at = Some(now);
        }
        if loss.total() == 0 {
            return self.capture.goes_on(now);
        }
        let lost = &mut self.capture.lost;
        lost.signalling_ring_full += loss.signalling_ring_full;
        lost.media_ring_full += loss.media_ring_full;
        lost.map_full += loss.map_full;
        lost.fragments_evicted += loss.fragments_evicted;
        lost.unreadable += loss.unreadable;
        lost.drop_reports += loss.drop_reports;
        self.capture.first_lost_at.get_or_insert(now);
        if loss.packets() > 0 {
            self.capture.last_lost_at = Some(now);
        }
        self.media.note_capture_loss(now, &loss);
        let facts = HostFacts { now, config: &self.config, peers: &self.peers, capture: &self.capture };
        self.alerts.judge_host(&facts, &mut self.outputs);
    }

    /// Writes what is to be written of a call and forgets it.
    fn free_call(&mut self, key: CallKey) {
        self.media.hear_rest(key);
        self.count_heard();
        let legs = self.take_legs(key);
        let Some(call) = self.calls.remove(key) else { return };
        let call: &Call = &call;
        self.metrics.calls.shift(call.counted_as, None);
        if self.config.emit.calls && call.is_call() {
            let context = RecordContext { redactor: &self.redactor, peers: &self.peers, media: &self.media };
            let record = CallRecord { legs, ..call.record(&context) };
            self.outputs.push_back(Output::Call(Box::new(record)));
        }
        self.peers.forget(call);
        self.alerts.forget(Subject::Call(key));
        self.media.release(key);
    }

    /// Writes the peers that were heard of since then.
    fn write_peers(&mut self, since: Option<Timestamp>) {
        if !self.config.emit.peers {
            return;
        }
        for peer in self.peers.iter().filter(|peer| since.is_none() || peer.last_at >= since) {
            self.outputs.push_back(Output::Peer(Box::new(self.peers.record(peer, self.now))));
        }
    }

    /// Counts intervals of streams for the peers of their calls.
    fn count_heard(&mut self) {
        for heard in self.media.take_heard() {
            let Some(call) = self.calls.get(heard.call) else { continue };
            self.counters.quality_refused += u64::from(!self.peers.hear(call, &heard));
        }
    }

    fn drain_streams(&mut self) {
        self.count_heard();
        while let Some(record) = self.media.poll_record() {
            if self.config.emit.streams {
                self.outputs.push_back(Output::Stream(Box::new(record)));
            }
        }
    }
}
