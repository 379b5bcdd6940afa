//! Challenges and credentials (RFC 3261 20.7, 20.27, 20.28, 20.44; RFC 8760).

/// `scheme name=value, ...`: a challenge or credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// `Digest`, ... as written.
    pub scheme: &'a [u8],
    pub(super) params: &'a [u8],
}

impl<'a> Auth<'a> {
    /// Name and value of each parameter, enclosing quotes removed.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        core::iter::empty()
    }

    /// A parameter by its name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(written, _)| written.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The protection domain.
    #[must_use]
    pub fn realm(&self) -> Option<&'a [u8]> {
        self.param("realm")
    }

    /// The server's nonce.
    #[must_use]
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.param("nonce")
    }

    /// Who answers.
    #[must_use]
    pub fn username(&self) -> Option<&'a [u8]> {
        self.param("username")
    }

    /// The URI the answer is computed over.
    #[must_use]
    pub fn uri(&self) -> Option<&'a [u8]> {
        self.param("uri")
    }

    /// The digest algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Option<&'a [u8]> {
        self.param("algorithm")
    }

    /// Whether the last answer was right but its nonce too old.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.param("stale").is_some_and(|stale| stale.eq_ignore_ascii_case(b"true"))
    }
}
