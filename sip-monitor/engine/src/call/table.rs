//! All calls, found by Call-ID. Bounded: a new call that finds no room takes the place of the oldest one that was never
//! answered; where all were, it is refused.

use core::hash::BuildHasher;
use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::call::{Call, CallKey};

/// Calls by key and by Call-ID.
#[derive(Debug)]
pub struct CallTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_call_id: HashTable<Entry>,
    hasher: RandomState,
    /// Calls in the order they began, for eviction; stale keys are dropped when they come up.
    by_age: VecDeque<CallKey>,
    limit: usize,
    text_limit: usize,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    call: Option<Box<Call>>,
}

/// The hash stands beside the slot so that growing the index does not touch every call.
#[derive(Debug)]
struct Entry {
    hash: u64,
    slot: u32,
}

impl CallTable {
    /// A table for `limit` calls.
    #[must_use]
    pub fn new(limit: usize, text_limit: usize, hasher: RandomState) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_call_id: HashTable::new(),
            hasher,
            by_age: VecDeque::new(),
            limit: limit.max(1),
            text_limit,
        }
    }

    /// Calls now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_call_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_call_id.is_empty()
    }

    /// The call, where it still is the same one.
    #[must_use]
    pub fn get(&self, key: CallKey) -> Option<&Call> {
        let slot = self.slots.get(key.slot as usize)?;
        slot.call.as_deref().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.call.as_deref_mut().filter(|_| slot.generation == key.generation)
    }

    /// The call with this Call-ID.
    #[must_use]
    pub fn find(&self, call_id: &[u8]) -> Option<CallKey> {
        self.find_hashed(call_id, self.hash(call_id))
    }

    /// The same where its hash is known.
    pub(crate) fn find_hashed(&self, call_id: &[u8], hash: u64) -> Option<CallKey> {
        let (slots, limit) = (&self.slots, self.text_limit);
        let entry = self.by_call_id.find(hash, |entry| {
            entry.hash == hash
                && slots
                    .get(entry.slot as usize)
                    .and_then(|slot| slot.call.as_deref())
                    .is_some_and(|call| call.call_id.matches(call_id, limit))
        })?;
        Some(CallKey { slot: entry.slot, generation: self.slots.get(entry.slot as usize)?.generation })
    }

    /// The call that must go before another can be added; `None` where there is room.
    ///
    /// # Errors
    /// [`Full`] where every call is one that was answered.
    pub(crate) fn victim(&mut self) -> Result<Option<CallKey>, Full> {
        if self.len() < self.limit {
            return Ok(None);
        }
        while let Some(key) = self.by_age.pop_front() {
            if self.get(key).is_some_and(|call| call.answered_at.is_none() || call.ended_at.is_some()) {
                return Ok(Some(key));
            }
        }
        Err(Full)
    }

    /// Adds a call made by `make`, whose Call-ID has that hash. The caller has looked for it and for a victim before.
    pub(crate) fn insert(&mut self, hash: u64, make: impl FnOnce(CallKey) -> Call) -> CallKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(place) = self.slots.get_mut(slot as usize) else { return CallKey { slot, generation: 0 } };
        place.generation = place.generation.wrapping_add(1);
        let key = CallKey { slot, generation: place.generation };
        place.call = Some(Box::new(make(key)));
        self.by_call_id.insert_unique(hash, Entry { hash, slot }, |entry| entry.hash);
        self.forget_stale_ages();
        self.by_age.push_back(key);
        key
    }

    /// Takes a call out.
    pub(crate) fn remove(&mut self, key: CallKey) -> Option<Box<Call>> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation)?;
        let call = slot.call.take()?;
        // The Call-ID as kept may be a cut one whose hash is another: the slot is the entry's identity.
        let hash = call.call_id_hash;
        if let Ok(entry) = self.by_call_id.find_entry(hash, |entry| entry.slot == key.slot) {
            entry.remove();
        }
        self.free.push(key.slot);
        Some(call)
    }

    pub(crate) fn hash(&self, call_id: &[u8]) -> u64 {
        self.hasher.hash_one(call_id)
    }

    /// Every key in the order the calls began.
    pub(crate) fn keys_by_age(&self) -> Vec<CallKey> {
        let mut calls: Vec<_> = self.slots.iter().filter_map(|slot| slot.call.as_deref()).collect();
        calls.sort_by_key(|call| (call.first_at, call.key));
        calls.iter().map(|call| call.key).collect()
    }

    /// Keys of freed calls stay in the queue of ages until it is twice as long as it has to be: amortised, one step a call.
    fn forget_stale_ages(&mut self) {
        if self.by_age.len() < 2 * self.len() + 1024 {
            return;
        }
        let slots = &self.slots;
        self.by_age.retain(|key| {
            slots.get(key.slot as usize).is_some_and(|slot| slot.generation == key.generation && slot.call.is_some())
        });
    }
}

/// There is no room and nothing that may be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;
