//! A trunk refuses a call for the way its number is written.
//!
//! Calls to some destinations fail at once, the same number works from a mobile phone. Most carriers want E.164: `+`, country
//! code, subscriber number, at most 15 digits, nothing else.
//!
//! **Evidence.** `phrase`: the refusal names the number. `not-e164`: 400, 404, 484 or 604, and the number in the Request-URI has
//! five digits or more and is not E.164. Where that peer has answered a call to a number written alike, the form is not the
//! reason. Names, extensions and feature codes are no telephone numbers.
//!
//! **Usual causes.** The dialled prefix (`00`, `011`, `0`) is sent on as it was dialled, the `+` is missing, a prefix for the
//! outside line was not cut off.
//!
//! **Remedy.** Rewrite the number on its way out: the number as sent and the rule it breaks are told.

use crate::call::Shown;
use crate::call::number::Form;
use crate::diagnosis::phrase::Topic;
use crate::diagnosis::refused::Refused;
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer, Severity};
use crate::packet::Direction;

/// A number that the trunk cannot use.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "invalid-number",
    layer: Layer::Call,
    title: "Call refused for the way its number is written",
    causes: &[
        Cause {
            name: "phrase",
            evidence: "400, 404, 484 or 604, and its phrase, Warning or Reason names the number",
            remedy: "Send the number in the form that the refusal asks for",
        },
        Cause {
            name: "not-e164",
            evidence: "400, 404, 484 or 604 from a trunk to a number of five digits or more that is not E.164",
            remedy: "Send the number as + and country code, digits only",
        },
    ],
    refs: &["RFC 3261 21.4.1", "RFC 3261 21.4.22", "RFC 3966 5.1.4", "ITU-T E.164"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let refused = Refused::ended(facts).filter(|refused| matches!(refused.refusal.code, 400 | 404 | 484 | 604))?;
    match refused.topic.map(|(topic, _)| topic) {
        Some(Topic::NumberForm) => Some(by_phrase(&refused, Severity::Warning)),
        // Somebody dialled a number that does not exist: worth knowing, nothing to repair.
        Some(Topic::Unassigned) => Some(by_phrase(&refused, Severity::Info)),
        Some(_) => None,
        None => by_form(&refused),
    }
}

fn called(refused: &Refused<'_>) -> String {
    let call = refused.facts.call;
    call.called_number().map_or_else(|| call.to.to_string(), |number| number.to_uri())
}

fn by_phrase(refused: &Refused<'_>, severity: Severity) -> Finding {
    let number = called(refused);
    let rule = refused.facts.call.called_number().and_then(|n| n.form().breaks());
    let rule = rule.map(|rule| format!(" ({rule})")).unwrap_or_default();
    Finding {
        severity,
        summary: format!("{} refused the number {number}{rule}: {}", refused.way.dst, refused.words()),
        remedy: format!("Send the number as {} wants it: usually + and country code, digits only", refused.refuser()),
        ..refused.finding("phrase", Confidence::Certain, vec![("number", number.clone().into())])
    }
}

fn by_form(refused: &Refused<'_>) -> Option<Finding> {
    let call = refused.facts.call;
    let number = call.called_number()?;
    let rule = number.form().breaks()?;
    let answered = refused.facts.answered.is_known(refused.refuser(), Shown::Called(number.form().name()));
    if answered || !is_trunk(refused, number.form()) {
        return None;
    }
    Some(Finding {
        summary: format!(
            "{} refused the number {} with {}: {rule}, so it is not E.164",
            refused.way.dst,
            number.to_uri(),
            refused.status()
        ),
        remedy: format!(
            "Send the number to {} as + and country code, digits only; {} breaks that: {rule}",
            refused.refuser(),
            number.to_uri()
        ),
        ..refused.finding(
            "not-e164",
            Confidence::Likely,
            vec![("number", number.to_uri().into()), ("rule", rule.into())],
        )
    })
}

/// The refuser is a trunk: another host than this one, or at least the call comes from a telephone number too. A short number
/// needs both, since extensions may have five digits.
fn is_trunk(refused: &Refused<'_>, form: Form) -> bool {
    let elsewhere = refused.way.direction != Direction::In;
    let from = crate::call::number::Number::of_uri(refused.facts.call.from.as_str());
    let from_telephone = from.is_some_and(|number| number.form() != Form::Short);
    if form == Form::Short { elsewhere && from_telephone } else { elsewhere || from_telephone }
}
