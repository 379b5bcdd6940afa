//! OPTIONS sent to a peer to see whether it is alive.

use core::time::Duration;

use super::Histogram;
use crate::time::Timestamp;

/// How the last ping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingEnd {
    /// Any answer but 5xx: 4xx and 6xx come from somebody who is alive.
    Alive(u16),
    /// A 5xx.
    Refused(u16),
    /// Nothing within 64*T1.
    Unanswered,
}

/// Pings and their ends.
#[derive(Clone, Debug, Default)]
pub struct Pings {
    /// Pings that came to an end.
    pub ended: u32,
    /// How many in a row were unanswered or answered with 5xx, up to now.
    pub bad_in_a_row: u32,
    /// How the last one ended.
    pub last: Option<PingEnd>,
    /// When the first of those in a row was sent.
    pub bad_since: Option<Timestamp>,
    /// When the last good answer came.
    pub good_at: Option<Timestamp>,
    /// When a good answer ended the last row of bad ones.
    pub recovered_at: Option<Timestamp>,
    /// Round trips of those that were answered at their first sending.
    pub round_trip: Histogram,
}

impl Pings {
    pub(crate) fn end(&mut self, sent_at: Timestamp, now: Timestamp, round_trip: Option<Duration>, end: PingEnd) {
        self.ended = self.ended.saturating_add(1);
        self.last = Some(end);
        if let PingEnd::Alive(_) = end {
            if self.bad_in_a_row > 0 {
                self.recovered_at = Some(now);
            }
            self.bad_in_a_row = 0;
            self.bad_since = None;
            self.good_at = Some(now);
            if let Some(time) = round_trip {
                self.round_trip.add(time);
            }
        } else {
            self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
            self.bad_since.get_or_insert(sent_at);
        }
    }

    /// What was sent at `sent_at` fell into an outage: whether it was answered says nothing of the path.
    pub(crate) fn was_down(&self, sent_at: Timestamp) -> bool {
        self.bad_in_a_row > 0 || self.recovered_at.is_some_and(|at| sent_at < at)
    }
}
