//! Challenges and credentials (RFC 3261 20.7, 20.27, 20.28, 20.44; RFC 8760).

use super::scan::{is_token, split_once, split_word, unquote};
use super::{Fault, Values};

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
        Values::new(self.params).filter_map(|param| split_once(param, b'=')).map(|(name, value)| (name, unquote(value)))
    }

    /// Reads one header line. Lines are not split at commas: those separate the parameters (RFC 3261 7.3.1).
    ///
    /// # Errors
    /// [`Fault::Auth`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (scheme, params) = split_word(value);
        if is_token(scheme) && !params.is_empty() { Ok(Self { scheme, params }) } else { Err(Fault::Auth) }
    }

    /// Whether the scheme is Digest (RFC 8760).
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"Digest")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_challenge_has_its_parameters() {
        let value = br#"Digest realm="a, b", nonce="x=y==",opaque="",stale=TRUE , algorithm=MD5"#;
        let auth = Auth::parse(value).unwrap();
        assert!(auth.is_digest() && auth.is_stale());
        assert_eq!((auth.realm(), auth.nonce()), (Some(&b"a, b"[..]), Some(&b"x=y=="[..])));
        assert_eq!((auth.param("opaque"), auth.algorithm()), (Some(&b""[..]), Some(&b"MD5"[..])));
        assert_eq!(auth.username(), None);
    }

    #[test]
    fn an_unknown_scheme_is_no_fault_and_nothing_is_one() {
        assert_eq!(Auth::parse(b"NoOneKnowsThisScheme opaque-data=here").unwrap().scheme, b"NoOneKnowsThisScheme");
        assert_eq!(Auth::parse(b"Digest"), Err(Fault::Auth));
        assert_eq!(Auth::parse(b""), Err(Fault::Auth));
    }
}
