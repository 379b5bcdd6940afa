//! When time alone makes a fact worth another look: a CANCEL without effect, a transfer that nobody reports on, a hold that
//! lasts too long, a session that was not refreshed.

use core::time::Duration;

use crate::call::{Call, Refer};
use crate::config::EngineConfig;
use crate::packet::Direction;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

/// How much later than the end of its interval a session counts as expired: clocks and round trips.
pub(crate) const SESSION_SLACK: Duration = Duration::from_secs(5);

/// How long the refusal of a stranger's call is kept back: alone, and among refusals of other users of the same source. A scan
/// shows itself by then.
pub(crate) const STRANGER_WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(30)];

impl Call {
    /// The first such time later than `after`.
    pub(crate) fn next_look(&self, config: &EngineConfig, after: Timestamp) -> Option<Timestamp> {
        let give_up = config.timers.give_up();
        let cancelled = self.transactions.iter().filter_map(|t| t.cancel_due(give_up));
        let challenged = self.transactions.iter().filter_map(|t| t.challenge_due(give_up));
        let transfers = self.refers.iter().filter_map(|r| r.due(config));
        let is_up = self.ended_at.is_none();
        let hold = self.hold.filter(|_| is_up).map(|hold| hold.since + config.thresholds.hold_too_long);
        let timer = self.session_timer.filter(|_| is_up).map(|timer| timer.expires_at() + SESSION_SLACK);
        let stranger = self.stranger_refused_at().into_iter().flat_map(|at| STRANGER_WAITS.map(|wait| at + wait));
        let times = cancelled.chain(challenged).chain(transfers).chain(hold).chain(timer).chain(stranger);
        times.filter(|at| *at > after).min()
    }

    /// When this host forbade the call without asking for credentials: who makes it may yet turn out to scan.
    #[must_use]
    pub fn stranger_refused_at(&self) -> Option<Timestamp> {
        let refusal = self.refusals.last().filter(|refusal| refusal.code == 403 && refusal.credentials.is_empty())?;
        let is_here = self.hops.first().is_some_and(|hop| hop.direction == Direction::In);
        (is_here && self.answered_at.is_none()).then_some(refusal.at)
    }
}

impl Transaction {
    /// 64*T1 after its CANCEL an INVITE counts as cancelled (RFC 3261 9.1); a 2xx that crossed it must be followed by BYE.
    fn cancel_due(&self, give_up: Duration) -> Option<Timestamp> {
        let cancelled_at = self.cancelled_at?;
        match self.final_response() {
            None => Some(cancelled_at + give_up),
            Some(last) if last.code < 300 => Some(last.sent.first() + give_up),
            Some(_) => None,
        }
    }

    /// When a BYE that was asked for credentials should have come with them.
    fn challenge_due(&self, give_up: Duration) -> Option<Timestamp> {
        let challenge = self.final_response().filter(|r| matches!(r.code, 401 | 407))?;
        (self.method == MethodKind::Bye).then(|| challenge.sent.first() + give_up)
    }
}

impl Refer {
    /// When the outcome of a transfer should have been told.
    fn due(&self, config: &EngineConfig) -> Option<Timestamp> {
        (!self.is_told() && !self.no_subscription).then(|| self.at + config.thresholds.transfer_notify)
    }

    /// A NOTIFY told a final status.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.notified.is_some_and(|(_, code)| code >= 200)
    }
}
