//! One m-line as one side wrote it: what of it the engine keeps.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::media::Keying;
use crate::sdp::{Codec, Direction, Media, MediaKind};

/// How many candidates of one m-line are kept.
const MAX_CANDIDATES: usize = 16;

/// A codec as SDP, or RFC 3551's static table, names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecName {
    /// RTP payload type.
    pub payload_type: u8,
    /// Clock rate in hertz; 0 where unknown.
    pub clock_rate_hz: u32,
    /// Encoding name.
    pub name: Box<str>,
}

impl CodecName {
    /// Keeps a codec.
    #[must_use]
    pub fn of(codec: &Codec<'_>) -> Self {
        Self {
            payload_type: codec.payload_type,
            clock_rate_hz: codec.clock_rate_hz,
            name: String::from_utf8_lossy(codec.name).into(),
        }
    }

    /// Whether it is this one, as it stands in SDP.
    #[must_use]
    pub fn is(&self, codec: &Codec<'_>) -> bool {
        self.payload_type == codec.payload_type
            && self.clock_rate_hz == codec.clock_rate_hz
            && self.name.as_bytes() == codec.name
    }
}

/// A media description.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// What it carries.
    pub kind: MediaKind,
    /// Its port; 0 where it is refused or withdrawn.
    pub port: u16,
    /// Where RTP is to be sent; `None` where the port is 0 or the address is a name.
    pub endpoint: Option<SocketAddr>,
    /// The address is `0.0.0.0` or `::`: hold the old way (RFC 3264 8.4).
    pub unspecified: bool,
    /// Where RTCP is to be sent.
    pub rtcp: Option<SocketAddr>,
    /// ICE candidates for RTP over UDP.
    pub candidates: Box<[SocketAddr]>,
    /// The attribute, as its writer sees it.
    pub direction: Direction,
    /// Its codecs in order of preference.
    pub codecs: Arc<[CodecName]>,
    /// Packet time, ms.
    pub ptime_ms: Option<u32>,
    /// It is RTP.
    pub rtp: bool,
    /// Its RTP is encrypted.
    pub secure: bool,
    /// How its keys are to be made.
    pub keying: Keying,
    /// Resources are to be reserved first (RFC 3312): media follows later than its SDP.
    pub preconditions: bool,
    /// Its writer neither sends nor takes RTCP: `a=rtcp:0`, or no bandwidth for it (RFC 3556 2).
    pub rtcp_off: bool,
    /// It is T.38.
    pub t38: bool,
}

impl Description {
    /// Keeps what matters of an m-line, with the codecs it names.
    #[must_use]
    pub fn from_sdp(media: &Media<'_>, codecs: Arc<[CodecName]>) -> Self {
        let candidates = media
            .candidates()
            .filter(|c| c.component == 1 && c.transport.eq_ignore_ascii_case(b"udp") && c.port != 0)
            .filter_map(|c| c.address.map(|address| SocketAddr::new(address, c.port)))
            .take(MAX_CANDIDATES)
            .collect();
        Self {
            kind: media.kind,
            port: media.port,
            endpoint: media.rtp_endpoint().filter(|_| !media.is_unspecified()),
            unspecified: media.is_unspecified(),
            rtcp: media.rtcp_endpoint().filter(|_| !media.is_unspecified()),
            candidates,
            direction: media.direction,
            codecs,
            ptime_ms: media.ptime_ms(),
            rtp: media.is_rtp(),
            secure: media.is_secure(),
            keying: Keying::from_sdp(media),
            preconditions: media.attribute("curr").is_some() || media.attribute("des").is_some(),
            rtcp_off: media.rtcp().is_some_and(|rtcp| rtcp.port == 0)
                || (media.bandwidth(b"RR") == Some(0) && media.bandwidth(b"RS") == Some(0)),
            t38: media.is_t38(),
        }
    }

    /// What it carries, as SDP names it.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self.kind {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Image => "image",
            MediaKind::Application => "application",
            MediaKind::Text => "text",
            MediaKind::Message => "message",
            MediaKind::Other => "other",
        }
    }

    /// The address of its c= line, where it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.endpoint.map(|endpoint| endpoint.ip())
    }

    /// Whether its writer is ready to take media.
    #[must_use]
    pub const fn receives(&self) -> bool {
        self.port != 0 && !self.unspecified && matches!(self.direction, Direction::SendRecv | Direction::RecvOnly)
    }

    /// Whether its writer is going to send media.
    #[must_use]
    pub const fn sends(&self) -> bool {
        self.port != 0 && matches!(self.direction, Direction::SendRecv | Direction::SendOnly)
    }

    /// Every endpoint where its writer says that it takes RTP.
    pub fn endpoints(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.endpoint.into_iter().chain(self.candidates.iter().copied())
    }

    /// `name/rate` of its codecs.
    #[must_use]
    pub fn codec_names(&self) -> Vec<String> {
        self.codecs.iter().map(|c| format!("{}/{}", c.name, c.clock_rate_hz)).collect()
    }
}
