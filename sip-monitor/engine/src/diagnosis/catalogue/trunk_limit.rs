//! A peer refuses calls since a limit is reached: calls a second, or calls at a time.
//!
//! What people notice: at busy times some calls fail at once, others go through; campaigns and morning peaks are hit first.
//!
//! How it is seen: the words of the refusal (reason phrase, Reason, Warning), or Retry-After in a 503. Beside them stand
//! the calls a second and the calls at a time that were measured to that peer then: they are the limit as it is enforced.
//!
//! - `cps-limit`: a 480, 486, 500 or 503 that names a rate: CPS, calls per second, rate limit.
//! - `concurrency-limit`: a 480, 486, 500 or 503 that names calls at a time: concurrent calls, channels, capacity.
//! - `unspecified`: a 503 with Retry-After that names neither. Retry-After in another response says nothing of a limit.
//!
//! Usual causes: a trunk with fewer channels or calls a second than the traffic needs; a dialler that starts too many calls
//! at a time; calls that are not torn down and hold their channel.
//!
//! Remedy: spread or queue calls below the measured value, or have the peer raise the limit.
//!
//! References: RFC 3261 21.5.4, 20.33.

use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::peer::LimitKind;

/// Calls refused for a limit.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "trunk-limit",
    layer: Layer::Call,
    title: "A peer refuses calls since a limit is reached",
    causes: &[
        Cause {
            name: "cps-limit",
            evidence: "the refusal names calls a second or a rate",
            remedy: "Pace calls below the measured calls a second, or have the limit raised",
        },
        Cause {
            name: "concurrency-limit",
            evidence: "the refusal names concurrent calls, channels or capacity",
            remedy: "Queue calls below the measured calls at a time, or order more channels",
        },
        Cause {
            name: "unspecified",
            evidence: "a 503 with Retry-After that names no limit",
            remedy: "Wait as long as Retry-After says; ask the peer which limit it was",
        },
    ],
    refs: &["RFC 3261 21.5.4", "RFC 3261 20.33"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let limit = facts.call.limit.as_deref()?;
    let remote = if limit.is_local { limit.to } else { limit.by };
    let name = facts.peers.trunk_of(remote).map_or_else(|| remote.ip().to_string(), |trunk| trunk.name.clone());
    let (second, calls) = (limit.per_second, limit.concurrent);
    let measured = format!("{second} calls a second, {calls} at a time");
    let (cause, remedy) = match limit.kind {
        LimitKind::Rate => (
            "cps-limit",
            format!("Pace calls to {name} below {second} a second, or have the limit of calls a second raised"),
        ),
        LimitKind::Concurrency => (
            "concurrency-limit",
            format!("Keep calls to {name} below {calls} at a time, or order more channels; look for calls that hang"),
        ),
        LimitKind::Unspecified => {
            ("unspecified", format!("Ask {name} which limit was reached, with the measured values: {measured}"))
        }
    };
    let who = if limit.is_local { "This host".to_owned() } else { name };
    let retry = limit.retry_after_s.map(|seconds| format!(", retry after {seconds} s")).unwrap_or_default();
    let mut evidence = vec![("code", u32::from(limit.code).into())];
    if !limit.text.is_empty() {
        evidence.push(("text", limit.text.as_str().to_owned().into()));
    }
    evidence.extend(limit.retry_after_s.map(|seconds| ("retry_after_s", seconds.into())));
    evidence.push(("calls_per_second", second.into()));
    evidence.push(("concurrent_calls", calls.into()));
    Some(Finding {
        fault: Some(if limit.is_local { Fault::Local } else { Fault::Remote }),
        summary: format!("{who} refused a call with {} {}{retry}; measured then: {measured}", limit.code, limit.text),
        remedy,
        evidence,
        peer: Some(remote),
        ..Finding::new(cause, Severity::Warning, Confidence::Certain)
    })
}
