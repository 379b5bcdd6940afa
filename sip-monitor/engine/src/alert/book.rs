//! Which conditions are open, on which calls, and when a line is due.
//!
//! A condition of one code and cause, towards one peer and with the fault on one side, is one alert: further calls are
//! counted in it. It ends at once when the condition of its only call ends while that can be seen, else when a window
//! has passed without a further case. Nothing here knows what a verdict means.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use core::time::Duration;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::line::{SAMPLES, Standing, Writer, duration_ms};
use super::verdict::{Condition, Findings, Strength, TakenOver, Verdict, weigh};
use super::{Alert, AlertCalls, Status};
use crate::call::CallKey;
use crate::config::EngineConfig;
use crate::diagnosis::{Asks, CallFacts, CallIdentity, CaptureFacts, Confidence, Finding, HostFacts, Value, catalogue};
use crate::record::Output;
use crate::time::Timestamp;

/// All open alerts, for one engine.
#[derive(Debug)]
pub struct AlertBook {
    writer: Writer,
    window: Duration,
    limit: usize,
    open: BTreeMap<Serial, Open>,
    by_condition: BTreeMap<Condition, Serial>,
    /// When each open alert passes its window without a further case.
    deadlines: BTreeSet<(Timestamp, Serial)>,
    /// What fires for whom right now.
    held: HashMap<Subject, SmallVec<[Held; 2]>, FixedState>,
    next_serial: Serial,
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
    /// Verdicts made `possible` since the monitor itself lost packets.
    pub weakened: u64,
    /// Alerts closed since the table was full.
    pub evicted: u64,
}

/// Order of opening; never used twice.
type Serial = u64;

/// Who a verdict is about. The host has one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Call(CallKey),
    Host,
}

/// One judgement: about whom, when, and how an alert names it.
#[derive(Clone, Copy)]
struct Case<'a> {
    subject: Subject,
    now: Timestamp,
    call: Option<&'a CallIdentity<'a>>,
}

/// An alert that fires and has not ended.
#[derive(Debug)]
struct Open {
    id: String,
    condition: Condition,
    deadline: Timestamp,
    strength: Strength,
    /// Cases told or counted so far.
    count: u64,
    /// Highest count that was told.
    told: u64,
    /// Cases whose condition did not end: those that can still end, and those whose call is over.
    unended: u64,
    /// Cases of calls that are still up: while there is one the alert does not pass its window.
    live: u64,
    samples: SmallVec<[(Subject, String); SAMPLES]>,
    /// The last line told.
    line: Option<Box<Alert>>,
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
    /// A book with nothing open.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        Self {
            writer: Writer::new(config),
            // A window of nothing would have the timer fire for ever at the same instant.
            window: config.thresholds.alert_window.max(Duration::from_secs(1)),
            limit: config.limits.alerts.max(1),
            open: BTreeMap::new(),
            by_condition: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            held: HashMap::with_hasher(FixedState::default()),
            next_serial: 0,
            counters: AlertCounters::default(),
        }
    }

    /// Puts other settings in force for what fires from here on: window, privacy, names.
    pub fn set_config(&mut self, config: &EngineConfig) {
        self.writer = Writer::new(config);
        self.window = config.thresholds.alert_window.max(Duration::from_secs(1));
    }

    /// Asks every diagnosis about a call that changed in a way that can matter, and tells what is new.
    pub fn judge_call(&mut self, key: CallKey, facts: &CallFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = catalogue::ALL.iter().filter_map(|&diagnosis| match diagnosis.asks {
            Asks::Call(ask) => Some((diagnosis, ask(facts)?)),
            Asks::Host(_) => None,
        });
        let case = Case { subject: Subject::Call(key), now: facts.now, call: Some(&facts.identity) };
        self.settle(case, facts.capture, findings.collect(), out);
    }

    /// Asks every diagnosis about the host, and tells what is new.
    pub fn judge_host(&mut self, facts: &HostFacts<'_>, out: &mut VecDeque<Output>) {
        let findings = catalogue::ALL.iter().filter_map(|&diagnosis| match diagnosis.asks {
            Asks::Host(ask) => Some((diagnosis, ask(facts)?)),
            Asks::Call(_) => None,
        });
        let case = Case { subject: Subject::Host, now: facts.now, call: None };
        self.settle(case, facts.capture, findings.collect(), out);
    }

    /// A call is freed: its conditions can no longer end, so its alerts stay open until their window passes.
    pub fn forget_call(&mut self, key: CallKey) {
        for held in self.held.remove(&Subject::Call(key)).unwrap_or_default() {
            if let Some(open) = self.open.get_mut(&held.serial) {
                open.live = open.live.saturating_sub(1);
            }
        }
    }

    /// Resolves what has seen no further case for a window.
    pub fn handle_timeout(&mut self, now: Timestamp, out: &mut VecDeque<Output>) {
        while let Some(&(deadline, serial)) = self.deadlines.first() {
            if deadline > now {
                break;
            }
            if self.open.get(&serial).is_some_and(|open| open.live > 0) {
                self.extend(serial, now);
            } else {
                self.close(serial, Case { subject: Subject::Host, now, call: None }, out);
            }
        }
    }

    /// When [`AlertBook::handle_timeout`] should be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
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

    /// Takes all findings about one subject: what was in force and is not among them any more has ended.
    fn settle(&mut self, case: Case<'_>, capture: &CaptureFacts, findings: Findings, out: &mut VecDeque<Output>) {
        if findings.is_empty() && !self.held.contains_key(&case.subject) {
            return;
        }
        let (verdicts, taken_over) = weigh(findings, capture);
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
        if held.condition == verdict.condition {
            let changed = core::mem::replace(&mut held.strength, verdict.strength) != verdict.strength;
            let is_new = case.subject == Subject::Host && held.finding.as_ref() != Some(&verdict.finding);
            if is_new && !self.open.contains_key(&serial) {
                self.release(case.subject, serial);
                return self.join(case, verdict, out);
            }
            if is_new {
                held.finding = Some(verdict.finding.clone());
                return self.repeat(serial, case.now, verdict.strength);
            }
            return if changed { self.strengthen(serial, verdict.strength) } else { None };
        }
        let is_only_case = self.open.get(&serial).is_some_and(|open| open.count == 1);
        if is_only_case && !self.by_condition.contains_key(&verdict.condition) {
            held.condition = verdict.condition;
            held.strength = verdict.strength;
            self.rename(serial, verdict);
            return Some((serial, Status::Update));
        }
        self.take_back(case, serial, out);
        self.join(case, verdict, out)
    }

    /// Counts a verdict in the open alert of its condition, or opens one.
    fn join(&mut self, case: Case<'_>, verdict: &Verdict, out: &mut VecDeque<Output>) -> Option<(Serial, Status)> {
        self.counters.weakened += u64::from(verdict.weakened);
        let (serial, line) = match self.by_condition.get(&verdict.condition) {
            Some(&serial) => (serial, self.join_open(case, serial, verdict.strength)),
            None => {
                let serial = self.open_alert(case, verdict, out);
                (serial, Some((serial, Status::Firing)))
            }
        };
        let finding = (case.subject == Subject::Host).then(|| verdict.finding.clone());
        let held = Held { condition: verdict.condition, strength: verdict.strength, serial, finding };
        self.held.entry(case.subject).or_default().push(held);
        line
    }

    /// Counts a call in an open alert, once: a condition that comes back in the same call is no further call.
    fn join_open(&mut self, case: Case<'_>, serial: Serial, strength: Strength) -> Option<(Serial, Status)> {
        let open = self.open.get_mut(&serial)?;
        open.unended += 1;
        open.live += u64::from(case.call.is_some());
        if open.samples.iter().any(|(who, _)| *who == case.subject) {
            self.extend(serial, case.now);
            return self.strengthen(serial, strength);
        }
        if open.samples.len() < SAMPLES {
            open.samples.extend(case.sample());
        }
        self.repeat(serial, case.now, strength)
    }

    /// Opens an alert, closing the one longest without a case where the table is full.
    fn open_alert(&mut self, case: Case<'_>, verdict: &Verdict, out: &mut VecDeque<Output>) -> Serial {
        while self.open.len() >= self.limit {
            let Some(&(_, oldest)) = self.deadlines.first() else { break };
            if let Some(line) = self.open.get_mut(&oldest).and_then(|open| open.line.as_mut()) {
                line.evidence.insert("closed_by".to_owned(), Value::from("alert-table-full"));
            }
            self.counters.evicted += 1;
            self.close(oldest, case, out);
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        let condition = verdict.condition;
        let open = Open {
            id: condition.id(case.now),
            condition,
            deadline: case.now + self.window,
            strength: verdict.strength,
            count: 1,
            told: 1,
            unended: 1,
            live: u64::from(case.call.is_some()),
            samples: case.sample().into_iter().collect(),
            line: None,
        };
        self.by_condition.insert(condition, serial);
        self.deadlines.insert((open.deadline, serial));
        self.open.insert(serial, open);
        serial
    }

    /// One more case of an open alert: told while they are few, then at each power of ten.
    fn repeat(&mut self, serial: Serial, now: Timestamp, strength: Strength) -> Option<(Serial, Status)> {
        self.extend(serial, now);
        let open = self.open.get_mut(&serial)?;
        open.count += 1;
        let is_worse = open.strength.raise(strength);
        let is_round = open.count <= 5 || 10_u64.checked_pow(open.count.ilog10()) == Some(open.count);
        if is_worse || (is_round && open.count > open.told) {
            open.told = open.told.max(open.count);
            return Some((serial, Status::Update));
        }
        self.counters.folded += 1;
        None
    }

    /// A case weighs more or less than before. An alert about one call follows it; one about several only goes up.
    fn strengthen(&mut self, serial: Serial, strength: Strength) -> Option<(Serial, Status)> {
        let open = self.open.get_mut(&serial)?;
        let changed = if open.count == 1 {
            core::mem::replace(&mut open.strength, strength) != strength
        } else {
            open.strength.raise(strength)
        };
        changed.then_some((serial, Status::Update))
    }

    /// The cause of the only case became clearer: the alert stays the same one.
    fn rename(&mut self, serial: Serial, verdict: &Verdict) {
        if let Some(open) = self.open.get_mut(&serial) {
            self.by_condition.remove(&open.condition);
            self.by_condition.insert(verdict.condition, serial);
            open.condition = verdict.condition;
            open.strength = verdict.strength;
        }
    }

    /// A case turns out to belong to another alert: it never was one of this.
    fn take_back(&mut self, case: Case<'_>, serial: Serial, out: &mut VecDeque<Output>) {
        if let Some(open) = self.open.get_mut(&serial) {
            open.count = open.count.saturating_sub(1);
            open.samples.retain(|(who, _)| *who != case.subject);
        }
        self.release(case.subject, serial);
        self.end_case(case, serial, out);
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
            let taker_id = taker.and_then(|code| self.id_of(case.subject, code));
            let Some(open) = self.open.get_mut(&serial) else { continue };
            if let Some(line) = &mut open.line {
                line.links.extend(taker_id.filter(|id| !line.links.contains(id)));
            }
            // Nothing gets better after a call's end: what was wrong with it then stays what was wrong with it.
            let is_over = case.call.is_some_and(|c| c.ended_at.is_some());
            if is_over && taker.is_none() {
                open.live = open.live.saturating_sub(1);
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
        let Some(open) = self.open.get_mut(&serial) else { return };
        open.unended = open.unended.saturating_sub(1);
        open.live = open.live.saturating_sub(u64::from(case.call.is_some()));
        if open.unended == 0 {
            self.close(serial, case, out);
        }
    }

    /// Tells the end of an alert and forgets it.
    fn close(&mut self, serial: Serial, case: Case<'_>, out: &mut VecDeque<Output>) {
        let Some(open) = self.open.remove(&serial) else { return };
        self.by_condition.remove(&open.condition);
        self.deadlines.remove(&(open.deadline, serial));
        let calls = open.calls();
        let Some(mut line) = open.line else { return };
        line.ts = case.now;
        line.status = Status::Resolved;
        line.calls = calls;
        if let (Some(told), Some(call)) = (&mut line.call, case.call)
            && told.call_id == call.call_id
        {
            told.state = call.state;
            told.duration_ms = duration_ms(call, case.now);
        }
        self.counters.resolved += 1;
        out.push_back(Output::Alert(line));
    }

    /// A further case, or one that goes on: the window starts again.
    fn extend(&mut self, serial: Serial, now: Timestamp) {
        let Some(open) = self.open.get_mut(&serial) else { return };
        self.deadlines.remove(&(open.deadline, serial));
        open.deadline = now + self.window;
        self.deadlines.insert((open.deadline, serial));
    }

    /// Writes the line of a verdict that fires or changes.
    fn tell(&mut self, case: Case<'_>, serial: Serial, status: Status, verdict: &Verdict, out: &mut VecDeque<Output>) {
        let codes = verdict.finding.links.iter().chain(verdict.diagnosis.takes_over);
        let mut links: Vec<String> = codes.filter_map(|code| self.id_of(case.subject, code)).collect();
        let Some(open) = self.open.get_mut(&serial) else { return };
        links.retain(|id| *id != open.id);
        let standing = Standing {
            id: &open.id,
            at: case.now,
            status,
            severity: open.strength.severity,
            confidence: open.strength.confidence,
            links,
            calls: open.calls(),
        };
        let line = Box::new(self.writer.line(verdict.diagnosis, &verdict.finding, case.call, standing));
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
        Some(self.open.get(&held.serial)?.id.clone())
    }
}

impl Case<'_> {
    fn sample(&self) -> Option<(Subject, String)> {
        self.call.map(|call| (self.subject, Writer::sample(call.call_id)))
    }
}

impl Open {
    /// How many calls, where it is more than one.
    fn calls(&self) -> Option<AlertCalls> {
        let sample_call_ids: Vec<String> = self.samples.iter().map(|(_, call_id)| call_id.clone()).collect();
        (self.count > 1 && !sample_call_ids.is_empty()).then_some(AlertCalls { count: self.count, sample_call_ids })
    }
}

#[cfg(test)]
mod tests;
