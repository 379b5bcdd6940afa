//! What capture hands to the engine: a packet, already stripped to its transport payload, and what the kernel counted.
//! Live capture and replay fork only before this point. Nothing here is parsed SIP or RTP.

use core::net::{IpAddr, SocketAddr};

use crate::time::Timestamp;

/// Which way a packet went, as seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Its destination is this host (XDP or tc ingress; replay: the destination is a local address).
    In,
    /// Its source is this host (tc egress; replay: the source is a local address).
    Out,
    /// Neither end is this host: a mirror port, or a capture taken elsewhere.
    Transit,
}

impl Direction {
    /// The way of what is sent back.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
            Self::Transit => Self::Transit,
        }
    }
}

/// One packet, or one report of the kernel about many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet<'a> {
    /// When it passed the hook.
    pub time: Timestamp,
    /// The interface it was seen on: an index into the capture's own list of names.
    pub link: u16,
    /// Which way it went.
    pub direction: Direction,
    /// Source address and port. The port is 0 for ICMP.
    pub src: SocketAddr,
    /// Destination address and port. The port is 0 for ICMP.
    pub dst: SocketAddr,
    /// IPv4 identification, or the IPv6 fragment identification (0 where there is none). Tells a retransmission (a new
    /// id) from the same packet captured twice (the same id).
    pub ip_id: u32,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point (6 bits).
    pub dscp: u8,
    /// What it carries.
    pub body: Body<'a>,
}

/// What a [`Packet`] carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body<'a> {
    /// A whole UDP payload that is SIP by its port or by its first bytes, reassembled where it was fragmented.
    Udp(&'a [u8]),
    /// The beginning of such a payload, of which the capture file kept no more. Its receiver had all of it.
    Cut(&'a [u8]),
    /// A TCP segment to or from a SIP port.
    Tcp(TcpSegment<'a>),
    /// A whole RTCP compound (RFC 3550 6.1), also reduced size (RFC 5506).
    Rtcp(&'a [u8]),
    /// An ICMP or ICMPv6 error that quotes a UDP or TCP flow.
    Icmp(IcmpError),
    /// A fragmented datagram that never became whole. The ports of the packet are 0 where its beginning is missing.
    Incomplete(Incomplete<'a>),
    /// Packets of one flow that this host's kernel dropped: SIP, RTP or RTCP.
    Drop(KernelDrop),
    /// The counters of one RTP stream up to `time`.
    Stream(&'a StreamCounters),
    /// The monitor itself lost packets since the last such report.
    CaptureLoss(CaptureLoss),
}

/// What was seen of a fragmented datagram within the time in which it should have become whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incomplete<'a> {
    /// Its UDP payload from the beginning on as far as it was seen without a gap; empty where the beginning is missing.
    pub head: &'a [u8],
    /// When its first fragment came.
    pub since: Timestamp,
    /// Bytes of the datagram that were seen.
    pub held: usize,
    /// How long it is, where its end was seen.
    pub total: Option<usize>,
    /// Which part was not seen.
    pub missing: Missing,
}

/// The part of a datagram that was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Missing {
    /// The first fragment, which names the ports.
    First,
    /// One between the first and the last.
    Middle,
    /// The last.
    Last,
}

/// A TCP segment as it was seen; reassembly is the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// Sequence number of the first payload byte.
    pub seq: u32,
    /// Acknowledgement number; meaningful with the ACK flag.
    pub ack: u32,
    /// The flags byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// The window as it stands in the header, unscaled.
    pub window: u16,
    /// The payload, possibly empty.
    pub payload: &'a [u8],
}

/// An ICMP error (RFC 792, RFC 4443) and the flow of the packet it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What the error says.
    pub kind: IcmpKind,
    /// Type as on the wire.
    pub icmp_type: u8,
    /// Code as on the wire.
    pub icmp_code: u8,
    /// 17 for UDP, 6 for TCP.
    pub protocol: u8,
    /// Source of the quoted packet: the host whose packet did not arrive.
    pub quoted_src: SocketAddr,
    /// Destination of the quoted packet.
    pub quoted_dst: SocketAddr,
}

/// The meaning of an ICMP error, the same for both IP versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IcmpKind {
    /// Nobody listens on the port.
    PortUnreachable,
    /// The host or its address is not reachable.
    HostUnreachable,
    /// No route to the network.
    NetUnreachable,
    /// A firewall refused it: administratively prohibited, or rejected by policy.
    Prohibited,
    /// TTL or hop limit used up on the way.
    TimeExceeded,
    /// Fragmentation needed / packet too big.
    TooBig,
    /// Any other error.
    Other,
}

/// Packets of one flow that this host's kernel dropped for one reason: a run of them, with no pause of 5 s. A later report
/// of the run replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelDrop {
    /// Why, as far as it makes a difference here.
    pub reason: DropReason,
    /// The kernel's own name of it, such as `NETFILTER_DROP`.
    pub name: &'static str,
    /// What they carried, as far as their ports and first bytes tell.
    pub traffic: DroppedTraffic,
    /// Which segments of TCP they were; `None` for datagrams.
    pub segment: Option<DroppedSegment>,
    /// Packets in the run.
    pub count: u64,
    /// First of them.
    pub first_at: Timestamp,
    /// Last of them.
    pub last_at: Timestamp,
}

/// What dropped packets carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DroppedTraffic {
    /// They went to a SIP port.
    ToSipPort,
    /// They came from a SIP port, and went to another: to a client's.
    FromSipPort,
    /// RTP.
    Media,
    /// RTCP.
    Rtcp,
}

/// What dropped segments of TCP were for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DroppedSegment {
    /// They ask for a connection.
    Syn,
    /// They accept one.
    SynAck,
    /// They carry bytes.
    Data,
    /// They only acknowledge bytes.
    Ack,
}

/// Why a kernel dropped packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// A rule of nftables or iptables.
    Netfilter,
    /// No process has the port open.
    NoSocket,
    /// The socket's receive buffer is full: its process does not read, or not fast enough.
    SocketReceiveBuffer,
    /// It came by an interface that is not the way back to its source (RFC 3704).
    ReversePathFilter,
    /// The next hop's link-layer address could not be found.
    Neighbour,
    /// A checksum is wrong.
    Checksum,
    /// There is no route to the destination, or none back to the source.
    NoRoute,
    /// A queue within this host is full: of the network card, of a CPU, of a queueing discipline.
    QueueFull,
    /// Any other loss.
    Other,
}

/// Identity of an RTP stream: one SSRC in one direction of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// Source address and port.
    pub src: SocketAddr,
    /// Destination address and port.
    pub dst: SocketAddr,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Which way it goes.
    pub direction: Direction,
}

/// Sampling rates for which interarrival jitter is kept side by side, in hertz. Jitter is not linear in the clock rate,
/// and the rate is often known only later (from SDP), so the counting side keeps one estimate for each and the engine
/// picks: no packet waits for signalling, and nothing flows back from the engine to the kernel.
pub const CLOCK_RATES_HZ: [u32; 6] = [8_000, 16_000, 32_000, 44_100, 48_000, 90_000];

/// Everything counted about one RTP stream since it began. All values are totals: a later report replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamCounters {
    /// Which stream.
    pub key: StreamKey,
    /// First packet.
    pub first_at: Timestamp,
    /// Last packet.
    pub last_at: Timestamp,
    /// Two packets in sequence were seen (RFC 3550 A.1); until then this may be no RTP at all.
    pub in_sequence: bool,
    /// Packets seen, duplicates and late ones included.
    pub packets: u64,
    /// RTP bytes (header and payload) of those packets.
    pub bytes: u64,
    /// Sequence numbers that should have been seen: highest extended - first + 1, over all restarts.
    pub expected: u64,
    /// Sequence numbers never seen.
    pub lost: u64,
    /// Packets that came after one with a higher sequence number (reordered), not lost and not duplicates.
    pub late: u64,
    /// Sequence numbers seen more than once.
    pub duplicates: u64,
    /// Holes in the numbering when they were first seen, each of one or more numbers; late packets may have filled some.
    pub loss_runs: u64,
    /// Jumps of the sequence number by 3,000 or more (RFC 3550 A.1 MAX_DROPOUT): the sender restarted.
    pub restarts: u32,
    /// Longest time between two packets next to each other in time.
    pub gap_max_ns: u64,
    /// Interarrival jitter (RFC 3550 A.8) for each of [`CLOCK_RATES_HZ`].
    pub jitter: [Jitter; CLOCK_RATES_HZ.len()],
    /// RTP timestamp of the first packet that counts for jitter.
    pub first_rtp_timestamp: u32,
    /// RTP timestamp units from the first to the last packet that counts for jitter; with the times of those it tells the clock rate.
    pub rtp_timestamp_units: u64,
    /// Payload type of the last packet.
    pub payload_type: u8,
    /// Payload types seen, bit n of the 128 for type n.
    pub payload_types: [u64; 2],
    /// Lowest TTL or hop limit.
    pub ttl_min: u8,
    /// Highest TTL or hop limit.
    pub ttl_max: u8,
    /// Code point of the last packet.
    pub dscp: u8,
    /// Packets in a row up to now whose payload is the same as that of the one before.
    pub same_payload: u32,
    /// Packets in a row, after the first, with the payload type of the last one; stays at 255.
    pub type_run: u8,
    /// Telephone events (RFC 4733), by their timestamps: dynamic payload types with four bytes.
    pub events: u16,
    /// Those of which a packet with the end bit was seen.
    pub events_ended: u16,
    /// Bytes of payload in the last packet.
    pub payload_bytes: u16,
    /// Sequence number of the last packet.
    pub last_sequence: u16,
}

/// Interarrival jitter over the life of a stream, for one clock rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Jitter {
    /// The running estimate after the last packet.
    pub last_ns: u32,
    /// Its highest value.
    pub max_ns: u32,
    /// Sum of the estimate after each packet; divided by `samples` it is the mean.
    pub sum_ns: u64,
    /// How many values `sum_ns` holds.
    pub samples: u64,
}

/// What the monitor itself lost, by where. Counts since the last report; told before what came after it. All zeros: what was
/// told last may have been lost until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CaptureLoss {
    /// Signalling records that did not fit into their ring.
    pub signalling_ring_full: u64,
    /// Media reports that did not fit into theirs.
    pub media_ring_full: u64,
    /// New streams that the flow map could not take, and streams it evicted.
    pub map_full: u64,
    /// Fragments given up before their datagram was whole.
    pub fragments_evicted: u64,
    /// Bytes the kernel program could not load.
    pub unreadable: u64,
    /// Reports of packets that the kernel dropped. No packet is missed for it; but that it dropped nothing is not known any more.
    pub drop_reports: u64,
    /// Packets that the kernel dropped and that may have been anybody's: their headers could not be read. Some drivers and
    /// offloads make many of them: it weakens verdicts like a lost report, and is not told as a loss.
    pub drops_unread: u64,
    /// TCP segments of which the capture file kept only the beginning. Whoever made the file wanted that: it weakens
    /// verdicts, and is not told as a loss.
    pub cut: u64,
}

impl CaptureLoss {
    /// What the monitor itself is to blame for, all together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.packets() + self.drop_reports
    }

    /// What of that are packets, or counters of packets.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.signalling_ring_full + self.media_ring_full + self.map_full + self.fragments_evicted + self.unreadable
    }
}

/// RFC 1918, 100.64/10, 169.254/16, 127/8, 0/8, fc00::/7, fe80::/10, ::1 and ::. Documentation prefixes count as public.
#[must_use]
pub fn is_private(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => {
            let [x, y, ..] = a.octets();
            a.is_private() || a.is_loopback() || a.is_link_local() || x == 0 || (x == 100 && y & 0xc0 == 64)
        }
        IpAddr::V6(a) => match a.to_ipv4_mapped() {
            Some(v4) => is_private(IpAddr::V4(v4)),
            None => {
                a.is_loopback()
                    || a.is_unspecified()
                    || a.segments()[0] & 0xfe00 == 0xfc00
                    || a.segments()[0] & 0xffc0 == 0xfe80
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_what_the_catalogue_says() {
        for a in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "127.0.0.1",
            "0.0.0.0",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "::1",
            "::",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(a.parse().unwrap()), "{a}");
        }
        for a in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "2001:db8::1",
            "2a00::1",
        ] {
            assert!(!is_private(a.parse().unwrap()), "{a}");
        }
    }
}
