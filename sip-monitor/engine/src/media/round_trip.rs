//! Round-trip time from RTCP (RFC 3550 6.4.1): a receiver tells which sender report it heard last (LSR) and how long ago
//! (DLSR). What this host saw pass between the two is the way to that receiver and back, by one clock.

use core::time::Duration;

use crate::time::Timestamp;

/// Sender reports that are remembered: the answer to one may cross the next.
const REPORTS: usize = 3;
/// Round trips that are remembered.
const SAMPLES: usize = 3;
/// More than this is no path but a receiver that tells DLSR in other units.
const ABSURD: Duration = Duration::from_secs(3);

/// The last sender reports of one source as they passed here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SentReports {
    last: [Option<(u32, Timestamp)>; REPORTS],
}

impl SentReports {
    /// A sender report passed.
    pub fn note(&mut self, ntp: u64, at: Timestamp) {
        self.last.rotate_right(1);
        if let Some(first) = self.last.first_mut() {
            *first = Some((middle(ntp), at));
        }
    }

    /// When the report that a receiver names passed.
    #[must_use]
    pub fn passed_at(&self, last_sr: u32) -> Option<Timestamp> {
        self.last.iter().flatten().find(|(ntp, _)| *ntp == last_sr).map(|(_, at)| *at)
    }
}

/// The middle 32 bits of an NTP timestamp.
#[allow(clippy::cast_possible_truncation)] // that is what is asked for
const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// Round trips to one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundTrip {
    last: [Option<Duration>; SAMPLES],
}

impl RoundTrip {
    /// Takes a report that answers, at `now`, the sender report that passed at `sent`, after `delay` (DLSR). A receiver that
    /// tells no delay tells no round trip.
    pub fn note(&mut self, sent: Timestamp, now: Timestamp, delay: u32) {
        let held = Duration::from_nanos(u64::from(delay) * 1_000_000_000 / 65_536);
        let Some(took) = now.since(sent).checked_sub(held).filter(|took| delay != 0 && *took <= ABSURD) else { return };
        self.last.rotate_right(1);
        if let Some(first) = self.last.first_mut() {
            *first = Some(took);
        }
    }

    /// The shortest of the last ones; `None` before there are two: a receiver that counts DLSR wrongly gives figures that
    /// jump about.
    #[must_use]
    pub fn get(&self) -> Option<Duration> {
        let known = self.last.iter().flatten();
        if known.clone().count() < 2 { None } else { known.min().copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_round_trip_is_the_time_that_passed_less_the_time_it_was_held() {
        let mut sent = SentReports::default();
        sent.note(0x1234_5678_9abc_def0, at_ms(1_000));
        let passed = sent.passed_at(0x5678_9abc).unwrap();
        let mut trip = RoundTrip::default();
        trip.note(passed, at_ms(1_580), 65_536 / 2);
        assert_eq!(trip.get(), None, "one is no measure");
        trip.note(passed, at_ms(1_600), 65_536 / 2);
        assert_eq!(trip.get(), Some(Duration::from_millis(80)));
    }

    #[test]
    fn an_answer_before_its_question_and_one_without_delay_are_no_measure() {
        let mut trip = RoundTrip::default();
        for _ in 0..3 {
            trip.note(at_ms(1_000), at_ms(1_100), 65_536);
            trip.note(at_ms(1_000), at_ms(1_100), 0);
            trip.note(at_ms(1_000), at_ms(9_100), 65_536);
        }
        assert_eq!(trip.get(), None);
    }
}
