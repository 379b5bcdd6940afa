//! What the final response to a REGISTER makes of a binding.

use foldhash::fast::RandomState;

use super::binding::{Binding, BindingState, RegisterFailure, TEXT_BYTES};
use crate::call::{challenges, phrase};
use crate::seen::Seen;
use crate::sip::{Contact, HeaderName, Message};
use crate::text::StoredText;

/// The REGISTER was accepted.
pub(super) fn accept(binding: &mut Binding, seen: &Seen<'_, '_>) {
    let Some(pending) = &binding.pending else { return };
    let (asked, has_path) = (pending.asked_s, pending.path);
    let (failure, challenge) = (binding.failure.take(), binding.challenge.take());
    drop((failure, challenge));
    (binding.rounds, binding.too_brief) = (0, 0);
    binding.refused_among = None;
    if binding.contact.is_empty() {
        return;
    }
    if asked == Some(0) {
        return binding.change(seen.at, BindingState::Removed);
    }
    let granted = granted(seen.message, binding).or(asked).unwrap_or(3600);
    if granted == 0 {
        return binding.change(seen.at, BindingState::Removed);
    }
    if binding.state == BindingState::Up {
        binding.refreshes = binding.refreshes.saturating_add(1);
    }
    let via = seen.via;
    let told = via.is_some_and(|via| via.received.is_some() || matches!(via.rport, Some(Some(_))));
    let source = binding.source.ip().to_string();
    let in_contact = seen.message.headers(HeaderName::Contact).any(|value| {
        memchr::memmem::find(value, source.as_bytes()).is_some() || memchr::memmem::find(value, b"received=").is_some()
    });
    binding.nat_handled = told || has_path || in_contact || seen.message.header(HeaderName::Path).is_some();
    binding.granted_s = granted;
    binding.registered_at = Some(seen.at);
    binding.superseded = false;
    binding.change(seen.at, BindingState::Up);
}

/// It was refused with `code`, or challenged.
pub(super) fn refuse(binding: &mut Binding, seen: &Seen<'_, '_>, code: u16, hasher: &RandomState) {
    let Some(pending) = &binding.pending else { return };
    let challenged = challenges(seen.message, hasher);
    let phrase_text = phrase(seen.message);
    let lower = phrase_text.to_ascii_lowercase();
    let stale = challenged.iter().any(|c| c.stale) || memchr::memmem::find(&lower, b"nonce").is_some();
    let mut asked = binding.challenge.iter().flat_map(|(_, challenges)| challenges);
    let fresh = asked.any(|c| pending.credentials.iter().any(|own| own.nonce == c.nonce));
    let failure = RegisterFailure {
        at: seen.at,
        since: binding.failure.as_ref().map_or(seen.at, |f| f.since),
        code,
        phrase: StoredText::new(phrase_text, TEXT_BYTES),
        credentials: pending.credentials.clone(),
        fresh,
        stale,
        min_expires_s: seen.message.min_expires(),
        sent: pending.sent.count(),
        times: binding.failure.as_ref().filter(|f| f.code == code).map_or(1, |f| f.times.saturating_add(1)),
    };
    match code {
        401 | 407 => {
            binding.rounds = binding.rounds.saturating_add(1);
            binding.challenges = binding.challenges.saturating_add(1);
            let refused = !pending.credentials.is_empty() && fresh && !stale && !pending.resync;
            binding.challenge = Some((seen.at, challenged));
            if refused {
                binding.failure = Some(failure);
            } else if binding.failure.as_ref().is_some_and(|f| f.code == 0) {
                // It is answered again.
                binding.failure = None;
            }
        }
        423 => {
            binding.too_brief = binding.too_brief.saturating_add(1);
            if binding.too_brief > 1 {
                binding.failure = Some(failure);
            }
        }
        // A security agreement is made in steps (RFC 3329).
        421 | 494 => {}
        _ => {
            binding.challenge = None;
            binding.failure = Some(failure);
        }
    }
}

/// What the 200 says of our Contact: it lists every binding of the address of record (RFC 3261 10.3).
fn granted(message: &Message<'_>, binding: &Binding) -> Option<u32> {
    let uri = |c: &Contact<'_>| c.address().is_some_and(|a| binding.contact.matches(a.uri, TEXT_BYTES));
    let found = message.contacts().flatten().find(uri).or_else(|| {
        let mut all = message.contacts().flatten();
        all.next().filter(|_| all.next().is_none())
    });
    found.and_then(|c| c.expires()).or_else(|| message.expires())
}
