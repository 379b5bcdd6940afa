//! Cuts what is counted of a stream into intervals.
//!
//! Not every number that is missing was lost. A sender that restarts, or that jumps ahead in its numbering, skips numbers
//! in no time: loss takes as long as the packets would have taken. An interval with such a jump in it is begun anew.

use core::time::Duration;

use super::{INTERVAL, Interval, MIN_PACKETS};
use crate::packet::{CLOCK_RATES_HZ, Jitter, StreamCounters};
use crate::time::Timestamp;

/// Silence with nothing lost in it begins a new interval: hold, mute, silence suppression.
const SILENCE: Duration = Duration::from_secs(3);
/// Reports closer to each other than this tell no pace.
const MIN_PACE: Duration = Duration::from_millis(500);
/// Numbers that run faster than the usual pace by this factor were skipped, not lost.
const SKIPPED: f64 = 1.5;
/// An interval may end so much early: reports come once a second.
const SLACK: Duration = Duration::from_millis(100);

/// Cuts one stream.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The report that the running interval began with.
    mark: Mark,
    /// The report before.
    latest: Mark,
    /// Lowest running estimate of jitter in the interval, by clock rate.
    floor_ns: [u32; CLOCK_RATES_HZ.len()],
    /// Highest pace of the numbering so far, a second.
    pace: f64,
}

/// Totals at one report.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Timestamp,
    packets: u64,
    expected: u64,
    lost: u64,
    late: u64,
    loss_runs: u64,
    restarts: u32,
    payload_type: u8,
    jitter: [Jitter; CLOCK_RATES_HZ.len()],
}

impl Mark {
    const fn new(c: &StreamCounters) -> Self {
        Self {
            at: c.last_at,
            packets: c.packets,
            expected: c.expected,
            lost: c.lost,
            late: c.late,
            loss_runs: c.loss_runs,
            restarts: c.restarts,
            payload_type: c.payload_type,
            jitter: c.jitter,
        }
    }
}

impl Meter {
    /// Begins with a report.
    #[must_use]
    pub const fn new(c: &StreamCounters) -> Self {
        let mark = Mark::new(c);
        Self { mark, latest: mark, floor_ns: [u32::MAX; CLOCK_RATES_HZ.len()], pace: 0.0 }
    }

    /// Takes the next report; returns the interval that it completes. `slot` is the clock rate among [`CLOCK_RATES_HZ`] where
    /// that is known; `missed_at` is when the monitor itself last missed packets: those are no loss.
    pub fn take(
        &mut self,
        c: &StreamCounters,
        slot: Option<usize>,
        missed_at: Option<Timestamp>,
    ) -> Option<Interval> {
        let passed = c.last_at.since(self.latest.at);
        let is_new = self.skips(c, passed) || (passed >= SILENCE && c.lost <= self.latest.lost);
        self.latest = Mark::new(c);
        if is_new {
            self.restart();
            return None;
        }
        for (floor, jitter) in self.floor_ns.iter_mut().zip(&c.jitter) {
            *floor = (*floor).min(jitter.last_ns);
        }
        if c.last_at.since(self.mark.at) + SLACK < INTERVAL {
            return None;
        }
        let missed = missed_at.is_some_and(|at| at >= self.mark.at);
        let interval = (!missed).then(|| self.close(slot)).flatten();
        self.restart();
        interval
    }

    fn restart(&mut self) {
        self.mark = self.latest;
        self.floor_ns = [u32::MAX; CLOCK_RATES_HZ.len()];
    }

    /// Whether the sender skipped numbers since the last report.
    #[allow(clippy::cast_precision_loss)] // packets of some seconds
    fn skips(&mut self, c: &StreamCounters, passed: Duration) -> bool {
        if c.restarts != self.latest.restarts {
            return true;
        }
        if passed < MIN_PACE {
            return false;
        }
        let pace = c.expected.saturating_sub(self.latest.expected) as f64 / passed.as_secs_f64();
        if c.lost > self.latest.lost && self.pace > 0.0 && pace > SKIPPED * self.pace {
            // If it was loss after all, the pace of what comes shows it.
            let came = c.packets.saturating_sub(self.latest.packets) as f64 / passed.as_secs_f64();
            self.pace = self.pace.max(came);
            return true;
        }
        self.pace = self.pace.max(pace);
        false
    }

    fn close(&self, slot: Option<usize>) -> Option<Interval> {
        let (from, until) = (&self.mark, &self.latest);
        let expected = until.expected.saturating_sub(from.expected);
        if until.packets.saturating_sub(from.packets) < MIN_PACKETS || expected < MIN_PACKETS {
            return None;
        }
        let lost = until.lost.saturating_sub(from.lost).min(expected);
        // A hole that a late packet filled was none.
        let late = until.late.saturating_sub(from.late);
        let runs = until.loss_runs.saturating_sub(from.loss_runs).saturating_sub(late).clamp(1, lost.max(1));
        let same_type = from.payload_type == until.payload_type;
        let jitter = slot.filter(|_| same_type).and_then(|slot| jitter_between(from, until, slot));
        let floor_ns = slot.and_then(|slot| self.floor_ns.get(slot)).copied();
        Some(Interval {
            from: from.at,
            until: until.at,
            expected,
            lost,
            burst_ratio: (lost > 0).then(|| burst_ratio(expected, lost, runs)),
            jitter_ms: jitter,
            jitter_floor_ms: jitter.and(floor_ns).map(|ns| f64::from(ns) / 1e6),
            score: None,
        })
    }
}

/// Mean run of lost packets, times the share that came: at random loss a run is 1 / (1 - p) long (G.107 7.5).
#[allow(clippy::cast_precision_loss)] // packets of 10 s
fn burst_ratio(expected: u64, lost: u64, runs: u64) -> f64 {
    let came = 1.0 - lost as f64 / expected as f64;
    (came * lost as f64 / runs as f64).max(1.0)
}

#[allow(clippy::cast_precision_loss)] // sums of 10 s
fn jitter_between(from: &Mark, until: &Mark, slot: usize) -> Option<f64> {
    let (a, b) = (from.jitter.get(slot)?, until.jitter.get(slot)?);
    let samples = b.samples.saturating_sub(a.samples);
    (samples >= MIN_PACKETS).then(|| b.sum_ns.saturating_sub(a.sum_ns) as f64 / samples as f64 / 1e6)
}
