//! The monitor itself lost packets.
//!
//! What people notice: nothing on the calls. While it goes on, verdicts that rest on something not having been seen are
//! only `possible`, and records may lack messages or packets. Lost packets are the monitor's fault and are never counted
//! as loss on the network.
//!
//! How it is seen: the kernel programs and the reassembly count what they could not hand on.
//!
//! - `ring-full`: records did not fit into their ring buffer. The ring is too small for the traffic, or the reader gets too
//!   little CPU. `signalling_ring_full` and `media_ring_full` say which ring. `drop_reports`: what the kernel said of packets that
//!   it dropped itself found no room; then that it dropped nothing proves nothing.
//! - `map-full`: the flow map could not take a new RTP stream, or evicted one: more streams than it holds.
//! - `fragments-evicted`: IP fragments were given up before their datagram was whole: a flood of them, or a limit too low.
//!
//! References: RFC 3550 A.1 and A.3 (what counts as lost on the network must be counted apart from this).

use crate::diagnosis::{
    Asks, Cause, Confidence, Diagnosis, Fault, Finding, HostFacts, Layer, Severity, UNKNOWN, Value,
};

/// Packets that the monitor should have seen and did not.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "capture-loss",
    layer: Layer::Host,
    title: "The monitor itself lost packets",
    causes: &[
        Cause {
            name: "ring-full",
            evidence: "signalling records or media reports did not fit into their ring buffer",
            remedy: "Make the ring larger, or give the monitor more CPU",
        },
        Cause {
            name: "map-full",
            evidence: "the flow map could not take a new RTP stream, or evicted one",
            remedy: "Raise the number of streams in the configuration",
        },
        Cause {
            name: "fragments-evicted",
            evidence: "IP fragments were given up before their datagram was whole",
            remedy: "Raise the limit of fragments, and look for a flood of them",
        },
    ],
    refs: &["RFC 3550 A.3"],
    takes_over: &[],
    asks: Asks::Host(judge),
};

/// Verdicts that rest on absence, of signalling and of media.
const WEAKENED_BY_SIGNALLING: &str = "all that rest on a message not having been seen: no-ack, dropped-after-30s";
const WEAKENED_BY_MEDIA: &str = "all that rest on media not having been seen: blocked-rtp, one-way-audio";
/// Those that rest on the kernel of this host.
const WEAKENED_BY_DROPS: &str =
    "all that rest on this host's kernel having dropped nothing: request-unanswered not-relayed, never-sent";

fn judge(facts: &HostFacts<'_>) -> Option<Finding> {
    let lost = &facts.capture.lost;
    if lost.total() == 0 {
        return None;
    }
    let ring = lost.signalling_ring_full + lost.media_ring_full + lost.drop_reports;
    let (cause, what, remedy) = if ring > 0 {
        ("ring-full", "records did not fit into the ring buffer", "Make the ring larger, or give the monitor more CPU")
    } else if lost.map_full > 0 {
        ("map-full", "RTP streams did not fit into the flow map", "Raise the number of streams in the configuration")
    } else if lost.fragments_evicted > 0 {
        (
            "fragments-evicted",
            "IP fragments were given up before their datagram was whole",
            "Raise the limit of fragments, and look for a flood of them",
        )
    } else {
        (
            UNKNOWN,
            "packets could not be read by the kernel program",
            "Report this with the kernel version and the interface type",
        )
    };
    let count = match cause {
        "ring-full" => ring,
        "map-full" => lost.map_full,
        "fragments-evicted" => lost.fragments_evicted,
        _ => lost.unreadable,
    };
    let mut evidence: Vec<(&'static str, Value)> = Vec::new();
    let counts = [
        ("signalling_ring_full", lost.signalling_ring_full),
        ("media_ring_full", lost.media_ring_full),
        ("drop_reports", lost.drop_reports),
        ("map_full", lost.map_full),
        ("fragments_evicted", lost.fragments_evicted),
        ("unreadable", lost.unreadable),
    ];
    evidence.extend(counts.into_iter().filter(|(_, n)| *n > 0).map(|(key, n)| (key, n.into())));
    evidence.extend(facts.capture.first_lost_at.map(|at| ("since", at.to_string().into())));
    evidence.extend(facts.capture.last_lost_at.map(|at| ("last_at", at.to_string().into())));
    let mut weakened: Vec<Value> = Vec::new();
    if lost.signalling_ring_full + lost.fragments_evicted + lost.unreadable > 0 {
        weakened.push(WEAKENED_BY_SIGNALLING.into());
    }
    if lost.media_ring_full + lost.map_full + lost.unreadable > 0 {
        weakened.push(WEAKENED_BY_MEDIA.into());
    }
    if lost.drop_reports > 0 {
        weakened.push(WEAKENED_BY_DROPS.into());
    }
    evidence.push(("weakened", Value::List(weakened)));
    Some(Finding {
        fault: Some(Fault::Local),
        summary: if lost.packets() > 0 {
            format!("The monitor itself lost packets: {count} {what}; verdicts that rest on absence are only possible")
        } else {
            format!(
                "The monitor itself lost reports of what the kernel drops: {count} {what}; that it drops nothing proves nothing"
            )
        },
        remedy: remedy.to_owned(),
        evidence,
        ..Finding::new(cause, Severity::Warning, Confidence::Certain)
    })
}
