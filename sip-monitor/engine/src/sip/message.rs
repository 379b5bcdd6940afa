//! The message: its start line, the table of its headers, its body.

use smallvec::SmallVec;

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
    pub(super) present: u128,
    pub(super) body_start: u32,
    pub(super) faults: FaultSet,
}

impl<'a> Message<'a> {
    /// Header lines looked at; more of them are skipped ([`Fault::TooManyHeaders`]).
    pub const MAX_HEADERS: usize = 1024;

    /// Reads one datagram, or one message cut out of a stream by [`super::frame`]. Leading CRLF are skipped.
    ///
    /// # Errors
    /// [`NotSip`], where there is no start line. Everything else that is wrong is a [`Fault`] of the message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotSip> {
        let _ = bytes;
        Err(NotSip::Empty)
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
