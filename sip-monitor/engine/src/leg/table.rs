//! What every call carries that its legs carry as well, and which calls carry it. Bounded: a call has so many marks, a mark so
//! many calls; what more calls share than legs there can be is remembered as the identity of none.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::{HashSet, HashTable};
use smallvec::SmallVec;

use super::mark::Mark;
use super::numbers::NumberIndex;
use super::{LegBy, LegRecord, LegRelation};
use crate::call::CallKey;
use crate::config::LegSettings;
use crate::diagnosis::Confidence;

/// Marks of one call: its Session-ID, a few headers, its media.
const MARKS_KEPT: usize = 12;
/// Calls that share a mark; a call that rings so many phones at once has no more legs.
const MEMBERS: usize = 32;
/// Marks remembered that are no identity.
const COMMON_KEPT: usize = 4_096;
/// Links of one call that were told by a message, and legs remembered that are over.
const SAID_KEPT: usize = 8;

/// Marks of all calls that are up, and what was said of their legs.
#[derive(Debug)]
pub struct LegTable {
    pub(super) hasher: RandomState,
    pub(super) headers: Vec<HeaderMark>,
    pub(super) settings: LegSettings,
    pub(super) numbers: NumberIndex,
    /// One entry for each mark of each call.
    members: HashTable<(Mark, CallKey)>,
    /// Marks that too many calls share, or calls that cannot be legs.
    common: HashSet<Mark, RandomState>,
    common_in_order: VecDeque<Mark>,
    /// By slot of the call.
    entries: Vec<Entry>,
    pub(super) counters: LegCounters,
}

/// What was not kept, or tells nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegCounters {
    /// Values of headers that are too long, too short or too plain to tell calls apart.
    pub values_unfit: u64,
    /// Values that calls share which cannot be legs of each other: they count for nothing from then on.
    pub marks_common: u64,
    /// Such values forgotten for want of room.
    pub common_evicted: u64,
    /// Marks and links of a call that found no room.
    pub refused: u64,
    /// Numbers forgotten before another leg could come.
    pub numbers_evicted: u64,
}

/// A configured header, and its parameter where only that counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeaderMark {
    pub name: Box<[u8]>,
    pub parameter: Option<Box<[u8]>>,
}

/// What is kept of one call.
#[derive(Debug, Default)]
struct Entry {
    generation: u32,
    marks: SmallVec<[Mark; 4]>,
    more: Option<Box<More>>,
}

/// What only few calls have.
#[derive(Debug, Default)]
struct More {
    said: SmallVec<[Link; 2]>,
    former: Vec<LegRecord>,
}

/// That a call belongs to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub other: CallKey,
    pub relation: LegRelation,
    pub by: LegBy,
    pub confidence: Confidence,
}

impl LegTable {
    /// A table with nothing in it.
    #[must_use]
    pub fn new(settings: &LegSettings, hasher: RandomState) -> Self {
        let mut table = Self {
            headers: Vec::new(),
            settings: LegSettings::default(),
            numbers: NumberIndex::new(hasher.clone()),
            members: HashTable::new(),
            common: HashSet::with_hasher(hasher.clone()),
            common_in_order: VecDeque::new(),
            entries: Vec::new(),
            counters: LegCounters::default(),
            hasher,
        };
        table.set_settings(settings);
        table
    }

    /// Puts other settings in force from the next call on.
    pub fn set_settings(&mut self, settings: &LegSettings) {
        let bytes = |text: &str| text.trim().as_bytes().into();
        let header = |text: &String| match text.split_once(';') {
            Some((name, parameter)) => HeaderMark { name: bytes(name), parameter: Some(bytes(parameter)) },
            None => HeaderMark { name: bytes(text), parameter: None },
        };
        self.headers = settings.headers.iter().map(header).collect();
        self.settings = settings.clone();
    }

    /// What was not kept, or tells nothing.
    #[must_use]
    pub const fn counters(&self) -> &LegCounters {
        &self.counters
    }

    /// Marks kept of all calls.
    #[must_use]
    pub fn marks(&self) -> usize {
        self.members.len()
    }

    /// Whether the call has the mark already.
    pub(super) fn has(&self, call: CallKey, mark: Mark) -> bool {
        self.entry(call).is_some_and(|entry| entry.marks.contains(&mark))
    }

    /// Gives a call a mark. Returns whether others carry it too, so that it is to be looked at whether they can be legs.
    pub(super) fn add(&mut self, call: CallKey, mark: Mark) -> bool {
        if self.has(call, mark) || self.common.contains(&mark) {
            return false;
        }
        let others = self.members_of(mark).count();
        if others >= MEMBERS {
            self.make_common(mark);
            return false;
        }
        let entry = self.entry_mut(call);
        if entry.marks.len() >= MARKS_KEPT {
            self.counters.refused += 1;
            return false;
        }
        entry.marks.push(mark);
        self.members.insert_unique(mark.hash(), (mark, call), |(mark, _)| mark.hash());
        others > 0
    }

    /// The mark is an identity of none.
    pub(super) fn make_common(&mut self, mark: Mark) {
        if !self.common.insert(mark) {
            return;
        }
        self.counters.marks_common += 1;
        self.common_in_order.push_back(mark);
        if self.common_in_order.len() > COMMON_KEPT
            && let Some(oldest) = self.common_in_order.pop_front()
        {
            self.common.remove(&oldest);
            self.counters.common_evicted += 1;
        }
    }

    /// The marks of a call that tell calls apart.
    pub(super) fn marks_of(&self, call: CallKey) -> impl Iterator<Item = Mark> + '_ {
        let marks = self.entry(call).into_iter().flat_map(|entry| entry.marks.iter().copied());
        marks.filter(|mark| !self.common.contains(mark))
    }

    /// The calls that carry a mark, in no order.
    pub(super) fn members_of(&self, mark: Mark) -> impl Iterator<Item = CallKey> + '_ {
        self.members.iter_hash(mark.hash()).filter(move |(known, _)| *known == mark).map(|(_, call)| *call)
    }

    /// Keeps that two calls belong together.
    pub(super) fn say(&mut self, call: CallKey, link: Link) {
        for (call, link) in [(call, link), (link.other, Link { other: call, ..link })] {
            let said = &mut self.entry_mut(call).more.get_or_insert_default().said;
            if said.iter().any(|known| known.other == link.other && known.relation == link.relation) {
                continue;
            }
            if said.len() < SAID_KEPT {
                said.push(link);
            } else {
                self.counters.refused += 1;
            }
        }
    }

    /// What messages said of a call.
    pub(super) fn said(&self, call: CallKey) -> &[Link] {
        self.entry(call).and_then(|entry| entry.more.as_ref()).map_or(&[], |more| &more.said)
    }

    /// Legs of a call that are over.
    pub(super) fn former(&self, call: CallKey) -> &[LegRecord] {
        self.entry(call).and_then(|entry| entry.more.as_ref()).map_or(&[], |more| &more.former)
    }

    /// A leg of the call is over: only its name remains.
    pub(super) fn outlive(&mut self, call: CallKey, record: LegRecord) {
        let former = &mut self.entry_mut(call).more.get_or_insert_default().former;
        if former.iter().any(|known| known.call_id == record.call_id && known.relation == record.relation) {
            return;
        }
        if former.len() < SAID_KEPT {
            former.push(record);
        } else {
            self.counters.refused += 1;
        }
    }

    /// The call is over.
    pub(super) fn remove(&mut self, call: CallKey) {
        let Some(entry) = self.entries.get_mut(call.slot as usize).filter(|e| e.generation == call.generation) else {
            return;
        };
        let entry = core::mem::take(entry);
        for mark in entry.marks {
            if let Ok(found) = self.members.find_entry(mark.hash(), |known| *known == (mark, call)) {
                found.remove();
            }
        }
    }

    fn entry(&self, call: CallKey) -> Option<&Entry> {
        self.entries.get(call.slot as usize).filter(|entry| entry.generation == call.generation)
    }

    fn entry_mut(&mut self, call: CallKey) -> &mut Entry {
        let slot = call.slot as usize;
        if self.entries.len() <= slot {
            self.entries.resize_with(slot + 1, Entry::default);
        }
        let entry = &mut self.entries[slot];
        // Whoever had the slot before has left it: no call is freed without its marks.
        debug_assert!(entry.generation == call.generation || entry.marks.is_empty());
        if entry.generation != call.generation {
            *entry = Entry { generation: call.generation, ..Entry::default() };
        }
        entry
    }
}
