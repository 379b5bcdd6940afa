//! The shape that nearly every packet of a host with media has, read in one go: RTP with its fixed header alone, in UDP, in IPv4
//! without options, in Ethernet without tags. Anything else is left to [`crate::link`] and [`crate::classify`], and what is read
//! here is what those would have read: a test holds the one against the other.

use crate::{
    classify::{Class, Seen, UDP_HEADER_BYTES},
    content,
    ip::{Address, Fragment, PROTOCOL_UDP},
    link::{ETHERTYPE_IPV4, NetworkLayer},
    rtp::{self, RTP_HEADER_BYTES},
    tunnel,
    view::PacketView,
};

const IP: usize = 14;
const IP_HEADER_BYTES: usize = 20;
const UDP: usize = IP + IP_HEADER_BYTES;
const RTP: usize = UDP + UDP_HEADER_BYTES;

/// Reads a frame of that shape; false where it has another, and then `layer` and `seen` mean nothing. Not for super-packets.
///
/// `protocol` is what the socket buffer says the frame holds, 0 where there is none.
#[inline(always)]
pub fn is_plain_rtp<V: PacketView + ?Sized>(
    view: &V,
    protocol: u16,
    is_sip_port: impl Fn(u16) -> bool,
    layer: &mut NetworkLayer,
    seen: &mut Seen,
) -> bool {
    // | EtherType (16) | version, length (8) | TOS (8) | total (16) | identification (16) |
    let (begin, _) = view.load_u64(12);
    // | flags, offset (16) | TTL (8) | protocol (8) | checksum (16) | half an address |
    let (middle, _) = view.load_u64(IP + 6);
    let (addresses, _) = view.load_u64(IP + 12);
    // | source (16) | destination (16) | length (16) | checksum (16) |
    let (udp, _) = view.load_u64(UDP);
    // | V=2, P, X, CC (8) | M, type (8) | sequence number (16) | timestamp (32) |
    let (head, _) = view.load_u64(RTP);
    // The last bytes of the header: where they are, the others are.
    let (ssrc, is_whole) = view.load_u32(RTP + 8);
    let (begin, middle, udp, head) = (u64::from_be(begin), u64::from_be(middle), u64::from_be(udp), u64::from_be(head));
    let is_frame = is_whole && begin >> 48 == ETHERTYPE_IPV4 as u64 && (protocol == 0 || protocol == ETHERTYPE_IPV4);
    let is_whole_udp =
        begin >> 40 & 0xff == 0x45 && middle >> 48 & 0x3fff == 0 && middle >> 32 & 0xff == PROTOCOL_UDP as u64;
    // Version 2, no extension, no contributing sources; padding or not.
    let second = (head >> 48) as u8;
    let is_rtp = head >> 56 & 0xdf == 0x80 && !(192..=223).contains(&second) && !(72..=76).contains(&(second & 0x7f));
    if !is_frame || !is_whole_udp || !is_rtp {
        return false;
    }
    let (total, said) = ((begin >> 16) as u16 as usize, (udp >> 16) as u16 as usize);
    let (src_port, dst_port) = ((udp >> 48) as u16, (udp >> 32) as u16);
    if total < RTP - IP + RTP_HEADER_BYTES
        || !content::may_carry_media(src_port, dst_port)
        || tunnel::is_tunnel_port(dst_port)
        || is_sip_port(dst_port)
        || is_sip_port(src_port)
    {
        return false;
    }
    let mut len = total - IP_HEADER_BYTES;
    if said != 0 && said < len {
        len = said;
    }
    if len < UDP_HEADER_BYTES + RTP_HEADER_BYTES {
        return false;
    }
    *layer = NetworkLayer { offset: IP, vlan: 0 };
    seen.class = Class::Rtp;
    seen.ip_offset = IP;
    seen.src_port = src_port;
    seen.dst_port = dst_port;
    seen.payload_offset = RTP;
    seen.payload_len = len - UDP_HEADER_BYTES;
    let ip = &mut seen.ip;
    // In memory order, as everywhere.
    let [a, b, c, d, e, f, g, h] = addresses.to_ne_bytes();
    ip.src = Address::from_v4(u32::from_ne_bytes([a, b, c, d]));
    ip.dst = Address::from_v4(u32::from_ne_bytes([e, f, g, h]));
    ip.protocol = PROTOCOL_UDP;
    ip.ttl = (middle >> 40) as u8;
    ip.dscp = (begin >> 34) as u8 & 63;
    ip.fragment = Fragment::No;
    ip.fragment_offset = 0;
    ip.more_fragments = false;
    ip.id = begin as u16 as u32;
    ip.transport_offset = UDP;
    ip.transport_len = total - IP_HEADER_BYTES;
    ip.total = total;
    seen.rtp.timestamp = head as u32;
    seen.rtp.ssrc = u32::from_be(ssrc);
    let payload_bytes = seen.payload_len - RTP_HEADER_BYTES;
    rtp::fill(view, RTP + RTP_HEADER_BYTES, payload_bytes, (head >> 32) as u32, &mut seen.rtp);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{classify::classify_into, counter::Counter, link};

    fn frame(payload: usize) -> Vec<u8> {
        let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0xb8];
        f.extend((40 + payload as u16).to_be_bytes());
        f.extend([0, 7, 0x40, 0, 63, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
        f.extend([0x75, 0x30, 0x75, 0x32]);
        f.extend((20 + payload as u16).to_be_bytes());
        f.extend([0, 0, 0x80, 0x88, 0x12, 0x34, 0, 0, 0x56, 0x78, 1, 2, 3, 4]);
        f.extend((0..payload).map(|i| (i * 37) as u8));
        f
    }

    fn front(frame: &[u8], protocol: u16) -> Option<(NetworkLayer, Seen)> {
        let (mut layer, mut seen) = (NetworkLayer::default(), Seen::default());
        is_plain_rtp(frame, protocol, is_sip_port, &mut layer, &mut seen).then_some((layer, seen))
    }

    fn in_full(frame: &[u8], protocol: u16) -> Result<(NetworkLayer, Seen), Counter> {
        let (mut layer, mut seen) = (NetworkLayer::default(), Seen::default());
        if protocol == 0 {
            link::ethernet(frame, &mut layer)?;
        } else {
            link::by_protocol(frame, protocol, &mut layer)?;
        }
        classify_into(frame, layer.offset, 0, is_sip_port, &mut seen).map(|()| (layer, seen))
    }

    fn is_sip_port(port: u16) -> bool {
        port & 0xff == 0x31
    }

    #[test]
    fn plain_rtp_is_read_in_one_go() {
        for payload in [0, 4, 8, 20, 160, 1_400] {
            for protocol in [0, ETHERTYPE_IPV4] {
                let frame = frame(payload);
                let read = front(&frame, protocol);
                assert!(read.is_some(), "{payload}");
                assert_eq!(read, in_full(&frame, protocol).ok(), "{payload}");
            }
        }
    }

    #[test]
    fn what_is_read_in_one_go_is_what_is_read_step_by_step() {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |n: usize| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 33) as usize % n
        };
        let (mut read, mut left) = (0, 0);
        for _ in 0..400_000 {
            let mut frame = frame([0, 4, 12, 40, 160][random(5)]);
            for _ in 0..random(4) {
                // Often a value that means something at that place.
                let at = 12 + random(44);
                let value =
                    [0, 1, 4, 8, 17, 0x31, 0x35, 0x45, 0x46, 0x60, 0x80, 0x81, 0x90, 0xc8, 0xff, 28][random(16)];
                if let Some(byte) = frame.get_mut(at) {
                    *byte = if random(3) == 0 { random(256) as u8 } else { value };
                }
            }
            match random(8) {
                0 => frame.truncate(random(frame.len() + 1)),
                1 => frame.extend([0; 20]),
                2 => frame[36..38].copy_from_slice(&[4789_u16, 2152, 53, 5353][random(4)].to_be_bytes()),
                _ => {}
            }
            let protocol = [0, ETHERTYPE_IPV4, ETHERTYPE_IPV4, 0x86dd, 0x8100][random(5)];
            match front(&frame, protocol) {
                Some(found) => {
                    assert_eq!(Ok(found), in_full(&frame, protocol), "{frame:02x?}");
                    read += 1;
                }
                None => left += 1,
            }
        }
        assert!(read > 50_000 && left > 50_000, "{read} read, {left} left");
    }
}
