//! A fax call was to switch to T.38, and it did not work.
//!
//! What people notice: faxes fail or arrive in part, after the tones were heard.
//!
//! How it is seen: within an answered call a re-INVITE offers `m=image ... udptl t38`.
//!
//! - `refused`: it was refused (488, 415, 606 and so on), or its image line was answered with port 0, and T.38 was not agreed on
//!   after that. A challenge, a glare (491) or a call that ends meanwhile is no refusal.
//! - `no-udptl`: T.38 was agreed on, and what would carry it does not: ICMP errors refuse the UDPTL packets again and again, or
//!   6 s later a side still sends RTP instead. UDPTL itself is not counted, so its mere absence is not spoken of.
//!
//! Usual reasons: T.38 switched off at the gateway or not sold with the trunk, a firewall without the UDPTL ports.
//!
//! Remedy: switch T.38 on at both ends, or off at both and send faxes through G.711 without silence suppression.
//!
//! References: ITU-T T.38 D.2, RFC 3264 8, RFC 3362.

use core::time::Duration;

use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::media::{FAX_START, FaxSwitch, Stream};
use crate::record::Side;
use crate::time::Timestamp;
use crate::transaction::MethodKind;

/// A switch to T.38 that failed.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "t38-failed",
    layer: Layer::Media,
    title: "The switch to fax over T.38 failed",
    causes: &[
        Cause {
            name: "refused",
            evidence: "the re-INVITE to T.38 was refused, or answered with port 0",
            remedy: "Switch T.38 on at the side that refused, or use G.711 for fax at both",
        },
        Cause {
            name: "no-udptl",
            evidence: "T.38 was agreed on, and ICMP errors refuse its packets, or RTP goes on instead",
            remedy: "Open the UDPTL ports, and look why the gateway does not switch",
        },
    ],
    refs: &["RFC 3264 8", "RFC 3362 4"],
    takes_over: &["codec-mismatch"],
    asks: Asks::Call(judge),
};

/// ICMP errors must go on for so long.
const REFUSED_FOR: Duration = Duration::from_secs(1);

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let fax = facts.call.media.fax()?;
    match (fax.agreed_at, fax.refused_at) {
        (Some(agreed_at), _) => no_udptl(facts, fax, agreed_at),
        (None, Some(refused_at)) => refused(facts, fax, refused_at),
        (None, None) => None,
    }
}

fn refused(facts: &CallFacts<'_>, fax: &FaxSwitch, refused_at: Timestamp) -> Option<Finding> {
    let invites = facts.call.transactions.iter().filter(|t| t.method == MethodKind::Invite && t.in_dialog);
    let answered = invites.filter(|t| t.from == Some(fax.offerer)).filter_map(|t| t.final_response());
    let code = answered.filter(|r| r.sent.first() == refused_at).map(|r| r.code).next();
    // Asked again with credentials, later, or not any more.
    if matches!(code, Some(401 | 407 | 408 | 481 | 487 | 491 | 500)) {
        return None;
    }
    let how = match code {
        Some(code) if code >= 300 => format!("refused with {code}"),
        Some(_) | None => "answered without an image line in use".to_owned(),
    };
    let by = fax.offerer.other();
    let peer = facts.peer(by);
    let name = name(by);
    Some(Finding {
        fault: fault_of(facts, by),
        summary: format!("The switch to fax over T.38 was {how} by the {name}"),
        remedy: format!(
            "Switch T.38 on at the {name}, or off at the {}, which then sends the fax as G.711 without silence suppression",
            self::name(fax.offerer)
        ),
        evidence: vec![
            ("offered_at", fax.offered_at.to_string().into()),
            ("offered_by", self::name(fax.offerer).into()),
            ("code", u64::from(code.unwrap_or_default()).into()),
        ],
        peer,
        ..Finding::new("refused", Severity::Warning, Confidence::Certain)
    })
}

fn no_udptl(facts: &CallFacts<'_>, fax: &FaxSwitch, agreed_at: Timestamp) -> Option<Finding> {
    let key = facts.call.key;
    let refusal = facts.media.refusals(key).iter().find(|r| {
        fax.endpoints.contains(&Some(r.dst)) && r.last_at >= agreed_at && r.span_since(agreed_at) >= REFUSED_FOR
    });
    if let Some(refusal) = refusal {
        let to = if fax.endpoints[Side::Caller as usize] == Some(refusal.dst) { Side::Caller } else { Side::Callee };
        return Some(Finding {
            fault: Some(if refusal.is_by_this_host() { Fault::Local } else { Fault::Remote }),
            summary: format!(
                "T.38 was agreed on, and {} refuses its packets to {} by ICMP, {} times",
                refusal.reporter.ip(),
                refusal.dst,
                refusal.count
            ),
            remedy: format!("Open UDP {} (the UDPTL ports) at {}", refusal.dst.port(), refusal.dst.ip()),
            evidence: vec![
                ("expected_at", refusal.dst.into()),
                ("icmp_from", refusal.reporter.ip().to_string().into()),
                ("icmp_count", refusal.count.into()),
            ],
            peer: facts.peer(to),
            ..Finding::new("no-udptl", Severity::Warning, Confidence::Certain)
        });
    }
    if fax.beside_audio {
        return None;
    }
    let goes_on = |s: &&Stream| {
        let c = &s.counters;
        c.in_sequence && c.last_at.since(agreed_at) >= FAX_START - Duration::from_secs(1)
    };
    let stream = facts.media.streams_of(key).filter(goes_on).max_by_key(|s| s.counters.last_at)?;
    let from = stream.owner.as_ref()?.from?;
    Some(Finding {
        fault: fault_of(facts, from),
        summary: format!("T.38 was agreed on, and the {} still sends RTP to {}", name(from), stream.counters.key.dst),
        remedy: format!("Find out why {} does not switch to T.38 after it was agreed on", stream.counters.key.src.ip()),
        evidence: vec![
            ("agreed_at", agreed_at.to_string().into()),
            ("src", stream.counters.key.src.into()),
            ("dst", stream.counters.key.dst.into()),
            ("last_packet_at", stream.counters.last_at.to_string().into()),
        ],
        peer: facts.peer(from),
        ..Finding::new("no-udptl", Severity::Warning, Confidence::Likely)
    })
}

fn fault_of(facts: &CallFacts<'_>, side: Side) -> Option<Fault> {
    let hop = match side {
        Side::Caller => facts.call.hops.first()?.a,
        Side::Callee => facts.call.hops.last()?.b,
    };
    Some(if facts.media.is_local(hop.ip()) { Fault::Local } else { Fault::Remote })
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Callee => "callee",
    }
}
