//! A request is sent again and again, and nothing comes back.
//!
//! Over UDP a request is repeated after 0.5, 1, 2, 4 s and so on until something answers it; after 64*T1 (32 s) its sender gives
//! up (RFC 3261 17.1, timers B and F). Users hear nothing at all, then an error; operators read "no response to your SIP
//! requests", or find that the call is not in the logs of the server it was sent to.
//!
//! **Evidence.** The fourth copy of a request (3.5 s) or its time-out, with no response of any kind. A request that was sent once
//! over UDP and never again is no evidence unless it was refused: its sender may have had an answer that did not pass here.
//! Over TCP the kernel's word that a firewall rule drops its bytes again and again is enough.
//! Of a request that arrived, the kernel of this host says what became of it where its drop reasons are watched (Linux 5.17 and
//! newer, live): dropped by a rule, for want of a socket, for a full receive buffer, or none of it dropped and
//! so handed to a process that does not answer (`local-silent`).
//! What a firewall rule keeps from or of a stranger whom this host has refused before is only information: that is its purpose.
//! BYE, CANCEL, REGISTER, OPTIONS and reliable provisional responses have codes of their own.
//!
//! **Usual causes.** The peer's firewall or allow-list drops what comes from this address; the service behind the address is
//! down; a local rule refuses; a proxy takes the request in and never sends it on.
//!
//! **Remedy.** Named with both addresses. A peer that answers later resolves the alert.

use crate::call::{Call, DropSeen, HopView, Shown};
use crate::diagnosis::requests::{
    drops_against, fault_of_receiver, icmp_against, icmp_text, is_lasting, is_lost_over_tcp, peer_of, relays_to, times,
};
use crate::diagnosis::{
    Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, RequestName, Severity, UNKNOWN, Value,
};
use crate::packet::{Direction, DropReason, DroppedSegment, IcmpKind};
use crate::tcp::Breaking;
use crate::transaction::{MethodKind, Transaction};

/// A request that nobody answers.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "request-unanswered",
    layer: Layer::Transaction,
    title: "Request repeated or timed out without any response",
    causes: &[
        Cause {
            name: "not-relayed",
            evidence: "the request, or the response to its relayed copy, came to this relay and did not leave it",
            remedy: "See the routing, the logs and the load of the relay",
        },
        Cause {
            name: "no-listener",
            evidence: "the kernel of this host drops the request since no process has the port open, or answers it with ICMP port unreachable",
            remedy: "Start the service, or let it listen on the address and port that the request was sent to",
        },
        Cause {
            name: "local-firewall",
            evidence: "a netfilter rule of this host drops the request or the responses to it, or answers it with ICMP administratively prohibited",
            remedy: "Allow the peer in this host's firewall",
        },
        Cause {
            name: "socket-overflow",
            evidence: "the kernel of this host drops the request since the receive buffer of the SIP socket is full",
            remedy: "See why the service does not read its socket (hung, overloaded); raise net.core.rmem_max and its own setting",
        },
        Cause {
            name: "icmp-unreachable",
            evidence: "an ICMP error arrives that quotes the request",
            remedy: "See what its sender protects or cannot reach: firewall, routing, a service that is down",
        },
        Cause {
            name: "fragment-lost",
            evidence: "the request was fragmented, and a fragment of it never came",
            remedy: "Use SIP over TCP, offer fewer codecs, or let the firewalls between pass fragments",
        },
        Cause {
            name: "tcp-refused",
            evidence: "the connection was reset by the other side after the request was sent on it",
            remedy: "See in the log of the server why it closed the connection",
        },
        Cause {
            name: "tcp-timeout",
            evidence: "TCP sent the request's bytes again four times or more, and they were not acknowledged",
            remedy: "See whether the server and the path to it are up: the connection is dead",
        },
        Cause {
            name: "local-silent",
            evidence: "the request arrived, the kernel of this host is watched and dropped none of it, and no answer left",
            remedy: "See the logs and the load of the service, and whether it ignores this peer",
        },
        Cause {
            name: "remote-silent",
            evidence: "this host sent it, and neither a response nor an ICMP error came",
            remedy: "Have the peer's firewall and allow-list checked for this host's address, and whether its service runs",
        },
    ],
    refs: &["RFC 3261 17.1.1.2", "RFC 3261 17.1.2.2", "RFC 3261 18.4"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    // Of the copies of a request on several hops the last one tells where it got stuck.
    let case = call.transactions.iter().rev().find_map(|request| Case::new(facts, request))?;
    let causes = [
        Case::response_not_relayed,
        Case::not_relayed,
        Case::dropped_here,
        Case::refused_here,
        Case::icmp_unreachable,
        Case::fragment_lost,
        Case::connection_broken,
        Case::remote_silent,
        Case::not_relayed_as_others,
        Case::local_silent,
    ];
    let finding = causes.iter().find_map(|cause| cause(&case)).unwrap_or_else(|| case.unknown());
    Some(finding)
}

/// A request without response, and its hop.
struct Case<'a> {
    facts: &'a CallFacts<'a>,
    call: &'a Call,
    request: &'a Transaction,
    view: HopView,
}

impl<'a> Case<'a> {
    fn new(facts: &'a CallFacts<'a>, request: &'a Transaction) -> Option<Self> {
        let view = facts.call.path(request.path)?;
        let is_unanswered = request.is_unanswered(facts.config.thresholds.unanswered_retransmissions)
            || (!request.is_answered() && is_lost_over_tcp(facts.call, request, &view));
        if !is_unanswered || !is_ours(request) {
            return None;
        }
        let case = Self { facts, call: facts.call, request, view };
        let counts =
            request.sent.count() > 1 || !case.is_udp() || (view.direction == Direction::Out && case.icmp().is_some());
        // Where its copy went on from here, that one tells.
        let went_on = view.direction == Direction::In
            && case.copies().any(|(copy, view)| view.direction == Direction::Out && !copy.is_answered());
        (counts && !went_on && !case.was_answered_unseen()).then_some(case)
    }

    fn is_udp(&self) -> bool {
        self.call.hops.get(usize::from(self.request.path.hop)).is_some_and(|hop| hop.transport == "udp")
    }

    /// The dialog went on: there was a response, and it did not pass here.
    fn was_answered_unseen(&self) -> bool {
        let later = |t: &&Transaction| {
            t.from == self.request.from && t.sent.first() > self.request.sent.last() && t.cseq > self.request.cseq
        };
        let went_on = self.call.transactions.iter().filter(later).any(|t| t.in_dialog && !self.request.in_dialog);
        let acked = self.call.methods.get(MethodKind::Ack as usize).is_some_and(|count| *count > 0);
        went_on || (self.request.method == MethodKind::Invite && acked && self.call.final_code.is_none())
    }

    fn icmp(&self) -> Option<&'a crate::call::IcmpSeen> {
        icmp_against(self.call, self.request, &self.view)
    }

    /// Copies of the request on other hops.
    fn copies(&self) -> impl Iterator<Item = (&'a Transaction, HopView)> {
        let (call, request) = (self.call, self.request);
        let same = move |t: &&Transaction| {
            t.path != request.path && t.method == request.method && t.cseq == request.cseq && t.from == request.from
        };
        call.transactions.iter().filter(same).filter_map(move |t| Some((t, call.path(t.path)?)))
    }

    /// The copy that this host sent on was answered, and the answer did not leave.
    fn response_not_relayed(&self) -> Option<Finding> {
        if self.view.direction != Direction::In || self.may_be_dropped_untold() {
            return None;
        }
        let (copy, onward) = self
            .copies()
            .find(|(t, view)| view.direction == Direction::Out && t.responses.iter().any(|r| r.code > 100))?;
        let code = copy.responses.iter().map(|r| r.code).find(|code| *code > 100)?;
        let host = self.view.dst;
        Some(Finding {
            summary: format!(
                "{} from {} arrived {} and got no response, though {} answered its relayed copy with {code}",
                self.name(),
                self.view.src,
                times(self.request.sent.count()),
                onward.dst
            ),
            remedy: format!(
                "See why {host} does not send the {code} of {} on to {}: its Via, routes and logs",
                onward.dst, self.view.src
            ),
            fault: Some(Fault::Local),
            evidence: self.evidence(vec![
                ("relay", host.into()),
                ("answered_by", onward.dst.into()),
                ("code", u32::from(code).into()),
            ]),
            ..self.finding("not-relayed", Confidence::Likely)
        })
    }

    /// This host relays the call, and this request of it stayed here.
    fn not_relayed(&self) -> Option<Finding> {
        let onward = relays_to(self.call, self.request, &self.view)
            .filter(|_| self.stayed_here() && !self.may_be_dropped_untold())?;
        Some(self.kept(Some(onward)))
    }

    /// This host has passed calls on before, and this one stayed here though the kernel had nothing against it.
    fn not_relayed_as_others(&self) -> Option<Finding> {
        let is_new_call = self.request.method == MethodKind::Invite && !self.request.in_dialog;
        let is_relay = || self.facts.answered.was_shown(self.view.dst.ip(), Shown::Relay);
        (is_new_call && self.stayed_here() && is_relay() && !self.may_be_dropped()).then(|| self.kept(None))
    }

    fn stayed_here(&self) -> bool {
        self.view.direction == Direction::In && !self.copies().any(|(_, view)| view.direction == Direction::Out)
    }

    /// The kernel may have dropped the request or its response without a word that came through. The request is lost all the same.
    fn may_be_dropped_untold(&self) -> bool {
        self.facts.capture.drops_untold_since(self.request.sent.first())
    }

    /// The same, or the kernel has told of a drop between the two since. Only of what arrives: the destination is this host.
    fn may_be_dropped(&self) -> bool {
        let (HopView { src, dst, .. }, since) = (self.view, self.request.sent.first());
        self.may_be_dropped_untold() || self.facts.drops.may_have_hit(src, dst, !self.is_udp(), since)
    }

    fn kept(&self, onward: Option<core::net::SocketAddr>) -> Finding {
        let host = self.view.dst;
        let to = onward.map(|onward| format!(" to {onward}")).unwrap_or_default();
        let mut evidence = vec![("relay", host.into())];
        evidence.extend(onward.map(|onward| ("next_hop", onward.into())));
        Finding {
            summary: format!(
                "{} from {} arrived at {host} {} and was not sent on{to}, nor answered",
                self.name(),
                self.view.src,
                times(self.request.sent.count())
            ),
            remedy: format!(
                "See in the logs of {host} why it drops {} from {}: routing, a full queue, a script",
                self.name(),
                self.view.src
            ),
            fault: Some(Fault::Local),
            evidence: self.evidence(evidence),
            ..self.finding("not-relayed", Confidence::Likely)
        }
    }

    /// This host's kernel drops it, or what is sent back: what says no more than that no answer left is `unknown`.
    fn dropped_here(&self) -> Option<Finding> {
        let seen = self.dropped()?;
        let (name, count) = (seen.drop.name, seen.drop.count);
        let (src, dst) = (self.view.src, self.view.dst);
        let transport = if seen.drop.segment.is_some() { "TCP" } else { "UDP" };
        let leaves = seen.direction == Direction::Out;
        let is_answer = (seen.src, seen.dst) == (dst, src);
        let (cause, because, remedy) = match seen.drop.reason {
            DropReason::Netfilter => (
                "local-firewall",
                match (leaves, is_answer) {
                    (true, true) => "this host's own firewall drops what it sends back".to_owned(),
                    (true, false) => "this host's own firewall drops it".to_owned(),
                    (false, true) => "this host's firewall drops what comes back".to_owned(),
                    (false, false) => "this host's firewall drops it".to_owned(),
                },
                if leaves {
                    format!("Allow outbound {transport} to {} in this host's firewall: `nft list ruleset`", seen.dst)
                } else {
                    format!(
                        "Allow {transport} from {} to port {} in this host's firewall: `nft list ruleset`",
                        seen.src.ip(),
                        seen.dst.port()
                    )
                },
            ),
            DropReason::NoSocket if !leaves => (
                "no-listener",
                "no process has the port open".to_owned(),
                format!("Start the service on {dst}, or let it listen on this address and UDP port (`ss -lun`)"),
            ),
            DropReason::SocketReceiveBuffer if !leaves => (
                "socket-overflow",
                "the receive buffer of its socket is full".to_owned(),
                format!(
                    "See why the process on UDP {} does not read its socket (hung, overloaded); raise net.core.rmem_max and its \
                     own receive buffer",
                    dst.port()
                ),
            ),
            DropReason::NoSocket
            | DropReason::SocketReceiveBuffer
            | DropReason::ReversePathFilter
            | DropReason::Neighbour
            | DropReason::Checksum
            | DropReason::NoRoute
            | DropReason::QueueFull
            | DropReason::Other => (
                UNKNOWN,
                format!("this host's kernel drops {}", if leaves { "what is sent back" } else { "it" }),
                format!(
                    "See what makes the kernel of this host drop for {name}: `packets-dropped-locally` explains the reasons"
                ),
            ),
        };
        Some(Finding {
            summary: format!("{} from {src} to {dst} is not answered: {because} ({count} packets {name})", self.name()),
            remedy,
            fault: Some(Fault::Local),
            severity: if seen.keeps_out { Severity::Info } else { Severity::Critical },
            evidence: self.evidence(vec![
                ("drop_reason", name.into()),
                ("dropped_packets", count.into()),
                ("dropped_flow", format!("{} -> {}", seen.src, seen.dst).into()),
                ("dropped_since", seen.drop.first_at.to_string().into()),
            ]),
            // The kernel counts by flow: a run that goes on for longer may have hit other messages.
            ..self.finding(
                cause,
                if seen.drop.first_at >= self.request.sent.first() { Confidence::Certain } else { Confidence::Likely },
            )
        })
    }

    /// Of what leaves over UDP the first copy was seen behind the firewall; over TCP the acknowledgements may be dropped, or what is
    /// sent again.
    fn dropped(&self) -> Option<&'a DropSeen> {
        let counts = |seen: &&DropSeen| match seen.drop.segment {
            None => self.view.direction == Direction::In,
            // The bytes themselves, or those of the answer: what stands behind them in the stream waits with them.
            Some(DroppedSegment::Data) => is_lasting(&seen.drop, self.request),
            // Both ends have all bytes, unless TCP goes on sending them.
            Some(DroppedSegment::Ack) => is_lasting(&seen.drop, self.request) && self.is_unacknowledged(),
            Some(DroppedSegment::Syn | DroppedSegment::SynAck) => false,
        };
        drops_against(self.call, self.request, &self.view).find(counts)
    }

    fn is_unacknowledged(&self) -> bool {
        let hop = self.call.hops.get(usize::from(self.request.path.hop));
        hop.and_then(|hop| hop.broken.as_deref())
            .is_some_and(|(at, broken)| *at >= self.request.sent.first() && broken.breaking == Breaking::Unacknowledged)
    }

    /// The kernel would have said so if it had dropped the request: a process has it.
    fn local_silent(&self) -> Option<Finding> {
        if self.view.direction != Direction::In || !self.facts.config.drops_watched || self.may_be_dropped() {
            return None;
        }
        let (src, dst) = (self.view.src, self.view.dst);
        Some(Finding {
            summary: format!(
                "{} from {src} arrived {} at {dst}, the kernel dropped none of it, and the service did not answer",
                self.name(),
                times(self.request.sent.count())
            ),
            remedy: format!(
                "See the logs and the load of the service on {dst}: it hangs, is overloaded, or ignores {}",
                src.ip()
            ),
            fault: Some(Fault::Local),
            evidence: self.evidence(vec![("kernel_drops", 0_u64.into())]),
            ..self.finding("local-silent", Confidence::Likely)
        })
    }

    /// This host itself sends the ICMP error.
    fn refused_here(&self) -> Option<Finding> {
        let icmp = self.icmp().filter(|icmp| icmp.direction == Direction::Out)?;
        let (cause, because, remedy) = match icmp.kind {
            IcmpKind::PortUnreachable => (
                "no-listener",
                "nothing listens there".to_owned(),
                format!("Start the service on {}, or let it listen on this address and UDP port", self.view.dst),
            ),
            IcmpKind::Prohibited => (
                "local-firewall",
                "this host's firewall refuses it".to_owned(),
                format!(
                    "Allow UDP from {} to port {} in this host's firewall",
                    self.view.src.ip(),
                    self.view.dst.port()
                ),
            ),
            IcmpKind::HostUnreachable
            | IcmpKind::NetUnreachable
            | IcmpKind::TimeExceeded
            | IcmpKind::TooBig
            | IcmpKind::Other => return None,
        };
        Some(Finding {
            summary: format!(
                "{} from {} to {} is answered with ICMP {}: {because}",
                self.name(),
                self.view.src,
                self.view.dst,
                icmp_text(icmp.kind)
            ),
            remedy,
            fault: Some(Fault::Local),
            evidence: self.evidence(vec![
                ("icmp", icmp_text(icmp.kind).into()),
                ("reporter", icmp.reporter.ip().to_string().into()),
            ]),
            ..self.finding(cause, Confidence::Certain)
        })
    }

    fn icmp_unreachable(&self) -> Option<Finding> {
        let icmp = self.icmp().filter(|icmp| icmp.direction != Direction::Out)?;
        let reporter = icmp.reporter.ip();
        let (fault, remedy) = if reporter == self.view.dst.ip() {
            let remedy = match icmp.kind {
                IcmpKind::PortUnreachable => {
                    format!("See whether the SIP service of {} runs on that port", self.view.dst)
                }
                _ => format!("Have {} allow UDP from {}", self.view.dst.ip(), self.view.src),
            };
            (Fault::Remote, remedy)
        } else {
            (
                Fault::Network,
                format!(
                    "See on {reporter} why {} cannot be reached: routing, a firewall, a host that is down",
                    self.view.dst
                ),
            )
        };
        Some(Finding {
            summary: format!(
                "{} to {} is refused: {reporter} says it is {}",
                self.name(),
                self.view.dst,
                icmp_text(icmp.kind)
            ),
            remedy,
            fault: Some(fault),
            evidence: self
                .evidence(vec![("icmp", icmp_text(icmp.kind).into()), ("reporter", reporter.to_string().into())]),
            ..self.finding("icmp-unreachable", Confidence::Certain)
        })
    }

    /// It was fragmented, and its receiver never had all of it.
    fn fragment_lost(&self) -> Option<Finding> {
        if !self.request.fragment_lost {
            return None;
        }
        let sent_here = self.view.direction == Direction::Out;
        Some(Finding {
            summary: format!(
                "{} from {} to {} was fragmented and never became whole: a fragment is missing",
                self.name(),
                self.view.src,
                self.view.dst
            ),
            remedy: format!(
                "Use SIP over TCP between {} and {}, offer fewer codecs, or let the firewalls between pass fragments",
                self.view.src.ip(),
                self.view.dst.ip()
            ),
            fault: Some(if sent_here { Fault::Local } else { Fault::Network }),
            evidence: self.evidence(Vec::new()),
            ..self.finding("fragment-lost", Confidence::Likely)
        })
    }

    /// The connection it was sent on broke.
    fn connection_broken(&self) -> Option<Finding> {
        let hop = self.call.hops.get(usize::from(self.request.path.hop))?;
        let (_, broken) =
            hop.broken.as_deref().filter(|(at, b)| *at >= self.request.sent.first() && b.sender == self.view.src)?;
        let (cause, confidence, summary, remedy) = match broken.breaking {
            Breaking::Reset => (
                "tcp-refused",
                Confidence::Certain,
                format!("{} reset the connection on which {} was sent to it", self.view.dst, self.name()),
                format!("See in the log of {} why it closed the connection", self.view.dst),
            ),
            Breaking::Unacknowledged => (
                "tcp-timeout",
                Confidence::Likely,
                format!(
                    "{} did not acknowledge the bytes of {}, which TCP sent again and again",
                    self.view.dst,
                    self.name()
                ),
                format!("See whether {} and the path to it are up: the connection to it is dead", self.view.dst),
            ),
        };
        Some(Finding {
            summary,
            remedy,
            fault: Some(fault_of_receiver(&self.view)),
            evidence: self.evidence(Vec::new()),
            ..self.finding(cause, confidence)
        })
    }

    fn remote_silent(&self) -> Option<Finding> {
        if self.view.direction == Direction::In {
            return None;
        }
        Some(Finding {
            summary: format!(
                "{} was sent to {} {} without any response",
                self.name(),
                self.view.dst,
                times(self.request.sent.count())
            ),
            remedy: format!(
                "Have the firewall and the allow-list of {} checked for {}, and whether its SIP service runs; over a lossy or filtered path try SIP over TCP",
                self.view.dst, self.view.src
            ),
            fault: Some(fault_of_receiver(&self.view)),
            evidence: self.evidence(Vec::new()),
            ..self.finding("remote-silent", Confidence::Likely)
        })
    }

    /// It arrived here, and what became of it cannot be seen.
    fn unknown(&self) -> Finding {
        Finding {
            summary: format!(
                "{} from {} arrived {} at {} and was not answered",
                self.name(),
                self.view.src,
                times(self.request.sent.count()),
                self.view.dst
            ),
            remedy: format!(
                "See whether the service on {} runs, is overloaded, or ignores {}: its logs, a local firewall rule, its receive buffer",
                self.view.dst,
                self.view.src.ip()
            ),
            fault: Some(fault_of_receiver(&self.view)),
            evidence: self.evidence(Vec::new()),
            ..self.finding(UNKNOWN, Confidence::Likely)
        }
    }

    fn name(&self) -> &str {
        self.request.method_name()
    }

    fn finding(&self, cause: &'static str, confidence: Confidence) -> Finding {
        Finding {
            rests_on_absence_since: Some(self.request.sent.first()),
            peer: Some(peer_of(&self.view)),
            request: Some(RequestName { cseq: self.request.cseq, method: self.name().to_owned().into() }),
            ..Finding::new(cause, self.severity(), confidence)
        }
    }

    /// No call is lost where another branch of it rings or is answered, nor with news for a subscriber who is gone.
    fn severity(&self) -> Severity {
        let opens_a_call = self.request.method == MethodKind::Invite && !self.request.in_dialog;
        // A branch beside it, of the same sender: what that passed back to the caller proves nothing.
        let is_beside = |t: &Transaction| {
            let from = self.call.path(t.path).map(|view| view.src.ip());
            t.path != self.request.path && from == Some(self.view.src.ip())
        };
        let goes_on = |t: &Transaction| {
            let answers = |from: u16, to: u16| t.responses.iter().any(|r| (from..to).contains(&r.code));
            t.method == MethodKind::Invite && is_beside(t) && answers(180, 300) && !answers(300, 700)
        };
        let is_news = self.request.method == MethodKind::Notify && !self.call.is_call();
        if is_news || (opens_a_call && self.call.transactions.iter().any(goes_on)) {
            Severity::Warning
        } else {
            Severity::Critical
        }
    }

    fn evidence(&self, more: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
        let sent = &self.request.sent;
        let mut evidence =
            vec![("sent", sent.count().into()), ("sent_from", self.view.src.into()), ("sent_to", self.view.dst.into())];
        if let Some(letter) = self.request.timed_out {
            evidence.push(("timer", letter.name().into()));
        }
        evidence.extend(more);
        evidence
    }
}

/// Requests that have no code of their own.
const fn is_ours(request: &Transaction) -> bool {
    !matches!(
        request.method,
        MethodKind::Bye | MethodKind::Cancel | MethodKind::Register | MethodKind::Options | MethodKind::Ack
    )
}
