//! Via (RFC 3261 20.42, RFC 3581).

use super::{Fault, Host, Params};

/// `sent-protocol LWS sent-by *(;via-params)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// Whether the protocol is SIP/2.0.
    pub version_ok: bool,
    /// `UDP`, `TCP`, `TLS`, ... as written.
    pub transport: &'a [u8],
    /// `host[:port]` as written: with the branch, part of a transaction's key (RFC 3261 17.2.3).
    pub sent_by: &'a [u8],
    /// The host of it.
    pub host: Host<'a>,
    /// The port of it.
    pub port: Option<u16>,
    /// The branch; `None` also where it is empty.
    pub branch: Option<&'a [u8]>,
    /// The address the request came from, where it differs (RFC 3261 18.2.1); brackets are tolerated (RFC 5118 4.5).
    pub received: Option<Host<'a>>,
    /// `Some(None)`: asked for, not filled in; `Some(Some(port))`: filled in (RFC 3581).
    pub rport: Option<Option<u16>>,
    /// All parameters.
    pub params: Params<'a>,
    /// The first thing that was wrong and could be read over.
    pub fault: Option<Fault>,
}

impl<'a> Via<'a> {
    /// What a branch of RFC 3261 begins with (8.1.1.7).
    pub const MAGIC_COOKIE: &'static [u8] = b"z9hG4bK";

    /// Reads one value.
    ///
    /// # Errors
    /// [`Fault::Via`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let _ = value;
        Err(Fault::Via)
    }

    /// Whether the branch is unique to its transaction: it begins with the magic cookie and says more than that. Where
    /// not, RFC 2543's rules match the transaction (RFC 3261 17.2.3).
    #[must_use]
    pub fn has_unique_branch(&self) -> bool {
        self.branch.is_some_and(|branch| {
            branch.get(..Self::MAGIC_COOKIE.len()).is_some_and(|cookie| cookie.eq_ignore_ascii_case(Self::MAGIC_COOKIE))
                && branch.len() > Self::MAGIC_COOKIE.len()
        })
    }
}
