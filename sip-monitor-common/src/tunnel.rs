//! Tunnels: where the inner packet begins. It is the inner packet that is judged; the outer one only carries it.
//!
//! - IP in IP (RFC 2003), 6in4 (RFC 4213), 4in6 and 6in6 (RFC 2473)
//! - GRE (RFC 2784, keys and sequence numbers of RFC 2890) with IP, Ethernet, or ERSPAN II and III behind it
//! - VXLAN (RFC 7348)
//! - GTP-U (3GPP TS 29.281)
//!
//! Fragments of outer packets are not looked into.

use crate::{
    counter::Counter,
    ip::{self, Fragment, IpHeader, PROTOCOL_UDP},
    limits::{MAX_GTP_EXTENSIONS, MAX_TUNNELS},
    link::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, NetworkLayer},
    view::PacketView,
};

/// IPv4 in IP.
const PROTOCOL_IPV4: u8 = 4;
/// IPv6 in IP.
const PROTOCOL_IPV6: u8 = 41;
/// GRE.
const PROTOCOL_GRE: u8 = 47;

/// Transparent Ethernet bridging: GRE with a whole frame.
const GRE_ETHERNET: u16 = 0x6558;
const GRE_ERSPAN_II: u16 = 0x88be;
const GRE_ERSPAN_III: u16 = 0x22eb;

const PORT_VXLAN: u16 = 4789;
const PORT_GTP_U: u16 = 2152;

/// Where the inner packet stands, if there is one.
enum Inner {
    /// Nothing is carried here.
    None,
    /// An IP packet.
    Ip(usize),
    /// An Ethernet frame.
    Frame(usize),
}

/// Reads the IP header at `offset`, or that of the innermost packet where this one carries another; gives where it
/// begins.
///
/// # Errors
/// As [`ip::parse_into`], [`Counter::IgnoredNested`] for more than [`MAX_TUNNELS`] tunnels in each other, and
/// [`Counter::IgnoredTruncated`] for what may be a tunnel and a view that does not look into them.
#[inline(always)]
pub fn innermost_into<V: PacketView + ?Sized>(
    view: &V,
    offset: usize,
    header: &mut IpHeader,
) -> Result<usize, Counter> {
    let mut at = offset;
    if !V::DEEP {
        ip::parse_into(view, at, header)?;
        return if may_carry(view, header)? { Err(Counter::IgnoredTruncated) } else { Ok(at) };
    }
    for _ in 0..=MAX_TUNNELS {
        match step_into(view, at, header)? {
            0 => return Ok(at),
            inner => at = inner,
        }
    }
    Err(Counter::IgnoredNested)
}

/// Reads the IP header at `at`; gives where the packet begins that this one carries, 0 where it carries none.
///
/// # Errors
/// As [`ip::parse_into`].
#[inline(always)]
pub fn step_into<V: PacketView + ?Sized>(view: &V, at: usize, header: &mut IpHeader) -> Result<usize, Counter> {
    ip::parse_into(view, at, header)?;
    match inner(view, header)? {
        Inner::None => Ok(0),
        Inner::Ip(inner) => Ok(view.settle(inner)),
        Inner::Frame(frame) => {
            let mut layer = NetworkLayer::default();
            match link::ethernet_at(view, view.settle(frame), &mut layer) {
                Ok(()) => Ok(view.settle(layer.offset)),
                Err(reason) => Err(reason),
            }
        }
    }
}

/// Where the packet that a datagram carries begins; 0 where it is no tunnel. `outer` says where the datagram stands in
/// `bytes`, whose IP header may be gone: what was fragmented and is whole again.
#[must_use]
pub fn carried(bytes: &[u8], outer: &IpHeader) -> usize {
    match inner(bytes, outer) {
        Ok(Inner::Ip(at)) => at,
        Ok(Inner::Frame(at)) => {
            let mut layer = NetworkLayer::default();
            link::ethernet_at(bytes, at, &mut layer).map_or(0, |()| layer.offset)
        }
        Ok(Inner::None) | Err(_) => 0,
    }
}

/// Where the innermost packet of `l3` begins; 0 where it is no tunnel, or none that can be read.
#[must_use]
pub fn innermost(l3: &[u8]) -> usize {
    innermost_into(l3, 0, &mut IpHeader::default()).unwrap_or(0)
}

/// Whether it is one by its protocol or port.
#[inline(always)]
fn may_carry<V: PacketView + ?Sized>(view: &V, outer: &IpHeader) -> Result<bool, Counter> {
    if !matches!(outer.fragment, Fragment::No) {
        return Ok(false);
    }
    match outer.protocol {
        PROTOCOL_IPV4 | PROTOCOL_IPV6 | PROTOCOL_GRE => Ok(true),
        PROTOCOL_UDP => Ok(matches!(view.be16(outer.transport_offset + 2)?, PORT_VXLAN | PORT_GTP_U)),
        _ => Ok(false),
    }
}

#[inline(always)]
fn inner<V: PacketView + ?Sized>(view: &V, outer: &IpHeader) -> Result<Inner, Counter> {
    if !matches!(outer.fragment, Fragment::No) {
        return Ok(Inner::None);
    }
    let at = outer.transport_offset;
    match outer.protocol {
        PROTOCOL_IPV4 | PROTOCOL_IPV6 => Ok(Inner::Ip(at)),
        PROTOCOL_GRE => gre(view, at),
        PROTOCOL_UDP => match view.be16(at + 2)? {
            PORT_VXLAN => vxlan(view, at + 8),
            PORT_GTP_U => gtp_u(view, at + 8, outer.transport_len),
            _ => Ok(Inner::None),
        },
        _ => Ok(Inner::None),
    }
}

/// ```text
/// |C|R|K|S| ... |Ver (3)| protocol type | checksum, reserved: C | key: K | sequence number: S |
/// ```
#[inline(always)]
fn gre<V: PacketView + ?Sized>(view: &V, at: usize) -> Result<Inner, Counter> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    let flags = view.be16(at)?;
    let protocol = view.be16(at + 2)?;
    // Version 1 is PPTP's; source routes (RFC 1701) nobody uses.
    if flags & (ROUTING | 7) != 0 {
        return Ok(Inner::None);
    }
    let mut begin = at + 4;
    if flags & CHECKSUM != 0 {
        begin += 4;
    }
    if flags & KEY != 0 {
        begin += 4;
    }
    if flags & SEQUENCE != 0 {
        begin += 4;
    }
    let begin = view.settle(begin);
    match protocol {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Ok(Inner::Ip(begin)),
        GRE_ETHERNET => Ok(Inner::Frame(begin)),
        // Type I has neither sequence number nor a header of its own.
        GRE_ERSPAN_II if flags & SEQUENCE == 0 => Ok(Inner::Frame(begin)),
        GRE_ERSPAN_II => Ok(Inner::Frame(begin + 8)),
        GRE_ERSPAN_III => erspan_iii(view, begin),
        _ => Ok(Inner::None),
    }
}

/// 12 bytes, the last two `|P|FT (5)|hardware (6)|D|granularity (2)|O|`; 8 more of the platform with O.
#[inline(always)]
fn erspan_iii<V: PacketView + ?Sized>(view: &V, at: usize) -> Result<Inner, Counter> {
    let last = view.be16(at + 10)?;
    let begin = at + 12 + if last & 1 != 0 { 8 } else { 0 };
    match last >> 10 & 0x1f {
        0 => Ok(Inner::Frame(begin)),
        2 => Ok(Inner::Ip(begin)),
        _ => Ok(Inner::None),
    }
}

/// `|R|R|R|R|I|R|R|R| reserved (24) | network identifier (24) | reserved (8) |`
#[inline(always)]
fn vxlan<V: PacketView + ?Sized>(view: &V, at: usize) -> Result<Inner, Counter> {
    // A group policy (the G bit) is set by some; nothing else may be.
    if view.be16(at)? & 0x7fff == 0x0800 { Ok(Inner::Frame(at + 8)) } else { Ok(Inner::None) }
}

/// `|version 1 (3)|PT|0|E|S|PN| type | length | tunnel endpoint |`, with E, S or PN `| sequence | N-PDU | next extension |`.
#[inline(always)]
fn gtp_u<V: PacketView + ?Sized>(view: &V, at: usize, transport_len: usize) -> Result<Inner, Counter> {
    const OPTIONS: u16 = 0x0700;
    const EXTENSION: u16 = 0x0400;
    let first = view.be16(at)?;
    // Version 1, GTP and not GTP', and a user's packet (255).
    if first & 0xf8ff != 0x30ff || usize::from(view.be16(at + 2)?) + 16 > transport_len {
        return Ok(Inner::None);
    }
    if first & OPTIONS == 0 {
        return ip_behind(view, at + 8);
    }
    let mut begin = at + 12;
    let mut next = if first & EXTENSION != 0 { view.be16(at + 10)? & 0xff } else { 0 };
    for _ in 0..MAX_GTP_EXTENSIONS {
        if next == 0 {
            break;
        }
        // Length in units of 4 bytes first, the next type last.
        let words = usize::from(view.be16(begin)? >> 8);
        if words == 0 {
            return Ok(Inner::None);
        }
        // Settled at the type itself: the verifier takes no step back from an offset.
        let last = view.settle(begin + words * 4 - 2);
        next = view.be16(last)? & 0xff;
        begin = last + 2;
    }
    if next == 0 { ip_behind(view, begin) } else { Err(Counter::IgnoredNested) }
}

/// GTP-U does not say which version of IP it carries, nor that it is IP.
#[inline(always)]
fn ip_behind<V: PacketView + ?Sized>(view: &V, at: usize) -> Result<Inner, Counter> {
    if matches!(view.be16(at)? >> 12, 4 | 6) { Ok(Inner::Ip(at)) } else { Ok(Inner::None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 packet with `protocol` and `payload`.
    fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        p[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
        p.extend(payload);
        p
    }

    fn v6(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        p[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
        p.extend([0x20; 32]);
        p.extend(payload);
        p
    }

    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x30, 0x39];
        p.extend(port.to_be_bytes());
        p.extend((8 + payload.len() as u16).to_be_bytes());
        p.extend([0, 0]);
        p.extend(payload);
        p
    }

    fn frame(l3: &[u8]) -> Vec<u8> {
        [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0], l3].concat()
    }

    fn gtp(flags: u8, optional: &[u8], l3: &[u8]) -> Vec<u8> {
        let length = (optional.len() + l3.len()) as u16;
        [&[flags, 0xff][..], &length.to_be_bytes(), &[0, 0, 0, 1], optional, l3].concat()
    }

    /// Every kind of tunnel around `l3`, an IPv4 packet.
    fn tunnels(l3: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let erspan_iii = |last: u16, more: &[u8]| {
            v4(47, &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 9][..], &[0x20; 10], &last.to_be_bytes(), more].concat())
        };
        vec![
            ("4in4", v4(4, l3)),
            ("4in6", v6(4, l3)),
            ("GRE", v4(47, &[&[0, 0, 8, 0][..], l3].concat())),
            ("GRE with checksum, key, sequence", v4(47, &[&[0xb0, 0, 8, 0][..], &[0; 12], l3].concat())),
            ("GRE with Ethernet", v6(47, &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 1][..], &frame(l3)].concat())),
            ("ERSPAN I", v4(47, &[&[0, 0, 0x88, 0xbe][..], &frame(l3)].concat())),
            ("ERSPAN II", v4(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 9][..], &[0x10; 8], &frame(l3)].concat())),
            ("ERSPAN III", erspan_iii(0, &frame(l3))),
            ("ERSPAN III with subheader", erspan_iii(1, &[&[0; 8][..], &frame(l3)].concat())),
            ("ERSPAN III with IP", erspan_iii(2 << 10, l3)),
            ("VXLAN", v4(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 5, 0][..], &frame(l3)].concat()))),
            ("GTP-U", v4(17, &udp(2152, &gtp(0x30, &[], l3)))),
            ("GTP-U with sequence", v6(17, &udp(2152, &gtp(0x32, &[0, 1, 0, 0], l3)))),
            ("GTP-U with extension", v4(17, &udp(2152, &gtp(0x34, &[0, 0, 0, 0x85, 1, 0x10, 5, 0], l3)))),
        ]
    }

    fn look(l3: &[u8]) -> Result<(usize, IpHeader), Counter> {
        let mut header = IpHeader::default();
        innermost_into(l3, 0, &mut header).map(|at| (at, header))
    }

    #[test]
    fn the_inner_packet_is_found_in_every_tunnel_and_in_tunnels_within_each_other() {
        let inner = v4(17, &udp(5060, b"OPTIONS sip:a@b SIP/2.0"));
        assert_eq!(look(&inner).unwrap().0, 0);
        for (name, outer) in tunnels(&inner) {
            let (at, header) = look(&outer).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert_eq!((&outer[at..], header.protocol), (&inner[..], 17), "{name}");
            for (second, twice) in tunnels(&outer).into_iter().filter(|_| outer[0] >> 4 == 4) {
                assert_eq!(&twice[innermost(&twice)..], &inner[..], "{name} in {second}");
            }
        }
        let six = v6(17, &udp(5060, b"x"));
        assert_eq!(look(&v4(41, &six)).unwrap().0, 20);
    }

    #[test]
    fn more_tunnels_than_are_followed_are_refused() {
        let mut packet = v4(17, &udp(5060, b"x"));
        for _ in 0..=MAX_TUNNELS {
            packet = v4(4, &packet);
        }
        assert_eq!(look(&packet).unwrap_err(), Counter::IgnoredNested);
        assert_eq!(look(&packet[20..]).unwrap().0, 20 * MAX_TUNNELS as usize);
    }

    #[test]
    fn what_only_uses_the_port_of_a_tunnel_is_none() {
        for payload in [&b"OPTIONS sip:a@b SIP/2.0\r\n"[..], &[0x80; 40], &[0x32, 0x01, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]] {
            for port in [4789, 2152] {
                assert_eq!(innermost(&v4(17, &udp(port, payload))), 0);
            }
        }
        assert_eq!(innermost(&v4(47, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0])), 0, "PPTP");
    }

    #[test]
    fn a_tunnel_cut_anywhere_is_truncated_or_no_tunnel() {
        let inner = v4(17, &udp(5060, b"x"));
        for (name, outer) in tunnels(&inner) {
            for length in 0..outer.len() - inner.len() {
                assert!(look(&outer[..length]).is_err(), "{name} cut at {length}");
            }
        }
    }
}
