//! The message: its start line, the table of its headers, its body.

use memchr::memchr;
use smallvec::SmallVec;

use super::scan::{is_token, split_at_byte, trim_end, trim_start};
use super::{Fault, FaultSet, HeaderName, Method, StartLine};

/// Why bytes are no SIP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSip {
    /// Nothing at all.
    Empty,
    /// Only CR, LF, NUL or white space: a keep-alive (RFC 5626 3.5.1 and what phones send beside it).
    KeepAlive,
    /// The first line is neither a Request-Line nor a Status-Line.
    StartLine,
}

/// One header line: ranges into the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderLine {
    pub(super) name: HeaderName,
    pub(super) name_len: u16,
    pub(super) name_start: u32,
    pub(super) value_start: u32,
    pub(super) value_end: u32,
}

/// A SIP message, borrowed from its datagram.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) start_line: StartLine<'a>,
    pub(super) headers: SmallVec<[HeaderLine; 24]>,
    pub(super) present: u64,
    pub(super) body_start: u32,
    pub(super) faults: FaultSet,
}

impl<'a> Message<'a> {
    /// Header lines looked at; more of them are skipped ([`Fault::TooManyHeaders`]).
    pub const MAX_HEADERS: usize = 1024;

    // Inlined so that the table is filled where the caller keeps it, and not copied there.
    /// Reads one datagram, or one message cut out of a stream by [`super::frame`]. Leading CRLF are skipped.
    ///
    /// # Errors
    /// [`NotSip`], where there is no start line. Everything else that is wrong is a [`Fault`] of the message.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotSip> {
        let bytes = bytes.get(..u32::MAX as usize).unwrap_or(bytes);
        let (start_line, faults, next) = Self::read_start_line(bytes)?;
        let mut message = Self { bytes, start_line, headers: SmallVec::new(), present: 0, body_start: 0, faults };
        message.read_headers(next);
        Ok(message)
    }

    /// The start line, its faults, and where the headers begin.
    fn read_start_line(bytes: &'a [u8]) -> Result<(StartLine<'a>, FaultSet, usize), NotSip> {
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        let mut faults = FaultSet::EMPTY;
        let first = Line::unfolded(bytes, start);
        let Some(start_line) = StartLine::parse(first.text, &mut faults) else {
            return Err(match bytes {
                [] => NotSip::Empty,
                _ if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0)) => NotSip::KeepAlive,
                _ => NotSip::StartLine,
            });
        };
        Ok((start_line, faults | first.faults(), first.next))
    }

    /// Fills the table from `from` to the empty line, and finds where the body begins.
    fn read_headers(&mut self, mut from: usize) {
        loop {
            let line = Line::at(self.bytes, from);
            if line.end != LineEnd::CrLf {
                self.faults = self.faults | line.faults();
            }
            if !line.text.is_empty() {
                self.read_header(from, line.text);
            }
            from = line.next;
            if line.text.is_empty() || line.end == LineEnd::Missing {
                break;
            }
        }
        self.body_start = offset(from);
    }

    /// Notes one header line, folds included (RFC 3261 7.3.1: `name HCOLON value`).
    fn read_header(&mut self, start: usize, line: &[u8]) {
        if self.headers.len() >= Self::MAX_HEADERS {
            self.faults.insert(Fault::TooManyHeaders);
            return;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            self.faults.insert(Fault::HeaderLine);
            return;
        };
        let (before, behind) = split_at_byte(line, colon);
        let (unindented, value) = (trim_start(before), trim_start(behind));
        let (indent, written) = (before.len() - unindented.len(), trim_end(unindented));
        let Ok(name_len) = u16::try_from(written.len()) else {
            self.faults.insert(Fault::HeaderLine);
            return;
        };
        let name = HeaderName::from_bytes(written);
        if indent != 0 || (name == HeaderName::Other && !is_token(written)) {
            self.faults.insert(Fault::HeaderLine);
        }
        if self.present & name.bit() != 0 && name.is_single() {
            self.faults.insert(Fault::DuplicateHeader);
        }
        self.present |= name.bit();
        let value_start = start + line.len() - value.len();
        self.headers.push(HeaderLine {
            name,
            name_len,
            name_start: offset(start + indent),
            value_start: offset(value_start),
            value_end: offset(value_start + trim_end(value).len()),
        });
    }

    /// The first line.
    #[must_use]
    pub fn start_line(&self) -> StartLine<'a> {
        self.start_line
    }

    /// The method of the request, or that in the CSeq of the response.
    #[must_use]
    pub fn method(&self) -> Option<Method<'a>> {
        match self.start_line {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => self.cseq_method(),
        }
    }

    /// The status code of a response.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self.start_line {
            StartLine::Response { code, .. } if code != 0 => Some(code),
            StartLine::Response { .. } | StartLine::Request { .. } => None,
        }
    }

    /// Whether it is a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.start_line, StartLine::Request { .. })
    }

    /// The Request-URI of a request, as it stands.
    #[must_use]
    pub fn request_uri(&self) -> Option<&'a [u8]> {
        match self.start_line {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// All of it, from the start line to the last octet given, trailing ones included.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The value of the first header of that name, without surrounding white space; folds (CRLF and white space) stand in it.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&'a [u8]> {
        if self.present & name.bit() == 0 {
            return None;
        }
        self.headers(name).next()
    }

    /// The values of all headers of that name, top to bottom, each a header line: lists are not split.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + Clone + '_ {
        let wanted = if self.present & name.bit() == 0 { [].iter() } else { self.headers.iter() };
        wanted.filter(move |line| line.name == name).map(|line| self.value(line))
    }

    /// The same for a name that [`HeaderName`] does not have. Case does not matter.
    pub fn headers_named<'m>(&'m self, name: &'m [u8]) -> impl Iterator<Item = &'a [u8]> + 'm {
        self.all_headers().filter(move |(_, written, _)| written.eq_ignore_ascii_case(name)).map(|(_, _, value)| value)
    }

    /// Every header in order: what it is, its name as written, its value.
    pub fn all_headers(&self) -> impl Iterator<Item = (HeaderName, &'a [u8], &'a [u8])> + '_ {
        self.headers.iter().map(|line| {
            let start = line.name_start as usize;
            let name = self.bytes.get(start..start + usize::from(line.name_len)).unwrap_or_default();
            (line.name, name, self.value(line))
        })
    }

    fn value(&self, line: &HeaderLine) -> &'a [u8] {
        self.bytes.get(line.value_start as usize..line.value_end as usize).unwrap_or_default()
    }
}

/// How a line ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    CrLf,
    Lf,
    Missing,
}

/// A line of the head, its folds included, without its end.
struct Line<'a> {
    text: &'a [u8],
    next: usize,
    end: LineEnd,
}

impl<'a> Line<'a> {
    /// The start line: it cannot be folded, so a line behind it that begins with white space is a header's.
    fn unfolded(bytes: &'a [u8], start: usize) -> Self {
        let end = bytes.get(start..).and_then(|rest| memchr(b'\n', rest));
        Self::at(end.map_or(bytes, |end| bytes.get(..=start + end).unwrap_or(bytes)), start)
    }

    fn at(bytes: &'a [u8], start: usize) -> Self {
        let mut from = start;
        loop {
            let Some(found) = bytes.get(from..).and_then(|rest| memchr(b'\n', rest)) else {
                return Self { text: bytes.get(start..).unwrap_or_default(), next: bytes.len(), end: LineEnd::Missing };
            };
            let next = from + found + 1;
            let text = bytes.get(start..next - 1).unwrap_or_default();
            let (text, end) = match text {
                [text @ .., b'\r'] => (text, LineEnd::CrLf),
                text => (text, LineEnd::Lf),
            };
            // An empty line ends the head, whatever the body begins with: only what has begun can be folded.
            if text.is_empty() || !matches!(bytes.get(next), Some(b' ' | b'\t')) {
                return Self { text, next, end };
            }
            from = next;
        }
    }

    fn faults(&self) -> FaultSet {
        let mut faults = FaultSet::EMPTY;
        match self.end {
            LineEnd::CrLf => {}
            LineEnd::Lf => faults.insert(Fault::BareLineFeed),
            LineEnd::Missing => faults.insert(Fault::HeadersCut),
        }
        faults
    }
}

/// Positions are kept in 32 bits, to which [`Message::parse`] cuts what it is given.
#[allow(clippy::cast_possible_truncation)]
const fn offset(position: usize) -> u32 {
    position as u32
}
