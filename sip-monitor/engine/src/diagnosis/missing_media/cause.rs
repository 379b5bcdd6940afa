//! Why audio is missing: the causes in the order they are tried, each with its evidence, its fault and what to do.

use super::{Case, Extent, icmp_name, name};
use crate::diagnosis::{Cause, Confidence, Fault, UNKNOWN};
use crate::media::Refusal;
use crate::media::flow::{Flow, FlowState, LOW_TTL, Travel};
use crate::packet::{Direction, IcmpKind};

/// Every cause, in the order they are tried.
pub const CAUSES: &[Cause] = &[
    Cause {
        name: "sdp-private-address",
        evidence: "the SDP asks for media at a private address, the signalling went between public ones, and nothing came",
        remedy: "Advertise a public media address: external media address of the PBX, STUN or ICE on the phone, or a media relay",
    },
    Cause {
        name: "local-firewall",
        evidence: "this host's kernel drops the RTP by a netfilter rule, or answers it with ICMP administratively prohibited",
        remedy: "Allow the RTP port range in this host's firewall, inbound and outbound UDP",
    },
    Cause {
        name: "no-listener",
        evidence: "this host's kernel drops the arriving RTP or answers ICMP port unreachable: no process has the port open",
        remedy: "Find out why the media process does not listen on the port its SDP announced",
    },
    Cause {
        name: "socket-overflow",
        evidence: "this host's kernel drops the arriving RTP: the receive buffer of its socket is full",
        remedy: "Find out why the media process does not read its socket: hung, starved of CPU; or raise net.core.rmem_max",
    },
    Cause {
        name: "rp-filter",
        evidence: "this host's kernel drops the arriving RTP: its source is not reached by the interface it came in by",
        remedy: "Set net.ipv4.conf.INTERFACE.rp_filter to 2 (loose) or mend the routes",
    },
    Cause {
        name: "neighbour",
        evidence: "this host's kernel drops the RTP that it sends: the next hop does not answer ARP or neighbour discovery",
        remedy: "See `ip neigh show` and whether the next hop is up, in this VLAN and under this netmask",
    },
    Cause {
        name: "checksum",
        evidence: "this host's kernel drops the arriving RTP: its checksum is wrong",
        remedy: "Look for a device, driver or tunnel on the way that damages packets or computes their checksums wrongly",
    },
    Cause {
        name: "wrong-port",
        evidence: "RTP between the two goes to another port or address than the SDP of the receiver announced",
        remedy: "Look for a middlebox or SIP ALG that rewrites SDP, or for a sender that ignores the latest SDP",
    },
    Cause {
        name: "remote-unreachable",
        evidence: "ICMP errors refuse the RTP sent, again and again",
        remedy: "Ask the far end to open its RTP port range and to check the address in its SDP; on time exceeded look for a routing loop",
    },
    Cause {
        name: "remote-not-receiving",
        evidence: "the far end's RTCP says that none of the RTP sent arrives: all of it lost, or its highest sequence number stands still",
        remedy: "Open the RTP port range at the far end's firewall and on the way to it; the packets leave this host",
    },
    Cause {
        name: "low-ttl",
        evidence: "the far end's packets arrived with a TTL of 10 or less, and then none did",
        remedy: "Ask the far end to send RTP with a TTL of 64 or more",
    },
    Cause {
        name: "never-sent",
        evidence: "this host sends no RTP at all",
        remedy: "Check the media process of this host: codec, device, bridge, RTP port range",
    },
    Cause {
        name: "never-arrived",
        evidence: "this host sends RTP and none comes back",
        remedy: "Open the RTP port range towards this host in every firewall on the way, and ask the far end whether it sends",
    },
    Cause {
        name: "stopped",
        evidence: "RTP flowed and then none came for 10 s, with the call up and not held",
        remedy: "Look at what happened on the path and at both ends at that moment",
    },
];

/// Why, about which direction.
pub(super) struct Verdict<'a> {
    pub flow: &'a Flow,
    pub cause: &'static str,
    pub fault: Option<Fault>,
    pub confidence: Confidence,
    pub why: String,
    pub remedy: String,
}

impl<'a> Case<'a> {
    /// The first cause that the evidence shows, in the order of [`CAUSES`].
    pub(super) fn verdict(&self) -> Verdict<'a> {
        let waits = |flow: &Flow| self.waits.is_some_and(|waiting| waiting.to == flow.to);
        let missing: Vec<&Flow> = self.missing_flows().filter(|flow| !waits(flow)).collect();
        let first = |test: &dyn Fn(&Flow) -> bool| missing.iter().copied().find(|f| test(f));
        let nothing_came =
            |f: &Flow| matches!(f.state, FlowState::Absent | FlowState::Refused | FlowState::Undeliverable);
        let refused = |test: &dyn Fn(&Refusal) -> bool| {
            first(&|f| f.state == FlowState::Refused && f.refusal.is_some_and(|r| test(&r)))
        };
        // What the kernel itself dropped here came, or was sent: no address was in its way.
        let dropped_here = |f: &Flow| f.state == FlowState::Refused && f.refusal.is_some_and(|r| r.dropped.is_some());
        if let Some(flow) = first(&|f| f.private_address.is_some() && nothing_came(f) && !dropped_here(f)) {
            let also = missing.iter().find(|f| f.to != flow.to && f.state == FlowState::Refused);
            return told_with(private_address(flow), also);
        }
        for cause in ["local-firewall", "no-listener", "socket-overflow", "rp-filter", "neighbour", "checksum"] {
            if let Some(flow) = refused(&|r| r.local_cause() == Some(cause)) {
                return refused_here(flow, cause);
            }
        }
        if let Some(flow) = first(&dropped_here) {
            return refused_here(flow, UNKNOWN);
        }
        if let Some(flow) = first(&|f| f.elsewhere.is_some() && f.state == FlowState::Absent) {
            return wrong_port(flow);
        }
        if let Some(flow) = refused(&|r| !r.is_by_this_host()) {
            return remote_unreachable(flow);
        }
        if let Some(flow) = first(&|f| f.state == FlowState::Unheard) {
            return remote_not_receiving(flow);
        }
        let low = |f: &Flow| f.travel == Travel::In && self.peer_ttl(f).is_some_and(|ttl| ttl <= LOW_TTL);
        if let Some(flow) = first(&low) {
            return self.low_ttl(flow);
        }
        let sends_nothing = |f: &Flow| {
            f.state == FlowState::Absent && matches!(f.travel, Travel::Out | Travel::Within) && !f.is_starved
        };
        if let Some(flow) = first(&sends_nothing) {
            return self.never_sent(flow);
        }
        if let Some(flow) = first(&|f| f.state == FlowState::Absent && f.travel == Travel::In) {
            return self.never_arrived(flow);
        }
        if let Some(flow) = first(&|f| matches!(f.state, FlowState::Stopped(_))) {
            return self.stopped(flow);
        }
        let flow = self.missing;
        Verdict {
            flow,
            cause: UNKNOWN,
            fault: None,
            confidence: Confidence::Likely,
            why: format!("no RTP passes from the {} to {}", name(flow.from()), flow.endpoint),
            remedy: "Compare with a capture taken at the side that should send".to_owned(),
        }
    }

    /// The lowest TTL that packets of who should send it came with.
    pub(super) fn peer_ttl(&self, flow: &Flow) -> Option<u8> {
        let rtcp = flow.sender_rtcp.as_ref().map(|r| r.ttl_min);
        flow.lowest_ttl.into_iter().chain(rtcp).min()
    }

    fn low_ttl(&self, flow: &'a Flow) -> Verdict<'a> {
        let ttl = self.peer_ttl(flow).unwrap_or_default();
        Verdict {
            flow,
            cause: "low-ttl",
            fault: Some(Fault::Remote),
            confidence: Confidence::Likely,
            why: format!("packets of the {} came with a TTL of {ttl}, and then none came", name(flow.from())),
            remedy: format!(
                "Have the {} send RTP with a TTL of 64 or more: {ttl} is used up by a route slightly longer",
                name(flow.from())
            ),
        }
    }

    fn never_sent(&self, flow: &'a Flow) -> Verdict<'a> {
        let (sender, few) = (name(flow.from()), flow.strays);
        let how_much = match few {
            0 => "no RTP".to_owned(),
            1 => "1 packet and no more".to_owned(),
            n => format!("{n} stray packets and no stream"),
        };
        let both = self.extent == Extent::Both && self.other.state == FlowState::Absent && self.other.packets == 0;
        let also = if both { ", and none arrives either" } else { "" };
        Verdict {
            flow,
            cause: "never-sent",
            fault: Some(Fault::Local),
            confidence: Confidence::Likely,
            why: format!("this host ({sender}) sends {how_much} to {}{also}", flow.endpoint),
            remedy: format!(
                "Find out why nothing is sent from here to {}: codec, audio device, bridge, media process; if it waits for the \
                 other side's first packet, let it send first",
                flow.endpoint
            ),
        }
    }

    fn never_arrived(&self, flow: &'a Flow) -> Verdict<'a> {
        let claims = flow.sender_rtcp.as_ref().and_then(|r| r.sent_packets).filter(|n| *n > 0);
        let (fault, told) = match claims {
            Some(n) => (Fault::Network, format!(", though its RTCP says that it sent {n} packets")),
            None => (Fault::Remote, String::new()),
        };
        let sent = self.audio.towards(flow.from()).packets;
        let beside = match self.waits {
            Some(_) => "and none on the other leg that could be passed on".to_owned(),
            None => format!("{sent} packets were sent the other way"),
        };
        Verdict {
            flow,
            cause: "never-arrived",
            fault: Some(fault),
            confidence: Confidence::Likely,
            why: format!("no RTP arrives at {}, {beside}{told}", flow.endpoint),
            remedy: format!(
                "Open UDP {} (and the rest of the RTP port range) towards this host in every firewall and NAT on the way, and \
                 ask the peer whether it sends to {}",
                flow.endpoint.port(),
                flow.endpoint
            ),
        }
    }

    fn stopped(&self, flow: &'a Flow) -> Verdict<'a> {
        let FlowState::Stopped(at) = flow.state else { return self.never_arrived(flow) };
        let fault = match (self.extent, flow.travel) {
            (_, Travel::In) if flow.claims_to_send_since(at) => Some(Fault::Network),
            (Extent::One, Travel::In) => Some(Fault::Remote),
            (Extent::One, Travel::Out | Travel::Within) => Some(Fault::Local),
            (Extent::Both, _) | (Extent::One, Travel::Past) => None,
        };
        let what = match self.extent {
            Extent::Both => {
                format!("RTP stopped at {at} in both directions, the last from the {}", name(self.last().from()))
            }
            Extent::One => format!("RTP from the {} to {} stopped at {at}", name(flow.from()), flow.endpoint),
        };
        if let Some(purpose) = self.purpose {
            return Verdict {
                flow,
                cause: "stopped",
                fault: None,
                confidence: Confidence::Possible,
                why: format!("{what}, with the call up and not held; that may be on purpose: {purpose}"),
                remedy: format!(
                    "Ask whether the {} is a menu, a voice mailbox or a queue that waits in silence; to tell that from a fault, \
                     have it send silence or RTCP meanwhile",
                    name(flow.from())
                ),
            };
        }
        Verdict {
            flow,
            cause: "stopped",
            fault,
            confidence: Confidence::Likely,
            why: format!("{what}, with the call up and not held"),
            remedy:
                "Look at what happened at that moment on the path and at both ends: route change, firewall state lost, \
                     process restarted, audio device gone"
                    .to_owned(),
        }
    }

    /// The direction that went on for longer.
    fn last(&self) -> &'a Flow {
        if self.other.last_at > self.missing.last_at { self.other } else { self.missing }
    }
}

/// A verdict on one direction, and what refuses the other one: each has a reason of its own.
fn told_with<'a>(verdict: Verdict<'a>, other: Option<&&'a Flow>) -> Verdict<'a> {
    let Some(flow) = other else { return verdict };
    let other = match flow.refusal.and_then(|r| r.local_cause()) {
        Some(cause) => refused_here(flow, cause),
        None => remote_unreachable(flow),
    };
    Verdict {
        why: format!("{}; besides, {}", verdict.why, other.why),
        remedy: format!("{}. {}", verdict.remedy, other.remedy),
        ..verdict
    }
}

fn private_address(flow: &Flow) -> Verdict<'_> {
    let address = flow.private_address.map_or_else(|| flow.endpoint.ip().to_string(), |a| a.to_string());
    let (fault, whose) = match flow.travel {
        Travel::In | Travel::Within if flow.endpoint_is_local => (Fault::Local, "this host".to_owned()),
        Travel::In | Travel::Within | Travel::Out | Travel::Past => (Fault::Remote, format!("the {}", name(flow.to))),
    };
    Verdict {
        flow,
        cause: "sdp-private-address",
        fault: Some(fault),
        confidence: Confidence::Likely,
        why: format!("the SDP of the {} asks for media at the private address {}", name(flow.to), flow.endpoint),
        remedy: format!(
            "Have {whose} put a publicly routable address instead of {address} into its SDP (external media address, STUN or ICE, or a media relay)"
        ),
    }
}

fn refused_here<'a>(flow: &'a Flow, cause: &'static str) -> Verdict<'a> {
    let count = flow.refusal.map_or(0, |r| r.count);
    let reason = flow.refusal.and_then(|r| r.dropped).map(|d| d.name);
    let (endpoint, port, peer) = (flow.endpoint, flow.endpoint.port(), flow.origin.ip());
    let leaves = flow.refusal.is_some_and(|r| r.dropped.is_some() && r.direction == Direction::Out);
    let proof = match (reason, cause) {
        (Some(name), _) => format!("{count} packets {name}"),
        (None, "local-firewall") => format!("{count} times ICMP administratively prohibited"),
        (None, _) => format!("{count} times ICMP port unreachable"),
    };
    let why = match (cause, leaves) {
        ("local-firewall", true) => {
            format!("this host's own firewall drops the RTP that it sends to {endpoint}: {proof}")
        }
        ("neighbour", true) => {
            format!(
                "this host cannot send its RTP to {endpoint}, the next hop does not answer ARP or neighbour discovery: {proof}"
            )
        }
        (_, true) => format!("this host's kernel drops the RTP that it sends to {endpoint}: {proof}"),
        ("local-firewall", false) if reason.is_some() => {
            format!("RTP arrives for {endpoint} and this host's firewall drops it: {proof}")
        }
        ("no-listener", false) if reason.is_some() => {
            format!("RTP arrives for {endpoint} and no process has the port open: {proof}")
        }
        ("socket-overflow", false) => {
            format!("RTP arrives for {endpoint} and its process does not read it, the receive buffer is full: {proof}")
        }
        ("rp-filter", false) => {
            format!(
                "RTP arrives for {endpoint} by an interface that is not the way back to {peer}, and is dropped: {proof}"
            )
        }
        ("checksum", false) => {
            format!("RTP arrives for {endpoint} with a wrong checksum, and is dropped: {proof}")
        }
        (_, false) if reason.is_some() => {
            format!("RTP arrives for {endpoint} and this host's kernel drops it: {proof}")
        }
        (_, false) => format!("RTP arrives for {endpoint} and this host itself refuses it, {proof}"),
    };
    let remedy = match (cause, leaves) {
        ("local-firewall", true) => {
            format!(
                "Allow outbound UDP to {endpoint} (the peers' RTP ports) in this host's firewall: `nft list ruleset`"
            )
        }
        ("local-firewall", false) => {
            format!("Allow inbound UDP {port} and the rest of the RTP port range in this host's firewall")
        }
        ("no-listener", _) => format!(
            "No process of this host listens on UDP {port}: check the media process and the port its SDP announced"
        ),
        ("socket-overflow", _) => format!(
            "Find out why the process that has UDP {port} open does not read it (hung, starved of CPU), or raise \
             net.core.rmem_max and its receive buffer"
        ),
        ("rp-filter", _) => format!(
            "Set net.ipv4.conf.all.rp_filter and that of the interface to 2 (loose), or route {peer} by the interface its packets come in by"
        ),
        ("neighbour", _) => format!(
            "See `ip neigh show` and `ip route get {}`: the next hop is down, in another VLAN or under another netmask",
            endpoint.ip()
        ),
        ("checksum", _) => format!(
            "Look for a device, driver or tunnel on the way from {peer} that damages packets or computes their checksums \
             wrongly; `ethtool -K INTERFACE rx off` tells whether the card does"
        ),
        _ => format!("Look up the kernel's drop reason {} for this host", reason.unwrap_or("given")),
    };
    let fault = if matches!(cause, "neighbour" | "checksum") { Fault::Network } else { Fault::Local };
    Verdict { flow, cause, fault: Some(fault), confidence: Confidence::Certain, why, remedy }
}

fn wrong_port(flow: &Flow) -> Verdict<'_> {
    let fault = match flow.travel {
        Travel::In => Some(Fault::Remote),
        Travel::Out | Travel::Within => Some(Fault::Local),
        Travel::Past => None,
    };
    let seen = flow.elsewhere.map_or(flow.endpoint, |e| e.dst);
    Verdict {
        flow,
        cause: "wrong-port",
        fault,
        confidence: Confidence::Certain,
        why: format!(
            "RTP of the {} goes to {seen}, the SDP of the {} said {}",
            name(flow.from()),
            name(flow.to),
            flow.endpoint
        ),
        remedy: format!(
            "Find out why the {} sends to {seen} instead of {}: a SIP ALG or proxy that rewrites SDP, or an SDP that it ignored",
            name(flow.from()),
            flow.endpoint
        ),
    }
}

fn remote_not_receiving(flow: &Flow) -> Verdict<'_> {
    let receiver = name(flow.to);
    let said = match flow.reception {
        Some(block) if flow.sent_in_vain > 0 => {
            format!(
                "its highest sequence number stands still at {} while {} packets were sent",
                block.highest_sequence & 0xffff,
                flow.sent_in_vain
            )
        }
        Some(_) | None => "all of it is lost on the way".to_owned(),
    };
    let fault = match flow.travel {
        Travel::Out | Travel::Within => Fault::Remote,
        Travel::In | Travel::Past => Fault::Network,
    };
    Verdict {
        flow,
        cause: "remote-not-receiving",
        fault: Some(fault),
        confidence: Confidence::Certain,
        why: format!("RTP leaves for {} and the RTCP of the {receiver} says that none arrives: {said}", flow.endpoint),
        remedy: format!(
            "Ask the operator of {} to open UDP {} and the rest of its RTP port range in its firewall and NAT: the packets leave \
             this host and are lost behind it",
            flow.endpoint.ip(),
            flow.endpoint.port()
        ),
    }
}

fn remote_unreachable(flow: &Flow) -> Verdict<'_> {
    let (count, kind, reporter) =
        flow.refusal.map_or((0, IcmpKind::Other, String::new()), |r| (r.count, r.kind, r.reporter.ip().to_string()));
    let fault = match flow.travel {
        Travel::Out | Travel::Within if !flow.refusal.is_some_and(|r| r.is_of_network()) => Some(Fault::Remote),
        Travel::Out | Travel::Within | Travel::In | Travel::Past => Some(Fault::Network),
    };
    Verdict {
        flow,
        cause: "remote-unreachable",
        fault,
        confidence: Confidence::Certain,
        why: format!("RTP to {} is refused, {count} times ICMP {} from {reporter}", flow.endpoint, icmp_name(kind)),
        remedy: match kind {
            IcmpKind::TimeExceeded => format!("Look for a routing loop on the way to {}", flow.endpoint.ip()),
            IcmpKind::PortUnreachable
            | IcmpKind::HostUnreachable
            | IcmpKind::NetUnreachable
            | IcmpKind::Prohibited
            | IcmpKind::TooBig
            | IcmpKind::Other => format!(
                "Ask the operator of {} to open UDP {} (its RTP port range), and check that its SDP names the address it can be reached at",
                flow.endpoint.ip(),
                flow.endpoint.port()
            ),
        },
    }
}
