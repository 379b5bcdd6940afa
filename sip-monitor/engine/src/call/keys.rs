//! When keys of a telephone were pressed, by INFO or as telephone events.

use core::time::Duration;

use smallvec::SmallVec;

use crate::time::Timestamp;

/// Presses kept.
const KEPT: usize = 4;
/// A press so soon after one that is kept belongs to the same input: a number is dialled key by key.
const INPUT: Duration = Duration::from_secs(10);

/// The last inputs by keys, by their first presses, oldest first. Who hears nothing presses keys again and again: those from
/// before must not be lost by that.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyTimes([Option<Timestamp>; KEPT]);

impl KeyTimes {
    /// A key was pressed.
    pub(crate) fn press(&mut self, at: Timestamp) {
        let [_, second, third, last] = self.0;
        if last.is_none_or(|last| at.since(last) >= INPUT) {
            self.0 = [second, third, last, Some(at)];
        }
    }

    /// Takes those of another stream, too.
    pub(crate) fn merge(&mut self, other: &Self) {
        if *other == Self::default() {
            return;
        }
        let mut all: SmallVec<[Timestamp; 2 * KEPT]> = self.0.iter().chain(&other.0).flatten().copied().collect();
        all.sort_unstable();
        *self = Self::default();
        all.into_iter().for_each(|at| self.press(at));
    }

    /// The last that is kept up to `at`.
    #[must_use]
    pub fn up_to(&self, at: Timestamp) -> Option<Timestamp> {
        self.0.iter().flatten().copied().filter(|pressed| *pressed <= at).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn many_keys_of_one_input_leave_the_one_before_in_place() {
        let mut keys = KeyTimes::default();
        for s in [5, 18, 31, 32, 33, 34, 35, 36, 37] {
            keys.press(at(s * 1_000));
        }
        assert_eq!(keys.up_to(at(20_000)), Some(at(18_000)));
        assert_eq!((keys.up_to(at(4_000)), keys.up_to(at(100_000))), (None, Some(at(31_000))));
    }

    #[test]
    fn those_of_two_streams_are_kept_in_their_order() {
        let (mut one, mut other) = (KeyTimes::default(), KeyTimes::default());
        [10, 50].into_iter().for_each(|s| one.press(at(s * 1_000)));
        [30, 70, 90].into_iter().for_each(|s| other.press(at(s * 1_000)));
        one.merge(&other);
        assert_eq!(one.0, [30, 50, 70, 90].map(|s| Some(at(s * 1_000))));
    }
}
