//! How the last calls to a peer ended. A window needs no tuning: it reaches back five minutes, and where that holds too
//! few calls, as far as it takes to have enough, up to half a day. So a trunk of one call an hour is judged like one of
//! ten a second, and a quiet night neither empties nor fills it.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::text::StoredText;
use crate::time::Timestamp;

const SLOT_NS: i64 = 10_000_000_000;
/// Slots of the last five minutes.
const RECENT: i64 = 30;
/// Half a day.
const OLDEST: i64 = 12 * 360;
/// Thirty recent ones and, each with a call at least, as many older ones as a verdict may ask for.
const SLOTS_KEPT: usize = 64;
/// Different codes told of one slot.
const CODES_KEPT: usize = 16;
/// Call-IDs of bad calls kept.
const SAMPLES_KEPT: usize = 5;

/// In place of a code: the call was given up without a final response.
pub const ABANDONED: u16 = 1;

/// Ends of calls, by ten seconds.
#[derive(Clone, Debug, Default)]
pub struct Window {
    slots: VecDeque<Slot>,
    samples: VecDeque<StoredText>,
    good_in_a_row: u32,
}

#[derive(Clone, Debug)]
struct Slot {
    number: i64,
    total: u32,
    bad: u32,
    limited: u32,
    by_users: u32,
    codes: SmallVec<[(u16, u32); 4]>,
}

/// How one call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Final code; 0 is no answer.
    pub code: u16,
    /// It is bad in the sense of the window.
    pub is_bad: bool,
    /// A limit was named.
    pub limited: bool,
    /// A user would not talk.
    pub by_user: bool,
}

/// What a window holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Calls.
    pub total: u32,
    /// Those that ended badly, in the sense of who asked for the window.
    pub bad: u32,
    /// Those refused for a limit that was named.
    pub limited: u32,
    /// Those of the bad ones that ended as they did since a user would not talk: busy, declined, cancelled, not picked up.
    pub by_users: u32,
    /// Codes of the bad ones, most frequent first; 0 is no answer.
    pub codes: Vec<(u16, u32)>,
    /// Start of the oldest ten seconds in it.
    pub since: Timestamp,
}

impl Ends {
    /// Bad ones, per cent.
    #[must_use]
    pub fn bad_percent(&self) -> f64 {
        if self.total == 0 { 0.0 } else { f64::from(self.bad) * 100.0 / f64::from(self.total) }
    }

    /// Bad ones with one of these codes.
    #[must_use]
    pub fn with(&self, wanted: impl Fn(u16) -> bool) -> u32 {
        self.codes.iter().filter(|(code, _)| wanted(*code)).map(|(_, count)| count).sum()
    }

    /// The codes and how often each came, as text.
    #[must_use]
    pub fn codes_text(&self) -> String {
        let one = |(code, count): &(u16, u32)| match *code {
            0 => format!("{count} x no answer"),
            ABANDONED => format!("{count} x given up"),
            code => format!("{count} x {code}"),
        };
        self.codes.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

impl Window {
    /// A call ended.
    pub(crate) fn add(&mut self, now: Timestamp, end: End, call_id: &StoredText) {
        let End { code, is_bad, limited, by_user } = end;
        let number = now.unix_ns().div_euclid(SLOT_NS);
        if self.slots.back().is_none_or(|slot| slot.number < number) {
            if self.slots.len() == SLOTS_KEPT {
                self.slots.pop_front();
            }
            self.slots.push_back(Slot { number, total: 0, bad: 0, limited: 0, by_users: 0, codes: SmallVec::new() });
        }
        let Some(slot) = self.slots.back_mut() else { return };
        slot.total += 1;
        slot.limited += u32::from(limited);
        self.good_in_a_row = if is_bad { 0 } else { self.good_in_a_row.saturating_add(1) };
        if !is_bad {
            return;
        }
        slot.bad += 1;
        slot.by_users += u32::from(by_user);
        if let Some((_, count)) = slot.codes.iter_mut().find(|(known, _)| *known == code) {
            *count += 1;
        } else if slot.codes.len() < CODES_KEPT {
            slot.codes.push((code, 1));
        }
        if self.samples.len() == SAMPLES_KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(call_id.clone());
    }

    /// Forgets all: what was wrong is over.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Forgets the calls that ended with one of these codes: what was wrong with them is over, and was told as that.
    pub(crate) fn forget(&mut self, is_over: impl Fn(u16) -> bool) {
        for slot in &mut self.slots {
            let gone: u32 = slot.codes.iter().filter(|(code, _)| is_over(*code)).map(|(_, count)| count).sum();
            slot.codes.retain(|(code, _)| !is_over(*code));
            slot.bad = slot.bad.saturating_sub(gone);
            slot.total = slot.total.saturating_sub(gone);
        }
    }

    /// How many calls in a row did not end badly, up to now.
    #[must_use]
    pub const fn good_in_a_row(&self) -> u32 {
        self.good_in_a_row
    }

    /// The last five minutes, and before them as many calls as are missing to `wanted`.
    #[must_use]
    pub fn ends(&self, now: Timestamp, wanted: u32) -> Ends {
        let number = now.unix_ns().div_euclid(SLOT_NS);
        let mut ends = Ends { since: now, ..Ends::default() };
        for slot in self.slots.iter().rev() {
            let age = number - slot.number;
            if age > OLDEST || (age > RECENT && ends.total >= wanted) {
                break;
            }
            ends.total += slot.total;
            ends.bad += slot.bad;
            ends.limited += slot.limited;
            ends.by_users += slot.by_users;
            ends.since = Timestamp::from_unix_ns(slot.number * SLOT_NS);
            for (code, count) in &slot.codes {
                match ends.codes.iter_mut().find(|(known, _)| known == code) {
                    Some((_, sum)) => *sum += count,
                    None => ends.codes.push((*code, *count)),
                }
            }
        }
        ends.codes.sort_by_key(|(code, count)| (core::cmp::Reverse(*count), *code));
        ends
    }

    /// Call-IDs of the last bad calls, oldest first.
    pub fn samples(&self) -> impl Iterator<Item = &StoredText> {
        self.samples.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ns(seconds * 1_000_000_000)
    }

    fn add(window: &mut Window, seconds: i64, code: u16) {
        let id = StoredText::new(format!("{seconds}@x").as_bytes(), 64);
        window.add(at(seconds), End { code, is_bad: code != 200, limited: false, by_user: false }, &id);
    }

    #[test]
    fn a_window_reaches_back_as_far_as_it_takes_to_hold_enough_calls() {
        let mut window = Window::default();
        (0..12).for_each(|hour| add(&mut window, hour * 3_000, 503));
        let ends = window.ends(at(11 * 3_000 + 1), 10);
        assert_eq!((ends.total, ends.bad), (10, 10));
        assert_eq!(ends.codes, [(503, 10)]);
    }

    #[test]
    fn busy_windows_hold_five_minutes_and_no_more() {
        let mut window = Window::default();
        (0..1_000).for_each(|second| add(&mut window, second, 200));
        let ends = window.ends(at(999), 10);
        assert!((300..=320).contains(&ends.total), "{}", ends.total);
    }

    #[test]
    fn what_is_older_than_half_a_day_is_of_no_interest() {
        let mut window = Window::default();
        (0..9).for_each(|n| add(&mut window, n, 503));
        add(&mut window, 50_000, 503);
        assert_eq!(window.ends(at(50_000), 10).total, 1);
    }
}
