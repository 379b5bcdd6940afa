//! The decision what becomes of a packet. Pure: the same bytes and ports give the same answer in the kernel and in replay.

use crate::{
    content::{self, Media},
    counter::Counter,
    icmp,
    ip::{self, Fragment, IpHeader, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP},
    rtp::{self, RtpHeader},
    view::PacketView,
};

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A UDP datagram of a SIP port, or one that begins as SIP does.
    Sip,
    /// A TCP segment of a SIP port with payload, SYN, FIN or RST.
    SipTcp,
    /// A fragment of a UDP datagram: first or later, handed up as it is and put together in user space.
    Fragment,
    /// An RTP packet, to be counted.
    Rtp(RtpHeader),
    /// An RTCP compound.
    Rtcp,
    /// An ICMP error that quotes UDP, or TCP of a SIP port.
    Icmp,
}

/// A packet and what was read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub class: Class,
    /// Its IP header.
    pub ip: IpHeader,
    /// Source port, 0 where there is none.
    pub src_port: u16,
    /// Destination port, 0 where there is none.
    pub dst_port: u16,
    /// Where its payload begins.
    pub payload_offset: usize,
    /// Bytes of payload, as the headers say.
    pub payload_len: usize,
}

/// UDP header.
pub const UDP_HEADER_BYTES: usize = 8;
const TCP_FIN_SYN_RST: u16 = 0x07;

/// Decides on the packet whose IP header stands at `offset`.
///
/// `gso_size` is the size of each datagram in a UDP super-packet, 0 for an ordinary packet; the first datagram then decides.
///
/// # Errors
/// The counter under which the packet is ignored.
#[inline(always)]
pub fn classify<V: PacketView + ?Sized>(
    view: &V,
    offset: usize,
    gso_size: usize,
    is_sip_port: impl Fn(u16) -> bool,
) -> Result<Seen, Counter> {
    let ip = ip::parse(view, offset)?;
    if !matches!(ip.fragment, Fragment::No) {
        return match ip.protocol {
            PROTOCOL_UDP => Ok(seen(Class::Fragment, ip, ip.transport_offset, ip.transport_len)),
            _ => Err(Counter::IgnoredFragment),
        };
    }
    match ip.protocol {
        PROTOCOL_UDP => classify_udp(view, ip, gso_size, is_sip_port),
        PROTOCOL_TCP => classify_tcp(view, ip, is_sip_port),
        PROTOCOL_ICMP | PROTOCOL_ICMPV6 => classify_icmp(view, ip, is_sip_port),
        _ => Err(Counter::IgnoredProtocol),
    }
}

#[inline(always)]
const fn seen(class: Class, ip: IpHeader, payload_offset: usize, payload_len: usize) -> Seen {
    Seen { class, ip, src_port: 0, dst_port: 0, payload_offset, payload_len }
}

/// Where the payload of a UDP packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPayload {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Where the payload begins.
    pub offset: usize,
    /// Its bytes, as the headers say.
    pub len: usize,
}

/// Reads a UDP header (RFC 768).
///
/// # Errors
/// [`Counter::IgnoredTruncated`] or [`Counter::IgnoredMalformed`].
#[inline(always)]
pub fn udp_payload<V: PacketView + ?Sized>(view: &V, ip: &IpHeader, gso_size: usize) -> Result<UdpPayload, Counter> {
    let ports = view.be32(ip.transport_offset)?;
    let (src_port, dst_port) = ((ports >> 16) as u16, ports as u16);
    let Some(mut len) = ip.transport_len.checked_sub(UDP_HEADER_BYTES) else {
        return Err(Counter::IgnoredMalformed);
    };
    // Shorter than IP says: the rest is padding. 0 is a super-packet or a jumbogram (RFC 2675 4).
    let udp_len = usize::from(view.be16(ip.transport_offset + 4)?);
    if udp_len != 0 {
        let Some(said) = udp_len.checked_sub(UDP_HEADER_BYTES) else { return Err(Counter::IgnoredMalformed) };
        if said < len && gso_size == 0 {
            len = said;
        }
    }
    Ok(UdpPayload { src_port, dst_port, offset: ip.transport_offset + UDP_HEADER_BYTES, len })
}

#[inline(always)]
fn classify_udp<V: PacketView + ?Sized>(
    view: &V,
    ip: IpHeader,
    gso_size: usize,
    is_sip_port: impl Fn(u16) -> bool,
) -> Result<Seen, Counter> {
    let UdpPayload { src_port, dst_port, offset: payload_offset, len: payload_len } = udp_payload(view, &ip, gso_size)?;
    let first_len = if gso_size != 0 && gso_size < payload_len { gso_size } else { payload_len };
    let class = classify_datagram(view, payload_offset, first_len, src_port, dst_port, is_sip_port)?;
    Ok(Seen { class, ip, src_port, dst_port, payload_offset, payload_len })
}

/// Decides on one UDP payload: by port, then by its first bytes.
///
/// # Errors
/// [`Counter::IgnoredUdp`] or [`Counter::IgnoredTruncated`].
#[inline(always)]
pub fn classify_datagram<V: PacketView + ?Sized>(
    view: &V,
    offset: usize,
    len: usize,
    src_port: u16,
    dst_port: u16,
    is_sip_port: impl Fn(u16) -> bool,
) -> Result<Class, Counter> {
    if is_sip_port(dst_port) || is_sip_port(src_port) {
        return Ok(Class::Sip);
    }
    match content::media(view, offset, len) {
        Media::Rtp if content::may_carry_media(src_port, dst_port) => Ok(Class::Rtp(rtp::parse(view, offset, len)?)),
        Media::Rtcp if content::may_carry_media(src_port, dst_port) => Ok(Class::Rtcp),
        Media::Rtp | Media::Rtcp | Media::Neither => {
            if content::looks_like_sip(view, offset, len) {
                Ok(Class::Sip)
            } else {
                Err(Counter::IgnoredUdp)
            }
        }
    }
}

#[inline(always)]
fn classify_tcp<V: PacketView + ?Sized>(
    view: &V,
    ip: IpHeader,
    is_sip_port: impl Fn(u16) -> bool,
) -> Result<Seen, Counter> {
    let ports = view.be32(ip.transport_offset)?;
    let (src_port, dst_port) = ((ports >> 16) as u16, ports as u16);
    if !is_sip_port(dst_port) && !is_sip_port(src_port) {
        return Err(Counter::IgnoredTcp);
    }
    let offset_flags = view.be16(ip.transport_offset + 12)?;
    let header_len = usize::from(offset_flags >> 12) * 4;
    if header_len < 20 {
        return Err(Counter::IgnoredMalformed);
    }
    let Some(payload_len) = ip.transport_len.checked_sub(header_len) else { return Err(Counter::IgnoredMalformed) };
    if payload_len == 0 && offset_flags & TCP_FIN_SYN_RST == 0 {
        return Err(Counter::IgnoredTcpAck);
    }
    let payload_offset = ip.transport_offset + header_len;
    Ok(Seen { class: Class::SipTcp, ip, src_port, dst_port, payload_offset, payload_len })
}

#[inline(always)]
fn classify_icmp<V: PacketView + ?Sized>(
    view: &V,
    ip: IpHeader,
    is_sip_port: impl Fn(u16) -> bool,
) -> Result<Seen, Counter> {
    let quote = icmp::parse(view, &ip)?;
    if quote.ip.protocol == PROTOCOL_TCP && !is_sip_port(quote.src_port) && !is_sip_port(quote.dst_port) {
        return Err(Counter::IgnoredIcmp);
    }
    Ok(seen(Class::Icmp, ip, ip.transport_offset, ip.transport_len))
}
