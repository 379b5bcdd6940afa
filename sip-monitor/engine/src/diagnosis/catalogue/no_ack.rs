//! The callee answers, and its answer is never acknowledged.
//!
//! A 2xx to INVITE is repeated until its ACK arrives (RFC 3261 13.3.1.4): after 0.5, 1.5, 3.5, 7.5 s, then every 4 s, 11 times
//! in 32 s. Then the answerer gives up and ends the call. Users hear each other for half a minute, or not at all, and are
//! cut off.
//!
//! **Evidence.** The third repetition of a 2xx though an ACK could have arrived (3.5 s after the answer): a warning. 64*T1
//! (32 s) or the end of the call: critical. A late ACK resolves it. An odd ACK in a call that works is no evidence. A BYE at
//! 64*T1 after a 2xx that no ACK followed at all tells the same where the repetitions were not seen, or not sent (over TCP many
//! stacks do not repeat).
//!
//! **Usual causes.** The 2xx does not reach the caller (firewall, a Via that a relay mangled), or its ACK does not reach the
//! callee: the Contact of the 2xx names a private address or a name nobody can resolve, a proxy's Record-Route was lost, an
//! ALG rewrote one header and not the other.
//!
//! **Remedy.** Named with the header and the value that is wrong.

use crate::diagnosis::unacknowledged::{Unacknowledged, given_up_with_the_call};
use crate::diagnosis::{Asks, CallFacts, Cause, Diagnosis, Finding, Layer};

/// A 2xx to INVITE that goes on being repeated though an ACK could have arrived.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "no-ack",
    layer: Layer::Dialog,
    title: "2xx to INVITE repeated, its ACK does not arrive",
    causes: &[
        Cause {
            name: "2xx-undeliverable",
            evidence: "an ICMP error quotes the 2xx, or it is sent elsewhere than its top Via's received and rport say",
            remedy: "Open the path of responses, or let the answerer send them where the top Via says",
        },
        Cause {
            name: "via-rewritten",
            evidence: "the Via headers of the 2xx are not those of its INVITE",
            remedy: "Switch off what rewrites Via (a SIP ALG), or fix the stack that does not copy Via into its responses",
        },
        Cause {
            name: "ack-mismatch",
            evidence: "an ACK came with another tag or CSeq number than the 2xx",
            remedy: "Fix the stack that sends the ACK: tags and CSeq number are those of the 2xx",
        },
        Cause {
            name: "ack-not-relayed",
            evidence: "the ACK came to the relay and no copy of it went on to the answerer",
            remedy: "Let the relay forward ACKs by route set and Request-URI",
        },
        Cause {
            name: "record-route-lost",
            evidence: "the 2xx carries Record-Route and the ACK lacks the route set made of it",
            remedy: "Fix the stack that drops Record-Route, or what strips the header on its way",
        },
        Cause {
            name: "ack-misrouted",
            evidence: "the ACK was sent neither to the top route nor to the Contact",
            remedy: "Fix the next hop of the stack that sends the ACK",
        },
        Cause {
            name: "ack-wrong-uri",
            evidence: "the Request-URI of the ACK is not the Contact of the 2xx",
            remedy: "Fix the stack that sends the ACK, or what rewrites the Contact",
        },
        Cause {
            name: "contact-private",
            evidence: "the Contact of the 2xx is a private address and its receiver is not, or the ACK was sent to it",
            remedy: "Put a publicly routable address into the Contact",
        },
        Cause {
            name: "contact-unresolvable",
            evidence: "the Contact of the 2xx is a name that no public resolver knows",
            remedy: "Put an address or a public name into the Contact",
        },
        Cause {
            name: "never-seen",
            evidence: "no ACK was seen though it would pass here",
            remedy: "Find where the 2xx or the ACK is dropped: firewall, NAT, or the caller's stack",
        },
    ],
    refs: &["RFC 3261 13.3.1.4", "RFC 3261 12.1.1", "RFC 3261 13.2.2.4"],
    asks: Asks::Call(judge),
    takes_over: &["request-unanswered"],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let repeated = facts.call.answers.iter().find(|answer| answer.goes_unacknowledged(facts.config));
    let answer = repeated.or_else(|| given_up_with_the_call(facts.call, facts.config))?;
    Unacknowledged::new(facts, answer).map(|case| case.finding())
}
