//! Streams by what stands in their keys. Looking one up costs the same however many there are, and the order in which the
//! streams of one key come out is fixed: ascending.

use core::hash::{BuildHasher, Hash};
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};
use smallvec::{SmallVec, smallvec};

use crate::media::store::{Slots, StreamId};
use crate::packet::StreamKey;

/// Streams of one key: nearly always a few.
type Ids = SmallVec<[StreamId; 4]>;

/// Streams by a part of their key. An entry holds only numbers of streams: the key is read from the first of them, so that it is
/// not kept twice.
#[derive(Debug)]
pub(super) struct Index<K> {
    part: fn(&StreamKey) -> K,
    entries: HashTable<Ids>,
    hasher: RandomState,
}

impl<K: Eq + Hash> Index<K> {
    pub fn new(part: fn(&StreamKey) -> K) -> Self {
        Self { part, entries: HashTable::new(), hasher: RandomState::default() }
    }

    /// The streams of a key, ascending.
    pub fn get(&self, slots: &Slots, key: &K) -> &[StreamId] {
        let entry = self.entries.find(self.hash(key), |ids| self.key_of(slots, ids).as_ref() == Some(key));
        entry.map_or(&[], SmallVec::as_slice)
    }

    /// Adds a stream that is in its slot.
    pub fn insert(&mut self, slots: &Slots, id: StreamId) {
        let Some(key) = slots.key(id).map(self.part) else { return };
        let (part, hasher) = (self.part, &self.hasher);
        let key_of = |ids: &Ids| ids.first().and_then(|id| slots.key(*id)).map(part);
        let entry = self.entries.entry(
            hasher.hash_one(&key),
            |ids| key_of(ids).as_ref() == Some(&key),
            |ids| key_of(ids).map_or(0, |key| hasher.hash_one(&key)),
        );
        match entry {
            Entry::Vacant(place) => {
                place.insert(smallvec![id]);
            }
            Entry::Occupied(mut place) => {
                let ids = place.get_mut();
                if let Err(position) = ids.binary_search(&id) {
                    ids.insert(position, id);
                }
            }
        }
    }

    /// Takes a stream out that is still in its slot.
    pub fn remove(&mut self, slots: &Slots, id: StreamId) {
        let Some(key) = slots.key(id).map(self.part) else { return };
        let (part, hash) = (self.part, self.hash(&key));
        let is_of_key = |ids: &Ids| ids.first().and_then(|id| slots.key(*id)).map(part).as_ref() == Some(&key);
        let Ok(mut entry) = self.entries.find_entry(hash, is_of_key) else { return };
        let ids = entry.get_mut();
        if let Ok(position) = ids.binary_search(&id) {
            ids.remove(position);
        }
        if ids.is_empty() {
            entry.remove();
        }
    }

    fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    fn key_of(&self, slots: &Slots, ids: &Ids) -> Option<K> {
        ids.first().and_then(|id| slots.key(*id)).map(self.part)
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
