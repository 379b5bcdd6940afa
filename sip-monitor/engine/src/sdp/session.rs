//! The description as a whole and its session level.

use core::net::IpAddr;

use super::{Direction, Media, SdpAddress};

/// The bytes hold no line of a session description at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSdp;

/// `o=username sess-id sess-version nettype addrtype address` (RFC 8866 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user name.
    pub username: &'a [u8],
    /// Session id: numeric by the RFC, anything in the field.
    pub session_id: &'a [u8],
    /// Session version: grows with each change (RFC 3264 8).
    pub version: &'a [u8],
    /// Address of the creator.
    pub address: SdpAddress<'a>,
}

/// `a=group` (RFC 5888).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// `BUNDLE`, `LS`, ...
    pub semantics: &'a [u8],
    /// The mids, space-separated.
    pub mids: &'a [u8],
}

/// A session description.
#[derive(Clone, Copy, Debug)]
pub struct Sdp<'a> {
    pub(super) session_lines: &'a [u8],
    pub(super) media_lines: &'a [u8],
    pub(super) address: Option<SdpAddress<'a>>,
    pub(super) direction: Option<Direction>,
    pub(super) junk_lines: u16,
}

impl<'a> Sdp<'a> {
    /// Reads a session description.
    ///
    /// # Errors
    /// [`NotSdp`] where no line of it is one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotSdp> {
        let _ = bytes;
        Err(NotSdp)
    }

    /// o=
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'a>> {
        None
    }

    /// s=
    #[must_use]
    pub fn session_name(&self) -> Option<&'a [u8]> {
        None
    }

    /// The c= line of the session.
    #[must_use]
    pub fn address(&self) -> Option<SdpAddress<'a>> {
        self.address
    }

    /// The direction of the session, where it is said there.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.direction
    }

    /// The media descriptions in order: position counts in offer and answer (RFC 3264 6).
    pub fn media(&self) -> impl Iterator<Item = Media<'a>> + Clone + '_ {
        core::iter::empty()
    }

    /// Every `a=` line of the session level.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + '_ {
        core::iter::empty()
    }

    /// `a=group` lines.
    pub fn groups(&self) -> impl Iterator<Item = Group<'a>> + '_ {
        core::iter::empty()
    }

    /// Whether the mid is bundled with another (RFC 9143).
    #[must_use]
    pub fn is_bundled(&self, mid: &[u8]) -> bool {
        let _ = mid;
        false
    }

    /// `a=ice-lite`.
    #[must_use]
    pub fn is_ice_lite(&self) -> bool {
        self.attributes().any(|(name, _)| name == b"ice-lite")
    }

    /// Lines that are no `x=` line, m-lines that cannot be read and c= lines without a usable address.
    #[must_use]
    pub fn junk_lines(&self) -> u16 {
        self.junk_lines
    }
}

impl SdpAddress<'_> {
    /// The address, where it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match *self {
            Self::Ip(address) => Some(address),
            Self::Name(_) => None,
        }
    }
}
