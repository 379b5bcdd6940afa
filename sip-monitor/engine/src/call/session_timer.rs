//! Session timers (RFC 4028): what was agreed on, who has to refresh it, and intervals that were refused as too small.

use core::time::Duration;

use crate::call::Call;
use crate::record::Side;
use crate::seen::Seen;
use crate::sip::Refresher;
use crate::time::Timestamp;

/// Refused intervals kept for one call.
const REFUSALS_KEPT: usize = 8;

/// The session timer of a call as agreed on last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Session-Expires, seconds.
    pub interval_s: u32,
    /// Who has to refresh, where it is said.
    pub refresher: Option<Side>,
    /// The 2xx that began the interval.
    pub refreshed_at: Timestamp,
}

impl SessionTimer {
    /// When the interval has passed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.refreshed_at + Duration::from_secs(self.interval_s.into())
    }

    /// When the side that does not refresh may give the session up: min(32 s, SE/3) before its end (RFC 4028 10).
    #[must_use]
    pub fn may_end_at(&self) -> Timestamp {
        let interval = Duration::from_secs(self.interval_s.into());
        self.refreshed_at + (interval - (interval / 3).min(Duration::from_secs(32)))
    }
}

/// A 422: the interval asked for is too small for who refused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalRefused {
    /// When.
    pub at: Timestamp,
    /// CSeq number of the request.
    pub cseq: u32,
    /// Who asked, where the tags tell.
    pub asked_by: Option<Side>,
    /// Session-Expires of the request.
    pub asked_s: Option<u32>,
    /// Min-SE of the 422.
    pub minimum_s: Option<u32>,
}

impl Call {
    /// A 2xx to INVITE or UPDATE of `requester` begins the interval anew; without Session-Expires there is none
    /// (RFC 4028 7.2).
    pub(crate) fn note_session_timer(&mut self, seen: &Seen<'_, '_>, requester: Side) {
        let Some(agreed) = seen.message.session_expires() else {
            self.session_timer = None;
            return;
        };
        self.session_interval_s = Some(agreed.seconds);
        let refresher = agreed.refresher.map(|who| match who {
            Refresher::Uac => requester,
            Refresher::Uas => requester.other(),
        });
        let timer = SessionTimer { interval_s: agreed.seconds, refresher, refreshed_at: seen.at };
        self.session_timer = Some(timer).filter(|timer| timer.interval_s > 0);
    }

    /// Takes a 422. A relay's copy of it is the same refusal.
    pub(crate) fn note_interval_refused(&mut self, seen: &Seen<'_, '_>, asked_s: Option<u32>, asked_by: Option<Side>) {
        let known = self.intervals_refused.iter().any(|r| r.cseq == seen.cseq && r.asked_by == asked_by);
        if known || self.intervals_refused.len() >= REFUSALS_KEPT {
            return;
        }
        let minimum_s = seen.message.min_se();
        self.intervals_refused.push(IntervalRefused { at: seen.at, cseq: seen.cseq, asked_by, asked_s, minimum_s });
    }
}
