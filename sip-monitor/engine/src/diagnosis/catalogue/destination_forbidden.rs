//! The far end does not let this caller call that destination.
//!
//! Calls to one country, one range of numbers or one subscriber fail at once with 403, 603, 607 or 608; others work.
//!
//! **Evidence.** `phrase`: the refusal names permission, geography or a kind of destination. `blocked`: it names a block list,
//! fraud or analytics, or it is 607 (unwanted) or 608 (rejected by an intermediary). A bare 603 is somebody who declines.
//!
//! **Usual causes.** International or premium destinations that are not enabled at the carrier; a credit or fraud limit;
//! calling numbers that analytics have marked.
//!
//! **Remedy.** Enable the destination with the carrier, or have the number taken off the list.

use crate::diagnosis::phrase::Topic;
use crate::diagnosis::refused::Refused;
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer};

/// A destination this caller may not call.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "destination-forbidden",
    layer: Layer::Call,
    title: "Call refused: this destination is not permitted, or the caller is blocked",
    causes: &[
        Cause {
            name: "phrase",
            evidence: "403, 603, 607 or 608 that names permission, geography or a kind of destination",
            remedy: "Have the destination enabled",
        },
        Cause {
            name: "blocked",
            evidence: "403 or 603 that names a block list, or 607 or 608",
            remedy: "Have the calling number taken off the list",
        },
    ],
    refs: &["RFC 3261 21.4.4", "RFC 8197", "RFC 8688"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let refused = Refused::ended(facts).filter(|refused| matches!(refused.refusal.code, 403 | 603 | 607 | 608))?;
    if refused.refusal.code == 603
        && refused.refusal.reasons.iter().any(|r| r.protocol.as_str().eq_ignore_ascii_case("STIR"))
    {
        return None;
    }
    match refused.topic.map(|(topic, _)| topic) {
        Some(Topic::Permission) => Some(by_phrase(&refused)),
        Some(Topic::Blocked) => Some(blocked(&refused)),
        None if refused.refusal.code >= 607 => Some(blocked(&refused)),
        Some(_) | None => None,
    }
}

fn called(refused: &Refused<'_>) -> String {
    refused.facts.call.called_number().map_or_else(|| refused.facts.call.to.to_string(), |n| n.to_uri())
}

fn by_phrase(refused: &Refused<'_>) -> Finding {
    let number = called(refused);
    Finding {
        summary: format!("{} does not let this caller call {number}: {}", refused.way.dst, refused.words()),
        remedy: format!(
            "Have the destination of {number} enabled by the operator of {}, or route it elsewhere",
            refused.refuser()
        ),
        ..refused.finding("phrase", Confidence::Certain, vec![("number", number.clone().into())])
    }
}

fn blocked(refused: &Refused<'_>) -> Finding {
    let number = called(refused);
    let from = refused.facts.call.from.to_string();
    Finding {
        summary: format!("{} blocked the call from {from} to {number}: {}", refused.way.dst, refused.words()),
        remedy: format!(
            "Ask the operator of {} why the calling number is blocked, and have it taken off the list",
            refused.refuser()
        ),
        ..refused.finding("blocked", Confidence::Certain, vec![("number", number.clone().into())])
    }
}
