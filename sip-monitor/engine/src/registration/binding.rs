//! A binding: one Contact of one address of record, over all Call-IDs that register it. Facts without opinion.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use crate::call::{ChallengeSeen, CredentialsSeen};
use crate::packet::Direction;
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::Repeats;

/// How long after its expiry a binding may still be refreshed: clocks, and one retransmission.
pub const GRACE: Duration = Duration::from_secs(10);
/// Changes between up and down that are kept.
const CHANGES_KEPT: usize = 8;
/// Changes are counted over this long.
pub const CHANGES_WITHIN: Duration = Duration::from_secs(600);
/// Longest URI and phrase kept, bytes.
pub(super) const TEXT_BYTES: usize = 256;
/// How long a client may take to answer a challenge: phones ask their user for a password.
pub const CHALLENGE_WITHIN: Duration = Duration::from_secs(64);
/// How long a refusal of somebody who was never let in is kept back: a fast scan shows itself by then.
pub const STRANGER_WAITS: Duration = Duration::from_secs(2);
/// How long where several users of the same source are refused: a slow scan shows itself by then.
pub const PROBING_WAITS: Duration = Duration::from_secs(60);
/// How long a binding that is down is remembered.
const KEPT_DOWN: Duration = Duration::from_secs(900);

/// Where a binding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingState {
    /// Never seen alive.
    New,
    /// Registered.
    Up,
    /// Taken back by its client.
    Removed,
    /// Not refreshed in time.
    Lapsed,
}

/// One Contact of one address of record.
#[derive(Debug)]
pub struct Binding {
    /// Address of record: the To URI.
    pub aor: StoredText,
    /// Contact URI; empty where a REGISTER only asks.
    pub contact: StoredText,
    /// Address in the Contact.
    pub contact_ip: Option<IpAddr>,
    /// Where the last REGISTER came from.
    pub source: SocketAddr,
    /// Where it went.
    pub registrar: SocketAddr,
    /// Call-ID of the last REGISTER.
    pub call_id: StoredText,
    /// From URI, where it is not the address of record: third-party registration (RFC 3261 10.2).
    pub registered_by: Option<StoredText>,
    /// Which way it went, as seen from this host.
    pub direction: Direction,
    /// User-Agent of the client.
    pub user_agent: Option<StoredText>,
    /// First REGISTER.
    pub first_at: Timestamp,
    /// Last message.
    pub last_at: Timestamp,
    /// Where it stands.
    pub state: BindingState,
    /// When it was registered or refreshed last.
    pub registered_at: Option<Timestamp>,
    /// What was granted, seconds.
    pub granted_s: u32,
    /// Expiry asked for last, seconds; 0 is a removal.
    pub asked_s: Option<u32>,
    /// REGISTER requests, retransmissions and relayed copies not counted.
    pub requests: u32,
    /// Those that renewed it while it was up.
    pub refreshes: u32,
    /// Challenges, all together.
    pub challenges: u32,
    /// How often it came up.
    pub came_up: u32,
    /// Last final status code.
    pub final_code: Option<u16>,
    /// Since when it is down, where it was up before.
    pub offline_since: Option<Timestamp>,
    /// Challenges in a row.
    pub rounds: u32,
    /// `423 Interval Too Brief` in a row.
    pub too_brief: u32,
    /// When it came up or went down, the last of it.
    pub changes: SmallVec<[Timestamp; CHANGES_KEPT]>,
    /// Another Contact of the same address of record was registered later: this one was left behind.
    pub superseded: bool,
    /// The last credentials of the address of record came under another Contact.
    pub answered_elsewhere: bool,
    /// What the registrar did about a source other than the Contact: filled in received or rport, kept a Path, or was told.
    pub nat_handled: bool,
    /// The last challenge, until it is answered well.
    pub challenge: Option<(Timestamp, SmallVec<[ChallengeSeen; 1]>)>,
    /// How the last attempt ended, where that was no success.
    pub failure: Option<RegisterFailure>,
    /// Before it was told of, other users of its source were refused, too: so many within a minute.
    pub refused_among: Option<u32>,
    pub(crate) pending: Option<Pending>,
    pub(crate) due: Timestamp,
}

/// How a REGISTER failed.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterFailure {
    /// When.
    pub at: Timestamp,
    /// When the first of these failures was, one after another.
    pub since: Timestamp,
    /// Final status; 0 where none came.
    pub code: u16,
    /// Reason phrase.
    pub phrase: StoredText,
    /// Credentials of the REGISTER.
    pub credentials: SmallVec<[CredentialsSeen; 1]>,
    /// They answered the nonce of this binding's last challenge.
    pub fresh: bool,
    /// The registrar said that the nonce was too old.
    pub stale: bool,
    /// Min-Expires of a 423.
    pub min_expires_s: Option<u32>,
    /// How often the REGISTER was sent.
    pub sent: u32,
    /// The same refusal has come so many times in a row.
    pub times: u32,
}

/// The REGISTER under way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub call_id: u64,
    pub cseq: u32,
    pub sent: Repeats,
    pub asked_s: Option<u32>,
    pub credentials: SmallVec<[CredentialsSeen; 1]>,
    /// Credentials that synchronise anew (RFC 3310 3.4) are refused by design.
    pub resync: bool,
    pub path: bool,
    /// Its client repeats it until it is answered: UDP.
    pub repeats: bool,
    pub answered: bool,
}

impl Binding {
    /// When the binding is over unless it is refreshed.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let registered = self.registered_at.filter(|_| self.state == BindingState::Up)?;
        Some(registered + Duration::from_secs(self.granted_s.into()))
    }

    /// Changes between up and down within [`CHANGES_WITHIN`].
    #[must_use]
    pub fn changes_lately(&self, now: Timestamp) -> usize {
        self.changes.iter().filter(|at| now.since(**at) < CHANGES_WITHIN).count()
    }

    /// It came up or went down.
    pub(crate) fn change(&mut self, at: Timestamp, state: BindingState) {
        let (was, is) = (self.state == BindingState::Up, state == BindingState::Up);
        if is {
            self.offline_since = None;
            self.came_up = self.came_up.saturating_add(u32::from(!was));
        } else if was {
            // What was not refreshed was over at its expiry, whenever that is noticed.
            let expired = self.expires_at().filter(|_| state == BindingState::Lapsed);
            self.offline_since = Some(expired.map_or(at, |expired| expired.min(at)));
        }
        self.state = state;
        if was != is {
            if self.changes.len() == CHANGES_KEPT {
                self.changes.remove(0);
            }
            self.changes.push(at);
        }
    }

    /// When time alone changes what is to be said of it, and when it is forgotten.
    pub(crate) fn next_due(&self, now: Timestamp, give_up: Duration) -> Timestamp {
        let unanswered = self.pending.as_ref().filter(|p| !p.answered).map(|p| p.sent.first() + give_up);
        let challenge = self.challenge.as_ref().map(|(at, _)| *at + CHALLENGE_WITHIN);
        let lapses = self.expires_at().map(|at| at + GRACE);
        let told = self.failure.iter().flat_map(|f| [f.since + STRANGER_WAITS, f.since + PROBING_WAITS]);
        let calms = self.changes.first().map(|at| *at + CHANGES_WITHIN);
        let due = [unanswered, challenge, lapses, calms].into_iter().flatten().chain(told).filter(|at| *at > now).min();
        due.unwrap_or_else(|| self.free_at()).max(now + Duration::from_millis(1))
    }

    /// When it is forgotten.
    pub(crate) fn free_at(&self) -> Timestamp {
        let alive = self.expires_at().map_or(self.last_at, |at| at.max(self.last_at));
        alive + KEPT_DOWN
    }
}
