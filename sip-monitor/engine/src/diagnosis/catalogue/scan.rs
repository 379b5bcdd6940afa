//! Somebody tries users, passwords or numbers from one address.
//!
//! Logs fill with refused registrations and calls to odd numbers; a password that gives way costs money within the hour.
//!
//! **Evidence.** Within 60 s from one source: `brute-force` (eight refused digests of one user), `enumeration` (20 requests
//! refused over 10 users or more), or `known-tool` (the User-Agent of a scanner). A challenge counts only when no digest follows
//! within a second or the digest is refused too, and a source whose requests are accepted as a rule is no scanner. What
//! such a source sends is not told as faulty calls or registrations of their own.
//!
//! **Usual causes.** A port 5060 that the whole Internet can reach.
//!
//! **Remedy.** Block the address, let only known peers in; change the password of a user whose login succeeded.

use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity, SourceFacts, Value};
use crate::text::StoredText;

/// One source that tries many doors.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "scan",
    layer: Layer::Host,
    title: "Scan or brute force from one address",
    causes: &[
        Cause {
            name: "enumeration",
            evidence: "20 requests or more refused over 10 users or more within 60 s",
            remedy: "Block the address; answer unknown users as known ones",
        },
        Cause {
            name: "brute-force",
            evidence: "eight digests or more of one user refused within 60 s",
            remedy: "Block the address; see that the password is long",
        },
        Cause { name: "known-tool", evidence: "the User-Agent of a known scanner", remedy: "Block the address" },
    ],
    refs: &["RFC 3261 26.1"],
    asks: Asks::Source(judge),
    takes_over: &[],
};

fn judge(facts: &SourceFacts<'_>) -> Option<Finding> {
    let source = facts.source;
    // As URIs, so that user names are hidden as everywhere.
    let uri = |user: &StoredText| format!("sip:{user}@{}", source.target.ip());
    let mut evidence: Vec<(&'static str, Value)> = Vec::new();
    let tool = source.tool.as_ref().map(|(agent, _)| agent.to_string());
    evidence.extend(tool.clone().map(|agent| ("user_agent", agent.into())));
    if let Some((refused, users)) = source.enumeration {
        evidence.push(("refused", refused.into()));
        evidence.push(("users", users.into()));
    }
    if let Some((user, refused)) = &source.brute_force {
        evidence.push(("user", uri(user).into()));
        evidence.push(("digests_refused", (*refused).into()));
    }
    let (cause, what) = match (&source.brute_force, source.enumeration, tool) {
        (Some((user, refused)), _, _) => (
            "brute-force",
            format!("tries passwords of {} at {}: {refused} refused within a minute", uri(user), source.target),
        ),
        (None, Some((refused, users)), _) => (
            "enumeration",
            format!("tries users at {}: {refused} requests refused over {users} users within a minute", source.target),
        ),
        (None, None, Some(agent)) => ("known-tool", format!("scans {}: its User-Agent is {agent}", source.target)),
        (None, None, None) => return None,
    };
    let broken =
        source.login.as_ref().map(|user| format!(", and a login as {} succeeded", uri(user))).unwrap_or_default();
    if let Some(user) = &source.login {
        evidence.push(("login", uri(user).into()));
    }
    let change =
        source.login.as_ref().map(|user| format!("; change the password of {} at once", uri(user))).unwrap_or_default();
    evidence.push(("target", source.target.into()));
    Some(Finding {
        fault: Some(if facts.config.local.contains(&source.addr) { Fault::Local } else { Fault::Remote }),
        summary: format!("{} {what}{broken}", source.addr),
        remedy: format!(
            "Block {} at the firewall, and let only known addresses reach {}{change}",
            source.addr, source.target
        ),
        evidence,
        peer: Some(core::net::SocketAddr::new(source.addr, 0)),
        ..Finding::new(
            cause,
            if source.login.is_some() { Severity::Critical } else { Severity::Warning },
            Confidence::Certain,
        )
    })
}
