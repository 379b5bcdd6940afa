//! Registrations that stay: a REGISTER and its 200 each, of its own phone, from 250 sites.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_monitor_engine::Timestamp;
use sip_monitor_engine::packet::{Body, Direction, Packet};

const REGISTRAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), 5060);
const SITES: u32 = 250;

/// Registers phone `number`, one a millisecond.
pub fn register(number: u32, take: &mut impl FnMut(Timestamp, &Packet<'_>)) {
    let site = Ipv4Addr::new(198, 51, 100, (number % SITES) as u8);
    let phone = SocketAddr::new(site.into(), (1024 + number / SITES % 60_000) as u16);
    let text = |start: &str, to_tag: &str, expires: &str| {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP {phone};branch=z9hG4bK-{number:08}-r;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{number:08}@example.com>;tag=a{number:08}\r\nTo: <sip:{number:08}@example.com>{to_tag}\r\n\
             Call-ID: reg-{number:08}@{site}\r\nCSeq: 1 REGISTER\r\nContact: <sip:{number:08}@{phone}>{expires}\r\n\
             User-Agent: ExamplePhone 4.2\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let request = text("REGISTER sip:example.com SIP/2.0", "", ";expires=3600");
    let response = text("SIP/2.0 200 OK", ";tag=r1", ";expires=3600");
    let begin = 1_700_000_000_000_000_000 + i64::from(number) * 1_000_000;
    let ways = [(request, phone, REGISTRAR, Direction::In, 0), (response, REGISTRAR, phone, Direction::Out, 300_000)];
    for (text, src, dst, direction, after) in ways {
        let time = Timestamp::from_unix_ns(begin + after);
        let (ip_id, body) = (number % 0xffff + 1, Body::Udp(text.as_bytes()));
        take(time, &Packet { time, link: 0, direction, src, dst, ip_id, ttl: 64, dscp: 0, body });
    }
}
