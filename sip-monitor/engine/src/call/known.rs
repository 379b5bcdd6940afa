//! What earlier calls showed and later ones are judged by: who has answered a call, and which challenges were answered
//! under another Call-ID. Bounded; what does not fit is forgotten, and then nothing is concluded.

use core::hash::BuildHasher;
use core::net::IpAddr;
use core::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::call::CallKey;
use crate::time::Timestamp;

/// Facts about answers kept.
const ANSWERED_KEPT: usize = 65_536;
/// Challenges kept that wait for an answer.
const CHALLENGES_KEPT: usize = 16_384;
/// How long a caller may take to answer a challenge in a new call.
const CHALLENGE_WITHIN: Duration = Duration::from_secs(180);

/// Who answered a call since start, to what kind of number and to whose credentials.
#[derive(Debug, Default)]
pub struct Answered {
    facts: HashSet<u64, RandomState>,
    hasher: RandomState,
    is_full: bool,
}

/// What an answer shows to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown<'a> {
    /// Calls to this peer can succeed.
    Peer,
    /// Calls with the credentials of this user can.
    User(&'a str),
    /// Calls to numbers written like this can.
    Called(&'static str),
    /// Calls from numbers written like this can.
    Calling(&'static str),
    /// This address passes calls on.
    Relay,
}

impl Answered {
    /// A call to `peer` was answered.
    pub(crate) fn note(&mut self, peer: IpAddr, shown: Shown<'_>) {
        if self.facts.len() >= ANSWERED_KEPT {
            self.is_full = true;
            return;
        }
        self.facts.insert(self.hasher.hash_one((peer, shown)));
    }

    /// Whether this was shown since start, as far as it was kept.
    #[must_use]
    pub fn was_shown(&self, peer: IpAddr, shown: Shown<'_>) -> bool {
        self.facts.contains(&self.hasher.hash_one((peer, shown)))
    }

    /// Whether this was shown since start. Where not everything could be kept, it counts as shown.
    #[must_use]
    pub fn is_known(&self, peer: IpAddr, shown: Shown<'_>) -> bool {
        self.is_full || self.facts.contains(&self.hasher.hash_one((peer, shown)))
    }
}

/// Calls whose challenge waits for an answer, by nonce.
#[derive(Debug, Default)]
pub(crate) struct ChallengeIndex {
    by_nonce: HashMap<u64, (CallKey, Timestamp), RandomState>,
    swept_at: Timestamp,
}

impl ChallengeIndex {
    /// The INVITE of a call was challenged with this nonce.
    pub fn wait(&mut self, nonce: u64, key: CallKey, at: Timestamp) {
        if self.by_nonce.len() >= CHALLENGES_KEPT && at.since(self.swept_at) >= Duration::from_secs(1) {
            self.swept_at = at;
            self.by_nonce.retain(|_, (_, since)| at.since(*since) < CHALLENGE_WITHIN);
        }
        if self.by_nonce.len() < CHALLENGES_KEPT {
            self.by_nonce.insert(nonce, (key, at));
        }
    }

    /// Credentials with this nonce came: whose challenge they answer, if that is still waited for.
    pub fn answer(&mut self, nonce: u64) -> Option<CallKey> {
        self.by_nonce.remove(&nonce).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_kept_counts_as_shown() {
        let mut answered = Answered::default();
        let peer = |n: u32| IpAddr::from(n.to_be_bytes());
        assert!(!answered.is_known(peer(1), Shown::Peer));
        for n in 0..100_000 {
            answered.note(peer(n), Shown::Peer);
        }
        assert!(answered.is_known(peer(99_999), Shown::Peer));
        assert_eq!(answered.facts.len(), ANSWERED_KEPT);
    }

    #[test]
    fn challenges_that_nobody_answers_make_room() {
        let mut index = ChallengeIndex::default();
        let key = CallKey { slot: 1, generation: 1 };
        let at = |s: i64| Timestamp::from_unix_ns(s * 1_000_000_000);
        for nonce in 0..100_000 {
            index.wait(nonce, key, at(1000));
        }
        assert_eq!(index.by_nonce.len(), CHALLENGES_KEPT);
        index.wait(999_999, key, at(2000));
        assert_eq!(index.answer(999_999), Some(key));
        assert_eq!(index.by_nonce.len(), 0);
    }
}
