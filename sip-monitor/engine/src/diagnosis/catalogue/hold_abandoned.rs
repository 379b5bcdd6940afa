//! Somebody is put on hold and forgotten.
//!
//! The caller listens to music until the patience is gone.
//!
//! **Evidence.** One side held the other (sendonly or inactive in its SDP, or the address 0.0.0.0) and the **held** side sent the BYE; or
//! the hold lasts longer than 15 minutes. A hold that a transfer follows is none of these, nor one that both sides asked for.
//!
//! **Usual causes.** An agent who forgets a call, a queue that holds without a limit, a transfer that got stuck after the hold.
//!
//! **Remedy.** A reminder or a limit for calls on hold; see who holds.

use crate::diagnosis::requests::{fault_of_side, peer_of, seconds, side_name};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer, Severity};
use crate::record::CallState;
use crate::transaction::MethodKind;

/// A hold that ends badly, or not at all.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "hold-abandoned",
    layer: Layer::Dialog,
    title: "Held party hung up, or held too long",
    causes: &[
        Cause {
            name: "bye-by-held",
            evidence: "the side on hold sent the BYE",
            remedy: "See why the other side did not come back to the call",
        },
        Cause {
            name: "too-long",
            evidence: "the hold lasts longer than 15 minutes",
            remedy: "Set a limit or a reminder for calls on hold",
        },
    ],
    refs: &["RFC 3264 8.4", "RFC 6337 5.3"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let hold = call.hold?;
    if !call.refers.is_empty() {
        return None;
    }
    let by = side_name(hold.by);
    let fault = hold.by.and_then(|side| fault_of_side(call, facts.config, side));
    if let Some(hangup) = call.hangup.as_deref() {
        let held = hold.by?.other();
        if hangup.method != MethodKind::Bye || hangup.side != Some(held) {
            return None;
        }
        let held_for = hangup.at.since(hold.since);
        return Some(Finding {
            summary: format!(
                "{} hung up after {:.0} s on hold; {by} had put it on hold",
                side_name(Some(held)),
                held_for.as_secs_f64()
            ),
            remedy: format!(
                "See why {by} did not come back: an agent's screen, a queue, a transfer that was not finished"
            ),
            fault,
            peer: call.path(hangup.path).map(|view| peer_of(&view)),
            evidence: vec![("held_by", by.into()), ("held_s", seconds(held_for).into())],
            ..Finding::new("bye-by-held", Severity::Warning, Confidence::Certain)
        });
    }
    let held_for = facts.now.since(hold.since);
    if call.state != CallState::Held || call.ended_at.is_some() || held_for < facts.config.thresholds.hold_too_long {
        return None;
    }
    let view =
        call.hops.first().map(|_| crate::transaction::Path { hop: 0, reversed: false }).and_then(|p| call.path(p));
    Some(Finding {
        rests_on_absence_since: Some(hold.since),
        summary: format!(
            "The call has been on hold for {:.0} minutes; {by} put it there",
            held_for.as_secs_f64() / 60.0
        ),
        remedy: format!("Set a limit or a reminder for calls that {by} holds"),
        fault,
        peer: view.map(|view| peer_of(&view)),
        evidence: vec![("held_by", by.into()), ("held_s", seconds(held_for).into())],
        ..Finding::new("too-long", Severity::Warning, Confidence::Likely)
    })
}
