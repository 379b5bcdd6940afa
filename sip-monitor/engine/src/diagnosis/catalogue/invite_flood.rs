//! One address sends calls faster than anybody dials.
//!
//! The server is slow for everybody, trunks are full, the bill grows.
//!
//! **Evidence.** More than 50 new INVITEs within one second from one source (`thresholds.invite_flood_per_second`).
//! Retransmissions and re-INVITEs do not count.
//!
//! **Usual causes.** Toll fraud with a stolen account, a dialler or a load test against the wrong host, a routing loop.
//!
//! **Remedy.** Limit the rate of that address, or block it; raise the threshold for a carrier that sends as much.

use crate::diagnosis::{Asks, Confidence, Diagnosis, Fault, Finding, Layer, Severity, SourceFacts, UNKNOWN, Value};

/// One source that calls too fast.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "invite-flood",
    layer: Layer::Host,
    title: "Flood of INVITEs from one address",
    causes: &[],
    refs: &["RFC 3261 26.1.5"],
    asks: Asks::Source(judge),
    takes_over: &[],
};

fn judge(facts: &SourceFacts<'_>) -> Option<Finding> {
    let source = facts.source;
    let (most, _) = source.flood?;
    let evidence: Vec<(&'static str, Value)> = vec![
        ("invites_per_second", most.into()),
        ("threshold", facts.config.thresholds.invite_flood_per_second.into()),
        ("target", source.target.into()),
    ];
    Some(Finding {
        fault: Some(Fault::Remote),
        summary: format!("{} sent {most} new INVITEs to {} within one second", source.addr, source.target),
        remedy: format!(
            "Limit the rate of {} in front of {}, or block it; see whose account it uses",
            source.addr, source.target
        ),
        evidence,
        peer: Some(core::net::SocketAddr::new(source.addr, 0)),
        ..Finding::new(UNKNOWN, Severity::Warning, Confidence::Certain)
    })
}
