//! Values of headers that are no address, Via or credentials.

use super::scan::{decimal_u32, is_token, split_params, split_word, trim, unquote};
use super::{Fault, Method, Params};

/// `CSeq = 1*DIGIT LWS Method` (RFC 3261 20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CSeq<'a> {
    /// The sequence number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

/// One value of Reason: `protocol *(;param)` (RFC 3326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850`, `STIR`, ... as written.
    pub protocol: &'a [u8],
    /// The cause.
    pub cause: Option<u32>,
    /// The text, quotes removed.
    pub text: Option<&'a [u8]>,
    /// All parameters.
    pub params: Params<'a>,
}

/// `RAck = response-num LWS CSeq-num LWS Method` (RFC 3262 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RAck<'a> {
    /// The RSeq of the provisional response.
    pub rseq: u32,
    /// Its CSeq.
    pub cseq: CSeq<'a>,
}

/// Who refreshes a session (RFC 4028 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The caller of the refreshed transaction.
    Uac,
    /// The callee.
    Uas,
}

/// Session-Expires (RFC 4028 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// The interval.
    pub seconds: u32,
    /// Who refreshes, where it is said.
    pub refresher: Option<Refresher>,
}

/// One value of Warning: `code agent "text"` (RFC 3261 20.43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// Three digits.
    pub code: u16,
    /// Host or pseudonym that adds it.
    pub agent: &'a [u8],
    /// The text, quotes removed.
    pub text: &'a [u8],
}

/// Replaces (RFC 3891 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// Call-ID of the dialog to be replaced.
    pub call_id: &'a [u8],
    /// Its to-tag.
    pub to_tag: &'a [u8],
    /// Its from-tag.
    pub from_tag: &'a [u8],
    /// Only an early dialog may be replaced.
    pub early_only: bool,
}

/// Subscription-State (RFC 6665 8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated` or another token.
    pub state: &'a [u8],
    /// `expires`, `reason`, `retry-after`.
    pub params: Params<'a>,
}

/// Session-ID (RFC 7989 5): 32 hexadecimal digits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId<'a> {
    /// The sender's half.
    pub local: &'a [u8],
    /// The other's half: all zeros where it is not known yet, `None` where it is not said (RFC 7329).
    pub remote: Option<&'a [u8]>,
}

impl<'a> CSeq<'a> {
    /// Reads a CSeq value: below 2^31 (RFC 3261 8.1.1.5).
    ///
    /// # Errors
    /// [`Fault::CSeqNumber`], [`Fault::CSeqMethod`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (number, method) = split_word(value);
        let number = decimal_u32(number).filter(|number| *number < 1 << 31).ok_or(Fault::CSeqNumber)?;
        Ok(Self { number, method: Self::parse_method(method).ok_or(Fault::CSeqMethod)? })
    }

    pub(super) fn parse_method(method: &'a [u8]) -> Option<Method<'a>> {
        is_token(method).then(|| Method::from_token(method))
    }
}

impl<'a> Reason<'a> {
    /// Reads one value.
    ///
    /// # Errors
    /// [`Fault::Reason`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (protocol, params) = split_params(value);
        if !is_token(protocol) {
            return Err(Fault::Reason);
        }
        let cause = params.get("cause").map(|cause| decimal_u32(cause).ok_or(Fault::Reason)).transpose()?;
        Ok(Self { protocol, cause, text: params.get("text"), params })
    }

    /// Whether it speaks of this protocol, without regard to case: `SIP`, `Q.850`.
    #[must_use]
    pub fn is(&self, protocol: &str) -> bool {
        self.protocol.eq_ignore_ascii_case(protocol.as_bytes())
    }
}

impl<'a> RAck<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (rseq, cseq) = split_word(value);
        let rseq = decimal_u32(rseq).ok_or(Fault::Reliable)?;
        Ok(Self { rseq, cseq: CSeq::parse(cseq).map_err(|_| Fault::Reliable)? })
    }
}

impl SessionExpires {
    pub(super) fn parse(value: &[u8]) -> Result<Self, Fault> {
        let (seconds, params) = split_params(value);
        let refresher = match params.get("refresher") {
            Some(role) if role.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(role) if role.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            Some(_) | None => None,
        };
        Ok(Self { seconds: decimal_u32(seconds).ok_or(Fault::SessionTimer)?, refresher })
    }
}

impl<'a> Warning<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (code, rest) = split_word(value);
        let number = decimal_u32(code).and_then(|number| u16::try_from(number).ok());
        let code = number.filter(|_| code.len() == 3).ok_or(Fault::Warning)?;
        let (agent, text) = split_word(rest);
        Ok(Self { code, agent, text: unquote(text) })
    }
}

impl<'a> Replaces<'a> {
    /// Reads a Replaces value.
    ///
    /// # Errors
    /// [`Fault::Extension`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (call_id, params) = split_params(value);
        match (params.get("to-tag"), params.get("from-tag")) {
            (Some(to_tag), Some(from_tag)) if !call_id.is_empty() => {
                Ok(Self { call_id, to_tag, from_tag, early_only: params.has("early-only") })
            }
            _ => Err(Fault::Extension),
        }
    }
}

impl<'a> SubscriptionState<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (state, params) = split_params(value);
        if is_token(state) { Ok(Self { state, params }) } else { Err(Fault::Extension) }
    }

    /// Whether the subscription is over.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case(b"terminated")
    }
}

impl<'a> SessionId<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (local, params) = split_params(value);
        let is_uuid = |id: &[u8]| id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit);
        let remote = params.get("remote");
        if is_uuid(local) && remote.is_none_or(is_uuid) { Ok(Self { local, remote }) } else { Err(Fault::Extension) }
    }
}

/// `delta-seconds` and what may follow it: parameters, or a comment (RFC 3261 20.19, 20.33).
pub(super) fn seconds(value: &[u8]) -> Result<u32, Fault> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let (digits, rest) = value.split_at_checked(end).ok_or(Fault::Seconds)?;
    match trim(rest) {
        [] | [b';' | b'(', ..] => decimal_u32(digits).ok_or(Fault::Seconds),
        _ => Err(Fault::Seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq_is_a_number_below_two_to_the_31_and_a_method() {
        assert_eq!(CSeq::parse(b"0009\r\n  INVITE"), Ok(CSeq { number: 9, method: Method::Invite }));
        assert_eq!(CSeq::parse(b"2147483647 ACK").map(|cseq| cseq.number), Ok(i32::MAX.unsigned_abs()));
        for value in [&b"2147483648 ACK"[..], b"36893488147419103232 REGISTER", b"x ACK", b"", b"-1 ACK", b"INVITE"] {
            assert_eq!(CSeq::parse(value), Err(Fault::CSeqNumber));
        }
        for value in [&b"1"[..], b"1 IN VITE", b"1 \"INVITE\""] {
            assert_eq!(CSeq::parse(value), Err(Fault::CSeqMethod));
        }
    }

    #[test]
    fn a_reason_has_cause_and_text() {
        let reason = Reason::parse(br#"Q.850 ;cause=16 ;text="Normal; clearing""#).unwrap();
        assert_eq!(
            (reason.protocol, reason.cause, reason.text),
            (&b"Q.850"[..], Some(16), Some(&b"Normal; clearing"[..]))
        );
        assert!(reason.is("q.850"));
        assert_eq!(Reason::parse(b"SIP;cause=x").err(), Some(Fault::Reason));
        assert_eq!(Reason::parse(b";cause=1").err(), Some(Fault::Reason));
    }

    #[test]
    fn timers_and_reliability_are_read() {
        let timer = SessionExpires::parse(b"4000 ;Refresher=UAC").unwrap();
        assert_eq!(timer, SessionExpires { seconds: 4000, refresher: Some(Refresher::Uac) });
        let rack = RAck::parse(b"776656 1 INVITE").unwrap();
        assert_eq!((rack.rseq, rack.cseq), (776_656, CSeq { number: 1, method: Method::Invite }));
        assert_eq!(RAck::parse(b"776656 INVITE"), Err(Fault::Reliable));
    }

    #[test]
    fn seconds_may_have_a_comment_or_parameters() {
        assert_eq!(seconds(b"18000;duration=3600"), Ok(18000));
        assert_eq!(seconds(b"120 (I'm in a meeting)"), Ok(120));
        assert_eq!(seconds(b"949302838503028349304023988"), Ok(u32::MAX));
        assert_eq!(seconds(b"Thu, 01 Dec 1994 16:00:00 GMT"), Err(Fault::Seconds));
        assert_eq!(seconds(b""), Err(Fault::Seconds));
    }

    #[test]
    fn a_warning_has_three_digits() {
        let warning = Warning::parse(br#"305 192.0.2.7:5060 "Incompatible media format""#).unwrap();
        assert_eq!(
            (warning.code, warning.agent, warning.text),
            (305, &b"192.0.2.7:5060"[..], &b"Incompatible media format"[..])
        );
        assert_eq!(Warning::parse(br#"1812 overture "In Progress""#), Err(Fault::Warning));
    }

    #[test]
    fn dialogs_are_named_by_replaces_and_session_id() {
        let replaces = Replaces::parse(b"98732@h ;from-tag=r33th4x0r ;to-tag=ff87ff;early-only").unwrap();
        assert_eq!(
            (replaces.call_id, replaces.to_tag, replaces.from_tag),
            (&b"98732@h"[..], &b"ff87ff"[..], &b"r33th4x0r"[..])
        );
        assert!(replaces.early_only);
        assert_eq!(Replaces::parse(b"98732@h;to-tag=1"), Err(Fault::Extension));
        let id = SessionId::parse(b"ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000").unwrap();
        assert_eq!((id.local.len(), id.remote.map(<[u8]>::len)), (32, Some(32)));
        assert_eq!(SessionId::parse(b"short"), Err(Fault::Extension));
    }
}
