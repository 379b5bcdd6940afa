//! Calls a second, as measured over the last second.

use crate::time::Timestamp;

/// Starts of calls by tenths of a second.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    tenths: [u32; 10],
    last: i64,
    /// The most of any second, and when.
    peak: u32,
}

impl Meter {
    /// A call began.
    pub(crate) fn add(&mut self, now: Timestamp) {
        self.move_to(now);
        if let Some(tenth) = self.tenths.get_mut(self.last.rem_euclid(10) as usize) {
            *tenth += 1;
        }
        self.peak = self.peak.max(self.tenths.iter().sum());
    }

    /// Calls that began within the last second.
    #[must_use]
    pub fn per_second(&self, now: Timestamp) -> u32 {
        let mut moved = self.clone();
        moved.move_to(now);
        moved.tenths.iter().sum()
    }

    /// The most within any second.
    #[must_use]
    pub const fn peak(&self) -> u32 {
        self.peak
    }

    fn move_to(&mut self, now: Timestamp) {
        let tenth = now.unix_ns().div_euclid(100_000_000);
        let passed = tenth - self.last;
        if passed >= 10 {
            self.tenths = [0; 10];
        } else {
            for gone in 1..=passed.max(0) {
                if let Some(old) = self.tenths.get_mut((self.last + gone).rem_euclid(10) as usize) {
                    *old = 0;
                }
            }
        }
        self.last = self.last.max(tenth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_last_second_count_and_older_ones_do_not() {
        let at = |ms: i64| Timestamp::from_unix_ns(ms * 1_000_000);
        let mut meter = Meter::default();
        (0..20).for_each(|n| meter.add(at(n * 100)));
        assert_eq!(meter.per_second(at(1_900)), 10);
        assert_eq!(meter.per_second(at(2_400)), 5);
        assert_eq!(meter.per_second(at(9_000)), 0);
        assert_eq!(meter.peak(), 10);
    }
}
