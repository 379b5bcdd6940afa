//! The first line of a message.

use super::Method;

/// `Request-Line` or `Status-Line` (RFC 3261 7.1, 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// `Method SP Request-URI SP SIP-Version`.
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI as it stands, without surrounding white space.
        uri: &'a [u8],
    },
    /// `SIP-Version SP Status-Code SP Reason-Phrase`.
    Response {
        /// 100 to 699; 0 where the line has no such code ([`super::Fault::StatusCode`]).
        code: u16,
        /// Everything behind the code, without surrounding white space.
        reason: &'a [u8],
    },
}
