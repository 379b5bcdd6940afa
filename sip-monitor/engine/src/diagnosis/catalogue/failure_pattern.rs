//! Calls that used to work fail: to one number, from one number, with one code, or all calls to a peer.
//!
//! What people notice: "since this morning nobody reaches that number", "all calls of this customer fail".
//!
//! How it is seen: the share of failed calls of each called number, each caller, each code and the peer itself within the
//! last five minutes, against what was usual before: a baseline of at least fifty calls and ten minutes. It fires for at
//! least five failures whose share is three standard deviations above. What departs never becomes the baseline, and a
//! quiet night does not empty it. Busy, cancelled and declined calls are what users do, not failures. Of several causes
//! the first that explains at least four in five of the failures is named.
//!
//! - `called-number`: the failed calls went to one number.
//! - `caller`: they came from one number.
//! - `code`: they failed with one code.
//! - `trunk`: they have nothing in common but the peer.
//!
//! Usual causes: a number that was ported, blocked or mistyped in a campaign; a customer whose caller ID or account was
//! changed; a route that was changed at the carrier.
//!
//! Remedy: compare a failed call with one that worked before the time given.
//!
//! References: RFC 6076 4.6.

use crate::diagnosis::peer_view::{percent, proven_by};
use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Finding, Layer, PeerFacts, Severity, Value};
use crate::peer::Common;

/// Calls that used to work and fail.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "failure-pattern",
    layer: Layer::Call,
    title: "Calls with something in common fail more often than they use to",
    causes: &[
        Cause {
            name: "called-number",
            evidence: "the failed calls went to one number",
            remedy: "Check that number: ported, blocked, mistyped?",
        },
        Cause {
            name: "caller",
            evidence: "the failed calls came from one number",
            remedy: "Check that caller's account and caller ID",
        },
        Cause {
            name: "code",
            evidence: "the calls failed with one status code",
            remedy: "Look at what changed for that code at the peer, or in what is sent to it",
        },
        Cause {
            name: "trunk",
            evidence: "the failed calls have nothing in common but the peer",
            remedy: "Ask the peer's operator what changed at the time given",
        },
    ],
    refs: &["RFC 6076 4.6"],
    takes_over: &["low-success-rate"],
    asks: Asks::Peer(judge),
};

fn judge(facts: &PeerFacts<'_>) -> Option<Finding> {
    let peer = facts.peer;
    if peer.is_local || peer.success.ends(facts.now, 1).limited > 0 {
        return None;
    }
    let found = peer.patterns.as_deref()?.departure(facts.now)?;
    let (name, value) = (facts.peers.name(peer), found.value.as_str());
    // As a URI, so that user names are hidden as everywhere.
    let number =
        |value: &str| if value.starts_with('+') { value.to_owned() } else { format!("sip:{value}@{}", peer.addr.ip()) };
    let (cause, what, remedy) = match found.common {
        Common::CalledNumber => (
            "called-number",
            format!("calls to {} over {name}", number(value)),
            format!("Check the number {}: ported, blocked, mistyped?", number(value)),
        ),
        Common::Caller => (
            "caller",
            format!("calls of {} over {name}", number(value)),
            format!("Check the account and caller ID of {} at {name}", number(value)),
        ),
        Common::Code if value == "0" => {
            ("code", format!("calls to {name} without an answer"), format!("Check the path to {name}"))
        }
        Common::Code => (
            "code",
            format!("calls to {name}"),
            format!("Ask {name} what changed: calls that it used to take end in {value}"),
        ),
        Common::Trunk => ("trunk", format!("calls to {name}"), format!("Ask the operator of {name} what changed")),
    };
    let how = match found.common {
        Common::Code if value != "0" => format!("failed with {value}"),
        Common::CalledNumber | Common::Caller | Common::Code | Common::Trunk => "failed".to_owned(),
    };
    let share = f64::from(found.failures) * 100.0 / f64::from(found.calls.max(1));
    let key = match found.common {
        Common::CalledNumber => "called",
        Common::Caller => "caller",
        Common::Code | Common::Trunk => "code",
    };
    let mut evidence: Vec<(&'static str, Value)> = vec![
        ("failures", found.failures.into()),
        ("calls", found.calls.into()),
        ("of_failures", found.of_failures.into()),
        ("failed_percent", percent(share)),
        ("usual_percent", percent(found.usual_percent)),
        ("baseline_calls", found.baseline_calls.into()),
    ];
    if !value.is_empty() {
        let shown = if key == "code" { value.to_owned() } else { number(value) };
        evidence.push((key, shown.into()));
    }
    Some(Finding {
        summary: format!(
            "{} of {} {what} {how} within five minutes ({share:.0} %, usual are {:.0} %)",
            found.failures, found.calls, found.usual_percent
        ),
        remedy,
        evidence,
        peer: Some(peer.addr),
        calls: Some(proven_by(found.failures, &peer.success)),
        ..Finding::new(cause, Severity::Warning, Confidence::Likely)
    })
}
