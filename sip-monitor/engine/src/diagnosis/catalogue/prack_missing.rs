//! A reliable ringing or progress response is repeated and never confirmed.
//!
//! A provisional response with `Require: 100rel` and RSeq is repeated like a request until its PRACK comes (RFC 3262 3). Without
//! it the callee gives up after 64*T1 and refuses the call with 5xx; before that ringback and early media may be missing.
//!
//! **Evidence.** The third repetition of a response with RSeq (3.5 s), and no PRACK whose RAck names its RSeq and the CSeq of
//! the INVITE. A PRACK that comes late, or the answer of the call, ends it.
//!
//! **Usual causes.** The caller announces 100rel and does not do it, a relay between strips RSeq or routes the PRACK wrong, or
//! the RAck counts wrong.
//!
//! **Remedy.** Switch 100rel off on one side, or fix the PRACK.

use crate::diagnosis::requests::{fault_of_sender, peer_of};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity, Value};
use crate::packet::Direction;
use crate::transaction::{MethodKind, Response, Transaction};

/// A reliable provisional response whose PRACK is missing.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "prack-missing",
    layer: Layer::Transaction,
    title: "Reliable provisional response repeated without its PRACK",
    causes: &[
        Cause {
            name: "wrong-rack",
            evidence: "a PRACK came whose RAck names another RSeq or CSeq number",
            remedy: "Fix the RAck: RSeq of the response, CSeq number and method of the INVITE",
        },
        Cause {
            name: "never-sent",
            evidence: "no PRACK was seen though it would pass here",
            remedy: "Switch 100rel off on the callee's side, or let the caller send PRACK",
        },
    ],
    refs: &["RFC 3262 3", "RFC 3262 4", "RFC 3262 7.2"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let patience = facts.config.thresholds.unanswered_retransmissions;
    let pracks = || call.transactions.iter().filter(|t| t.method == MethodKind::Prack);
    let is_missing = |invite: &Transaction, response: &Response| {
        let rack = response.rseq.map(|rseq| (rseq, invite.cseq));
        rack.is_some()
            && response.code < 200
            && response.sent.retransmissions() >= patience
            && !pracks().any(|prack| prack.rack == rack)
    };
    // A relay without Record-Route does not see the PRACK; that the response is repeated shows that it is not confirmed.
    let pending = call
        .transactions
        .iter()
        .filter(|t| t.method == MethodKind::Invite && t.final_response().is_none_or(|last| last.code >= 300));
    let (invite, response) =
        pending.flat_map(|t| t.responses.iter().map(move |r| (t, r))).find(|(t, r)| is_missing(t, r))?;
    let rseq = response.rseq?;
    let view = call.path(invite.path)?;
    let sent = response.sent.retransmissions() + 1;
    let base = Finding {
        rests_on_absence_since: Some(response.sent.first()),
        peer: Some(peer_of(&view)),
        fault: fault_of_sender(&view),
        ..Finding::new("never-sent", Severity::Warning, Confidence::Likely)
    };
    let evidence = |more: Vec<(&'static str, Value)>| {
        let mut evidence =
            vec![("code", u32::from(response.code).into()), ("rseq", rseq.into()), ("sent", sent.into())];
        evidence.extend(more);
        evidence
    };
    let wrong =
        pracks().filter(|t| t.sent.last() >= response.sent.first()).find_map(|prack| Some((prack, prack.rack?)));
    if let Some((prack, (rack_rseq, rack_cseq))) = wrong {
        let sender = call.path(prack.path)?;
        return Some(Finding {
            cause: "wrong-rack",
            confidence: Confidence::Certain,
            fault: fault_of_sender(&sender),
            summary: format!(
                "{} with RSeq {rseq} was sent {sent} times: the PRACK from {} says RAck {rack_rseq} {rack_cseq} INVITE, due is {rseq} {} INVITE",
                response.code, sender.src, invite.cseq
            ),
            remedy: format!(
                "Let {} send RAck {rseq} {} INVITE, or switch 100rel off there",
                sender.src.ip(),
                invite.cseq
            ),
            evidence: evidence(vec![
                ("rack", format!("{rack_rseq} {rack_cseq} INVITE").into()),
                ("due", format!("{rseq} {} INVITE", invite.cseq).into()),
            ]),
            ..base
        });
    }
    Some(Finding {
        summary: format!("{} with RSeq {rseq} was sent {sent} times to {}, and no PRACK came", response.code, view.src),
        remedy: format!("Switch 100rel off on {}, or let {} send PRACK", view.dst.ip(), view.src.ip()),
        fault: if view.direction == Direction::Transit { Some(Fault::Remote) } else { base.fault },
        evidence: evidence(Vec::new()),
        ..base
    })
}
