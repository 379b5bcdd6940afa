//! Timers of the calls: one entry a call, in one queue. Pushing a call's deadline further away costs nothing: the entry
//! stays where it is and is looked at again when it comes up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::call::{Call, CallKey};
use crate::time::Timestamp;

/// Entries by time; stale ones are skipped when they come up.
#[derive(Debug, Default)]
pub struct TimerQueue {
    heap: BinaryHeap<Reverse<(Timestamp, CallKey)>>,
}

impl TimerQueue {
    /// Sees to it that the call is woken at its `due` time at the latest.
    pub(crate) fn arm(&mut self, call: &mut Call) {
        if call.clock.due < call.clock.armed {
            call.clock.armed = call.clock.due;
            self.heap.push(Reverse((call.clock.due, call.key)));
        }
    }

    /// When the next entry comes up. It may turn out to be stale.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next entry that is up by `now`: of which call, and for when it was made.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, CallKey)> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
