//! Many calls end after the same time, hung up by the same side: something expires.
//!
//! What people notice: calls drop in mid-sentence, always after about as long.
//!
//! How it is seen: the durations of the last answered calls of a peer, from the 2xx to the BYE. It fires where at least five
//! calls and at least one in five lasted equally long (within 1.5 s of one duration above 10 s), were hung up by the same
//! side, and few others lasted nearly as long.
//!
//! - `session-interval`: the duration is the session interval agreed on, or the point before it at which a side that saw no
//!   refresh hangs up (RFC 4028 10).
//! - `32s`: 64*T1 of RFC 3261: a 2xx whose ACK never arrived, or a request within the dialog that nobody answered.
//! - `round-minutes`: a whole number of minutes: a limit of call length, a billing system, a NAT or firewall binding.
//!
//! Equal durations that fit none of these are told as `info`, since a call generator makes them too.
//!
//! Remedy: see what expires then at the side that hangs up. For 32 s look at `no-ack` and `dropped-after-30s` of the same
//! calls; for a session interval at who refreshes; for whole minutes at the limits configured for the trunk and the account.
//!
//! References: RFC 3261 13.3.1.4; RFC 4028 10; RFC 6076 4.5.

use crate::diagnosis::{
    Asks, Cause, Confidence, Diagnosis, Finding, Layer, PeerFacts, ProvenBy, Severity, UNKNOWN, Value,
};
use crate::peer::Alike;
use crate::record::Side;

/// Calls that all last equally long.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "fixed-duration-drops",
    layer: Layer::Call,
    title: "Many calls of a peer end after the same time",
    causes: &[
        Cause {
            name: "session-interval",
            evidence: "the duration matches the session interval agreed on",
            remedy: "See which side must refresh the session and why its re-INVITE or UPDATE does not come or fails",
        },
        Cause {
            name: "32s",
            evidence: "the duration is 64*T1",
            remedy: "See which message of the setup gets lost: the ACK, or the first request within the dialog",
        },
        Cause {
            name: "round-minutes",
            evidence: "the duration is a whole number of minutes",
            remedy: "Look for a limit of call length at the side that hangs up",
        },
    ],
    refs: &["RFC 3261 13.3.1.4", "RFC 4028 10"],
    takes_over: &[],
    asks: Asks::Peer(judge),
};

/// Fewer calls say nothing.
const CALLS: usize = 5;
/// One in so many.
const SHARE: usize = 5;
/// Within this much of a duration.
const AROUND_MS: u32 = 1_500;

fn judge(facts: &PeerFacts<'_>) -> Option<Finding> {
    let alike = facts.peer.talks.alike()?;
    let count = alike.calls.len();
    if count < CALLS || count * SHARE < alike.of {
        return None;
    }
    let name = facts.peers.name(facts.peer);
    let side = match alike.by {
        Side::Caller => "the caller's side",
        Side::Callee => "the callee's side",
    };
    let give_up_ms = u32::try_from(facts.config.timers.give_up().as_millis()).unwrap_or(u32::MAX);
    let near = |ms: u32| alike.duration_ms.abs_diff(ms) <= AROUND_MS;
    let interval = interval_of(&alike);
    let minutes = (alike.duration_ms + 30_000) / 60_000;
    let (cause, remedy) = if let Some(interval) = interval.filter(|i| near(i * 1_000) || near(torn_down_at(*i) * 1_000))
    {
        (
            "session-interval",
            format!(
                "The session interval is {interval} s: see which side must refresh it and why no refresh is answered"
            ),
        )
    } else if near(give_up_ms) {
        (
            "32s",
            "See which message of the setup gets lost: compare no-ack and dropped-after-30s of these calls".to_owned(),
        )
    } else if minutes > 0 && near(minutes * 60_000) {
        ("round-minutes", format!("Look for a limit of {minutes} min call length at {side}, which hangs up"))
    } else {
        (UNKNOWN, format!("See what expires at {side} after {:.1} s", f64::from(alike.duration_ms) / 1_000.0))
    };
    let severity = if cause == UNKNOWN { Severity::Info } else { Severity::Warning };
    let mut evidence: Vec<(&'static str, Value)> = vec![
        ("duration_ms", alike.duration_ms.into()),
        ("alike", u64::try_from(count).unwrap_or(0).into()),
        ("ended", u64::try_from(alike.of).unwrap_or(0).into()),
        ("hung_up_by", if alike.by == Side::Caller { "caller" } else { "callee" }.into()),
    ];
    evidence.extend(interval.map(|seconds| ("session_interval_s", seconds.into())));
    let ids = alike.calls.iter().rev().take(5).map(|talk| talk.call_id.as_str().to_owned());
    Some(Finding {
        summary: format!(
            "{count} of the last {} calls of {name} ended {:.1} s after the answer, hung up by {side}",
            alike.of,
            f64::from(alike.duration_ms) / 1_000.0
        ),
        remedy,
        evidence,
        peer: Some(facts.peer.addr),
        calls: Some(ProvenBy { count: u64::try_from(count).unwrap_or(0), sample_call_ids: ids.collect() }),
        ..Finding::new(cause, severity, Confidence::Likely)
    })
}

/// The session interval that most of them agreed on.
fn interval_of(alike: &Alike<'_>) -> Option<u32> {
    let first = alike.calls.iter().find_map(|talk| talk.session_interval_s)?;
    let same = alike.calls.iter().filter(|talk| talk.session_interval_s == Some(first)).count();
    (same * 2 > alike.calls.len()).then_some(first)
}

/// When a side that saw no refresh sends BYE: a third of the interval, but at most 32 s, before its end (RFC 4028 10).
fn torn_down_at(interval: u32) -> u32 {
    interval - (interval / 3).min(32)
}
