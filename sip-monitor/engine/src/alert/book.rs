//! Which verdicts are in force, on which calls, and when a line is due.
//!
//! A condition of one code and cause, towards one peer and with the fault on one side, is one alert: further calls are
//! counted in it. It ends at once when the condition of its only call ends while that can be seen, else when a window
//! has passed without a further case. Nothing here knows what a verdict means.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::Status;
use super::dispatch::{Catalogue, found};
use super::line::{Standing, Writer};
use super::open::{Case, OpenAlerts, Serial};
use super::verdict::{Condition, Findings, Strength, TakenOver, Verdict, weigh};
use crate::call::CallKey;
use crate::config::EngineConfig;
use crate::diagnosis::{
    CallFacts, CaptureFacts, Confidence, Crowd, Diagnosis, DropsFacts, Finding, HostFacts, PeerFacts,
    RegistrationFacts, SourceFacts, Subject, Value, WireFacts,
};
use crate::peer::PeerKey;
use crate::record::Output;
use crate::time::Timestamp;

/// Every verdict in force and every open alert, for one engine.
#[derive(Debug)]
pub struct AlertBook {
    catalogue: Catalogue,
    writer: Writer,
    limit: usize,
    open: OpenAlerts,
    /// What is in force for whom right now.
    held: HashMap<Subject, SmallVec<[Held; 2]>, RandomState>,
    counters: AlertCounters,
}

/// How many lines of which kind left, and why others did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertCounters {
    /// Alerts that began, by code and cause.
    pub fired: BTreeMap<(&'static str, &'static str), u64>,
    /// Update lines.
    pub updated: u64,
    /// Alerts that ended.
    pub resolved: u64,
    /// Cases counted in an open alert without a line of their own.
    pub folded: u64,
    /// Verdicts made `possible` since the monitor missed something, or could not read what the kernel dropped.
    pub weakened: u64,
    /// Alerts closed since the table was full.
    pub evicted: u64,
}

/// One verdict in force about one subject.
#[derive(Debug)]
struct Held {
    condition: Condition,
    strength: Strength,
    serial: Serial,
    /// What was found last, for the host: only what changed is a further case.
    finding: Option<Finding>,
}

impl AlertBook {
    /// A book with nothing open that asks these diagnoses.
    #[must_use]
    pub fn new(config: &EngineConfig, catalogue: &[&'static Diagnosis]) -> Self {
        Self {
            catalogue: Catalogue::new(catalogue),
            writer: Writer::new(config),
            limit: config.limits.alerts.max(1),
            open: OpenAlerts::new(config.thresholds.alert_window),
            held: HashMap::with_hasher(RandomState::default()),
            counters: AlertCounters::default(),
        }
    }

    /// Puts other settings in force for what fires from here on: window, privacy, names.
    pub fn set_config(&mut self, config: &EngineConfig) {
        self.writer = Writer::new(config);
        self.open.set_window(config.thresholds.alert_window);
    }

    /// Asks every diagnosis about a call that changed in a way that can matter, and tells what is new.
    pub fn judge_call(&mut self, key: CallKey, facts: &CallFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = found(&self.catalogue.calls, |ask| ask(facts));
        let case = Case {
            subject: Subject::Call(key),
            now: facts.now,
            call: Some(&facts.identity),
            peers: facts.peers,
            legs: Some(facts.legs),
            part_of: None,
        };
        self.settle(case, facts.capture, findings, out);
    }

    /// Asks every diagnosis about a peer whose measures changed in a way that can matter, and tells what is new.
    pub fn judge_peer(&mut self, key: PeerKey, facts: &PeerFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = found(&self.catalogue.peers, |ask| ask(facts));
        let case = Case {
            subject: Subject::Peer(key),
            now: facts.now,
            call: facts.call.as_ref(),
            peers: facts.peers,
            legs: None,
            part_of: None,
        };
        self.settle(case, facts.capture, findings, out);
    }

    /// Asks every diagnosis about a registration; `key` is the same for the same one.
    pub fn judge_registration(&mut self, key: u64, facts: &RegistrationFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = found(&self.catalogue.registrations, |ask| ask(facts));
        let scanner = Subject::Source(facts.binding.source.ip());
        let case = Case {
            subject: Subject::Registration(key),
            now: facts.now,
            call: None,
            peers: facts.peers,
            legs: None,
            part_of: facts.scanning.then_some((scanner, "scan")),
        };
        self.settle(case, facts.capture, findings, out);
    }

    /// Asks every diagnosis about a source address.
    pub fn judge_source(&mut self, facts: &SourceFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = found(&self.catalogue.sources, |ask| ask(facts));
        let case = Case {
            subject: Subject::Source(facts.source.addr),
            now: facts.now,
            call: None,
            peers: facts.peers,
            legs: None,
            part_of: None,
        };
        self.settle(case, facts.capture, findings, out);
    }

    /// Asks every diagnosis about the way signalling travels to or from one address.
    pub fn judge_wire(&mut self, facts: &WireFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = found(&self.catalogue.wires, |ask| ask(facts));
        let case = Case {
            subject: Subject::Wire(facts.wire.key),
            now: facts.now,
            call: None,
            peers: facts.peers,
            legs: None,
            part_of: None,
        };
        self.settle(case, facts.capture, findings, out);
    }

    /// Asks every diagnosis about what this host's kernel drops at one place.
    pub fn judge_drops(&mut self, facts: &DropsFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = found(&self.catalogue.drops, |ask| ask(facts));
        let case = Case {
            subject: Subject::Drops(facts.drops.key),
            now: facts.now,
            call: None,
            peers: facts.peers,
            legs: None,
            part_of: None,
        };
        self.settle(case, facts.capture, findings, out);
    }

    /// Asks every diagnosis about the host, and tells what is new.
    pub fn judge_host(&mut self, facts: &HostFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = found(&self.catalogue.hosts, |ask| ask(facts));
        let case =
            Case { subject: Subject::Host, now: facts.now, call: None, peers: facts.peers, legs: None, part_of: None };
        self.settle(case, facts.capture, findings, out);
    }

    /// Whether something about the subject is in force: it must be asked again until it is not.
    #[must_use]
    pub fn holds(&self, subject: Subject) -> bool {
        self.held.contains_key(&subject)
    }

    /// Whether one of these codes is in force about the subject.
    #[must_use]
    pub fn holds_any(&self, subject: Subject, codes: &[&str]) -> bool {
        self.held.get(&subject).is_some_and(|list| list.iter().any(|held| codes.contains(&held.condition.code)))
    }

    /// A subject is no longer kept: its conditions can no longer end, so its alerts stay open until their window passes.
    pub fn forget(&mut self, subject: Subject) {
        for held in self.held.remove(&subject).unwrap_or_default() {
            if let Some(open) = self.open.get_mut(held.serial) {
                open.outlive();
            }
        }
    }

    /// Resolves what has seen no further case for a window.
    pub fn handle_timeout(&mut self, now: Timestamp, out: &mut VecDeque<Output>) {
        while let Some(serial) = self.open.pop_passed(now) {
            self.close(now, None, serial, out);
        }
    }

    /// When [`AlertBook::handle_timeout`] should be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.open.next().map(|(deadline, _)| deadline)
    }

    /// What was told so far.
    #[must_use]
    pub fn counters(&self) -> &AlertCounters {
        &self.counters
    }

    /// Alerts that fire and have not ended.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// How many calls each open alert counts by now, by its id: a line tells that only when it has become much more.
    pub fn calls_counted(&self) -> impl Iterator<Item = (&str, u64)> {
        self.open.iter().filter_map(|open| Some((open.id.as_str(), open.calls_counted()?)))
    }

    /// Takes all findings about one subject: what was in force and is not among them any more has ended.
    fn settle(&mut self, case: Case<'_>, capture: &CaptureFacts, findings: Findings, out: &mut VecDeque<Output>) {
        if findings.is_empty() && !self.held.contains_key(&case.subject) {
            return;
        }
        let (verdicts, taken_over) = weigh(findings, capture, case.peers);
        let mut due = SmallVec::<[(Serial, Status, &Verdict); 2]>::new();
        for verdict in &verdicts {
            if let Some((serial, status)) = self.place(case, verdict, out) {
                due.push((serial, status, verdict));
            }
        }
        // All ids of the subject are known only here, so that two verdicts can name each other.
        for (serial, status, verdict) in due {
            self.tell(case, serial, status, verdict, out);
        }
        self.end_what_is_gone(case, &verdicts, &taken_over, out);
    }

    /// Puts a verdict where it belongs, and says which line that calls for.
    fn place(&mut self, case: Case<'_>, verdict: &Verdict, out: &mut VecDeque<Output>) -> Option<(Serial, Status)> {
        let list = self.held.entry(case.subject).or_default();
        let Some(held) = list.iter_mut().find(|h| h.condition.code == verdict.condition.code) else {
            return self.join(case, verdict, out);
        };
        // A verdict that stood on complete evidence is not taken back, nor made worse, by what the monitor missed later.
        if verdict.weakened && held.strength.confidence > Confidence::Possible {
            return None;
        }
        let serial = held.serial;
        let open = self.open.get_mut(serial);
        if held.condition == verdict.condition {
            let has_changed = core::mem::replace(&mut held.strength, verdict.strength) != verdict.strength;
            if case.subject == Subject::Host && held.finding.as_ref() != Some(&verdict.finding) {
                return self.repeat_host(case, serial, verdict, out);
            }
            let open = open?;
            let has_grown = verdict.finding.calls.as_ref().is_some_and(|by| open.prove(by));
            let is_due = (has_changed && open.strengthen(verdict.strength)) || has_grown;
            return is_due.then_some((serial, Status::Update));
        }
        let own = held.condition;
        let is_alone = open.is_some_and(|open| open.count == 1 && open.condition == own);
        if is_alone && self.open.find(&verdict.condition).is_none() {
            held.condition = verdict.condition;
            held.strength = verdict.strength;
            self.open.rename(serial, verdict.condition, verdict.strength);
            return Some((serial, Status::Update));
        }
        if let Some(open) = self.open.get_mut(serial) {
            open.take_back(case.subject);
        }
        self.release(case.subject, serial);
        self.end_case(case, serial, out);
        self.join(case, verdict, out)
    }

    /// Counts a verdict in the open alert of its condition, or opens one.
    fn join(&mut self, case: Case<'_>, verdict: &Verdict, out: &mut VecDeque<Output>) -> Option<(Serial, Status)> {
        self.counters.weakened += u64::from(verdict.weakened);
        let crowds = verdict.finding.crowds.as_slice();
        let own = verdict.condition;
        let is_full = |at: &&Crowd| self.open.is_crowded(&own, **at, case.now);
        let crowd = if self.open.find(&own).is_none() { crowds.iter().find(is_full) } else { None };
        let condition = crowd.map_or(own, |at| own.of_crowd(*at));
        let (serial, status) = match self.open.find(&condition) {
            Some(serial) => {
                self.open.extend(serial, case.now);
                let is_due = self.open.get_mut(serial)?.join(case, verdict.strength);
                (serial, is_due.then_some(Status::Update))
            }
            None => {
                self.make_room(case, out);
                (
                    self.open.insert(case, condition, if crowd.is_some() { &[] } else { crowds }, verdict.strength),
                    Some(Status::Firing),
                )
            }
        };
        self.counters.folded += u64::from(status.is_none());
        let finding = (case.subject == Subject::Host).then(|| verdict.finding.clone());
        let held = Held { condition: verdict.condition, strength: verdict.strength, serial, finding };
        self.held.entry(case.subject).or_default().push(held);
        Some((serial, status?))
    }

    /// The host's condition goes on and has grown: a further case, or a new alert where the old one passed its window.
    fn repeat_host(
        &mut self,
        case: Case<'_>,
        serial: Serial,
        verdict: &Verdict,
        out: &mut VecDeque<Output>,
    ) -> Option<(Serial, Status)> {
        let Some(open) = self.open.get_mut(serial) else {
            self.release(case.subject, serial);
            return self.join(case, verdict, out);
        };
        let is_due = open.repeat(verdict.strength);
        self.open.extend(serial, case.now);
        self.counters.folded += u64::from(!is_due);
        if let Some(held) =
            self.held.get_mut(&case.subject).and_then(|list| list.iter_mut().find(|h| h.serial == serial))
        {
            held.finding = Some(verdict.finding.clone());
        }
        is_due.then_some((serial, Status::Update))
    }

    /// Closes the alerts longest without a case where the table is full, and says why.
    fn make_room(&mut self, case: Case<'_>, out: &mut VecDeque<Output>) {
        while self.open.len() >= self.limit {
            let Some((_, oldest)) = self.open.next() else { return };
            if let Some(line) = self.open.get_mut(oldest).and_then(|open| open.line.as_mut()) {
                line.evidence.insert("closed_by".to_owned(), Value::from("alert-table-full"));
            }
            self.counters.evicted += 1;
            self.close(case.now, Some(case), oldest, out);
        }
    }

    /// Ends what was in force for a subject and is not found any more.
    fn end_what_is_gone(
        &mut self,
        case: Case<'_>,
        verdicts: &[Verdict],
        taken_over: &TakenOver,
        out: &mut VecDeque<Output>,
    ) {
        let Some(list) = self.held.get(&case.subject) else { return };
        let gone = list.iter().filter(|h| verdicts.iter().all(|v| v.condition.code != h.condition.code));
        let gone: SmallVec<[(&'static str, Serial); 2]> = gone.map(|h| (h.condition.code, h.serial)).collect();
        for (code, serial) in gone {
            self.release(case.subject, serial);
            let taker = taken_over.iter().find(|(lost, _)| *lost == code).map(|(_, taker)| *taker);
            let explained_by = case.part_of.filter(|_| taker.is_none());
            let taker_id = match explained_by {
                Some((who, code)) => self.id_of(who, code),
                None => taker.and_then(|code| self.id_of(case.subject, code)),
            };
            let Some(open) = self.open.get_mut(serial) else { continue };
            if let Some(line) = &mut open.line {
                line.links.extend(taker_id.filter(|id| !line.links.contains(id)));
                if let Some((_, code)) = explained_by {
                    line.evidence.insert("closed_by".to_owned(), Value::from(code));
                }
            }
            // Nothing gets better after a call's end: what was wrong with it then stays what was wrong with it.
            let is_over = matches!(case.subject, Subject::Call(_)) && case.call.is_some_and(|c| c.ended_at.is_some());
            if is_over && taker.is_none() {
                open.outlive();
            } else {
                self.end_case(case, serial, out);
            }
        }
        if self.held.get(&case.subject).is_some_and(SmallVec::is_empty) {
            self.held.remove(&case.subject);
        }
    }

    /// Drops a subject's part in an alert.
    fn release(&mut self, subject: Subject, serial: Serial) {
        if let Some(list) = self.held.get_mut(&subject) {
            list.retain(|h| h.serial != serial);
        }
    }

    /// The condition of one case ended; with the last one the alert ends.
    fn end_case(&mut self, case: Case<'_>, serial: Serial, out: &mut VecDeque<Output>) {
        if self.open.get_mut(serial).is_some_and(|open| open.end(case)) {
            self.close(case.now, Some(case), serial, out);
        }
    }

    /// Tells the end of an alert and forgets it.
    fn close(&mut self, now: Timestamp, case: Option<Case<'_>>, serial: Serial, out: &mut VecDeque<Output>) {
        if let Some(line) = self.open.remove(serial).and_then(|open| open.into_resolved(now, case)) {
            self.counters.resolved += 1;
            out.push_back(Output::Alert(line));
        }
    }

    /// Writes the line of a verdict that fires or changes.
    fn tell(&mut self, case: Case<'_>, serial: Serial, status: Status, verdict: &Verdict, out: &mut VecDeque<Output>) {
        self.open.extend(serial, case.now);
        let codes = verdict.finding.links.iter().chain(verdict.diagnosis.takes_over);
        let mut links: Vec<String> = codes.filter_map(|code| self.id_of(case.subject, code)).collect();
        let Some(open) = self.open.get_mut(serial) else { return };
        links.retain(|id| *id != open.id);
        if let Some(by) = &verdict.finding.calls {
            open.prove(by);
        }
        let crowd = verdict.finding.crowds.iter().find(|at| open.condition == verdict.condition.of_crowd(**at));
        let together = crowd.map(|at| one_of_many(&verdict.finding, *at, open.in_force()));
        let finding = together.as_ref().unwrap_or(&verdict.finding);
        let standing = Standing {
            id: &open.id,
            at: case.now,
            status,
            severity: open.strength.severity,
            confidence: open.strength.confidence,
            links,
            calls: open.calls(),
        };
        // What is said of a peer is no matter of the call at which it was seen, unless calls prove it.
        let is_about_calls = matches!(case.subject, Subject::Call(_)) || verdict.finding.calls.is_some();
        let case = Case { call: case.call.filter(|_| is_about_calls), ..case };
        let line = Box::new(self.writer.line(verdict.diagnosis, finding, case, standing));
        open.line = Some(line.clone());
        match status {
            Status::Firing => *self.counters.fired.entry((open.condition.code, open.condition.cause)).or_default() += 1,
            Status::Update | Status::Resolved => self.counters.updated += 1,
        }
        out.push_back(Output::Alert(line));
    }

    /// Id of the open alert of that code about a subject, or about the host.
    fn id_of(&self, subject: Subject, code: &str) -> Option<String> {
        let of = |who| self.held.get(&who)?.iter().find(|h: &&Held| h.condition.code == code);
        let held = of(subject).or_else(|| of(Subject::Host))?;
        Some(self.open.get(held.serial)?.id.clone())
    }
}

/// A finding as the alert of all who gather at one place tells it.
fn one_of_many(finding: &Finding, at: Crowd, count: u64) -> Finding {
    let (how, addr) = match at {
        Crowd::From(addr) => ("from", addr),
        Crowd::To(addr) => ("at", addr),
    };
    let more = if count == 1 { "1 more registration".to_owned() } else { format!("{count} more registrations") };
    let mut evidence = finding.evidence.clone();
    evidence.insert(0, ("registrations", count.into()));
    Finding {
        summary: format!("{more} {how} {addr} in the same condition as others before; the last: {}", finding.summary),
        remedy: format!("Look for one cause at {addr} and on the way to it first; of the last: {}", finding.remedy),
        peer: Some(core::net::SocketAddr::new(addr, 0)),
        evidence,
        ..finding.clone()
    }
}

#[cfg(test)]
mod tests;
