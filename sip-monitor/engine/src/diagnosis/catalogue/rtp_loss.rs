//! Packets of a call's media are lost on the network.
//!
//! What people notice: words and syllables are missing, the voice sounds metallic or stutters; at 10 % and more a call is
//! hard to follow.
//!
//! How it is seen: in an interval of 10 s more than 3 % of a stream's packets are missing. A packet that comes late or twice
//! is not lost, numbers that the sender skipped (a restart, a jump in its numbering) are not, and neither is what the
//! monitor itself missed. It resolves with the first interval that is better.
//!
//! - `before-host`: sequence numbers of a stream that arrives here (or passes here) are missing: the loss is on the way from
//!   its sender to this host.
//! - `after-host`: the receiver of a stream that leaves here reports it by RTCP, less what was missing here already: the loss
//!   is between this host and that receiver.
//!
//! Most often: an overloaded uplink, wireless, a policer that drops what exceeds its rate, a duplex mismatch, no priority for
//! voice. Look at the interfaces' drop counters along the way in the direction named.
//!
//! References: RFC 3550 A.3 (what counts as lost), RFC 3550 6.4.1 (what a receiver reports).

use crate::diagnosis::voice::{Heard, Place, heard, rounded};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};

/// More of a stream is lost than speech can bear.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "rtp-loss",
    layer: Layer::Media,
    title: "Packets of a call's media are lost on the network",
    causes: &[
        Cause {
            name: "before-host",
            evidence: "sequence numbers of the stream that arrives at this host are missing",
            remedy: "Look for drops on the way from the sender to this host: uplink, policer, wireless, voice without priority",
        },
        Cause {
            name: "after-host",
            evidence: "the far end's RTCP reports loss of the stream that this host sends, beyond what was missing here",
            remedy: "Look for drops on the way from this host to the far end: own uplink first, then the far end's network",
        },
    ],
    refs: &["RFC 3550 A.3", "RFC 3550 6.4.1"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let limit = f64::from(facts.config.thresholds.quality.loss_percent);
    let lossy = heard(facts).filter(|heard| heard.last.loss_percent() > limit);
    let worst = lossy.max_by(|a, b| a.last.loss_percent().total_cmp(&b.last.loss_percent()))?;
    Some(finding(facts, &worst))
}

fn finding(facts: &CallFacts<'_>, heard: &Heard<'_>) -> Finding {
    let (key, last) = (&heard.stream.counters.key, heard.last);
    let (percent, sender) = (rounded(last.loss_percent()), heard.sender());
    let (lost, expected) = (last.lost, last.expected);
    let (summary, remedy) = match heard.place {
        Place::BeforeHost => (
            format!(
                "{percent} % of the RTP from {sender} ({}) was lost before it came here: {lost} of {expected} packets in 10 s",
                key.src
            ),
            format!(
                "Look for drops on the way from {} to {}: interface counters, policers, wireless, priority of voice",
                key.src.ip(),
                key.dst.ip()
            ),
        ),
        Place::AfterHost => (
            format!(
                "{percent} % of the RTP to {} was lost after it left here: its receiver's RTCP reports {lost} of {expected} packets in 10 s",
                key.dst
            ),
            format!(
                "Look for drops on the way from {} to {}: this host's own uplink first, then the far end's network",
                key.src.ip(),
                key.dst.ip()
            ),
        ),
    };
    Finding {
        fault: Some(Fault::Network),
        summary,
        remedy,
        evidence: heard.evidence(),
        peer: heard.peer(facts),
        ..Finding::new(heard.place_name(), Severity::Warning, Confidence::Certain)
    }
}
