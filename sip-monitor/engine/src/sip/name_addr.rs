//! Addresses in headers: `name-addr` and `addr-spec` (RFC 3261 20.10, 25.1).

use super::{Fault, Params, Uri};

/// `[display-name] <addr-spec> *(;param)` or `addr-spec *(;param)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name, enclosing quotes removed; empty where there is none.
    pub display: &'a [u8],
    /// The URI as it stands, brackets removed.
    pub uri: &'a [u8],
    /// The parameters of the header, not those inside the brackets.
    pub params: Params<'a>,
    /// The first thing that was wrong and could be read over.
    pub fault: Option<Fault>,
}

impl<'a> NameAddr<'a> {
    /// Reads one address. `otherwise` is the fault where there is none.
    ///
    /// # Errors
    /// `otherwise`
    pub fn parse(value: &'a [u8], otherwise: Fault) -> Result<Self, Fault> {
        let _ = value;
        Err(otherwise)
    }

    /// The `tag` parameter; `None` also where it is empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// A parameter of the header by its name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        self.params.get(name)
    }

    /// The URI, read.
    ///
    /// # Errors
    /// As [`Uri::parse`].
    pub fn parse_uri(&self) -> Result<Uri<'a>, Fault> {
        Uri::parse(self.uri)
    }
}

/// One value of Contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`: all bindings (RFC 3261 10.2.2).
    Wildcard,
    /// An address.
    Address(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// The address, where it is one.
    #[must_use]
    pub fn address(&self) -> Option<&NameAddr<'a>> {
        match self {
            Self::Address(address) => Some(address),
            Self::Wildcard => None,
        }
    }

    /// The `expires` parameter in seconds; too large counts as the largest.
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        None
    }

    /// The `q` parameter in thousandths.
    #[must_use]
    pub fn q_milli(&self) -> Option<u16> {
        None
    }
}
