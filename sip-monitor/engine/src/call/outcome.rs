//! What the fate of one call tells about others: who answers, and which challenge is answered under another Call-ID.

use core::net::IpAddr;

use crate::Engine;
use crate::call::number::Number;
use crate::call::{Call, CallKey, Shown};
use crate::event::Event;
use crate::packet::Direction;
use crate::seen::Seen;
use crate::transaction::MethodKind;

impl Engine {
    /// Takes note of an INVITE or a response to one, after its call has.
    pub(crate) fn note_outcome(&mut self, key: CallKey, seen: &Seen<'_, '_>) {
        if seen.kind != MethodKind::Invite {
            return;
        }
        let Some(call) = self.calls.get(key) else { return };
        match seen.code {
            None if seen.has_credentials() => {
                let nonces = call.attempt.iter().flat_map(|attempt| &attempt.credentials).map(|c| c.nonce);
                let others: Vec<CallKey> =
                    nonces.filter_map(|nonce| self.challenges.answer(nonce)).filter(|other| *other != key).collect();
                for other in others {
                    self.answer_elsewhere(other);
                }
            }
            Some(401 | 407) => {
                let Some(last) = call.refusals.last().filter(|last| last.at == seen.at) else { return };
                for challenge in &last.challenges {
                    self.challenges.wait(challenge.nonce, key, seen.at);
                }
            }
            Some(200..300) => {
                let call: &Call = call;
                let called = call.called_number().map(|n| Shown::Called(n.form().name()));
                let calling = Number::of_uri(call.from.as_str()).map(|n| Shown::Calling(n.form().name()));
                let users = call.attempt.iter().flat_map(|attempt| &attempt.credentials);
                let users = users.map(|c| Shown::User(c.username.as_str()));
                let peer: IpAddr = seen.src.ip();
                if seen.direction == Direction::Out && call.was_relayed_by(peer) {
                    self.answered.note(peer, Shown::Relay);
                }
                for shown in called.into_iter().chain(calling).chain(users).chain([Shown::Peer]) {
                    self.answered.note(peer, shown);
                }
            }
            _ => {}
        }
    }

    fn answer_elsewhere(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.challenge_answered_elsewhere = true;
        self.after(key, &[Event::Challenged(2)]);
    }
}

impl Call {
    /// An INVITE of it came to this address and went on from there.
    fn was_relayed_by(&self, addr: IpAddr) -> bool {
        let views = || self.invites().filter_map(|t| self.path(t.path));
        views().any(|view| view.direction == Direction::In && view.dst.ip() == addr)
            && views().any(|view| view.direction == Direction::Out && view.src.ip() == addr)
    }

    /// The telephone number that is called, as the Request-URI says it.
    #[must_use]
    pub fn called_number(&self) -> Option<Number> {
        match self.attempt.as_ref().and_then(|attempt| attempt.called.as_ref()) {
            Some(user) => Number::of_user(user.as_str()),
            None => Number::of_uri(self.to.as_str()),
        }
    }
}
