//! How long the last answered calls of a peer lasted, and whether many of them lasted equally long.

use std::collections::VecDeque;

use crate::record::Side;
use crate::text::StoredText;

/// Calls kept.
const KEPT: usize = 128;
/// Calls count as equally long within this much of the middle.
const AROUND_MS: u32 = 1_500;
/// The middle half of them lies within this much.
const MIDDLE_MS: u32 = 1_000;
/// Shorter calls end alike for many reasons: announcements, mailboxes.
const SHORTEST_MS: u32 = 10_000;

/// An answered call that is over.
#[derive(Clone, Debug)]
pub struct Talk {
    /// From its 2xx to its BYE.
    pub duration_ms: u32,
    /// Who hung up.
    pub by: Option<Side>,
    /// Session interval agreed on (RFC 4028), seconds.
    pub session_interval_s: Option<u32>,
    /// Call-ID.
    pub call_id: StoredText,
}

/// The last answered calls that are over.
#[derive(Clone, Debug, Default)]
pub struct Talks {
    last: VecDeque<Talk>,
}

/// Calls that lasted equally long and were hung up by the same side.
#[derive(Clone, Debug)]
pub struct Alike<'a> {
    /// The middle of their durations.
    pub duration_ms: u32,
    /// Who hung up.
    pub by: Side,
    /// The calls.
    pub calls: Vec<&'a Talk>,
    /// Calls that ended in all.
    pub of: usize,
}

impl Talks {
    pub(crate) fn add(&mut self, talk: Talk) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(talk);
    }

    /// Whether the last one is like enough others before it: only then is it worth looking closer.
    #[must_use]
    pub fn last_has_likes(&self) -> bool {
        let Some(last) = self.last.back().filter(|talk| talk.duration_ms > SHORTEST_MS) else { return false };
        let alike = |talk: &&Talk| talk.by == last.by && talk.duration_ms.abs_diff(last.duration_ms) <= 2 * AROUND_MS;
        let likes = self.last.iter().filter(alike).count();
        likes >= 4 && likes * 5 >= self.last.len()
    }

    /// The largest group of calls that lasted equally long.
    #[must_use]
    pub fn alike(&self) -> Option<Alike<'_>> {
        let largest = |by| {
            let mut calls: Vec<&Talk> =
                self.last.iter().filter(|talk| talk.by == Some(by) && talk.duration_ms > SHORTEST_MS).collect();
            calls.sort_by_key(|talk| talk.duration_ms);
            let group = |from: usize| {
                let first = calls.get(from).map_or(0, |talk| talk.duration_ms);
                let to = calls.partition_point(|talk| talk.duration_ms <= first + 2 * AROUND_MS);
                (to - from, from, to)
            };
            let (_, from, to) =
                (0..calls.len()).map(group).max_by_key(|(count, from, _)| (*count, usize::MAX - from))?;
            let group = calls.get(from..to)?;
            let (first, last) = (group.first()?.duration_ms, group.last()?.duration_ms);
            // Calls of every length give groups too: one that stands out has few neighbours on either side.
            let width = 2 * AROUND_MS;
            let near = |ms: u32| (ms < first && ms + width >= first) || (ms > last && ms <= last + width);
            let neighbours = self.last.iter().filter(|talk| talk.by == Some(by) && near(talk.duration_ms)).count();
            // What expires does so at one time. When the monitor has just begun, only short calls have ended yet: those
            // fill the window evenly.
            let quarter = group.len() / 4;
            let middle = group.get(quarter..group.len() - quarter)?;
            let spread = middle.last()?.duration_ms - middle.first()?.duration_ms;
            (neighbours * 2 <= group.len() && spread <= MIDDLE_MS).then(|| Alike {
                duration_ms: (first + last) / 2,
                by,
                calls: group.to_vec(),
                of: self.last.len(),
            })
        };
        [Side::Caller, Side::Callee].into_iter().filter_map(largest).max_by_key(|group| group.calls.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talks(durations: impl IntoIterator<Item = u32>) -> Talks {
        let mut talks = Talks::default();
        for duration_ms in durations {
            let (by, call_id) = (Some(Side::Callee), StoredText::default());
            talks.add(Talk { duration_ms, by, session_interval_s: None, call_id });
        }
        talks
    }

    #[test]
    fn calls_of_one_length_are_found_among_others() {
        let talks = talks([32_000, 95_000, 31_500, 12_000, 32_700, 240_000, 31_900, 32_100]);
        let alike = talks.alike().unwrap();
        assert_eq!((alike.calls.len(), alike.of, alike.duration_ms), (5, 8, 32_100));
    }

    #[test]
    fn the_first_calls_to_end_after_the_start_are_not_alike() {
        assert!(talks((0..128).map(|n| 9_900 + n * 25)).alike().is_none());
    }

    #[test]
    fn calls_of_every_length_are_not_alike() {
        let spread = talks((0..128).map(|n| 11_000 + n * 700));
        assert!(spread.alike().is_none(), "{:?}", spread.alike().map(|a| a.calls.len()));
    }
}
