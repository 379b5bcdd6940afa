//! ICMP and ICMPv6 errors (RFC 792, RFC 4443) and the flow of the packet they quote.

use crate::{
    counter::Counter,
    ip::{self, IpHeader, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP},
    view::PacketView,
};

/// ICMP header before the quoted packet.
pub const ICMP_HEADER_BYTES: usize = 8;

/// An ICMP error and what it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
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

/// Reads the error behind `outer` into `quote`.
///
/// # Errors
/// [`Counter::IgnoredIcmp`] where it is no error or quotes neither UDP nor TCP, or what the quoted header lacks.
#[inline(always)]
pub fn parse_into<V: PacketView + ?Sized>(view: &V, outer: &IpHeader, quote: &mut Quote) -> Result<(), Counter> {
    let type_code = view.be16(outer.transport_offset)?;
    quote.icmp_type = (type_code >> 8) as u8;
    quote.icmp_code = type_code as u8;
    if !is_error(outer.protocol, quote.icmp_type) {
        return Err(Counter::IgnoredIcmp);
    }
    ip::parse_into(view, outer.transport_offset + ICMP_HEADER_BYTES, &mut quote.ip)?;
    // A quoted later fragment has no ports; only the first eight bytes of the transport are promised.
    if !matches!(quote.ip.protocol, PROTOCOL_UDP | PROTOCOL_TCP) || matches!(quote.ip.fragment, ip::Fragment::Later) {
        return Err(Counter::IgnoredIcmp);
    }
    let ports = view.be32(quote.ip.transport_offset)?;
    quote.src_port = (ports >> 16) as u16;
    quote.dst_port = ports as u16;
    Ok(())
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
