//! Small readers that all headers share: white space, lists, parameters, numbers.

use memchr::{memchr, memchr2, memchr3};

/// LWS, a fold included: SP, HT, CR, LF (RFC 3261 25.1).
pub(super) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `token` (RFC 3261 25.1).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether there is white space inside. A CR without its LF is not looked for.
pub(super) fn has_lws(bytes: &[u8]) -> bool {
    memchr3(b' ', b'\t', b'\n', bytes).is_some()
}

/// Removes LWS at the beginning.
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_lws(*first)
    {
        bytes = rest;
    }
    bytes
}

/// Removes LWS at the end.
pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_lws(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Removes LWS at both ends.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// What stands before and behind position `at`, the byte there left out.
pub(super) fn split_at_byte(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    (bytes.get(..at).unwrap_or(bytes), bytes.get(at + 1..).unwrap_or_default())
}

/// What stands before and behind the first `separator`, both trimmed; `None` without one.
pub(super) fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (before, behind) = split_at_byte(bytes, memchr(separator, bytes)?);
    Some((trim(before), trim(behind)))
}

/// The first word and what follows it, trimmed.
pub(super) fn split_word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = trim(bytes);
    let end = bytes.iter().position(|byte| is_lws(*byte)).unwrap_or(bytes.len());
    let (word, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (word, trim(rest))
}

/// A value and its parameters: what stands before the first `;`, trimmed, and the rest.
pub(super) fn split_params(bytes: &[u8]) -> (&[u8], Params<'_>) {
    let end = memchr(b';', bytes).unwrap_or(bytes.len());
    let (value, raw) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (trim(value), Params { raw })
}

/// `1*DIGIT`, saturating. `None` where there is anything else, or nothing.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(byte & 0x0f)))
    })
}

/// The same, counted with in 32 bits: too large is the largest.
pub(super) fn decimal_u32(bytes: &[u8]) -> Option<u32> {
    decimal(bytes).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// A port: 1 to 65535.
pub(super) fn port(bytes: &[u8]) -> Option<u16> {
    decimal(bytes).and_then(|number| u16::try_from(number).ok()).filter(|port| *port != 0)
}

/// The position of the quote that ends a quoted string; `inside` begins behind the first quote.
pub(super) fn closing_quote(inside: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', inside.get(from..)?)?;
        if inside.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

/// Removes the quotes around a value.
pub(super) fn unquote(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'"', inside @ .., b'"'] => inside,
        [b'"', inside @ ..] => inside,
        other => other,
    }
}

/// Elements of a comma-separated list, quotes and angle brackets respected, surrounding white space removed. Empty
/// elements are left out.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    rest: Option<&'a [u8]>,
    // What opens and never closes is an ordinary byte, and is not searched for again: hostile input must not make reading
    // quadratic.
    quotes: bool,
    brackets: bool,
}

impl<'a> Values<'a> {
    pub(super) const fn new(list: &'a [u8]) -> Self {
        Self { rest: Some(list), quotes: true, brackets: true }
    }

    /// The next element, empty or not.
    pub(super) fn next_element(&mut self) -> Option<&'a [u8]> {
        let list = self.rest?;
        let Some(comma) = self.find_comma(list) else {
            self.rest = None;
            return Some(trim(list));
        };
        let (element, rest) = split_at_byte(list, comma);
        self.rest = Some(rest);
        Some(trim(element))
    }

    /// Position of the first comma outside of quotes and angle brackets.
    fn find_comma(&mut self, list: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let at = from + memchr3(b',', b'"', b'<', list.get(from..)?)?;
            let inside = list.get(at + 1..)?;
            let closed = match list.get(at) {
                Some(b'"') if self.quotes => {
                    let end = closing_quote(inside);
                    self.quotes = end.is_some();
                    end
                }
                Some(b'<') if self.brackets => {
                    let end = memchr(b'>', inside);
                    self.brackets = end.is_some();
                    end
                }
                Some(b',') => return Some(at),
                _ => None,
            };
            from = at + 1 + closed.map_or(0, |end| end + 1);
        }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let element = self.next_element()?;
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// Parameters `;name=value`, in order. A view: read anew each time it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    pub(super) raw: &'a [u8],
}

impl<'a> Params<'a> {
    /// The bytes from the first `;` on.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// Name and value of each. A value's enclosing quotes are removed, its escapes stay.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone + use<'a> {
        ParamIter { rest: self.raw, quotes: true, empty_elements: 0 }
    }

    /// The value of a parameter: empty where it has none, `None` where it is not there. Case of the name does not matter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut written = self.iter();
        written
            .find(|(written, _)| written.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.unwrap_or(b""))
    }

    /// Whether a parameter is there, with or without value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there is `;;`, or a `;` at the end.
    pub(super) fn has_empty_element(&self) -> bool {
        let mut params = ParamIter { rest: self.raw, quotes: true, empty_elements: 0 };
        while params.next().is_some() {}
        params.empty_elements > 0
    }
}

#[derive(Clone)]
struct ParamIter<'a> {
    /// Begins with the `;` of the next parameter.
    rest: &'a [u8],
    /// Whether a quoted string may still close: one that does not is not searched for again.
    quotes: bool,
    empty_elements: u32,
}

impl<'a> ParamIter<'a> {
    /// Takes what stands before the next of the bytes for which `ends` holds.
    fn take_until(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| ends(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn take_quoted(&mut self) -> Option<&'a [u8]> {
        let inside = self.rest.strip_prefix(b"\"").filter(|_| self.quotes)?;
        let end = closing_quote(inside);
        self.quotes = end.is_some();
        let (value, rest) = split_at_byte(inside, end?);
        self.rest = rest;
        // What stands between the quote and the next parameter belongs to neither.
        self.take_until(|byte| byte == b';');
        Some(value)
    }
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = self.rest.strip_prefix(b";")?;
            let name = trim(self.take_until(|byte| matches!(byte, b';' | b'=')));
            let Some(value) = self.rest.strip_prefix(b"=") else {
                if !name.is_empty() {
                    return Some((name, None));
                }
                self.empty_elements += 1;
                continue;
            };
            self.rest = trim_start(value);
            let value = self.take_quoted().unwrap_or_else(|| trim(self.take_until(|byte| byte == b';')));
            return Some((name, Some(value)));
        }
    }
}

impl core::fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.raw.escape_ascii())
    }
}

/// Whether two values are equal when each run of white space and folds counts as one space.
#[must_use]
pub fn eq_ignoring_folds(a: &[u8], b: &[u8]) -> bool {
    let words = |bytes| {
        core::iter::successors(Some(split_word(bytes)), |(_, rest)| (!rest.is_empty()).then(|| split_word(rest)))
            .map(|(word, _)| word)
    };
    a == b || words(a).eq(words(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &[u8]) -> Vec<&[u8]> {
        Values::new(list).collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let list = br#""a, \" b" <sip:x,y@h>;p=1 , <sip:z@h>"#;
        assert_eq!(values(list), [&br#""a, \" b" <sip:x,y@h>;p=1"#[..], b"<sip:z@h>"]);
    }

    #[test]
    fn an_open_quote_does_not_hide_the_rest_of_the_list() {
        assert_eq!(values(br#""Joe <sip:a@h>, <sip:b@h>"#), [&br#""Joe <sip:a@h>"#[..], b"<sip:b@h>"]);
        assert_eq!(values(b"<sip:a@h, b"), [&b"<sip:a@h"[..], b"b"]);
    }

    #[test]
    fn empty_elements_are_left_out() {
        assert_eq!(values(b" , a,,b, "), [b"a", b"b"]);
        assert!(values(b"").is_empty());
    }

    #[test]
    fn parameters_keep_quoted_semicolons() {
        let params = Params { raw: br#"; text="a;b" ;flag ; N = v;;"# };
        let read: Vec<_> = params.iter().collect();
        assert_eq!(read, [(&b"text"[..], Some(&b"a;b"[..])), (b"flag", None), (b"N", Some(b"v"))]);
        assert_eq!(params.get("n"), Some(&b"v"[..]));
        assert_eq!(params.get("FLAG"), Some(&b""[..]));
        assert_eq!(params.get("none"), None);
        assert!(params.has_empty_element());
    }

    #[test]
    fn numbers_saturate_and_signs_are_none() {
        assert_eq!(decimal(b"0068"), Some(68));
        assert_eq!(decimal(b"36893488147419103232"), Some(u64::MAX));
        assert_eq!(decimal_u32(b"4294967296"), Some(u32::MAX));
        assert_eq!(decimal(b"-999"), None);
        assert_eq!(decimal(b""), None);
        assert_eq!(port(b"65536"), None);
        assert_eq!(port(b"0"), None);
    }

    #[test]
    fn folds_count_as_one_space() {
        assert!(eq_ignoring_folds(b"a\r\n  b", b"a b"));
        assert!(!eq_ignoring_folds(b"a b", b"ab"));
    }

    #[test]
    fn a_million_open_quotes_take_no_quadratic_time() {
        let list = vec![b'"'; 1 << 20];
        assert_eq!(values(&list[..(1 << 20) - 1]).len(), 1);
        let list = vec![b'<'; 1 << 20];
        assert_eq!(values(&list).len(), 1);
        let list = [&b"\""[..], &b"\\\","[..].repeat(1 << 18)].concat();
        assert_eq!(values(&list).len(), 1 << 18);
        let params = b";a=\"\\\"".repeat(1 << 17);
        // Each second quote closes the one before.
        assert_eq!(Params { raw: &params }.iter().count(), 1 << 16);
    }
}
