//! The two sides do not agree on how often the session must be refreshed.
//!
//! A request whose Session-Expires is below what a server accepts is refused with 422 and the Min-SE it asks for; the caller tries
//! again with that (RFC 4028 7.4). Where it does not, the call never comes up, or its refresh fails.
//!
//! **Evidence.** Three 422 in one call, or a 422 that ends it. One 422 and then success is the normal course.
//!
//! **Usual causes.** A caller with a fixed Session-Expires below the trunk's Min-SE (usually 90 s, sometimes 1800 s); a relay on the
//! way that asks for more than the first did.
//!
//! **Remedy.** Set the value named, on the side named.

use crate::call::IntervalRefused;
use crate::diagnosis::requests::{address_of_side, fault_of_side, peer_of, side_name};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer, Severity};
use crate::record::{CallState, Side};

/// Session intervals that are refused again and again.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "session-interval-too-small",
    layer: Layer::Dialog,
    title: "Session interval refused with 422 again and again",
    causes: &[
        Cause {
            name: "caller-insists",
            evidence: "a request after the 422 asks for less than the Min-SE that the 422 named",
            remedy: "Raise Session-Expires on the side that asks, or let it take Min-SE from the 422",
        },
        Cause {
            name: "callee-minimum",
            evidence: "the Min-SE of the 422 is more than the other side goes up to, or rises from one 422 to the next",
            remedy: "Lower Min-SE on the side that refuses, or raise Session-Expires on the other",
        },
    ],
    refs: &["RFC 4028 5", "RFC 4028 6", "RFC 4028 7.4"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

/// So many refusals are no negotiation.
const REFUSALS: usize = 3;

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let refused = &call.intervals_refused;
    let last = refused.last()?;
    let ended_by_it = call.final_code == Some(422) && call.state == CallState::Failed;
    if refused.len() < REFUSALS && !ended_by_it {
        return None;
    }
    let insists = refused.windows(2).any(|pair| matches!(pair, [told, again] if is_below(again, told)));
    let asker = last.asked_by.unwrap_or(Side::Caller);
    let view = call.transactions.iter().rfind(|t| t.cseq == last.cseq).and_then(|t| call.path(t.path))?;
    let asked = last.asked_s.map_or_else(|| "no Session-Expires".to_owned(), |s| format!("Session-Expires {s}"));
    let minimum = last.minimum_s.map_or_else(|| "no Min-SE".to_owned(), |s| format!("Min-SE {s}"));
    let refusals = if refused.len() == 1 { "One 422".to_owned() } else { format!("{} x 422", refused.len()) };
    let ends = if ended_by_it { ", and the call failed" } else { "" };
    let (cause, told, fault, remedy) = if insists {
        let to = address_of_side(call, asker);
        (
            "caller-insists",
            format!("{} goes on asking for {asked} though told {minimum}", side_name(Some(asker))),
            fault_of_side(call, facts.config, asker),
            format!(
                "Set Session-Expires on {} to {} s or more, or let it take Min-SE from the 422",
                to.map_or_else(|| side_name(Some(asker)).to_owned(), |a| a.ip().to_string()),
                last.minimum_s.unwrap_or(1800)
            ),
        )
    } else {
        let to = address_of_side(call, asker.other());
        (
            "callee-minimum",
            format!("{asked} was asked for, {} wants {minimum}", side_name(Some(asker.other()))),
            fault_of_side(call, facts.config, asker.other()),
            format!(
                "Lower Min-SE on {} to 90 s, or raise Session-Expires on the other side above it",
                to.map_or_else(|| side_name(Some(asker.other())).to_owned(), |a| a.ip().to_string())
            ),
        )
    };
    let number = |value: Option<u32>| value.map_or_else(|| "none".into(), Into::into);
    Some(Finding {
        summary: format!("{refusals}: {told}{ends}"),
        remedy,
        fault,
        peer: Some(peer_of(&view)),
        evidence: vec![
            ("refused_422", (refused.len() as u64).into()),
            ("session_expires_s", number(last.asked_s)),
            ("min_se_s", number(last.minimum_s)),
        ],
        ..Finding::new(cause, Severity::Warning, Confidence::Certain)
    })
}

/// A request that asks for less than the refusal before it told.
fn is_below(again: &IntervalRefused, told: &IntervalRefused) -> bool {
    again.asked_by == told.asked_by
        && matches!((again.asked_s, told.minimum_s), (Some(asked), Some(min)) if asked < min)
}
