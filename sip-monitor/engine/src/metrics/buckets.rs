//! A histogram of fixed bounds whose counts only grow, as Prometheus wants them.

use crate::time::Timestamp;

/// One value that was counted, and the call it was of.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Call-ID header value.
    pub call_id: Box<str>,
    /// What was counted.
    pub value: f64,
    /// When.
    pub at: Timestamp,
}

/// Counts by value. A value counts in the first bucket whose bound it does not exceed.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    bounds: &'static [f64],
    /// One more than there are bounds: the last is for what is above all of them.
    counts: Box<[u64]>,
    sum: f64,
    /// The last of each bucket, where calls are told.
    exemplars: Box<[Option<Exemplar>]>,
}

impl Buckets {
    /// Seconds from asking to ringing or an answer.
    pub const SETUP_S: &'static [f64] =
        &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 180.0];
    /// Seconds that a call lasts. 20 to 40 s stand apart: calls that are cut off since an ACK is missing end there.
    pub const TALK_S: &'static [f64] =
        &[1.0, 5.0, 10.0, 20.0, 30.0, 35.0, 40.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0];
    /// Seconds from a request to its answer.
    pub const DELAY_S: &'static [f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
    /// Mean opinion score. What `low-mos` warns of (3.6) and what it calls critical (3.1) are bounds.
    pub const MOS: &'static [f64] = &[1.5, 2.0, 2.5, 2.8, 3.1, 3.4, 3.6, 3.8, 4.0, 4.2, 4.3, 4.4, 4.5];
    /// Seconds of interarrival jitter.
    pub const JITTER_S: &'static [f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2];
    /// Share of packets lost.
    pub const LOSS_RATIO: &'static [f64] = &[0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5];

    /// An empty one.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = vec![0; bounds.len() + 1].into();
        Self { bounds, counts, sum: 0.0, exemplars: Box::default() }
    }

    /// Counts a value. What is no number is not counted.
    pub fn add(&mut self, value: f64) {
        let index = self.index_of(value);
        if let Some(count) = self.counts.get_mut(index).filter(|_| value.is_finite()) {
            *count += 1;
            self.sum += value;
        }
    }

    /// Counts a value of a call and remembers the call.
    pub fn add_of(&mut self, value: f64, call_id: &str, at: Timestamp) {
        self.add(value);
        if self.exemplars.is_empty() {
            self.exemplars = vec![None; self.counts.len()].into();
        }
        let index = self.index_of(value);
        if let Some(place) = self.exemplars.get_mut(index) {
            *place = Some(Exemplar { call_id: call_id.into(), value, at });
        }
    }

    /// Upper bound, how many lie at or below it, and the last call counted between it and the bound before; `None` as a bound
    /// is infinity.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64, Option<&Exemplar>)> + '_ {
        let mut below = 0;
        self.counts.iter().enumerate().map(move |(index, count)| {
            below += count;
            let exemplar = self.exemplars.get(index).and_then(Option::as_ref);
            (self.bounds.get(index).copied(), below, exemplar)
        })
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    fn index_of(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_counts_below_it() {
        let mut buckets = Buckets::new(&[1.0, 2.0]);
        [0.5, 1.0, 1.5, 2.5].into_iter().for_each(|value| buckets.add(value));
        let counts: Vec<_> = buckets.cumulative().map(|(bound, count, _)| (bound, count)).collect();
        assert_eq!(counts, [(Some(1.0), 2), (Some(2.0), 3), (None, 4)]);
        assert_eq!((buckets.count(), buckets.sum()), (4, 5.5));
    }

    #[test]
    fn what_is_no_number_is_not_counted() {
        let mut buckets = Buckets::new(&[1.0]);
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().for_each(|value| buckets.add(value));
        assert_eq!((buckets.count(), buckets.sum()), (0, 0.0));
    }

    #[test]
    fn the_last_call_of_a_bucket_is_its_exemplar() {
        let mut buckets = Buckets::new(&[1.0, 2.0]);
        buckets.add_of(1.5, "a", Timestamp::ZERO);
        buckets.add_of(1.75, "b", Timestamp::ZERO);
        let told: Vec<_> =
            buckets.cumulative().map(|(.., exemplar)| exemplar.map(|e| (&*e.call_id, e.value))).collect();
        assert_eq!(told, [None, Some(("b", 1.75)), None]);
    }

    #[test]
    fn bounds_ascend() {
        let all =
            [Buckets::SETUP_S, Buckets::TALK_S, Buckets::DELAY_S, Buckets::MOS, Buckets::JITTER_S, Buckets::LOSS_RATIO];
        for bounds in all {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }
}
