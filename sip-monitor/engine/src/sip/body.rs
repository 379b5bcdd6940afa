//! The body: how long it is, of what type, and where in it the SDP stands (RFC 3261 7.4, 18.3, RFC 5621).

use memchr::{memchr, memmem};

use super::scan::{is_token, split_at_byte, split_once, split_params, trim};
use super::{Fault, HeaderName, Message, Params};

/// `type/subtype *(;param)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// `application`, `multipart`, ...
    pub kind: &'a [u8],
    /// `sdp`, `mixed`, ...
    pub subtype: &'a [u8],
    /// `boundary`, `charset`, ...
    pub params: Params<'a>,
}

/// One part of a multipart body, or the whole of a simple one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its type; `None` where none is written or readable.
    pub content_type: Option<ContentType<'a>>,
    /// What it holds.
    pub bytes: &'a [u8],
}

impl<'a> ContentType<'a> {
    /// Reads a Content-Type value.
    ///
    /// # Errors
    /// [`Fault::ContentType`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let (media_type, params) = split_params(value);
        let (kind, subtype) = split_once(media_type, b'/').ok_or(Fault::ContentType)?;
        if is_token(kind) && is_token(subtype) { Ok(Self { kind, subtype, params }) } else { Err(Fault::ContentType) }
    }

    /// Whether it is this type, without regard to case and parameters.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes()) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The boundary, where it is a multipart type that has one (RFC 2046 5.1.1).
    fn boundary(&self) -> Option<&'a [u8]> {
        if !self.kind.eq_ignore_ascii_case(b"multipart") {
            return None;
        }
        self.params.get("boundary").filter(|boundary| !boundary.is_empty())
    }
}

impl<'a> Message<'a> {
    /// Everything behind the empty line.
    pub(super) fn behind_head(&self) -> &'a [u8] {
        self.bytes.get(self.body_start as usize..).unwrap_or_default()
    }

    /// The body: as long as Content-Length says, at most as much as there is; without one all that is there.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        let rest = self.behind_head();
        let length = self.content_length().and_then(|length| usize::try_from(length).ok());
        length.and_then(|length| rest.get(..length)).unwrap_or(rest)
    }

    /// The parts of the body: of a multipart each, nested ones unfolded; else the body itself. None where it is empty.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let body = self.body();
        let whole = Part { content_type: self.content_type(), bytes: body };
        Parts { whole: (!body.is_empty()).then_some(whole), levels: [None; MAX_DEPTH] }
    }

    /// The first session description in the body. A body without Content-Type that begins `v=0` counts as one.
    #[must_use]
    pub fn sdp(&self) -> Option<&'a [u8]> {
        if self.behind_head().is_empty() {
            return None;
        }
        let encoding = self.header(HeaderName::ContentEncoding);
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
            return None;
        }
        let is_sdp = |part: &Part<'_>| match part.content_type {
            Some(content_type) => content_type.is("application", "sdp"),
            None => part.bytes.starts_with(b"v=0"),
        };
        self.parts().find(is_sdp).map(|part| part.bytes)
    }
}

/// Multiparts in multiparts that are unfolded; deeper ones are left whole.
const MAX_DEPTH: usize = 3;

/// Parts found but not walked: one level for each multipart that is open, the innermost last.
struct Parts<'a> {
    whole: Option<Part<'a>>,
    levels: [Option<Level<'a>>; MAX_DEPTH],
}

#[derive(Clone, Copy)]
struct Level<'a> {
    boundary: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let part = self.whole.take().or_else(|| self.next_part())?;
            let boundary = part.content_type.and_then(|content_type| content_type.boundary());
            match (boundary, self.levels.iter_mut().find(|level| level.is_none())) {
                (Some(boundary), Some(free)) => *free = Some(Level { boundary, rest: part.bytes }),
                _ => return Some(part),
            }
        }
    }
}

impl<'a> Parts<'a> {
    fn next_part(&mut self) -> Option<Part<'a>> {
        loop {
            let open = self.levels.iter_mut().rev().find(|level| level.is_some())?;
            match open.as_mut().and_then(Level::next_part) {
                Some(part) => return Some(part),
                None => *open = None,
            }
        }
    }
}

impl<'a> Level<'a> {
    fn next_part(&mut self) -> Option<Part<'a>> {
        let (_, behind) = self.split_at_delimiter(self.rest)?;
        if behind.starts_with(b"--") {
            return None;
        }
        let line_end = memchr(b'\n', behind)?;
        let (_, begin) = split_at_byte(behind, line_end);
        // Without a closing delimiter the part goes to the end: the datagram may have been cut.
        let (content, _) = self.split_at_delimiter(begin).unwrap_or((begin, b""));
        self.rest = begin.get(content.len()..).unwrap_or_default();
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        Some(Part::parse(content))
    }

    /// What stands before and behind the next `--boundary` at the beginning of a line.
    fn split_at_delimiter(&self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        memmem::find_iter(bytes, self.boundary).find_map(|at| {
            let before = bytes.get(..at)?.strip_suffix(b"--")?;
            let at_line_start = before.is_empty() || before.ends_with(b"\n");
            at_line_start.then(|| (before, bytes.get(at + self.boundary.len()..).unwrap_or_default()))
        })
    }
}

impl<'a> Part<'a> {
    /// Reads a part's headers up to its empty line (RFC 2046 5.1).
    fn parse(mut bytes: &'a [u8]) -> Self {
        let mut content_type = None;
        loop {
            let Some(end) = memchr(b'\n', bytes) else {
                return Self { content_type, bytes };
            };
            let (line, rest) = split_at_byte(bytes, end);
            bytes = rest;
            let line = trim(line);
            if line.is_empty() {
                return Self { content_type, bytes };
            }
            if let Some((name, value)) = split_once(line, b':')
                && HeaderName::from_bytes(name) == HeaderName::ContentType
            {
                content_type = ContentType::parse(value).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(head: &str, body: &str) -> Vec<u8> {
        format!("INVITE sip:a@b SIP/2.0\r\n{head}\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn a_body_is_as_long_as_its_content_length() {
        let bytes = message("l: 3", "abcdef");
        assert_eq!(Message::parse(&bytes).unwrap().body(), b"abc");
        let bytes = message("Content-Length: 9999", "abcdef");
        assert_eq!(Message::parse(&bytes).unwrap().body(), b"abcdef");
        let bytes = message("Content-Length: -1", "abcdef");
        assert_eq!(Message::parse(&bytes).unwrap().body(), b"abcdef");
        let bytes = message("Subject: none", "abcdef");
        assert_eq!(Message::parse(&bytes).unwrap().body(), b"abcdef");
    }

    #[test]
    fn sdp_is_found_by_its_type_in_any_form() {
        for head in ["c: application/sdp", "Content-Type:\r\n APPLICATION / SDP ;charset=utf-8", "Subject: x"] {
            let bytes = message(head, "v=0\r\n");
            assert_eq!(Message::parse(&bytes).unwrap().sdp(), Some(&b"v=0\r\n"[..]), "{head}");
        }
        for head in ["c: text/plain", "c: application/sdp\r\nl: 0", "c: application/sdp\r\ne: gzip"] {
            let bytes = message(head, "v=0\r\n");
            assert_eq!(Message::parse(&bytes).unwrap().sdp(), None, "{head}");
        }
    }

    #[test]
    fn sdp_is_found_in_nested_multiparts() {
        let body = "preamble\r\n--out\r\nContent-Type: multipart/alternative; boundary=\"in ner\"\r\n\r\n\
                    --in ner\r\n\r\nplain --out\r\n--in ner\r\nc: application/sdp\r\n\r\nv=0\r\ns=x\r\n--in ner--\r\n\
                    --out\r\nContent-Type: application/isup\r\n\r\n\0\n\r\n--out--\r\n";
        let bytes = message("Content-Type: multipart/mixed;boundary=out", body);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.sdp(), Some(&b"v=0\r\ns=x"[..]));
        let parts: Vec<_> = message.parts().map(|part| part.bytes).collect();
        assert_eq!(parts, [&b"plain --out"[..], b"v=0\r\ns=x", b"\0\n"]);
    }

    #[test]
    fn a_cut_multipart_gives_the_part_it_has() {
        let bytes = message("c: multipart/mixed;boundary=b", "--b\r\nc: application/sdp\r\n\r\nv=0\r\no=cut");
        assert_eq!(Message::parse(&bytes).unwrap().sdp(), Some(&b"v=0\r\no=cut"[..]));
        let bytes = message("c: multipart/mixed;boundary=b", "--b");
        assert_eq!(Message::parse(&bytes).unwrap().sdp(), None);
    }

    #[test]
    fn multiparts_nested_without_end_stop() {
        let body = "--b\r\nc: multipart/mixed;boundary=b\r\n\r\n".repeat(50);
        let bytes = message("c: multipart/mixed;boundary=b", &body);
        assert!(Message::parse(&bytes).unwrap().parts().count() <= 50);
    }
}
