//! Refusals that name a limit: calls a second, or calls at a time.

use core::net::SocketAddr;

use crate::sip::{HeaderName, Message, StartLine};
use crate::text::StoredText;

/// Longest text kept of a refusal.
const TEXT_BYTES: usize = 256;

/// Which limit was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Calls a second.
    Rate,
    /// Calls at a time.
    Concurrency,
    /// One that was not named: a 503 with Retry-After.
    Unspecified,
}

/// A refusal that names a limit, and what was measured then.
#[derive(Clone, Debug)]
pub struct LimitSeen {
    /// Which limit.
    pub kind: LimitKind,
    /// Who refused.
    pub by: SocketAddr,
    /// Who was refused.
    pub to: SocketAddr,
    /// It was this host that refused.
    pub is_local: bool,
    /// Status code.
    pub code: u16,
    /// The words that name it: reason phrase, Reason or Warning.
    pub text: StoredText,
    /// Retry-After, seconds.
    pub retry_after_s: Option<u32>,
    /// Calls that began at that peer within the second of this one, itself included.
    pub per_second: u32,
    /// Calls that were up or being set up there then, itself included.
    pub concurrent: u32,
}

/// Words of carriers and PBXs for calls a second. Lower case.
const RATE_WORDS: [&str; 11] = [
    "cps",
    "calls per second",
    "calls/sec",
    "call rate",
    "rate limit",
    "rate exceeded",
    "rate-limit",
    "per second",
    "attempts per",
    "throttl",
    "too many requests",
];

/// Words for calls at a time. Lower case.
const CONCURRENCY_WORDS: [&str; 14] = [
    "concurren",
    "simultaneous",
    "no channel",
    "channel limit",
    "channels in use",
    "channels busy",
    "call limit",
    "calls limit",
    "max calls",
    "maximum calls",
    "maximum number of calls",
    "session limit",
    "too many calls",
    "capacity exceeded",
];

/// The limit that a refusal names; phrase and header decide before the bare code does.
pub(crate) fn limit_named(message: &Message<'_>, code: u16) -> Option<(LimitKind, StoredText)> {
    if !matches!(code, 480 | 486 | 500 | 503) {
        return None;
    }
    let phrase = match message.start_line() {
        StartLine::Response { reason, .. } => Some(reason),
        StartLine::Request { .. } => None,
    };
    let headers = [HeaderName::Reason, HeaderName::Warning].into_iter().filter_map(|name| message.header(name));
    for text in phrase.into_iter().chain(headers) {
        let lower = text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| contains(&lower, word.as_bytes()));
        let kind = if has(&CONCURRENCY_WORDS) {
            LimitKind::Concurrency
        } else if has(&RATE_WORDS) {
            LimitKind::Rate
        } else {
            continue;
        };
        return Some((kind, StoredText::new(text, TEXT_BYTES)));
    }
    let named = code == 503 && message.retry_after().is_some();
    named.then(|| (LimitKind::Unspecified, StoredText::new(phrase.unwrap_or_default(), TEXT_BYTES)))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(code: u16, phrase: &str, header: &str) -> Option<LimitKind> {
        let text = format!("SIP/2.0 {code} {phrase}\r\n{header}CSeq: 1 INVITE\r\n\r\n");
        limit_named(&Message::parse(text.as_bytes()).unwrap(), code).map(|(kind, _)| kind)
    }

    #[test]
    fn the_words_of_a_refusal_say_which_limit_it_is() {
        assert_eq!(named(503, "Trunk CPS limit exceeded", ""), Some(LimitKind::Rate));
        assert_eq!(named(503, "Concurrent Calls limit exceeded", ""), Some(LimitKind::Concurrency));
        assert_eq!(named(486, "Too many calls", ""), Some(LimitKind::Concurrency));
        let reason = "Reason: SIP;cause=503;text=\"calls per second\"\r\n";
        assert_eq!(named(503, "Service Unavailable", reason), Some(LimitKind::Rate));
    }

    #[test]
    fn retry_after_counts_in_a_503_alone() {
        assert_eq!(named(503, "Service Unavailable", "Retry-After: 5\r\n"), Some(LimitKind::Unspecified));
        assert_eq!(named(486, "Busy Here", "Retry-After: 60\r\n"), None);
        assert_eq!(named(503, "Service Unavailable", ""), None);
        assert_eq!(named(404, "Rate limit", ""), None);
    }
}
