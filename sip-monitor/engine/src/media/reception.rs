//! What the receiver of a stream says of it (RFC 3550 6.4, RFC 3611 4.7): how much of it arrives, and whether any.

use core::time::Duration;

use crate::quality::{CodecQuality, History, Interval, ReportMeter};
use crate::rtp::{ReportBlock, VoipMetrics};
use crate::time::Timestamp;

/// From this fraction lost on (of 256) a report says that as good as nothing arrived: 98 %.
const ALL_LOST: u8 = 250;
/// Reports in a row that must say so, since the first may be of the time before a path was open.
const REPORTS: u32 = 2;
/// How long the highest sequence number must stand still. Reports come every 2.5 s at least (RFC 3550 6.3.1).
const FROZEN: Duration = Duration::from_secs(4);
/// The same report again so soon is one packet captured twice: reports are seconds apart (RFC 3550 6.2).
const SAME_REPORT: Duration = Duration::from_millis(20);
/// Packets that must have been sent meanwhile: two seconds of them.
const SENT: u64 = 100;

/// What RTCP said of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Reception {
    /// When the last report came.
    pub at: Timestamp,
    /// The report.
    pub block: ReportBlock,
    /// Since when its highest sequence number stands still.
    pub frozen_since: Timestamp,
    /// Reports so far.
    pub reports: u32,
    /// How many of the last reports in a row say that all was lost.
    pub all_lost: u32,
    /// Packets sent since the highest sequence number stands still.
    pub sent_in_vain: u64,
    /// Time from this host to the receiver and back.
    pub round_trip: Option<Duration>,
    /// The receiver's own measures.
    pub voip: Option<VoipMetrics>,
    /// What was lost between this host and the receiver, interval by interval.
    pub history: History,
    sent_at_freeze: u64,
    meter: ReportMeter,
}

impl Reception {
    /// The first report. `here` are packets and lost packets of the stream as counted where it passed here.
    #[must_use]
    pub fn new(at: Timestamp, block: ReportBlock, here: (u64, u64)) -> Self {
        Self {
            at,
            block,
            frozen_since: at,
            reports: 1,
            all_lost: u32::from(block.fraction_lost >= ALL_LOST),
            sent_in_vain: 0,
            round_trip: None,
            voip: None,
            history: History::default(),
            sent_at_freeze: here.0,
            meter: ReportMeter::new(at, &block, here),
        }
    }

    /// Takes the next report; returns the interval that it completes.
    pub fn update(
        &mut self,
        at: Timestamp,
        block: ReportBlock,
        here: (u64, u64),
        rate_hz: Option<u32>,
        pace: f64,
    ) -> Option<Interval> {
        if block == self.block && at.since(self.at) < SAME_REPORT {
            return None;
        }
        let was_deaf = self.hears_nothing();
        if self.block.highest_sequence != block.highest_sequence {
            self.frozen_since = at;
            self.sent_at_freeze = here.0;
        }
        self.sent_in_vain = here.0.saturating_sub(self.sent_at_freeze);
        self.all_lost = if block.fraction_lost >= ALL_LOST { self.all_lost.saturating_add(1) } else { 0 };
        self.reports = self.reports.saturating_add(1);
        self.at = at;
        self.block = block;
        if was_deaf || self.hears_nothing() {
            // That is a condition of its own, and its packets are not lost once more when it ends.
            self.meter = ReportMeter::new(at, &block, here);
            return None;
        }
        self.meter.take(at, &block, here, rate_hz, pace)
    }

    /// Rates an interval of it and puts it on record.
    pub fn hear(
        &mut self,
        mut interval: Interval,
        codec: Option<CodecQuality>,
        path: Option<Duration>,
        lossy_percent: f64,
    ) {
        interval.rate(codec, path);
        self.history.push(interval, lossy_percent);
    }

    /// Whether it proves that nothing of the stream arrives though it is sent.
    #[must_use]
    pub fn hears_nothing(&self) -> bool {
        self.is_frozen() || self.all_lost >= REPORTS
    }

    /// Whether its highest sequence number stands still while the stream goes on. Some receivers leave their reports empty:
    /// that tells nothing.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let filled = self.block.highest_sequence != 0 || self.block.fraction_lost != 0;
        filled && self.at.since(self.frozen_since) >= FROZEN && self.sent_in_vain >= SENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    fn block(highest_sequence: u32, fraction_lost: u8) -> ReportBlock {
        ReportBlock {
            ssrc: 1,
            fraction_lost,
            cumulative_lost: 0,
            highest_sequence,
            jitter_rtp_units: 0,
            last_sr: 0,
            delay_since_last_sr: 0,
        }
    }

    #[test]
    fn a_number_that_stands_still_proves_it_only_while_packets_are_sent() {
        let mut muted = Reception::new(at(0), block(100, 0), (100, 0));
        muted.update(at(5), block(100, 0), (110, 0), None, 50.0);
        assert!(!muted.hears_nothing());
        let mut deaf = Reception::new(at(0), block(100, 0), (100, 0));
        deaf.update(at(5), block(100, 0), (350, 0), None, 50.0);
        assert!(deaf.hears_nothing() && deaf.is_frozen());
        deaf.update(at(10), block(620, 0), (600, 0), None, 50.0);
        assert!(!deaf.hears_nothing(), "it goes on");
    }

    #[test]
    fn one_report_of_total_loss_is_not_enough() {
        let mut reception = Reception::new(at(0), block(100, 255), (100, 0));
        reception.update(at(0) + Duration::from_micros(30), block(100, 255), (100, 0), None, 50.0);
        assert!(!reception.hears_nothing());
        reception.update(at(5), block(349, 255), (350, 0), None, 50.0);
        assert!(reception.hears_nothing());
    }
}
