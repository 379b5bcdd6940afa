//! More than one in twenty messages to or from a peer had to be sent again.
//!
//! What people notice: calls take longer to come up, some fail, and the load of the servers rises.
//!
//! How it is seen: all messages exchanged with the peer within five minutes, a hundred at least. A packet captured twice is
//! one message, and a request that never gets an answer is no loss but a silence, which has codes of its own.
//!
//! - `request-loss`: requests to the peer are repeated, and the answer comes right after a repetition: those before got lost.
//! - `response-loss`: the peer repeats requests that were answered already: the answers got lost.
//! - `slow-peer`: the answer comes, but later than T1 after the request, whenever that was repeated: nothing got lost.
//!
//! Usual causes: loss on the path (a full link, a bad cable, a policer); a peer that is overloaded; a T1 below the round trip.
//!
//! Remedy: measure loss to the peer in the direction named; where it is slow, have its load looked at, or raise T1 on
//! satellite links.
//!
//! References: RFC 3261 17.1.1.2, 17.1.2.2.

use crate::diagnosis::peer_view::percent;
use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, PeerFacts, Severity};

/// Too much of what is exchanged with a peer is sent again.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "excess-retransmission",
    layer: Layer::Transaction,
    title: "Too many messages to or from a peer have to be sent again",
    causes: &[
        Cause {
            name: "request-loss",
            evidence: "answers come right after a repetition of their request",
            remedy: "Look for loss on the way to the peer",
        },
        Cause {
            name: "response-loss",
            evidence: "the peer repeats requests that were answered",
            remedy: "Look for loss of what is sent to the peer in answer",
        },
        Cause {
            name: "slow-peer",
            evidence: "answers come later than T1, whenever the request was repeated",
            remedy: "Have the peer's load looked at, or raise T1 if the path is that long",
        },
    ],
    refs: &["RFC 3261 17.1.1.2", "RFC 3261 17.1.2.2"],
    takes_over: &[],
    asks: Asks::Peer(judge),
};

/// Fewer messages say nothing.
const MESSAGES: u32 = 100;
/// Share above which it fires, per cent.
const PERCENT: f64 = 5.0;

fn judge(facts: &PeerFacts<'_>) -> Option<Finding> {
    let counts = facts.peer.repeats.counts(facts.now);
    if counts.messages < MESSAGES || counts.percent() <= PERCENT {
        return None;
    }
    let (name, addr) = (facts.peers.name(facts.peer), facts.peer.addr);
    let causes = [
        ("slow-peer", counts.slow_answer),
        ("response-loss", counts.response_lost),
        ("request-loss", counts.request_lost),
    ];
    let (cause, _) = causes.into_iter().max_by_key(|(_, count)| *count)?;
    let (fault, what, remedy) = match cause {
        "request-loss" => (Fault::Network, "requests to it get lost", format!("Measure packet loss towards {addr}")),
        "response-loss" => (
            Fault::Network,
            "it repeats requests that were answered: the answers get lost",
            format!("Measure packet loss of what is sent back to {addr}"),
        ),
        _ => (Fault::Remote, "its answers come later than T1", format!("Have the load of {name} looked at")),
    };
    Some(Finding {
        fault: Some(fault),
        summary: format!(
            "{} of {} messages exchanged with {name} were repetitions ({:.0} %): {what}",
            counts.repeated(),
            counts.messages,
            counts.percent()
        ),
        remedy,
        evidence: vec![
            ("messages", counts.messages.into()),
            ("repeated_percent", percent(counts.percent())),
            ("request_lost", counts.request_lost.into()),
            ("response_lost", counts.response_lost.into()),
            ("slow_answer", counts.slow_answer.into()),
        ],
        peer: Some(addr),
        ..Finding::new(cause, Severity::Warning, Confidence::Likely)
    })
}
