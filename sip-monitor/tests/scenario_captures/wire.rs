//! From a ladder to the frames of a capture: whole packets from Ethernet up, RTP as the packets behind the counters.

use std::net::{IpAddr, SocketAddr};

use sip_monitor_engine::packet::{Body, Incomplete, Missing, Packet};

use crate::fixtures::container::{Link, pcap};
use crate::fixtures::ip::{Ip, Place, TcpBegin, fragment, fragments, udp_header};
use crate::fixtures::{self};
use crate::ladder::{BASE, Scenario, Script, rtp_datagrams};

/// What Ethernet carries in one frame.
const MTU: usize = 1_500;
/// As much of a datagram as its first fragment carries then.
const FIRST_FRAGMENT_BYTES: usize = 1_480;
/// So many bytes of a datagram that is cut were on the wire and are not in the file.
const CUT_OFF_BYTES: usize = 400;
/// A ladder tells an incomplete datagram when it is given up, so long after its first fragment.
const GIVEN_UP_AFTER_NS: i64 = 5_000_000_000;

/// The capture that shows a scenario, as the host of its `local` addresses would take it.
///
/// It begins and ends with a query for the time: a capture of everything, not of calls alone, so that missing media is
/// missing; and it lasts as long as the scenario.
pub fn capture(scenario: &Scenario, script: &Script) -> Vec<u8> {
    let mut frames: Vec<(i64, Vec<u8>)> = Vec::new();
    let host = local(scenario);
    frames.push((0, time_query(host)));
    for event in &script.events {
        let packet = event.packet();
        match packet.body {
            Body::Incomplete(part) => {
                let at_ns = event.at_ns - GIVEN_UP_AFTER_NS;
                frames.extend(incomplete(&packet, part).into_iter().map(|l3| (at_ns, l3)));
            }
            Body::Stream(_) => {}
            _ => frames.extend(whole(&packet).into_iter().map(|l3| (event.at_ns, l3))),
        }
    }
    for (stream, (key, packets)) in script.media.iter().enumerate() {
        for (n, datagram) in rtp_datagrams(key.ssrc, packets).into_iter().enumerate() {
            let id = (stream as u16).wrapping_mul(1_009).wrapping_add(n as u16);
            let ip = Ip { id, ttl: datagram.ttl, dscp: datagram.dscp };
            frames.push((datagram.at_ns, ip.udp(key.src, key.dst, &datagram.bytes)));
        }
    }
    frames.push((script.last_ns(), time_query(host)));
    frames.sort_by_key(|(at_ns, _)| *at_ns);
    assert_eq!(BASE.unix_ns(), fixtures::BEGIN_S as i64 * 1_000_000_000, "both count from the same instant");
    let packets: Vec<fixtures::Packet> =
        frames.into_iter().map(|(at_ns, l3)| fixtures::Packet { at_us: at_ns.unsigned_abs() / 1_000, l3 }).collect();
    pcap(&packets, Link::Ethernet(0))
}

/// An address of the host that the capture is taken on; one that nobody has where it is taken elsewhere.
pub fn local(scenario: &Scenario) -> IpAddr {
    scenario.hosts.local().first().copied().unwrap_or(IpAddr::from([192, 0, 2, 251]))
}

/// NTP (RFC 5905 7.3): a client's packet, neither SIP nor RTP.
fn time_query(host: IpAddr) -> Vec<u8> {
    let server = if host.is_ipv4() { "192.0.2.123:123" } else { "[2001:db8:ffff::123]:123" };
    let payload = [&[0x23, 0, 6, 0xec][..], &[0; 44]].concat();
    Ip { id: 0xfffe, ttl: 64, dscp: 0 }.udp(SocketAddr::new(host, 123), server.parse().unwrap(), &payload)
}

/// The packets of what came whole: more than one where it does not fit into a frame.
fn whole(packet: &Packet<'_>) -> Vec<Vec<u8>> {
    let (ip, src, dst) = (header(packet), packet.src, packet.dst);
    match packet.body {
        Body::Udp(bytes) | Body::Rtcp(bytes) => fragments(&ip.udp(src, dst, bytes), MTU),
        Body::Cut(bytes) => {
            let mut packet = ip.udp(src, dst, &[bytes, &[b'x'; CUT_OFF_BYTES]].concat());
            packet.truncate(packet.len() - CUT_OFF_BYTES);
            vec![packet]
        }
        Body::Tcp(segment) => {
            let begin = TcpBegin { seq: segment.seq, ack: segment.ack, flags: segment.flags, window: segment.window };
            vec![ip.tcp(src, dst, begin, segment.payload)]
        }
        Body::Icmp(error) => {
            let quoted = Ip { id: 0x4000, ttl: 50, dscp: 0 };
            let begin = TcpBegin { seq: 1, ack: 0, flags: 2, window: 64_000 };
            let about = match error.protocol {
                6 => quoted.tcp(error.quoted_src, error.quoted_dst, begin, &[]),
                _ => quoted.udp(error.quoted_src, error.quoted_dst, &[]),
            };
            vec![ip.icmp_error(src.ip(), dst.ip(), [error.icmp_type, error.icmp_code], &about)]
        }
        Body::Incomplete(_) | Body::Drop(_) | Body::Stream(_) | Body::CaptureLoss(_) => {
            unreachable!("not a packet, or several")
        }
    }
}

fn header(packet: &Packet<'_>) -> Ip {
    Ip { id: packet.ip_id as u16, ttl: packet.ttl, dscp: packet.dscp }
}

/// The fragments that came of a datagram.
fn incomplete(packet: &Packet<'_>, part: Incomplete<'_>) -> Vec<Vec<u8>> {
    let total = part.total.unwrap_or(part.held + FIRST_FRAGMENT_BYTES);
    let mut datagram = udp_header(packet.src.port(), packet.dst.port(), total - 8);
    datagram.extend(part.head);
    datagram.extend(b"X-Pad: ");
    datagram.resize(total, b'x');
    let around = header(packet).packet(packet.src.ip(), packet.dst.ip(), 17, &[]);
    let piece = |from: usize, to: usize| {
        let place = Place { offset: from, more: to < total };
        fragment(&around, place, &datagram[from..to])
    };
    match part.missing {
        Missing::First => vec![piece(total - part.held, total)],
        Missing::Middle => {
            vec![piece(0, FIRST_FRAGMENT_BYTES), piece(total - (part.held - FIRST_FRAGMENT_BYTES), total)]
        }
        Missing::Last => vec![piece(0, part.held)],
    }
}
