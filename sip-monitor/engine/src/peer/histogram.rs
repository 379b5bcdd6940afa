//! Times in milliseconds, counted to two significant digits: small, and enough for p50 and p95.

use core::time::Duration;

/// Values below are counted exactly; above, each power of two has half as many steps, so that an error stays below 1 %.
const EXACT: u32 = 128;
const STEPS: u32 = EXACT / 2;
/// Longest time told apart: 2^27 ms, 37 hours.
const LONGEST_MS: u32 = (1 << 27) - 1;

/// Counts by time. Grows only as far as the longest time it has seen needs: at most 3 kB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u16>,
    total: u32,
}

impl Histogram {
    /// Counts a time.
    pub fn add(&mut self, time: Duration) {
        let ms = u32::try_from(time.as_millis()).unwrap_or(LONGEST_MS).min(LONGEST_MS);
        let index = index_of(ms);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        if self.counts.get(index) == Some(&u16::MAX) {
            // Halving all keeps the shape, which is all that percentiles need.
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().copied().map(u32::from).sum();
        }
        if let Some(count) = self.counts.get_mut(index) {
            *count += 1;
            self.total += 1;
        }
    }

    /// How many times were counted; fewer after 65,535 of one kind, which halve all.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.total
    }

    /// The time that so many per cent stay below or reach; `None` where nothing was counted.
    #[must_use]
    pub fn percentile(&self, percent: u32) -> Option<Duration> {
        let rank = (u64::from(self.total) * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut below = 0;
        let index = self.counts.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        })?;
        Some(Duration::from_millis(value_of(index).into()))
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, count) in self.counts.iter_mut().zip(&other.counts) {
            *own = own.saturating_add(*count);
        }
        self.total = self.counts.iter().copied().map(u32::from).sum();
    }
}

fn index_of(ms: u32) -> usize {
    if ms < EXACT {
        return ms as usize;
    }
    let shift = ms.ilog2() - EXACT.ilog2() + 1;
    (EXACT + (shift - 1) * STEPS + (ms >> shift) - STEPS) as usize
}

/// The highest time that is counted there.
fn value_of(index: usize) -> u32 {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    if index < EXACT {
        return index;
    }
    let shift = (index - EXACT) / STEPS + 1;
    let step = (index - EXACT) % STEPS + STEPS;
    ((step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|ms| histogram.add(Duration::from_millis(ms)));
        histogram
    }

    #[test]
    fn every_time_is_told_to_within_two_per_cent() {
        for ms in (0..2_000).chain((2_000..90_000_000).step_by(77_777)) {
            let told = of([ms]).percentile(50).unwrap().as_millis() as u64;
            assert!(told >= ms && told - ms <= ms / 50, "{ms} told as {told}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let histogram = of(1..=100);
        assert_eq!(histogram.percentile(50), Some(Duration::from_millis(50)));
        assert_eq!(histogram.percentile(95), Some(Duration::from_millis(95)));
        assert_eq!(Histogram::default().percentile(50), None);
    }

    #[test]
    fn a_histogram_stays_small_and_keeps_its_shape_when_a_counter_is_full() {
        let mut histogram = of([u64::MAX]);
        assert!(histogram.counts.len() * 2 < 3_000, "{}", histogram.counts.len());
        for _ in 0..200_000 {
            histogram.add(Duration::from_millis(20));
        }
        assert_eq!(histogram.percentile(50), Some(Duration::from_millis(20)));
    }
}
