//! Streams by every key they are looked up by, in bounded room.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::call::CallKey;
use crate::media::endpoint::Endpoint;
use crate::media::index::{Hosts, Index, Pairs};
use crate::media::stream::{Owner, Stream};
use crate::packet::{Direction, StreamKey};
use crate::time::Timestamp;

/// Slots looked at to find the stream that is evicted.
const EVICTION_SAMPLE: usize = 64;

/// Names a stream as long as it is kept.
pub(super) type StreamId = u32;

/// All streams. Iteration is in a fixed order everywhere.
#[derive(Debug)]
pub(super) struct StreamStore {
    limit: usize,
    slots: Slots,
    free: Vec<StreamId>,
    hand: usize,
    by_key: Index<(Endpoint, Endpoint, u32, Direction)>,
    by_dst: Index<Endpoint>,
    by_src: Index<Endpoint>,
    by_call: HashMap<CallKey, SmallVec<[StreamId; 4]>, RandomState>,
    to_host: Hosts,
    from_host: Hosts,
    /// Streams of no call.
    unowned: Pairs,
    /// Streams of no call that is up: those that end by their silence alone.
    loose: BTreeSet<StreamId>,
    evicted: u64,
    owned_evicted_at: Option<Timestamp>,
}

/// Streams by number.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Option<Box<Stream>>>);

impl Slots {
    fn get(&self, id: StreamId) -> Option<&Stream> {
        self.0.get(id as usize)?.as_deref()
    }

    fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.0.get_mut(id as usize)?.as_deref_mut()
    }

    /// The key of a stream.
    pub fn key(&self, id: StreamId) -> Option<&StreamKey> {
        self.get(id).map(|stream| &stream.counters.key)
    }
}

impl StreamStore {
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            slots: Slots::default(),
            free: Vec::new(),
            hand: 0,
            by_key: Index::new(whole),
            by_dst: Index::new(|key| key.dst.into()),
            by_src: Index::new(|key| key.src.into()),
            by_call: HashMap::with_hasher(RandomState::default()),
            to_host: Hosts::default(),
            from_host: Hosts::default(),
            unowned: Pairs::default(),
            loose: BTreeSet::new(),
            evicted: 0,
            owned_evicted_at: None,
        }
    }

    pub fn len(&self) -> usize {
        self.slots.0.len() - self.free.len()
    }

    /// Streams forgotten for want of room.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// When a stream of a call that is up was last forgotten for want of room.
    pub const fn owned_evicted_at(&self) -> Option<Timestamp> {
        self.owned_evicted_at
    }

    pub fn find(&self, key: &StreamKey) -> Option<StreamId> {
        self.by_key.find(&self.slots, &whole(key))
    }

    pub fn get(&self, id: StreamId) -> Option<&Stream> {
        self.slots.get(id)
    }

    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.slots.get_mut(id)
    }

    pub fn ids(&self) -> impl Iterator<Item = StreamId> + '_ {
        (0..).zip(&self.slots.0).filter(|(_, slot)| slot.is_some()).map(|(id, _)| id)
    }

    /// Streams that belong to no call, or to one that is freed.
    pub fn loose(&self) -> impl Iterator<Item = (StreamId, &Stream)> + '_ {
        self.loose.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    pub fn ids_of(&self, call: CallKey) -> impl Iterator<Item = StreamId> + '_ {
        self.by_call.get(&call).into_iter().flatten().copied()
    }

    pub fn ids_around(&self, endpoint: SocketAddr) -> impl Iterator<Item = StreamId> + '_ {
        let endpoint = endpoint.into();
        self.by_dst.get(&self.slots, &endpoint).into_iter().chain(self.by_src.get(&self.slots, &endpoint))
    }

    pub fn streams_to(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_dst.get(&self.slots, &endpoint.into()).into_iter().filter_map(|id| self.get(id))
    }

    pub fn streams_from(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_src.get(&self.slots, &endpoint.into()).into_iter().filter_map(|id| self.get(id))
    }

    pub fn streams_to_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.to_host.of(address).filter_map(|id| self.get(id))
    }

    pub fn streams_from_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.from_host.of(address).filter_map(|id| self.get(id))
    }

    pub fn unowned_between(&self, src: IpAddr, dst: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.unowned.between(src, dst).filter_map(|id| self.get(id))
    }

    /// Takes a new stream. Where there is no room another one leaves.
    pub fn insert(&mut self, stream: Stream) -> (StreamId, Option<Stream>) {
        let leaves = if self.len() >= self.limit { self.evict(stream.counters.last_at) } else { None };
        let key = stream.counters.key;
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.0.push(None);
            StreamId::try_from(self.slots.0.len() - 1).unwrap_or(StreamId::MAX)
        });
        if let Some(slot) = self.slots.0.get_mut(id as usize) {
            *slot = Some(Box::new(stream));
        }
        self.by_key.insert(&self.slots, id);
        self.by_dst.insert(&self.slots, id);
        self.by_src.insert(&self.slots, id);
        self.to_host.insert(key.dst, id);
        self.from_host.insert(key.src, id);
        self.unowned.insert(&key, id);
        self.loose.insert(id);
        (id, leaves)
    }

    /// Gives a stream to a call.
    pub fn set_owner(&mut self, id: StreamId, owner: Owner) {
        let Some(stream) = self.slots.0.get_mut(id as usize).and_then(Option::as_deref_mut) else { return };
        self.unowned.remove(&stream.counters.key, id);
        self.loose.remove(&id);
        let ids = self.by_call.entry(owner.call).or_default();
        if let Err(position) = ids.binary_search(&id) {
            ids.insert(position, id);
        }
        stream.owner = Some(owner);
    }

    /// The call of these streams ended, and is kept for a while.
    pub fn call_over(&mut self, call: CallKey, at: Timestamp) {
        for id in self.by_call.get(&call).into_iter().flatten() {
            if let Some(owner) = self.slots.get_mut(*id).and_then(|s| s.owner.as_mut()) {
                owner.over_at = Some(at);
            }
        }
    }

    /// The call of these streams is freed.
    pub fn release(&mut self, call: CallKey) {
        for id in self.by_call.remove(&call).unwrap_or_default() {
            if let Some(owner) = self.get_mut(id).and_then(|s| s.owner.as_mut()) {
                owner.released = true;
                self.loose.insert(id);
            }
        }
    }

    pub fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.slots.get(id)?;
        let (key, call) = (stream.counters.key, stream.call());
        self.by_key.remove(&self.slots, id);
        self.by_dst.remove(&self.slots, id);
        self.by_src.remove(&self.slots, id);
        self.to_host.remove(key.dst, id);
        self.from_host.remove(key.src, id);
        self.unowned.remove(&key, id);
        self.loose.remove(&id);
        if let Some(call) = call
            && let Some(ids) = self.by_call.get_mut(&call)
        {
            ids.retain(|of_call| *of_call != id);
            if ids.is_empty() {
                self.by_call.remove(&call);
            }
        }
        self.free.push(id);
        self.slots.0.get_mut(id as usize)?.take().map(|stream| *stream)
    }

    /// Makes room: of the next streams in turn, first one that may be no RTP at all, then one of no call, then the one
    /// silent for longest.
    fn evict(&mut self, now: Timestamp) -> Option<Stream> {
        let mut victim: Option<((u8, Timestamp), StreamId)> = None;
        for _ in 0..EVICTION_SAMPLE.min(self.slots.0.len()) {
            self.hand = (self.hand + 1) % self.slots.0.len();
            let id = StreamId::try_from(self.hand).unwrap_or(StreamId::MAX);
            let Some(stream) = self.get(id) else { continue };
            let merit = (merit(stream), stream.counters.last_at);
            if victim.is_none_or(|(least, _)| merit < least) {
                victim = Some((merit, id));
            }
        }
        let ((merit, _), id) = victim?;
        self.evicted += 1;
        if merit == OF_A_CALL {
            self.owned_evicted_at = Some(now);
        }
        self.remove(id)
    }
}

/// All of a key.
fn whole(key: &StreamKey) -> (Endpoint, Endpoint, u32, Direction) {
    (key.src.into(), key.dst.into(), key.ssrc, key.direction)
}

/// The merit of RTP beyond doubt that belongs to a call that is up.
const OF_A_CALL: u8 = 3;

fn merit(stream: &Stream) -> u8 {
    match (stream.counters.in_sequence, stream.call()) {
        (false, None) => 0,
        (false, Some(_)) => 1,
        (true, None) => 2,
        (true, Some(_)) => OF_A_CALL,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::media::tests::counters;

    const ENDS: [&str; 4] = ["198.51.100.10:4000", "198.51.100.10:4002", "203.0.113.7:5000", "[2001:db8::1]:5000"];

    /// What may happen to a store: a stream comes, gets a call, loses it, goes.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, usize, u32),
        Own(u32, u32),
        Release(u32),
        Remove(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..ENDS.len(), 0..ENDS.len(), 0..6u32).prop_map(|(src, dst, ssrc)| Step::Insert(src, dst, ssrc)),
            (0..12u32, 0..3u32).prop_map(|(id, call)| Step::Own(id, call)),
            (0..3u32).prop_map(Step::Release),
            (0..12u32).prop_map(Step::Remove),
        ]
    }

    fn call(slot: u32) -> CallKey {
        CallKey { slot, generation: 1 }
    }

    fn take(store: &mut StreamStore, step: &Step) {
        match *step {
            Step::Insert(src, dst, ssrc) => {
                let mut counters = counters(ENDS[src], ENDS[dst], 0, 1_000, 50);
                counters.key.ssrc = ssrc;
                if store.find(&counters.key).is_none() {
                    store.insert(Stream::new(counters));
                }
            }
            Step::Own(id, slot) if store.get(id).is_some_and(|stream| stream.owner.is_none()) => {
                let (call_id, codecs) = (Arc::from("call"), Arc::from([]));
                store.set_owner(
                    id,
                    Owner { call: call(slot), call_id, from: None, codecs, over_at: None, released: false },
                );
            }
            Step::Own(..) => {}
            Step::Release(slot) => store.release(call(slot)),
            Step::Remove(id) => _ = store.remove(id),
        }
    }

    /// The numbers of the streams that fit, by looking at each.
    fn scan(store: &StreamStore, fits: impl Fn(&Stream) -> bool) -> Vec<StreamId> {
        store.ids().filter(|id| store.get(*id).is_some_and(&fits)).collect()
    }

    fn numbers<'a>(store: &StreamStore, found: impl Iterator<Item = &'a Stream>) -> Vec<StreamId> {
        found.filter_map(|stream| store.find(&stream.counters.key)).collect()
    }

    proptest! {
        #[test]
        fn every_index_finds_what_a_look_at_each_stream_finds(steps in prop::collection::vec(step(), 0..60)) {
            let mut store = StreamStore::new(10);
            for step in &steps {
                take(&mut store, step);
            }
            prop_assert_eq!(store.len(), store.ids().count());
            for end in ENDS.map(|end| end.parse::<SocketAddr>().unwrap()) {
                let to = scan(&store, |s| s.counters.key.dst == end);
                let from = scan(&store, |s| s.counters.key.src == end);
                prop_assert_eq!(numbers(&store, store.streams_to(end)), to.clone());
                prop_assert_eq!(numbers(&store, store.streams_from(end)), from.clone());
                prop_assert_eq!(store.ids_around(end).collect::<Vec<_>>(), [to, from].concat());
                let host = end.ip();
                let sorted = |mut ids: Vec<StreamId>| { ids.sort_unstable(); ids };
                let to_host = scan(&store, |s| s.counters.key.dst.ip() == host);
                let from_host = scan(&store, |s| s.counters.key.src.ip() == host);
                prop_assert_eq!(sorted(numbers(&store, store.streams_to_host(host))), to_host);
                prop_assert_eq!(sorted(numbers(&store, store.streams_from_host(host))), from_host);
                for other in ENDS.map(|end| end.parse::<SocketAddr>().unwrap().ip()) {
                    let between = scan(&store, |s| {
                        s.owner.is_none() && (s.counters.key.src.ip(), s.counters.key.dst.ip()) == (host, other)
                    });
                    prop_assert_eq!(numbers(&store, store.unowned_between(host, other)), between);
                }
            }
            for slot in 0..3 {
                let of_call = scan(&store, |s| s.call() == Some(call(slot)));
                prop_assert_eq!(store.ids_of(call(slot)).collect::<Vec<_>>(), of_call);
            }
            let loose: Vec<StreamId> = store.loose().map(|(id, _)| id).collect();
            prop_assert_eq!(loose, scan(&store, |s| s.call().is_none()));
        }
    }
}
