//! ICMP and ICMPv6 errors (RFC 792, RFC 4443) and the flow of the packet they quote.

use crate::{
    counter::Counter,
    ip::{self, IpHeader, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP},
    view::PacketView,
};

/// ICMP header before the quoted packet.
pub const ICMP_HEADER_BYTES: usize = 8;

/// An ICMP error and what it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Type as on the wire.
    pub icmp_type: u8,
    /// Code as on the wire.
    pub icmp_code: u8,
    /// The quoted IP header.
    pub ip: IpHeader,
    /// Source port of the quoted packet.
    pub src_port: u16,
    /// Destination port of the quoted packet.
    pub dst_port: u16,
}

/// Reads the error behind `outer`.
///
/// # Errors
/// [`Counter::IgnoredIcmp`] where it is no error or quotes neither UDP nor TCP, or what the quoted header lacks.
#[inline(always)]
pub fn parse<V: PacketView + ?Sized>(view: &V, outer: &IpHeader) -> Result<Quote, Counter> {
    let type_code = view.be16(outer.transport_offset)?;
    let (icmp_type, icmp_code) = ((type_code >> 8) as u8, type_code as u8);
    if !is_error(outer.protocol, icmp_type) {
        return Err(Counter::IgnoredIcmp);
    }
    let ip = ip::parse(view, outer.transport_offset + ICMP_HEADER_BYTES)?;
    // A quoted later fragment has no ports; only the first eight bytes of the transport are promised.
    if !matches!(ip.protocol, PROTOCOL_UDP | PROTOCOL_TCP) || matches!(ip.fragment, ip::Fragment::Later) {
        return Err(Counter::IgnoredIcmp);
    }
    let ports = view.be32(ip.transport_offset)?;
    Ok(Quote { icmp_type, icmp_code, ip, src_port: (ports >> 16) as u16, dst_port: ports as u16 })
}

/// ICMP: destination unreachable, source quench, redirect, time exceeded, parameter problem. ICMPv6: types below 128.
#[inline(always)]
const fn is_error(protocol: u8, icmp_type: u8) -> bool {
    if protocol == PROTOCOL_ICMPV6 {
        icmp_type >= 1 && icmp_type < 128
    } else {
        matches!(icmp_type, 3 | 4 | 5 | 11 | 12)
    }
}
