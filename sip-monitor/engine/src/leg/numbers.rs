//! Calls by their numbers, for as long as another leg of them may still leave: a few seconds.

use core::hash::BuildHasher;
use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::way::Node;
use crate::call::number::Number;
use crate::call::{Call, CallKey};
use crate::sip::Uri;
use crate::text::StoredText;
use crate::time::Timestamp;

/// Digits at the end of a number by which it is found, however its beginning is written.
const TAIL_DIGITS: u32 = 7;
/// Calls of one number kept; where there are more, which is meant cannot be said by it.
const LOOKED_AT: usize = 16;
/// Numbers kept at a time.
const KEPT: usize = 65_536;

/// Calls of the last seconds by called and by calling number.
#[derive(Debug)]
pub(super) struct NumberIndex {
    by_number: HashMap<u64, Bucket, RandomState>,
    /// When which number was used, for as long as it is kept.
    in_order: VecDeque<(Timestamp, u64)>,
}

/// Calls of one number, oldest first.
#[derive(Debug, Default)]
struct Bucket {
    calls: SmallVec<[Began; 1]>,
    /// The last one that found no room.
    crowded_at: Option<Timestamp>,
}

/// A call of a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub at: Timestamp,
    pub call: CallKey,
    /// Who sent its first INVITE, where that is known.
    pub origin: Option<Node>,
}

/// Calls with a number of another one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// In the order of keys.
    pub calls: SmallVec<[CallKey; 4]>,
    /// Of one of the numbers there were more.
    pub is_crowded: bool,
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
    pub fn new(hasher: RandomState) -> Self {
        Self { by_number: HashMap::with_hasher(hasher), in_order: VecDeque::new() }
    }

    /// Calls that began at `since` or later, have one of the numbers at least and do not come from the host that `origin` is:
    /// two calls from one host are no legs, and a busy host sends one number many.
    pub fn find(&self, keys: NumberKeys, since: Timestamp, origin: Option<Node>) -> Found {
        let is_same = |other: Option<Node>| origin.zip(other).is_some_and(|(one, other)| one.is(&other));
        let mut found = Found::default();
        for bucket in keys.0.iter().flatten().filter_map(|key| self.by_number.get(key)) {
            found.is_crowded |= bucket.crowded_at.is_some_and(|at| at >= since);
            for other in bucket.calls.iter().filter(|other| other.at >= since && !is_same(other.origin)) {
                if !found.calls.contains(&other.call) {
                    found.calls.push(other.call);
                }
            }
        }
        found.calls.sort();
        found
    }

    /// Keeps a call and forgets those that began before `since`. Returns how many others had to go early.
    pub fn insert(&mut self, began: Began, keys: NumberKeys, since: Timestamp) -> u64 {
        while self.in_order.front().is_some_and(|(at, _)| *at < since) {
            self.drop_oldest();
        }
        let mut evicted = 0;
        for key in keys.0.into_iter().flatten() {
            if self.in_order.len() >= KEPT {
                self.drop_oldest();
                evicted += 1;
            }
            self.in_order.push_back((began.at, key));
            let bucket = self.by_number.entry(key).or_default();
            if bucket.calls.len() < LOOKED_AT {
                bucket.calls.push(began);
            } else {
                bucket.crowded_at = Some(began.at);
            }
        }
        evicted
    }

    fn drop_oldest(&mut self) {
        let Some((at, key)) = self.in_order.pop_front() else { return };
        let Some(bucket) = self.by_number.get_mut(&key) else { return };
        bucket.calls.retain(|began| began.at > at);
        let is_over = bucket.crowded_at.is_none_or(|crowded_at| crowded_at <= at);
        if bucket.calls.is_empty() && is_over {
            self.by_number.remove(&key);
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

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ns(s * 1_000_000_000)
    }

    fn key(slot: u32) -> CallKey {
        CallKey { slot, generation: 1 }
    }

    fn began(slot: u32, s: i64) -> Began {
        Began { at: at(s), call: key(slot), origin: None }
    }

    #[test]
    fn calls_from_one_host_are_no_legs_of_each_other() {
        let mut index = NumberIndex::new(RandomState::default());
        let node = |addr: &str| Some(Node { addr: addr.parse().unwrap(), here: false });
        let (one, other) = (node("198.51.100.4:5060"), node("203.0.113.7:5060"));
        let keys = NumberKeys([Some(2), None]);
        index.insert(Began { origin: one, ..began(1, 100) }, keys, at(95));
        index.insert(Began { origin: other, ..began(2, 100) }, keys, at(95));
        index.insert(began(3, 100), keys, at(95));
        let found = |origin| index.find(keys, at(95), origin).calls.to_vec();
        assert_eq!(found(node("198.51.100.4:5070")), [key(2), key(3)]);
        assert_eq!(found(other), [key(1), key(3)]);
        assert_eq!(found(None), [key(1), key(2), key(3)]);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten_and_no_number_takes_more_than_its_share() {
        let mut index = NumberIndex::new(RandomState::default());
        let (wanted, of_caller) = (NumberKeys([Some(2), Some(1_000)]), NumberKeys([None, Some(1_000)]));
        for slot in 0..16 {
            index.insert(began(slot, 100), NumberKeys([Some(2), Some(1_000 + u64::from(slot))]), at(95));
        }
        assert_eq!(index.find(wanted, at(95), None).calls.len(), 16);
        assert!(!index.find(wanted, at(95), None).is_crowded);
        index.insert(began(16, 101), wanted, at(96));
        assert!(index.find(wanted, at(96), None).is_crowded, "too many to tell");
        let of_caller = index.find(of_caller, at(96), None);
        assert_eq!((of_caller.calls.as_slice(), of_caller.is_crowded), (&[key(0), key(16)][..], false));
        index.insert(began(17, 107), wanted, at(102));
        assert_eq!(
            index.find(wanted, at(102), None),
            Found { calls: [key(17)].into_iter().collect(), is_crowded: false }
        );
        assert_eq!((index.by_number.len(), index.in_order.len()), (2, 2));
    }

    #[test]
    fn a_flood_of_numbers_and_a_flood_to_one_number_stay_within_their_room() {
        let mut index = NumberIndex::new(RandomState::default());
        let mut evicted = 0;
        for slot in 0..100_000_u32 {
            evicted += index.insert(began(slot, 0), NumberKeys([Some(slot.into()), None]), at(0));
        }
        assert_eq!((index.by_number.len(), index.in_order.len()), (KEPT, KEPT));
        assert_eq!(evicted, 100_000 - KEPT as u64);
        for slot in 0..100_000_u32 {
            index.insert(began(slot, 0), NumberKeys([Some(7), None]), at(0));
        }
        assert_eq!((index.by_number.len(), index.in_order.len()), (1, KEPT));
        assert!(index.by_number.values().all(|bucket| bucket.calls.len() <= LOOKED_AT));
        index.insert(began(1, 60), NumberKeys([Some(8), None]), at(55));
        assert_eq!((index.by_number.len(), index.in_order.len()), (1, 1));
    }
}
