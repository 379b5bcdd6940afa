//! What is done once a second over all streams: those that went quiet since their last report are reported, those that
//! have been quiet for long are forgotten. Live capture and replay decide here, by the same rule.

use std::hash::BuildHasher;

use hashbrown::HashMap;
use sip_monitor_common::{
    StreamKey, StreamState,
    limits::{LOOKALIKE_IDLE_NS, REPORT_INTERVAL_NS, STREAM_IDLE_NS},
};

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Keep,
    /// Its counters go up.
    Report,
    /// It leaves the map.
    Forget,
}

/// Remembers what it has reported, since it may not write into the kernel's map.
#[derive(Debug)]
pub struct Sweeper<S> {
    reported: HashMap<StreamKey, u64, S>,
    swept: HashMap<StreamKey, u64, S>,
}

impl<S: BuildHasher + Clone> Sweeper<S> {
    /// One that has reported nothing. `hasher` must be seeded: keys come from the network.
    pub fn new(hasher: S) -> Self {
        Self { reported: HashMap::with_hasher(hasher.clone()), swept: HashMap::with_hasher(hasher) }
    }

    /// Decides on one stream of the map. Between two calls of [`Sweeper::finish`] every stream of the map comes once.
    pub fn judge(&mut self, now_ns: u64, key: &StreamKey, state: &StreamState) -> Fate {
        let quiet_ns = now_ns.saturating_sub(state.last_ns);
        let idle_ns = if state.in_sequence == 1 { STREAM_IDLE_NS } else { LOOKALIKE_IDLE_NS };
        let known_ns = self.reported.get(key).copied().unwrap_or(0).max(state.reported_ns);
        let news = state.last_ns > known_ns;
        if quiet_ns >= idle_ns && !news {
            return Fate::Forget;
        }
        if !news || quiet_ns < REPORT_INTERVAL_NS {
            if known_ns > state.reported_ns {
                self.swept.insert(*key, known_ns);
            }
            return Fate::Keep;
        }
        self.swept.insert(*key, state.last_ns);
        Fate::Report
    }

    /// Ends a sweep: streams that are no longer in the map are forgotten here, too.
    pub fn finish(&mut self) {
        std::mem::swap(&mut self.reported, &mut self.swept);
        self.swept.clear();
    }

    /// Whether a stream has counted packets that nobody has been told of.
    pub fn has_news(&self, key: &StreamKey, state: &StreamState) -> bool {
        state.last_ns > self.reported.get(key).copied().unwrap_or(0).max(state.reported_ns)
    }
}
