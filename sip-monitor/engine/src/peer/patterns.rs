//! Which calls to a peer fail more often than they use to: those to one number, from one number, with one code, or all.
//! Each has a baseline of its own that needs no tuning: what came before the last five minutes.

use std::collections::{BTreeMap, VecDeque};

use crate::time::Timestamp;

const SLOT_NS: i64 = 60_000_000_000;
/// Five minutes are of now, what is older is the baseline.
const RECENT: i64 = 5;
/// Values kept of one peer; the one that was silent longest makes room.
const VALUES_KEPT: usize = 128;
/// A baseline is one of so many calls,
const BASELINE_CALLS: u32 = 50;
/// over so long.
const BASELINE_SLOTS: i64 = 10;
/// Fewer failures say nothing.
const FAILURES: u32 = 5;
/// Standard deviations.
const SIGMAS: f64 = 3.0;
/// Of the failures, those that a number or a code explains where it is to be named.
const EXPLAINS_PERCENT: u32 = 80;
/// Older calls weigh half where there are more.
const BASELINE_MOST: u32 = 20_000;

/// What the calls that fail have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Common {
    /// The number called.
    CalledNumber,
    /// The number that calls.
    Caller,
    /// The status code; 0 is no answer.
    Code,
    /// Nothing but the peer.
    Trunk,
}

/// Calls that fail more often than they use to.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    /// What they have in common.
    pub common: Common,
    /// The number or code.
    pub value: String,
    /// Failures within the last five minutes.
    pub failures: u32,
    /// Of so many calls.
    pub calls: u32,
    /// Failures of the peer in all.
    pub of_failures: u32,
    /// Share of failures before, per cent.
    pub usual_percent: f64,
    /// Calls of which that is the share.
    pub baseline_calls: u32,
}

/// Every value of one peer.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    values: BTreeMap<(Common, String), Record>,
    marked_at: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u32,
    failures: u32,
}

#[derive(Clone, Debug, Default)]
struct Record {
    first: i64,
    baseline: Counts,
    recent: VecDeque<(i64, Counts)>,
    departs: bool,
}

impl Record {
    fn add(&mut self, slot: i64, failed: bool) {
        match self.recent.back_mut() {
            Some((last, counts)) if *last == slot => counts.add(failed),
            _ => {
                let mut counts = Counts::default();
                counts.add(failed);
                self.recent.push_back((slot, counts));
            }
        }
    }

    /// Makes what is older than five minutes the baseline; not what departed from it, which would hide that it goes on.
    fn age(&mut self, slot: i64) {
        while self.recent.front().is_some_and(|(number, _)| slot - *number >= RECENT) {
            let Some((_, old)) = self.recent.pop_front() else { return };
            if !self.departs {
                self.baseline.calls += old.calls;
                self.baseline.failures += old.failures;
            }
        }
        if self.baseline.calls > BASELINE_MOST {
            self.baseline.calls /= 2;
            self.baseline.failures /= 2;
        }
    }

    fn recent(&self) -> Counts {
        self.recent.iter().fold(Counts::default(), |sum, (_, counts)| Counts {
            calls: sum.calls + counts.calls,
            failures: sum.failures + counts.failures,
        })
    }

    /// Failures of `recent` against those of the baseline, where there is one: usual share, and whether it departs.
    fn departure(&self, slot: i64, recent: Counts, baseline: Counts) -> Option<f64> {
        let since = self.recent.front().map_or(slot, |(number, _)| *number);
        if baseline.calls < BASELINE_CALLS || since - self.first < BASELINE_SLOTS || recent.failures < FAILURES {
            return None;
        }
        // One failure more than was seen: a share of nothing would make any failure a miracle.
        let usual = f64::from(baseline.failures + 1) / f64::from(baseline.calls + 2);
        let now = f64::from(recent.failures) / f64::from(recent.calls);
        let sigma = (usual * (1.0 - usual) / f64::from(recent.calls)).sqrt();
        (now - usual >= SIGMAS * sigma).then_some(usual)
    }
}

impl Counts {
    fn add(&mut self, failed: bool) {
        self.calls += 1;
        self.failures += u32::from(failed);
    }
}

impl Patterns {
    /// A call ended.
    pub(crate) fn add(&mut self, now: Timestamp, called: &str, caller: &str, code: u16, failed: bool) {
        let slot = now.unix_ns().div_euclid(SLOT_NS);
        let code = code.to_string();
        let mut values = vec![(Common::Trunk, ""), (Common::CalledNumber, called), (Common::Caller, caller)];
        if failed {
            values.push((Common::Code, &code));
        }
        for (common, value) in values {
            if common != Common::Trunk && value.is_empty() {
                continue;
            }
            let key = (common, value.to_owned());
            if !self.values.contains_key(&key) {
                self.make_room();
                self.values.insert(key.clone(), Record { first: slot, ..Record::default() });
            }
            if let Some(record) = self.values.get_mut(&key) {
                record.age(slot);
                record.add(slot, failed);
            }
        }
        // Only failures make a value depart, and only time ends that.
        if failed || slot > self.marked_at {
            self.mark(slot);
        }
    }

    /// What explains most of the failures that are more than usual.
    #[must_use]
    pub fn departure(&self, now: Timestamp) -> Option<Departure> {
        let slot = now.unix_ns().div_euclid(SLOT_NS);
        let whole = self.values.get(&(Common::Trunk, String::new()))?;
        let of_failures = recent_of(whole, slot).failures;
        let all = self.values.iter().filter_map(|((common, value), record)| {
            let (recent, baseline) = self.counts(*common, record, slot)?;
            let is_number = matches!(common, Common::CalledNumber | Common::Caller);
            let total = whole.baseline.calls + recent_of(whole, slot).calls;
            // A number that most calls have in common, as the one of a call centre, explains nothing.
            if is_number && (recent.calls + baseline.calls) * 4 > total * 3 {
                return None;
            }
            let usual = record.departure(slot, recent, baseline).or_else(|| {
                // A code that never came before has no time of its own: the peer's counts.
                (*common == Common::Code).then(|| whole.departure(slot, recent, baseline)).flatten()
            })?;
            Some(Departure {
                common: *common,
                value: value.clone(),
                failures: recent.failures,
                calls: recent.calls,
                of_failures,
                usual_percent: usual * 100.0,
                baseline_calls: baseline.calls,
            })
        });
        let mut all: Vec<Departure> = all.collect();
        all.sort_by_key(|d| (d.common, core::cmp::Reverse(d.failures)));
        let explains = |d: &&Departure| d.failures * 100 >= of_failures * EXPLAINS_PERCENT;
        all.iter().find(explains).or_else(|| all.iter().max_by_key(|d| d.failures)).cloned()
    }

    /// Calls of a value now and before. A code's are all calls of the peer, of which it failed so many.
    fn counts(&self, common: Common, record: &Record, slot: i64) -> Option<(Counts, Counts)> {
        let recent = recent_of(record, slot);
        if common != Common::Code {
            return Some((recent, record.baseline));
        }
        let whole = self.values.get(&(Common::Trunk, String::new()))?;
        let now = Counts { calls: recent_of(whole, slot).calls, failures: recent.failures };
        Some((now, Counts { calls: whole.baseline.calls, failures: record.baseline.failures }))
    }

    /// Notes which values depart: what they show is no baseline.
    fn mark(&mut self, slot: i64) {
        self.marked_at = slot;
        for record in self.values.values_mut() {
            record.age(slot);
            record.departs = record.departure(slot, record.recent(), record.baseline).is_some();
        }
    }

    fn make_room(&mut self) {
        if self.values.len() < VALUES_KEPT {
            return;
        }
        let last = |record: &Record| record.recent.back().map_or(record.first, |(slot, _)| *slot);
        let others = self.values.iter().filter(|((common, _), _)| *common != Common::Trunk);
        // Of those silent equally long the one with the smaller baseline has less to lose.
        let oldest = others.min_by_key(|(_, record)| (last(record), record.baseline.calls)).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.values.remove(&oldest);
        }
    }
}

fn recent_of(record: &Record, slot: i64) -> Counts {
    let young = record.recent.iter().filter(|(number, _)| slot - number < RECENT);
    young.fold(Counts::default(), |sum, (_, counts)| Counts {
        calls: sum.calls + counts.calls,
        failures: sum.failures + counts.failures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ns(seconds * 1_000_000_000)
    }

    /// Forty minutes of calls to several numbers, one in ten to each, all answered.
    fn usual() -> Patterns {
        let mut patterns = Patterns::default();
        (0..1_200).for_each(|n| patterns.add(at(n * 2), &format!("{}", n % 10), "a", 200, false));
        patterns
    }

    #[test]
    fn failures_of_one_number_are_told_from_those_of_all() {
        let mut patterns = usual();
        (0..8).for_each(|n| patterns.add(at(2_400 + n), "3", "a", 404, true));
        let departure = patterns.departure(at(2_410)).unwrap();
        assert_eq!((departure.common, departure.value.as_str()), (Common::CalledNumber, "3"));
        assert_eq!((departure.failures, departure.of_failures), (8, 8));
    }

    #[test]
    fn what_goes_on_for_an_hour_does_not_become_usual() {
        let mut patterns = usual();
        (0..600).for_each(|n| patterns.add(at(2_400 + n * 6), "3", "a", 404, true));
        assert!(patterns.departure(at(6_000)).is_some());
    }

    #[test]
    fn a_quiet_night_keeps_the_baseline_and_is_no_departure() {
        let mut patterns = usual();
        assert_eq!(patterns.departure(at(40_000)), None);
        (0..4).for_each(|n| patterns.add(at(40_000 + n), "3", "a", 404, true));
        assert_eq!(patterns.departure(at(40_004)), None, "four are too few");
        patterns.add(at(40_005), "3", "a", 404, true);
        assert!(patterns.departure(at(40_005)).is_some());
    }

    #[test]
    fn values_are_bounded() {
        let mut patterns = Patterns::default();
        (0..5_000).for_each(|n| patterns.add(at(n), &n.to_string(), &n.to_string(), 404, true));
        assert_eq!(patterns.values.len(), VALUES_KEPT);
    }
}
