//! SIP connections do not come up, or break before anything was asked on them.
//!
//! What people notice: calls over this trunk fail at once or after seconds of silence; phones do not register.
//!
//! **Evidence.** TCP connections to a SIP port on which no request was seen. A connection of this host counts at once; of
//! others, three within the window: strangers try ports everywhere.
//!
//! - `refused`: the SYN was answered with a reset, or with an ICMP error.
//! - `timeout`: the SYN was sent four times and never answered.
//! - `reset`: the connection came up, and the server reset it before a request.
//! - `stalled`: one side keeps its receive window closed: its program does not read.
//!
//! **Usual causes.** The server is down or listens on another port or address; a firewall drops or rejects; the server refuses
//! addresses it does not know, or has no file descriptors left; its process hangs.
//!
//! **Remedy.** See whether the server listens on that port (`ss -ltn`) and what lies between; for `stalled` look at the process.

use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity, Value, WireFacts};
use crate::packet::{Direction, IcmpKind};
use crate::tcp::{ConnectionFailure, FailureKind};
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
    let is_stalled = failure.kind == FailureKind::Stalled;
    if !ours && !is_stalled && wire.count < FROM_OTHERS {
        return None;
    }
    let ConnectionFailure { client, server, syns, icmp, .. } = *failure;
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
    evidence.extend(icmp.map(|(kind, by)| ("icmp", format!("{} from {}", said(kind), by.ip()).into())));
    Some(Finding {
        fault: match failure.direction {
            Direction::Out => Some(if icmp.is_some() { Fault::Network } else { Fault::Remote }),
            Direction::In => Some(Fault::Local),
            Direction::Transit => None,
        },
        rests_on_absence_since: (failure.kind == FailureKind::TimedOut).then(|| facts.now - failure.after),
        summary,
        remedy,
        evidence,
        peer: Some(if ours { server } else { client }),
        ..Finding::new(cause, Severity::Warning, confidence)
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
