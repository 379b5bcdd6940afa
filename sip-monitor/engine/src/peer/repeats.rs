//! How much of what is exchanged with a peer has to be sent again, and why.

use core::time::Duration;
use std::collections::VecDeque;

use crate::time::Timestamp;

const SLOT_NS: i64 = 10_000_000_000;
/// Five minutes.
const SLOTS: i64 = 30;

/// Why a message was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatCause {
    /// A request got lost: its answer came soon after a repetition.
    RequestLost,
    /// A request came again though it had been answered.
    ResponseLost,
    /// The answer came, only later than T1.
    SlowAnswer,
}

/// Messages and repetitions of the last five minutes.
#[derive(Clone, Debug, Default)]
pub struct RepeatShare {
    slots: VecDeque<(i64, Counts)>,
}

/// Messages, and how many of them were repetitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All, repetitions included.
    pub messages: u32,
    /// Repetitions of requests that got lost.
    pub request_lost: u32,
    /// Repetitions of requests that had been answered.
    pub response_lost: u32,
    /// Repetitions of requests whose answer was late.
    pub slow_answer: u32,
}

impl Counts {
    /// Repetitions of any kind.
    #[must_use]
    pub const fn repeated(&self) -> u32 {
        self.request_lost + self.response_lost + self.slow_answer
    }

    /// Their share, per cent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.messages == 0 { 0.0 } else { f64::from(self.repeated()) * 100.0 / f64::from(self.messages) }
    }
}

impl RepeatShare {
    /// A message was exchanged. Returns whether it is the first of ten seconds.
    pub(crate) fn message(&mut self, now: Timestamp) -> bool {
        let (counts, is_new) = self.slot(now);
        counts.messages += 1;
        is_new
    }

    /// So many messages before turned out to have been repetitions.
    pub(crate) fn repeated(&mut self, now: Timestamp, times: u32, cause: RepeatCause) {
        let (counts, _) = self.slot(now);
        match cause {
            RepeatCause::RequestLost => counts.request_lost += times,
            RepeatCause::ResponseLost => counts.response_lost += times,
            RepeatCause::SlowAnswer => counts.slow_answer += times,
        }
    }

    /// The last five minutes.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> Counts {
        let oldest = now.unix_ns().div_euclid(SLOT_NS) - SLOTS;
        let mut sum = Counts::default();
        for (_, counts) in self.slots.iter().filter(|(number, _)| *number > oldest) {
            sum.messages += counts.messages;
            sum.request_lost += counts.request_lost;
            sum.response_lost += counts.response_lost;
            sum.slow_answer += counts.slow_answer;
        }
        sum
    }

    fn slot(&mut self, now: Timestamp) -> (&mut Counts, bool) {
        let number = now.unix_ns().div_euclid(SLOT_NS);
        let is_new = self.slots.back().is_none_or(|(last, _)| *last < number);
        if is_new {
            self.slots.retain(|(old, _)| number - old < SLOTS);
            self.slots.push_back((number, Counts::default()));
        }
        let last = self.slots.len() - 1;
        (&mut self.slots[last].1, is_new)
    }
}

/// What the repetitions of an answered request say: an answer soon after the last of them answers that one, so those
/// before got lost; an answer at any other time answers the first.
pub(crate) fn cause_of_repeats(first: Timestamp, last: Timestamp, answer: Timestamp, usual: Duration) -> RepeatCause {
    let soon = (usual * 2).max(Duration::from_millis(100));
    if answer.since(last) <= soon && answer.since(first) > soon {
        RepeatCause::RequestLost
    } else {
        RepeatCause::SlowAnswer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ns(ms * 1_000_000)
    }

    #[test]
    fn an_answer_right_after_a_repetition_means_that_the_request_was_lost() {
        let usual = Duration::from_millis(30);
        assert_eq!(cause_of_repeats(at(0), at(500), at(530), usual), RepeatCause::RequestLost);
        assert_eq!(cause_of_repeats(at(0), at(500), at(900), usual), RepeatCause::SlowAnswer);
    }

    #[test]
    fn the_share_is_that_of_the_last_five_minutes() {
        let mut share = RepeatShare::default();
        for n in 0..100 {
            share.message(at(n * 100));
        }
        share.repeated(at(9_900), 6, RepeatCause::RequestLost);
        assert_eq!(share.counts(at(10_000)).percent(), 6.0);
        assert_eq!(share.counts(at(400_000)).messages, 0);
    }
}
