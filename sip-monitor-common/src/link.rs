//! Where the network layer begins in a frame.
//!
//! The driver's or the socket buffer's protocol field says what the frame is; the Ethernet header is believed only where
//! it agrees. That serves tun and other devices without link layer, and the quirk of Linux 6.18 that hands tc frames
//! without their Ethernet header when somebody's generic XDP program sits on the interface.

use crate::{counter::Counter, view::PacketView};

/// IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// 802.1ad, the outer tag of QinQ.
pub const ETHERTYPE_QINQ: u16 = 0x88a8;
const ETHERNET_BYTES: usize = 14;
const TAG_BYTES: usize = 4;

/// The network layer of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NetworkLayer {
    /// Where the IP header begins.
    pub offset: usize,
    /// The inner VLAN identifier, 0 for none.
    pub vlan: u16,
}

/// Finds IP behind an Ethernet header with up to two VLAN tags.
///
/// # Errors
/// [`Counter::IgnoredNotIp`], [`Counter::IgnoredNested`] for a third tag, [`Counter::IgnoredTruncated`].
#[inline(always)]
pub fn ethernet<V: PacketView + ?Sized>(view: &V, layer: &mut NetworkLayer) -> Result<(), Counter> {
    let mut ethertype = view.be16(12)?;
    *layer = NetworkLayer { offset: ETHERNET_BYTES, vlan: 0 };
    for tag in [ETHERNET_BYTES, ETHERNET_BYTES + TAG_BYTES] {
        if is_tag(ethertype) {
            layer.vlan = view.be16(tag)? & 0x0fff;
            ethertype = view.be16(tag + 2)?;
            layer.offset = tag + TAG_BYTES;
        }
    }
    if is_tag(ethertype) {
        return Err(Counter::IgnoredNested);
    }
    if !is_ip(ethertype) {
        return Err(Counter::IgnoredNotIp);
    }
    has_version(view, layer.offset, ethertype)
}

/// Finds IP in what tc sees, told by the protocol of the socket buffer. Where the frame does not begin with an Ethernet
/// header of that protocol, the packet begins with its IP header.
///
/// # Errors
/// As [`ethernet`].
#[inline(always)]
pub fn by_protocol<V: PacketView + ?Sized>(view: &V, protocol: u16, layer: &mut NetworkLayer) -> Result<(), Counter> {
    if is_tag(protocol) {
        return ethernet(view, layer);
    }
    if !is_ip(protocol) {
        return Err(Counter::IgnoredNotIp);
    }
    let framed = ethernet(view, layer);
    if framed.is_err() && has_version(view, 0, protocol).is_ok() {
        *layer = NetworkLayer { offset: 0, vlan: 0 };
        return Ok(());
    }
    framed
}

/// Whether the IP header has the version that was announced.
#[inline(always)]
fn has_version<V: PacketView + ?Sized>(view: &V, offset: usize, protocol: u16) -> Result<(), Counter> {
    let version = if protocol == ETHERTYPE_IPV4 { 4 } else { 6 };
    if view.be16(offset)? >> 12 == version { Ok(()) } else { Err(Counter::IgnoredMalformed) }
}

#[inline(always)]
const fn is_ip(ethertype: u16) -> bool {
    matches!(ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6)
}

#[inline(always)]
const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ethertypes: &[u16], l3: &[u8]) -> Vec<u8> {
        let mut f = vec![2; 12];
        for (i, e) in ethertypes.iter().enumerate() {
            f.extend(e.to_be_bytes());
            if i + 1 < ethertypes.len() {
                f.extend((0x6000 + 7 + i as u16).to_be_bytes());
            }
        }
        f.extend(l3);
        f
    }

    fn ethernet(frame: &[u8]) -> Result<NetworkLayer, Counter> {
        let mut layer = NetworkLayer::default();
        super::ethernet(frame, &mut layer).map(|()| layer)
    }

    fn by_protocol(frame: &[u8], protocol: u16) -> Result<NetworkLayer, Counter> {
        let mut layer = NetworkLayer::default();
        super::by_protocol(frame, protocol, &mut layer).map(|()| layer)
    }

    #[test]
    fn ip_is_found_behind_no_one_and_two_tags() {
        let l3 = [0x45; 40];
        for (tags, offset, vlan) in [
            (&[0x0800][..], 14, 0),
            (&[0x8100, 0x0800], 18, 7),
            (&[0x88a8, 0x8100, 0x0800], 22, 8),
            (&[0x8100, 0x8100, 0x0800], 22, 8),
        ] {
            assert_eq!(ethernet(&frame(tags, &l3)[..]), Ok(NetworkLayer { offset, vlan }), "{tags:x?}");
        }
    }

    #[test]
    fn what_is_not_ip_is_said_to_be_so() {
        assert_eq!(ethernet(&frame(&[0x0806], &[0; 40])[..]), Err(Counter::IgnoredNotIp));
        assert_eq!(ethernet(&frame(&[0x8100, 0x0806], &[0; 40])[..]), Err(Counter::IgnoredNotIp));
        assert_eq!(ethernet(&frame(&[0x88a8, 0x8100, 0x8100, 0x0800], &[0; 40])[..]), Err(Counter::IgnoredNested));
        assert_eq!(ethernet(&frame(&[0x86dd], &[0x45; 40])[..]), Err(Counter::IgnoredMalformed));
        assert_eq!(ethernet(&[0u8; 13][..]), Err(Counter::IgnoredTruncated));
    }

    #[test]
    fn a_packet_without_ethernet_header_is_found_by_its_protocol() {
        let mut l3 = vec![0u8; 40];
        l3[0] = 0x45;
        assert_eq!(by_protocol(&l3[..], 0x0800), Ok(NetworkLayer { offset: 0, vlan: 0 }));
        assert_eq!(by_protocol(&frame(&[0x0800], &l3)[..], 0x0800), Ok(NetworkLayer { offset: 14, vlan: 0 }));
        // The source address of a bare packet stands where the EtherType would be: 8.0.x.x is not an Ethernet header.
        l3[12] = 8;
        assert_eq!(by_protocol(&l3[..], 0x0800), Ok(NetworkLayer { offset: 0, vlan: 0 }));
        assert_eq!(by_protocol(&l3[..], 0x0806), Err(Counter::IgnoredNotIp));
        assert_eq!(by_protocol(&l3[..], 0x86dd), Err(Counter::IgnoredMalformed));
    }
}
