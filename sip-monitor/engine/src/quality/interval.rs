//! What ten seconds of a stream were like.

use core::time::Duration;

use super::{BUFFER_MS, CodecQuality, Conditions, PACKETISATION_MS, Score};
use crate::time::Timestamp;

/// One interval of one stream, as one witness saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its first moment.
    pub from: Timestamp,
    /// Its last.
    pub until: Timestamp,
    /// Sequence numbers that should have come.
    pub expected: u64,
    /// Those that did not.
    pub lost: u64,
    /// Mean run of lost packets over what it would be at random loss, at least 1 (G.107 7.5); `None` where the witness does
    /// not tell.
    pub burst_ratio: Option<f64>,
    /// Mean interarrival jitter, milliseconds; `None` where the clock rate is not known for all of it.
    pub jitter_ms: Option<f64>,
    /// The lowest that the running estimate stood at when it was looked at, about once a second; of one disturbance it falls
    /// back at once.
    pub jitter_floor_ms: Option<f64>,
    /// What the E-model says; `None` for codecs it does not know.
    pub score: Option<Score>,
}

impl Interval {
    /// Share of what should have come that did not, percent.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // packets of 10 s
    pub fn loss_percent(&self) -> f64 {
        if self.expected == 0 { 0.0 } else { 100.0 * self.lost as f64 / self.expected as f64 }
    }

    /// What came too late to be played, in percent of what came: packet delay taken as normally distributed about the middle
    /// of the buffer. Interarrival jitter is the mean difference of two such delays, 2/sqrt(pi) of their deviation.
    #[must_use]
    pub fn discarded_percent(&self) -> f64 {
        let Some(jitter_ms) = self.jitter_ms.filter(|ms| *ms > 0.0) else { return 0.0 };
        let deviation_ms = jitter_ms * core::f64::consts::PI.sqrt() / 2.0;
        100.0 * beyond(BUFFER_MS / deviation_ms)
    }

    /// Rates it: `path` is what the packets take one way on the network.
    pub fn rate(&mut self, codec: Option<CodecQuality>, path: Option<Duration>) {
        let lost = self.loss_percent() / 100.0;
        let gone = lost + (1.0 - lost) * self.discarded_percent() / 100.0;
        let conditions = Conditions {
            loss_percent: 100.0 * gone,
            burst_ratio: self.burst_ratio.unwrap_or(1.0),
            delay_ms: path.map_or(0.0, |path| path.as_secs_f64() * 1e3) + BUFFER_MS + PACKETISATION_MS,
        };
        self.score = codec.map(|codec| Score::new(&codec, &conditions));
    }
}

/// Share of a normal distribution beyond `x` deviations on one side: `erfc(x / sqrt 2) / 2` (Abramowitz and Stegun 7.1.26,
/// error below 1.5e-7).
fn beyond(x: f64) -> f64 {
    let z = x / core::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    0.5 * poly * (-z * z).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::codec_quality;

    fn interval(expected: u64, lost: u64, jitter_ms: f64) -> Interval {
        let (from, until) = (Timestamp::ZERO, Timestamp::ZERO + Duration::from_secs(10));
        let jitter = Some(jitter_ms);
        Interval {
            from,
            until,
            expected,
            lost,
            burst_ratio: None,
            jitter_ms: jitter,
            jitter_floor_ms: jitter,
            score: None,
        }
    }

    #[test]
    fn a_normal_tail_is_as_tables_have_it() {
        for (x, share) in [(0.0, 0.5), (1.0, 0.158_66), (1.96, 0.025), (3.0, 0.001_35)] {
            assert!((beyond(x) - share).abs() < 1e-4, "{x}: {}", beyond(x));
        }
    }

    #[test]
    fn little_jitter_is_swallowed_by_the_buffer_and_much_is_not() {
        assert!(interval(500, 0, 20.0).discarded_percent() < 0.1);
        assert!(interval(500, 0, 80.0).discarded_percent() > 15.0);
    }

    #[test]
    fn half_a_round_trip_and_the_buffer_make_the_delay() {
        let mut rated = interval(500, 0, 0.0);
        rated.rate(codec_quality("PCMU"), Some(Duration::from_millis(320)));
        let score = rated.score.unwrap();
        assert!((score.mos - 3.56).abs() < 0.05, "400 ms: {score:?}");
    }
}
