//! Streams by what stands in their keys. Looking one up costs the same however many there are, and the order in which the
//! streams of one key come out is fixed: ascending.

use core::hash::{BuildHasher, Hash};
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;

use crate::media::store::{Slots, StreamId};
use crate::packet::StreamKey;

/// Streams of one key: nearly always a few.
pub(super) type Ids = SmallVec<[StreamId; 4]>;

/// Streams by a part of their key. An entry is the number of a stream and nothing else: its key is read from the stream.
#[derive(Debug)]
pub(super) struct Index<K> {
    part: fn(&StreamKey) -> K,
    entries: HashTable<StreamId>,
    hasher: RandomState,
}

impl<K: Eq + Hash> Index<K> {
    pub fn new(part: fn(&StreamKey) -> K) -> Self {
        Self { part, entries: HashTable::new(), hasher: RandomState::default() }
    }

    /// The streams of a key, ascending.
    pub fn get(&self, slots: &Slots, key: &K) -> Ids {
        let mut ids = Ids::new();
        for id in self.entries.iter_hash(self.hasher.hash_one(key)) {
            if self.key_of(slots, *id).as_ref() == Some(key) {
                ids.push(*id);
            }
        }
        if ids.len() > 1 {
            ids.sort_unstable();
        }
        ids
    }

    /// The stream of a key that only one can have.
    pub fn find(&self, slots: &Slots, key: &K) -> Option<StreamId> {
        let is_it = |id: &StreamId| self.key_of(slots, *id).as_ref() == Some(key);
        self.entries.find(self.hasher.hash_one(key), is_it).copied()
    }

    /// Adds a stream that is in its slot.
    pub fn insert(&mut self, slots: &Slots, id: StreamId) {
        let (part, hasher) = (self.part, &self.hasher);
        let hash = |id: &StreamId| slots.key(*id).map_or(0, |key| hasher.hash_one(part(key)));
        self.entries.insert_unique(hash(&id), id, hash);
    }

    /// Takes a stream out that is still in its slot.
    pub fn remove(&mut self, slots: &Slots, id: StreamId) {
        let Some(key) = self.key_of(slots, id) else { return };
        if let Ok(entry) = self.entries.find_entry(self.hasher.hash_one(&key), |other| *other == id) {
            entry.remove();
        }
    }

    fn key_of(&self, slots: &Slots, id: StreamId) -> Option<K> {
        slots.key(id).map(self.part)
    }
}

/// Streams by the host at one of their ends, by port.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    by_host: HashMap<IpAddr, BTreeSet<(u16, StreamId)>, RandomState>,
}

impl Hosts {
    pub fn insert(&mut self, end: SocketAddr, id: StreamId) {
        self.by_host.entry(end.ip()).or_default().insert((end.port(), id));
    }

    pub fn remove(&mut self, end: SocketAddr, id: StreamId) {
        if let Some(streams) = self.by_host.get_mut(&end.ip()) {
            streams.remove(&(end.port(), id));
            if streams.is_empty() {
                self.by_host.remove(&end.ip());
            }
        }
    }

    pub fn of(&self, host: IpAddr) -> impl Iterator<Item = StreamId> + '_ {
        self.by_host.get(&host).into_iter().flatten().map(|(_, id)| *id)
    }
}

/// Streams by the hosts at both of their ends.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    by_pair: HashMap<(IpAddr, IpAddr), BTreeSet<StreamId>, RandomState>,
}

impl Pairs {
    pub fn insert(&mut self, key: &StreamKey, id: StreamId) {
        self.by_pair.entry((key.src.ip(), key.dst.ip())).or_default().insert(id);
    }

    pub fn remove(&mut self, key: &StreamKey, id: StreamId) {
        let pair = (key.src.ip(), key.dst.ip());
        if let Some(streams) = self.by_pair.get_mut(&pair) {
            streams.remove(&id);
            if streams.is_empty() {
                self.by_pair.remove(&pair);
            }
        }
    }

    pub fn between(&self, src: IpAddr, dst: IpAddr) -> impl Iterator<Item = StreamId> + '_ {
        self.by_pair.get(&(src, dst)).into_iter().flatten().copied()
    }
}
