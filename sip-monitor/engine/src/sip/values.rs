//! Values of headers that are no address, Via or credentials.

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
    /// Reads a CSeq value.
    ///
    /// # Errors
    /// [`Fault::CSeqNumber`], [`Fault::CSeqMethod`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let _ = value;
        Err(Fault::CSeqNumber)
    }
}
