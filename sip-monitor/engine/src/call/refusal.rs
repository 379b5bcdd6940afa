//! What a final refusal of the initial INVITE said, and what of its request matters for the reason. Kept only where there is
//! something to keep: an INVITE without credentials and with one name for its caller leaves nothing here.

use core::hash::BuildHasher;
use core::net::IpAddr;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::call::{Call, Context, ReasonSeen};
use crate::event::Event;
use crate::seen::Seen;
use crate::sip::{Auth, HeaderName, Host, Message, StartLine, Uri};
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::Path;

/// Refusals kept for one call: where there are more, the last take the place of those in the middle.
const REFUSALS_KEPT: usize = 8;
/// Values of one header kept.
const VALUES_KEPT: usize = 4;
/// Longest phrase or header value kept, bytes.
const TEXT_BYTES: usize = 256;

/// A final response, not 2xx, to the initial INVITE, on the hop nearest to the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// When it was first seen.
    pub at: Timestamp,
    /// Status code.
    pub code: u16,
    /// Reason phrase as sent.
    pub phrase: StoredText,
    /// CSeq number of the INVITE refused.
    pub cseq: u32,
    /// The way that INVITE went.
    pub path: Path,
    /// Code and text of each Warning (RFC 3261 20.43).
    pub warnings: SmallVec<[(u16, StoredText); 1]>,
    /// The types of Accept (RFC 3261 21.4.13).
    pub accept: SmallVec<[StoredText; 1]>,
    /// Reason headers (RFC 3326, RFC 8606).
    pub reasons: SmallVec<[ReasonSeen; 1]>,
    /// Address the refuser saw the INVITE come from: `received` of the top Via.
    pub received: Option<IpAddr>,
    /// What it challenges for.
    pub challenges: SmallVec<[ChallengeSeen; 1]>,
    /// The credentials of the INVITE refused.
    pub credentials: SmallVec<[CredentialsSeen; 1]>,
}

/// A challenge (RFC 3261 22).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeSeen {
    /// Protection domain.
    pub realm: StoredText,
    /// Hash of the nonce.
    pub nonce: u64,
    /// The credentials were right, their nonce too old.
    pub stale: bool,
}

/// Credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsSeen {
    /// Protection domain they are for.
    pub realm: StoredText,
    /// Who answers.
    pub username: StoredText,
    /// Hash of the nonce they answer.
    pub nonce: u64,
}

/// What of an initial INVITE goes beyond its From and To.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    /// Its credentials.
    pub credentials: SmallVec<[CredentialsSeen; 1]>,
    /// User part of the Request-URI, where it is another than that of To.
    pub called: Option<StoredText>,
    /// User part of P-Asserted-Identity, where it is another than that of From.
    pub asserted: Option<StoredText>,
    /// User part of Remote-Party-ID, where it is another than that of From.
    pub remote_party: Option<StoredText>,
}

impl Refusal {
    /// It asks for credentials.
    #[must_use]
    pub const fn is_challenge(&self) -> bool {
        matches!(self.code, 401 | 407)
    }
}

impl Attempt {
    /// `None` where there is nothing to keep.
    pub(crate) fn of(seen: &Seen<'_, '_>, hasher: &RandomState) -> Option<Box<Self>> {
        let message = seen.message;
        let from = seen.from.and_then(|a| user(a.uri));
        let to = seen.to.and_then(|a| user(a.uri));
        let other = |name, known: Option<&[u8]>| {
            message.addresses(name).flatten().find_map(|a| user(a.uri)).filter(|found| Some(*found) != known).map(keep)
        };
        let attempt = Self {
            credentials: if seen.has_credentials() { credentials(message, hasher) } else { SmallVec::new() },
            called: message.request_uri().and_then(user).filter(|called| Some(*called) != to).map(keep),
            asserted: other(HeaderName::PAssertedIdentity, from),
            remote_party: other(HeaderName::RemotePartyId, from),
        };
        (attempt != Self::default()).then(|| Box::new(attempt))
    }
}

impl Call {
    /// Keeps what a refusal of the initial INVITE said, on the hop nearest to the caller.
    pub(crate) fn note_refusal(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, code: u16, path: Path) {
        if self.refusals.len() >= REFUSALS_KEPT {
            self.refusals.remove(REFUSALS_KEPT / 2);
        }
        let message = seen.message;
        let reasons = message.reasons().flatten().take(VALUES_KEPT).map(|r| ReasonSeen {
            protocol: keep(r.protocol),
            cause: r.cause.and_then(|c| u16::try_from(c).ok()),
            text: r.text.map(keep),
        });
        self.refusals.push(Refusal {
            at: seen.at,
            code,
            phrase: keep(phrase(message)),
            cseq: seen.cseq,
            path,
            warnings: message.warnings().flatten().take(VALUES_KEPT).map(|w| (w.code, keep(w.text))).collect(),
            accept: message.accept().take(VALUES_KEPT).map(keep).collect(),
            reasons: reasons.collect(),
            received: seen.via.and_then(|via| via.received).as_ref().and_then(Host::ip),
            challenges: challenges(message, ctx.hasher),
            credentials: self.attempt.as_ref().map(|a| a.credentials.clone()).unwrap_or_default(),
        });
        if matches!(code, 401 | 407) {
            let times = self.refusals.iter().filter(|r| r.is_challenge()).count();
            ctx.events.push(Event::Challenged(u32::try_from(times).unwrap_or(u32::MAX)));
        }
    }
}

/// The user part of a URI, or the number of a `tel:` URI.
pub(crate) fn user(uri: &[u8]) -> Option<&[u8]> {
    Uri::user_of(uri)
}

/// The reason phrase of a response.
pub(crate) fn phrase<'a>(message: &Message<'a>) -> &'a [u8] {
    match message.start_line() {
        StartLine::Response { reason, .. } => reason,
        StartLine::Request { .. } => b"",
    }
}

/// What a response challenges for.
pub(crate) fn challenges(message: &Message<'_>, hasher: &RandomState) -> SmallVec<[ChallengeSeen; 1]> {
    let seen = message.challenges().take(VALUES_KEPT).map(|c| ChallengeSeen {
        realm: keep(c.realm().unwrap_or_default()),
        nonce: hasher.hash_one(c.nonce().unwrap_or_default()),
        stale: c.is_stale(),
    });
    seen.collect()
}

/// The credentials of a request.
pub(crate) fn credentials(message: &Message<'_>, hasher: &RandomState) -> SmallVec<[CredentialsSeen; 1]> {
    let values = message.headers(HeaderName::Authorization).chain(message.headers(HeaderName::ProxyAuthorization));
    let seen = values.filter_map(|value| Auth::parse(value).ok()).take(VALUES_KEPT).map(|c| CredentialsSeen {
        realm: keep(c.realm().unwrap_or_default()),
        username: keep(c.username().unwrap_or_default()),
        nonce: hasher.hash_one(c.nonce().unwrap_or_default()),
    });
    seen.collect()
}

fn keep(bytes: &[u8]) -> StoredText {
    StoredText::new(bytes, TEXT_BYTES)
}
