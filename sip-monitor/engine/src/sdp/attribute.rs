//! Values of `a=` lines.

use core::net::IpAddr;

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
