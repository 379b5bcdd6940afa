//! URIs: `sip:`, `sips:`, `tel:` and, unread, all others (RFC 3261 19.1, RFC 3966).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use memchr::{memchr, memchr2};

use super::scan::{has_lws, port, split_at_byte, split_params, trim};
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
        let bytes = trim(bytes);
        let inside = bytes.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
        match inside {
            Some(inside) => ipv6(inside).map_or(Self::Name(bytes), Self::Ipv6),
            None => ipv4(bytes).map(Self::Ipv4).or_else(|| ipv6(bytes).map(Self::Ipv6)).unwrap_or(Self::Name(bytes)),
        }
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

/// A dotted quad as `std` reads it: four numbers up to 255 without leading zeros.
fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut dots, mut octet, mut digits) = (0u32, 0, 0u32, 0);
    for byte in bytes {
        match byte {
            b'0'..=b'9' if digits == 0 || (octet != 0 && digits < 3) => {
                octet = octet * 10 + u32::from(byte & 0x0f);
                digits += 1;
            }
            b'.' if digits > 0 && dots < 3 && octet <= 255 => {
                address = address << 8 | octet;
                (dots, octet, digits) = (dots + 1, 0, 0);
            }
            _ => return None,
        }
    }
    (dots == 3 && digits > 0 && octet <= 255).then(|| Ipv4Addr::from_bits(address << 8 | octet))
}

fn ipv6(bytes: &[u8]) -> Option<Ipv6Addr> {
    memchr(b':', bytes)?;
    core::str::from_utf8(bytes).ok()?.parse().ok()
}

/// `hostport = host [ ":" port ]` (RFC 3261 25.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The port, where one is written and readable.
    pub port: Option<u16>,
    /// What was wrong and could be read over.
    pub fault: Option<Fault>,
}

impl<'a> HostPort<'a> {
    /// Reads `host[:port]`. White space around the colon is taken: a Via may have it.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let bytes = trim(bytes);
        let (host, port_bytes) = match bytes.first() {
            Some(b'[') => {
                let end = memchr(b']', bytes).map_or(bytes.len(), |end| end + 1);
                let (host, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
                match trim(rest) {
                    [] => (host, None),
                    [b':', port @ ..] => (host, Some(port)),
                    garbage => (host, Some(garbage)),
                }
            }
            _ => match memchr(b':', bytes) {
                None => (bytes, None),
                // Two colons: an IPv6 address without brackets. Where its port would begin cannot be told (RFC 5118 4.2).
                Some(colon) if memchr(b':', bytes.get(colon + 1..).unwrap_or_default()).is_some() => {
                    return Self { host: Host::parse(bytes), port: None, fault: Some(Fault::Host) };
                }
                Some(colon) => {
                    let (host, port) = split_at_byte(bytes, colon);
                    (host, Some(port))
                }
            },
        };
        let host = Host::parse(host);
        let port = port_bytes.and_then(|digits| port(trim(digits)));
        let fault = match host {
            Host::Name(name) if !is_host_name(name) => Some(Fault::Host),
            Host::Ipv4(_) | Host::Ipv6(_) | Host::Name(_) if port_bytes.is_some() && port.is_none() => {
                Some(Fault::Port)
            }
            Host::Ipv4(_) | Host::Ipv6(_) | Host::Name(_) => None,
        };
        Self { host, port, fault }
    }
}

/// Letters, digits, hyphens and dots; the underscore is no harm.
fn is_host_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
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
        let bytes = trim(bytes);
        let (bytes, bracketed) = match bytes.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")) {
            Some(inside) => (trim(inside), Some(Fault::AngleBracket)),
            None => (bytes, None),
        };
        let colon = memchr(b':', bytes).ok_or(Fault::UriScheme)?;
        let (scheme, rest) = split_at_byte(bytes, colon);
        if !is_scheme(scheme) {
            return Err(Fault::UriScheme);
        }
        let none = Params::default();
        let empty = Self {
            scheme,
            user: None,
            password: None,
            host: None,
            port: None,
            params: none,
            headers: b"",
            fault: bracketed,
        };
        if empty.is_tel() {
            let (number, params) = split_params(rest);
            return Ok(Self { user: Some(number), params, ..empty });
        }
        if !empty.is_sip() {
            return Ok(empty);
        }
        let (user_info, rest) = split_user_info(rest);
        let end = memchr2(b';', b'?', rest).unwrap_or(rest.len());
        let (host_port, rest) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let host_port = HostPort::parse(host_port);
        if host_port.host == Host::Name(b"") {
            return Err(Fault::Host);
        }
        let (params, headers) = match memchr(b'?', rest) {
            Some(at) => split_at_byte(rest, at),
            None => (rest, &b""[..]),
        };
        let (user, password) = match user_info.map(|user_info| (user_info, memchr(b':', user_info))) {
            Some((user_info, Some(colon))) => {
                let (user, password) = split_at_byte(user_info, colon);
                (Some(user), Some(password))
            }
            Some((user, None)) => (Some(user), None),
            None => (None, None),
        };
        let space = user_info.is_some_and(has_lws).then_some(Fault::AddressSpace);
        let fault = bracketed.or(space).or(host_port.fault);
        let (host, port) = (Some(host_port.host), host_port.port);
        Ok(Self { user: user.map(trim), password, host, port, params: Params { raw: params }, headers, fault, ..empty })
    }

    /// The user part of a URI that can be read: that of [`Uri::parse`], without reading the rest where it is as usual.
    #[must_use]
    pub fn user_of(bytes: &'a [u8]) -> Option<&'a [u8]> {
        let usual = trim(bytes).strip_prefix(b"sip:").and_then(|rest| {
            let (user_info, rest) = split_user_info(rest);
            let user_info = user_info?;
            let host_port = memchr2(b';', b'?', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
            trim(host_port).first().filter(|first| **first != b':')?;
            let user = memchr(b':', user_info).and_then(|colon| user_info.get(..colon)).unwrap_or(user_info);
            Some(trim(user))
        });
        usual.or_else(|| Self::parse(bytes).ok()?.user)
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

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`
fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Cuts `userinfo "@"` off. A user may hold `;` and `?`, so the first `@` ends it; where somebody writes two into the
/// authority (`sip:bob@home@example.com`), the last of them.
fn split_user_info(rest: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some(first) = memchr(b'@', rest) else {
        return (None, rest);
    };
    let behind = rest.get(first + 1..).unwrap_or_default();
    let authority = memchr2(b';', b'?', behind).and_then(|end| behind.get(..end)).unwrap_or(behind);
    let at = memchr::memrchr(b'@', authority).map_or(first, |last| first + 1 + last);
    let (user_info, host) = split_at_byte(rest, at);
    (Some(user_info), host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_alone_is_that_of_the_whole() {
        let uris = [
            &b"sip:alice@example.com"[..],
            b"sip:alice:secret@example.com:5060;user=phone?Subject=x",
            b" sip: +1555@203.0.113.7 ",
            b"sips:alice@[2001:db8::1]:5061",
            b"SIP:alice@example.com",
            b"<sip:alice@example.com>",
            b"tel:+15551230001;phone-context=x",
            b"sip:example.com",
            b"sip:alice@",
            b"sip:alice@:5060",
            b"sip:alice@::",
            b"sip:alice@ ;lr",
            b"sip:alice@?x=y",
            b"sip:a@b@c",
            b"sip:@host",
            b"sip::@host",
            b"mailto:alice@example.com",
            b"alice",
            b"",
        ];
        for uri in uris {
            assert_eq!(Uri::user_of(uri), Uri::parse(uri).ok().and_then(|uri| uri.user), "{}", uri.escape_ascii());
        }
    }

    fn uri(bytes: &[u8]) -> Uri<'_> {
        Uri::parse(bytes).unwrap()
    }

    #[test]
    fn a_sip_uri_has_its_parts() {
        let read = uri(b"sip:alice:secret@Example.com:5070;transport=tcp;lr?Subject=x");
        assert_eq!(read.user, Some(&b"alice"[..]));
        assert_eq!(read.password, Some(&b"secret"[..]));
        assert_eq!(read.host, Some(Host::Name(b"Example.com")));
        assert_eq!(read.port, Some(5070));
        assert_eq!(read.params.get("transport"), Some(&b"tcp"[..]));
        assert!(read.is_loose_route());
        assert_eq!(read.headers, b"Subject=x");
        assert_eq!(read.fault, None);
    }

    #[test]
    fn a_user_may_hold_semicolons_and_question_marks() {
        let read = uri(b"sip:user;par=u%40example.net@example.com");
        assert_eq!(read.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(read.host, Some(Host::Name(b"example.com")));
        let read = uri(b"sip:a$/crazy?,/;;*:&it+has=1@example.com");
        assert_eq!(read.user, Some(&b"a$/crazy?,/;;*"[..]));
        assert_eq!(read.password, Some(&b"&it+has=1"[..]));
    }

    #[test]
    fn ipv6_references_keep_their_port_apart() {
        let read = uri(b"sip:[2001:db8::10]:5070");
        assert_eq!(read.host, Some(Host::Ipv6("2001:db8::10".parse().unwrap())));
        assert_eq!(read.port, Some(5070));
        let read = uri(b"sip:[2001:db8::10:5070]");
        assert_eq!(read.host, Some(Host::Ipv6("2001:db8::10:5070".parse().unwrap())));
        assert_eq!(read.port, None);
        let read = uri(b"sip:2001:db8::10");
        assert_eq!((read.host, read.fault), (Some(Host::Ipv6("2001:db8::10".parse().unwrap())), Some(Fault::Host)));
        assert_eq!(uri(b"sip:user@[2001:db8:::192.0.2.1]").fault, Some(Fault::Host));
        assert_eq!(uri(b"sip:u@[::ffff:192.0.2.2]").host.unwrap().ip(), "::ffff:192.0.2.2".parse().ok());
    }

    #[test]
    fn dotted_quads_are_those_of_std() {
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "1.2.3.4",
            "01.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "1..2.3",
            "1.2.3.",
            "",
            "1.2.3.a",
            "00.0.0.0",
        ] {
            assert_eq!(ipv4(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn other_schemes_stay_unread() {
        let tel = uri(b"tel:+1-201-555-0123;phone-context=example.com");
        assert_eq!(tel.user, Some(&b"+1-201-555-0123"[..]));
        assert_eq!(tel.host, None);
        assert_eq!(uri(b"isbn:2983792873").scheme, b"isbn");
        assert_eq!(uri(b"soap.beep://192.0.2.103:3002").host, None);
        assert_eq!(Uri::parse(b"no scheme here"), Err(Fault::UriScheme));
        assert_eq!(Uri::parse(b"sip:"), Err(Fault::Host));
        assert_eq!(Uri::parse(b""), Err(Fault::UriScheme));
    }

    #[test]
    fn what_is_wrong_is_read_over() {
        let read = uri(b"<sip:user@example.com>");
        assert_eq!((read.user, read.fault), (Some(&b"user"[..]), Some(Fault::AngleBracket)));
        assert_eq!(uri(b"sip:a@b:99999").fault, Some(Fault::Port));
        assert_eq!(uri(b"sip:a@b:").fault, Some(Fault::Port));
        assert_eq!(uri(b"sip:user @example.com").fault, Some(Fault::AddressSpace));
        let read = uri(b"sip:bob@home@example.com;a=b@c");
        assert_eq!((read.user, read.host), (Some(&b"bob@home"[..]), Some(Host::Name(b"example.com"))));
    }
}
