//! How long callers wait for the first sign of ringing.

use core::time::Duration;
use std::collections::VecDeque;

use crate::text::StoredText;
use crate::time::Timestamp;

/// Calls kept.
const KEPT: usize = 64;

/// What took the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetupDelay {
    /// The peer, after the last INVITE.
    Peer,
    /// The exchange of a challenge and its credentials.
    Authentication,
    /// An earlier branch, which was given up.
    Failover,
}

/// One call that rang or was answered.
#[derive(Clone, Debug)]
pub struct Setup {
    /// When it rang.
    pub at: Timestamp,
    /// Since its first INVITE.
    pub delay: Duration,
    /// What took the longest part.
    pub by: SetupDelay,
    /// Call-ID; kept of slow ones.
    pub call_id: Option<StoredText>,
}

/// The last calls that rang.
#[derive(Clone, Debug, Default)]
pub struct Setups {
    last: VecDeque<Setup>,
}

impl Setups {
    pub(crate) fn add(&mut self, setup: Setup) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(setup);
    }

    /// How many are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.last.len()
    }

    /// The time that 95 of 100 calls stay below or reach.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        let mut delays: Vec<Duration> = self.last.iter().map(|setup| setup.delay).collect();
        delays.sort_unstable();
        let rank = (delays.len() * 95).div_ceil(100);
        delays.get(rank.checked_sub(1)?).copied()
    }

    /// Those that took longer, since then; newest last.
    pub fn longer_than(&self, delay: Duration, since: Timestamp) -> impl DoubleEndedIterator<Item = &Setup> {
        self.last.iter().filter(move |setup| setup.delay > delay && setup.at >= since)
    }
}
