//! The caller hangs up before the answer, and the call is not taken down.
//!
//! CANCEL asks for a pending INVITE to be ended; the INVITE must then get its final response, 487 as a rule (RFC 3261 9.2). Where
//! it does not, the far side goes on ringing, or answers a call that nobody wants any more.
//!
//! **Evidence.** 64*T1 (32 s) after the CANCEL its INVITE has no final response; or it was answered with 2xx after the CANCEL,
//! and no BYE followed within 64*T1. A CANCEL that crosses the 200, with ACK and BYE after it, is normal.
//!
//! **Usual causes.** The CANCEL does not match its INVITE (a relay changed the top Via), it is filtered on its way, or the
//! far side takes it and forgets the INVITE.
//!
//! **Remedy.** See what became of the CANCEL on the side that is named.

use crate::call::HopView;
use crate::diagnosis::requests::{fault_of_receiver, fault_of_sender, peer_of, times};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer, RequestName, Severity};
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

/// An INVITE that is cancelled and goes on.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "cancel-ignored",
    layer: Layer::Transaction,
    title: "CANCEL without effect on its INVITE",
    causes: &[
        Cause {
            name: "answered-after-cancel",
            evidence: "the INVITE was answered with 2xx after its CANCEL, and no BYE followed within 64*T1",
            remedy: "Let the side that cancelled send ACK and BYE for a 200 that crosses its CANCEL",
        },
        Cause {
            name: "cancel-unanswered",
            evidence: "neither the CANCEL nor its INVITE got a final response",
            remedy: "Find where the CANCEL is lost or not matched: it must carry the INVITE's Request-URI, top Via and branch",
        },
        Cause {
            name: "no-487",
            evidence: "the CANCEL was answered, its INVITE got no final response",
            remedy: "Let the side that took the CANCEL end the INVITE with 487",
        },
    ],
    refs: &["RFC 3261 9.1", "RFC 3261 9.2", "RFC 3261 15"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    // Of the copies on several hops the last one tells where the CANCEL got stuck.
    facts.call.transactions.iter().rev().find_map(|invite| {
        let cancelled_at = invite.cancelled_at?;
        let case = Case { facts, invite, view: facts.call.path(invite.path)?, cancelled_at };
        match invite.final_response() {
            None => case.pending(),
            Some(last) if last.code < 300 => case.answered(last.code, last.sent.first()),
            Some(_) => None,
        }
    })
}

struct Case<'a> {
    facts: &'a CallFacts<'a>,
    invite: &'a Transaction,
    view: HopView,
    cancelled_at: Timestamp,
}

impl Case<'_> {
    /// No final response in 64*T1. An INVITE without any response at all is a silent peer: `request-unanswered`.
    fn pending(&self) -> Option<Finding> {
        let give_up = self.facts.config.timers.give_up();
        if self.facts.now < self.cancelled_at + give_up || !self.invite.is_answered() {
            return None;
        }
        let cancel = self
            .facts
            .call
            .transactions
            .iter()
            .find(|t| t.method == MethodKind::Cancel && t.path == self.invite.path && t.cseq == self.invite.cseq)?;
        let answered = cancel.final_response().map(|r| r.code);
        let seconds = give_up.as_secs();
        let (cause, summary, remedy) = match answered {
            Some(code) if code < 300 => (
                "no-487",
                format!(
                    "{} answered the CANCEL with {code}, and the INVITE got no final response within {seconds} s",
                    self.view.dst
                ),
                format!("Let {} end a cancelled INVITE with 487", self.view.dst.ip()),
            ),
            Some(code) => (
                "no-487",
                format!(
                    "{} refused the CANCEL with {code}, and the INVITE got no final response within {seconds} s",
                    self.view.dst
                ),
                format!(
                    "See why {} does not know the INVITE of this CANCEL: branch {} and Request-URI must be those of the INVITE",
                    self.view.dst.ip(),
                    self.invite.branch
                ),
            ),
            None => (
                "cancel-unanswered",
                format!(
                    "CANCEL was sent to {} {} without any response, and the INVITE got no final response within {seconds} s",
                    self.view.dst,
                    times(cancel.sent.count())
                ),
                format!(
                    "Find where the CANCEL from {} to {} is dropped: the INVITE passed there, so look for a rule on the method, or in the log of what received it",
                    self.view.src, self.view.dst
                ),
            ),
        };
        Some(Finding {
            summary,
            remedy,
            fault: Some(fault_of_receiver(&self.view)),
            evidence: vec![
                ("cancel_sent", cancel.sent.count().into()),
                ("cancel_code", answered.map_or_else(|| "none".into(), |code| u32::from(code).into())),
                ("sent_to", self.view.dst.into()),
            ],
            ..self.finding(cause)
        })
    }

    /// Answered all the same, and left up.
    fn answered(&self, code: u16, at: Timestamp) -> Option<Finding> {
        let give_up = self.facts.config.timers.give_up();
        if at <= self.cancelled_at || self.facts.now < at + give_up {
            return None;
        }
        // A BYE of either side, in whatever dialog of a fork, shows that the crossing was noticed.
        if self.facts.call.transactions.iter().any(|t| t.method == MethodKind::Bye) {
            return None;
        }
        Some(Finding {
            summary: format!(
                "{} answered with {code} {:.1} s after the CANCEL, and no BYE followed within {} s",
                self.view.dst,
                at.since(self.cancelled_at).as_secs_f64(),
                give_up.as_secs()
            ),
            remedy: format!(
                "Let {} send ACK and BYE for a 200 that crosses its CANCEL: the call is up and may be charged",
                self.view.src.ip()
            ),
            fault: fault_of_sender(&self.view),
            evidence: vec![("code", u32::from(code).into()), ("answered_by", self.view.dst.into())],
            ..self.finding("answered-after-cancel")
        })
    }

    fn finding(&self, cause: &'static str) -> Finding {
        Finding {
            rests_on_absence_since: Some(self.cancelled_at),
            peer: Some(peer_of(&self.view)),
            request: Some(RequestName { cseq: self.invite.cseq, method: "CANCEL".into() }),
            ..Finding::new(cause, Severity::Warning, Confidence::Likely)
        }
    }
}
