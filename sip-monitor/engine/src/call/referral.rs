//! Transfers that this host was asked for and whose call has not left yet: the REFER and the call it makes have different
//! Call-IDs.

use core::time::Duration;

use crate::call::CallKey;
use crate::packet::Direction;
use crate::seen::Seen;
use crate::sip::{HeaderName, Uri};
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::MethodKind;

/// Transfers waited for at a time; one that does not fit counts as followed, since nobody watched.
const PENDING_KEPT: usize = 64;
/// How long a call may take to leave.
const WITHIN: Duration = Duration::from_secs(60);
/// Dial plans add and strip prefixes: so many last digits in common are the same number.
const SAME_DIGITS: usize = 4;

/// Transfers whose call has not left yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Referrals {
    pending: Vec<Referral>,
}

#[derive(Debug)]
struct Referral {
    key: CallKey,
    cseq: u32,
    user: StoredText,
    at: Timestamp,
}

/// What a message means for transfers.
pub(crate) enum Referred {
    /// Nothing.
    Nothing,
    /// This transfer is watched from now on.
    Watched,
    /// The transfer that the REFER with this CSeq number of this call asked for came about, or cannot be watched.
    Followed(CallKey, u32),
}

impl Referrals {
    /// Takes a request, not seen before, of the call `key`.
    pub(crate) fn handle_request(&mut self, seen: &Seen<'_, '_>, key: CallKey, limit: usize) -> Referred {
        match (seen.kind, seen.direction) {
            (MethodKind::Refer, Direction::In) => self.watch(seen, key, limit),
            (MethodKind::Invite, Direction::Out) if !seen.in_dialog() && !self.pending.is_empty() => self.follow(seen),
            _ => Referred::Nothing,
        }
    }

    fn watch(&mut self, seen: &Seen<'_, '_>, key: CallKey, limit: usize) -> Referred {
        self.pending.retain(|referral| seen.at.since(referral.at) < WITHIN);
        if self.pending.len() >= PENDING_KEPT {
            return Referred::Followed(key, seen.cseq);
        }
        let target = seen.message.refer_to().and_then(|to| user_of(to.uri)).unwrap_or_default();
        self.pending.push(Referral { key, cseq: seen.cseq, user: StoredText::new(target, limit), at: seen.at });
        Referred::Watched
    }

    /// A call leaves: to the target of a transfer, or one that says it comes of one.
    fn follow(&mut self, seen: &Seen<'_, '_>) -> Referred {
        self.pending.retain(|referral| seen.at.since(referral.at) < WITHIN);
        let says_so = seen.message.header(HeaderName::ReferredBy).is_some() || seen.message.replaces().is_some();
        let users = [seen.message.request_uri(), seen.to.map(|to| to.uri)].map(|uri| uri.and_then(user_of));
        let fits = |referral: &Referral| {
            says_so || users.iter().flatten().any(|user| same_number(referral.user.as_str().as_bytes(), user))
        };
        let Some(index) = self.pending.iter().position(fits) else { return Referred::Nothing };
        let referral = self.pending.remove(index);
        Referred::Followed(referral.key, referral.cseq)
    }
}

fn user_of(uri: &[u8]) -> Option<&[u8]> {
    Uri::user_of(uri)
}

fn same_number(one: &[u8], other: &[u8]) -> bool {
    let tail = |user: &[u8]| -> Option<Vec<u8>> {
        let digits: Vec<u8> = user.iter().copied().filter(u8::is_ascii_digit).collect();
        digits.len().checked_sub(SAME_DIGITS).and_then(|from| digits.get(from..)).map(<[u8]>::to_vec)
    };
    one == other || tail(one).is_some_and(|tail_of_one| tail(other) == Some(tail_of_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_another_prefix_are_the_same_number() {
        assert!(same_number(b"+15551230002", b"0015551230002"));
        assert!(same_number(b"bob", b"bob") && !same_number(b"bob", b"bobby"));
        assert!(!same_number(b"100", b"9100"), "too short to tell");
        assert!(!same_number(b"+15551230002", b"+15551230003"));
    }
}
