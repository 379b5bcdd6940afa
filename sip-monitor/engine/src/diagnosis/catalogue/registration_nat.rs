//! A device behind a NAT registers its private address, and the registrar does nothing about it.
//!
//! The device can call, but calls to it do not arrive, or only while its own traffic keeps the NAT open.
//!
//! **Evidence.** The binding is accepted, its Contact is a private address, the REGISTER came from a public one, and there is no
//! sign that the registrar works around it: neither `received` nor `rport` in the Via of its 200, no Path, no rewritten Contact.
//!
//! **Usual causes.** NAT handling switched off at the registrar (`nat=yes`, `force_rport`, `fix_nated_register`), a client without
//! STUN or rport.
//!
//! **Remedy.** Switch on NAT handling at the registrar, or let the client learn its public address.

use crate::diagnosis::bound::{finding, registrar};
use crate::diagnosis::{Asks, Confidence, Diagnosis, Finding, Layer, RegistrationFacts, Severity, UNKNOWN, Value};
use crate::packet::is_private;
use crate::registration::BindingState;

/// A binding that calls cannot reach.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "registration-nat",
    layer: Layer::Registration,
    title: "Private Contact registered from a public address",
    causes: &[],
    refs: &["RFC 3581", "RFC 5626", "RFC 3327"],
    asks: Asks::Registration(judge),
    takes_over: &[],
};

fn judge(facts: &RegistrationFacts<'_>) -> Option<Finding> {
    let binding = facts.binding;
    let contact = binding.contact_ip.filter(|ip| is_private(*ip))?;
    let source = binding.source.ip();
    if binding.state != BindingState::Up || is_private(source) || binding.nat_handled || facts.scanning {
        return None;
    }
    let evidence: Vec<(&'static str, Value)> = vec![("contact_address", contact.to_string().into())];
    Some(Finding {
        fault: registrar(binding),
        summary: format!(
            "{} registered the private address {contact} from {source}, and {} took it as it is: calls to it do not arrive",
            binding.aor,
            binding.registrar.ip()
        ),
        remedy: format!(
            "Switch on NAT handling (rport, received) for {} at {}, or let the device learn its public address",
            binding.aor,
            binding.registrar.ip()
        ),
        ..finding(facts, UNKNOWN, Severity::Info, Confidence::Likely, evidence)
    })
}
