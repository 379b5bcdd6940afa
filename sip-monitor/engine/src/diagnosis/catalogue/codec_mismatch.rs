//! The two sides have no codec in common, or the answer does not fit the offer.
//!
//! The call is refused with 415, 488 or 606, or it is answered and nobody hears anything.
//!
//! **Evidence.** `refused`: 415, 488 or 606 to the offer; what was offered, and what the refusal says (Accept, Warning 304 and
//! 305). `port-zero`: the answer refuses every m-line. `no-common-codec`: no codec of the answer was offered, or the
//! refusal says so in words. `not-offered`: the codec that the answer prefers was not offered. Further codecs behind a
//! common one are legal (RFC 3264 6.1).
//!
//! **Usual causes.** Codec lists that do not overlap, a codec licence that is missing, no codec enabled at all, SRTP required by
//! one side only, a middlebox that strips codecs.
//!
//! **Remedy.** Enable a codec of the list that the other side told; PCMU and PCMA are understood nearly everywhere.

use crate::diagnosis::phrase::Topic;
use crate::diagnosis::refused::Refused;
use crate::diagnosis::{
    Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, RequestName, Severity, Value,
};
use crate::media::{Description, Misfit, Unfit, names};
use crate::packet::Direction;

/// Offer and answer do not meet.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "codec-mismatch",
    layer: Layer::Call,
    title: "No codec in common",
    causes: &[
        Cause {
            name: "refused",
            evidence: "415, 488 or 606 to the offer",
            remedy: "Offer a codec that the other side takes",
        },
        Cause {
            name: "port-zero",
            evidence: "the answer has port 0 in every m-line",
            remedy: "Enable a codec on the answering side that was offered",
        },
        Cause {
            name: "no-common-codec",
            evidence: "no codec of the answer was offered, or the refusal says that none is common",
            remedy: "Enable a common codec on both sides",
        },
        Cause {
            name: "not-offered",
            evidence: "the codec that the answer prefers was not offered",
            remedy: "Let the answering side choose from the offer",
        },
    ],
    refs: &["RFC 3264 6", "RFC 3261 21.4.13", "RFC 3261 21.4.26", "RFC 3261 20.43"],
    asks: Asks::Call(judge),
    // What is sent all the same follows from it.
    takes_over: &["payload-unnegotiated"],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    if facts.call.answered_at.is_some() {
        return facts.call.media.unfit_answer().and_then(|unfit| answered(facts, &unfit));
    }
    let refused = Refused::ended(facts)?;
    if refused.is_about(Topic::NoCommonCodec) {
        return Some(refusal(&refused, "no-common-codec"));
    }
    let is_media = match refused.topic {
        None => refused.refusal.code != 606 || refused.caller_flaw().is_none(),
        Some((topic, _)) => topic == Topic::Media,
    };
    (is_media && matches!(refused.refusal.code, 415 | 488 | 606)).then(|| refusal(&refused, "refused"))
}

fn refusal(refused: &Refused<'_>, cause: &'static str) -> Finding {
    let (by, from) = (refused.way.dst, refused.way.src.ip());
    let offer = refused.facts.call.media.open_offer();
    let lines: Vec<&Description> = offer.into_iter().flatten().collect();
    let usable = lines.iter().any(|line| line.port != 0);
    let offered: Vec<String> = lines.iter().flat_map(|line| names(line)).collect();
    let accepted: Vec<String> = refused.refusal.accept.iter().map(ToString::to_string).collect();
    let mut evidence: Vec<(&'static str, Value)> = vec![("offered", list(&offered))];
    if !accepted.is_empty() {
        evidence.push(("accept", list(&accepted)));
    }
    let (what, remedy) = if lines.is_empty() {
        ("an INVITE without SDP".to_owned(), format!("See which media {} wants to be offered", by.ip()))
    } else if !usable {
        (
            format!("an offer without any usable media ({})", offered.join(", ")),
            format!("Enable a codec on {from}: its offer has port 0"),
        )
    } else if lines.iter().any(|line| line.secure) {
        (
            format!("the offer of {} over SRTP", offered.join(", ")),
            format!(
                "Offer plain RTP or enable SRTP on {}, and see that one of {} is enabled there",
                by.ip(),
                offered.join(", ")
            ),
        )
    } else {
        (
            format!("the offer of {}", offered.join(", ")),
            format!("Enable one of {} on {}, or one of its codecs on {from}", offered.join(", "), by.ip()),
        )
    };
    let takes = if accepted.is_empty() { String::new() } else { format!("; it takes {}", accepted.join(", ")) };
    Finding {
        summary: format!("{by} refused {what} with {}{takes}", refused.words()),
        remedy,
        ..refused.finding(cause, Confidence::Certain, evidence)
    }
}

fn answered(facts: &CallFacts<'_>, unfit: &Unfit) -> Option<Finding> {
    let call = facts.call;
    let invite = call.invites().find(|t| t.final_response().is_some_and(|r| r.code < 300))?;
    let way = call.path(invite.path)?;
    let answerer = way.dst;
    let (offered, answer) = (unfit.offered.join(", "), unfit.answered.join(", "));
    let (cause, summary) = match unfit.misfit {
        Misfit::PortZero => ("port-zero", format!("the answer has port 0 in every m-line; offered was {offered}")),
        Misfit::NoCommonCodec => {
            ("no-common-codec", format!("offered was {offered}, answered was {answer}: nothing in common"))
        }
        Misfit::NotOffered => (
            "not-offered",
            format!("the answer prefers {answer}, of which the first was not offered; offered was {offered}"),
        ),
    };
    let (peer, fault) = match way.direction {
        Direction::In => (way.src, Some(Fault::Local)),
        Direction::Out => (way.dst, Some(Fault::Remote)),
        Direction::Transit => (way.dst, None),
    };
    Some(Finding {
        summary: format!(
            "The call between {} and {answerer} was answered without a codec to talk in: {summary}",
            way.src
        ),
        remedy: format!("Enable one of {offered} on {answerer}, and let it answer only what was offered"),
        evidence: vec![
            ("offered", list(&unfit.offered)),
            ("answered", list(&unfit.answered)),
            ("source", way.src.into()),
            ("destination", way.dst.into()),
        ],
        fault,
        peer: Some(peer),
        request: Some(RequestName { cseq: invite.cseq, method: "INVITE".into() }),
        ..Finding::new(cause, Severity::Warning, Confidence::Certain)
    })
}

fn list(values: &[String]) -> Value {
    Value::List(values.iter().map(|value| value.clone().into()).collect())
}
