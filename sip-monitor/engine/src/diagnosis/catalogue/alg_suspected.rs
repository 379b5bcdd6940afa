//! A middlebox rewrites addresses in SIP and breaks it: the SIP ALG of a router or firewall.
//!
//! What people notice: phones behind that router register and cannot be called, calls have no audio or drop after half a minute,
//! and all is well without the router.
//!
//! **Evidence.** A private address replaced by the public one in some places of a message and not in others, in a way no client
//! does itself. Clients that learn their public address by rport or STUN leave other traces, which do not count.
//!
//! - `via`: a response brought back another Via sent-by than its request was sent with.
//! - `contact`: Via and SDP name the public source address, the Contact still the private one.
//! - `sdp`: the SDP names both the public source address and, for its media, a private one.
//! - `content-length`: the Content-Length is wrong by exactly what replacing the address has added to the body.
//!
//! **Usual causes.** "SIP ALG", "SIP helper", "SIP inspection", "VoIP passthrough" on the router of the side that is named;
//! `nf_nat_sip` on a Linux gateway.
//!
//! **Remedy.** Switch it off; use TLS or another port than 5060 where that cannot be done.
//!
//! References: RFC 3261 8.2.6.2, 18.3, 20.14, RFC 3581, RFC 5853 3.2.

use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity, Value, WireFacts};
use crate::packet::Direction;
use crate::wire::{Rewriting, Sign, Topic};

/// Rewriting on the way.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "alg-suspected",
    layer: Layer::Host,
    title: "A middlebox rewrites addresses in SIP messages and breaks them",
    causes: &[
        Cause {
            name: "content-length",
            evidence: "Content-Length is wrong by exactly the difference in length of the addresses replaced in the body",
            remedy: "Switch off the SIP ALG: it changes bodies without changing their length",
        },
        Cause {
            name: "sdp",
            evidence: "the SDP holds the public source address and a private one for the media",
            remedy: "Switch off the SIP ALG: it changes only a part of the SDP",
        },
        Cause {
            name: "contact",
            evidence: "Via and SDP hold the public source address, the Contact the private one they held before",
            remedy: "Switch off the SIP ALG: it does not change the Contact",
        },
        Cause {
            name: "via",
            evidence: "a response brought back another Via sent-by than its request had",
            remedy: "Switch off the SIP ALG: it changes the Via of requests and does not change it back",
        },
    ],
    refs: &["RFC 3261 8.2.6.2", "RFC 3261 20.14", "RFC 3581", "RFC 5853 3.2"],
    asks: Asks::Wire(judge),
    takes_over: &[],
};

fn judge(facts: &WireFacts<'_>) -> Option<Finding> {
    let wire = facts.wire;
    let (Topic::Rewritten(rewriting), Sign::Rewritten { before, after, value, lengths }) = (wire.key.topic, &wire.sign)
    else {
        return None;
    };
    let peer = wire.peer;
    let (cause, confidence, summary) = match rewriting {
        Rewriting::Via => (
            "via",
            Confidence::Certain,
            format!(
                "A response from {} brought back the Via with {after} where the request was sent with {before}",
                peer.ip()
            ),
        ),
        Rewriting::Contact => (
            "contact",
            Confidence::Likely,
            format!(
                "A request from {} has its public address in Via and SDP, and the private {before} in the Contact",
                peer.ip()
            ),
        ),
        Rewriting::Sdp => (
            "sdp",
            Confidence::Likely,
            format!(
                "The SDP of a message from {} holds its public address and, for the media, the private {before}",
                peer.ip()
            ),
        ),
        Rewriting::ContentLength => {
            let (written, there) = lengths.unwrap_or_default();
            (
                "content-length",
                Confidence::Certain,
                format!(
                    "A message from {} says Content-Length {written} and has {there} bytes: {before} was replaced by {after} in its body",
                    peer.ip()
                ),
            )
        }
    };
    let mut evidence: Vec<(&'static str, Value)> = vec![
        ("source", peer.to_string().into()),
        ("private", before.to_string().into()),
        ("public", after.to_string().into()),
        ("value", value.as_str().to_owned().into()),
    ];
    if rewriting == Rewriting::Via {
        evidence = vec![
            ("source", peer.to_string().into()),
            ("sent", before.to_string().into()),
            ("returned", after.to_string().into()),
            ("value", value.as_str().to_owned().into()),
        ];
    }
    evidence.extend(lengths.iter().flat_map(|(written, there)| {
        [("content_length", Value::Count(*written as u64)), ("body_bytes", Value::Count(*there as u64))]
    }));
    Some(Finding {
        fault: match wire.direction {
            Direction::In if rewriting != Rewriting::Via => Some(Fault::Remote),
            Direction::In | Direction::Out | Direction::Transit => Some(Fault::Network),
        },
        summary,
        remedy: match rewriting {
            Rewriting::Via => {
                format!("Switch off the SIP ALG of the router or firewall between here and {}", peer.ip())
            }
            Rewriting::Contact | Rewriting::Sdp | Rewriting::ContentLength => {
                format!("Have the SIP ALG of the router at {} switched off", peer.ip())
            }
        },
        evidence,
        peer: Some(peer),
        ..Finding::new(cause, Severity::Warning, confidence)
    })
}
