//! A fragmented SIP datagram never becomes whole: one of its fragments is lost.
//!
//! What people notice: long messages (an INVITE with many codecs or video) get no answer, short ones work.
//!
//! **Evidence.** Fragments of one datagram, of which one did not come within 5 s. Its beginning tells that it is SIP; where that
//! is missing, only fragments of a host that talks SIP count, and only from the second such datagram on. Where it is a request
//! that its beginning names, `request-unanswered` tells of it, when it stays unanswered.
//!
//! - `first`: the first fragment is missing.
//! - `middle`: one between the first and the last is missing.
//! - `last`: the last fragment is missing, and perhaps some before it.
//!
//! **Usual causes.** A firewall or NAT that drops later fragments, since only the first names the ports; a tunnel with a smaller
//! MTU; a lossy path, which loses a datagram of many fragments more easily.
//!
//! **Remedy.** SIP over TCP, fewer codecs, or a firewall that reassembles.
//!
//! References: RFC 3261 18.1.1, RFC 8900.

use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity, Value, WireFacts};
use crate::packet::{Direction, Missing};
use crate::wire::{Sign, Topic};

/// Fragments of SIP that are lost.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "fragment-loss",
    layer: Layer::Host,
    title: "A fragmented SIP datagram never becomes whole",
    causes: &[
        Cause {
            name: "first",
            evidence: "later fragments of a SIP peer came, the first did not",
            remedy: "See what drops the first fragment: a filter on ports between the two hosts",
        },
        Cause {
            name: "middle",
            evidence: "the first and the last fragment came, one between them did not",
            remedy: "Look for loss on the path; use SIP over TCP",
        },
        Cause {
            name: "last",
            evidence: "the first fragment came, the last did not",
            remedy: "Let firewalls on the way pass fragments, or use SIP over TCP",
        },
    ],
    refs: &["RFC 3261 18.1.1", "RFC 8900"],
    asks: Asks::Wire(judge),
    takes_over: &[],
};

fn judge(facts: &WireFacts<'_>) -> Option<Finding> {
    let wire = facts.wire;
    let (Topic::Incomplete(missing), Sign::Incomplete { held, total, start_line }) = (wire.key.topic, &wire.sign)
    else {
        return None;
    };
    let (cause, which) = match missing {
        // One later fragment may be anybody's: SIP whose first fragment is lost is sent again.
        Missing::First if wire.count < 2 => return None,
        Missing::First => ("first", "the first fragment"),
        Missing::Middle => ("middle", "a fragment"),
        Missing::Last => ("last", "the last fragment"),
    };
    let what = match start_line.as_str().split(' ').next() {
        Some("SIP/2.0") => format!("A response ({start_line})"),
        Some(method) if !method.is_empty() => method.to_owned(),
        _ => "A long datagram".to_owned(),
    };
    let mut evidence: Vec<(&'static str, Value)> =
        vec![("destination", wire.dst.ip().to_string().into()), ("bytes_seen", (*held as u64).into())];
    evidence.extend(total.map(|total| ("bytes_total", Value::Count(total as u64))));
    if !start_line.is_empty() {
        evidence.push(("start_line", start_line.as_str().to_owned().into()));
    }
    let other = if wire.direction == Direction::Out { wire.dst } else { wire.peer };
    Some(Finding {
        rests_on_absence_since: Some(wire.first_at),
        fault: match wire.direction {
            // What leaves here in part was cut here.
            Direction::Out => Some(Fault::Local),
            Direction::In | Direction::Transit => Some(Fault::Network),
        },
        summary: format!("{what} from {} to {} never became whole: {which} is missing", wire.peer.ip(), wire.dst.ip()),
        remedy: format!(
            "Use SIP over TCP with {}, offer fewer codecs, or let the firewalls between pass fragments",
            other.ip()
        ),
        evidence,
        peer: Some(other),
        ..Finding::new(cause, Severity::Warning, Confidence::Likely)
    })
}
