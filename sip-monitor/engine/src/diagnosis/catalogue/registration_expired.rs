//! A binding ran out and was not refreshed: whoever calls that number gets nobody.
//!
//! The phone or trunk goes offline without a word. Calls to it end in 480, 404 or voice mail until it registers again.
//!
//! **Evidence.** `silent`: the binding was seen to be granted, was neither refreshed nor removed within the Expires granted plus
//! 10 s, and its device has registered no other Contact since. A REGISTER with Expires 0 is a removal.
//!
//! **Usual causes.** The device lost power or network, a NAT or firewall in between lost its mapping, the client refreshes later
//! than granted.
//!
//! **Remedy.** See whether the device is up; let it refresh at half of the interval granted.

use crate::diagnosis::bound::{client, finding};
use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Finding, Layer, RegistrationFacts, Severity, Value};
use crate::registration::BindingState;

/// A binding that ran out.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "registration-expired",
    layer: Layer::Registration,
    title: "Registration not refreshed in time",
    causes: &[Cause {
        name: "silent",
        evidence: "no refresh and no removal within the Expires granted and 10 s",
        remedy: "See whether the device is up and reaches the registrar; let it refresh earlier",
    }],
    refs: &["RFC 3261 10.2.4", "RFC 3261 10.3"],
    asks: Asks::Registration(judge),
    takes_over: &[],
};

fn judge(facts: &RegistrationFacts<'_>) -> Option<Finding> {
    let binding = facts.binding;
    if binding.state != BindingState::Lapsed || binding.superseded || facts.scanning {
        return None;
    }
    // What it sends is still seen, and fails: that is told by its own code.
    if binding.failure.is_some() {
        return None;
    }
    let registered = binding.registered_at?;
    let evidence: Vec<(&'static str, Value)> =
        vec![("expires_granted_s", binding.granted_s.into()), ("refreshes", binding.refreshes.into())];
    Some(Finding {
        rests_on_absence_since: Some(registered),
        fault: client(binding),
        summary: format!(
            "{} registered at {} for {} s and was not refreshed: the binding is over, and calls to it find nobody",
            binding.aor, binding.registrar, binding.granted_s
        ),
        remedy: format!(
            "See whether {} is up and reaches {}; it should refresh before {} s have passed",
            binding.source,
            binding.registrar.ip(),
            binding.granted_s
        ),
        ..finding(facts, "silent", Severity::Warning, Confidence::Likely, evidence)
    })
}
