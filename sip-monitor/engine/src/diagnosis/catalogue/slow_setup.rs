//! Callers wait long before it rings.
//!
//! What people notice: seconds of silence after dialling; they hang up and dial again.
//!
//! How it is seen: the time from the first INVITE of a call to its first 18x or 2xx. It fires for a peer where 95 of 100
//! calls stay only below more than 5 s (twenty calls at least), and for a single call that took more than 11 s.
//!
//! - `peer-slow`: most of the time passed between the last INVITE and the ringing: the peer was searching.
//! - `auth-roundtrip`: most of it passed before the INVITE with credentials was sent.
//! - `failover`: most of it passed with an earlier branch that was given up before another one rang.
//!
//! Usual causes: routes tried one after the other with a timer of seconds each; number lookups and databases that are slow;
//! a client that takes its time to answer a challenge.
//!
//! Remedy: shorten the failover timer or take the dead route out; for a slow peer ask its operator with the Call-IDs.
//!
//! References: RFC 6076 4.3.1.

use core::time::Duration;

use crate::diagnosis::peer_view::{milliseconds, seconds};
use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, PeerFacts, ProvenBy, Severity};
use crate::peer::{Setup, SetupDelay};

/// Calls that take long to ring.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "slow-setup",
    layer: Layer::Call,
    title: "Calls to a peer take long before they ring",
    causes: &[
        Cause {
            name: "peer-slow",
            evidence: "most of the time passed after the last INVITE",
            remedy: "Ask the peer's operator with the Call-IDs: it takes long to route",
        },
        Cause {
            name: "auth-roundtrip",
            evidence: "most of the time passed before the INVITE with credentials",
            remedy: "See why the client answers challenges late; let it send credentials at once, or allow its address",
        },
        Cause {
            name: "failover",
            evidence: "most of the time passed with an earlier branch that was given up",
            remedy: "Take the dead route out or shorten the timer after which the next one is tried",
        },
    ],
    refs: &["RFC 6076 4.3.1"],
    takes_over: &[],
    asks: Asks::Peer(judge),
};

/// Fewer calls have no percentile worth the name.
const CALLS: usize = 20;
/// For 95 of 100 calls.
const SLOW: Duration = Duration::from_secs(5);
/// For a single one.
const VERY_SLOW: Duration = Duration::from_secs(11);
/// How long a single one is of interest.
const RECENT: Duration = Duration::from_secs(300);

fn judge(facts: &PeerFacts<'_>) -> Option<Finding> {
    let setups = &facts.peer.setups;
    if facts.peer.is_local {
        return None;
    }
    let slow = facts.peers.trunk(facts.peer).and_then(|trunk| trunk.slow_setup).unwrap_or(SLOW);
    let p95 = setups.p95().filter(|p95| *p95 > slow && setups.count() >= CALLS);
    let concerned: Vec<&Setup> = match p95 {
        Some(_) => setups.longer_than(slow, crate::Timestamp::ZERO).collect(),
        None => setups.longer_than(VERY_SLOW, facts.now - RECENT).collect(),
    };
    let longest = concerned.iter().map(|setup| setup.delay).max()?;
    let of = |by| concerned.iter().filter(|setup| setup.by == by).count();
    let by =
        [SetupDelay::Failover, SetupDelay::Authentication, SetupDelay::Peer].into_iter().max_by_key(|by| of(*by))?;
    let name = facts.peers.name(facts.peer);
    let (cause, fault, remedy) = match by {
        SetupDelay::Peer => (
            "peer-slow",
            Some(Fault::Remote),
            format!("Ask the operator of {name} with these Call-IDs what it does before it rings"),
        ),
        SetupDelay::Authentication => (
            "auth-roundtrip",
            None,
            format!("See why the INVITE with credentials comes late after the challenge of {name}"),
        ),
        SetupDelay::Failover => (
            "failover",
            None,
            format!("Take the route out that is tried before {name}, or shorten the timer after which it is given up"),
        ),
    };
    let summary = match p95 {
        Some(p95) => format!(
            "Of the last {} calls to {name} 5 in 100 took {} or longer to ring, the longest {}",
            setups.count(),
            seconds(p95),
            seconds(longest)
        ),
        None => format!("A call to {name} took {} to ring", seconds(longest)),
    };
    let mut evidence = vec![("slow_calls", u64::try_from(concerned.len()).unwrap_or(0).into())];
    evidence.push(("calls", u64::try_from(setups.count()).unwrap_or(0).into()));
    evidence.extend(p95.map(|p95| ("p95_ms", milliseconds(p95))));
    evidence.push(("longest_ms", milliseconds(longest)));
    let ids = concerned.iter().rev().filter_map(|setup| setup.call_id.as_ref()).take(5);
    let calls = ProvenBy {
        count: u64::try_from(concerned.len()).unwrap_or(0),
        sample_call_ids: ids.map(|id| id.as_str().to_owned()).collect(),
    };
    Some(Finding {
        fault,
        summary,
        remedy,
        evidence,
        peer: Some(facts.peer.addr),
        calls: Some(calls),
        ..Finding::new(cause, Severity::Warning, Confidence::Certain)
    })
}
