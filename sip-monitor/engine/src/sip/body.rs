//! The body: how long it is, of what type, and where in it the SDP stands (RFC 3261 7.4, 18.3, RFC 5621).

use super::{Fault, Message, Params};

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
        let _ = value;
        Err(Fault::ContentType)
    }

    /// Whether it is this type, without regard to case and parameters.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes()) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }
}

impl<'a> Message<'a> {
    /// The body: as long as Content-Length says, at most as much as there is; without one all that is there.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &[]
    }

    /// The parts of the body: of a multipart each, nested ones unfolded; else the body itself. None where it is empty.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        core::iter::empty()
    }

    /// The first session description in the body. A body without Content-Type that begins `v=0` counts as one.
    #[must_use]
    pub fn sdp(&self) -> Option<&'a [u8]> {
        None
    }
}
