//! A trunk refuses a call for the number it claims to come from.
//!
//! Outgoing calls fail at once, some or all of them; the same destinations work from another extension. Carriers let a
//! customer call only from numbers that it owns or has verified, written as E.164.
//!
//! **Evidence.** `phrase`: a 400, 403 or 606 that names the caller's number. `conflict`: a bare one, and From,
//! P-Asserted-Identity and Remote-Party-ID name different subscribers. `not-e164`: a bare one, and the number that counts
//! (P-Asserted-Identity, else Remote-Party-ID, else From) is an extension or is not E.164.
//!
//! **Usual causes.** The extension is sent as caller ID, a forwarded call keeps the number of its first caller, a number was not
//! verified with the carrier.
//!
//! **Remedy.** The header and its value are told; set it to a number that the carrier knows.

use crate::diagnosis::phrase::Topic;
use crate::diagnosis::refused::{CallerFlaw, Refused};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer, Value};

/// A caller's number that the trunk does not take.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "invalid-caller-id",
    layer: Layer::Call,
    title: "Call refused for the number it comes from",
    causes: &[
        Cause {
            name: "phrase",
            evidence: "400, 403 or 606, and its phrase, Warning or Reason names the caller's number",
            remedy: "Call from a number that the carrier knows as yours",
        },
        Cause {
            name: "not-e164",
            evidence: "400, 403 or 606 without a word, and the caller's number is an extension or not E.164",
            remedy: "Send the caller's number as + and country code, digits only",
        },
        Cause {
            name: "conflict",
            evidence: "400, 403 or 606 without a word, and From, P-Asserted-Identity or Remote-Party-ID contradict each other",
            remedy: "Name the same subscriber in all headers",
        },
    ],
    refs: &["RFC 3261 21.4.4", "RFC 3325 9.1", "RFC 3966 5.1.4"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let refused = Refused::ended(facts).filter(|refused| matches!(refused.refusal.code, 400 | 403 | 606))?;
    match refused.topic.map(|(topic, _)| topic) {
        Some(Topic::CallerId) => Some(by_phrase(&refused)),
        Some(_) => None,
        None => refused.caller_flaw().map(|flaw| by_header(&refused, flaw)),
    }
}

fn by_phrase(refused: &Refused<'_>) -> Finding {
    let (header, value) = caller(refused);
    let rule = match refused.caller_flaw() {
        Some(CallerFlaw::NotE164(_, _, rule)) => format!(" ({rule})"),
        Some(CallerFlaw::Conflict(_)) | None => String::new(),
    };
    Finding {
        summary: format!(
            "{} refused the caller's number {value} in {header}{rule}: {}",
            refused.way.dst,
            refused.words()
        ),
        remedy: format!(
            "Let {} send in {header} a number that {} knows as its customer's",
            refused.way.src.ip(),
            refused.refuser()
        ),
        ..refused.finding(
            "phrase",
            Confidence::Certain,
            vec![("header", header.into()), ("number", value.clone().into())],
        )
    }
}

fn by_header(refused: &Refused<'_>, flaw: CallerFlaw) -> Finding {
    let (by, from) = (refused.way.dst, refused.way.src.ip());
    match flaw {
        CallerFlaw::NotE164(header, value, rule) => Finding {
            summary: format!(
                "{by} refused the call with {}; its {header} gives the caller as {value}: {rule}",
                refused.status()
            ),
            remedy: format!(
                "Let {from} write the caller's number in {header} as + and country code, in place of {value}"
            ),
            ..refused.finding(
                "not-e164",
                Confidence::Likely,
                vec![("header", header.into()), ("number", value.clone().into()), ("rule", rule.into())],
            )
        },
        CallerFlaw::Conflict([(first, one), (second, other)]) => {
            let evidence: Vec<(&'static str, Value)> = vec![
                ("header", first.into()),
                ("number", one.clone().into()),
                ("other_header", second.into()),
                ("other_number", other.clone().into()),
            ];
            Finding {
                summary: format!(
                    "{by} refused the call with {}; its {first} names {one} and its {second} names {other}",
                    refused.status()
                ),
                remedy: format!(
                    "Let {from} name the same subscriber in {first} and {second}, one that {} knows",
                    by.ip()
                ),
                ..refused.finding("conflict", Confidence::Likely, evidence)
            }
        }
    }
}

/// The header that names the caller, and whom it names.
fn caller(refused: &Refused<'_>) -> (&'static str, String) {
    let call = refused.facts.call;
    let attempt = call.attempt.as_ref();
    if let Some(user) = attempt.and_then(|a| a.asserted.as_ref()) {
        return ("P-Asserted-Identity", format!("tel:{user}"));
    }
    if let Some(user) = attempt.and_then(|a| a.remote_party.as_ref()) {
        return ("Remote-Party-ID", format!("tel:{user}"));
    }
    let user = crate::call::number::Number::of_uri(call.from.as_str());
    ("From", user.map_or_else(|| call.from.to_string(), |number| number.to_uri()))
}
