//! A transfer is asked for and does not come about.
//!
//! REFER asks the other side to call somebody else; NOTIFYs tell how that goes (RFC 3515). Users stay on hold, or are back with who
//! wanted to get rid of them, or are lost between the two.
//!
//! **Evidence.** The REFER is refused; a NOTIFY says that the new call failed (sipfrag 300 or above); no NOTIFY with a final status
//! within 60 s while the call is still up (none is due with Refer-Sub: false). Where the REFER came to this host it is also seen
//! whether a call to the target left.
//!
//! **Usual causes.** Transfers that the trunk or the far side does not allow, a target that is busy or wrong, a PBX that takes
//! the REFER and cannot dial.
//!
//! **Remedy.** Named with the target and the status.

use crate::call::{HopView, Refer};
use crate::diagnosis::requests::{fault_of_receiver, peer_of, seconds, side_name};
use crate::diagnosis::{
    Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, RequestName, Severity, Value,
};
use crate::packet::Direction;

/// A transfer that fails.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "transfer-failed",
    layer: Layer::Call,
    title: "Transfer refused, failed or without outcome",
    causes: &[
        Cause {
            name: "refer-rejected",
            evidence: "the REFER was answered with 300 or above",
            remedy: "Allow transfers on the side that refuses, or transfer in the PBX instead of by REFER",
        },
        Cause {
            name: "target-failed",
            evidence: "a NOTIFY tells that the call to the target failed",
            remedy: "See why the target could not be reached: the status says",
        },
        Cause {
            name: "referred-call-missing",
            evidence: "the REFER came to this host, was accepted, and no call to its target left",
            remedy: "See in the logs of the service on this host why it did not dial",
        },
        Cause {
            name: "no-notify",
            evidence: "the REFER was accepted and no NOTIFY told its outcome within 60 s",
            remedy: "See on the side that accepted the REFER what became of the call; its NOTIFYs may be lost",
        },
    ],
    refs: &["RFC 3515 2.4", "RFC 5589 6", "RFC 4488 4"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    // What was tried last counts: a transfer that failed and then worked is done.
    let refer = facts.call.refers.last()?;
    let case = Case { facts, refer, view: facts.call.path(refer.path)? };
    case.rejected().or_else(|| case.target_failed()).or_else(|| case.untold())
}

struct Case<'a> {
    facts: &'a CallFacts<'a>,
    refer: &'a Refer,
    view: HopView,
}

impl Case<'_> {
    fn rejected(&self) -> Option<Finding> {
        // With 401 and 407 it comes again with credentials.
        let code = self.refer.code.filter(|code| *code >= 300 && !matches!(code, 401 | 407))?;
        Some(Finding {
            summary: format!("{} refused the transfer to {} with {code}", self.view.dst, self.refer.target),
            remedy: format!(
                "Allow REFER from {} on {}, or let {} make the new call itself",
                self.view.src.ip(),
                self.view.dst.ip(),
                self.view.src.ip()
            ),
            fault: Some(fault_of_receiver(&self.view)),
            evidence: self.evidence(vec![("code", u32::from(code).into())]),
            ..self.finding("refer-rejected", Confidence::Certain)
        })
    }

    fn target_failed(&self) -> Option<Finding> {
        let (at, code) = self.refer.notified.filter(|(_, code)| *code >= 300)?;
        Some(Finding {
            summary: format!("The transfer to {} failed: the call there ended with {code}", self.refer.target),
            remedy: format!(
                "See why {} answers {code}: number, registration, busy; {} stays with the first call",
                self.refer.target,
                side_name(self.refer.side.map(|s| s.other()))
            ),
            evidence: self
                .evidence(vec![("code", u32::from(code).into()), ("after_s", seconds(at.since(self.refer.at)).into())]),
            ..self.finding("target-failed", Confidence::Certain)
        })
    }

    fn untold(&self) -> Option<Finding> {
        let refer = self.refer;
        let accepted = refer.code.is_some_and(|code| (200..300).contains(&code));
        let waited = self.facts.now.since(refer.at);
        // Who hangs up after the 202 does not want to know.
        let over = self.facts.call.ended_at.is_some();
        if !accepted
            || over
            || refer.is_told()
            || refer.no_subscription
            || waited < self.facts.config.thresholds.transfer_notify
        {
            return None;
        }
        let base = Finding {
            rests_on_absence_since: Some(refer.at),
            fault: Some(fault_of_receiver(&self.view)),
            evidence: self.evidence(vec![("waited_s", seconds(waited).into())]),
            ..self.finding("no-notify", Confidence::Likely)
        };
        if self.view.direction == Direction::In && !refer.followed {
            return Some(Finding {
                cause: "referred-call-missing",
                summary: format!(
                    "{} accepted the transfer to {} and made no call to it within {:.0} s",
                    self.view.dst,
                    refer.target,
                    waited.as_secs_f64()
                ),
                remedy: format!("See in the logs of {} why it did not dial {}", self.view.dst, refer.target),
                fault: Some(Fault::Local),
                ..base
            });
        }
        Some(Finding {
            summary: format!(
                "{} accepted the transfer to {} and told no outcome within {:.0} s",
                self.view.dst,
                refer.target,
                waited.as_secs_f64()
            ),
            remedy: format!(
                "See on {} what became of the call to {}, and whether its NOTIFYs reach {}",
                self.view.dst.ip(),
                refer.target,
                self.view.src
            ),
            ..base
        })
    }

    fn finding(&self, cause: &'static str, confidence: Confidence) -> Finding {
        Finding {
            peer: Some(peer_of(&self.view)),
            request: Some(RequestName { cseq: self.refer.cseq, method: "REFER".into() }),
            ..Finding::new(cause, Severity::Warning, confidence)
        }
    }

    fn evidence(&self, more: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
        let mut evidence =
            vec![("refer_to", self.refer.target.to_string().into()), ("asked_by", side_name(self.refer.side).into())];
        evidence.extend(more);
        evidence
    }
}
