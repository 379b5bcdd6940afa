//! A registration comes and goes.
//!
//! The phone rings on some calls and not on others. Its status light blinks; the trunk is up and down all day.
//!
//! **Evidence.** Five changes or more between registered and not, within ten minutes.
//!
//! **Usual causes.** Two devices that remove each other's bindings, a client that restarts, a link that comes and goes, a
//! registration interval shorter than the round trips it takes.
//!
//! **Remedy.** Look for a second device with the same account, and at the link of the one that is told.

use crate::diagnosis::bound::{client, finding};
use crate::diagnosis::{Asks, Confidence, Diagnosis, Finding, Layer, RegistrationFacts, Severity, UNKNOWN, Value};

/// Changes that are no accident.
const CHANGES: usize = 5;

/// A binding that goes up and down.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "registration-flapping",
    layer: Layer::Registration,
    title: "Registration goes up and down",
    causes: &[],
    refs: &["RFC 3261 10.2"],
    asks: Asks::Registration(judge),
    takes_over: &[],
};

fn judge(facts: &RegistrationFacts<'_>) -> Option<Finding> {
    let binding = facts.binding;
    let changes = binding.changes_lately(facts.now);
    if changes < CHANGES || facts.scanning {
        return None;
    }
    let evidence: Vec<(&'static str, Value)> = vec![("changes", (changes as u64).into())];
    Some(Finding {
        fault: client(binding),
        summary: format!(
            "{} at {} came up and went down {changes} times within ten minutes",
            binding.aor, binding.registrar
        ),
        remedy: format!(
            "Look for a second device that registers {}, and at the link of {}",
            binding.aor,
            binding.source.ip()
        ),
        ..finding(facts, UNKNOWN, Severity::Warning, Confidence::Certain, evidence)
    })
}
