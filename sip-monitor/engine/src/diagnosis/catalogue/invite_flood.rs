//! One address sends calls faster than anybody dials.
//!
//! The server is slow for everybody, trunks are full, the bill grows.
//!
//! **Evidence.** More than 50 calls that begin within one second from one source (`thresholds.invite_flood_per_second`), and
//! most of them are refused, or neither ring nor are refused within 5 s. Retransmissions, re-INVITEs and INVITEs sent again with
//! credentials do not count. Where most of the calls ring or are answered it is a load that is served, a carrier's or a dialler's:
//! that is told as `info`, since a stolen account looks the same.
//!
//! **Usual causes.** Toll fraud with a stolen account, a dialler or a load test against the wrong host, a routing loop.
//!
//! **Remedy.** Limit the rate of that address, or block it; raise the threshold for a carrier that sends as much.

use crate::diagnosis::{Asks, Confidence, Diagnosis, Fault, Finding, Layer, Severity, SourceFacts, UNKNOWN, Value};
use crate::source::Fate;

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
    let (flood, fate) = source.flood()?;
    let most = flood.most;
    let (severity, becomes) = match fate {
        Fate::Served => (Severity::Info, "most of them ring or are answered"),
        Fate::Refused => (Severity::Warning, "most of them are refused"),
        Fate::Unanswered => (Severity::Warning, "most of them come to nothing"),
    };
    let evidence: Vec<(&'static str, Value)> = vec![
        ("invites_per_second", most.into()),
        ("threshold", facts.config.thresholds.invite_flood_per_second.into()),
        ("target", source.target.into()),
        ("fate", fate.name().into()),
    ];
    Some(Finding {
        fault: Some(Fault::Remote),
        summary: format!("{} began {most} calls to {} within one second; {becomes}", source.addr, source.target),
        remedy: format!(
            "Limit the rate of {} in front of {}, or block it; see whose account it uses",
            source.addr, source.target
        ),
        evidence,
        peer: Some(core::net::SocketAddr::new(source.addr, 0)),
        ..Finding::new(UNKNOWN, severity, Confidence::Certain)
    })
}
