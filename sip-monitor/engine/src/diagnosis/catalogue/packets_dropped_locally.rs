//! This host's own kernel drops SIP or RTP.
//!
//! What people notice: calls from one carrier never come through though its packets arrive, as a capture on the host shows;
//! options pings fail; audio has gaps that no counter of the network explains. A capture shows packets before the kernel
//! drops them, so that all looks well in it.
//!
//! **Evidence.** The kernel says why it frees a packet (`kfree_skb`, Linux 5.17 and newer, live only). For SIP, over UDP or TCP: four
//! packets over 3 s or more, to or from a trunk or somebody with whom calls or registrations succeeded or whom this host calls
//! itself; what a firewall keeps out that never was let in is its purpose, and what this host answers to
//! strangers who asked first is information where it is dropped. Of TCP only reasons and segments count with which something is lost: what asks for or accepts a connection, and
//! payload. For RTP: 3 to 90 % of a stream of a call
//! over 5 s or more; a stream that is dropped as a whole is told of by `one-way-audio` and `blocked-rtp`. A stream that belongs
//! to no call seen here, dropped from its first packet on, is told as information, and so is RTCP of a call.
//!
//! - `netfilter`: a rule of nftables or iptables.
//! - `no-socket`: no process has the port open.
//! - `socket-rcvbuf`: the receive buffer is full: the process does not read, or not fast enough. One that only plays is no fault.
//! - `checksum`: they arrive damaged, or with a checksum that somebody on the way computed wrongly.
//! - `rp-filter`: they come by an interface that is not the way back to their source.
//! - `neighbour`: the link-layer address of the next hop cannot be found (ARP, neighbour discovery).
//! - `no-route`: there is no route to the destination, or none back to the source.
//! - `queue-full`: a queue of a network card, a CPU or a queueing discipline is full.
//!
//! **Usual causes.** The carrier's address is in the host's own block list; a rule that limits the rate; a service that
//! crashed or listens on another address; a process that is starved of CPU.
//!
//! **Remedy.** As the reason says. Where another alert tells of the same packets (an unanswered request, a BYE, a connection that does
//! not come up), this one does not fire.

use crate::diagnosis::{
    Asks, Cause, Confidence, Diagnosis, DropsFacts, Fault, Finding, Layer, ProvenBy, Severity, UNKNOWN, Value,
};
use crate::drops::DroppedFlow;
use crate::packet::{Direction, DropReason, DroppedSegment, DroppedTraffic};

/// SIP or RTP that the kernel freed.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "packets-dropped-locally",
    layer: Layer::Host,
    title: "This host's kernel drops SIP or RTP",
    causes: &[
        Cause {
            name: "netfilter",
            evidence: "the kernel frees the packets for a netfilter rule",
            remedy: "Find the rule with `nft list ruleset` (or `iptables-save -c`) and allow the peer or the port",
        },
        Cause {
            name: "no-socket",
            evidence: "the kernel frees the packets since no process has the port open",
            remedy: "Start the service, or let it bind the address and port that the packets go to (`ss -lun`)",
        },
        Cause {
            name: "socket-rcvbuf",
            evidence: "the kernel frees the packets since the socket's receive buffer is full",
            remedy: "See why the process does not read fast enough; raise `net.core.rmem_max` and the service's own setting",
        },
        Cause {
            name: "checksum",
            evidence: "the kernel frees the packets for a wrong checksum",
            remedy: "Look for a device or driver that damages packets: compare with `ethtool -K INTERFACE rx off`",
        },
        Cause {
            name: "rp-filter",
            evidence: "the kernel frees the packets by the reverse path filter",
            remedy: "Set `net.ipv4.conf.INTERFACE.rp_filter` to 2 (loose), or add the route back to the peer",
        },
        Cause {
            name: "neighbour",
            evidence: "the kernel frees the packets since the next hop does not answer ARP or neighbour discovery",
            remedy: "See `ip neigh show` and whether the next hop is up, in this VLAN and under this netmask",
        },
        Cause {
            name: "no-route",
            evidence: "the kernel frees the packets since it has no route",
            remedy: "Add the route: `ip route get ADDRESS` tells what the kernel would do",
        },
        Cause {
            name: "queue-full",
            evidence: "the kernel frees the packets since a queue of it is full",
            remedy: "See `tc -s qdisc`, `ethtool -S` and the load of each CPU: too much traffic, or a shaper",
        },
    ],
    refs: &["RFC 1122 3.3.8", "RFC 3704 2.2", "RFC 1122 2.3.2.2"],
    takes_over: &[],
    asks: Asks::Drops(judge),
};

/// Fewer packets of signalling say nothing.
const SIGNALLING: u64 = 4;
/// Fewer packets of media say nothing.
const MEDIA: u64 = 20;
/// Those of signalling are so far apart at least: a burst is repaired by retransmission.
const SPREAD: core::time::Duration = core::time::Duration::from_secs(3);
/// Fewer packets of RTCP, or over less time, say nothing: it comes every 5 s (RFC 3550 6.2).
const RTCP: u64 = 3;
const RTCP_LASTING: core::time::Duration = core::time::Duration::from_secs(8);
/// Those of media must go on for so long.
const LASTING: core::time::Duration = core::time::Duration::from_secs(5);
/// A smaller part of a stream is not heard; more is told as missing audio.
const HEARD: core::ops::Range<f64> = 0.03..0.9;
/// Addresses and ports named in the evidence.
const NAMED: usize = 8;

fn judge(facts: &DropsFacts<'_>) -> Option<Finding> {
    let drops = facts.drops;
    let key = drops.key;
    let lasts = |f: &&DroppedFlow| f.last_at.since(f.first_at) >= LASTING;
    let (flows, severity, confidence): (Vec<&DroppedFlow>, _, _) = match key.traffic {
        DroppedTraffic::Media => {
            let many = || drops.flows.iter().filter(lasts).filter(|f| f.packets >= MEDIA);
            let of_calls: Vec<_> = many().filter(|f| is_heard_in_part(f)).collect();
            if of_calls.is_empty() {
                let lonely = many().filter(|f| is_lost_without_call(f, key.reason)).collect();
                (lonely, Severity::Warning, Confidence::Possible)
            } else {
                (of_calls, Severity::Warning, Confidence::Certain)
            }
        }
        DroppedTraffic::Rtcp => {
            let is_lost = |f: &&DroppedFlow| f.packets >= RTCP && f.last_at.since(f.first_at) >= RTCP_LASTING;
            let of_calls = drops.flows.iter().filter(|f| f.standing.has_call).filter(is_lost).collect();
            (of_calls, Severity::Info, Confidence::Certain)
        }
        DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort => {
            let told = |f: &DroppedFlow| f.standing.explained_until.is_some_and(|until| until > facts.now);
            let concerns = |f: &&DroppedFlow| {
                f.segment != Some(DroppedSegment::Ack) && concerns_service(f, key.traffic, key.direction, key.reason)
            };
            let (known, strange): (Vec<_>, Vec<_>) =
                drops.flows.iter().filter(|f| !told(f)).filter(concerns).partition(|f| is_missed(f, key.direction));
            // What is kept from strangers does not count among what is missed.
            if is_enough(&known) {
                (known, Severity::Warning, Confidence::Certain)
            } else {
                (strange, Severity::Info, Confidence::Certain)
            }
        }
    };
    let (first, last) = (flows.iter().map(|f| f.first_at).min()?, flows.iter().map(|f| f.last_at).max()?);
    let packets: u64 = flows.iter().map(|f| f.packets).sum();
    let is_sip = matches!(key.traffic, DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort);
    if is_sip && !is_enough(&flows) {
        return None;
    }
    let case = Case { facts, flows: &flows };
    let (cause, why, remedy) = case.cause();
    let mut evidence: Vec<(&'static str, Value)> = vec![
        ("reason", case.reasons().into()),
        ("way", if key.direction == Direction::Out { "out" } else { "in" }.into()),
        ("packets", packets.into()),
        ("since", first.to_string().into()),
        ("last_at", last.to_string().into()),
        ("ports", case.ports()),
        ("peers", case.peers()),
    ];
    let share = flows.iter().filter_map(|f| f.standing.share).fold(0.0, f64::max);
    if key.traffic == DroppedTraffic::Media {
        evidence.push(("share_percent", ((share * 1_000.0).round() / 10.0).into()));
    }
    let samples: Vec<String> = drops.samples.iter().map(ToString::to_string).collect();
    Some(Finding {
        fault: Some(if matches!(cause, "checksum" | "neighbour") { Fault::Network } else { Fault::Local }),
        summary: format!("{why}: {packets} packets {} ({})", case.between(), case.reasons()),
        remedy,
        evidence,
        peer: case.only_peer(),
        calls: (drops.calls > 0).then_some(ProvenBy { count: drops.calls, sample_call_ids: samples }),
        identity: Some(format!("{:?} {} {} {:?}", key.traffic, key.tcp, key.local, key.direction)),
        ..Finding::new(cause, severity, confidence)
    })
}

/// So much signalling, over so much time, that it is no burst which retransmissions repair.
fn is_enough(flows: &[&DroppedFlow]) -> bool {
    let (first, last) = (flows.iter().map(|f| f.first_at).min(), flows.iter().map(|f| f.last_at).max());
    let spread = first.zip(last).is_some_and(|(first, last)| last.since(first) >= SPREAD);
    spread && flows.iter().map(|f| f.packets).sum::<u64>() >= SIGNALLING
}

/// Whether somebody misses what is dropped: not a stranger who asked first and is kept from the answers, for that may be a scanner.
/// Whom this host sends to unasked, it wants to reach.
fn is_missed(flow: &DroppedFlow, direction: Direction) -> bool {
    let is_answer = flow.standing.asked_first || flow.segment == Some(DroppedSegment::SynAck);
    flow.standing.is_known || direction != Direction::Out || !is_answer
}

/// Of a call, and only a part of the stream.
fn is_heard_in_part(flow: &DroppedFlow) -> bool {
    flow.standing.has_call && flow.standing.share.is_some_and(|share| HEARD.contains(&share))
}

/// A whole stream that no call is known to take. Who does not read a socket may only play, and what is sent into the void was
/// never seen to be RTP.
fn is_lost_without_call(flow: &DroppedFlow, reason: DropReason) -> bool {
    let standing = &flow.standing;
    let is_plain = matches!(reason, DropReason::Netfilter | DropReason::NoSocket | DropReason::ReversePathFilter);
    !standing.has_call
        && is_plain
        && standing.from_the_start
        && flow.local(Direction::In) == flow.dst
        && standing.share.is_some_and(|share| share >= HEARD.end)
}

/// Whether the loss is one of this host's service: a client's port that is closed by now misses nothing, and a stranger who is
/// kept out is meant to be.
fn concerns_service(flow: &DroppedFlow, traffic: DroppedTraffic, direction: Direction, reason: DropReason) -> bool {
    match (direction, reason) {
        (Direction::Transit, _) => false,
        (Direction::Out, _) | (Direction::In, DropReason::SocketReceiveBuffer | DropReason::QueueFull) => true,
        (Direction::In, DropReason::NoSocket) => traffic == DroppedTraffic::ToSipPort && flow.standing.is_known,
        (Direction::In, _) => flow.standing.is_known,
    }
}

struct Case<'a> {
    facts: &'a DropsFacts<'a>,
    flows: &'a [&'a DroppedFlow],
}

impl Case<'_> {
    /// Cause, what happens, and what to do.
    fn cause(&self) -> (&'static str, String, String) {
        let key = self.facts.drops.key;
        let what = match key.traffic {
            DroppedTraffic::Media => "RTP",
            DroppedTraffic::Rtcp => "RTCP",
            DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort if key.tcp => "SIP over TCP",
            DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort => "SIP",
        };
        let transport = if key.tcp { "TCP" } else { "UDP" };
        let place = self.place();
        let leaves = key.direction == Direction::Out;
        let way = if leaves {
            format!("{what} that it sends from {place}")
        } else {
            format!("{what} that arrives for {place}")
        };
        let peers = self.remotes();
        let peers = peers.iter().map(|(ip, _)| ip.to_string()).collect::<Vec<_>>().join(", ");
        match key.reason {
            DropReason::Netfilter => (
                "netfilter",
                format!("This host's firewall drops {way}"),
                format!(
                    "Find the rule with `nft list ruleset` (or `iptables-save -c`) and allow {transport} {} {peers} {} {}",
                    if leaves { "to" } else { "from" },
                    if leaves { "from port" } else { "to port" },
                    self.port_names()
                ),
            ),
            DropReason::NoSocket => (
                "no-socket",
                format!("No process has the port open for {what} that arrives for {place}"),
                format!("Start the service, or let it bind {place}: `ss -lun` shows what listens (port {})", self.port_names()),
            ),
            DropReason::SocketReceiveBuffer => (
                "socket-rcvbuf",
                format!("The receive buffer is full for {what} that arrives for {place}"),
                format!(
                    "See why the process on UDP {} does not read fast enough (hung, starved of CPU); raise net.core.rmem_max \
                     and the service's own receive buffer",
                    self.port_names()
                ),
            ),
            DropReason::Checksum => (
                "checksum",
                format!("{what} arrives for {place} with a wrong checksum"),
                format!(
                    "Look for a device, driver or tunnel on the way from {peers} that damages packets or computes their \
                     checksums wrongly; `ethtool -K INTERFACE rx off` tells whether the card does"
                ),
            ),
            DropReason::ReversePathFilter => (
                "rp-filter",
                format!("{what} arrives for {place} by an interface that is not the way back to its source"),
                format!(
                    "Set net.ipv4.conf.INTERFACE.rp_filter to 2 (loose; 1 is strict), or add a route to {peers} by that interface"
                ),
            ),
            DropReason::Neighbour => (
                "neighbour",
                format!("The next hop does not answer ARP or neighbour discovery for {way}"),
                format!(
                    "See `ip neigh show` and `ip route get` for {peers}: the next hop is down, in another VLAN or under another netmask"
                ),
            ),
            DropReason::NoRoute => (
                "no-route",
                format!("This host has no route for {way}"),
                format!("Add the route: `ip route get` for {peers} tells what the kernel would do"),
            ),
            DropReason::QueueFull => (
                "queue-full",
                format!("A queue of this host is full for {way}"),
                "See `tc -s qdisc`, `ethtool -S INTERFACE` and the load of each CPU: too much traffic for it, or a shaper"
                    .to_owned(),
            ),
            DropReason::Other => (
                UNKNOWN,
                format!("This host's kernel drops {way}"),
                format!("See what the kernel means by {}", self.reasons()),
            ),
        }
    }

    /// The address and port of this host, or its address where many ports are concerned.
    fn place(&self) -> String {
        let local = self.facts.drops.key.local;
        if local.port() == 0 { local.ip().to_string() } else { local.to_string() }
    }

    fn between(&self) -> String {
        let (way, remotes) = (self.facts.drops.key.direction, self.remotes());
        let word = if way == Direction::Out { "to" } else { "from" };
        match remotes.as_slice() {
            [(only, _)] => format!("{word} {only}"),
            many => format!("{word} {} peers", many.len()),
        }
    }

    /// Addresses on the other side with packets, those hit most first.
    fn remotes(&self) -> Vec<(core::net::IpAddr, u64)> {
        most(self.flows.iter().map(|f| (f.remote(self.facts.drops.key.direction), f.packets)))
    }

    /// Ports of this host with packets, those hit most first.
    fn local_ports(&self) -> Vec<(u16, u64)> {
        most(self.flows.iter().map(|f| (f.local(self.facts.drops.key.direction).port(), f.packets)))
    }

    fn port_names(&self) -> String {
        let ports = self.local_ports();
        let names: Vec<String> = ports.iter().take(NAMED).map(|(port, _)| port.to_string()).collect();
        if ports.len() > NAMED { format!("{} and others", names.join(", ")) } else { names.join(", ") }
    }

    fn ports(&self) -> Value {
        counted(self.local_ports())
    }

    fn peers(&self) -> Value {
        counted(self.remotes())
    }

    fn only_peer(&self) -> Option<core::net::SocketAddr> {
        let way = self.facts.drops.key.direction;
        let first = self.flows.first()?;
        let is_same = |f: &&DroppedFlow| f.remote(way) == first.remote(way);
        let end = if way == Direction::Out { first.dst } else { first.src };
        self.flows.iter().all(is_same).then_some(end)
    }

    fn reasons(&self) -> String {
        let mut names: Vec<&str> = self.flows.iter().map(|f| f.name).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }
}

/// Sums by name, the largest first; of like ones the lower name.
fn most<K: Ord + Copy>(counts: impl Iterator<Item = (K, u64)>) -> Vec<(K, u64)> {
    let mut sums = std::collections::BTreeMap::<K, u64>::new();
    for (name, count) in counts {
        *sums.entry(name).or_default() += count;
    }
    let mut sums: Vec<(K, u64)> = sums.into_iter().collect();
    sums.sort_by_key(|(name, count)| (core::cmp::Reverse(*count), *name));
    sums
}

fn counted<K: core::fmt::Display>(sums: Vec<(K, u64)>) -> Value {
    Value::List(sums.into_iter().take(NAMED).map(|(name, count)| format!("{name}: {count}").into()).collect())
}
