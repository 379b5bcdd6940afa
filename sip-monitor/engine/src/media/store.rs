//! Streams by every key they are looked up by, in bounded room.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::call::CallKey;
use crate::media::stream::{Owner, Stream};
use crate::packet::StreamKey;
use crate::time::Timestamp;

/// Slots looked at to find the stream that is evicted.
const EVICTION_SAMPLE: usize = 64;

/// Names a stream as long as it is kept.
pub(super) type StreamId = u32;

/// All streams. Iteration is in a fixed order everywhere.
#[derive(Debug)]
pub(super) struct StreamStore {
    limit: usize,
    slots: Vec<Option<Stream>>,
    free: Vec<StreamId>,
    hand: usize,
    by_key: HashMap<StreamKey, StreamId, foldhash::fast::RandomState>,
    by_dst: BTreeSet<(SocketAddr, StreamId)>,
    by_src: BTreeSet<(SocketAddr, StreamId)>,
    by_call: BTreeSet<(CallKey, StreamId)>,
    /// Streams of no call by hosts: source, destination.
    unowned: BTreeSet<(IpAddr, IpAddr, StreamId)>,
    evicted: u64,
    owned_evicted_at: Option<Timestamp>,
}

impl StreamStore {
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            by_key: HashMap::with_hasher(foldhash::fast::RandomState::default()),
            by_dst: BTreeSet::new(),
            by_src: BTreeSet::new(),
            by_call: BTreeSet::new(),
            unowned: BTreeSet::new(),
            evicted: 0,
            owned_evicted_at: None,
        }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
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
        self.by_key.get(key).copied()
    }

    pub fn get(&self, id: StreamId) -> Option<&Stream> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub fn ids(&self) -> impl Iterator<Item = StreamId> + '_ {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.is_some()).map(|(id, _)| id)
    }

    pub fn ids_of(&self, call: CallKey) -> impl Iterator<Item = StreamId> + '_ {
        self.by_call.range((call, 0)..=(call, StreamId::MAX)).map(|&(_, id)| id)
    }

    pub fn ids_around(&self, endpoint: SocketAddr) -> impl Iterator<Item = StreamId> + '_ {
        let range = (endpoint, 0)..=(endpoint, StreamId::MAX);
        self.by_dst.range(range.clone()).chain(self.by_src.range(range)).map(|&(_, id)| id)
    }

    pub fn streams_to(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_dst.range((endpoint, 0)..=(endpoint, StreamId::MAX)).filter_map(|&(_, id)| self.get(id))
    }

    pub fn streams_from(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_src.range((endpoint, 0)..=(endpoint, StreamId::MAX)).filter_map(|&(_, id)| self.get(id))
    }

    pub fn streams_to_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_dst.range(ports_of(address)).filter_map(|&(_, id)| self.get(id))
    }

    pub fn streams_from_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_src.range(ports_of(address)).filter_map(|&(_, id)| self.get(id))
    }

    pub fn unowned_between(&self, src: IpAddr, dst: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.unowned.range((src, dst, 0)..=(src, dst, StreamId::MAX)).filter_map(|&(_, _, id)| self.get(id))
    }

    /// Takes a new stream. Where there is no room another one leaves.
    pub fn insert(&mut self, stream: Stream) -> (StreamId, Option<Stream>) {
        let leaves = if self.len() >= self.limit { self.evict(stream.counters.last_at) } else { None };
        let key = stream.counters.key;
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            StreamId::try_from(self.slots.len() - 1).unwrap_or(StreamId::MAX)
        });
        if let Some(slot) = self.slots.get_mut(id as usize) {
            *slot = Some(stream);
        }
        self.by_key.insert(key, id);
        self.by_dst.insert((key.dst, id));
        self.by_src.insert((key.src, id));
        self.unowned.insert((key.src.ip(), key.dst.ip(), id));
        (id, leaves)
    }

    /// Gives a stream to a call.
    pub fn set_owner(&mut self, id: StreamId, owner: Owner) {
        let Some(stream) = self.slots.get_mut(id as usize).and_then(Option::as_mut) else { return };
        let key = stream.counters.key;
        self.unowned.remove(&(key.src.ip(), key.dst.ip(), id));
        self.by_call.insert((owner.call, id));
        stream.owner = Some(owner);
    }

    /// The call of these streams is over.
    pub fn release(&mut self, call: CallKey) {
        while let Some(&(_, id)) = self.by_call.range((call, 0)..=(call, StreamId::MAX)).next() {
            self.by_call.remove(&(call, id));
            if let Some(owner) = self.get_mut(id).and_then(|s| s.owner.as_mut()) {
                owner.released = true;
            }
        }
    }

    pub fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.slots.get_mut(id as usize).and_then(Option::take)?;
        let key = stream.counters.key;
        self.by_key.remove(&key);
        self.by_dst.remove(&(key.dst, id));
        self.by_src.remove(&(key.src, id));
        self.unowned.remove(&(key.src.ip(), key.dst.ip(), id));
        if let Some(owner) = &stream.owner {
            self.by_call.remove(&(owner.call, id));
        }
        self.free.push(id);
        Some(stream)
    }

    /// Makes room: of the next streams in turn, first one that may be no RTP at all, then one of no call, then the one
    /// silent for longest.
    fn evict(&mut self, now: Timestamp) -> Option<Stream> {
        let mut victim: Option<((u8, Timestamp), StreamId)> = None;
        for _ in 0..EVICTION_SAMPLE.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(stream) = self.slots.get(self.hand).and_then(Option::as_ref) else { continue };
            let merit = (merit(stream), stream.counters.last_at);
            if victim.is_none_or(|(least, _)| merit < least) {
                victim = Some((merit, StreamId::try_from(self.hand).unwrap_or(StreamId::MAX)));
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

fn ports_of(address: IpAddr) -> core::ops::RangeInclusive<(SocketAddr, StreamId)> {
    (SocketAddr::new(address, 0), 0)..=(SocketAddr::new(address, u16::MAX), StreamId::MAX)
}
