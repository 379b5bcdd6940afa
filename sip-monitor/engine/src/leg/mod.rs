//! Legs: what people call one call may be several calls here, each with a Call-ID of its own, where a back-to-back user agent
//! or a session border controller stands between them. This room says which belong together, by what, and how sure that is.
//!
//! In this order: the Session-ID of RFC 7989 (of RFC 7329 where it is that), headers named in the configuration, media that
//! passes through (the same endpoint, the same origin of the SDP, the same SSRC on both sides), numbers and time. What calls
//! carry is kept as [`mark::Mark`]s in one index while they are up, which costs a look-up each. Whether two calls that share a
//! mark are legs is only asked when somebody wants to know (an alert, a record): [`find`] looks at the ways their INVITEs went
//! ([`way`]). A leg leaves the host that the other one entered; what two calls from one host to one host share is no identity
//! of theirs. Only what cannot be asked later is kept as a link: which numbers came in within the last seconds ([`numbers`]),
//! and what a header said of another Call-ID ([`observe`]).

mod find;
mod mark;
mod numbers;
mod observe;
mod table;
mod way;

use schemars::JsonSchema;
use serde::Serialize;

pub use find::Legs;
pub use table::LegTable;

use crate::diagnosis::Confidence;

/// By what two calls are known to belong together, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LegBy {
    /// Session-ID (RFC 7989, RFC 7329).
    SessionId,
    /// A header named in the configuration.
    Header,
    /// Replaces names the other call (RFC 3891).
    Replaces,
    /// It left when a REFER in the other call asked for it (RFC 3515).
    Refer,
    /// Media passes through: the same endpoint, the same origin of the SDP, or the same SSRC.
    Media,
    /// The same numbers, one shortly after the other.
    Numbers,
}

/// What the other call is to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LegRelation {
    /// Another part of the same way: what one side says here is heard there.
    Leg,
    /// The call that a transfer made of it, or that it was made of.
    Transfer,
}

/// A call that belongs to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LegRecord {
    /// Call-ID header value of the other call.
    pub call_id: String,
    /// What it is to this one.
    pub relation: LegRelation,
    /// By what it is known.
    pub by: LegBy,
    /// How sure that is; `media` and `numbers` are guesses.
    pub confidence: Confidence,
    /// Who is at the far end of the other call: the name of its trunk, else `ip:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}
