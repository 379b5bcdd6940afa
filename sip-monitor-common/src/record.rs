//! The records of the two rings.
//!
//! A record of the signalling ring, and an RTCP record of the media ring, is a [`RecordHeader`] followed by `len` bytes
//! of the packet, counted from its IP header. A stream report is one [`StreamRecord`], which is also the map's value.

use crate::{ip::Address, stream::StreamState};

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Direction {
    /// Ingress.
    In = 0,
    /// Egress.
    Out = 1,
    /// Through this host, or seen on a mirror port. The kernel programs never say so; replay and the daemon do.
    Transit = 2,
}

impl Direction {
    /// From its number in a record.
    #[must_use]
    pub const fn from_number(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::In),
            1 => Some(Self::Out),
            2 => Some(Self::Transit),
            _ => None,
        }
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A UDP datagram that is SIP by its port or by its first bytes.
    Sip = 1,
    /// A TCP segment of a SIP port.
    SipTcp = 2,
    /// A fragment of a UDP datagram.
    Fragment = 3,
    /// An ICMP or ICMPv6 error.
    Icmp = 4,
    /// A UDP datagram that is RTCP.
    Rtcp = 5,
    /// A [`StreamRecord`].
    Stream = 6,
    /// A [`crate::drops::DropRecord`].
    Drop = 7,
}

impl Kind {
    /// From its number in a record.
    #[must_use]
    pub const fn from_number(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Sip),
            2 => Some(Self::SipTcp),
            3 => Some(Self::Fragment),
            4 => Some(Self::Icmp),
            5 => Some(Self::Rtcp),
            6 => Some(Self::Stream),
            7 => Some(Self::Drop),
            _ => None,
        }
    }
}

/// First bytes of every record.
///
/// Layout: 40 bytes, align 8, no padding. Host byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RecordHeader {
    /// Kernel clock at the hook, nanoseconds since boot. In replay: since the Unix epoch.
    pub ktime_ns: u64,
    /// Interface index.
    pub ifindex: u32,
    /// The CPU that saw it. With `ktime_ns` it ties the parts of one packet together.
    pub cpu: u32,
    /// Bytes of the whole packet from the IP header on.
    pub total: u32,
    /// Where in those bytes this part begins.
    pub offset: u32,
    /// Bytes of this part, which follow the header.
    pub len: u32,
    /// Payload bytes of each datagram in a UDP GSO super-packet; 0 for an ordinary packet.
    pub gso_size: u16,
    /// The inner VLAN identifier, 0 for none.
    pub vlan: u16,
    /// [`Kind`] as a number.
    pub kind: u8,
    /// [`Direction`] as a number.
    pub direction: u8,
    /// Zero.
    pub reserved: [u8; 6],
}
const _: () = assert!(size_of::<RecordHeader>() == 40);

/// Key of the map `STREAMS`: one SSRC in one direction of one flow on one interface.
///
/// Layout: 48 bytes, align 4, no padding. Addresses in network byte order, ports and SSRC in host byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StreamKey {
    /// Source address.
    pub src: Address,
    /// Destination address.
    pub dst: Address,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Interface index: a bridge and its port both see a packet, and each counts it once.
    pub ifindex: u32,
    /// [`Direction`] as a number, 32 bits wide so that the key has no padding.
    pub direction: u32,
}
const _: () = assert!(size_of::<StreamKey>() == 48);

/// Value of the map `STREAMS` and, as it stands, the report of a stream.
///
/// Layout: header, key, state, no padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamRecord {
    /// As in every record; `len` covers what follows the header.
    pub header: RecordHeader,
    /// Which stream.
    pub key: StreamKey,
    /// What was counted.
    pub state: StreamState,
}
const _: () = assert!(size_of::<StreamRecord>() == 40 + 48 + size_of::<StreamState>());
