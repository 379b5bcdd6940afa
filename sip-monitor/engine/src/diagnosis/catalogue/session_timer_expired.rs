//! The call ends since nobody kept its session timer alive.
//!
//! With a session timer one side must refresh the call by re-INVITE or UPDATE, as a rule when half of Session-Expires has passed;
//! where it does not, the other side hangs up min(32 s, SE/3) before the end (RFC 4028 10). Users are cut off after minutes, always
//! after the same time.
//!
//! **Evidence.** No refresh by SE - min(32 s, SE/3), then a BYE, or nothing by the end of the interval and no media either; or a
//! refresh that was refused or not answered, and then a BYE.
//!
//! **Usual causes.** A refresher that forgets its duty after a transfer or a fail-over, a refresh that a firewall or NAT
//! swallows (its binding has expired), a far side that refuses re-INVITE.
//!
//! **Remedy.** Named with the refresher and the values. A call that ends 20 to 40 s after its answer is `dropped-after-30s`.

use core::time::Duration;

use crate::call::{Hangup, SessionTimer};
use crate::diagnosis::requests::{fault_of_receiver, fault_of_side, peer_of, seconds, side_name};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer, RequestName, Severity, Value};
use crate::media::flow::FlowState;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

/// A call whose session interval ran out.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "session-timer-expired",
    layer: Layer::Dialog,
    title: "Session timer ran out",
    causes: &[
        Cause {
            name: "refresh-rejected",
            evidence: "the refresh was refused, and the call was torn down",
            remedy: "See why the side named refuses the re-INVITE or UPDATE",
        },
        Cause {
            name: "refresh-unanswered",
            evidence: "the refresh got no response, and the call was torn down",
            remedy: "See what drops requests in long calls: a NAT binding or a firewall state that has expired",
        },
        Cause {
            name: "no-refresh",
            evidence: "no refresh was seen, and the call ended or fell silent when the interval ran out",
            remedy: "Let the refresher refresh at half of Session-Expires, or agree on the other side as refresher",
        },
    ],
    refs: &["RFC 4028 7.2", "RFC 4028 9", "RFC 4028 10"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

/// How much earlier than its time a BYE may come: clocks that run apart.
const EARLY: Duration = Duration::from_secs(2);
/// How long after a refresh that failed a BYE still belongs to it.
const AFTERMATH: Duration = Duration::from_secs(5);

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let timer = call.session_timer.filter(|_| call.setup_seen() && call.answered_at.is_some())?;
    let hangup = call.hangup.as_deref().filter(|h| h.method == MethodKind::Bye && h.at >= timer.refreshed_at);
    let case = Case { facts, timer };
    match hangup {
        Some(hangup) => case.failed_refresh(hangup).or_else(|| case.no_refresh(hangup)),
        None if call.ended_at.is_none() => case.silence(),
        None => None,
    }
}

struct Case<'a> {
    facts: &'a CallFacts<'a>,
    timer: SessionTimer,
}

impl<'a> Case<'a> {
    /// Requests that would have refreshed the session had they been accepted. Those in the first part of the interval were
    /// meant for something else.
    fn attempts(&self) -> impl Iterator<Item = &'a Transaction> {
        let due = self.timer.refreshed_at + self.interval() * 2 / 5;
        self.facts.call.transactions.iter().filter(move |t| {
            matches!(t.method, MethodKind::Invite | MethodKind::Update) && t.in_dialog && t.sent.first() >= due
        })
    }

    fn failed_refresh(&self, hangup: &Hangup) -> Option<Finding> {
        let patience = self.facts.config.thresholds.unanswered_retransmissions;
        let attempt = self.attempts().filter(|t| t.sent.first() < hangup.at).last()?;
        let view = self.facts.call.path(attempt.path)?;
        let name = attempt.method_name();
        let late = hangup.at + EARLY >= self.timer.may_end_at();
        let (cause, failed_at, what, remedy) = match attempt.final_response() {
            None if !attempt.is_answered() && attempt.sent.retransmissions() > 0 => {
                let last = attempt.sent.first() + self.facts.config.timers.give_up();
                (attempt.is_unanswered(patience) || late).then_some((
                    "refresh-unanswered",
                    last,
                    format!("got no response from {}", view.dst),
                    format!(
                        "See what drops {name} from {} to {} in long calls: a NAT or firewall that forgets the flow",
                        view.src, view.dst
                    ),
                ))?
            }
            // The requester tries again after these (RFC 3261 14.1, RFC 4028 7.4).
            Some(last) if last.code >= 300 && !matches!(last.code, 401 | 407 | 422 | 491) => (
                "refresh-rejected",
                last.sent.first(),
                format!("was refused by {} with {}", view.dst, last.code),
                format!("See why {} refuses {name} within a call with {}", view.dst.ip(), last.code),
            ),
            Some(_) | None => return None,
        };
        if hangup.at > failed_at + AFTERMATH && !late {
            return None;
        }
        let code = attempt.final_response().map(|last| ("code", u32::from(last.code).into()));
        Some(Finding {
            summary: format!(
                "The call was ended after its session refresh failed: {name} {what} (Session-Expires {} s)",
                self.timer.interval_s
            ),
            remedy,
            fault: Some(fault_of_receiver(&view)),
            peer: Some(peer_of(&view)),
            request: Some(RequestName { cseq: attempt.cseq, method: name.to_owned().into() }),
            evidence: self.evidence(Some(hangup.at), code.into_iter().collect()),
            ..self.finding(cause, if cause == "refresh-rejected" { Confidence::Certain } else { Confidence::Likely })
        })
    }

    /// Whoever waits for the refresh hangs up shortly before the interval is over.
    fn no_refresh(&self, hangup: &Hangup) -> Option<Finding> {
        let end = self.timer.expires_at() + crate::call::SESSION_SLACK;
        if hangup.at + EARLY < self.timer.may_end_at() || hangup.at > end || self.attempts().next().is_some() {
            return None;
        }
        let view = self.facts.call.path(hangup.path)?;
        Some(Finding {
            summary: format!(
                "{} ended the call {:.0} s after the last session refresh: Session-Expires is {} s and {} did not refresh",
                side_name(hangup.side),
                hangup.at.since(self.timer.refreshed_at).as_secs_f64(),
                self.timer.interval_s,
                self.refresher()
            ),
            peer: Some(peer_of(&view)),
            request: Some(RequestName { cseq: hangup.cseq, method: "BYE".into() }),
            evidence: self.evidence(Some(hangup.at), Vec::new()),
            ..self.unrefreshed()
        })
    }

    /// The interval is over, and nothing shows that the call is alive.
    fn silence(&self) -> Option<Finding> {
        let over = self.facts.now >= self.timer.expires_at() + crate::call::SESSION_SLACK;
        if !over || self.attempts().any(|t| !t.is_answered() && t.timed_out.is_none()) {
            return None;
        }
        let call = self.facts.call;
        let flows = call.media.flows(self.facts.media, self.facts.config, self.facts.now);
        if flows.iter().any(|f| f.to_caller.state == FlowState::Flowing || f.to_callee.state == FlowState::Flowing) {
            return None;
        }
        let view = call.invites().next().and_then(|t| call.path(t.path))?;
        Some(Finding {
            summary: format!(
                "The session interval of {} s is over: {} did not refresh, and no BYE came",
                self.timer.interval_s,
                self.refresher()
            ),
            peer: Some(peer_of(&view)),
            evidence: self.evidence(None, Vec::new()),
            ..self.unrefreshed()
        })
    }

    fn unrefreshed(&self) -> Finding {
        let half = self.timer.interval_s / 2;
        Finding {
            remedy: format!(
                "Let {} send re-INVITE or UPDATE {half} s after each refresh (half of Session-Expires), or agree on the other side as refresher",
                self.refresher()
            ),
            fault: self.timer.refresher.and_then(|side| fault_of_side(self.facts.call, self.facts.config, side)),
            ..self.finding("no-refresh", Confidence::Likely)
        }
    }

    fn refresher(&self) -> String {
        let Some(side) = self.timer.refresher else { return "the refresher".to_owned() };
        format!("{} (the refresher)", side_name(Some(side)))
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(self.timer.interval_s.into())
    }

    fn finding(&self, cause: &'static str, confidence: Confidence) -> Finding {
        Finding {
            rests_on_absence_since: Some(self.timer.refreshed_at),
            ..Finding::new(cause, Severity::Critical, confidence)
        }
    }

    fn evidence(&self, ended_at: Option<Timestamp>, more: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
        let mut evidence = vec![("session_expires_s", self.timer.interval_s.into())];
        if let Some(side) = self.timer.refresher {
            evidence.push(("refresher", side_name(Some(side)).into()));
        }
        evidence.extend(ended_at.map(|at| ("after_refresh_s", seconds(at.since(self.timer.refreshed_at)).into())));
        evidence.extend(more);
        evidence
    }
}
