//! How good audio from and to a peer is: MOS, jitter and loss of each interval of 10 s as HDR histograms, by codec and
//! direction. Small: each triple takes 6 KiB at most, and there are only so many of them.

use hdrhistogram::Histogram;

use super::{LegRole, Peer, PeerTable};
use crate::call::Call;
use crate::media::HeardInterval;
use crate::packet::Direction;
use crate::quality::Interval;
use crate::record::{MediaWay, QualityRecord, Side, SpreadRecord};

/// Codecs and directions kept of one peer.
const KEPT_OF_A_PEER: usize = 16;
/// Kept of all peers that are no configured trunk: 6 MiB.
const KEPT_OF_ALL: usize = 1_024;
/// Two significant digits: an error below 1 %.
const DIGITS: u8 = 2;
/// Histograms count whole numbers: hundredths of MOS, tenths of a millisecond, tenths of a per cent.
const MOS_UNITS: f64 = 100.0;
const MOS_HIGHEST: u64 = 450;
const JITTER_UNITS: f64 = 10.0;
const JITTER_HIGHEST: u64 = 2_000;
const LOSS_UNITS: f64 = 10.0;
const LOSS_HIGHEST: u64 = 1_000;

/// Audio of one codec in one direction.
#[derive(Clone, Debug)]
pub struct Voice {
    codec: Box<str>,
    way: MediaWay,
    intervals: u64,
    mos: Option<Histogram<u32>>,
    jitter: Option<Histogram<u32>>,
    loss: Option<Histogram<u32>>,
}

impl Voice {
    fn new(codec: &str, way: MediaWay) -> Self {
        let histogram = |highest| Histogram::new_with_bounds(1, highest, DIGITS).ok();
        Self {
            codec: codec.into(),
            way,
            intervals: 0,
            mos: histogram(MOS_HIGHEST),
            jitter: histogram(JITTER_HIGHEST),
            loss: histogram(LOSS_HIGHEST),
        }
    }

    fn add(&mut self, interval: &Interval) {
        self.intervals += 1;
        count(&mut self.mos, interval.score.map(|score| score.mos * MOS_UNITS));
        count(&mut self.jitter, interval.jitter_ms.map(|ms| ms * JITTER_UNITS));
        count(&mut self.loss, Some(interval.loss_percent() * LOSS_UNITS));
    }

    /// As it stands in the record of the peer.
    #[must_use]
    pub fn record(&self) -> QualityRecord {
        QualityRecord {
            codec: self.codec.to_string(),
            way: self.way,
            intervals: self.intervals,
            mos: spread(self.mos.as_ref(), MOS_UNITS, MOS_HIGHEST),
            jitter_ms: spread(self.jitter.as_ref(), JITTER_UNITS, JITTER_HIGHEST),
            loss_percent: spread(self.loss.as_ref(), LOSS_UNITS, LOSS_HIGHEST),
        }
    }

    /// Bytes that the histograms hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let all = [&self.mos, &self.jitter, &self.loss];
        all.iter().copied().flatten().map(|histogram| histogram.distinct_values() * size_of::<u32>()).sum()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and saturated")]
fn count(histogram: &mut Option<Histogram<u32>>, value: Option<f64>) {
    if let (Some(histogram), Some(value)) = (histogram, value) {
        histogram.saturating_record(value.round().max(0.0) as u64);
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 2,047")]
fn spread(histogram: Option<&Histogram<u32>>, units: f64, highest: u64) -> Option<SpreadRecord> {
    let histogram = histogram.filter(|histogram| !histogram.is_empty())?;
    // The highest value that counts as the same may lie above what there can be.
    let value = |n: u64| n.min(highest) as f64 / units;
    let at = |quantile| value(histogram.value_at_quantile(quantile));
    Some(SpreadRecord { min: at(0.0), p5: at(0.05), p50: at(0.5), p95: at(0.95), max: at(1.0) })
}

impl PeerTable {
    /// Counts an interval of a stream of the call for the peer that sends it, or to which it goes. Returns whether there was
    /// room for it.
    pub(crate) fn hear(&mut self, call: &Call, heard: &HeardInterval) -> bool {
        // What this host sends says nothing of the peer; what it says of its reception does.
        let Some(from) = heard.from.filter(|_| heard.is_remote || heard.direction != Direction::Out) else {
            return true;
        };
        let (side, way) = if heard.is_remote { (from.other(), MediaWay::To) } else { (from, MediaWay::From) };
        let role = match side {
            Side::Caller => LegRole::Calling,
            Side::Callee => LegRole::Called,
        };
        let legs = || call.legs.iter().filter(|leg| leg.role == role);
        let answered = |outcome: Option<u16>| outcome.is_some_and(|code| (200..300).contains(&code));
        let leg = legs().find(|leg| answered(leg.outcome)).or_else(|| legs().next());
        let Some(key) = leg.map(|leg| leg.peer) else { return true };
        let is_full = self.voices >= KEPT_OF_ALL;
        let Some(ledger) = self.get(key).filter(|peer| !peer.is_local).map(|peer| peer.ledger) else { return true };
        self.ledgers.hear(ledger, &heard.codec, way, &heard.interval);
        let Some(peer) = self.get_mut(key) else { return true };
        let known = peer.voices.iter().position(|v| v.way == way && v.codec.eq_ignore_ascii_case(&heard.codec));
        let index = known.unwrap_or(peer.voices.len());
        let mut added = false;
        if known.is_none() {
            if peer.voices.len() >= KEPT_OF_A_PEER || (is_full && peer.trunk.is_none()) {
                return false;
            }
            peer.voices.push(Voice::new(&heard.codec, way));
            added = peer.trunk.is_none();
        }
        if let Some(voice) = peer.voices.get_mut(index) {
            voice.add(&heard.interval);
        }
        self.voices += usize::from(added);
        true
    }
}

impl Peer {
    /// How many of what is kept of it count against the bound.
    pub(super) fn voices_counted(&self) -> usize {
        if self.trunk.is_none() { self.voices.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Score;
    use crate::time::Timestamp;

    fn interval(lost: u64, jitter_ms: f64, mos: f64) -> Interval {
        let score = Score { r: 0.0, mos, codec: 0.0, loss: 0.0, delay: 0.0 };
        Interval {
            from: Timestamp::ZERO,
            until: Timestamp::ZERO,
            expected: 500,
            lost,
            burst_ratio: None,
            jitter_ms: Some(jitter_ms),
            jitter_floor_ms: None,
            score: Some(score),
        }
    }

    #[test]
    fn percentiles_are_those_of_the_intervals() {
        let mut voice = Voice::new("PCMA", MediaWay::From);
        (0..90).for_each(|_| voice.add(&interval(0, 0.4, 4.41)));
        (0..10).for_each(|_| voice.add(&interval(50, 900.0, 1.5)));
        let record = voice.record();
        assert_eq!(record.intervals, 100);
        let near = |found: f64, wanted: f64| (found - wanted).abs() <= wanted * 0.01 + 0.005;
        let mos = record.mos.unwrap();
        assert!(near(mos.p5, 1.5) && near(mos.p50, 4.41) && near(mos.min, 1.5) && mos.max <= 4.5, "{mos:?}");
        let loss = record.loss_percent.unwrap();
        assert!(near(loss.p50, 0.0) && near(loss.p95, 10.0), "{loss:?}");
        let jitter = record.jitter_ms.unwrap();
        assert!(near(jitter.p50, 0.4) && near(jitter.max, 200.0), "{jitter:?}");
    }

    #[test]
    fn the_histograms_of_a_codec_and_direction_take_6_kib() {
        let mut voice = Voice::new("PCMA", MediaWay::From);
        (0..100_000).for_each(|n| voice.add(&interval(n % 500, f64::from(n as u32), 4.0)));
        assert_eq!(voice.bytes(), 6_144);
        assert!(KEPT_OF_ALL * voice.bytes() <= 6 << 20);
    }
}
