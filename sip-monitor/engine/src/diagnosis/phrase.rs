//! What the words of a refusal are about. Small tables of words that refusers use; a phrase that fits none says nothing.
//!
//! A phrase, a Warning or a Reason decides before a bare code does: `403 Caller ID not allowed` is no password.

use crate::call::Refusal;

/// What a refusal blames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Calls a second, concurrent calls, channels.
    Capacity,
    /// Signed caller identity (STIR).
    Identity,
    /// The number or name the call comes from.
    CallerId,
    /// No codec in common.
    NoCommonCodec,
    /// Media and its description.
    Media,
    /// User, password or realm.
    Credentials,
    /// The nonce was too old.
    StaleNonce,
    /// The address the call comes from.
    SourceAddress,
    /// A block list, analytics, or the callee's wish not to be called.
    Blocked,
    /// How the called number is written.
    NumberForm,
    /// The called number is assigned to nobody.
    Unassigned,
    /// Leave to call this destination.
    Permission,
}

/// Each topic with its words, in the order in which they are looked for: the more specific first. A `+` means that all of its
/// parts stand in the text.
const WORDS: &[(Topic, &[&str])] = &[
    (Topic::Identity, &["identity header", "passport", "stir/shaken", "stir-shaken", "invalid identity"]),
    (
        Topic::CallerId,
        &[
            "caller id",
            "callerid",
            "caller-id",
            "calling number",
            "calling party",
            "caller number",
            "from number",
            "from header",
            "p-asserted-identity",
            "remote-party-id",
            "cli+invalid",
            "cli+not ",
            "cli+reject",
            " ani ",
            "source number",
            "originating number",
            "invalid ani",
            "presentation number",
            "caller name",
        ],
    ),
    (
        Topic::Capacity,
        &[
            "cps",
            "calls per second",
            "call per second",
            "rate limit",
            "rate exceeded",
            "rate-limit",
            "call limit",
            "concurren",
            "capacity",
            "channel limit",
            "channels+exceeded",
            "too many calls",
            "too many concurrent",
            "limit exceeded",
            "session limit",
            "max calls",
            "maximum calls",
            "throttl",
            "congest",
        ],
    ),
    (
        Topic::NoCommonCodec,
        &[
            "no common codec",
            "no compatible codec",
            "codec mismatch",
            "no matching codec",
            "no codec",
            "incompatible codec",
            "codecs+not compatible",
        ],
    ),
    (Topic::Media, &["codec", "media type", "media format", "incompatible media", "sdp", "media not"]),
    (Topic::StaleNonce, &["nonce", "stale"]),
    (
        Topic::Credentials,
        &[
            "password",
            "credential",
            "authentication fail",
            "auth fail",
            "authorization fail",
            "bad auth",
            "wrong realm",
            "digest",
            "invalid user",
            "unknown user",
            "user unknown",
            "not authenticated",
            "authentication error",
            "wrong user",
            "bad username",
            "invalid username",
        ],
    ),
    (
        Topic::SourceAddress,
        &[
            "ip address",
            "source ip",
            "ip not",
            "ip is not",
            "unknown ip",
            "unauthorized ip",
            "ip+whitelist",
            "acl",
            "access list",
            "address not allowed",
            "source address",
            "unknown trunk",
            "unknown peer",
            "unknown source",
        ],
    ),
    (
        Topic::Blocked,
        &[
            "blocked",
            "block list",
            "blocklist",
            "blacklist",
            "black list",
            "blacklisted",
            "blocking",
            "unwanted",
            "spam",
            "robocall",
            "fraud",
            "reputation",
            "do not call",
            "analytics",
        ],
    ),
    (
        Topic::Unassigned,
        &[
            "unallocated",
            "unassigned",
            "not in service",
            "number+not found",
            "number+unknown",
            "unknown number",
            "number+does not exist",
            "number+disconnected",
        ],
    ),
    (
        Topic::NumberForm,
        &[
            "e.164",
            "e164",
            "invalid number",
            "number+invalid",
            "number format",
            "number+not valid",
            "malformed number",
            "bad number",
            "number+malformed",
            "incorrect number",
            "number+incorrect",
            "wrong number",
            "number+incomplete",
            "invalid phone",
            "phone number+not",
            "invalid destination",
            "invalid called",
            "invalid to ",
            "number too ",
            "incomplete number",
            "number length",
        ],
    ),
    (
        Topic::Permission,
        &[
            "permission",
            "not permitted",
            "geo",
            "country",
            "international",
            "destination+not allowed",
            "destination+not authorized",
            "destination+forbidden",
            "destination+restricted",
            "barred",
            "barring",
            "restricted",
            "not allowed to call",
            "not allowed to dial",
            "not authorized to call",
            "not authorized to dial",
            "prefix not",
            "route not allowed",
            "premium",
            "call not allowed",
            "calls not allowed",
            "outbound+disabled",
            "outgoing+not allowed",
            "destination+disabled",
            "high risk",
            "high-risk",
            "dialing not",
            "toll",
        ],
    ),
];

impl Topic {
    /// What a text is about.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let text = format!(" {} ", text.to_lowercase().replace('_', " "));
        let fits = |words: &&str| words.split('+').all(|part| text.contains(part));
        WORDS.iter().find(|(_, list)| list.iter().any(fits)).map(|(topic, _)| *topic)
    }

    /// What a refusal is about: its phrase, else its Warnings, else its Reasons. A 4xx or 6xx of media or identity says it by
    /// its code: see the diagnoses.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Option<(Self, &str)> {
        let warnings = refusal.warnings.iter().map(|(_, text)| text.as_str());
        let reasons = refusal.reasons.iter().filter_map(|reason| Some(reason.text.as_ref()?.as_str()));
        let mut texts = core::iter::once(refusal.phrase.as_str()).chain(warnings).chain(reasons);
        texts.find_map(|text| Some((Self::of_text(text)?, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phrases_of_the_rfc_blame_nobody() {
        for phrase in [
            "Forbidden",
            "Unauthorized",
            "Proxy Authentication Required",
            "Bad Request",
            "Not Found",
            "Decline",
            "Not Acceptable",
            "Not Acceptable Here",
            "Address Incomplete",
            "Does Not Exist Anywhere",
            "Busy Here",
            "Temporarily Unavailable",
            "Service Unavailable",
            "Request Terminated",
            "Server Internal Error",
            "Ambiguous",
            "authentication required",
            "",
        ] {
            assert_eq!(Topic::of_text(phrase), None, "{phrase}");
        }
    }

    #[test]
    fn the_phrases_of_the_field_are_told_apart() {
        for (phrase, topic) in [
            ("Caller ID not allowed", Topic::CallerId),
            ("Invalid caller ID number", Topic::CallerId),
            ("CPS limit exceeded", Topic::Capacity),
            ("Too many concurrent calls", Topic::Capacity),
            ("Wrong password or domain", Topic::Credentials),
            ("Unknown user name", Topic::Credentials),
            ("nonce has changed", Topic::StaleNonce),
            ("Source IP not whitelisted", Topic::SourceAddress),
            ("Number is not in E.164 format", Topic::NumberForm),
            ("Invalid Number", Topic::NumberForm),
            ("Unallocated (unassigned) number", Topic::Unassigned),
            ("Geo permission not enabled", Topic::Permission),
            ("International calls not permitted", Topic::Permission),
            ("Network Blocked", Topic::Blocked),
            ("Number is on block list", Topic::Blocked),
            ("No common codec", Topic::NoCommonCodec),
            ("Incompatible media format", Topic::Media),
            ("Bad Identity Header", Topic::Identity),
        ] {
            assert_eq!(Topic::of_text(phrase), Some(topic), "{phrase}");
        }
    }
}
