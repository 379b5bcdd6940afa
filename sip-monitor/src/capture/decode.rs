//! Turns Records into Packets: parts become whole, fragments become datagrams, super-packets become their datagrams,
//! ICMP errors give up what they quote, kernel time becomes real time.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sip_monitor_common::{
    Address, Class, Counter, Direction as Way, Fragment, IpHeader, Kind, PacketView, PortSet, RecordHeader,
    classify::{self, Seen, UDP_HEADER_BYTES},
    drops::{DropRecord, DroppedKind},
    icmp, ip,
    limits::{MAX_PARTS, PART_BYTES},
    rtp::RtpHeader,
    tunnel,
};
use sip_monitor_engine::{
    Timestamp,
    packet::{
        Body, CaptureLoss, Direction, DroppedSegment, DroppedTraffic, IcmpError, IcmpKind, Incomplete, KernelDrop,
        Missing, Packet, TcpSegment,
    },
};

use super::{
    checksum,
    drops::LossReason,
    fragment::{FragmentKey, Reassembler, Remains},
    owners::Owners,
    record::{Record, RecordView},
    stream::stream_counters,
};

/// Settings of a [`Decoder`].
#[derive(Clone, Debug)]
pub struct DecoderConfig {
    /// The same ports as the programs have.
    pub sip_ports: Vec<u16>,
    /// Fragmented datagrams held at a time.
    pub max_fragmented: usize,
    /// Addresses of this host. With them, what only passes through becomes `Transit`; without, the hook decides.
    pub local: Vec<IpAddr>,
    /// Seed of the hash tables.
    pub seed: u64,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self { sip_ports: vec![5060], max_fragmented: 256, local: Vec::new(), seed: 0x5e1f }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Decoder {
    ports: Box<PortSet>,
    local: Vec<IpAddr>,
    fragments: Reassembler,
    owners: Owners,
    /// Packets of which parts are missing, one a CPU at most.
    parts: Vec<Parts>,
    clock_offset_ns: i64,
    last: Timestamp,
    /// Interface indices and their places in the list of names; empty in replay, where they are the same.
    links: Vec<(u32, u16)>,
    drop_reasons: Vec<(u32, LossReason)>,
    undecodable: u64,
    told: CaptureLoss,
    /// Time of the first record.
    began_ns: u64,
}

/// So long after the first record, what came before it no longer matters.
const BEGIN_NS: u64 = 1_000_000_000;

#[derive(Debug)]
struct Parts {
    header: RecordHeader,
    bytes: Vec<u8>,
}

/// What all packets cut from one record share.
#[derive(Clone, Copy)]
struct Origin {
    time: Timestamp,
    link: u16,
    way: Way,
}

type Sink<'s> = &'s mut dyn FnMut(&Packet<'_>);

impl Decoder {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(config: DecoderConfig) -> Self {
        Self {
            ports: Box::new(config.sip_ports.iter().copied().collect()),
            local: config.local,
            fragments: Reassembler::new(config.max_fragmented, config.seed),
            owners: Owners::new(config.seed),
            parts: Vec::new(),
            clock_offset_ns: 0,
            last: Timestamp::from_unix_ns(i64::MIN),
            links: Vec::new(),
            drop_reasons: Vec::new(),
            undecodable: 0,
            told: CaptureLoss::default(),
            began_ns: u64::MAX,
        }
    }

    /// What to add to a record's time to have nanoseconds since the Unix epoch. 0 in replay.
    pub fn set_clock_offset(&mut self, offset_ns: i64) {
        self.clock_offset_ns = offset_ns;
    }

    /// Addresses of this host, as they are now.
    pub fn set_local(&mut self, local: Vec<IpAddr>) {
        self.local = local;
    }

    /// Which place in the list of names an interface index has.
    pub fn set_links(&mut self, links: Vec<(u32, u16)>) {
        self.links = links;
    }

    /// Takes one record and hands on the packets that are whole with it, none or several.
    pub fn handle_record(&mut self, record: &Record, sink: Sink<'_>) {
        self.handle_view(record.view(), sink);
    }

    /// As [`Decoder::handle_record`], for a record that stands in a ring.
    pub fn handle_view(&mut self, record: RecordView<'_>, sink: Sink<'_>) {
        let ktime_ns = match &record {
            RecordView::Stream(record) => record.header.ktime_ns,
            RecordView::Drop(record) => record.header.ktime_ns,
            RecordView::Bytes { header, .. } => header.ktime_ns,
        };
        self.began_ns = self.began_ns.min(ktime_ns);
        match record {
            RecordView::Stream(record) => {
                let Some(way) = Way::from_number(record.header.direction) else { return self.undecodable += 1 };
                let origin = self.origin(&record.header, way);
                let (src, dst) = (address(record.key.src), address(record.key.dst));
                let direction = self.direction(way, src, dst);
                let counters = stream_counters(record, direction, |ktime_ns| self.real_time(ktime_ns));
                if !self.owners.admits(counters.key, record.key.ifindex, record.header.ktime_ns) {
                    return;
                }
                sink(&Packet {
                    time: origin.time,
                    link: origin.link,
                    direction,
                    src: counters.key.src,
                    dst: counters.key.dst,
                    ip_id: 0,
                    ttl: counters.ttl_max,
                    dscp: counters.dscp,
                    body: Body::Stream(&counters),
                });
            }
            RecordView::Drop(record) => self.handle_drops(record, sink),
            RecordView::Bytes { header, bytes } if header.len == header.total => {
                self.handle_packet(&header, bytes, sink)
            }
            RecordView::Bytes { header, bytes } => {
                if let Some(whole) = self.handle_part(&header, bytes) {
                    self.handle_packet(&header, &whole, sink);
                }
            }
        }
    }

    /// The kernel's drop reasons: their numbers are its own.
    pub fn set_drop_reasons(&mut self, reasons: Vec<(u32, LossReason)>) {
        self.drop_reasons = reasons;
    }

    fn handle_drops(&mut self, record: &DropRecord, sink: Sink<'_>) {
        let known = self.drop_reasons.iter().find(|(number, _)| *number == u32::from(record.key.reason));
        let (Some((_, reason)), Some(kind)) = (known.copied(), DroppedKind::from_number(record.key.kind)) else {
            return self.undecodable += 1;
        };
        let origin = self.origin(&record.header, Way::In);
        let (src, dst) = (address(record.key.src), address(record.key.dst));
        // Whether it was on its way in or out the addresses tell; a device is not always known any more.
        let direction = match (self.local.contains(&src), self.local.contains(&dst)) {
            (_, true) => Direction::In,
            (true, false) => Direction::Out,
            (false, false) => Direction::Transit,
        };
        let sip = if self.ports.contains(record.key.dst_port) {
            DroppedTraffic::ToSipPort
        } else {
            DroppedTraffic::FromSipPort
        };
        let (traffic, segment) = match kind {
            DroppedKind::Sip => (sip, None),
            DroppedKind::TcpSyn => (sip, Some(DroppedSegment::Syn)),
            DroppedKind::TcpSynAck => (sip, Some(DroppedSegment::SynAck)),
            DroppedKind::TcpData => (sip, Some(DroppedSegment::Data)),
            DroppedKind::TcpAck => (sip, Some(DroppedSegment::Ack)),
            DroppedKind::Rtp => (DroppedTraffic::Media, None),
            DroppedKind::Rtcp => (DroppedTraffic::Rtcp, None),
        };
        sink(&Packet {
            time: origin.time,
            link: origin.link,
            direction,
            src: SocketAddr::new(src, record.key.src_port),
            dst: SocketAddr::new(dst, record.key.dst_port),
            ip_id: 0,
            ttl: 0,
            dscp: 0,
            body: Body::Drop(KernelDrop {
                reason: reason.reason,
                name: reason.name,
                traffic,
                segment,
                count: record.count,
                first_at: self.real_time(record.first_ns),
                last_at: self.real_time(record.last_ns),
            }),
        });
    }

    /// Hands on what was seen of datagrams that did not become whole in time. Call about once a second.
    pub fn expire(&mut self, ktime_ns: u64, sink: Sink<'_>) {
        self.owners.expire(ktime_ns);
        for remains in self.fragments.expire(ktime_ns) {
            self.hand_on_remains(ktime_ns, &remains, sink);
        }
    }

    fn hand_on_remains(&mut self, ktime_ns: u64, remains: &Remains, sink: Sink<'_>) {
        let FragmentKey { src, dst, id, ifindex, direction } = remains.key;
        let Some(way) = Way::from_number(direction) else { return };
        let missing = match (remains.head.len(), remains.total) {
            (0..=UDP_HEADER_BYTES, _) => Missing::First,
            (_, None) => Missing::Last,
            (_, Some(_)) => Missing::Middle,
        };
        // Where the capture began in the middle of a datagram, nothing was lost.
        if missing == Missing::First && remains.since_ns < self.began_ns.saturating_add(BEGIN_NS) {
            return;
        }
        let ports = if missing == Missing::First { 0 } else { remains.head[..].be32(0).unwrap_or(0) };
        let (src_port, dst_port) = ((ports >> 16) as u16, ports as u16);
        let head = remains.head.get(UDP_HEADER_BYTES..).unwrap_or_default();
        let udp = Seen { src_port, dst_port, ..Seen::default() };
        if missing != Missing::First && !matches!(self.classify(&udp, head), Ok(Class::Sip)) {
            return;
        }
        let header = RecordHeader { ktime_ns, ifindex, ..RecordHeader::default() };
        let origin = self.origin(&header, way);
        let ip = IpHeader { src, dst, id, ttl: remains.ttl, dscp: remains.dscp, ..IpHeader::default() };
        let incomplete = Incomplete {
            head,
            since: self.real_time(remains.since_ns),
            held: remains.held,
            total: remains.total,
            missing,
        };
        sink(&self.packet(origin, &ip, src_port, dst_port, Body::Incomplete(incomplete)));
    }

    /// What the decoder itself gave up since the last call.
    pub fn take_loss(&mut self) -> CaptureLoss {
        let total = CaptureLoss {
            fragments_evicted: self.fragments.given_up(),
            unreadable: self.undecodable,
            ..CaptureLoss::default()
        };
        let delta = CaptureLoss {
            fragments_evicted: total.fragments_evicted - self.told.fragments_evicted,
            unreadable: total.unreadable - self.told.unreadable,
            ..CaptureLoss::default()
        };
        self.told = total;
        delta
    }

    /// A record's time as the time of day.
    #[must_use]
    pub fn real_time(&self, ktime_ns: u64) -> Timestamp {
        Timestamp::from_unix_ns(ktime_ns.cast_signed().saturating_add(self.clock_offset_ns))
    }

    /// The real time of `ktime_ns`, or of the last packet where that is later: time never goes back.
    pub fn advance(&mut self, ktime_ns: u64) -> Timestamp {
        // The offset is sampled again and again; a step of it must not turn time back.
        self.last = self.last.max(self.real_time(ktime_ns));
        self.last
    }

    fn origin(&mut self, header: &RecordHeader, way: Way) -> Origin {
        let time = self.advance(header.ktime_ns);
        let link = match self.links.iter().find(|(index, _)| *index == header.ifindex) {
            Some((_, link)) => *link,
            None => u16::try_from(header.ifindex).unwrap_or(u16::MAX),
        };
        Origin { time, link, way }
    }

    /// Collects the parts of a long packet, which come from one CPU in order.
    fn handle_part(&mut self, header: &RecordHeader, bytes: &[u8]) -> Option<Vec<u8>> {
        let same = |p: &Parts| p.header.cpu == header.cpu && p.header.kind == header.kind;
        if header.offset == 0 {
            // What this CPU left unfinished will not be finished: the ring had no room for the rest, which is counted there.
            self.parts.retain(|p| !same(p));
            let mut all = Vec::with_capacity((header.total as usize).min(MAX_PARTS as usize * PART_BYTES));
            all.extend_from_slice(bytes);
            self.parts.push(Parts { header: *header, bytes: all });
            return None;
        }
        let at = self.parts.iter().position(|p| {
            same(p)
                && p.header.ktime_ns == header.ktime_ns
                && p.bytes.len() == header.offset as usize
                && p.header.total == header.total
        })?;
        let parts = self.parts.get_mut(at)?;
        parts.bytes.extend_from_slice(bytes);
        if parts.bytes.len() < header.total as usize {
            return None;
        }
        Some(self.parts.swap_remove(at).bytes)
    }

    fn handle_packet(&mut self, header: &RecordHeader, bytes: &[u8], sink: Sink<'_>) {
        let (Some(kind), Some(way), Ok(ip)) =
            (Kind::from_number(header.kind), Way::from_number(header.direction), ip::parse(bytes, 0))
        else {
            return self.undecodable += 1;
        };
        let origin = self.origin(header, way);
        let done = match kind {
            Kind::Sip | Kind::Rtcp => self.handle_udp(origin, &ip, bytes, usize::from(header.gso_size), sink),
            Kind::SipTcp => self.handle_tcp(origin, &ip, bytes, sink),
            Kind::Icmp => self.handle_icmp(origin, &ip, bytes, sink),
            Kind::Fragment => self.handle_fragment(header, origin, &ip, bytes, sink),
            Kind::Stream | Kind::Drop => Err(Counter::IgnoredMalformed),
        };
        if done.is_err() {
            self.undecodable += 1;
        }
    }

    fn handle_udp(
        &self,
        origin: Origin,
        ip: &IpHeader,
        bytes: &[u8],
        gso_size: usize,
        sink: Sink<'_>,
    ) -> Result<(), Counter> {
        let udp = udp(bytes, ip, gso_size)?;
        let end = (udp.payload_offset + udp.payload_len).min(bytes.len());
        let payload = bytes.get(udp.payload_offset..end).ok_or(Counter::IgnoredTruncated)?;
        if gso_size == 0 {
            self.handle_datagram(origin, &udp, payload, payload.len() < udp.payload_len, sink);
        } else {
            for datagram in payload.chunks(gso_size) {
                self.handle_datagram(origin, &udp, datagram, false, sink);
            }
        }
        Ok(())
    }

    /// `cut`: the capture file kept only this much of it.
    fn handle_datagram(&self, origin: Origin, udp: &Seen, payload: &[u8], cut: bool, sink: Sink<'_>) {
        let body = match self.classify(udp, payload) {
            Ok(Class::Sip) if cut => Body::Cut(payload),
            Ok(Class::Sip) => Body::Udp(payload),
            Ok(Class::Rtcp) => Body::Rtcp(payload),
            // RTP in a super-packet that also holds SIP or RTCP has been counted in the kernel.
            Ok(Class::Rtp | Class::SipTcp | Class::Fragment | Class::Icmp) | Err(_) => return,
        };
        sink(&self.packet(origin, &udp.ip, udp.src_port, udp.dst_port, body));
    }

    fn classify(&self, udp: &Seen, payload: &[u8]) -> Result<Class, Counter> {
        let is_sip_port = |port| self.ports.contains(port);
        classify::classify_datagram(
            payload,
            0,
            payload.len(),
            udp.src_port,
            udp.dst_port,
            is_sip_port,
            &mut RtpHeader::default(),
        )
    }

    fn handle_tcp(&self, origin: Origin, ip: &IpHeader, bytes: &[u8], sink: Sink<'_>) -> Result<(), Counter> {
        let at = ip.transport_offset;
        let ports = bytes.be32(at)?;
        let offset_flags = bytes.be16(at + 12)?;
        let header_len = usize::from(offset_flags >> 12) * 4;
        let end = (at + ip.transport_len).min(bytes.len());
        if end < at + ip.transport_len {
            let cut = CaptureLoss { cut: 1, ..CaptureLoss::default() };
            sink(&self.packet(origin, ip, (ports >> 16) as u16, ports as u16, Body::CaptureLoss(cut)));
        }
        let segment = TcpSegment {
            seq: bytes.be32(at + 4)?,
            ack: bytes.be32(at + 8)?,
            flags: offset_flags as u8,
            window: bytes.be16(at + 14)?,
            payload: bytes.get(at + header_len..end).ok_or(Counter::IgnoredTruncated)?,
        };
        sink(&self.packet(origin, ip, (ports >> 16) as u16, ports as u16, Body::Tcp(segment)));
        Ok(())
    }

    fn handle_icmp(&self, origin: Origin, ip: &IpHeader, bytes: &[u8], sink: Sink<'_>) -> Result<(), Counter> {
        let mut quote = icmp::Quote::default();
        icmp::parse_into(bytes, ip, &mut quote)?;
        let error = IcmpError {
            kind: icmp_kind(ip.protocol, quote.icmp_type, quote.icmp_code),
            icmp_type: quote.icmp_type,
            icmp_code: quote.icmp_code,
            protocol: quote.ip.protocol,
            quoted_src: SocketAddr::new(address(quote.ip.src), quote.src_port),
            quoted_dst: SocketAddr::new(address(quote.ip.dst), quote.dst_port),
        };
        sink(&self.packet(origin, ip, 0, 0, Body::Icmp(error)));
        Ok(())
    }

    fn handle_fragment(
        &mut self,
        header: &RecordHeader,
        origin: Origin,
        ip: &IpHeader,
        bytes: &[u8],
        sink: Sink<'_>,
    ) -> Result<(), Counter> {
        if !checksum::holds(bytes) {
            return Err(Counter::IgnoredMalformed);
        }
        let end = (ip.transport_offset + ip.transport_len).min(bytes.len());
        let piece = bytes.get(ip.transport_offset..end).ok_or(Counter::IgnoredTruncated)?;
        let key =
            FragmentKey { src: ip.src, dst: ip.dst, id: ip.id, ifindex: header.ifindex, direction: header.direction };
        let Some(datagram) = self.fragments.handle_fragment(header.ktime_ns, key, ip, piece) else { return Ok(()) };
        // As if the datagram had come whole, in one packet of its own.
        let whole = IpHeader {
            ttl: datagram.ttl,
            dscp: datagram.dscp,
            fragment: Fragment::No,
            transport_offset: 0,
            transport_len: datagram.bytes.len(),
            total: datagram.bytes.len(),
            ..*ip
        };
        let carried = tunnel::carried(&datagram.bytes, &whole);
        if carried != 0 {
            return self.handle_carried(header, datagram.bytes.get(carried..).unwrap_or_default(), sink);
        }
        let udp = udp(&datagram.bytes, &whole, 0)?;
        let payload = datagram
            .bytes
            .get(UDP_HEADER_BYTES..UDP_HEADER_BYTES + udp.payload_len)
            .ok_or(Counter::IgnoredTruncated)?;
        self.handle_datagram(origin, &udp, payload, datagram.cut, sink);
        Ok(())
    }

    /// A packet out of a tunnel whose datagrams were fragmented: what the kernel would have found in an unfragmented one.
    fn handle_carried(&mut self, header: &RecordHeader, bytes: &[u8], sink: Sink<'_>) -> Result<(), Counter> {
        let seen = classify::classify(bytes, 0, 0, |port| self.ports.contains(port))?;
        let kind = match seen.class {
            Class::Sip => Kind::Sip,
            Class::SipTcp => Kind::SipTcp,
            Class::Fragment => Kind::Fragment,
            Class::Rtcp => Kind::Rtcp,
            Class::Icmp => Kind::Icmp,
            // Media is counted before it comes here, and none of it is so long.
            Class::Rtp => return Ok(()),
        };
        let header = RecordHeader { kind: kind as u8, gso_size: 0, ..*header };
        self.handle_packet(&header, bytes.get(seen.ip_offset..).unwrap_or_default(), sink);
        Ok(())
    }

    fn packet<'p>(&self, origin: Origin, ip: &IpHeader, src_port: u16, dst_port: u16, body: Body<'p>) -> Packet<'p> {
        let (src, dst) = (address(ip.src), address(ip.dst));
        Packet {
            time: origin.time,
            link: origin.link,
            direction: self.direction(origin.way, src, dst),
            src: SocketAddr::new(src, src_port),
            dst: SocketAddr::new(dst, dst_port),
            ip_id: ip.id,
            ttl: ip.ttl,
            dscp: ip.dscp,
            body,
        }
    }

    /// The hook says which way a packet passed the interface; whether this host is an end of it, its addresses say.
    fn direction(&self, way: Way, src: IpAddr, dst: IpAddr) -> Direction {
        let foreign = |a: IpAddr| !self.local.is_empty() && !self.local.contains(&a) && !is_group(a);
        match way {
            Way::In if foreign(dst) => Direction::Transit,
            Way::Out if foreign(src) => Direction::Transit,
            Way::In => Direction::In,
            Way::Out => Direction::Out,
            Way::Transit => Direction::Transit,
        }
    }
}

fn udp(bytes: &[u8], ip: &IpHeader, gso_size: usize) -> Result<Seen, Counter> {
    let mut seen = Seen { ip: *ip, ..Seen::default() };
    classify::udp_payload(bytes, gso_size, &mut seen).map(|()| seen)
}

fn is_group(a: IpAddr) -> bool {
    a.is_multicast() || a == IpAddr::from([255; 4])
}

/// The address of a record as people write it.
#[must_use]
pub fn address(a: Address) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(a.octets())).to_canonical()
}

/// RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1; RFC 4443 3.
fn icmp_kind(protocol: u8, icmp_type: u8, icmp_code: u8) -> IcmpKind {
    if protocol == ip::PROTOCOL_ICMPV6 {
        return match (icmp_type, icmp_code) {
            (1, 4) => IcmpKind::PortUnreachable,
            (1, 0) => IcmpKind::NetUnreachable,
            (1, 1 | 5 | 6) => IcmpKind::Prohibited,
            (1, 2 | 3) => IcmpKind::HostUnreachable,
            (2, _) => IcmpKind::TooBig,
            (3, _) => IcmpKind::TimeExceeded,
            _ => IcmpKind::Other,
        };
    }
    match (icmp_type, icmp_code) {
        (3, 3) => IcmpKind::PortUnreachable,
        (3, 4) => IcmpKind::TooBig,
        (3, 0 | 6 | 11) => IcmpKind::NetUnreachable,
        (3, 1 | 5 | 7 | 8 | 12) => IcmpKind::HostUnreachable,
        (3, 9 | 10 | 13) => IcmpKind::Prohibited,
        (11, _) => IcmpKind::TimeExceeded,
        _ => IcmpKind::Other,
    }
}
