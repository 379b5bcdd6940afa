//! Alerts that fire and have not ended: how many cases each holds, and until when it waits for another.

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;
use smallvec::SmallVec;

use super::line::{SAMPLES, Writer, duration_ms, legs};
use super::verdict::{Condition, Strength};
use super::{Alert, AlertCalls, Status};
use crate::diagnosis::{CallIdentity, Crowd, ProvenBy, Subject};
use crate::leg::Legs;
use crate::peer::PeerTable;
use crate::time::Timestamp;

/// So many alerts of one code and cause at one place are told one by one; all further ones are one alert together.
const CROWD: usize = 10;

/// Order of opening; never used twice.
pub type Serial = u64;

/// One judgement: about whom, when, and how an alert names it.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// About whom.
    pub subject: Subject,
    /// When.
    pub now: Timestamp,
    /// The call's names, where it is about one.
    pub call: Option<&'a CallIdentity<'a>>,
    /// Who is known by name.
    pub peers: &'a PeerTable,
    /// Which other calls are its legs, where it is about a call.
    pub legs: Option<Legs<'a>>,
    /// Whose verdict explains all that is wrong with it, where there is one.
    pub part_of: Option<(Subject, &'static str)>,
}

/// An open alert.
#[derive(Debug)]
pub struct Open {
    /// Its identity.
    pub id: String,
    /// What it is about.
    pub condition: Condition,
    /// Where many like it gather.
    crowds: SmallVec<[Crowd; 2]>,
    opened_at: Timestamp,
    /// When its window has passed.
    deadline: Timestamp,
    /// The highest of its cases.
    pub strength: Strength,
    /// Cases told or counted so far.
    pub count: u64,
    /// Highest count that was told.
    told: u64,
    /// Cases whose condition did not end: those that can still end, and those whose call is over.
    unended: u64,
    /// Cases of subjects that are still up: while there is one the alert does not pass its window.
    live: u64,
    samples: SmallVec<[(Subject, String); SAMPLES]>,
    /// What the finding itself says of the calls that prove it, and how many were told.
    proven_by: Option<(AlertCalls, u64)>,
    /// The last line told.
    pub line: Option<Box<Alert>>,
}

impl Open {
    /// Another case of the condition. A call counts once: a condition that comes back in it is no further call.
    /// Returns whether a line is due.
    pub fn join(&mut self, case: Case<'_>, strength: Strength) -> bool {
        self.unended += 1;
        self.live += u64::from(case.can_end());
        if self.samples.iter().any(|(who, _)| *who == case.subject) {
            return self.strengthen(strength);
        }
        if self.samples.len() < SAMPLES {
            self.samples.extend(case.sample());
        }
        self.repeat(strength)
    }

    /// One more case: told while they are few, then at each power of ten. Returns whether a line is due.
    pub fn repeat(&mut self, strength: Strength) -> bool {
        self.count += 1;
        let is_worse = self.strength.raise(strength);
        let is_round = self.count <= 5 || 10_u64.checked_pow(self.count.ilog10()) == Some(self.count);
        let is_due = is_worse || (is_round && self.count > self.told);
        if is_due {
            self.told = self.told.max(self.count);
        }
        is_due
    }

    /// A case weighs more or less than before. An alert about one call follows it; one about several only goes up.
    /// Returns whether a line is due.
    pub fn strengthen(&mut self, strength: Strength) -> bool {
        if self.count == 1 {
            core::mem::replace(&mut self.strength, strength) != strength
        } else {
            self.strength.raise(strength)
        }
    }

    /// A case turned out to belong to another alert: it never was one of this.
    pub fn take_back(&mut self, subject: Subject) {
        self.count = self.count.saturating_sub(1);
        self.samples.retain(|(who, _)| *who != subject);
    }

    /// The condition of one case ended. Returns whether it was the last one.
    pub fn end(&mut self, case: Case<'_>) -> bool {
        self.unended = self.unended.saturating_sub(1);
        self.live = self.live.saturating_sub(u64::from(case.can_end()));
        self.unended == 0
    }

    /// The call of one case is over with the condition still in force.
    pub fn outlive(&mut self) {
        self.live = self.live.saturating_sub(1);
    }

    /// Cases whose condition has not ended.
    pub const fn in_force(&self) -> u64 {
        self.unended
    }

    /// Takes what a finding says of the calls that prove it. Returns whether a line is due: they became ten times as many.
    pub fn prove(&mut self, by: &ProvenBy) -> bool {
        let sample_call_ids = by.sample_call_ids.iter().take(SAMPLES).map(|id| Writer::sample(id)).collect();
        let told = self.proven_by.as_ref().map_or(by.count, |(_, told)| *told);
        let is_due = by.count >= told.saturating_mul(10).max(10);
        self.proven_by = Some((AlertCalls { count: by.count, sample_call_ids }, if is_due { by.count } else { told }));
        is_due
    }

    /// How many calls, where it is more than one.
    pub fn calls(&self) -> Option<AlertCalls> {
        if let Some((calls, _)) = &self.proven_by {
            return Some(calls.clone());
        }
        let sample_call_ids: Vec<String> = self.samples.iter().map(|(_, call_id)| call_id.clone()).collect();
        (self.count > 1 && !sample_call_ids.is_empty()).then_some(AlertCalls { count: self.count, sample_call_ids })
    }

    /// The number of [`Open::calls`]: also of those that no line has told yet.
    pub fn calls_counted(&self) -> Option<u64> {
        match &self.proven_by {
            Some((calls, _)) => Some(calls.count),
            None => (self.count > 1 && !self.samples.is_empty()).then_some(self.count),
        }
    }

    /// The line that tells its end; none where it was never told.
    pub fn into_resolved(self, now: Timestamp, case: Option<Case<'_>>) -> Option<Box<Alert>> {
        let calls = self.calls();
        let mut line = self.line?;
        line.ts = now;
        line.status = Status::Resolved;
        line.calls = calls;
        if let (Some(told), Some(case)) = (&mut line.call, case)
            && let Some(call) = case.call.filter(|call| told.call_id == call.call_id)
        {
            told.state = call.state;
            told.duration_ms = duration_ms(call, now);
            line.legs = legs(case);
        }
        Some(line)
    }
}

impl Case<'_> {
    /// Whether its subject is asked again until the condition ends. Of the host only what grows is a further case.
    fn can_end(&self) -> bool {
        self.subject != Subject::Host
    }

    fn sample(&self) -> Option<(Subject, String)> {
        self.call.map(|call| (self.subject, Writer::sample(call.call_id)))
    }
}

/// All open alerts, by condition and by deadline.
#[derive(Debug)]
pub struct OpenAlerts {
    by_serial: BTreeMap<Serial, Open>,
    by_condition: BTreeMap<Condition, Serial>,
    deadlines: BTreeSet<(Timestamp, Serial)>,
    next_serial: Serial,
    window: Duration,
}

impl OpenAlerts {
    /// None, to be kept for a window.
    pub fn new(window: Duration) -> Self {
        let mut table = Self {
            by_serial: BTreeMap::new(),
            by_condition: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_serial: 0,
            window,
        };
        table.set_window(window);
        table
    }

    /// Another window, from the next case on.
    pub fn set_window(&mut self, window: Duration) {
        // A window of nothing would have the timer fire for ever at the same instant.
        self.window = window.max(Duration::from_secs(1));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.by_serial.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Open> {
        self.by_serial.values()
    }

    /// The alert of that serial, while it is open.
    pub fn get(&self, serial: Serial) -> Option<&Open> {
        self.by_serial.get(&serial)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, serial: Serial) -> Option<&mut Open> {
        self.by_serial.get_mut(&serial)
    }

    /// The open alert of a condition.
    pub fn find(&self, condition: &Condition) -> Option<Serial> {
        self.by_condition.get(condition).copied()
    }

    /// Whether so many of one code and cause began there within one window that the next is no alert of its own. What has been
    /// wrong for longer is another matter.
    pub fn is_crowded(&self, condition: &Condition, at: Crowd, now: Timestamp) -> bool {
        let first = condition.first_of_its_kind();
        let alike = self.by_condition.range(first..).take_while(|(c, _)| c.is_like(condition));
        let here = |serial: &Serial| {
            let open = self.get(*serial);
            open.is_some_and(|open| open.crowds.contains(&at) && now.since(open.opened_at) <= self.window)
        };
        alike.filter(|(_, serial)| here(serial)).take(CROWD).count() == CROWD
    }

    /// Opens one with its first case.
    pub fn insert(&mut self, case: Case<'_>, condition: Condition, crowds: &[Crowd], strength: Strength) -> Serial {
        let serial = self.next_serial;
        self.next_serial += 1;
        let open = Open {
            id: condition.id(case.now),
            condition,
            crowds: SmallVec::from_slice(crowds),
            opened_at: case.now,
            deadline: case.now + self.window,
            strength,
            count: 1,
            told: 1,
            unended: 1,
            live: u64::from(case.can_end()),
            samples: case.sample().into_iter().collect(),
            proven_by: None,
            line: None,
        };
        self.by_condition.insert(condition, serial);
        self.deadlines.insert((open.deadline, serial));
        self.by_serial.insert(serial, open);
        serial
    }

    /// Takes one out.
    pub fn remove(&mut self, serial: Serial) -> Option<Open> {
        let open = self.by_serial.remove(&serial)?;
        self.by_condition.remove(&open.condition);
        self.deadlines.remove(&(open.deadline, serial));
        Some(open)
    }

    /// The cause of the only case became clearer: the alert stays the same one.
    pub fn rename(&mut self, serial: Serial, condition: Condition, strength: Strength) {
        let Some(open) = self.by_serial.get_mut(&serial) else { return };
        self.by_condition.remove(&open.condition);
        self.by_condition.insert(condition, serial);
        open.condition = condition;
        open.strength = strength;
    }

    /// Something new about it: the window starts again.
    pub fn extend(&mut self, serial: Serial, now: Timestamp) {
        let Some(open) = self.by_serial.get_mut(&serial) else { return };
        self.deadlines.remove(&(open.deadline, serial));
        open.deadline = now + self.window;
        self.deadlines.insert((open.deadline, serial));
    }

    /// The one whose window passes first, and when.
    pub fn next(&self) -> Option<(Timestamp, Serial)> {
        self.deadlines.first().copied()
    }

    /// One whose window has passed at `now`. Those with a call that is still up wait for another window.
    pub fn pop_passed(&mut self, now: Timestamp) -> Option<Serial> {
        while let Some((_, serial)) = self.next().filter(|(deadline, _)| *deadline <= now) {
            if self.get(serial).is_none_or(|open| open.live == 0) {
                return Some(serial);
            }
            self.extend(serial, now);
        }
        None
    }

    /// Whether every index holds as many as there are.
    #[cfg(test)]
    pub fn is_consistent(&self) -> bool {
        self.by_serial.len() == self.by_condition.len() && self.by_serial.len() == self.deadlines.len()
    }
}
