//! What is wrong with the way signalling travels between two addresses, whatever call it belongs to: datagrams that are
//! too long or never whole, messages that peers must drop, rewriting on the way, connections that do not come up.
//!
//! Facts without opinion, one entry for each address and topic, bounded; an entry is forgotten when nothing was added to
//! it for a while.

mod inspect;
mod rewriting;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::packet::{Direction, Missing};
use crate::sip::Fault;
use crate::tcp::{ConnectionFailure, FailureKind, TlsEnd, TlsFailure};
use crate::text::StoredText;
use crate::time::Timestamp;

pub use inspect::LARGEST_OVER_UDP;
pub(crate) use inspect::{Inspected, incomplete_noted, inspect, inspect_via};

/// Entries at a time.
const ENTRIES: usize = 4_096;
/// Addresses whose messages were looked at closely.
const LOOKED_AT: usize = 16_384;
/// Messages of one address that are looked at closely in each span of [`LOOK_AGAIN`]: reading every header of every
/// message would cost more than all else, and who writes wrong headers does so again.
const LOOKS: u8 = 16;
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// How many things are asked for at once where there is no more room.
const EVICTED_AT_ONCE: usize = 16;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// SIP over UDP that is longer than a path may carry.
    Oversized,
    /// Messages that break this rule.
    Malformed(Fault),
    /// Addresses rewritten on the way.
    Rewritten(Rewriting),
    /// Connections that failed like this.
    Connection(FailureKind),
    /// TLS handshakes that ended like this.
    Tls(TlsEnd),
    /// Fragmented datagrams that never became whole for want of this part.
    Incomplete(Missing),
}

/// Identity of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WireKey {
    /// The address it is about.
    pub addr: IpAddr,
    /// What about it.
    pub topic: Topic,
}

/// Which trace a rewriting middlebox left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rewriting {
    /// A response brought back another Via sent-by than its request had.
    Via,
    /// Via and SDP name the public source, the Contact the private address that they named before.
    Contact,
    /// The SDP names both the public source and a private address.
    Sdp,
    /// The Content-Length is that of the body before its addresses were replaced by longer or shorter ones.
    ContentLength,
}

/// One sign of what the entry is about: the first, or the largest.
#[derive(Clone, Debug, PartialEq)]
pub enum Sign {
    /// A datagram.
    Oversized {
        /// Bytes of the message.
        bytes: usize,
        /// Its method, or code and method.
        name: StoredText,
    },
    /// A message.
    Malformed {
        /// Where the header stands that breaks the rule, bytes from the start of the message; `None` where it is missing.
        offset: Option<usize>,
        /// That header's value.
        value: StoredText,
        /// The start line.
        start_line: StoredText,
    },
    /// An address that was replaced in one place and not in another.
    Rewritten {
        /// The address as it was before.
        before: IpAddr,
        /// The address it was replaced by.
        after: IpAddr,
        /// The value that shows it.
        value: StoredText,
        /// Content-Length as written, and the bytes of the body, where that is the trace.
        lengths: Option<(usize, usize)>,
    },
    /// A connection.
    Connection(ConnectionFailure),
    /// A handshake.
    Tls(TlsFailure),
    /// A datagram.
    Incomplete {
        /// Bytes of it that were seen.
        held: usize,
        /// How long it would have been, where its end was seen.
        total: Option<usize>,
        /// Its start line, where its beginning was seen.
        start_line: StoredText,
    },
}

/// What is known of one address about one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Wire {
    /// Its identity.
    pub key: WireKey,
    /// The other side, as last seen.
    pub peer: SocketAddr,
    /// Where what was sent went to.
    pub dst: SocketAddr,
    /// Which way it went, as seen from this host.
    pub direction: Direction,
    /// First sign.
    pub first_at: Timestamp,
    /// Last sign.
    pub last_at: Timestamp,
    /// Signs so far.
    pub count: u64,
    /// The first of them, or the largest.
    pub sign: Sign,
}

/// A sign on its way into the table.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) topic: Topic,
    /// The address to which it is put down.
    pub(crate) peer: SocketAddr,
    pub(crate) dst: SocketAddr,
    pub(crate) direction: Direction,
    pub(crate) sign: Sign,
}

/// Every entry.
#[derive(Debug)]
pub struct WireTable {
    entries: HashMap<WireKey, Wire, RandomState>,
    looks: HashMap<IpAddr, u8, RandomState>,
    looked_since: Timestamp,
    next_check: Option<Timestamp>,
    keep: Duration,
}

impl WireTable {
    /// One that keeps an entry for `keep` after its last sign.
    #[must_use]
    pub fn new(keep: Duration, hasher: RandomState) -> Self {
        Self {
            entries: HashMap::with_hasher(hasher.clone()),
            looks: HashMap::with_hasher(hasher),
            looked_since: Timestamp::ZERO,
            next_check: None,
            keep,
        }
    }

    /// Another time to keep entries.
    pub(crate) fn set_keep(&mut self, keep: Duration) {
        self.keep = keep;
    }

    /// The entry.
    #[must_use]
    pub fn get(&self, key: WireKey) -> Option<&Wire> {
        self.entries.get(&key)
    }

    /// Entries now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a message from this address is to be looked at closely.
    pub(crate) fn may_look(&mut self, now: Timestamp, addr: IpAddr) -> bool {
        if now.since(self.looked_since) >= LOOK_AGAIN {
            self.looked_since = now;
            self.looks.clear();
        }
        if self.looks.len() >= LOOKED_AT && !self.looks.contains_key(&addr) {
            return false;
        }
        let looks = self.looks.entry(addr).or_default();
        *looks = looks.saturating_add(1);
        *looks <= LOOKS
    }

    /// Takes a sign. Returns the entry's key, and the keys of entries that had to go for it.
    pub(crate) fn note(&mut self, now: Timestamp, noted: Noted) -> (WireKey, Vec<WireKey>) {
        let key = WireKey { addr: noted.peer.ip(), topic: noted.topic };
        let evicted = if self.entries.contains_key(&key) { Vec::new() } else { self.make_room() };
        let entry = self.entries.entry(key).or_insert_with(|| Wire {
            key,
            peer: noted.peer,
            dst: noted.dst,
            direction: noted.direction,
            first_at: now,
            last_at: now,
            count: 0,
            sign: noted.sign.clone(),
        });
        entry.count += 1;
        entry.last_at = now;
        entry.peer = noted.peer;
        if let (Sign::Oversized { bytes: largest, .. }, Sign::Oversized { bytes, .. }) = (&entry.sign, &noted.sign)
            && bytes > largest
        {
            entry.sign = noted.sign;
        }
        self.next_check.get_or_insert(now + self.keep);
        (key, evicted)
    }

    /// When [`WireTable::handle_timeout`] should be called next.
    pub(crate) const fn poll_timeout(&self) -> Option<Timestamp> {
        self.next_check
    }

    /// Forgets entries without a new sign, and returns their keys.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) -> Vec<WireKey> {
        let old = |wire: &Wire| now.since(wire.last_at) >= self.keep;
        let mut gone: Vec<WireKey> = self.entries.values().filter(|wire| old(wire)).map(|wire| wire.key).collect();
        gone.sort_unstable();
        for key in &gone {
            self.entries.remove(key);
        }
        self.next_check = self.entries.values().map(|wire| wire.last_at + self.keep).min();
        gone
    }

    /// The entries longest without a sign go first.
    fn make_room(&mut self) -> Vec<WireKey> {
        if self.entries.len() < ENTRIES {
            return Vec::new();
        }
        let mut ages: Vec<(Timestamp, WireKey)> = self.entries.values().map(|wire| (wire.last_at, wire.key)).collect();
        ages.sort_unstable();
        ages.truncate(EVICTED_AT_ONCE);
        for (_, key) in &ages {
            self.entries.remove(key);
        }
        ages.into_iter().map(|(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ns(s * 1_000_000_000)
    }

    fn noted(host: u32, bytes: usize) -> Noted {
        let peer = SocketAddr::new(core::net::Ipv4Addr::from(host).into(), 5060);
        let sign = Sign::Oversized { bytes, name: StoredText::default() };
        Noted { topic: Topic::Oversized, peer, dst: peer, direction: Direction::In, sign }
    }

    #[test]
    fn signs_of_one_address_and_topic_are_one_entry_with_the_largest() {
        let mut table = WireTable::new(Duration::from_secs(300), RandomState::default());
        for bytes in [1400, 1500, 1450] {
            table.note(at(1), noted(1, bytes));
        }
        let (key, _) = table.note(at(2), noted(1, 1301));
        let wire = table.get(key).unwrap();
        assert_eq!((wire.count, wire.first_at, wire.last_at), (4, at(1), at(2)));
        assert!(matches!(wire.sign, Sign::Oversized { bytes: 1500, .. }));
    }

    #[test]
    fn entries_are_forgotten_in_time_and_bounded_in_number() {
        let mut table = WireTable::new(Duration::from_secs(300), RandomState::default());
        let mut evicted = 0;
        for host in 0..10_000 {
            evicted += table.note(at(i64::from(host)), noted(host, 1400)).1.len();
        }
        assert_eq!(table.len() + evicted, 10_000);
        assert!(table.len() <= ENTRIES);
        while let Some(due) = table.poll_timeout() {
            table.handle_timeout(due);
        }
        assert!(table.is_empty());
    }

    #[test]
    fn a_source_is_looked_at_so_often_in_each_span() {
        let mut table = WireTable::new(Duration::from_secs(300), RandomState::default());
        let addr = IpAddr::from([192, 0, 2, 1]);
        assert_eq!((0..100).filter(|_| table.may_look(at(400), addr)).count(), usize::from(LOOKS));
        assert!(table.may_look(at(700), addr));
    }
}
