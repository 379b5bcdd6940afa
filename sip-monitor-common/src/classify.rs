//! The decision what becomes of a packet. Pure: the same bytes and ports give the same answer in the kernel and in replay.

use crate::{
    content::{self, Media},
    counter::Counter,
    icmp,
    ip::{Fragment, IpHeader, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP},
    rtp::{self, RtpHeader},
    tunnel,
    view::PacketView,
};

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Class {
    /// A UDP datagram of a SIP port, or one that begins as SIP does.
    #[default]
    Sip,
    /// A TCP segment of a SIP port with payload, SYN, FIN, RST or a closed window, or one of another port that begins as SIP does;
    /// of port 5061 what opens and closes connections and TLS.
    SipTcp,
    /// A fragment of a UDP datagram: first or later, handed up as it is and put together in user space.
    Fragment,
    /// An RTP packet, to be counted.
    Rtp,
    /// An RTCP compound.
    Rtcp,
    /// An ICMP error that quotes UDP, or TCP of a SIP port.
    Icmp,
}

/// A packet and what was read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// What it is.
    pub class: Class,
    /// Of [`Class::Rtp`]: its header.
    pub rtp: RtpHeader,
    /// Its IP header; of a packet in a tunnel, the inner one.
    pub ip: IpHeader,
    /// Where that header begins.
    pub ip_offset: usize,
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
/// SIP over TLS (RFC 3261 19.1.2).
const SIPS_PORT: u16 = 5061;

/// Decides on the packet whose IP header stands at `offset`.
///
/// # Errors
/// As [`classify_into`].
pub fn classify<V: PacketView + ?Sized>(
    view: &V,
    offset: usize,
    gso_size: usize,
    is_sip_port: impl Fn(u16) -> bool,
) -> Result<Seen, Counter> {
    let mut seen = Seen::default();
    classify_into(view, offset, gso_size, is_sip_port, &mut seen).map(|()| seen)
}

/// Decides on the packet whose IP header stands at `offset`, or on the one it carries where it is a [`tunnel`].
///
/// `gso_size` is the size of each datagram in a UDP super-packet, 0 for an ordinary packet; the first datagram then decides.
///
/// # Errors
/// The counter under which the packet is ignored.
#[inline(always)]
pub fn classify_into<V: PacketView + ?Sized>(
    view: &V,
    offset: usize,
    gso_size: usize,
    is_sip_port: impl Fn(u16) -> bool,
    seen: &mut Seen,
) -> Result<(), Counter> {
    seen.ip_offset = tunnel::innermost_into(view, offset, &mut seen.ip)?;
    classify_ip(view, gso_size, is_sip_port, seen)
}

/// Decides by what stands behind `seen.ip`, the second half of [`classify_into`].
///
/// # Errors
/// As [`classify_into`].
#[inline(always)]
pub fn classify_ip<V: PacketView + ?Sized>(
    view: &V,
    gso_size: usize,
    is_sip_port: impl Fn(u16) -> bool,
    seen: &mut Seen,
) -> Result<(), Counter> {
    seen.payload_offset = seen.ip.transport_offset;
    seen.payload_len = seen.ip.transport_len;
    if !matches!(seen.ip.fragment, Fragment::No) {
        seen.class = Class::Fragment;
        return if seen.ip.protocol == PROTOCOL_UDP { Ok(()) } else { Err(Counter::IgnoredFragment) };
    }
    match seen.ip.protocol {
        PROTOCOL_UDP => classify_udp(view, gso_size, is_sip_port, seen),
        PROTOCOL_TCP => classify_tcp(view, is_sip_port, seen),
        PROTOCOL_ICMP | PROTOCOL_ICMPV6 => classify_icmp(view, is_sip_port, seen),
        _ => Err(Counter::IgnoredProtocol),
    }
}

#[inline(always)]
fn classify_udp<V: PacketView + ?Sized>(
    view: &V,
    gso_size: usize,
    is_sip_port: impl Fn(u16) -> bool,
    seen: &mut Seen,
) -> Result<(), Counter> {
    udp_payload(view, gso_size, seen)?;
    let len = if gso_size != 0 && gso_size < seen.payload_len { gso_size } else { seen.payload_len };
    seen.class =
        classify_datagram(view, seen.payload_offset, len, seen.src_port, seen.dst_port, is_sip_port, &mut seen.rtp)?;
    Ok(())
}

/// Reads the UDP header (RFC 768) behind `seen.ip`: ports and payload.
///
/// # Errors
/// [`Counter::IgnoredTruncated`] or [`Counter::IgnoredMalformed`].
#[inline(always)]
pub fn udp_payload<V: PacketView + ?Sized>(view: &V, gso_size: usize, seen: &mut Seen) -> Result<(), Counter> {
    let at = seen.ip.transport_offset;
    let ports = view.be32(at)?;
    seen.src_port = (ports >> 16) as u16;
    seen.dst_port = ports as u16;
    // Shorter than IP says: the rest is padding. 0 is a super-packet or a jumbogram (RFC 2675 4).
    let mut len = seen.ip.transport_len;
    let said = usize::from(view.be16(at + 4)?);
    if said != 0 && said < len && gso_size == 0 {
        len = said;
    }
    if len < UDP_HEADER_BYTES {
        return Err(Counter::IgnoredMalformed);
    }
    seen.payload_offset = at + UDP_HEADER_BYTES;
    seen.payload_len = len - UDP_HEADER_BYTES;
    Ok(())
}

/// Decides on one UDP payload: by port, then by its first bytes. Fills `rtp` for [`Class::Rtp`].
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
    rtp: &mut RtpHeader,
) -> Result<Class, Counter> {
    if is_sip_port(dst_port) || is_sip_port(src_port) {
        return Ok(Class::Sip);
    }
    if content::may_carry_media(src_port, dst_port) {
        match content::media(view, offset, len)? {
            Media::Rtp => return rtp::parse_into(view, offset, len, rtp).map(|()| Class::Rtp),
            Media::Rtcp => return Ok(Class::Rtcp),
            Media::Neither => {}
        }
    }
    if content::looks_like_sip(view, offset, len)? { Ok(Class::Sip) } else { Err(Counter::IgnoredUdp) }
}

#[inline(always)]
fn classify_tcp<V: PacketView + ?Sized>(
    view: &V,
    is_sip_port: impl Fn(u16) -> bool,
    seen: &mut Seen,
) -> Result<(), Counter> {
    let at = seen.ip.transport_offset;
    let ports = view.be32(at)?;
    seen.src_port = (ports >> 16) as u16;
    seen.dst_port = ports as u16;
    let offset_flags = view.be16(at + 12)?;
    let header_len = usize::from(offset_flags >> 12) * 4;
    if header_len < 20 || seen.ip.transport_len < header_len {
        return Err(Counter::IgnoredMalformed);
    }
    seen.payload_offset = at + header_len;
    seen.payload_len = seen.ip.transport_len - header_len;
    if !is_sip_port(seen.dst_port) && !is_sip_port(seen.src_port) {
        let is_tls = seen.dst_port == SIPS_PORT || seen.src_port == SIPS_PORT;
        if is_tls && offset_flags & TCP_FIN_SYN_RST != 0 {
            seen.class = Class::SipTcp;
            return Ok(());
        }
        return classify_other_tcp(view, is_tls, seen);
    }
    // Of bare ACKs only those matter that close the window: the other side must not send.
    if seen.payload_len == 0 && offset_flags & TCP_FIN_SYN_RST == 0 && view.be16(at + 14)? != 0 {
        return Err(Counter::IgnoredTcpAck);
    }
    seen.class = Class::SipTcp;
    Ok(())
}

/// TCP of other ports: segments that begin a message. What of it comes in further segments is not known for SIP here. Of the
/// port for SIP over TLS: what begins with a record of a handshake or an alert, and nothing of what is encrypted.
#[inline(always)]
fn classify_other_tcp<V: PacketView + ?Sized>(view: &V, is_tls: bool, seen: &mut Seen) -> Result<(), Counter> {
    if seen.payload_len < if is_tls { content::SHORTEST_TLS_BYTES } else { content::SHORTEST_SIP_BYTES } {
        return Err(Counter::IgnoredTcp);
    }
    let at = view.settle(seen.payload_offset);
    let word = view.be16(at)?;
    if is_tls && content::may_begin_handshake(word) {
        seen.class = Class::SipTcp;
        return Ok(());
    }
    if seen.payload_len < content::SHORTEST_SIP_BYTES || !content::may_begin_sip(word) {
        return Err(Counter::IgnoredTcp);
    }
    if !V::DEEP {
        return Err(Counter::IgnoredTruncated);
    }
    seen.class = Class::SipTcp;
    if content::looks_like_sip(view, at, seen.payload_len)? { Ok(()) } else { Err(Counter::IgnoredTcp) }
}

#[inline(always)]
fn classify_icmp<V: PacketView + ?Sized>(
    view: &V,
    is_sip_port: impl Fn(u16) -> bool,
    seen: &mut Seen,
) -> Result<(), Counter> {
    let mut quote = icmp::Quote::default();
    icmp::parse_into(view, &seen.ip, &mut quote)?;
    if quote.ip.protocol == PROTOCOL_TCP && !is_sip_port(quote.src_port) && !is_sip_port(quote.dst_port) {
        return Err(Counter::IgnoredIcmp);
    }
    seen.class = Class::Icmp;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(packet: &[u8]) -> Result<Class, Counter> {
        classify(packet, 0, 0, |port| port == 5060).map(|seen| seen.class)
    }

    fn v4(protocol: u8, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x45, 0];
        p.extend((20 + payload.len() as u16).to_be_bytes());
        p.extend([0, 1]);
        p.extend(flags.to_be_bytes());
        p.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        p.extend(payload);
        p
    }

    fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
        let mut p = Vec::new();
        p.extend(src.to_be_bytes());
        p.extend(dst.to_be_bytes());
        p.extend((8 + payload.len() as u16).to_be_bytes());
        p.extend([0, 0]);
        p.extend(payload);
        p
    }

    #[test]
    fn a_sip_port_makes_anything_sip_and_first_bytes_do_elsewhere() {
        assert_eq!(class(&v4(17, 0, &udp(5060, 9, b"junk"))), Ok(Class::Sip));
        assert_eq!(class(&v4(17, 0, &udp(9, 5060, &[]))), Ok(Class::Sip));
        assert_eq!(class(&v4(17, 0, &udp(7, 9, b"OPTIONS sip:a SIP/2.0"))), Ok(Class::Sip));
        assert_eq!(class(&v4(17, 0, &udp(7, 9, b"junk"))), Err(Counter::IgnoredUdp));
        assert_eq!(class(&v4(17, 0, &udp(53, 9, &[0x80; 40]))), Err(Counter::IgnoredUdp));
        assert_eq!(class(&v4(47, 0, &[0; 20])), Err(Counter::IgnoredProtocol));
    }

    #[test]
    fn fragments_of_udp_go_up_whatever_they_hold() {
        assert_eq!(class(&v4(17, 0x2000, &udp(7, 9, b"junk"))), Ok(Class::Fragment));
        assert_eq!(class(&v4(17, 0x00b9, b"later")), Ok(Class::Fragment));
        assert_eq!(class(&v4(6, 0x2000, &[0; 20])), Err(Counter::IgnoredFragment));
    }

    #[test]
    fn udp_length_below_that_of_ip_ends_the_payload_and_below_its_header_is_malformed() {
        let mut packet = v4(17, 0, &udp(5060, 9, b"0123456789"));
        packet[25] = 8 + 4;
        assert_eq!(classify(&packet[..], 0, 0, |_| true).map(|s| (s.payload_offset, s.payload_len)), Ok((28, 4)));
        packet[25] = 7;
        assert_eq!(class(&packet), Err(Counter::IgnoredMalformed));
    }

    #[test]
    fn the_parser_of_headers_survives_any_bytes_at_any_length() {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            let mut bytes = [0_u8; 120];
            for chunk in bytes.chunks_mut(8) {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                chunk.copy_from_slice(&x.to_be_bytes()[..chunk.len()]);
            }
            bytes[0] = if x & 1 == 0 { 0x40 | (x >> 8) as u8 & 15 } else { 0x60 };
            bytes[if x & 1 == 0 { 9 } else { 6 }] = [17, 6, 1, 58, 0, 44, 60, 51][(x >> 16) as usize & 7];
            let len = (x >> 32) as usize % 121;
            if let Ok(seen) = classify(&bytes[..len], 0, 0, |port| port & 1 == 0) {
                assert!(seen.ip.transport_offset >= 20 && seen.ip.total >= 20);
            }
        }
    }
}
