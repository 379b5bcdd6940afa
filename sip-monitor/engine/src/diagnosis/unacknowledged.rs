//! Why a 2xx goes on being repeated: the causes of `no-ack`, each with the evidence it needs. A pure function of facts, in
//! a file of its own beside the catalogue's entry.

use core::time::Duration;

use crate::call::{Call, HopView};
use crate::config::EngineConfig;
use crate::diagnosis::{CallFacts, Confidence, Fault, Finding, RequestName, Severity, UNKNOWN, Value};
use crate::dialog::{AckSeen, Answer, AnswerHop, Contact, Dialog, OddAck};
use crate::packet::{Direction, is_private};
use crate::time::Timestamp;
use crate::transaction::MethodKind;

use super::requests::icmp_text;

/// One answer that is not acknowledged, and where it was seen.
pub(super) struct Unacknowledged<'a> {
    facts: &'a CallFacts<'a>,
    answer: &'a Answer,
    dialog: &'a Dialog,
    /// Nearest to the answerer.
    origin: HopView,
    /// Nearest to whom it is sent, as a hop and in facts.
    last: HopView,
    last_hop: &'a AnswerHop,
}

/// What one cause says.
struct Verdict {
    cause: &'static str,
    confidence: Confidence,
    fault: Option<Fault>,
    because: String,
    remedy: String,
    evidence: Vec<(&'static str, Value)>,
}

/// How far a timer's end may be from its nominal time: round trips and coarse clocks.
const SLACK: Duration = Duration::from_secs(2);

/// The answer that was given up with its call: no ACK of any kind was seen, and 64*T1 after the 2xx somebody hung up. That is
/// the answerer's clock, whichever side is seen to say BYE. Over UDP the 2xx was repeated at least once: who sends it a single
/// time has had its ACK, by whatever way. Over TCP many stacks never repeat it.
pub(super) fn given_up_with_the_call<'a>(call: &'a Call, config: &EngineConfig) -> Option<&'a Answer> {
    let hangup = call.hangup.as_deref().filter(|h| h.method == MethodKind::Bye)?;
    call.answers.iter().find(|answer| {
        let after = hangup.at.since(answer.first_at());
        let hop = answer.origin().and_then(|origin| call.hops.get(usize::from(origin.path.hop)));
        let waits = answer.retransmissions() > 0 || hop.is_some_and(|hop| hop.transport != "udp");
        waits
            && answer.initial
            && answer.invite_seen
            && answer.acks.is_empty()
            && after.abs_diff(config.timers.give_up()) <= SLACK
    })
}

impl<'a> Unacknowledged<'a> {
    pub(super) fn new(facts: &'a CallFacts<'a>, answer: &'a Answer) -> Option<Self> {
        let (first, last_hop) = (answer.origin()?, answer.hops.last()?);
        let dialog = facts.call.dialogs.get(usize::from(answer.dialog))?;
        let (origin, last) = (facts.call.path(first.path)?, facts.call.path(last_hop.path)?);
        Some(Self { facts, answer, dialog, origin, last, last_hop })
    }

    /// The first cause that has evidence, in the order of the catalogue.
    pub(super) fn finding(&self) -> Finding {
        let causes = [
            Self::undeliverable,
            Self::via_rewritten,
            Self::ack_mismatch,
            Self::ack_not_relayed,
            Self::record_route_lost,
            Self::ack_misrouted,
            Self::ack_wrong_uri,
            Self::contact_private,
            Self::contact_unresolvable,
            Self::never_seen,
        ];
        self.told(causes.iter().find_map(|cause| cause(self)).unwrap_or_else(|| self.unknown()))
    }

    fn undeliverable(&self) -> Option<Verdict> {
        for hop in &self.answer.hops {
            let view = self.facts.call.path(hop.path)?;
            let refused = self.facts.call.icmp.iter().find(|icmp| {
                (icmp.quoted_src, icmp.quoted_dst) == (view.src, view.dst)
                    && icmp.seen.last() >= self.answer.first_at()
                    && !self.came_back_from(view.dst, icmp.seen.first())
            });
            if let Some(icmp) = refused {
                let fault = match icmp.direction {
                    Direction::Out => Fault::Local,
                    Direction::In | Direction::Transit if icmp.reporter.ip() == view.dst.ip() => Fault::Remote,
                    Direction::In | Direction::Transit => Fault::Network,
                };
                return Some(Verdict {
                    cause: "2xx-undeliverable",
                    confidence: Confidence::Certain,
                    fault: Some(fault),
                    because: format!("{} says that {} is {}", icmp.reporter.ip(), view.dst, icmp_text(icmp.kind)),
                    remedy: format!(
                        "Open UDP from {} to {}, or see why {} refuses it",
                        view.src,
                        view.dst,
                        icmp.reporter.ip()
                    ),
                    evidence: vec![
                        ("icmp", icmp_text(icmp.kind).into()),
                        ("reporter", icmp.reporter.ip().to_string().into()),
                    ],
                });
            }
            if let Some(expected) = hop.expected_dst.as_deref() {
                return Some(Verdict {
                    cause: "2xx-undeliverable",
                    confidence: Confidence::Certain,
                    fault: sender_fault(&view),
                    because: format!("it is sent to {}, but its top Via asks for {expected}", view.dst),
                    remedy: format!(
                        "Let {} send responses to {expected}, as the received and rport of the top Via say",
                        view.src.ip()
                    ),
                    evidence: vec![("sent_to", view.dst.into()), ("via_asks_for", (*expected).into())],
                });
            }
        }
        None
    }

    /// An ACK of any kind came from there before `at`: the 2xx had arrived, whatever is refused later.
    fn came_back_from(&self, addr: core::net::SocketAddr, at: Timestamp) -> bool {
        let from_there = |ack: &AckSeen| self.facts.call.path(ack.path).is_some_and(|view| view.src.ip() == addr.ip());
        self.answer.acks.iter().any(|ack| ack.sent.first() < at && from_there(ack))
    }

    fn via_rewritten(&self) -> Option<Verdict> {
        let (hop, mismatch) = self.answer.hops.iter().find_map(|hop| Some((hop, hop.via_mismatch.as_deref()?)))?;
        let view = self.facts.call.path(hop.path)?;
        Some(Verdict {
            cause: "via-rewritten",
            confidence: Confidence::Certain,
            fault: sender_fault(&view),
            because: format!(
                "its Via is \"{}\" ({} in all), that of the INVITE was \"{}\" ({})",
                mismatch.answer_top, mismatch.answer.count, mismatch.invite_top, mismatch.invite.count
            ),
            remedy: format!(
                "Switch off the SIP ALG between {} and {}, or let {} copy Via unchanged",
                view.src,
                view.dst,
                view.src.ip()
            ),
            evidence: vec![
                ("via", mismatch.answer_top.to_string().into()),
                ("invite_via", mismatch.invite_top.to_string().into()),
            ],
        })
    }

    fn ack_mismatch(&self) -> Option<Verdict> {
        if self.answer.is_acknowledged() {
            return None;
        }
        let (ack, odd) = self.odd_acks().find(|(_, odd)| !odd.tags_match || !odd.cseq_matches)?;
        let sender = self.facts.call.path(ack.path)?;
        let (caller, callee) = (&self.dialog.caller_tag, &self.dialog.callee_tag);
        let (because, wrong) = if odd.tags_match {
            (
                format!("the ACK has CSeq {} and the INVITE had {}", odd.cseq, self.answer.cseq),
                "CSeq number of the INVITE",
            )
        } else {
            let text = format!(
                "the ACK has the tags {} and {}, the dialog has {caller} and {callee}",
                odd.from_tag, odd.to_tag
            );
            (text, "tags of the 2xx")
        };
        Some(Verdict {
            cause: "ack-mismatch",
            confidence: Confidence::Certain,
            fault: sender_fault(&sender),
            because,
            remedy: format!("Let {} send its ACK with the {wrong}", sender.src.ip()),
            evidence: vec![
                ("ack_from_tag", odd.from_tag.to_string().into()),
                ("ack_to_tag", odd.to_tag.to_string().into()),
                ("ack_cseq", odd.cseq.into()),
                ("to_tag", callee.to_string().into()),
                ("cseq", self.answer.cseq.into()),
            ],
        })
    }

    /// The 2xx was relayed here on its way back; the ACK reached the same relay and no copy left it.
    fn ack_not_relayed(&self) -> Option<Verdict> {
        let relay = self.last.src.ip();
        if self.answer.hops.len() < 2 || self.origin.dst.ip() != relay {
            return None;
        }
        let views = || self.matching_acks().filter_map(|ack| self.facts.call.path(ack.path));
        let came = views().find(|ack| ack.dst.ip() == relay)?;
        let went_on =
            views().any(|ack| ack.src.ip() == relay) || views().any(|ack| ack.dst.ip() == self.origin.src.ip());
        (!went_on).then(|| Verdict {
            cause: "ack-not-relayed",
            confidence: Confidence::Likely,
            fault: Some(if self.is_local(relay) { Fault::Local } else { Fault::Remote }),
            because: format!("the ACK came from {} to {} and did not go on to {}", came.src, came.dst, self.origin.src),
            remedy: format!("Let {relay} relay ACKs to {} by route set and Request-URI", self.origin.src),
            evidence: vec![("ack_from", came.src.into()), ("relay", relay.to_string().into())],
        })
    }

    fn record_route_lost(&self) -> Option<Verdict> {
        let (ack, odd) = self.odd_acks().find(|(_, odd)| !odd.routes_match)?;
        let sender = self.facts.call.path(ack.path)?;
        let wanted = self.dialog.route_set_of(self.answer.side.other());
        let wanted: Vec<_> = wanted.iter().map(|route| route.to_string()).collect();
        if wanted.is_empty() {
            return None;
        }
        let sent: Vec<_> = odd.routes.iter().map(|route| route.to_string()).collect();
        let has =
            if sent.is_empty() { "has no Route".to_owned() } else { format!("has the Route {}", sent.join(", ")) };
        Some(Verdict {
            cause: "record-route-lost",
            confidence: Confidence::Certain,
            fault: sender_fault(&sender),
            because: format!("the ACK from {} {has}, the 2xx asked for {}", sender.src, wanted.join(", ")),
            remedy: format!(
                "Let {} take its route set from the Record-Route of the 2xx: {}",
                sender.src.ip(),
                wanted.join(", ")
            ),
            evidence: vec![
                ("route_set", list(&wanted)),
                ("ack_routes", list(&sent)),
                ("ack_sent_to", sender.dst.into()),
            ],
        })
    }

    fn ack_misrouted(&self) -> Option<Verdict> {
        let (ack, odd) = self.odd_acks().find(|(_, odd)| !odd.sent_to_next_hop)?;
        let (sender, next_hop) = (self.facts.call.path(ack.path)?, odd.next_hop?);
        let by = if odd.routes.is_empty() { "its Contact" } else { "the top route" };
        Some(Verdict {
            cause: "ack-misrouted",
            confidence: Confidence::Certain,
            fault: sender_fault(&sender),
            because: format!("the ACK was sent to {}, but {by} is {next_hop}", sender.dst),
            remedy: format!("Let {} send the ACK to {next_hop}", sender.src.ip()),
            evidence: vec![("ack_sent_to", sender.dst.into()), ("next_hop", next_hop.into())],
        })
    }

    fn ack_wrong_uri(&self) -> Option<Verdict> {
        let (ack, odd) = self.odd_acks().find(|(_, odd)| !odd.uri_is_contact)?;
        let (sender, contact) = (self.facts.call.path(ack.path)?, self.contact()?);
        Some(Verdict {
            cause: "ack-wrong-uri",
            confidence: Confidence::Certain,
            fault: sender_fault(&sender),
            because: format!("the Request-URI of the ACK is {}, its Contact is {}", odd.request_uri, contact.uri),
            remedy: format!(
                "Let {} put the Contact of the 2xx, {}, into the Request-URI of its ACK",
                sender.src.ip(),
                contact.uri
            ),
            evidence: vec![
                ("request_uri", odd.request_uri.to_string().into()),
                ("contact", contact.uri.to_string().into()),
            ],
        })
    }

    fn contact_private(&self) -> Option<Verdict> {
        let contact = self.contact().filter(|contact| contact.is_private())?;
        let address = contact.address()?;
        let acks = || self.answer.acks.iter().filter_map(|ack| self.facts.call.path(ack.path));
        let sent_to_it = acks().find(|ack| ack.dst.ip() == address && self.origin.src.ip() != address);
        let offered_to_public = self.dialog.route_set.is_empty() && !is_private(self.last.dst.ip());
        if sent_to_it.is_none() && !offered_to_public {
            return None;
        }
        let because = match sent_to_it {
            Some(ack) => format!("the ACK was sent to {}, the private address in its Contact", ack.dst),
            None => format!("its Contact is the private address {address}"),
        };
        let remedy =
            format!("Put a publicly routable address into the Contact header of responses to {}", self.last.dst.ip());
        Some(Verdict {
            cause: "contact-private",
            confidence: if sent_to_it.is_some() { Confidence::Certain } else { Confidence::Likely },
            fault: sender_fault(&self.last),
            because,
            remedy,
            evidence: Vec::new(),
        })
    }

    fn contact_unresolvable(&self) -> Option<Verdict> {
        let contact = self.contact().filter(|contact| contact.is_unresolvable_name())?;
        if !self.dialog.route_set.is_empty() || !self.answer.acks.is_empty() {
            return None;
        }
        let remedy =
            format!("Put an address or a public name into the Contact header of responses to {}", self.last.dst.ip());
        Some(Verdict {
            cause: "contact-unresolvable",
            confidence: Confidence::Likely,
            fault: sender_fault(&self.last),
            because: format!("its Contact {} is a name that no public resolver knows", contact.uri),
            remedy,
            evidence: Vec::new(),
        })
    }

    fn never_seen(&self) -> Option<Verdict> {
        if !self.answer.acks.is_empty() || !self.ack_would_pass_here() {
            return None;
        }
        // Of this host's own caller, what it does not send is its own doing.
        let fault = (self.last.direction == Direction::In).then_some(Fault::Local);
        let remedy = match self.last.direction {
            Direction::In => format!("See why {} does not acknowledge the 2xx of {}", self.last.dst, self.last.src),
            Direction::Out | Direction::Transit => format!(
                "See whether the 2xx reaches {} and its ACK is let through to {}: firewall, NAT, SIP ALG",
                self.last.dst, self.last.src
            ),
        };
        Some(Verdict {
            cause: "never-seen",
            confidence: Confidence::Likely,
            fault,
            because: match self.last.direction {
                Direction::In => format!("{} never sent one", self.last.dst),
                Direction::Out | Direction::Transit => format!("none came from {}", self.last.dst),
            },
            remedy,
            evidence: Vec::new(),
        })
    }

    fn unknown(&self) -> Verdict {
        let because = if self.answer.is_acknowledged() {
            format!("the ACK was seen, is right in everything, and does not stop {}", self.origin.src)
        } else {
            "its ACK does not pass here".to_owned()
        };
        Verdict {
            cause: UNKNOWN,
            confidence: Confidence::Likely,
            fault: None,
            because,
            remedy: format!(
                "Look for the ACK at {}: what leaves here is right, so it is lost or refused after this host",
                self.origin.src
            ),
            evidence: Vec::new(),
        }
    }

    fn told(&self, verdict: Verdict) -> Finding {
        let answer = self.answer;
        let seconds = answer.last_at().since(answer.first_at()).as_secs_f64();
        let sent = answer.retransmissions() + 1;
        let what = if answer.code == 200 { "200 OK".to_owned() } else { answer.code.to_string() };
        let but = if answer.is_acknowledged() { "its ACK does not end that" } else { "no ACK" };
        let mut evidence = vec![("sent", Value::from(sent)), ("seconds", Value::from((seconds * 10.0).round() / 10.0))];
        if let Some(contact) = self.contact() {
            evidence.push(("contact", contact.uri.to_string().into()));
        }
        evidence.push(("source", self.last.src.into()));
        evidence.push(("destination", self.last.dst.into()));
        let known: Vec<_> = evidence.iter().map(|(name, _)| *name).collect();
        evidence.extend(verdict.evidence.into_iter().filter(|(name, _)| !known.contains(name)));
        let call_given_up = given_up_with_the_call(self.facts.call, self.facts.config);
        let given_up = answer.given_up_at.is_some() || call_given_up.is_some_and(|a| a.dialog == answer.dialog);
        let first_hop_half_seen =
            answer.origin().is_none_or(|hop| hop.invite_path.is_none()) && self.origin.last_back_at.is_none();
        let half_blind = !answer.invite_seen || first_hop_half_seen;
        let span = if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") };
        Finding {
            rests_on_absence_since: (!answer.is_acknowledged()).then(|| answer.first_at()),
            fault: verdict.fault,
            summary: match sent {
                1 => format!("{what} sent once, {but}: {}", verdict.because),
                _ => format!("{what} sent {sent} times in {span}, {but}: {}", verdict.because),
            },
            remedy: verdict.remedy,
            evidence,
            peer: Some(self.peer()),
            request: Some(RequestName { cseq: answer.cseq, method: "INVITE".into() }),
            to_tag: Some(self.dialog.callee_tag.to_string()),
            ..Finding::new(
                verdict.cause,
                if given_up { Severity::Critical } else { Severity::Warning },
                if half_blind { Confidence::Possible } else { verdict.confidence },
            )
        }
    }

    /// The Contact as the receiver of the 2xx got it.
    fn contact(&self) -> Option<&Contact> {
        self.last_hop.contact.as_ref().or_else(|| self.dialog.target_of(self.answer.side))
    }

    fn matching_acks(&self) -> impl Iterator<Item = &AckSeen> {
        self.answer.acks.iter().filter(|ack| ack.matches())
    }

    fn odd_acks(&self) -> impl Iterator<Item = (&AckSeen, &OddAck)> {
        self.answer.acks.iter().filter_map(|ack| Some((ack, ack.odd.as_deref()?)))
    }

    /// The ACK goes where the route set, else the Contact says. It passes a relay only if that asked for it, and a mirror
    /// port only if it goes to an address seen there.
    fn ack_would_pass_here(&self) -> bool {
        let routed = self.last_hop.record_routes > 0;
        let direct = || self.contact().and_then(Contact::address).is_none_or(|address| address == self.last.src.ip());
        match (self.answer.hops.len(), self.last.direction) {
            (1, Direction::In | Direction::Out) => true,
            (_, Direction::Transit) => routed || direct(),
            (_, Direction::In | Direction::Out) => routed,
        }
    }

    fn is_local(&self, ip: core::net::IpAddr) -> bool {
        self.facts.config.local.contains(&ip)
    }

    fn peer(&self) -> core::net::SocketAddr {
        if self.last.direction == Direction::In { self.last.src } else { self.last.dst }
    }
}

/// Who sent something is at fault for it.
fn sender_fault(view: &HopView) -> Option<Fault> {
    match view.direction {
        Direction::Out => Some(Fault::Local),
        Direction::In => Some(Fault::Remote),
        Direction::Transit => None,
    }
}

fn list(values: &[String]) -> Value {
    Value::List(values.iter().map(|value| value.clone().into()).collect())
}
