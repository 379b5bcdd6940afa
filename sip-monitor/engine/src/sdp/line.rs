//! Lines of a session description and the words in them.

use memchr::memchr;

use super::SdpAddress;

/// Lines of one description or media section that are looked at for attributes: a bound on hostile input.
pub(super) const MAX_LINES: usize = 1024;

/// Lines without their end, LF or CRLF; empty ones are left out.
#[derive(Clone)]
pub(super) struct Lines<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.0.is_empty() {
                return None;
            }
            let end = memchr(b'\n', self.0);
            let line = end.and_then(|end| self.0.get(..end)).unwrap_or(self.0);
            self.0 = end.and_then(|end| self.0.get(end + 1..)).unwrap_or_default();
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                return Some(line);
            }
        }
    }
}

/// `type=value` (RFC 8866 5): the type is one letter, and no space stands around the `=`.
pub(super) fn parse_line(line: &[u8]) -> Option<(u8, &[u8])> {
    match line {
        [kind, b'=', value @ ..] if kind.is_ascii_lowercase() => Some((*kind, value)),
        _ => None,
    }
}

/// `a=name[:value]` lines.
pub(super) fn attributes(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    let lines = Lines(lines).take(MAX_LINES).filter_map(parse_line);
    lines.filter(|(kind, _)| *kind == b'a').map(|(_, attribute)| split_attribute(attribute))
}

/// Name and value of an attribute; the value of a flag is empty.
pub(super) fn split_attribute(attribute: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b':', attribute) {
        Some(colon) => {
            let (name, value) = attribute.split_at_checked(colon).unwrap_or((attribute, &[]));
            (name, value.get(1..).unwrap_or_default().trim_ascii())
        }
        None => (attribute, &b""[..]),
    }
}

/// Words between white space.
pub(super) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The first word and the rest, trimmed.
pub(super) fn split_word(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (word, rest) = value.split_at_checked(end).unwrap_or((value, &[]));
    (word, rest.trim_ascii_start())
}

/// A number of type `T`; `None` where it is none or does not fit.
pub(super) fn number<T: TryFrom<u64>>(word: &[u8]) -> Option<T> {
    word.first()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte & 0x0f));
    let number = word.iter().try_fold(0_u64, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))?;
    T::try_from(number).ok()
}

/// `c=nettype addrtype address[/ttl[/count]]` (RFC 8866 5.7).
pub(super) fn parse_connection(value: &[u8]) -> Option<SdpAddress<'_>> {
    let address = words(value).nth(2)?;
    let end = memchr(b'/', address).unwrap_or(address.len());
    address.get(..end).filter(|address| !address.is_empty()).map(SdpAddress::parse)
}
