//! A peer does not serve the calls it is sent: more than one in five of at least ten ends in 408, 480, 500 to 504 or
//! without any answer.
//!
//! What people notice: calls through one trunk fail, "all circuits are busy" or a long silence before the caller gives up.
//!
//! How it is seen: the ends of all calls sent to the peer within five minutes, or the last ten where there were fewer. Each
//! call counts once: an INVITE sent again with credentials is the same attempt, and what a relay passes on is counted where
//! it came from. A call that rang was served: 408 and 480 after that say that nobody picked up. Ten calls in a row that the peer served end the outage.
//!
//! - `timeout`: most of them ended without an answer, or with 408 or 504 from a proxy that got none itself.
//! - `refused`: most of them were answered with 480, 500, 501, 502 or 503.
//!
//! One that names a limit is `trunk-limit`, and an outage that is told as that is not told again here.
//!
//! Usual causes: the peer or its database is down, restarts or is overloaded; the path to it is cut; a firewall swallows
//! what is sent to it; its own carrier is unreachable.
//!
//! Remedy: route around the peer while it lasts, and ask its operator with the codes and Call-IDs given. Where this host
//! is the one that refuses, look into its log for the same Call-IDs.
//!
//! References: RFC 3261 21.4.9, 21.5; RFC 6076 4.8.

use crate::diagnosis::peer_view::{load, percent, proven_by};
use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, PeerFacts, Severity};

/// A peer that does not serve its calls.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "peer-unavailable",
    layer: Layer::Call,
    title: "A peer does not serve the calls sent to it",
    causes: &[
        Cause {
            name: "timeout",
            evidence: "most of the failed calls got no answer, 408 or 504",
            remedy: "Check the path to the peer and whether it runs; route around it meanwhile",
        },
        Cause {
            name: "refused",
            evidence: "most of the failed calls got 480, 500, 501, 502 or 503",
            remedy: "Ask the peer's operator with the codes and Call-IDs; route around it meanwhile",
        },
    ],
    refs: &["RFC 3261 21.5", "RFC 6076 4.8"],
    takes_over: &["failure-pattern", "low-success-rate"],
    asks: Asks::Peer(judge),
};

/// Fewer calls say nothing.
const CALLS: u32 = 10;
/// Share above which it fires, per cent.
const PERCENT: u32 = 20;

fn judge(facts: &PeerFacts<'_>) -> Option<Finding> {
    let peer = facts.peer;
    let ends = peer.availability.ends(facts.now, CALLS);
    let limit = facts.peers.trunk(peer).and_then(|trunk| trunk.unavailable_percent).unwrap_or(PERCENT);
    if ends.total < CALLS || ends.limited > 0 || ends.bad_percent() <= f64::from(limit) {
        return None;
    }
    let unanswered = ends.with(|code| code == 0);
    let timeouts = ends.with(|code| matches!(code, 0 | 408 | 504));
    let (name, codes) = (facts.peers.name(peer), ends.codes_text());
    let (cause, confidence) = if timeouts * 2 > ends.bad {
        ("timeout", if unanswered > 0 { Confidence::Likely } else { Confidence::Certain })
    } else {
        ("refused", Confidence::Certain)
    };
    let remedy = match (cause, peer.is_local) {
        (_, true) => "Look into the log of the SIP service on this host for the Call-IDs given".to_owned(),
        ("timeout", false) => {
            format!("Check that {} is up and that packets to it pass; route calls around {name} meanwhile", peer.addr)
        }
        (_, false) => format!("Ask the operator of {name} with these codes and Call-IDs; route around it meanwhile"),
    };
    let mut evidence = vec![
        ("failed", ends.bad.into()),
        ("attempts", ends.total.into()),
        ("failed_percent", percent(ends.bad_percent())),
        ("codes", codes.clone().into()),
        ("since", ends.since.to_string().into()),
    ];
    evidence.extend(load(facts));
    Some(Finding {
        fault: Some(if peer.is_local { Fault::Local } else { Fault::Remote }),
        summary: format!("{} of the last {} calls to {name} failed: {codes}", ends.bad, ends.total),
        remedy,
        evidence,
        peer: Some(peer.addr),
        rests_on_absence_since: (unanswered > 0).then_some(ends.since),
        calls: Some(proven_by(ends.bad, &peer.availability)),
        ..Finding::new(cause, Severity::Critical, confidence)
    })
}
