//! What RFC 6076 measures of a peer, and how often which code came: once since start, once for a window.

use std::collections::BTreeMap;

use super::Histogram;
use crate::metrics::{Measure, is_effective, is_ineffective};
use crate::time::Timestamp;

/// How long one generation of the window lasts: it holds the last five to ten minutes.
const GENERATION_S: i64 = 300;

/// Counts and times of what this peer was asked. Attempts that it made are counted apart, in [`super::Peer::attempts_from`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Calls sent to it: an INVITE repeated with credentials, or after a redirection to the same peer, is one.
    pub attempts: u32,
    /// Answered with a 2xx.
    pub answered: u32,
    /// Answered with a 3xx.
    pub redirected: u32,
    /// Answered by what the user did: 2xx, 480, 486, 600, 603 (RFC 6076 4.7).
    pub effective: u32,
    /// Failed since the peer could not: 408, 500, 503, 504 or no answer (4.8).
    pub ineffective: u32,
    /// Answered and ended by a BYE that was answered (4.9).
    pub completed: u32,
    /// Final responses by code; 0 is no answer. A challenge that was answered is none.
    pub codes: BTreeMap<u16, u32>,
    /// Registrations that came to an end, good or bad.
    pub registrations: u32,
    /// Those that failed (4.2).
    pub ineffective_registrations: u32,
    /// Registration Request Delay (4.1).
    pub rrd: Histogram,
    /// Session Request Delay of attempts that rang or were answered (4.3.1).
    pub srd: Histogram,
    /// Session Request Delay of those that failed (4.3.2).
    pub srd_failed: Histogram,
    /// Session Disconnect Delay (4.4).
    pub sdd: Histogram,
    /// Session Duration Time of calls ended by a BYE that was answered (4.5.1).
    pub sdt: Histogram,
    /// Session Duration Time of calls whose BYE was not (4.5.2).
    pub sdt_failed: Histogram,
}

impl Measures {
    /// Session Establishment Ratio, per cent (RFC 6076 4.6).
    #[must_use]
    pub fn ser(&self) -> Option<f64> {
        share(self.answered, self.ended().saturating_sub(self.redirected))
    }

    /// Session Establishment Effectiveness Ratio, per cent (4.7).
    #[must_use]
    pub fn seer(&self) -> Option<f64> {
        share(self.effective, self.ended().saturating_sub(self.redirected))
    }

    /// Ineffective Session Attempts, per cent (4.8).
    #[must_use]
    pub fn isa(&self) -> Option<f64> {
        share(self.ineffective, self.ended())
    }

    /// Session Completion Ratio, per cent (4.9).
    #[must_use]
    pub fn scr(&self) -> Option<f64> {
        share(self.completed, self.ended())
    }

    /// Ineffective Registration Attempts, per cent (4.2).
    #[must_use]
    pub fn ira(&self) -> Option<f64> {
        share(self.ineffective_registrations, self.registrations)
    }

    /// Attempts that came to an end. One that still rings, or whose challenge nobody answered, is none.
    #[must_use]
    pub fn ended(&self) -> u32 {
        self.codes.values().sum()
    }

    pub(crate) fn add(&mut self, measure: Measure) {
        match measure {
            Measure::Attempt => self.attempts += 1,
            // Calls that it made are no measure of what it was asked.
            Measure::Incoming => {}
            Measure::Outcome(code) => self.outcome(code),
            Measure::Rang(delay) => self.srd.add(delay),
            Measure::Failed(delay) => self.srd_failed.add(delay),
            Measure::Completed { disconnect, talked } => {
                self.completed += 1;
                self.sdd.add(disconnect);
                talked.into_iter().for_each(|talked| self.sdt.add(talked));
            }
            Measure::HungUpInVain(talked) => self.sdt_failed.add(talked),
            Measure::Registered(delay) => {
                self.registrations += 1;
                self.rrd.add(delay);
            }
            Measure::RegistrationFailed => {
                self.registrations += 1;
                self.ineffective_registrations += 1;
            }
        }
    }

    fn outcome(&mut self, code: u16) {
        *self.codes.entry(code).or_default() += 1;
        self.answered += u32::from((200..300).contains(&code));
        self.redirected += u32::from((300..400).contains(&code));
        self.effective += u32::from(is_effective(code));
        self.ineffective += u32::from(is_ineffective(code));
    }

    fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.answered += other.answered;
        self.redirected += other.redirected;
        self.effective += other.effective;
        self.ineffective += other.ineffective;
        self.completed += other.completed;
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
        self.registrations += other.registrations;
        self.ineffective_registrations += other.ineffective_registrations;
        self.rrd.merge(&other.rrd);
        self.srd.merge(&other.srd);
        self.srd_failed.merge(&other.srd_failed);
        self.sdd.merge(&other.sdd);
        self.sdt.merge(&other.sdt);
        self.sdt_failed.merge(&other.sdt_failed);
    }
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) * 100.0 / f64::from(whole))
}

/// The same measures since start and of the last minutes.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Since start.
    pub total: Measures,
    current: Measures,
    previous: Measures,
    generation: i64,
}

impl Measured {
    /// The last five to ten minutes, as of the last message.
    #[must_use]
    pub fn recent(&self) -> Measures {
        let mut recent = self.previous.clone();
        recent.merge(&self.current);
        recent
    }

    /// The last five to ten minutes as of `now`, and when they began.
    #[must_use]
    pub fn recent_at(&self, now: Timestamp) -> (Measures, Timestamp) {
        let generation_ns = GENERATION_S * 1_000_000_000;
        let generation = now.unix_ns() / generation_ns;
        let recent = match generation - self.generation {
            0 => self.recent(),
            1 => self.current.clone(),
            _ => Measures::default(),
        };
        (recent, Timestamp::from_unix_ns((generation - 1) * generation_ns))
    }

    /// Counts something in both.
    pub(crate) fn add(&mut self, now: Timestamp, measure: Measure) {
        self.turn(now);
        self.total.add(measure);
        self.current.add(measure);
    }

    fn turn(&mut self, now: Timestamp) {
        let generation = now.unix_ns() / (GENERATION_S * 1_000_000_000);
        if generation == self.generation {
            return;
        }
        let before = core::mem::take(&mut self.current);
        self.previous = if generation == self.generation + 1 { before } else { Measures::default() };
        self.generation = generation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ns(seconds * 1_000_000_000)
    }

    #[test]
    fn ratios_are_those_of_rfc_6076() {
        let mut measures = Measures::default();
        for code in [200, 200, 486, 302, 503, 0, 404, 480] {
            measures.outcome(code);
        }
        assert_eq!(measures.ended(), 8);
        assert_eq!(measures.ser(), Some(200.0 / 7.0), "answered of all but the redirected");
        assert_eq!(measures.seer(), Some(400.0 / 7.0), "200, 200, 486, 480");
        assert_eq!(measures.isa(), Some(25.0), "503 and no answer");
        assert_eq!(Measures::default().ser(), None);
    }

    #[test]
    fn the_window_forgets_and_the_total_does_not() {
        let mut measured = Measured::default();
        measured.add(at(10), Measure::Outcome(200));
        measured.add(at(310), Measure::Outcome(503));
        assert_eq!(measured.recent().ended(), 2);
        assert_eq!(measured.recent_at(at(610)).0.ended(), 1);
        assert_eq!(measured.recent_at(at(910)).0.ended(), 0);
        measured.add(at(1_000), Measure::Outcome(200));
        assert_eq!((measured.recent().ended(), measured.total.ended()), (1, 3));
    }
}
