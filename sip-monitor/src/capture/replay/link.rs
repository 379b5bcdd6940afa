//! From a captured frame to its IP packet: what each link type puts in front of it, and VLAN tags.

use sip_monitor_common::tunnel;

use super::file::Hint;

/// An IP packet and what its frame told beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network<'a> {
    /// From the IP header on, to the end of the frame (Ethernet padding included).
    pub l3: &'a [u8],
    /// Hardware address of the sender, where the link has one.
    pub sender: Option<[u8; 6]>,
    /// Hardware address of the receiver.
    pub receiver: Option<[u8; 6]>,
    /// Which way it went, where the link layer tells.
    pub hint: Hint,
}

/// Why a frame gives no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoIp {
    /// ARP, LLDP, spanning tree and so on.
    OtherProtocol,
    /// The frame ends within its link header.
    Cut,
    /// A link type that is not read.
    LinkType(u32),
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Strips the link layer of a frame, and the tunnels around its IP packet: what was carried is what is looked at.
///
/// # Errors
/// [`NoIp`]: the frame has no IP packet, or none that can be reached.
pub fn network(link_type: u32, frame: &[u8]) -> Result<Network<'_>, NoIp> {
    let network = outermost(link_type, frame)?;
    Ok(Network { l3: network.l3.get(tunnel::innermost(network.l3)..).unwrap_or_default(), ..network })
}

fn outermost(link_type: u32, frame: &[u8]) -> Result<Network<'_>, NoIp> {
    match link_type {
        0 => loopback(frame, false),
        108 => loopback(frame, true),
        1 => ethernet(frame),
        // Raw IP: registered as 101, as 12 or 14 by systems that wrote their own number, 228 and 229 for one version.
        12 | 14 | 101 | 228 | 229 => bare(frame),
        113 => cooked(frame, 14, 16, frame.get(..2), 6),
        276 => cooked(frame, 0, 20, frame.get(10..11), 12),
        other => Err(NoIp::LinkType(other)),
    }
}

fn bare(frame: &[u8]) -> Result<Network<'_>, NoIp> {
    match frame.first().map(|b| b >> 4) {
        Some(4 | 6) => Ok(Network { l3: frame, sender: None, receiver: None, hint: Hint::Unknown }),
        Some(_) => Err(NoIp::OtherProtocol),
        None => Err(NoIp::Cut),
    }
}

/// `LINKTYPE_NULL` and `LINKTYPE_LOOP`: an address family of 4 bytes, in the byte order of the machine that wrote it or in
/// network byte order. Families are below 65,536, so that the order can be told by the number.
fn loopback(frame: &[u8], network_order: bool) -> Result<Network<'_>, NoIp> {
    let family = frame.first_chunk::<4>().ok_or(NoIp::Cut)?;
    let big = u32::from_be_bytes(*family);
    let family = if network_order || big < 0x1_0000 { big } else { u32::from_le_bytes(*family) };
    match family {
        // AF_INET; AF_INET6 of NetBSD and OpenBSD, Linux, FreeBSD, macOS.
        2 | 10 | 24 | 28 | 30 => bare(&frame[4..]),
        _ => Err(NoIp::OtherProtocol),
    }
}

fn ethernet(frame: &[u8]) -> Result<Network<'_>, NoIp> {
    let l3 = after_ethertype(frame, 12)?;
    let receiver = frame.first_chunk::<6>().copied();
    let sender = frame.get(6..).and_then(|b| b.first_chunk::<6>()).copied();
    Ok(Network { l3, sender, receiver, hint: Hint::Unknown })
}

/// Linux's cooked captures ("any"): `LINKTYPE_LINUX_SLL` and `_SLL2`. `kind` holds the packet type: 0 for this host, 4
/// sent by it; `address_at` is where the sender's hardware address stands.
fn cooked<'a>(
    frame: &'a [u8],
    protocol_at: usize,
    header: usize,
    kind: Option<&[u8]>,
    address_at: usize,
) -> Result<Network<'a>, NoIp> {
    let protocol = frame.get(protocol_at..protocol_at + 2).ok_or(NoIp::Cut)?;
    let l3 = ip_or_tag(frame, u16::from_be_bytes([protocol[0], protocol[1]]), header)?;
    let hint = match kind.and_then(|k| k.last()) {
        Some(0) => Hint::In,
        Some(4) => Hint::Out,
        _ => Hint::Unknown,
    };
    let sender = frame.get(address_at..).and_then(|b| b.first_chunk::<6>()).copied().filter(|a| *a != [0; 6]);
    Ok(Network { l3, sender, receiver: None, hint })
}

/// What follows the EtherType at `at`, with up to two VLAN tags peeled (802.1Q, 802.1ad and the older 0x9100), as the
/// kernel programs do.
fn after_ethertype(frame: &[u8], at: usize) -> Result<&[u8], NoIp> {
    let ethertype = frame.get(at..at + 2).ok_or(NoIp::Cut)?;
    ip_or_tag(frame, u16::from_be_bytes([ethertype[0], ethertype[1]]), at + 2)
}

fn ip_or_tag(frame: &[u8], mut ethertype: u16, mut at: usize) -> Result<&[u8], NoIp> {
    for _ in 0..2 {
        if !matches!(ethertype, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        let inner = frame.get(at + 2..at + 4).ok_or(NoIp::Cut)?;
        ethertype = u16::from_be_bytes([inner[0], inner[1]]);
        at += 4;
    }
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => frame.get(at..).filter(|l3| !l3.is_empty()).ok_or(NoIp::Cut),
        _ => Err(NoIp::OtherProtocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: &[u8] = &[0x45, 0, 0, 20, 1, 2, 3];

    fn l3(link_type: u32, header: &[u8]) -> Result<Vec<u8>, NoIp> {
        network(link_type, &[header, IP].concat()).map(|n| n.l3.to_vec())
    }

    #[test]
    fn every_link_type_gives_the_same_ip_packet() {
        let ethernet = [&[2; 6][..], &[4; 6], &[8, 0]].concat();
        let tagged = [&[2; 6][..], &[4; 6], &[0x81, 0, 0, 7, 8, 0]].concat();
        let qinq = [&[2; 6][..], &[4; 6], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 8, 0]].concat();
        let sll = [&[0, 4, 0, 1, 0, 6][..], &[4; 8], &[8, 0]].concat();
        let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6][..], &[4; 8]].concat();
        for (link_type, header) in [
            (1, &ethernet[..]),
            (1, &tagged),
            (1, &qinq),
            (113, &sll),
            (276, &sll2),
            (0, &[2, 0, 0, 0]),
            (0, &[0, 0, 0, 2]),
            (108, &[0, 0, 0, 2]),
            (101, &[]),
            (12, &[]),
            (14, &[]),
            (228, &[]),
        ] {
            assert_eq!(l3(link_type, header).as_deref(), Ok(IP), "link type {link_type}, {header:?}");
        }
    }

    #[test]
    fn cooked_captures_tell_the_direction() {
        for (kind, hint) in [(0, Hint::In), (4, Hint::Out), (1, Hint::Unknown)] {
            let sll = [&[0, kind, 0, 1, 0, 6][..], &[4; 8], &[8, 0], IP].concat();
            assert_eq!(network(113, &sll).unwrap().hint, hint);
            let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, kind, 6][..], &[4; 8], IP].concat();
            assert_eq!(network(276, &sll2).unwrap().hint, hint);
        }
    }

    #[test]
    fn what_is_not_ip_is_told_from_what_is_cut() {
        let arp = [&[2; 6][..], &[4; 6], &[8, 6], &[0; 28]].concat();
        assert_eq!(network(1, &arp), Err(NoIp::OtherProtocol));
        assert_eq!(network(1, &arp[..13]), Err(NoIp::Cut));
        assert_eq!(network(105, &arp), Err(NoIp::LinkType(105)));
        assert_eq!(network(101, &[0x10]), Err(NoIp::OtherProtocol));
        for link_type in [0, 1, 12, 14, 101, 108, 113, 228, 229, 276] {
            assert!(network(link_type, &[]).is_err());
        }
    }
}
