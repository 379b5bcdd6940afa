//! The description as a whole and its session level.

use core::net::IpAddr;

use memchr::memmem;

use super::line::{Lines, attributes, parse_connection, parse_line, split_word, words};
use super::media::MediaLine;
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
    pub(super) has_attributes: bool,
}

impl<'a> Sdp<'a> {
    /// Media descriptions looked at; more of them are left out.
    pub const MAX_MEDIA: usize = 64;

    /// Reads a session description.
    ///
    /// # Errors
    /// [`NotSdp`] where no line of it is one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotSdp> {
        let (session_lines, media_lines) = split_at_media(bytes);
        let mut sdp =
            Self { session_lines, media_lines, address: None, direction: None, junk_lines: 0, has_attributes: false };
        let mut known = 0u32;
        for line in Lines(session_lines) {
            match parse_line(line) {
                Some((b'c', value)) => {
                    let address = parse_connection(value);
                    sdp.junk_lines = sdp.junk_lines.saturating_add(u16::from(address.is_none()));
                    sdp.address = sdp.address.or(address);
                }
                Some((b'a', value)) => {
                    sdp.has_attributes = true;
                    sdp.direction = sdp.direction.or_else(|| Direction::parse(value));
                }
                Some(_) => {}
                None => {
                    sdp.junk_lines = sdp.junk_lines.saturating_add(1);
                    continue;
                }
            }
            known += 1;
        }
        for line in Lines(media_lines) {
            let junk = match parse_line(line) {
                Some((b'm', value)) => MediaLine::parse(value).is_none(),
                Some((b'c', value)) => parse_connection(value).is_none(),
                Some(_) => false,
                None => true,
            };
            sdp.junk_lines = sdp.junk_lines.saturating_add(u16::from(junk));
        }
        if known == 0 && media_lines.is_empty() { Err(NotSdp) } else { Ok(sdp) }
    }

    /// o=
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'a>> {
        let mut words = words(self.session_value(b'o')?);
        let (username, session_id, version) = (words.next()?, words.next()?, words.next()?);
        let (_network, _kind) = (words.next()?, words.next()?);
        Some(Origin { username, session_id, version, address: SdpAddress::parse(words.next()?) })
    }

    /// s=
    #[must_use]
    pub fn session_name(&self) -> Option<&'a [u8]> {
        self.session_value(b's')
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

    /// The media descriptions in order: position counts in offer and answer (RFC 3264 6), so one that cannot be read keeps
    /// its place, with port 0.
    pub fn media(&self) -> impl Iterator<Item = Media<'a>> + Clone + use<'a> {
        let (session_lines, address) = (if self.has_attributes { self.session_lines } else { b"" }, self.address);
        let direction = self.direction.unwrap_or_default();
        let sections = MediaSections { rest: self.media_lines }.take(Self::MAX_MEDIA);
        sections.map(move |section| Media::parse(section, session_lines, address, direction))
    }

    /// Every `a=` line of the session level.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        attributes(self.session_lines)
    }

    /// `a=group` lines.
    pub fn groups(&self) -> impl Iterator<Item = Group<'a>> + use<'a> {
        self.attributes().filter(|(name, _)| *name == b"group").map(|(_, value)| {
            let (semantics, mids) = split_word(value);
            Group { semantics, mids }
        })
    }

    /// Whether the mid is bundled with another (RFC 9143).
    #[must_use]
    pub fn is_bundled(&self, mid: &[u8]) -> bool {
        self.groups().any(|group| {
            group.semantics == b"BUNDLE"
                && words(group.mids).count() > 1
                && words(group.mids).any(|member| member == mid)
        })
    }

    /// `a=ice-lite`.
    #[must_use]
    pub fn is_ice_lite(&self) -> bool {
        self.attributes().any(|(name, _)| name == b"ice-lite")
    }

    /// Lines that are no `x=` line, m-lines that cannot be read and c= lines with neither address nor name.
    #[must_use]
    pub fn junk_lines(&self) -> u16 {
        self.junk_lines
    }

    fn session_value(&self, kind: u8) -> Option<&'a [u8]> {
        Lines(self.session_lines).filter_map(parse_line).find(|(written, _)| *written == kind).map(|(_, value)| value)
    }
}

/// The session's lines and, from the first m-line on, those of the media.
fn split_at_media(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = if bytes.starts_with(b"m=") { 0 } else { next_media(bytes).unwrap_or(bytes.len()) };
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// Where the next m-line begins, the line at the beginning left out.
fn next_media(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\nm=").map(|at| at + 1)
}

/// Cuts the media lines in pieces of one m-line and what belongs to it.
#[derive(Clone)]
struct MediaSections<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for MediaSections<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = next_media(self.rest).unwrap_or(self.rest.len());
        let (section, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(section)
    }
}

impl<'a> SdpAddress<'a> {
    /// Reads an address; what is none is a name.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let text = core::str::from_utf8(bytes).ok();
        text.and_then(|text| text.parse().ok()).map_or(Self::Name(bytes), Self::Ip)
    }

    /// The address, where it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}
