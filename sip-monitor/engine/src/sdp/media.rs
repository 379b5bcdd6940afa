//! One m-line and what belongs to it.

use core::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use crate::rtp::{PayloadFormat, static_payload};

use super::line::{
    Lines, MAX_LINES, attributes, number, parse_connection, parse_line, split_attribute, split_word, words,
};
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
    /// Names and values of its own `a=` lines: asked for by name again and again, so cut once.
    attributes: SmallVec<[(&'a [u8], &'a [u8]); 16]>,
    /// Values of its `b=` lines.
    bandwidths: SmallVec<[&'a [u8]; 2]>,
    /// Empty where the session has no attributes.
    session_lines: &'a [u8],
}

/// `m=media port[/count] proto fmt ...` (RFC 8866 5.14).
pub(super) struct MediaLine<'a> {
    kind: &'a [u8],
    port: u16,
    port_count: u16,
    proto: &'a [u8],
    formats: &'a [u8],
}

impl<'a> MediaLine<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let (kind, rest) = split_word(value);
        let (ports, rest) = split_word(rest);
        let (proto, formats) = split_word(rest);
        let mut ports = ports.splitn(2, |byte| *byte == b'/');
        let port = ports.next().and_then(number)?;
        let port_count = match ports.next() {
            Some(count) => number(count).filter(|count| *count != 0)?,
            None => 1,
        };
        (!proto.is_empty()).then_some(Self { kind, port, port_count, proto, formats })
    }
}

impl<'a> Media<'a> {
    /// `section` begins with the m-line.
    pub(super) fn parse(
        section: &'a [u8],
        session_lines: &'a [u8],
        session_address: Option<SdpAddress<'a>>,
        session_direction: Direction,
    ) -> Self {
        let mut lines = Lines(section).map(parse_line);
        let value = lines.next().flatten().map(|(_, value)| value).unwrap_or_default();
        let line = MediaLine::parse(value).unwrap_or_else(|| {
            let (kind, _) = split_word(value);
            MediaLine { kind, port: 0, port_count: 1, proto: b"", formats: b"" }
        });
        let (mut address, mut direction) = (None, None);
        let (mut attributes, mut bandwidths) = (SmallVec::new(), SmallVec::new());
        for (index, line) in (1..).zip(lines) {
            match line {
                Some((b'c', value)) => address = address.or_else(|| parse_connection(value)),
                Some((b'a', value)) => {
                    direction = direction.or_else(|| Direction::parse(value));
                    if index < MAX_LINES {
                        attributes.push(split_attribute(value));
                    }
                }
                Some((b'b', value)) if index < MAX_LINES => bandwidths.push(value),
                Some(_) | None => {}
            }
        }
        Self {
            kind: MediaKind::parse(line.kind),
            kind_token: line.kind,
            port: line.port,
            port_count: line.port_count,
            proto: line.proto,
            formats: line.formats,
            address: address.or(session_address),
            direction: direction.unwrap_or(session_direction),
            attributes,
            bandwidths,
            session_lines,
        }
    }

    /// Whether it is refused or withdrawn: port 0, and not `a=bundle-only` (RFC 9143 6).
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.port == 0 && self.attribute("bundle-only").is_none()
    }

    /// The endpoint RTP is to be sent to: address and port, where the address is one and the port not 0.
    #[must_use]
    pub fn rtp_endpoint(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address?.ip()?, self.port)).filter(|endpoint| endpoint.port() != 0)
    }

    /// The endpoint RTCP is to be sent to: `a=rtcp` (RFC 3605), the RTP port with `a=rtcp-mux` (RFC 5761), else the next higher.
    #[must_use]
    pub fn rtcp_endpoint(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_endpoint()?;
        if self.rtcp_mux() {
            return Some(rtp);
        }
        match self.rtcp() {
            Some(rtcp) => Some(SocketAddr::new(rtcp.address.unwrap_or(rtp.ip()), rtcp.port)),
            None => rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)),
        }
    }

    /// Whether its address is `0.0.0.0` or `::`: hold the old way (RFC 3264 8.4), or no address known yet.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        matches!(self.address, Some(SdpAddress::Ip(address)) if address.is_unspecified())
    }

    /// Whether it is RTP: `RTP/AVP` and its profiles, also over DTLS.
    #[must_use]
    pub fn is_rtp(&self) -> bool {
        self.proto.split(|byte| *byte == b'/').any(|part| part.eq_ignore_ascii_case(b"RTP"))
    }

    /// Whether its RTP is encrypted: `SAVP`, `SAVPF`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        let secure = [&b"SAVP"[..], b"SAVPF"];
        self.proto
            .split(|byte| *byte == b'/')
            .any(|part| secure.iter().any(|profile| profile.eq_ignore_ascii_case(part)))
    }

    /// Whether it is T.38: `udptl` or `t38` as format.
    #[must_use]
    pub fn is_t38(&self) -> bool {
        self.proto.eq_ignore_ascii_case(b"udptl")
            || words(self.formats).any(|format| format.eq_ignore_ascii_case(b"t38"))
    }

    /// Its codecs in order of preference. Only for RTP; formats that are no payload type are left out.
    pub fn codecs(&self) -> impl Iterator<Item = Codec<'a>> + '_ {
        let formats = if self.is_rtp() { self.formats } else { b"" };
        let mut seen = 0u128;
        let payload_types = words(formats).filter_map(number::<u8>).filter(move |payload_type| {
            let bit = 1u128.checked_shl(u32::from(*payload_type)).unwrap_or(0);
            let is_new = bit != 0 && seen & bit == 0;
            seen |= bit;
            is_new
        });
        let maps = self.formats_named(b"rtpmap");
        let parameters = self.formats_named(b"fmtp");
        payload_types.map(move |payload_type| resolve(payload_type, &maps, &parameters))
    }

    /// The codec of a payload type.
    #[must_use]
    pub fn codec(&self, payload_type: u8) -> Option<Codec<'a>> {
        self.codecs().find(|codec| codec.payload_type == payload_type)
    }

    /// The payload type of `telephone-event` (RFC 4733), the first one.
    #[must_use]
    pub fn telephone_event(&self) -> Option<u8> {
        self.codecs().find(|codec| codec.is("telephone-event")).map(|codec| codec.payload_type)
    }

    /// Every `a=` line: name and value (empty where it has none).
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + '_ {
        self.attributes.iter().copied()
    }

    /// The value of the first attribute of that name. Case matters (RFC 8866 5.13).
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        self.attributes().find(|(written, _)| *written == name.as_bytes()).map(|(_, value)| value)
    }

    /// `a=ptime` in milliseconds.
    #[must_use]
    pub fn ptime_ms(&self) -> Option<u32> {
        self.attribute("ptime").and_then(whole_milliseconds)
    }

    /// `a=maxptime` in milliseconds.
    #[must_use]
    pub fn maxptime_ms(&self) -> Option<u32> {
        self.attribute("maxptime").and_then(whole_milliseconds)
    }

    /// `a=rtcp`.
    #[must_use]
    pub fn rtcp(&self) -> Option<Rtcp> {
        self.attribute("rtcp").and_then(Rtcp::parse)
    }

    /// `b=type:value`, the first of that type (RFC 8866 5.8).
    #[must_use]
    pub fn bandwidth(&self, bandwidth_type: &[u8]) -> Option<u32> {
        self.bandwidths.iter().find_map(|value| number(value.strip_prefix(bandwidth_type)?.strip_prefix(b":")?))
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
        self.attributes().filter(|(name, _)| *name == b"crypto").filter_map(|(_, value)| Crypto::parse(value))
    }

    /// `a=fingerprint` of the media, else of the session (RFC 8122).
    #[must_use]
    pub fn fingerprint(&self) -> Option<&'a [u8]> {
        self.own_or_session_attribute("fingerprint")
    }

    /// `a=setup` of the media, else of the session (RFC 4145, RFC 5763).
    #[must_use]
    pub fn setup(&self) -> Option<&'a [u8]> {
        self.own_or_session_attribute("setup")
    }

    /// `a=key-mgmt` of the media, else of the session (RFC 4567 3.1).
    #[must_use]
    pub fn key_management(&self) -> Option<&'a [u8]> {
        self.own_or_session_attribute("key-mgmt")
    }

    /// `a=ice-ufrag` of the media, else of the session (RFC 8839 5.4).
    #[must_use]
    pub fn ice_ufrag(&self) -> Option<&'a [u8]> {
        self.own_or_session_attribute("ice-ufrag")
    }

    /// `a=candidate` lines.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'a>> + '_ {
        self.attributes().filter(|(name, _)| *name == b"candidate").filter_map(|(_, value)| Candidate::parse(value))
    }

    /// T.38 attributes.
    #[must_use]
    pub fn t38(&self) -> T38<'a> {
        T38::collect(self.attributes())
    }

    fn own_or_session_attribute(&self, name: &str) -> Option<&'a [u8]> {
        let session = || attributes(self.session_lines).find(|(written, _)| *written == name.as_bytes());
        self.attribute(name).or_else(|| session().map(|(_, value)| value))
    }

    /// The attributes of that name, each as the payload type it is about and what is said of it.
    fn formats_named(&self, name: &[u8]) -> SmallVec<[(u8, &'a [u8]); 8]> {
        let named = self.attributes.iter().filter(|(written, _)| *written == name).map(|(_, value)| split_word(value));
        named.filter_map(|(format, rest)| Some((number(format)?, rest))).collect()
    }
}

/// What is written of a payload type, else what RFC 3551 says of it.
fn resolve<'a>(payload_type: u8, maps: &[(u8, &'a [u8])], parameters: &[(u8, &'a [u8])]) -> Codec<'a> {
    let first = |of: &[(u8, &'a [u8])]| of.iter().find(|(of, _)| *of == payload_type).map(|(_, rest)| *rest);
    let mapped = first(maps).and_then(|map| Codec::parse_map(payload_type, map));
    let codec = mapped.unwrap_or_else(|| match static_payload(payload_type) {
        Some(PayloadFormat { name, clock_rate_hz, channels }) => {
            Codec { payload_type, name: name.as_bytes(), clock_rate_hz, channels, fmtp: None }
        }
        None => Codec { payload_type, name: b"", clock_rate_hz: 0, channels: 1, fmtp: None },
    });
    Codec { fmtp: first(parameters), ..codec }
}

/// Milliseconds; a fraction is dropped (`a=ptime:20.0` is seen in the field).
fn whole_milliseconds(value: &[u8]) -> Option<u32> {
    number(value.split(|byte| *byte == b'.').next()?)
}

impl MediaKind {
    fn parse(token: &[u8]) -> Self {
        match token {
            b"audio" => Self::Audio,
            b"video" => Self::Video,
            b"image" => Self::Image,
            b"application" => Self::Application,
            b"text" => Self::Text,
            b"message" => Self::Message,
            _ => Self::Other,
        }
    }
}
