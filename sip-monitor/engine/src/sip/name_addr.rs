//! Addresses in headers: `name-addr` and `addr-spec` (RFC 3261 20.10, 25.1).

use memchr::{memchr, memchr3};

use super::scan::{
    closing_quote, decimal_u32, has_lws, is_lws, is_token_byte, split_at_byte, split_once, split_params, trim,
};
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
        let value = trim(value);
        if let [b'"', quoted @ ..] = value {
            return Self::parse_quoted(quoted, otherwise);
        }
        // The first of these decides: a bracket begins the URI of a name-addr; without one, parameters begin at the
        // semicolon (RFC 3261 20.10). A quote inside a display name is illegal but no reason to lose the URI.
        match memchr3(b'<', b';', b'"', value).map(|at| (value.get(at), split_at_byte(value, at))) {
            Some((Some(b'<'), (display, rest))) => Self::parse_bracketed(trim(display), rest, None, otherwise),
            Some((_, (display, rest))) if memchr(b':', display).is_none() => {
                let bracket = memchr(b'<', rest).ok_or(otherwise)?;
                let display = value.get(..display.len() + 1 + bracket).unwrap_or(display);
                let (_, rest) = split_at_byte(rest, bracket);
                Self::parse_bracketed(trim(display), rest, Some(Fault::DisplayName), otherwise)
            }
            Some(_) | None => Self::parse_bare(value, None, otherwise),
        }
    }

    /// `quoted` begins behind the opening quote of the display name.
    fn parse_quoted(quoted: &'a [u8], otherwise: Fault) -> Result<Self, Fault> {
        let Some(end) = closing_quote(quoted) else {
            let bracket = memchr(b'<', quoted).ok_or(Fault::Quote)?;
            let (display, rest) = split_at_byte(quoted, bracket);
            return Self::parse_bracketed(trim(display), rest, Some(Fault::Quote), otherwise);
        };
        let (display, rest) = split_at_byte(quoted, end);
        match trim(rest) {
            [b'<', rest @ ..] => {
                Self::parse_bracketed(display, rest, None, otherwise).map(|read| Self { display, ..read })
            }
            rest => match memchr(b'<', rest) {
                Some(bracket) => {
                    let (_, rest) = split_at_byte(rest, bracket);
                    Self::parse_bracketed(display, rest, Some(Fault::DisplayName), otherwise)
                }
                None => {
                    Self::parse_bare(rest, Some(Fault::AngleBracket), otherwise).map(|read| Self { display, ..read })
                }
            },
        }
    }

    /// `rest` begins behind the opening bracket.
    fn parse_bracketed(
        display: &'a [u8],
        rest: &'a [u8],
        fault: Option<Fault>,
        otherwise: Fault,
    ) -> Result<Self, Fault> {
        let end = memchr(b'>', rest);
        let (inside, behind) = end.map_or((rest, &b""[..]), |end| split_at_byte(rest, end));
        let uri = trim(inside);
        if uri.is_empty() {
            return Err(otherwise);
        }
        let (between, params) = split_params(behind);
        let fault = fault
            .or(end.is_none().then_some(Fault::AngleBracket))
            .or((uri.len() != inside.len() || has_lws(uri)).then_some(Fault::AddressSpace))
            .or((!between.is_empty()).then_some(Fault::AngleBracket));
        Ok(Self { display, uri, params, fault })
    }

    /// `addr-spec *(;param)`.
    fn parse_bare(value: &'a [u8], fault: Option<Fault>, otherwise: Fault) -> Result<Self, Fault> {
        let (uri, params) = split_params(value);
        if uri.is_empty() {
            return Err(otherwise);
        }
        let fault = fault
            .or(memchr::memchr2(b'?', b',', uri).map(|_| Fault::AddressUnbracketed))
            .or(has_lws(uri).then_some(Fault::AddressSpace));
        Ok(Self { display: b"", uri, params, fault })
    }

    /// Whether an unquoted display name is made of tokens (RFC 3261 25.1). Read from where it stands, so only for
    /// [`super::Message::faults`].
    pub(super) fn has_token_display(value: &[u8]) -> bool {
        let value = trim(value);
        let bracket = memchr3(b'<', b';', b'"', value);
        match bracket.and_then(|at| Some((value.get(at)?, value.get(..at)?))) {
            Some((b'<', display)) => display.iter().all(|byte| is_lws(*byte) || is_token_byte(*byte)),
            _ => true,
        }
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
    /// Reads one value.
    ///
    /// # Errors
    /// [`Fault::Contact`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        match value {
            b"*" => Ok(Self::Wildcard),
            value => NameAddr::parse(value, Fault::Contact).map(Self::Address),
        }
    }

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
        decimal_u32(self.address()?.param("expires")?)
    }

    /// The `q` parameter in thousandths.
    #[must_use]
    pub fn q_milli(&self) -> Option<u16> {
        let q = self.address()?.param("q")?;
        let (whole, fraction) = split_once(q, b'.').unwrap_or((q, b""));
        let scale = [1_000, 100, 10, 1].get(fraction.len())?;
        let fraction = if fraction.is_empty() { 0 } else { decimal_u32(fraction)? };
        u16::try_from(decimal_u32(whole)?.checked_mul(1_000)? + fraction * scale).ok().filter(|q| *q <= 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8]) -> NameAddr<'_> {
        NameAddr::parse(value, Fault::From).unwrap()
    }

    #[test]
    fn the_three_forms_of_an_address() {
        let quoted = read(br#""J \"Q\" R, x" <sip:j@h;lr>;tag=98 ; x"#);
        assert_eq!(quoted.display, br#"J \"Q\" R, x"#);
        assert_eq!(
            (quoted.uri, quoted.tag(), quoted.param("X")),
            (&b"sip:j@h;lr"[..], Some(&b"98"[..]), Some(&b""[..]))
        );
        let tokens = read(b"caller<sip:c@h>;tag=323");
        assert_eq!((tokens.display, tokens.uri, tokens.fault), (&b"caller"[..], &b"sip:c@h"[..], None));
        let bare = read(b"sip:c@h;user=phone;tag=1");
        assert_eq!((bare.display, bare.uri, bare.tag()), (&b""[..], &b"sip:c@h"[..], Some(&b"1"[..])));
    }

    #[test]
    fn brackets_in_a_quoted_parameter_are_no_name_addr() {
        let bare = read(br#"sip:a@b;x="<sip:c@d>";tag=1"#);
        assert_eq!((bare.uri, bare.tag()), (&b"sip:a@b"[..], Some(&b"1"[..])));
    }

    #[test]
    fn a_damaged_address_gives_what_it_has() {
        for (value, uri, fault) in [
            (&br#""Mr. J <sip:j@h>"#[..], &b"sip:j@h"[..], Fault::Quote),
            (br#""W" < sip:t@h >"#, b"sip:t@h", Fault::AddressSpace),
            (b"<sip:t@h", b"sip:t@h", Fault::AngleBracket),
            (b"sip:t@h?Route=x", b"sip:t@h?Route=x", Fault::AddressUnbracketed),
            (br#"Foo "bar" <sip:t@h>"#, b"sip:t@h", Fault::DisplayName),
            (b"Foo; bar <sip:t@h>", b"sip:t@h", Fault::DisplayName),
            (br#""Foo" sip:t@h"#, b"sip:t@h", Fault::AngleBracket),
        ] {
            let address = read(value);
            assert_eq!((address.uri, address.fault), (uri, Some(fault)), "{}", value.escape_ascii());
        }
        for value in [&b""[..], b"<>", b";tag=1", b"\"open"] {
            assert!(NameAddr::parse(value, Fault::To).is_err());
        }
    }

    #[test]
    fn an_empty_tag_is_none() {
        assert_eq!(read(b"<sip:a@b>;tag=").tag(), None);
        assert_eq!(read(b"<sip:a@b>;tag").tag(), None);
    }

    #[test]
    fn contact_has_expires_and_q() {
        let contact = Contact::parse(b"<sip:a@b>;expires=280297596632815;q=0.33").unwrap();
        assert_eq!(contact.expires(), Some(u32::MAX));
        assert_eq!(contact.q_milli(), Some(330));
        for (q, milli) in
            [("1", Some(1000)), ("0.5", Some(500)), ("1.001", None), ("x", None), ("0.1234", None), ("1.", Some(1000))]
        {
            let value = format!("<sip:a@b>;q={q}");
            assert_eq!(Contact::parse(value.as_bytes()).unwrap().q_milli(), milli, "{q}");
        }
        assert_eq!(Contact::parse(b"*"), Ok(Contact::Wildcard));
    }
}
