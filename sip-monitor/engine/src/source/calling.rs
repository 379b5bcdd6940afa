//! How fast one source calls, and what becomes of its calls.

use core::time::Duration;

use super::WINDOW;
use crate::time::Timestamp;

/// What became of the calls of a flood is known after so long at the latest: a call that does not even ring by then is not served.
const SETTLED: Duration = Duration::from_secs(5);
/// Counts lose half of their weight after so long.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// A step in the life of a call, as it counts for who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its first INVITE. An INVITE sent again with credentials begins no call.
    Began,
    /// It rang or was answered.
    Served,
    /// It was refused before it rang.
    Refused,
}

/// What becomes of the calls of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Most of them ring or are answered.
    Served,
    /// Most of them are refused.
    Refused,
    /// Most of them neither ring nor are refused.
    Unanswered,
}

impl Fate {
    /// As evidence names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}

/// More calls within one second than the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Calls that began within one second, at their most.
    pub most: u32,
    /// What becomes of them; `None` until that is known.
    pub fate: Option<Fate>,
    /// When it began.
    since: Timestamp,
    /// When the threshold was passed last.
    last_at: Timestamp,
    /// Calls begun when the threshold was passed first.
    begun: u32,
}

/// Calls of one source.
#[derive(Debug)]
pub(super) struct Calling {
    /// The flood that goes on.
    pub flood: Option<Flood>,
    second: (Timestamp, u32),
    counted_since: Timestamp,
    begun: u32,
    served: u32,
    refused: u32,
}

impl Calling {
    pub const fn new(now: Timestamp) -> Self {
        Self { flood: None, second: (now, 0), counted_since: now, begun: 0, served: 0, refused: 0 }
    }

    /// Counts a step. Returns whether what is to be said of the flood changed.
    pub fn step(&mut self, step: Step, now: Timestamp, threshold: u32) -> bool {
        self.age(now);
        match step {
            Step::Began => {
                self.begun = self.begun.saturating_add(1);
                if now.since(self.second.0) >= Duration::from_secs(1) {
                    self.second = (now, 0);
                }
                self.second.1 += 1;
                if self.second.1 > threshold {
                    let begun = self.begun;
                    let new = Flood { most: 0, fate: None, since: now, last_at: now, begun };
                    let flood = self.flood.get_or_insert(new);
                    flood.most = flood.most.max(self.second.1);
                    flood.last_at = now;
                }
            }
            Step::Served => self.served = self.served.saturating_add(1),
            Step::Refused => self.refused = self.refused.saturating_add(1),
        }
        self.decide(now)
    }

    /// Looks again at `now`. Returns whether what is to be said of the flood changed.
    pub fn look(&mut self, now: Timestamp) -> bool {
        self.age(now);
        if self.flood.is_some_and(|flood| now.since(flood.last_at) >= WINDOW) {
            return self.flood.take().is_some_and(|flood| flood.fate.is_some());
        }
        self.decide(now)
    }

    /// When looking again may change something.
    pub fn due(&self) -> Option<Timestamp> {
        let flood = self.flood.as_ref()?;
        let decided = flood.fate.is_some();
        Some(if decided { flood.last_at + WINDOW } else { flood.since + SETTLED })
    }

    fn decide(&mut self, now: Timestamp) -> bool {
        let Some(flood) = self.flood.as_mut() else { return false };
        let half = flood.begun / 2;
        let fate = if self.refused > half && self.refused > self.served {
            Some(Fate::Refused)
        } else if self.served > half {
            Some(Fate::Served)
        } else if flood.fate.is_none() && now.since(flood.since) >= SETTLED {
            Some(Fate::Unanswered)
        } else {
            flood.fate
        };
        core::mem::replace(&mut flood.fate, fate) != fate
    }

    fn age(&mut self, now: Timestamp) {
        let halves = now.since(self.counted_since).as_secs() / HALF_LIFE.as_secs();
        if halves == 0 {
            return;
        }
        self.counted_since = now;
        let shift = u32::try_from(halves.min(31)).unwrap_or(31);
        for count in [&mut self.begun, &mut self.served, &mut self.refused] {
            *count >>= shift;
        }
    }
}
