//! What few calls have and a record tells: past holds, redirections, diversions, the call that is taken over. One pointer in
//! all others.

use core::time::Duration;

use smallvec::SmallVec;

use crate::call::{Call, Context, Hold};
use crate::seen::Seen;
use crate::sip::HeaderName;
use crate::text::StoredText;
use crate::time::Timestamp;

/// Holds kept.
const HOLDS_KEPT: usize = 16;
/// Redirections kept.
const FORWARDS_KEPT: usize = 8;
/// URIs kept of one header.
const URIS_KEPT: usize = 8;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rare {
    /// Holds that are over, and when each ended; the first 16.
    pub holds: Vec<(Hold, Timestamp)>,
    /// How long all holds that are over lasted together.
    pub held: Duration,
    /// Redirections of the initial INVITE; the first 8.
    pub forwards: Vec<Forward>,
    /// Whom it was meant for: Diversion of the initial INVITE, else its History-Info.
    pub diverted_from: SmallVec<[StoredText; 1]>,
    /// Call-ID that its INVITE replaces.
    pub replaces: Option<StoredText>,
}

/// A redirection.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// When.
    pub at: Timestamp,
    /// Status code.
    pub code: u16,
    /// Contact URIs.
    pub targets: SmallVec<[StoredText; 1]>,
}

impl Call {
    /// The hold that is in force ends.
    pub(crate) fn end_hold(&mut self, at: Timestamp) {
        let Some(hold) = self.hold.take() else { return };
        let rare = self.rare.get_or_insert_default();
        rare.held += at.since(hold.since);
        if rare.holds.len() < HOLDS_KEPT {
            rare.holds.push((hold, at));
        }
    }

    /// Takes what the first INVITE says of calls before it.
    pub(crate) fn note_origin(&mut self, ctx: &Context<'_>, seen: &Seen<'_, '_>) {
        let (message, limit) = (seen.message, ctx.text_limit());
        let uris = |name| message.addresses(name).flatten().take(URIS_KEPT).map(|a| StoredText::new(a.uri, limit));
        let diverted = if message.header(HeaderName::Diversion).is_some() {
            uris(HeaderName::Diversion).collect()
        } else if message.header(HeaderName::HistoryInfo).is_some() {
            uris(HeaderName::HistoryInfo).collect()
        } else {
            SmallVec::new()
        };
        let replaces = message.replaces().map(|r| StoredText::new(r.call_id, limit));
        if !diverted.is_empty() || replaces.is_some() {
            let rare = self.rare.get_or_insert_default();
            (rare.diverted_from, rare.replaces) = (diverted, replaces);
        }
    }

    /// The initial INVITE is redirected.
    pub(crate) fn note_forward(&mut self, ctx: &Context<'_>, seen: &Seen<'_, '_>, code: u16) {
        let contacts = seen.message.contacts().flatten().filter_map(|c| c.address().map(|a| a.uri));
        let targets = contacts.take(URIS_KEPT).map(|uri| StoredText::new(uri, ctx.text_limit())).collect();
        let rare = self.rare.get_or_insert_default();
        if rare.forwards.len() < FORWARDS_KEPT {
            rare.forwards.push(Forward { at: seen.at, code, targets });
        }
    }
}
