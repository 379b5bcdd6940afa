//! A call that worked breaks off: its media stops in both directions at once, or the BYE says that something failed.
//!
//! What people notice: "calls disconnect abruptly", in the middle of a sentence, at no particular time.
//!
//! How it is seen: the RTP of a confirmed call stops in both directions within 1 s of each other and stays away for 10 s, with
//! neither BYE nor hold; or a BYE carries a Q.850 cause other than 16 and 31 (normal clearing). What happens 20 to 40 s
//! after the answer is `dropped-after-30s`. Silence of 60 s becomes `zombie-call`.
//!
//! Causes, tried in this order:
//!
//! - `endpoint-crash`: the next request within the dialog gets 481 or 408: an end has forgotten the call.
//! - `network-loss`: ICMP errors refuse the last packets, or the media of other calls with the same peer stopped at the same
//!   moment and none goes on.
//! - `reason`: the BYE says why.
//!
//! Where this host's own kernel has dropped RTP of the call then, or RTCP more than once in the half minute before, the network is
//! not blamed: the cause stays `unknown`, with the reason of the drops.
//!
//! Remedy: that of its cause; look at what happened on the path or at the end at that moment.
//!
//! References: RFC 3326 (Reason), RFC 3398 (Q.850 causes), RFC 3261 12.2.2 (481).

use core::time::Duration;

use crate::call::Hangup;
use crate::diagnosis::missing_media::{Extent, Silence, find, silence};
use crate::diagnosis::{
    Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, RequestName, Severity, UNKNOWN, Value,
};
use crate::media::{RTCP_MISSING, RtcpDropped};
use crate::packet::{DroppedTraffic, KernelDrop};
use crate::transaction::{MethodKind, Transaction};

/// A confirmed call that breaks off.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "abrupt-disconnect",
    layer: Layer::Call,
    title: "Answered call breaks off",
    causes: &[
        Cause {
            name: "endpoint-crash",
            evidence: "the media stopped both ways, and the next request within the dialog got 481 or 408",
            remedy: "Look why that end restarted or lost its calls at that moment",
        },
        Cause {
            name: "network-loss",
            evidence: "ICMP errors refuse the last packets, or other calls with the peer fell silent at the same moment",
            remedy: "Look at link, route and firewall towards the peer at that moment",
        },
        Cause {
            name: "reason",
            evidence: "the BYE carries a Q.850 cause other than 16 and 31",
            remedy: "Follow the cause: it names what the side that hung up ran into",
        },
    ],
    refs: &["RFC 3326 2", "RFC 3261 12.2.2", "RFC 3398 8.2"],
    takes_over: &["blocked-rtp", "teardown-failed"],
    asks: Asks::Call(judge),
};

/// Both directions stop within this time of each other.
const AT_ONCE: Duration = Duration::from_secs(1);
/// One lost packet of RTCP has no end give up a call.
const RTCP_PACKETS: u64 = 2;
/// Other calls with the peer fell silent at the same moment.
const SAME_MOMENT: Duration = Duration::from_secs(2);
/// So many other calls are no chance.
const MANY: usize = 2;
/// Half a minute after its answer a call breaks off for reasons of its own: `dropped-after-30s`.
const HALF_A_MINUTE: core::ops::RangeInclusive<Duration> = Duration::from_secs(20)..=Duration::from_secs(40);
/// Q.850 causes of a normal end: normal call clearing; normal, unspecified.
const NORMAL: [u16; 2] = [16, 31];

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let stopped = silence(facts).filter(|s| s.last_at.since(s.first_at) <= AT_ONCE);
    match stopped {
        Some(silence) => Some(fell_silent(facts, &silence)),
        None => facts.call.hangup.as_deref().and_then(|hangup| hung_up_for_a_reason(facts, hangup)),
    }
}

fn fell_silent(facts: &CallFacts<'_>, silence: &Silence) -> Finding {
    let what = format!("RTP stopped in both directions at {}, without BYE or hold", silence.last_at);
    let mut evidence: Vec<(&'static str, Value)> = vec![
        ("stopped_at", silence.first_at.to_string().into()),
        ("last_packet_at", silence.last_at.to_string().into()),
    ];
    let base = Finding {
        rests_on_absence_since: Some(silence.first_at),
        peer: Some(silence.peer),
        ..Finding::new(UNKNOWN, Severity::Critical, silence.confidence)
    };
    if let Some((request, code)) = forgotten(facts, silence) {
        evidence.extend([("method", request.method.name().into()), ("code", u64::from(code).into())]);
        let answerer = facts.call.path(request.path).map(|hop| hop.dst);
        let is_local = answerer.is_some_and(|dst| facts.media.is_local(dst.ip()));
        let who = answerer.map_or_else(|| "the other end".to_owned(), |dst| dst.to_string());
        return Finding {
            cause: "endpoint-crash",
            fault: Some(if is_local { Fault::Local } else { Fault::Remote }),
            summary: format!("{what}; then {who} answered {} with {code}: it has lost the call", request.method.name()),
            remedy: format!(
                "Look at {who} at that moment: a restart, a crash, or a fail-over without the state of calls"
            ),
            evidence,
            request: Some(RequestName { cseq: request.cseq, method: request.method.name().into() }),
            ..base
        };
    }
    if let Some(drop) = dropped_here(facts, silence) {
        evidence.extend([("drop_reason", drop.name.into()), ("dropped_packets", drop.count.into())]);
        let of_what = if drop.traffic == DroppedTraffic::Rtcp { "RTCP" } else { "RTP" };
        return Finding {
            fault: Some(Fault::Local),
            summary: format!(
                "{what}; this host's kernel drops {of_what} of the call ({} packets {})",
                drop.count, drop.name
            ),
            remedy: format!(
                "See in this host's firewall, routes and sockets what drops it for {}; an end may give up a call whose {of_what} \
                 stays away",
                drop.name
            ),
            evidence,
            ..base
        };
    }
    if let Some(refusal) = silence.refusal.as_ref().filter(|refusal| refusal.dropped.is_none()) {
        evidence
            .extend([("icmp_from", refusal.reporter.ip().to_string().into()), ("icmp_count", refusal.count.into())]);
        return Finding {
            cause: "network-loss",
            fault: Some(if refusal.is_by_this_host() { Fault::Local } else { Fault::Network }),
            summary: format!("{what}; {} refuses it by ICMP", refusal.reporter.ip()),
            remedy: format!("Look at {} and the way to {} at that moment", refusal.reporter.ip(), refusal.dst),
            evidence,
            ..base
        };
    }
    let others = calls_that_stopped_too(facts, silence);
    if others >= MANY {
        evidence.push(("calls_silent_at_once", (others as u64 + 1).into()));
        return Finding {
            cause: "network-loss",
            fault: Some(Fault::Network),
            summary: format!("{what}; {others} other calls with the same hosts fell silent at the same moment"),
            remedy: format!("Look at link, route and firewall towards {} at that moment", silence.peer.ip()),
            evidence,
            ..base
        };
    }
    Finding {
        summary: what,
        remedy: format!(
            "Look at what happened at that moment at both ends and on the way to {}: power, restart, route change, firewall \
             state lost",
            silence.peer.ip()
        ),
        evidence,
        ..base
    }
}

/// What this host's kernel dropped of the call's media before it fell silent: nobody else is to blame then.
fn dropped_here(facts: &CallFacts<'_>, silence: &Silence) -> Option<KernelDrop> {
    // What is dropped on its way out is not seen: its last packet was the one before.
    let of_rtp = silence.refusal.and_then(|refusal| refusal.dropped);
    let of_rtp = of_rtp.filter(|drop| drop.first_at <= silence.last_at + AT_ONCE);
    let has_led_to_it = |rtcp: &&RtcpDropped| {
        rtcp.packets >= RTCP_PACKETS
            && rtcp.first_at <= silence.first_at
            && rtcp.drop.last_at + RTCP_MISSING >= silence.first_at
    };
    of_rtp.or_else(|| {
        let rtcp = facts.media.dropped_rtcp(facts.call.key).iter().find(has_led_to_it)?;
        Some(KernelDrop { count: rtcp.packets, first_at: rtcp.first_at, ..rtcp.drop })
    })
}

/// The first request within the dialog after the silence began that was answered 481 or 408.
fn forgotten<'a>(facts: &'a CallFacts<'_>, silence: &Silence) -> Option<(&'a Transaction, u16)> {
    let later = facts.call.transactions.iter().filter(|t| t.in_dialog && t.sent.first() >= silence.first_at);
    let answered = later.filter_map(|t| Some((t, t.final_response()?.code)));
    answered.into_iter().find(|(_, code)| matches!(code, 408 | 481))
}

/// Other calls between the same media hosts whose last packet came at the same moment; none where one goes on.
fn calls_that_stopped_too(facts: &CallFacts<'_>, silence: &Silence) -> usize {
    let own = facts.call.key;
    let mut hosts: Vec<_> = facts.media.streams_of(own).map(|s| s.counters.key.src.ip()).collect();
    hosts.retain(|ip| !facts.media.is_local(*ip));
    hosts.sort_unstable();
    hosts.dedup();
    let mut calls = Vec::new();
    for stream in hosts.iter().flat_map(|ip| facts.media.streams_from_host(*ip)) {
        let (Some(call), c) = (stream.call().filter(|call| *call != own), &stream.counters) else { continue };
        if c.last_at > silence.last_at + SAME_MOMENT {
            return 0;
        }
        if c.last_at + SAME_MOMENT >= silence.first_at {
            calls.push(call);
        }
    }
    calls.sort_unstable();
    calls.dedup();
    calls.len()
}

fn hung_up_for_a_reason(facts: &CallFacts<'_>, hangup: &Hangup) -> Option<Finding> {
    let call = facts.call;
    let reason = hangup.reason.as_ref().filter(|r| r.protocol.as_str().eq_ignore_ascii_case("Q.850"))?;
    let cause = reason.cause.filter(|cause| *cause != 0 && !NORMAL.contains(cause))?;
    let was_up = call.answered_at.is_some() || call.adopted;
    let in_window = call.answered_at.is_some_and(|at| HALF_A_MINUTE.contains(&hangup.at.since(at)));
    if hangup.method != MethodKind::Bye || !was_up || in_window || find(facts, Extent::Both).is_some() {
        return None;
    }
    let hop = call.path(hangup.path)?;
    let is_ours = facts.media.is_local(hop.src.ip());
    let text = reason.text.as_ref().map(|t| format!(" ({})", t.as_str())).unwrap_or_default();
    Some(Finding {
        fault: Some(if is_ours { Fault::Local } else { Fault::Remote }),
        summary: format!(
            "{} ended the answered call with Q.850 cause {cause}{text}, which is no normal clearing",
            hop.src
        ),
        remedy: format!("Find out at {} what Q.850 cause {cause}{text} stands for there", hop.src.ip()),
        evidence: vec![
            ("reason", hangup.reason_header.as_ref().map_or("", |r| r.as_str()).to_owned().into()),
            ("q850_cause", u64::from(cause).into()),
        ],
        peer: Some(if is_ours { hop.dst } else { hop.src }),
        request: Some(RequestName { cseq: hangup.cseq, method: "BYE".into() }),
        ..Finding::new("reason", Severity::Critical, Confidence::Certain)
    })
}
