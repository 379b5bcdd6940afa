//! One side hangs up, and the other does not take it.
//!
//! A BYE must be answered with 200. Where it is not, one side believes that the call goes on: it stays up in its books, blocks a
//! line, and is charged until something else ends it.
//!
//! **Evidence.** The fifth copy of a BYE without response (7.5 s; the fourth where ICMP errors quote it or this host's kernel drops it) or its time-out; a final
//! response other than 2xx. A 481 is
//! normal where both sides hang up at once, and for the second BYE of a forked call. A challenge (401, 407) is normal when the
//! BYE comes again with credentials.
//!
//! **Usual causes.** The far end is gone or restarted; the BYE is sent to the wrong address, since the sender ignores the Contact
//! or the route set of the dialog.
//!
//! **Remedy.** Take the end time of such calls from the side that hung up; repair what is named.

use crate::call::{DropSeen, HopView};
use crate::diagnosis::requests::{
    drops_against, fault_of_receiver, fault_of_sender, icmp_against, icmp_text, peer_of, times,
};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer, RequestName, Severity, Value};
use crate::dialog::Dialog;
use crate::packet::Direction;
use crate::text::StoredText;
use crate::transaction::{MethodKind, Transaction};

/// A BYE that is not taken.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "teardown-failed",
    layer: Layer::Dialog,
    title: "BYE unanswered or refused",
    causes: &[
        Cause {
            name: "bye-wrong-route",
            evidence: "the Request-URI of the BYE is not the Contact of the other side, or its Route is not the dialog's route set",
            remedy: "Fix the stack that sends the BYE: Request-URI and Route are those of the dialog",
        },
        Cause {
            name: "bye-unanswered",
            evidence: "the BYE was repeated or timed out without any response",
            remedy: "See whether the other side still runs, and what lies between; its end of the call is in doubt",
        },
        Cause {
            name: "bye-481",
            evidence: "the BYE was answered with 481 though nobody else had ended the dialog",
            remedy: "See why the other side lost the call: restart, fail-over without shared state, other tags",
        },
        Cause {
            name: "bye-rejected",
            evidence: "the BYE was refused with another final response",
            remedy: "See why the other side refuses BYE",
        },
    ],
    refs: &["RFC 3261 15", "RFC 3261 12.2.1.1", "RFC 3261 12.2.2"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

/// A BYE repeated so often (7.5 s) is unanswered: one copy less than that is what a slow far end takes.
const REPEATED: u32 = 4;

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    // Of the copies of a BYE on several hops the last one tells where it got stuck.
    call.transactions.iter().rev().filter(|t| t.method == MethodKind::Bye).find_map(|bye| {
        let case = Case { facts, bye, view: call.path(bye.path)? };
        let problem = case.problem()?;
        Some(case.wrong_route(problem).unwrap_or_else(|| case.plain(problem)))
    })
}

/// What became of a BYE.
#[derive(Clone, Copy)]
enum Problem {
    Unanswered,
    Refused(u16),
}

struct Case<'a> {
    facts: &'a CallFacts<'a>,
    bye: &'a Transaction,
    view: HopView,
}

impl<'a> Case<'a> {
    fn problem(&self) -> Option<Problem> {
        let bye = self.bye;
        if self.others().any(|t| t.responses.iter().any(|r| (200..300).contains(&r.code))) {
            return None;
        }
        let is_refused = self.icmp().is_some() || self.dropped().is_some();
        let patience = if is_refused { REPEATED - 1 } else { REPEATED };
        if bye.is_unanswered(patience) {
            // Sent once and not repeated: its sender may have had an answer that did not pass here.
            let is_udp = self.facts.call.hops.get(usize::from(bye.path.hop)).is_some_and(|hop| hop.transport == "udp");
            return (bye.sent.count() > 1 || !is_udp || self.icmp().is_some()).then_some(Problem::Unanswered);
        }
        let last = bye.final_response().filter(|r| r.code >= 300)?;
        match last.code {
            481 if self.has_company() => None,
            // It is asked for credentials, and may come with them.
            401 | 407 => {
                let waited = last.sent.first() + self.facts.config.timers.give_up() <= self.facts.now;
                (waited && !self.others().any(|t| t.cseq > bye.cseq && t.from == bye.from))
                    .then_some(Problem::Refused(last.code))
            }
            code => Some(Problem::Refused(code)),
        }
    }

    /// The BYEs of the same dialog, this one and its copies left out.
    fn others(&self) -> impl Iterator<Item = &'a Transaction> {
        let bye = self.bye;
        self.facts.call.transactions.iter().filter(move |t| {
            t.method == MethodKind::Bye && t.dialog == bye.dialog && (t.cseq != bye.cseq || t.from != bye.from)
        })
    }

    /// Both sides hung up, or the call was forked: a BYE may come too late, or end a branch that is gone, without harm.
    fn has_company(&self) -> bool {
        let dialogs = &self.facts.call.dialogs;
        let is_up = |d: &Dialog| d.confirmed_at.is_some() || d.adopted;
        let own = self.bye.dialog.and_then(|index| dialogs.get(usize::from(index)));
        self.others().next().is_some()
            || dialogs.iter().filter(|d| is_up(d)).count() > 1
            || own.is_some_and(|d| !is_up(d))
            || self.bye.responses.iter().any(|r| (200..300).contains(&r.code))
    }

    fn icmp(&self) -> Option<&'a crate::call::IcmpSeen> {
        icmp_against(self.facts.call, self.bye, &self.view)
    }

    /// What this host's kernel dropped of it, or of what was sent back.
    fn dropped(&self) -> Option<&'a DropSeen> {
        drops_against(self.facts.call, self.bye, &self.view).find(|_| self.view.direction == Direction::In)
    }

    fn wrong_route(&self, problem: Problem) -> Option<Finding> {
        let copies = self
            .facts
            .call
            .transactions
            .iter()
            .filter(|t| t.method == MethodKind::Bye && t.cseq == self.bye.cseq && t.from == self.bye.from);
        let (bye, wrong) = copies.filter_map(|t| Some((t, t.misrouted.as_deref()?))).next()?;
        let sender = self.facts.call.path(bye.path)?;
        let list = |texts: &[StoredText]| Value::List(texts.iter().map(|text| text.to_string().into()).collect());
        let is_route = wrong.routes != wrong.route_set && !wrong.route_set.is_empty();
        let what = if is_route {
            let routes: Vec<&str> = wrong.routes.iter().map(StoredText::as_str).collect();
            let set: Vec<&str> = wrong.route_set.iter().map(StoredText::as_str).collect();
            let has =
                if routes.is_empty() { "no Route".to_owned() } else { format!("the Route {}", routes.join(", ")) };
            format!("it has {has}, the dialog asks for {}", set.join(", "))
        } else {
            format!("its Request-URI is {}, the Contact of the other side is {}", wrong.request_uri, wrong.contact)
        };
        let remedy = if is_route {
            format!("Let {} keep the route set of the dialog (Record-Route of its 2xx) for BYE", sender.src.ip())
        } else {
            format!("Let {} put {} into the Request-URI of its BYE", sender.src.ip(), wrong.contact)
        };
        Some(Finding {
            cause: "bye-wrong-route",
            summary: format!("BYE from {} {}: {what}", sender.src, outcome(problem)),
            remedy,
            fault: fault_of_sender(&sender),
            evidence: self.evidence(vec![
                ("request_uri", wrong.request_uri.to_string().into()),
                ("contact", wrong.contact.to_string().into()),
                ("routes", list(&wrong.routes)),
                ("route_set", list(&wrong.route_set)),
            ]),
            ..self.finding(problem)
        })
    }

    fn plain(&self, problem: Problem) -> Finding {
        let dst = self.view.dst;
        let (summary, remedy, more) = match (problem, self.icmp()) {
            (Problem::Unanswered, Some(icmp)) => (
                format!("BYE to {dst} is refused: {} says it is {}", icmp.reporter.ip(), icmp_text(icmp.kind)),
                format!(
                    "See on {} why {dst} cannot be reached; take the end time of the call from {}",
                    icmp.reporter.ip(),
                    self.view.src
                ),
                vec![("icmp", icmp_text(icmp.kind).into())],
            ),
            (Problem::Unanswered, None) if let Some(seen) = self.dropped() => (
                format!(
                    "BYE from {} to {dst} is not answered: this host's kernel drops {} packets ({})",
                    self.view.src, seen.drop.count, seen.drop.name
                ),
                format!(
                    "See what makes this host drop for {} (`packets-dropped-locally` explains the reasons); take the end time of \
                     the call from {}",
                    seen.drop.name, self.view.src
                ),
                vec![("drop_reason", seen.drop.name.into())],
            ),
            (Problem::Unanswered, None) => (
                format!("BYE was sent to {dst} {} without any response", times(self.bye.sent.count())),
                format!(
                    "See whether {dst} still runs and what lies between; it may go on charging: take the end time from {}",
                    self.view.src
                ),
                Vec::new(),
            ),
            (Problem::Refused(code), _) => (
                format!("{dst} refused BYE with {code}"),
                if code == 481 {
                    format!(
                        "See why {} lost the call (restart, fail-over, other tags); its end time is in doubt",
                        dst.ip()
                    )
                } else {
                    format!("See why {} refuses BYE with {code}; it may go on charging", dst.ip())
                },
                vec![("code", u32::from(code).into())],
            ),
        };
        Finding {
            summary,
            remedy,
            fault: Some(fault_of_receiver(&self.view)),
            evidence: self.evidence(more),
            ..self.finding(problem)
        }
    }

    fn finding(&self, problem: Problem) -> Finding {
        let (cause, absence) = match problem {
            Problem::Unanswered => ("bye-unanswered", Some(self.bye.sent.first())),
            // The other side's BYE may have been missed.
            Problem::Refused(481) => ("bye-481", Some(self.facts.call.first_at)),
            Problem::Refused(_) => ("bye-rejected", None),
        };
        let confidence = match problem {
            Problem::Unanswered if self.icmp().is_some() => Confidence::Certain,
            Problem::Refused(481) if !self.facts.call.setup_seen() => Confidence::Possible,
            Problem::Refused(481) | Problem::Unanswered => Confidence::Likely,
            Problem::Refused(_) => Confidence::Certain,
        };
        Finding {
            rests_on_absence_since: absence,
            peer: Some(peer_of(&self.view)),
            request: Some(RequestName { cseq: self.bye.cseq, method: "BYE".into() }),
            ..Finding::new(cause, Severity::Warning, confidence)
        }
    }

    fn evidence(&self, more: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
        let mut evidence = vec![("sent", self.bye.sent.count().into()), ("sent_to", self.view.dst.into())];
        evidence.extend(more);
        evidence
    }
}

fn outcome(problem: Problem) -> String {
    match problem {
        Problem::Unanswered => "is not answered".to_owned(),
        Problem::Refused(code) => format!("is refused with {code}"),
    }
}
