//! The first look at a capture: who talks to whom, and what the link layer tells of where it was taken. From it
//! [`super::local`] guesses which host the capture belongs to. Nothing here is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use sip_monitor_engine::config::MediaSight;

use super::file::Hint;
use super::link::Network;

/// What was seen of one address that takes part in SIP or media.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Packets that the capture says came in for it or were sent by it.
    pub stated_local: u64,
    /// Packets that the capture says came in from it or were sent to it.
    pub stated_remote: u64,
    /// Hardware addresses it was seen to send from.
    pub sends_from: BTreeSet<[u8; 6]>,
    /// SIP messages it sent.
    pub sip_sent: u64,
    /// SIP messages it was sent.
    pub sip_received: u64,
    /// Packets sent with a TTL or hop limit that systems start with: 64, 128 or 255.
    pub initial_ttl: u64,
    /// Packets sent with any other.
    pub other_ttl: u64,
}

/// How two addresses talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// SIP messages.
    pub sip: u64,
    /// Datagrams that look like RTP or RTCP.
    pub media: u64,
}

/// Who talks to whom.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Each address.
    pub hosts: BTreeMap<IpAddr, Host>,
    /// Each pair of addresses, the lower first.
    pub conversations: BTreeMap<(IpAddr, IpAddr), Conversation>,
    /// Frames of those conversations that have hardware addresses.
    pub frames: u64,
    /// In how many of them each hardware address is sender or receiver.
    pub hardware: BTreeMap<[u8; 6], u64>,
    /// Where the first INVITE (else the first request) went.
    pub first_invited: Option<IpAddr>,
    invite_seen: bool,
    other_udp: bool,
    answers_something: bool,
}

impl Survey {
    /// Takes one packet.
    pub fn look_at(&mut self, network: &Network<'_>, hint: Hint, sip_ports: &[u16]) {
        let Ok(packet) = LaxSlicedPacket::from_ip(network.l3) else { return };
        let (src, dst, ttl) = match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                let h = ip.header();
                (IpAddr::V4(h.source_addr()), IpAddr::V4(h.destination_addr()), h.ttl())
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                let h = ip.header();
                (IpAddr::V6(h.source_addr()), IpAddr::V6(h.destination_addr()), h.hop_limit())
            }
            Some(LaxNetSlice::Arp(_)) | None => return,
        };
        if !is_host(src) || !is_host(dst) {
            return;
        }
        let (src_port, dst_port, payload) = match &packet.transport {
            Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port(), udp.payload()),
            Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port(), tcp.payload()),
            Some(TransportSlice::Icmpv4(icmp)) => return self.look_at_quote(icmp.payload(), sip_ports),
            Some(TransportSlice::Icmpv6(icmp)) => return self.look_at_quote(icmp.payload(), sip_ports),
            Some(_) | None => return,
        };
        let on_sip_port = sip_ports.contains(&src_port) || sip_ports.contains(&dst_port);
        let is_udp = matches!(packet.transport, Some(TransportSlice::Udp(_)));
        let is_sip = looks_like_sip(payload);
        let is_media = is_udp && !is_sip && !on_sip_port && looks_like_media(payload);
        self.other_udp |= is_udp && !is_sip && !on_sip_port;
        if !is_sip && !is_media {
            return;
        }
        let pair = if src < dst { (src, dst) } else { (dst, src) };
        let conversation = self.conversations.entry(pair).or_default();
        conversation.sip += u64::from(is_sip);
        self.answers_something |= is_sip && answers_something(payload);
        conversation.media += u64::from(is_media);
        self.note_hosts(network, hint, src, dst, ttl);
        if is_sip {
            self.hosts.entry(src).or_default().sip_sent += 1;
            self.hosts.entry(dst).or_default().sip_received += 1;
        }
        if is_sip && !payload.starts_with(b"SIP/2.0 ") {
            let invite = payload.starts_with(b"INVITE ");
            if self.first_invited.is_none() || (invite && !self.invite_seen) {
                self.first_invited = Some(dst);
                self.invite_seen |= invite;
            }
        }
    }

    /// An ICMP error that quotes UDP beside SIP shows that such packets would have been captured.
    fn look_at_quote(&mut self, quote: &[u8], sip_ports: &[u16]) {
        let Ok(quoted) = LaxSlicedPacket::from_ip(quote) else { return };
        if let Some(TransportSlice::Udp(udp)) = &quoted.transport {
            self.other_udp |= !sip_ports.contains(&udp.source_port()) && !sip_ports.contains(&udp.destination_port());
        }
    }

    fn note_hosts(&mut self, network: &Network<'_>, hint: Hint, src: IpAddr, dst: IpAddr, ttl: u8) {
        let hint = if hint == Hint::Unknown { network.hint } else { hint };
        let sender = self.hosts.entry(src).or_default();
        sender.sends_from.extend(network.sender);
        *(if matches!(ttl, 64 | 128 | 255) { &mut sender.initial_ttl } else { &mut sender.other_ttl }) += 1;
        sender.stated_local += u64::from(hint == Hint::Out);
        sender.stated_remote += u64::from(hint == Hint::In);
        let receiver = self.hosts.entry(dst).or_default();
        receiver.stated_local += u64::from(hint == Hint::In);
        receiver.stated_remote += u64::from(hint == Hint::Out);
        if let (Some(a), Some(b)) = (network.sender, network.receiver) {
            self.frames += 1;
            *self.hardware.entry(a).or_default() += 1;
            if a != b {
                *self.hardware.entry(b).or_default() += 1;
            }
        }
    }

    /// Whether missing media could have been seen: a capture of signalling alone proves nothing about media.
    #[must_use]
    pub fn media_sight(&self, local_is_given: bool) -> MediaSight {
        match (self.other_udp, local_is_given) {
            (false, _) => MediaSight::Unseen,
            (true, true) => MediaSight::Full,
            (true, false) => MediaSight::Guessed,
        }
    }

    /// Whether the capture holds one direction of signalling only: no host in it both speaks and is spoken to, though
    /// somebody answers something.
    #[must_use]
    pub fn half_seen(&self) -> bool {
        self.answers_something && self.hosts.values().all(|host| host.sip_sent == 0 || host.sip_received == 0)
    }

    /// The other end of each conversation of `addr`.
    pub fn peers(&self, addr: IpAddr) -> impl Iterator<Item = IpAddr> {
        self.conversations.keys().filter_map(move |&(a, b)| match () {
            () if a == addr => Some(b),
            () if b == addr => Some(a),
            () => None,
        })
    }
}

/// Whether an address can be one host's: no multicast, no broadcast, not unspecified.
fn is_host(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => !a.is_multicast() && !a.is_broadcast() && !a.is_unspecified(),
        IpAddr::V6(a) => !a.is_multicast() && !a.is_unspecified(),
    }
}

/// A start line of SIP: `SIP/2.0 ` or `METHOD sip:`.
fn looks_like_sip(payload: &[u8]) -> bool {
    if payload.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let head = &payload[..payload.len().min(32)];
    let Some(space) = head.iter().position(|b| *b == b' ') else { return false };
    let (method, rest) = (&head[..space], &head[space + 1..]);
    !method.is_empty()
        && method.iter().all(u8::is_ascii_uppercase)
        && [&b"sip:"[..], b"sips:", b"tel:", b"urn:"]
            .iter()
            .any(|s| rest.len() >= s.len() && rest[..s.len()].eq_ignore_ascii_case(s))
}

/// A message that nobody sends who has not been sent something before: a response, an ACK, a PRACK.
fn answers_something(payload: &[u8]) -> bool {
    [&b"SIP/2.0 "[..], b"ACK ", b"PRACK "].iter().any(|begin| payload.starts_with(begin))
}

/// Version 2 and long enough for RTP's fixed header or RTCP's (RFC 3550 5.1, 6.4).
fn looks_like_media(payload: &[u8]) -> bool {
    payload.len() >= 8 && payload[0] >> 6 == 2
}
