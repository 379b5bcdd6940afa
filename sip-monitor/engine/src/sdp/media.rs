//! One m-line and what belongs to it.

use core::net::{IpAddr, SocketAddr};

use super::{Candidate, Codec, Crypto, Direction, Rtcp, T38};

/// What an m-line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `audio`.
    Audio,
    /// `video`.
    Video,
    /// `image`: T.38.
    Image,
    /// `application`: data channels, BFCP.
    Application,
    /// `text`: RFC 4103.
    Text,
    /// `message`: MSRP.
    Message,
    /// Any other.
    Other,
}

/// The address of a c= line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpAddress<'a> {
    /// An address.
    Ip(IpAddr),
    /// A name, or what should be an address.
    Name(&'a [u8]),
}

/// A media description: one m-line and the lines below it.
#[derive(Clone, Debug)]
pub struct Media<'a> {
    /// What it carries.
    pub kind: MediaKind,
    /// The first token of the m-line as written.
    pub kind_token: &'a [u8],
    /// Its port; 0 refuses or withdraws the stream (RFC 3264 6, 8.2), or is bundled with `a=bundle-only`.
    pub port: u16,
    /// Number of ports, 1 where nothing is said.
    pub port_count: u16,
    /// `RTP/AVP`, `udptl`, ... as written.
    pub proto: &'a [u8],
    /// The formats as written, space-separated.
    pub formats: &'a [u8],
    /// The address media is sent to: its own c= line, else that of the session; `None` where there is neither.
    pub address: Option<SdpAddress<'a>>,
    /// Which way: its own attribute, else the session's, else both ways.
    pub direction: Direction,
    /// Lines below the m-line, up to the next one.
    pub(super) lines: &'a [u8],
}

impl<'a> Media<'a> {
    /// The endpoint RTP is to be sent to: address and port, where the address is one and the port not 0.
    #[must_use]
    pub fn rtp_endpoint(&self) -> Option<SocketAddr> {
        None
    }

    /// The endpoint RTCP is to be sent to: `a=rtcp` (RFC 3605), the RTP port with `a=rtcp-mux` (RFC 5761), else the next higher.
    #[must_use]
    pub fn rtcp_endpoint(&self) -> Option<SocketAddr> {
        None
    }

    /// Whether its address is `0.0.0.0` or `::`: hold the old way (RFC 3264 8.4), or no address known yet.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        matches!(self.address, Some(SdpAddress::Ip(address)) if address.is_unspecified())
    }

    /// Whether it is RTP: `RTP/AVP` and its profiles, also over DTLS.
    #[must_use]
    pub fn is_rtp(&self) -> bool {
        false
    }

    /// Whether its RTP is encrypted: `SAVP`, `SAVPF`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        false
    }

    /// Whether it is T.38: `udptl` or `t38` as format.
    #[must_use]
    pub fn is_t38(&self) -> bool {
        false
    }

    /// Its codecs in order of preference. Only for RTP; formats that are no payload type are left out.
    pub fn codecs(&self) -> impl Iterator<Item = Codec<'a>> + '_ {
        core::iter::empty()
    }

    /// The codec of a payload type.
    #[must_use]
    pub fn codec(&self, payload_type: u8) -> Option<Codec<'a>> {
        self.codecs().find(|codec| codec.payload_type == payload_type)
    }

    /// The payload type of `telephone-event` (RFC 4733), the first one.
    #[must_use]
    pub fn telephone_event(&self) -> Option<u8> {
        self.codecs().find(|codec| codec.name.eq_ignore_ascii_case(b"telephone-event")).map(|codec| codec.payload_type)
    }

    /// Every `a=` line: name and value (empty where it has none).
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + '_ {
        core::iter::empty()
    }

    /// The value of the first attribute of that name. Case matters (RFC 8866 5.13).
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        self.attributes().find(|(written, _)| *written == name.as_bytes()).map(|(_, value)| value)
    }

    /// `a=ptime` in milliseconds.
    #[must_use]
    pub fn ptime_ms(&self) -> Option<u32> {
        None
    }

    /// `a=maxptime` in milliseconds.
    #[must_use]
    pub fn maxptime_ms(&self) -> Option<u32> {
        None
    }

    /// `a=rtcp`.
    #[must_use]
    pub fn rtcp(&self) -> Option<Rtcp> {
        None
    }

    /// `a=rtcp-mux` (RFC 5761).
    #[must_use]
    pub fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// `a=mid` (RFC 5888).
    #[must_use]
    pub fn mid(&self) -> Option<&'a [u8]> {
        self.attribute("mid")
    }

    /// `a=crypto` lines (RFC 4568).
    pub fn cryptos(&self) -> impl Iterator<Item = Crypto<'a>> + '_ {
        core::iter::empty()
    }

    /// `a=fingerprint` of the media, else of the session (RFC 8122).
    #[must_use]
    pub fn fingerprint(&self) -> Option<&'a [u8]> {
        None
    }

    /// `a=setup` of the media, else of the session (RFC 4145, RFC 5763).
    #[must_use]
    pub fn setup(&self) -> Option<&'a [u8]> {
        None
    }

    /// `a=ice-ufrag` of the media, else of the session (RFC 8839 5.4).
    #[must_use]
    pub fn ice_ufrag(&self) -> Option<&'a [u8]> {
        None
    }

    /// `a=candidate` lines.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'a>> + '_ {
        core::iter::empty()
    }

    /// T.38 attributes.
    #[must_use]
    pub fn t38(&self) -> T38<'a> {
        T38::default()
    }
}
