//! A trunk is down: it does not answer its pings, or nothing was heard of it for longer than it may be silent.
//!
//! What people notice: no calls come in, and those that go out fail. "The call does not reach our PBX."
//!
//! How it is seen: OPTIONS requests sent to the peer, and any message to or from a configured trunk.
//!
//! - `unanswered`: three OPTIONS in a row got no answer within 64*T1 each.
//! - `5xx`: three in a row were unanswered or got a 5xx, the last one a 5xx. A 4xx or 6xx comes from somebody who is alive.
//! - `no-traffic`: a configured trunk with `expect_traffic_within` was silent both ways for that long.
//!
//! Usual causes: the peer is down or restarts; its address changed; a firewall or a cut path; on this side a route or a
//! tunnel that is gone.
//!
//! Remedy: see whether packets to the peer leave this host and whether its address still is the right one; route around it
//! meanwhile. The first good answer, or the first message of a silent trunk, ends the alert.
//!
//! References: RFC 3261 11 (OPTIONS), 17.1.2.2 (timer F).

use crate::diagnosis::peer_view::{milliseconds, seconds};
use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, PeerFacts, Severity, Value};
use crate::peer::PingEnd;

/// A trunk that gives no sign of life.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "trunk-down",
    layer: Layer::Host,
    title: "A trunk does not answer its pings, or is silent for longer than it may be",
    causes: &[
        Cause {
            name: "unanswered",
            evidence: "three OPTIONS in a row without an answer",
            remedy: "Check that the peer is up and that packets to and from it pass",
        },
        Cause {
            name: "5xx",
            evidence: "three OPTIONS in a row unanswered or answered with 5xx, the last with 5xx",
            remedy: "Ask the peer's operator: it is reachable but out of service",
        },
        Cause {
            name: "no-traffic",
            evidence: "no message to or from a configured trunk for its expect_traffic_within",
            remedy: "Check that the trunk is registered or routed to this host, and that packets from it arrive",
        },
    ],
    refs: &["RFC 3261 11", "RFC 3261 17.1.2.2"],
    takes_over: &[],
    asks: Asks::Peer(judge),
};

/// So many pings in a row.
const PINGS: u32 = 3;

fn judge(facts: &PeerFacts<'_>) -> Option<Finding> {
    let pings = &facts.peer.pings;
    if pings.bad_in_a_row < PINGS {
        return no_traffic(facts);
    }
    let (name, addr) = (facts.peers.name(facts.peer), facts.peer.addr);
    let (cause, confidence, summary, remedy) = match pings.last? {
        PingEnd::Alive(_) => return None,
        PingEnd::Refused(code) => (
            "5xx",
            Confidence::Certain,
            format!("{name} answered the last of {} bad OPTIONS in a row with {code}", pings.bad_in_a_row),
            format!("Ask the operator of {name}: it is reachable at {addr} but answers {code}"),
        ),
        PingEnd::Unanswered => (
            "unanswered",
            Confidence::Likely,
            format!("{name} has left {} OPTIONS in a row without a good answer", pings.bad_in_a_row),
            format!("Check that {addr} is up and its address still right, and that a firewall lets SIP through"),
        ),
    };
    let mut evidence: Vec<(&'static str, Value)> = vec![("bad_in_a_row", pings.bad_in_a_row.into())];
    evidence.extend(pings.bad_since.map(|at| ("since", at.to_string().into())));
    evidence.extend(pings.good_at.map(|at| ("last_good_at", at.to_string().into())));
    evidence.extend(pings.round_trip.percentile(50).map(|time| ("round_trip_p50_ms", milliseconds(time))));
    evidence.extend(pings.round_trip.percentile(95).map(|time| ("round_trip_p95_ms", milliseconds(time))));
    Some(Finding {
        fault: Some(Fault::Remote),
        summary,
        remedy,
        evidence,
        peer: Some(addr),
        rests_on_absence_since: if cause == "unanswered" { pings.bad_since } else { None },
        ..Finding::new(cause, Severity::Critical, confidence)
    })
}

fn no_traffic(facts: &PeerFacts<'_>) -> Option<Finding> {
    let peer = facts.peer;
    let silent = facts.peers.overdue(peer, facts.now)?;
    let trunk = facts.peers.trunk(peer)?;
    let within = trunk.expect_traffic_within?;
    let last = match peer.last_at {
        Some(at) => format!("the last at {at}"),
        None => "none since the monitor began".to_owned(),
    };
    let mut evidence = vec![("expected_within_s", within.as_secs().into()), ("silent_ms", milliseconds(silent))];
    evidence.extend(peer.last_at.map(|at| ("last_message_at", at.to_string().into())));
    Some(Finding {
        summary: format!("No message to or from trunk {} for {}: {last}", trunk.name, seconds(silent)),
        remedy: format!(
            "Check that {} is registered or routed to this host; raise its expect_traffic_within if such silence is normal",
            trunk.name
        ),
        evidence,
        peer: (!peer.addr.ip().is_unspecified()).then_some(peer.addr),
        identity: Some(trunk.name.clone()),
        rests_on_absence_since: Some(peer.last_at.unwrap_or(peer.first_at)),
        ..Finding::new("no-traffic", Severity::Critical, Confidence::Likely)
    })
}
