//! A binding as the diagnoses of registrations tell of it.

use core::net::SocketAddr;

use crate::diagnosis::{Confidence, Crowd, Fault, Finding, RegistrationFacts, Severity, Value};
use crate::packet::Direction;
use crate::registration::Binding;

/// The other side, as seen from this host.
pub const fn peer(binding: &Binding) -> SocketAddr {
    match binding.direction {
        Direction::In => binding.source,
        Direction::Out | Direction::Transit => binding.registrar,
    }
}

/// The fault is with the client.
pub const fn client(binding: &Binding) -> Option<Fault> {
    match binding.direction {
        Direction::In => Some(Fault::Remote),
        Direction::Out => Some(Fault::Local),
        Direction::Transit => None,
    }
}

/// The fault is with the registrar.
pub const fn registrar(binding: &Binding) -> Option<Fault> {
    match binding.direction {
        Direction::In => Some(Fault::Local),
        Direction::Out => Some(Fault::Remote),
        Direction::Transit => None,
    }
}

/// A finding with what every alert about a registration has; `more` goes before the addresses.
pub fn finding(
    facts: &RegistrationFacts<'_>,
    cause: &'static str,
    severity: Severity,
    confidence: Confidence,
    more: Vec<(&'static str, Value)>,
) -> Finding {
    let binding = facts.binding;
    let mut evidence: Vec<(&'static str, Value)> = vec![("aor", binding.aor.to_string().into())];
    if !binding.contact.is_empty() {
        evidence.push(("contact", binding.contact.to_string().into()));
    }
    evidence.extend(more);
    evidence.extend(binding.user_agent.as_ref().map(|agent| ("user_agent", agent.to_string().into())));
    evidence.push(("source", binding.source.into()));
    evidence.push(("registrar", binding.registrar.into()));
    // What this host itself registers are its own few lines, and mere information needs no sum.
    let gathers = binding.direction != Direction::Out && severity > Severity::Info;
    let crowds =
        if gathers { vec![Crowd::From(binding.source.ip()), Crowd::To(binding.registrar.ip())] } else { Vec::new() };
    Finding {
        evidence,
        peer: Some(peer(binding)),
        identity: Some(binding.aor.to_string()),
        crowds,
        ..Finding::new(cause, severity, confidence)
    }
}
