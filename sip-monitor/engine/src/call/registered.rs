//! Bindings and sources beside the calls: what each message tells of them, and when they are judged.

use core::net::IpAddr;

use crate::Engine;
use crate::call::CallKey;
use crate::diagnosis::{RegistrationFacts, SourceFacts, Subject};
use crate::packet::Direction;
use crate::record::{CallState, Output};
use crate::registration::Binding;
use crate::seen::Seen;
use crate::source::{Source, Step};
use crate::time::Timestamp;

impl Engine {
    /// Takes a message for the registrations, and one that was not seen before for the sources.
    pub(crate) fn note_sources(&mut self, seen: &Seen<'_, '_>, repeated: bool) {
        // Who was let in before and is refused now has lost an account or a favourite: nobody tries anything.
        let is_known = seen.code.is_some_and(|code| code >= 300) && self.registrations.was_registered(seen);
        if !repeated
            && !is_known
            && let Some(addr) = self.sources.handle(seen)
        {
            self.judge_source(addr);
        }
        let touched = self.registrations.handle(seen, &self.config);
        self.counters.registrations_evicted = self.registrations.evicted;
        self.counters.registrations_refused = self.registrations.refused;
        self.counters.sources_refused = self.sources.dropped;
        for (id, binding) in touched.forgotten {
            self.alerts.forget(Subject::Registration(id));
            self.write_registration(&binding);
        }
        for id in touched.judged {
            self.judge_registration(id, false);
        }
    }

    /// Takes what a message meant for the call, for whoever makes it: nobody, where this host itself does.
    pub(crate) fn note_caller(&mut self, key: CallKey, was: Option<CallState>, now: Timestamp) {
        let Some(call) = self.calls.get(key).filter(|call| call.is_call() && !call.adopted) else { return };
        let step = match (was, call.state) {
            (None, _) => Step::Began,
            (Some(CallState::Calling), CallState::Ringing | CallState::EarlyMedia | CallState::Confirmed) => {
                Step::Served
            }
            (Some(CallState::Calling), CallState::Failed) => Step::Refused,
            _ => return,
        };
        let Some(hop) = call.hops.first().filter(|hop| hop.direction != Direction::Out) else { return };
        let threshold = self.config.thresholds.invite_flood_per_second;
        if let Some(addr) = self.sources.note_call(hop.a.ip(), step, now, threshold) {
            self.judge_source(addr);
        }
    }

    /// Runs what is due of registrations and sources by `now`.
    pub(crate) fn run_registrations(&mut self, now: Timestamp) {
        while let Some((id, gone)) = self.registrations.pop_due(now, &self.config) {
            match gone {
                Some(binding) => {
                    self.alerts.forget(Subject::Registration(id));
                    self.write_registration(&binding);
                }
                None => self.judge_registration(id, false),
            }
        }
        while let Some((addr, changed)) = self.sources.pop_due(now) {
            if changed {
                self.judge_source(addr);
            }
        }
    }

    /// The capture is over: tells what was kept back and writes what is bound.
    pub(crate) fn finish_registrations(&mut self) {
        for id in self.registrations.failing() {
            self.judge_registration(id, true);
        }
        for binding in self.registrations.drain() {
            self.write_registration(&binding);
        }
    }

    fn write_registration(&mut self, binding: &Binding) {
        if self.config.emit.registrations {
            self.outputs.push_back(Output::Registration(Box::new(binding.record(&self.redactor))));
        }
    }

    fn judge_registration(&mut self, id: u64, over: bool) {
        let Some(source) = self.registrations.get(id).map(|binding| binding.source.ip()) else { return };
        let is_told = self.alerts.holds_any(Subject::Registration(id), &["registration-failed"]);
        if let Some(users) = self.sources.get(source).and_then(|source| source.probing).filter(|_| !is_told) {
            self.registrations.note_refused_among(id, users);
        }
        let Some(binding) = self.registrations.get(id) else { return };
        let was_refused = self.sources.get(source).is_some_and(Source::was_refused);
        let was_let_in = binding.registered_at.is_some() || self.is_known(binding.source);
        let kept_out = was_refused && !was_let_in && self.drops.has_rule_against(source);
        // Who was let in, and what this host itself asks for, is no part of a scan that goes on beside it.
        let may_be_scanned = binding.registered_at.is_none() && binding.direction != Direction::Out;
        let is_scanned =
            may_be_scanned && self.sources.get(source).is_some_and(|source| source.scanned_at(binding.last_at));
        let facts = RegistrationFacts {
            now: self.now,
            config: &self.config,
            binding,
            kept_out,
            scanning: is_scanned,
            over,
            peers: &self.peers,
            capture: &self.capture,
        };
        self.alerts.judge_registration(id, &facts, &mut self.outputs);
        if self.alerts.holds(Subject::Registration(id)) {
            self.sources.note_knock(source, id);
        }
    }

    fn judge_source(&mut self, addr: IpAddr) {
        let Some(source) = self.sources.get(addr) else { return };
        let facts =
            SourceFacts { now: self.now, config: &self.config, source, peers: &self.peers, capture: &self.capture };
        self.alerts.judge_source(&facts, &mut self.outputs);
        // What was told of its users before it was known for what it is, is part of it.
        if self.sources.is_scanning(addr) {
            for id in self.sources.take_knocked(addr) {
                self.judge_registration(id, false);
            }
        }
    }
}
