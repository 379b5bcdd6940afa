//! REGISTER and what the registrar says to it (RFC 3261 10).

use crate::call::{Call, Context};
use crate::registration::{Registration, RegistrationState};
use crate::seen::Seen;
use crate::sip::{Contact, Message};
use crate::text::StoredText;

impl Call {
    /// Takes a REGISTER that was not seen before on its hop.
    pub(crate) fn take_register(&mut self, ctx: &Context<'_>, seen: &Seen<'_, '_>) {
        let limit = ctx.text_limit();
        let contact = seen.message.contact_uri();
        let expires = asked(seen.message);
        match &mut self.registration {
            // A copy that a proxy relays is no request of its own.
            Some(known) if known.source != seen.src => {}
            Some(known) => {
                known.requests = known.requests.saturating_add(1);
                known.last_at = seen.at;
                known.expires_asked_s = expires.or(known.expires_asked_s);
                if let Some(uri) = contact.filter(|uri| !known.contact.as_ref().is_some_and(|c| c.matches(uri, limit)))
                {
                    known.contact = Some(StoredText::new(uri, limit));
                }
                if known.state == RegistrationState::Challenged {
                    known.state = RegistrationState::Unanswered;
                }
            }
            none => {
                *none = Some(Box::new(Registration {
                    aor: seen.to.map_or_else(StoredText::default, |to| StoredText::new(to.uri, limit)),
                    contact: contact.map(|uri| StoredText::new(uri, limit)),
                    source: seen.src,
                    registrar: seen.dst,
                    state: RegistrationState::Unanswered,
                    expires_asked_s: expires,
                    expires_granted_s: None,
                    final_code: None,
                    requests: 1,
                    user_agent: seen.message.user_agent().map(|agent| StoredText::new(agent, limit)),
                    first_at: seen.at,
                    last_at: seen.at,
                }));
            }
        }
    }

    /// Takes a final response to a REGISTER.
    pub(crate) fn take_register_response(&mut self, seen: &Seen<'_, '_>, code: u16, index: usize) {
        let request_src = self.transactions.get(index).and_then(|t| self.path(t.path)).map(|hop| hop.src);
        let Some(known) = self.registration.as_deref_mut().filter(|r| request_src == Some(r.source)) else { return };
        known.last_at = seen.at;
        known.final_code = Some(code);
        known.state = match code {
            200..300 if known.expires_asked_s == Some(0) => RegistrationState::Removed,
            200..300 => RegistrationState::Registered,
            401 | 407 => RegistrationState::Challenged,
            _ => RegistrationState::Refused,
        };
        if (200..300).contains(&code) {
            let granted = granted(seen.message, known.contact.as_ref());
            known.expires_granted_s = granted.or(seen.message.expires()).or(known.expires_asked_s);
        }
    }
}

/// The Contact's own expiry goes before the header's (RFC 3261 10.2.1.1).
fn asked(message: &Message<'_>) -> Option<u32> {
    message.contacts().flatten().find_map(|contact| contact.expires()).or_else(|| message.expires())
}

/// A 200 lists every binding of the address of record (RFC 3261 10.3); ours is the one whose URI we sent.
fn granted(message: &Message<'_>, contact: Option<&StoredText>) -> Option<u32> {
    let ours =
        |c: &Contact<'_>| c.address().is_some_and(|a| contact.is_some_and(|known| known.matches(a.uri, usize::MAX)));
    let found = message.contacts().flatten().find(ours);
    found.or_else(|| message.contacts().flatten().next()).and_then(|c| c.expires())
}
