//! The kernel's map of streams, read once a second: streams that went quiet report, those long quiet leave, and what the kernel
//! evicted is counted.
//!
//! A map of 100,000 streams takes tens of milliseconds to read, in which no ring would be emptied: so it is read in slices, one a
//! poll.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use aya::{
    Pod,
    maps::{HashMap, Map, MapData},
};
use foldhash::fast::FixedState;
use sip_monitor_common::{StreamKey, StreamRecord};

use super::{
    batch::{BatchReader, Place},
    error::LiveError,
    record::Record,
    softkernel::{sort_streams, swept},
    sweep::{Fate, Sweeper},
};

/// How often a pass over the map begins.
const EVERY_NS: u64 = 1_000_000_000;
/// Streams of one slice at least.
const SLICE: usize = 2_048;
/// Slices of one pass, if the map does not grow meanwhile: with a poll every 15 ms a pass ends before the next begins.
const SLICES: usize = 40;

/// A key of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Key(pub StreamKey);
// SAFETY: `repr(C)` integers without padding.
unsafe impl Pod for Key {}

/// A value of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Value(pub StreamRecord);
// SAFETY: `repr(C)` integers without padding.
unsafe impl Pod for Value {}

/// See the module.
pub struct StreamMap {
    map: HashMap<MapData, Key, Value>,
    fd: OwnedFd,
    reader: BatchReader,
    sweeper: Sweeper<FixedState>,
    /// The pass that is under way.
    pass: Option<Pass>,
    began_at_ns: u64,
    /// Streams of the last whole pass.
    present: usize,
    /// Streams that this side has removed.
    forgotten: u64,
    evicted: u64,
}

/// One pass over the map.
struct Pass {
    place: Place,
    /// Streams ever opened, and those removed again by this side, when it began.
    opened: u64,
    forgotten: u64,
    present: usize,
}

impl StreamMap {
    /// One that reads `map` from `now_ns` on. `seed` is that of the hash tables: keys come from the network.
    ///
    /// # Errors
    /// Where it is no map of streams.
    pub fn new(map: Map, now_ns: u64, seed: u64) -> Result<Self, LiveError> {
        let what = "opening the stream map";
        let Map::LruHashMap(data) = &map else { return Err(LiveError::failed(what, "it is no LRU hash")) };
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(|e| LiveError::failed(what, e))?;
        Ok(Self {
            map: HashMap::try_from(map).map_err(|e| LiveError::caused(what, &e))?,
            fd,
            reader: BatchReader::new(),
            sweeper: Sweeper::new(FixedState::with_seed(seed)),
            pass: None,
            began_at_ns: now_ns,
            present: 0,
            forgotten: 0,
            evicted: 0,
        })
    }

    /// Whether a pass is under way or due.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.pass.is_some() || now_ns >= self.began_at_ns + EVERY_NS
    }

    /// Reads one slice, beginning a pass where none is under way; appends reports to `out`. `opened` is the number of streams
    /// that the kernel ever opened. True where the pass is over.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn step(&mut self, now_ns: u64, opened: u64, out: &mut Vec<Record>) -> Result<bool, LiveError> {
        if self.pass.is_none() {
            self.began_at_ns = now_ns;
        }
        let forgotten = self.forgotten;
        let mut pass = self.pass.take().unwrap_or(Pass { place: Place::default(), opened, forgotten, present: 0 });
        let (begin, mut forget) = (out.len(), Vec::new());
        let until = pass.present + SLICE.max(self.present / SLICES);
        while pass.present < until && !pass.place.is_end() {
            let read = self.reader.read(self.fd.as_fd(), &mut pass.place, |key, record| {
                pass.present += 1;
                match self.sweeper.judge(now_ns, key, &record.state) {
                    Fate::Keep => {}
                    Fate::Report => out.push(Record::Stream(Box::new(swept(record, now_ns)))),
                    Fate::Forget => forget.push(*key),
                }
            });
            read.map_err(refused)?;
        }
        sort_streams(&mut out[begin..]);
        for key in forget {
            self.forgotten += u64::from(self.map.remove(&Key(key)).is_ok());
        }
        if !pass.place.is_end() {
            self.pass = Some(pass);
            return Ok(false);
        }
        self.sweeper.finish();
        self.present = pass.present;
        // What was opened before, not removed by us before, and is not there, the kernel has evicted. Streams that came while
        // the pass went on are there without being meant: the number may be too low until the next pass, never too high.
        let gone = pass.opened.saturating_sub(pass.forgotten + pass.present as u64);
        self.evicted = self.evicted.max(gone);
        Ok(true)
    }

    /// Appends a last report of every stream that has counted packets since its last one.
    ///
    /// # Errors
    /// As [`StreamMap::step`].
    pub fn finish(&mut self, now_ns: u64, opened: u64, out: &mut Vec<Record>) -> Result<(), LiveError> {
        // What was reported in this pass is remembered at its end, as what was evicted is counted there.
        while !self.step(now_ns, opened, out)? {}
        let begin = out.len();
        let mut place = Place::default();
        while !place.is_end() {
            let read = self.reader.read(self.fd.as_fd(), &mut place, |key, record| {
                if self.sweeper.has_news(key, &record.state) {
                    out.push(Record::Stream(Box::new(swept(record, now_ns))));
                }
            });
            read.map_err(refused)?;
        }
        sort_streams(&mut out[begin..]);
        Ok(())
    }

    /// Streams found in the map when it was last read to its end.
    #[must_use]
    pub const fn present(&self) -> usize {
        self.present
    }

    /// Streams the kernel evicted because its map was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

fn refused(error: io::Error) -> LiveError {
    LiveError::caused("reading the stream map", &error)
}
