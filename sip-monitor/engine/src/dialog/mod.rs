//! Dialogs (RFC 3261 12) and what is due in them: the 2xx to each INVITE and its ACK. Facts without opinion.

mod answer;
mod contact;
pub(crate) mod route;

use smallvec::SmallVec;

use crate::record::Side;
use crate::text::StoredText;
use crate::time::Timestamp;

pub use answer::{AckSeen, Answer, AnswerHop, OddAck, ViaMismatch};
pub use contact::{Contact, ContactHost};

/// Where a dialog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DialogState {
    /// A provisional response with a To tag was seen.
    Early,
    /// A 2xx was seen.
    Confirmed,
    /// BYE was seen, or the INVITE was refused.
    Terminated,
}

impl DialogState {
    /// As it stands in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Terminated => "terminated",
        }
    }
}

/// A dialog: one pair of tags under a Call-ID. A forked INVITE makes one for each answerer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialog {
    /// Tag of the caller: the From tag of the initial INVITE.
    pub caller_tag: StoredText,
    /// Tag of the callee.
    pub callee_tag: StoredText,
    /// Where it stands.
    pub state: DialogState,
    /// First message with both tags.
    pub started_at: Timestamp,
    /// First 2xx.
    pub confirmed_at: Option<Timestamp>,
    /// What ended it.
    pub terminated_at: Option<Timestamp>,
    /// Its 2xx was seen on the hop nearest to the caller: it is this one that the caller talks in. A relay may use other
    /// tags further on.
    pub reached_caller: bool,
    /// It was up before it was first seen here.
    pub adopted: bool,
    /// Route set as the caller uses it: Record-Route of the response in reverse (RFC 3261 12.1.2).
    pub route_set: SmallVec<[StoredText; 1]>,
    /// An offer in PRACK or UPDATE came after the first answer: the SDP in the 2xx to the INVITE is only a repetition.
    pub early_exchange: bool,
    /// Contact the caller gave last: where requests to it must go (RFC 3261 12.2.1.1).
    pub caller_target: Option<Contact>,
    /// Contact the callee gave last.
    pub callee_target: Option<Contact>,
}

impl Dialog {
    /// Where requests **to** `side` must go.
    #[must_use]
    pub const fn target_of(&self, side: Side) -> Option<&Contact> {
        match side {
            Side::Caller => self.caller_target.as_ref(),
            Side::Callee => self.callee_target.as_ref(),
        }
    }

    /// Whether the tags, in either order, are those of this dialog.
    #[must_use]
    pub fn has_tags(&self, one: &[u8], other: &[u8], limit: usize) -> bool {
        (self.caller_tag.matches(one, limit) && self.callee_tag.matches(other, limit))
            || (self.callee_tag.matches(one, limit) && self.caller_tag.matches(other, limit))
    }

    /// The route set as `side` uses it, top first: the callee's is the caller's in reverse (RFC 3261 12.1.1, 12.1.2).
    pub fn route_set_of(&self, side: Side) -> SmallVec<[&StoredText; 4]> {
        match side {
            Side::Caller => self.route_set.iter().collect(),
            Side::Callee => self.route_set.iter().rev().collect(),
        }
    }
}
