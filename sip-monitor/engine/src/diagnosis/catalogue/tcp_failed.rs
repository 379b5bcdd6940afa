//! SIP connections do not come up, or break before anything was asked on them.
//!
//! What people notice: calls over this trunk fail at once or after seconds of silence; phones do not register.
//!
//! **Evidence.** TCP connections to a SIP port on which no request was seen. A connection of this host counts at once; of
//! others, three within the window: strangers try ports everywhere. Where this host's kernel says that a firewall rule drops
//! what opens the connection (Linux 5.17 and newer, live), one is enough for a trunk and for whoever is no stranger; what it keeps out
//! of others is its purpose and only information.
//!
//! - `refused`: the SYN was answered with a reset, or with an ICMP error.
//! - `local-firewall`: a netfilter rule of this host drops the SYN, or the SYN-ACK that answers it, four times over 3 s or more. A
//!   SYN that is dropped on its way out is seen on no interface.
//! - `timeout`: the SYN was sent four times and never answered.
//! - `reset`: the connection came up, and the server reset it before a request.
//! - `stalled`: one side keeps its receive window closed: its program does not read.
//!
//! **Usual causes.** The server is down or listens on another port or address; a firewall drops or rejects; the server refuses
//! addresses it does not know, or has no file descriptors left; its process hangs.
//!
//! **Remedy.** See whether the server listens on that port (`ss -ltn`) and what lies between; for `stalled` look at the process, for
//! `local-firewall` at this host's own rules.

use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity, Value, WireFacts};
use crate::packet::{Direction, IcmpKind};
use crate::tcp::{ConnectionFailure, DroppedOpening, FailureKind};
use crate::wire::Sign;

/// Connections that failed before a request.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "tcp-failed",
    layer: Layer::Host,
    title: "SIP connections are refused, time out, are reset or stall before a request",
    causes: &[
        Cause {
            name: "refused",
            evidence: "the SYN was answered with a reset or an ICMP error",
            remedy: "See whether anything listens on that address and port, and whether a firewall rejects",
        },
        Cause {
            name: "local-firewall",
            evidence: "the kernel of this host drops the SYN, or the answer to it, for a netfilter rule",
            remedy: "Allow SIP over TCP in this host's firewall: `nft list ruleset`",
        },
        Cause {
            name: "timeout",
            evidence: "the SYN was sent four times without an answer",
            remedy: "See whether the server is up and whether a firewall on the way drops the packets",
        },
        Cause {
            name: "reset",
            evidence: "the server reset the connection before a request was sent on it",
            remedy: "See in the server's log why it does not accept this client",
        },
        Cause {
            name: "stalled",
            evidence: "one side advertised a window of 0 three times within 5 s or more, and nothing was sent meanwhile",
            remedy: "See why the program on that side does not read its socket",
        },
    ],
    refs: &["RFC 3261 18.1.1", "RFC 9293 3.5", "RFC 9293 3.8.6.1"],
    asks: Asks::Wire(judge),
    takes_over: &[],
};

/// Failures that count where this host did not open the connection itself.
const FROM_OTHERS: u64 = 3;

fn judge(facts: &WireFacts<'_>) -> Option<Finding> {
    let wire = facts.wire;
    let Sign::Connection(failure) = &wire.sign else { return None };
    let ours = failure.direction == Direction::Out;
    let counts_at_once = match failure.kind {
        FailureKind::Stalled => true,
        FailureKind::DroppedHere => facts.is_known,
        FailureKind::Refused | FailureKind::TimedOut | FailureKind::Reset => false,
    };
    if !ours && !counts_at_once && wire.count < FROM_OTHERS {
        return None;
    }
    let keeps_strangers_out = failure.kind == FailureKind::DroppedHere && !ours && !facts.is_known;
    let ConnectionFailure { client, server, syns, icmp, dropped, .. } = *failure;
    let after = failure.after.as_secs_f64();
    let (cause, confidence, summary, remedy) = match failure.kind {
        FailureKind::Refused => (
            "refused",
            Confidence::Certain,
            match icmp {
                Some((kind, by)) => format!(
                    "{} answered the SIP connection from {} to {server} with ICMP {}",
                    by.ip(),
                    client.ip(),
                    said(kind)
                ),
                None => format!("{server} refused the SIP connection from {} with a reset", client.ip()),
            },
            format!(
                "See whether a SIP server listens on {server} over TCP, and whether a firewall rejects {}",
                client.ip()
            ),
        ),
        FailureKind::TimedOut => (
            "timeout",
            Confidence::Likely,
            format!("{server} did not answer {syns} SYNs of {} in {after:.1} s", client.ip()),
            format!("See whether {} is up and whether a firewall drops TCP to port {}", server.ip(), server.port()),
        ),
        FailureKind::DroppedHere => {
            let leaves = dropped.is_some_and(|dropped| dropped.direction == Direction::Out);
            let (what, way) = match (ours, leaves) {
                (true, true) => ("the SYNs", format!("outbound TCP from {} to {server}", client.ip())),
                (true, false) => ("the answers to the SYNs", format!("TCP from {server} to {}", client.ip())),
                (false, true) => ("its answers to the SYNs", format!("outbound TCP from {server} to {}", client.ip())),
                (false, false) => ("the SYNs", format!("TCP from {} to {server}", client.ip())),
            };
            (
                "local-firewall",
                Confidence::Certain,
                format!(
                    "The SIP connection from {} to {server} does not come up: this host's firewall drops {what}",
                    client.ip()
                ),
                format!("Allow {way} in this host's firewall: `nft list ruleset`"),
            )
        }
        FailureKind::Reset => (
            "reset",
            Confidence::Certain,
            format!(
                "{server} accepted the connection from {} and reset it after {after:.1} s, before a request",
                client.ip()
            ),
            format!("See in the log of {} why it does not want {}", server.ip(), client.ip()),
        ),
        FailureKind::Stalled => (
            "stalled",
            Confidence::Likely,
            format!("{server} has told {client} for {after:.1} s that it takes no more bytes: its receive window is 0"),
            format!("See why the SIP program on {} does not read its socket: it hangs, or is overloaded", server.ip()),
        ),
    };
    let mut evidence: Vec<(&'static str, Value)> =
        vec![("client", client.to_string().into()), ("server", server.to_string().into())];
    evidence.push(("connections", wire.count.into()));
    if syns > 0 {
        evidence.push(("syns", u64::from(syns).into()));
    }
    evidence.push(("after_ms", u64::try_from(failure.after.as_millis()).unwrap_or(u64::MAX).into()));
    evidence.extend(dropped.into_iter().flat_map(|DroppedOpening { drop, .. }| {
        [
            ("drop_reason", drop.name.into()),
            ("dropped_packets", drop.count.into()),
            ("dropped_since", drop.first_at.to_string().into()),
        ]
    }));
    evidence.extend(icmp.map(|(kind, by)| ("icmp", format!("{} from {}", said(kind), by.ip()).into())));
    Some(Finding {
        fault: match failure.direction {
            Direction::In | Direction::Out if dropped.is_some() => Some(Fault::Local),
            Direction::Out => Some(if icmp.is_some() { Fault::Network } else { Fault::Remote }),
            Direction::In => Some(Fault::Local),
            Direction::Transit => None,
        },
        rests_on_absence_since: (failure.kind == FailureKind::TimedOut).then(|| facts.now - failure.after),
        summary,
        remedy,
        evidence,
        peer: Some(if ours { server } else { client }),
        ..Finding::new(cause, if keeps_strangers_out { Severity::Info } else { Severity::Warning }, confidence)
    })
}

const fn said(kind: IcmpKind) -> &'static str {
    match kind {
        IcmpKind::PortUnreachable => "port unreachable",
        IcmpKind::HostUnreachable => "host unreachable",
        IcmpKind::NetUnreachable => "network unreachable",
        IcmpKind::Prohibited => "administratively prohibited",
        IcmpKind::TimeExceeded => "time exceeded",
        IcmpKind::TooBig => "packet too big",
        IcmpKind::Other => "error",
    }
}
