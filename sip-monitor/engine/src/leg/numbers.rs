//! Calls by their numbers, for as long as another leg of them may still leave: a few seconds.

use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::call::number::Number;
use crate::call::{Call, CallKey};
use crate::sip::Uri;
use crate::text::StoredText;
use crate::time::Timestamp;

/// Digits at the end of a number by which it is found, however its beginning is written.
const TAIL_DIGITS: u32 = 7;
/// Calls of one number looked at; where there are more, which is meant cannot be said.
const LOOKED_AT: usize = 16;
/// Numbers kept at a time.
const KEPT: usize = 65_536;

/// Calls of the last seconds by called and by calling number.
#[derive(Debug)]
pub(super) struct NumberIndex {
    by_number: HashTable<Entry>,
    in_order: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    hash: u64,
    call: CallKey,
    at: Timestamp,
}

/// The hashes by which the two numbers of a call are found: what is read of each call.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberKeys([Option<u64>; 2]);

/// The two numbers of a call: what is read where another call has the same keys.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    called: Option<Party>,
    calling: Option<Party>,
}

/// Who is called or calls.
#[derive(Clone, Debug, PartialEq)]
enum Party {
    /// A telephone number.
    Number(Number),
    /// A name or an extension, which is one only where it is known.
    User(String),
}

/// How well the numbers of two calls fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// One of them is the same, and nothing contradicts.
    One,
    /// Both are.
    Both,
}

impl NumberIndex {
    /// Nothing.
    pub fn new() -> Self {
        Self { by_number: HashTable::new(), in_order: VecDeque::new() }
    }

    /// Calls that have one of the numbers at least, `None` where they are too many to tell which is meant.
    pub fn find(&self, keys: NumberKeys) -> Option<SmallVec<[CallKey; 4]>> {
        let mut found = SmallVec::new();
        for hash in keys.0.into_iter().flatten() {
            for entry in self.by_number.iter_hash(hash).filter(|entry| entry.hash == hash) {
                if found.contains(&entry.call) {
                    continue;
                }
                if found.len() == LOOKED_AT {
                    return None;
                }
                found.push(entry.call);
            }
        }
        // The table has an order of its own, which is another at each run.
        found.sort();
        Some(found)
    }

    /// Keeps a call for as long as `within`. Returns how many others had to go early.
    pub fn insert(&mut self, call: CallKey, keys: NumberKeys, at: Timestamp, within: Duration) -> u64 {
        while self.in_order.front().is_some_and(|entry| at.since(entry.at) > within) {
            self.drop_oldest();
        }
        let mut evicted = 0;
        for hash in keys.0.into_iter().flatten() {
            if self.in_order.len() >= KEPT {
                self.drop_oldest();
                evicted += 1;
            }
            let entry = Entry { hash, call, at };
            self.in_order.push_back(entry);
            self.by_number.insert_unique(hash, entry, |entry| entry.hash);
        }
        evicted
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.in_order.pop_front() else { return };
        if let Ok(found) = self.by_number.find_entry(oldest.hash, |entry| *entry == oldest) {
            found.remove();
        }
    }
}

impl NumberKeys {
    /// The keys of a call.
    pub fn of(call: &Call, hasher: &RandomState) -> Self {
        let key = |user: &str| {
            if is_nobody(user) {
                None
            } else {
                Some(tail(user).map_or_else(|| hasher.hash_one(user), |tail| hasher.hash_one(tail)))
            }
        };
        // A number may call the one and be called by the other: their keys differ.
        let [called, calling] = users(call).map(|user| user.and_then(key));
        Self([called, calling.map(|key| !key)])
    }
}

impl Numbers {
    /// The numbers of a call.
    pub fn of(call: &Call) -> Self {
        let [called, calling] = users(call).map(|user| user.and_then(Party::of_user));
        Self { called, calling }
    }

    /// How well they fit those of another call.
    pub fn fit(&self, other: &Self) -> Option<Fit> {
        let is_same = |one: &Option<Party>, other: &Option<Party>| match (one, other) {
            (Some(one), Some(other)) => one.is(other),
            (None, _) | (_, None) => false,
        };
        // An extension may stand for a number, and no number for any. Two numbers that differ are two subscribers.
        let differs = |one: &Option<Party>, other: &Option<Party>| match (one, other) {
            (Some(Party::Number(one)), Some(Party::Number(other))) => !one.may_be(other),
            (Some(_) | None, _) => false,
        };
        let is_number = |party: &Option<Party>| matches!(party, Some(Party::Number(_)));
        match (is_same(&self.called, &other.called), is_same(&self.calling, &other.calling)) {
            (true, true) => Some(Fit::Both),
            (true, false) if is_number(&self.called) && !differs(&self.calling, &other.calling) => Some(Fit::One),
            (false, true) if is_number(&self.calling) && !differs(&self.called, &other.called) => Some(Fit::One),
            (true | false, _) => None,
        }
    }
}

impl Party {
    fn of_user(user: &str) -> Option<Self> {
        if is_nobody(user) {
            return None;
        }
        let number = Number::of_user(user).filter(|number| tail(number.as_str()).is_some());
        Some(number.map_or_else(|| Self::User(user.to_owned()), Self::Number))
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.may_be(other),
            (Self::User(one), Self::User(other)) => one == other,
            (Self::Number(_), Self::User(_)) | (Self::User(_), Self::Number(_)) => false,
        }
    }
}

/// The user parts of the Request-URI and of From.
fn users(call: &Call) -> [Option<&str>; 2] {
    let called = call.attempt.as_ref().and_then(|attempt| attempt.called.as_ref()).map(StoredText::as_str);
    [called.or_else(|| user(call.to.as_str())), user(call.from.as_str())]
}

fn user(uri: &str) -> Option<&str> {
    core::str::from_utf8(Uri::parse(uri.as_bytes()).ok()?.user?).ok()
}

/// Stands in place of a number that is not told.
fn is_nobody(user: &str) -> bool {
    user.is_empty() || ["anonymous", "unknown", "restricted"].iter().any(|nobody| user.eq_ignore_ascii_case(nobody))
}

/// The last digits of what is written like a number; `None` for names and extensions.
fn tail(user: &str) -> Option<u32> {
    let (mut tail, mut count) = (0, 0);
    for byte in user.bytes() {
        match byte {
            b'0'..=b'9' => {
                tail = (tail * 10 + u32::from(byte - b'0')) % 10_u32.pow(TAIL_DIGITS);
                count += 1;
            }
            b'+' | b'-' | b'.' | b'(' | b')' => {}
            b';' => break,
            _ => return None,
        }
    }
    (count >= TAIL_DIGITS).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(called: &str, calling: &str) -> Numbers {
        Numbers { called: Party::of_user(called), calling: Party::of_user(calling) }
    }

    fn fit(one: (&str, &str), other: (&str, &str)) -> Option<Fit> {
        numbers(one.0, one.1).fit(&numbers(other.0, other.1))
    }

    #[test]
    fn numbers_are_the_same_whatever_their_prefix() {
        assert_eq!(fit(("+15551230002", "+15551230001"), ("5551230002", "0015551230001")), Some(Fit::Both));
        assert_eq!(fit(("1002", "1001"), ("1002", "1001")), Some(Fit::Both));
        assert_eq!(fit(("1002", "1001"), ("1003", "1001")), None, "an extension alone is too short");
    }

    #[test]
    fn an_extension_may_stand_for_a_number_but_no_number_for_another() {
        assert_eq!(fit(("+15551230002", "+15551230001"), ("1002", "+15551230001")), Some(Fit::One));
        assert_eq!(fit(("+15551230002", "1001"), ("+15551230002", "+15559990000")), Some(Fit::One));
        assert_eq!(fit(("+15551230002", "anonymous"), ("+15551230002", "+15559990000")), Some(Fit::One));
        assert_eq!(fit(("+15551230002", "+15551230001"), ("+15551230002", "+15559990000")), None);
        assert_eq!(fit(("+15551230002", "+15551230001"), ("+15557770000", "+15551230001")), None);
    }

    #[test]
    fn a_number_is_found_by_its_end_and_a_name_by_all_of_it() {
        assert_eq!(tail("+1 555"), None);
        assert_eq!(tail("+1-555-123-0002;npdi"), Some(1_230_002));
        assert_eq!(tail("0015551230002"), tail("5551230002"));
        assert_eq!(tail("1002"), None);
        assert_eq!(tail("alice5551230002"), None);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten_and_no_number_takes_more_than_its_share() {
        let mut index = NumberIndex::new();
        let at = |s: i64| Timestamp::from_unix_ns(s * 1_000_000_000);
        let key = |slot| CallKey { slot, generation: 1 };
        let within = Duration::from_secs(5);
        let wanted = NumberKeys([Some(2), Some(1)]);
        for slot in 0..16 {
            index.insert(key(slot), wanted, at(100), within);
        }
        assert_eq!(index.find(wanted).map(|found| found.len()), Some(16));
        index.insert(key(16), wanted, at(100), within);
        assert_eq!(index.find(wanted), None, "too many to tell");
        index.insert(key(17), wanted, at(106), within);
        assert_eq!(index.find(wanted).as_deref(), Some(&[key(17)][..]));
        assert_eq!((index.by_number.len(), index.in_order.len()), (2, 2));
    }

    #[test]
    fn a_flood_of_numbers_stays_within_its_room() {
        let mut index = NumberIndex::new();
        let mut evicted = 0;
        for slot in 0..100_000_u32 {
            let keys = NumberKeys([Some(slot.into()), None]);
            evicted += index.insert(CallKey { slot, generation: 1 }, keys, Timestamp::ZERO, Duration::from_secs(5));
        }
        assert_eq!((index.by_number.len(), index.in_order.len()), (KEPT, KEPT));
        assert_eq!(evicted, 100_000 - KEPT as u64);
    }
}
