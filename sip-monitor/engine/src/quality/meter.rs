//! Cuts what is counted of a stream into intervals.
//!
//! Not every number that is missing was lost. A sender that restarts, or that jumps ahead in its numbering, skips numbers
//! in no time: loss takes as long as the packets would have taken. An interval with such a jump in it is begun anew.

use core::time::Duration;

use super::{INTERVAL, Interval, MIN_PACKETS};
use crate::packet::{CLOCK_RATES_HZ, StreamCounters};
use crate::time::Timestamp;

/// Silence with nothing lost in it begins a new interval: hold, mute, silence suppression.
const SILENCE: Duration = Duration::from_secs(3);
/// Reports closer to each other than this tell no pace.
const MIN_PACE: Duration = Duration::from_millis(500);
/// Numbers that run faster than the usual pace by this factor were skipped, not lost.
const SKIPPED: f64 = 1.5;
/// An interval may end so much early: reports come once a second.
const SLACK: Duration = Duration::from_millis(500);

/// Cuts one stream.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The report that the running interval began with.
    mark: Mark,
    /// The report before.
    latest: Latest,
    /// Lowest running estimate of jitter in the interval, by clock rate.
    floor_ns: [u32; CLOCK_RATES_HZ.len()],
    /// Highest pace of the numbering so far, a second.
    pace: f64,
    /// The monitor itself missed packets in the interval.
    missed: bool,
}

/// Totals at the report that an interval began with.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Timestamp,
    packets: u64,
    expected: u64,
    lost: u64,
    late: u64,
    loss_runs: u64,
    payload_type: u8,
    jitter: [JitterSum; CLOCK_RATES_HZ.len()],
}

/// What a [`crate::packet::Jitter`] has added up.
#[derive(Clone, Copy, Debug)]
struct JitterSum {
    ns: u64,
    samples: u64,
}

/// Totals of the report before the one that is taken, as far as they tell whether the sender skipped numbers since.
#[derive(Clone, Copy, Debug)]
struct Latest {
    at: Timestamp,
    packets: u64,
    expected: u64,
    lost: u64,
    restarts: u32,
}

impl Mark {
    fn new(c: &StreamCounters) -> Self {
        Self {
            at: c.last_at,
            packets: c.packets,
            expected: c.expected,
            lost: c.lost,
            late: c.late,
            loss_runs: c.loss_runs,
            payload_type: c.payload_type,
            jitter: c.jitter.map(|jitter| JitterSum { ns: jitter.sum_ns, samples: jitter.samples }),
        }
    }

    /// Mean jitter since, milliseconds.
    #[allow(clippy::cast_precision_loss)] // sums of 10 s
    fn mean_jitter_ms(&self, until: &StreamCounters, slot: usize) -> Option<f64> {
        let (from, until) = (self.jitter.get(slot)?, until.jitter.get(slot)?);
        let samples = until.samples.saturating_sub(from.samples);
        (samples >= MIN_PACKETS).then(|| until.sum_ns.saturating_sub(from.ns) as f64 / samples as f64 / 1e6)
    }
}

impl Latest {
    const fn new(c: &StreamCounters) -> Self {
        Self { at: c.last_at, packets: c.packets, expected: c.expected, lost: c.lost, restarts: c.restarts }
    }
}

impl Meter {
    /// Begins with a report.
    #[must_use]
    pub fn new(c: &StreamCounters) -> Self {
        Self {
            mark: Mark::new(c),
            latest: Latest::new(c),
            floor_ns: [u32::MAX; CLOCK_RATES_HZ.len()],
            pace: 0.0,
            missed: false,
        }
    }

    /// Highest pace of the numbering so far, packets a second.
    #[must_use]
    pub const fn pace(&self) -> f64 {
        self.pace
    }

    /// Takes the next report; returns the interval that it completes. `slot` is the clock rate among [`CLOCK_RATES_HZ`] where
    /// that is known; `missed_at` is when the monitor itself last missed packets: those are no loss.
    pub fn take(&mut self, c: &StreamCounters, slot: Option<usize>, missed_at: Option<Timestamp>) -> Option<Interval> {
        let passed = c.last_at.since(self.latest.at);
        let is_new = self.skips(c, passed) || (passed >= SILENCE && c.lost <= self.latest.lost);
        self.latest = Latest::new(c);
        self.missed |= missed_at.is_some_and(|at| at >= self.mark.at);
        if is_new {
            self.restart(c);
            return None;
        }
        for (floor, jitter) in self.floor_ns.iter_mut().zip(&c.jitter) {
            *floor = (*floor).min(jitter.last_ns);
        }
        if c.last_at.since(self.mark.at) + SLACK < INTERVAL {
            return None;
        }
        let interval = self.rest(c, slot);
        self.restart(c);
        interval
    }

    fn restart(&mut self, c: &StreamCounters) {
        self.mark = Mark::new(c);
        self.missed = false;
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

    /// The interval that runs, up to the report that was taken last: cut short where the stream ended before it was over.
    #[must_use]
    pub fn rest(&self, until: &StreamCounters, slot: Option<usize>) -> Option<Interval> {
        let from = &self.mark;
        let expected = until.expected.saturating_sub(from.expected);
        if self.missed || until.packets.saturating_sub(from.packets) < MIN_PACKETS || expected < MIN_PACKETS {
            return None;
        }
        let lost = until.lost.saturating_sub(from.lost).min(expected);
        // A hole that a late packet filled was none.
        let late = until.late.saturating_sub(from.late);
        let runs = until.loss_runs.saturating_sub(from.loss_runs).saturating_sub(late).clamp(1, lost.max(1));
        let same_type = from.payload_type == until.payload_type;
        let jitter = slot.filter(|_| same_type).and_then(|slot| from.mean_jitter_ms(until, slot));
        let floor_ns = slot.and_then(|slot| self.floor_ns.get(slot)).copied();
        Some(Interval {
            from: from.at,
            until: until.last_at,
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

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::*;
    use crate::packet::{Direction, Jitter, StreamKey};

    /// A stream of 50 packets a second that is reported once a second.
    struct Talk {
        counters: StreamCounters,
        meter: Meter,
        missed_at: Option<Timestamp>,
    }

    impl Talk {
        fn new() -> Self {
            let address: SocketAddr = "192.0.2.1:4000".parse().unwrap();
            let counters = StreamCounters {
                key: StreamKey { src: address, dst: address, ssrc: 1, direction: Direction::In },
                first_at: Timestamp::ZERO,
                last_at: Timestamp::ZERO,
                in_sequence: true,
                packets: 2,
                bytes: 344,
                expected: 2,
                lost: 0,
                late: 0,
                duplicates: 0,
                loss_runs: 0,
                restarts: 0,
                gap_max_ns: 0,
                jitter: [Jitter::default(); CLOCK_RATES_HZ.len()],
                first_rtp_timestamp: 0,
                rtp_timestamp_units: 0,
                payload_type: 0,
                payload_types: [1, 0],
                ttl_min: 64,
                ttl_max: 64,
                dscp: 46,
                same_payload: 0,
                type_run: 0,
                events: 0,
                events_ended: 0,
                payload_bytes: 160,
                last_sequence: 1,
            };
            Self { counters, meter: Meter::new(&counters), missed_at: None }
        }

        /// One more second in which `lost` of 50 packets are lost in `runs`, and the sender skips `skipped` numbers.
        fn second(&mut self, lost: u64, runs: u64, skipped: u64) -> Option<Interval> {
            let c = &mut self.counters;
            c.last_at = c.last_at + Duration::from_secs(1);
            c.packets += 50 - lost;
            c.expected += 50 + skipped;
            c.lost += lost + skipped;
            c.loss_runs += runs + u64::from(skipped > 0);
            for jitter in &mut c.jitter {
                jitter.last_ns = 2_000_000;
                jitter.samples += 50 - lost;
                jitter.sum_ns += (50 - lost) * 2_000_000;
            }
            self.meter.take(&self.counters, Some(0), self.missed_at)
        }

        fn seconds(&mut self, n: u32, lost: u64, runs: u64) -> Vec<Interval> {
            (0..n).filter_map(|_| self.second(lost, runs, 0)).collect()
        }
    }

    #[test]
    fn ten_seconds_are_an_interval_with_its_loss_and_jitter() {
        let intervals = Talk::new().seconds(30, 2, 2);
        let found: Vec<_> = intervals.iter().map(|i| (i.expected, i.lost, i.jitter_ms)).collect();
        assert_eq!(found, [(500, 20, Some(2.0)); 3]);
        assert!(intervals.iter().all(|i| i.burst_ratio == Some(1.0)));
    }

    #[test]
    fn packets_lost_in_one_run_are_a_burst() {
        let mut talk = Talk::new();
        talk.seconds(8, 0, 0);
        talk.second(40, 1, 0);
        let interval = talk.second(0, 0, 0).unwrap();
        assert!((interval.burst_ratio.unwrap() - 40.0 * 0.92).abs() < 1e-9, "{interval:?}");
    }

    #[test]
    fn numbers_that_the_sender_skips_in_no_time_are_not_lost() {
        let mut talk = Talk::new();
        talk.seconds(5, 0, 0);
        assert_eq!(talk.second(0, 0, 400), None);
        let intervals = talk.seconds(10, 0, 0);
        assert_eq!(intervals.iter().map(|i| (i.expected, i.lost)).collect::<Vec<_>>(), [(500, 0)]);
    }

    #[test]
    fn an_outage_takes_as_long_as_its_packets_and_is_loss() {
        let mut talk = Talk::new();
        talk.seconds(5, 0, 0);
        talk.counters.last_at = talk.counters.last_at + Duration::from_secs(4);
        talk.counters.expected += 200;
        talk.counters.lost += 200;
        let intervals = talk.seconds(2, 0, 0);
        assert_eq!(intervals.iter().map(|i| (i.expected, i.lost)).collect::<Vec<_>>(), [(500, 200)]);
    }

    #[test]
    fn what_the_monitor_missed_is_no_loss() {
        let mut talk = Talk::new();
        talk.seconds(3, 0, 0);
        talk.missed_at = Some(talk.counters.last_at);
        assert_eq!(talk.seconds(7, 10, 5), []);
        assert_eq!(talk.seconds(10, 0, 0).len(), 1, "the next interval counts");
    }

    #[test]
    fn a_thinned_out_capture_tells_nothing() {
        let mut talk = Talk::new();
        assert_eq!(talk.seconds(30, 48, 2), []);
    }
}
