//! Values of `a=` lines.

use core::net::IpAddr;

use super::SdpAddress;
use super::line::{number, split_word, words};

/// Which way media is to flow, as seen by the one who wrote it (RFC 8866 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways: what holds where nothing is said.
    #[default]
    SendRecv,
    /// It only sends: the other is on hold.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// A format of an m-line with what `a=rtpmap` and `a=fmtp` say of it, or RFC 3551's static table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec<'a> {
    /// RTP payload type.
    pub payload_type: u8,
    /// Encoding name as written, from the static table, or empty where a dynamic type has no rtpmap.
    pub name: &'a [u8],
    /// Clock rate in hertz; 0 where unknown. G.722 counts as 8,000, as RFC 3551 4.5.2 wants.
    pub clock_rate_hz: u32,
    /// Channels: 1 where nothing is said.
    pub channels: u8,
    /// The `a=fmtp` parameters, where there are any.
    pub fmtp: Option<&'a [u8]>,
}

/// `a=rtcp:port [IN IP4 address]` (RFC 3605).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// The port.
    pub port: u16,
    /// The address, where it is another than that of the media.
    pub address: Option<IpAddr>,
}

/// `a=crypto:tag suite key-params` (RFC 4568). The key stays out of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Tag.
    pub tag: u32,
    /// Crypto suite.
    pub suite: &'a [u8],
}

/// How an ICE candidate was found (RFC 8839 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateType {
    /// An address of the host.
    Host,
    /// Mapped by a NAT, told by a STUN server.
    ServerReflexive,
    /// Mapped by a NAT, told by the peer.
    PeerReflexive,
    /// A relay (TURN).
    Relayed,
    /// Another token.
    Other,
}

/// `a=candidate` (RFC 8839 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Foundation.
    pub foundation: &'a [u8],
    /// 1 is RTP, 2 RTCP.
    pub component: u16,
    /// `UDP`, `TCP` as written.
    pub transport: &'a [u8],
    /// Priority.
    pub priority: u32,
    /// The address; `None` where it is a name (mDNS, RFC 8839 5.1).
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// How it was found.
    pub kind: CandidateType,
    /// Related address and port.
    pub related: Option<(IpAddr, u16)>,
}

/// T.38 attributes of an `udptl` m-line (ITU-T T.38 annex D).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct T38<'a> {
    /// `T38FaxVersion`.
    pub version: Option<u8>,
    /// `T38MaxBitRate`.
    pub max_bit_rate: Option<u32>,
    /// `T38FaxMaxDatagram`.
    pub max_datagram: Option<u32>,
    /// `T38FaxRateManagement`.
    pub rate_management: Option<&'a [u8]>,
    /// `T38FaxUdpEC`.
    pub udp_ec: Option<&'a [u8]>,
}

impl Direction {
    /// Reads an attribute; `None` where it is another.
    #[must_use]
    pub fn parse(attribute: &[u8]) -> Option<Self> {
        match attribute {
            b"sendrecv" => Some(Self::SendRecv),
            b"sendonly" => Some(Self::SendOnly),
            b"recvonly" => Some(Self::RecvOnly),
            b"inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// Whether the one who wrote it sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the one who wrote it receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// As written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl<'a> Codec<'a> {
    /// Reads `name/clock[/channels]` of an rtpmap (RFC 8866 6.6).
    pub(super) fn parse_map(payload_type: u8, map: &'a [u8]) -> Option<Self> {
        let mut fields = map.split(|byte| *byte == b'/');
        let name = fields.next().map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())?;
        let clock_rate_hz = fields.next().and_then(number).unwrap_or(0);
        let channels = fields.next().and_then(number).filter(|channels| *channels != 0).unwrap_or(1);
        Some(Self { payload_type, name, clock_rate_hz, channels, fmtp: None })
    }

    /// Whether it is this encoding, without regard to case (RFC 4855 3).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl Rtcp {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut words = words(value);
        let port = words.next().and_then(number)?;
        Some(Self { port, address: words.nth(2).and_then(|address| SdpAddress::parse(address).ip()) })
    }
}

impl<'a> Crypto<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = words(value);
        Some(Self { tag: words.next().and_then(number)?, suite: words.next()? })
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = words(value);
        let (foundation, component) = (words.next()?, words.next().and_then(number)?);
        let (transport, priority) = (words.next()?, words.next().and_then(number)?);
        let (address, port) = (SdpAddress::parse(words.next()?).ip(), words.next().and_then(number)?);
        words.next().filter(|word| *word == b"typ")?;
        let kind = match words.next()? {
            b"host" => CandidateType::Host,
            b"srflx" => CandidateType::ServerReflexive,
            b"prflx" => CandidateType::PeerReflexive,
            b"relay" => CandidateType::Relayed,
            _ => CandidateType::Other,
        };
        // The rest are pairs: `raddr <address>`, `rport <port>`, `generation <n>`, ...
        let (mut related_address, mut related_port) = (None, None);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                b"raddr" => related_address = SdpAddress::parse(value).ip(),
                b"rport" => related_port = number(value),
                _ => {}
            }
        }
        let related = related_address.zip(related_port);
        Some(Self { foundation, component, transport, priority, address, port, kind, related })
    }
}

impl<'a> T38<'a> {
    pub(super) fn collect(attributes: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut t38 = Self::default();
        for (name, value) in attributes {
            let (value, _) = split_word(value);
            match name {
                b"T38FaxVersion" => t38.version = number(value),
                b"T38MaxBitRate" => t38.max_bit_rate = number(value),
                b"T38FaxMaxDatagram" => t38.max_datagram = number(value),
                b"T38FaxRateManagement" => t38.rate_management = Some(value),
                b"T38FaxUdpEC" => t38.udp_ec = Some(value),
                _ => {}
            }
        }
        t38
    }
}
