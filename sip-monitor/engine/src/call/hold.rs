//! Who holds whom, and since when.

use crate::call::{Call, Context};
use crate::media::SdpRole;
use crate::record::{CallState, Side};
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

/// A hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when: the answer to the offer that began it.
    pub since: Timestamp,
    /// Who put the other on hold; `None` where both did.
    pub by: Option<Side>,
}

impl Call {
    /// Takes what an offer or answer of `from` made of the media.
    pub(crate) fn note_hold(&mut self, ctx: &mut Context<'_>, at: Timestamp, from: Side, role: SdpRole) {
        let offerer = if role == SdpRole::Answer { from.other() } else { from };
        match (self.state, self.media.is_held()) {
            (CallState::Confirmed, true) => {
                // What the first offer and answer say is how the call began, not that somebody is put on hold (RFC 3725).
                self.hold = self.is_renegotiated().then_some(Hold { since: at, by: Some(offerer) });
                self.set_state(ctx, at, CallState::Held, Some(offerer));
            }
            (CallState::Held, false) => {
                self.end_hold(at);
                self.set_state(ctx, at, CallState::Confirmed, Some(offerer));
            }
            (CallState::Held, true) => {
                if let Some(hold) = self.hold.as_mut().filter(|hold| hold.by != Some(offerer)) {
                    hold.by = None;
                }
            }
            _ => {}
        }
    }

    fn is_renegotiated(&self) -> bool {
        let renews = |t: &Transaction| t.in_dialog && matches!(t.method, MethodKind::Invite | MethodKind::Update);
        self.adopted || self.transactions.iter().any(renews)
    }
}
