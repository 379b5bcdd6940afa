//! URIs: `sip:`, `sips:`, `tel:` and, unread, all others (RFC 3261 19.1, RFC 3966).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Fault, Params};

/// A host as it stands in a URI or a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A dotted quad.
    Ipv4(Ipv4Addr),
    /// An IPv6 reference, brackets removed.
    Ipv6(Ipv6Addr),
    /// A name, or what should be one.
    Name(&'a [u8]),
}

impl<'a> Host<'a> {
    /// Reads `host` (RFC 3261 25.1). An IPv6 address is taken without brackets too. Never fails: what is no address is a name.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        Self::Name(bytes)
    }

    /// The address, where it is one. IPv4-mapped IPv6 stays IPv6 (RFC 5118 4.9).
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match *self {
            Self::Ipv4(address) => Some(IpAddr::V4(address)),
            Self::Ipv6(address) => Some(IpAddr::V6(address)),
            Self::Name(_) => None,
        }
    }
}

/// `hostport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The port, where one is written and readable.
    pub port: Option<u16>,
}

/// A URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// As written: `sip`, `SIPS`, `tel`, ...
    pub scheme: &'a [u8],
    /// `userinfo` without the password, or the number of a `tel:` URI; escapes stay.
    pub user: Option<&'a [u8]>,
    /// The password, where somebody writes one.
    pub password: Option<&'a [u8]>,
    /// The host of a SIP or SIPS URI.
    pub host: Option<Host<'a>>,
    /// Its port.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
    /// Everything behind `?`.
    pub headers: &'a [u8],
    /// The first thing that was wrong and could be read over.
    pub fault: Option<Fault>,
}

impl<'a> Uri<'a> {
    /// Reads a URI without angle brackets.
    ///
    /// # Errors
    /// [`Fault::UriScheme`] without a scheme, [`Fault::Host`] for a SIP URI without a host.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let _ = bytes;
        Err(Fault::UriScheme)
    }

    /// Whether it is `sip:` or `sips:`.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"sip") || self.is_sips()
    }

    /// Whether it is `sips:`.
    #[must_use]
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"sips")
    }

    /// Whether it is `tel:`.
    #[must_use]
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"tel")
    }

    /// Whether it asks for loose routing: `;lr` (RFC 3261 16.12), also `;lr=on`.
    #[must_use]
    pub fn is_loose_route(&self) -> bool {
        self.params.has("lr")
    }
}
