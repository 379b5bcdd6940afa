//! IPv4 with options and IPv6 with extension headers, down to the transport header.

use crate::{counter::Counter, limits::MAX_EXTENSION_HEADERS, view::PacketView};

/// ICMP.
pub const PROTOCOL_ICMP: u8 = 1;
/// TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// UDP.
pub const PROTOCOL_UDP: u8 = 17;
/// ICMPv6.
pub const PROTOCOL_ICMPV6: u8 = 58;

/// An IPv6 address, or an IPv4 address mapped into it (`::ffff:a.b.c.d`), in network byte order.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Address(pub [u32; 4]);

impl Address {
    const MAPPED: u32 = 0x0000_ffff_u32.to_be();

    #[inline(always)]
    const fn from_v4(address: u32) -> Self {
        Self([0, 0, Self::MAPPED, address])
    }

    /// The 16 bytes.
    #[must_use]
    pub fn octets(self) -> [u8; 16] {
        let mut out = [0; 16];
        for (to, from) in out.chunks_exact_mut(4).zip(self.0) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        out
    }
}

/// Whether a packet is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fragment {
    /// Whole. An IPv6 atomic fragment (RFC 6946) is, too.
    #[default]
    No,
    /// The first fragment: it has the transport header.
    First,
    /// A later one: it has not.
    Later,
}

/// What an IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IpHeader {
    /// Source.
    pub src: Address,
    /// Destination.
    pub dst: Address,
    /// Transport protocol, behind all extension headers.
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Whether this is a fragment.
    pub fragment: Fragment,
    /// Where a fragment's bytes belong in the datagram.
    pub fragment_offset: u16,
    /// Whether further fragments follow.
    pub more_fragments: bool,
    /// IPv4 identification, or that of the IPv6 fragment header.
    pub id: u32,
    /// Where the transport header begins, as an offset into the view.
    pub transport_offset: usize,
    /// Bytes from the transport header to the end of the packet, as the header says.
    pub transport_len: usize,
    /// Bytes of the whole packet from the IP header on, as the header says.
    pub total: usize,
}

/// Reads the IP header at `offset`.
///
/// # Errors
/// As [`parse_into`].
pub fn parse<V: PacketView + ?Sized>(view: &V, offset: usize) -> Result<IpHeader, Counter> {
    let mut header = IpHeader::default();
    parse_into(view, offset, &mut header).map(|()| header)
}

/// Reads the IP header at `offset` into `header`.
///
/// # Errors
/// [`Counter::IgnoredTruncated`], [`Counter::IgnoredMalformed`], or [`Counter::IgnoredNested`] for more extension
/// headers than [`MAX_EXTENSION_HEADERS`].
#[inline(always)]
pub fn parse_into<V: PacketView + ?Sized>(view: &V, offset: usize, header: &mut IpHeader) -> Result<(), Counter> {
    let first = view.be16(offset)?;
    match first >> 12 {
        4 => parse_v4(view, offset, first, header),
        6 => parse_v6(view, offset, first, header),
        _ => Err(Counter::IgnoredMalformed),
    }
}

#[inline(always)]
fn parse_v4<V: PacketView + ?Sized>(view: &V, offset: usize, first: u16, header: &mut IpHeader) -> Result<(), Counter> {
    let header_len = usize::from(first >> 8 & 15) * 4;
    // A super-packet above 64 KiB (BIG TCP) says 0: then it is as long as the frame.
    let total = match usize::from(view.be16(offset + 2)?) {
        0 => view.total_len().saturating_sub(offset),
        n => n,
    };
    if header_len < 20 || total < header_len {
        return Err(Counter::IgnoredMalformed);
    }
    header.total = total;
    header.transport_len = total - header_len;
    header.transport_offset = view.settle(offset + header_len);
    header.id = u32::from(view.be16(offset + 4)?);
    let flags = view.be16(offset + 6)?;
    header.fragment_offset = (flags & 0x1fff) << 3;
    header.more_fragments = flags & 0x2000 != 0;
    header.fragment = fragment(header.fragment_offset, header.more_fragments);
    let ttl_protocol = view.be16(offset + 8)?;
    header.ttl = (ttl_protocol >> 8) as u8;
    header.protocol = ttl_protocol as u8;
    header.dscp = (first >> 2) as u8 & 63;
    header.src = Address::from_v4(view.ne32(offset + 12)?);
    header.dst = Address::from_v4(view.ne32(offset + 16)?);
    Ok(())
}

#[inline(always)]
fn parse_v6<V: PacketView + ?Sized>(view: &V, offset: usize, first: u16, header: &mut IpHeader) -> Result<(), Counter> {
    const HEADER: usize = 40;
    // A jumbogram or a super-packet above 64 KiB says 0.
    let payload = match usize::from(view.be16(offset + 4)?) {
        0 => view.total_len().saturating_sub(offset + HEADER),
        n => n,
    };
    let next_hops = view.be16(offset + 6)?;
    header.total = payload + HEADER;
    header.ttl = next_hops as u8;
    header.dscp = (first >> 6) as u8 & 63;
    header.src = address_v6(view, offset + 8)?;
    header.dst = address_v6(view, offset + 24)?;
    header.id = 0;
    header.fragment_offset = 0;
    header.more_fragments = false;
    header.fragment = Fragment::No;

    let mut protocol = (next_hops >> 8) as u8;
    let mut at = offset + HEADER;
    let mut rest = payload;
    for _ in 0..MAX_EXTENSION_HEADERS {
        let length = match protocol {
            // Hop-by-hop, routing, destination options, mobility (RFC 8200 4.3, 4.4, 4.6; RFC 6275 6.1).
            0 | 43 | 60 | 135 => {
                let word = view.be16(at)?;
                protocol = (word >> 8) as u8;
                (usize::from(word & 0xff) + 1) * 8
            }
            // Authentication header (RFC 4302 2.2): in units of 4 bytes, minus 2.
            51 => {
                let word = view.be16(at)?;
                protocol = (word >> 8) as u8;
                (usize::from(word & 0xff) + 2) * 4
            }
            // Fragment (RFC 8200 4.5).
            44 => {
                protocol = (view.be16(at)? >> 8) as u8;
                let flags = view.be16(at + 2)?;
                header.id = view.be32(at + 4)?;
                header.fragment_offset = flags & 0xfff8;
                header.more_fragments = flags & 1 != 0;
                header.fragment = fragment(header.fragment_offset, header.more_fragments);
                8
            }
            _ => break,
        };
        if rest < length {
            return Err(Counter::IgnoredMalformed);
        }
        at = view.settle(at + length);
        rest -= length;
        // Behind a later fragment's header there is no further header.
        if matches!(header.fragment, Fragment::Later) {
            break;
        }
    }
    header.protocol = protocol;
    header.transport_offset = at;
    header.transport_len = rest;
    match protocol {
        0 | 43 | 44 | 51 | 60 | 135 if !matches!(header.fragment, Fragment::Later) => Err(Counter::IgnoredNested),
        _ => Ok(()),
    }
}

#[inline(always)]
fn address_v6<V: PacketView + ?Sized>(view: &V, at: usize) -> Result<Address, Counter> {
    Ok(Address([view.ne32(at)?, view.ne32(at + 4)?, view.ne32(at + 8)?, view.ne32(at + 12)?]))
}

#[inline(always)]
const fn fragment(offset: u16, more: bool) -> Fragment {
    match (offset, more) {
        (0, false) => Fragment::No,
        (0, true) => Fragment::First,
        (_, _) => Fragment::Later,
    }
}
