//! Cuts what the receiver of a stream reports (RFC 3550 6.4) into intervals.

use core::time::Duration;

use super::{INTERVAL, Interval, MIN_PACKETS};
use crate::rtp::ReportBlock;
use crate::time::Timestamp;

/// A report may come this much early: intervals of RTCP are randomised (RFC 3550 6.2).
const SLACK: Duration = Duration::from_secs(1);
/// An interval of reports that are further apart than this tells nothing of ten seconds.
const LONGEST: Duration = Duration::from_secs(30);
/// More jitter than this is no jitter but a receiver that counts in other units, milliseconds.
const ABSURD_MS: f64 = 500.0;
/// A stream that went on for less than this share of the interval paused in it: receivers take pauses for jitter, each in
/// its own way.
const STEADY: f64 = 0.85;

/// Cuts the reports about one stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportMeter {
    mark: Mark,
    jitter_sum_ms: f64,
    jitter_floor_ms: f64,
    reports: u32,
}

/// Totals at one report: those of the receiver, and what was counted of the stream where it passed here.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mark {
    at: Timestamp,
    highest: u32,
    cumulative_lost: i32,
    lost_here: u64,
    packets_here: u64,
}

impl Mark {
    const fn new(at: Timestamp, block: &ReportBlock, here: (u64, u64)) -> Self {
        let (packets_here, lost_here) = here;
        Self { at, highest: block.highest_sequence, cumulative_lost: block.cumulative_lost, lost_here, packets_here }
    }
}

impl ReportMeter {
    /// Begins with a report. `here` are packets and lost packets of the stream as counted where it passed here.
    #[must_use]
    pub const fn new(at: Timestamp, block: &ReportBlock, here: (u64, u64)) -> Self {
        let mark = Mark::new(at, block, here);
        Self { mark, jitter_sum_ms: 0.0, jitter_floor_ms: f64::MAX, reports: 0 }
    }

    /// Takes the next report; returns the interval that it completes: what was lost **behind** this host. `rate_hz` is the
    /// clock rate of the stream where it is known, `pace` how many packets a second it has while nobody pauses.
    #[allow(clippy::cast_precision_loss)] // packets of some seconds
    pub fn take(
        &mut self,
        at: Timestamp,
        block: &ReportBlock,
        here: (u64, u64),
        rate_hz: Option<u32>,
        pace: f64,
    ) -> Option<Interval> {
        let jitter_ms = rate_hz.map(|rate| 1e3 * f64::from(block.jitter_rtp_units) / f64::from(rate.max(1)));
        if let Some(ms) = jitter_ms.filter(|ms| *ms < ABSURD_MS) {
            self.jitter_sum_ms += ms;
            self.jitter_floor_ms = self.jitter_floor_ms.min(ms);
            self.reports += 1;
        }
        if at.since(self.mark.at) + SLACK < INTERVAL {
            return None;
        }
        let (from, until) = (self.mark, Mark::new(at, block, here));
        let sent = until.packets_here.saturating_sub(from.packets_here) as f64;
        let steady = sent >= STEADY * pace * at.since(from.at).as_secs_f64();
        let jitter =
            (self.reports > 1 && steady).then(|| (self.jitter_sum_ms / f64::from(self.reports), self.jitter_floor_ms));
        *self = Self::new(at, block, here);
        between(&from, &until).map(|interval| Interval {
            jitter_ms: jitter.map(|(mean, _)| mean),
            jitter_floor_ms: jitter.map(|(_, floor)| floor),
            ..interval
        })
    }
}

fn between(from: &Mark, until: &Mark) -> Option<Interval> {
    if until.at.since(from.at) > LONGEST {
        return None;
    }
    let expected = u64::from(until.highest.wrapping_sub(from.highest));
    let sent = until.packets_here.saturating_sub(from.packets_here);
    let missing_here = until.lost_here.saturating_sub(from.lost_here);
    // What it says must fit what passed here, or it speaks of something else: another stream of that SSRC, a restart.
    let passed = sent + missing_here;
    let fits = expected >= MIN_PACKETS && sent >= MIN_PACKETS && expected <= passed * 3 / 2 && passed <= expected * 3;
    if !fits {
        return None;
    }
    let told = i64::from(until.cumulative_lost) - i64::from(from.cumulative_lost);
    let lost = u64::try_from(told).unwrap_or(0).saturating_sub(missing_here).min(expected);
    Some(Interval {
        from: from.at,
        until: until.at,
        expected,
        lost,
        burst_ratio: None,
        jitter_ms: None,
        jitter_floor_ms: None,
        score: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    fn block(highest_sequence: u32, cumulative_lost: i32) -> ReportBlock {
        ReportBlock {
            ssrc: 1,
            fraction_lost: 0,
            cumulative_lost,
            highest_sequence,
            jitter_rtp_units: 160,
            last_sr: 0,
            delay_since_last_sr: 0,
        }
    }

    #[test]
    fn what_was_missing_here_already_was_not_lost_behind_here() {
        let mut meter = ReportMeter::new(at(0), &block(1_000, 10), (1_000, 0));
        assert_eq!(meter.take(at(5), &block(1_250, 40), (1_240, 10), Some(8_000), 50.0), None);
        let interval = meter.take(at(10), &block(1_500, 60), (1_480, 20), Some(8_000), 50.0).unwrap();
        assert_eq!((interval.expected, interval.lost), (500, 30));
        assert!((interval.jitter_ms.unwrap() - 20.0).abs() < 1e-9);
    }

    #[test]
    fn a_report_that_does_not_fit_what_was_sent_tells_nothing() {
        let mut meter = ReportMeter::new(at(0), &block(1_000, 0), (1_000, 0));
        assert_eq!(meter.take(at(10), &block(61_000, 9_000), (1_500, 0), None, 50.0), None);
    }

    #[test]
    fn duplicates_at_the_receiver_are_no_negative_loss() {
        let mut meter = ReportMeter::new(at(0), &block(1_000, 0), (1_000, 0));
        let interval = meter.take(at(10), &block(1_500, -20), (1_500, 0), None, 50.0).unwrap();
        assert_eq!(interval.lost, 0);
    }

    #[test]
    fn what_a_receiver_calls_jitter_of_a_stream_that_paused_is_left_out() {
        let mut meter = ReportMeter::new(at(0), &block(1_000, 0), (1_000, 0));
        assert_eq!(meter.take(at(5), &block(1_250, 0), (1_250, 0), Some(8_000), 50.0), None);
        let interval = meter.take(at(10), &block(1_400, 0), (1_400, 0), Some(8_000), 50.0).unwrap();
        assert_eq!((interval.expected, interval.jitter_ms), (400, None));
    }
}
