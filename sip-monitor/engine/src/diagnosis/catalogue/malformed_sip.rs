//! Messages that break a rule of RFC 3261 so that peers refuse or drop them.
//!
//! What people notice: requests answered with 400, or not at all; calls with one product fail and with others work.
//!
//! **Evidence.** The rule that is broken, where in the message, and who sent it. Told once for each source and rule. What RFC 3261
//! tells receivers to put up with is not told (a missing Max-Forwards, a missing tag or branch of RFC 2543, octets behind a
//! datagram's body), nor what a capture that keeps only the beginning of packets would show.
//!
//! **Usual causes.** A faulty SIP stack or a header manipulation rule; a middlebox that rewrites (see `alg-suspected`); a scanner or
//! fuzzer.
//!
//! **Remedy.** The header named, at the source named.
//!
//! References: RFC 3261 7, 8.1.1, 16.3, 18.3, 20.

use crate::diagnosis::{
    Asks, Confidence, Diagnosis, Fault as Place, Finding, Layer, Severity, UNKNOWN, Value, WireFacts,
};
use crate::packet::Direction;
use crate::sip::Fault;
use crate::wire::{Sign, Topic};

/// SIP that peers drop.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "malformed-sip",
    layer: Layer::Host,
    title: "Messages break RFC 3261 so that peers drop them",
    causes: &[],
    refs: &["RFC 3261 7", "RFC 3261 8.1.1", "RFC 3261 20"],
    asks: Asks::Wire(judge),
    takes_over: &[],
};

fn judge(facts: &WireFacts<'_>) -> Option<Finding> {
    let wire = facts.wire;
    let (Topic::Malformed(rule), Sign::Malformed { offset, value, start_line }) = (wire.key.topic, &wire.sign) else {
        return None;
    };
    let (what, so) = match start_line.as_str().split(' ').next() {
        Some("SIP/2.0") => ("a response", "peers drop it"),
        Some(_) | None => ("a request", "peers answer 400 or drop it"),
    };
    let mut evidence: Vec<(&'static str, Value)> =
        vec![("rule", rule.name().into()), ("reference", rule.reference().into())];
    evidence.extend(offset.map(|offset| ("offset", Value::Count(offset as u64))));
    evidence.push(("source", wire.peer.to_string().into()));
    evidence.push(("start_line", start_line.as_str().to_owned().into()));
    if !value.is_empty() {
        evidence.push(("value", value.as_str().to_owned().into()));
    }
    Some(Finding {
        fault: match wire.direction {
            Direction::Out => Some(Place::Local),
            Direction::In => Some(Place::Remote),
            Direction::Transit => None,
        },
        summary: format!("{} sent {what} {}: {so}", wire.peer.ip(), broken(rule)),
        remedy: format!(
            "Have the SIP stack of {} corrected, or what rewrites its messages on the way: see {}",
            wire.peer.ip(),
            rule.reference()
        ),
        evidence,
        peer: Some(wire.peer),
        identity: Some(rule.name().to_owned()),
        ..Finding::new(UNKNOWN, Severity::Info, Confidence::Certain)
    })
}

/// The rest of "a request ...".
const fn broken(rule: Fault) -> &'static str {
    match rule {
        Fault::Version => "whose version is not SIP/2.0",
        Fault::RequestUri => "whose Request-URI is empty, in angle brackets or holds white space",
        Fault::StatusCode => "whose status code is not three digits between 100 and 699",
        Fault::CallIdMissing => "without a Call-ID",
        Fault::CSeqMissing => "without a CSeq",
        Fault::CSeqNumber => "whose CSeq number is not a number below 2^31",
        Fault::CSeqMethod => "whose CSeq has no legal method",
        Fault::CSeqMismatch => "whose CSeq names another method than its start line",
        Fault::FromMissing => "without a From",
        Fault::From => "whose From cannot be read",
        Fault::ToMissing => "without a To",
        Fault::To => "whose To cannot be read",
        Fault::ViaMissing => "without a Via",
        Fault::Via => "with a Via that cannot be read",
        Fault::MaxForwards => "whose Max-Forwards is not a number from 0 to 255",
        Fault::ContentLength => "whose Content-Length is not a number",
        _ => "that breaks the rule named",
    }
}
