//! A call sounds bad.
//!
//! What people notice: "bad line": words missing, stutter, a voice that sounds metallic, or both talk at once since the other
//! is heard late.
//!
//! How it is seen: the E-model's MOS (ITU-T G.107, for wideband codecs G.107.1) of a stream is below 3.6 in two intervals of
//! 10 s in a row; below 3.1 in both it is critical. It is made from what the packets of the stream show where it arrives or
//! passes here, and for what leaves here from its receiver's RTCP: loss, how much of it is in bursts, jitter beyond a buffer
//! of 60 ms, half of the round trip (where RTCP tells it) and that buffer as delay, and what the codec costs (G.113). Loudness,
//! echo and noise are not seen and stand at their defaults. It resolves with the first interval that is better.
//!
//! The cause is what costs most:
//!
//! - `loss`: packets are lost, more or less at random. Linked to `rtp-loss`.
//! - `burst-loss`: packets are lost in runs at least twice as long as they would be at random. Linked to `rtp-loss`.
//! - `jitter`: more packets come too late for the buffer than are lost. Linked to `rtp-jitter`.
//! - `delay`: the way from mouth to ear is too long to talk.
//! - `codec`: the codec itself costs more than all the rest, which would not matter with a better one.
//!
//! References: ITU-T G.107 7 and Annex B, ITU-T G.107.1, ITU-T G.113 Appendix I, RFC 3550 6.4.1.

use crate::diagnosis::voice::{Heard, Place, heard, rounded};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::quality::Score;

/// The E-model calls the call bad.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "low-mos",
    layer: Layer::Media,
    title: "A call sounds bad",
    causes: &[
        Cause {
            name: "loss",
            evidence: "lost packets cost most of the quality",
            remedy: "Find where packets are lost: see rtp-loss of the same call",
        },
        Cause {
            name: "burst-loss",
            evidence: "packets lost in runs at least twice as long as at random cost most of the quality",
            remedy: "Look for short outages on the way: wireless, route changes, a link that flaps, a policer",
        },
        Cause {
            name: "jitter",
            evidence: "packets that come too late for a buffer of 60 ms cost most of the quality",
            remedy: "Find the queue that fills: see rtp-jitter; a larger jitter buffer trades it for delay",
        },
        Cause {
            name: "delay",
            evidence: "the delay from mouth to ear, from the round trip that RTCP tells, costs most of the quality",
            remedy: "Shorten the way: a relay nearer to both ends, no satellite or VPN detour, no full queue",
        },
        Cause {
            name: "codec",
            evidence: "the codec itself costs more than loss and delay",
            remedy: "Offer a better codec first: G.711, G.722 or Opus",
        },
    ],
    refs: &["ITU-T G.107", "ITU-T G.107.1", "ITU-T G.113 Appendix I", "RFC 3550 6.4.1"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

/// From here on loss comes in bursts.
const BURSTY: f64 = 2.0;

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let quality = &facts.config.thresholds.quality;
    let both = |heard: Heard<'_>| {
        let (last, previous) = (heard.last.score?, heard.history.previous()?.score?);
        Some((last.mos.max(previous.mos), last)).filter(|(mos, _)| *mos < quality.mos_warning())
    };
    let bad = heard(facts).filter_map(|heard| both(heard).map(|(mos, score)| (mos, score, heard)));
    let (mos, score, worst) = bad.min_by(|(a, ..), (b, ..)| a.total_cmp(b))?;
    let severity = if mos < quality.mos_critical() { Severity::Critical } else { Severity::Warning };
    Some(finding(facts, &worst, &score, severity))
}

/// What costs most.
fn cause(heard: &Heard<'_>, score: &Score) -> &'static str {
    if score.delay > score.loss && score.delay > score.codec {
        return "delay";
    }
    if score.codec > score.loss {
        return "codec";
    }
    let last = heard.last;
    if last.discarded_percent() > last.loss_percent() {
        "jitter"
    } else if last.burst_ratio.is_some_and(|ratio| ratio >= BURSTY) {
        "burst-loss"
    } else {
        "loss"
    }
}

fn finding(facts: &CallFacts<'_>, heard: &Heard<'_>, score: &Score, severity: Severity) -> Finding {
    let cause = cause(heard, score);
    let (key, last) = (&heard.stream.counters.key, heard.last);
    let codec = heard.stream.codec_name().unwrap_or("its codec");
    let (why, remedy) = match cause {
        "delay" => {
            let round_trip = heard.stream.reception.as_ref().and_then(|r| r.round_trip);
            let told =
                round_trip.map_or_else(String::new, |t| format!(", {} ms to {} and back", t.as_millis(), key.dst.ip()));
            (
                format!("the delay from mouth to ear costs {} of R{told}", rounded(score.delay)),
                "Shorten the way: a media relay nearer to both ends, no satellite or VPN detour, no full queue"
                    .to_owned(),
            )
        }
        "codec" => (
            format!("the codec {codec} costs {} of R by itself", rounded(score.codec)),
            format!("Offer G.711, G.722 or Opus before {codec}"),
        ),
        "jitter" => (
            format!(
                "{} % of its packets come too late for a buffer of 60 ms (jitter {} ms)",
                rounded(last.discarded_percent()),
                rounded(last.jitter_ms.unwrap_or_default())
            ),
            format!(
                "Look for full queues between {} and {}; a larger jitter buffer trades it for delay",
                key.src.ip(),
                key.dst.ip()
            ),
        ),
        _ => (
            format!(
                "{} % of its packets are lost{}",
                rounded(last.loss_percent()),
                if cause == "loss" { "" } else { ", in bursts" }
            ),
            format!(
                "Find where packets are lost between {} and {}: see rtp-loss of this call",
                key.src.ip(),
                key.dst.ip()
            ),
        ),
    };
    let fault = match cause {
        "loss" | "burst-loss" | "delay" => Some(Fault::Network),
        _ => None,
    };
    let seen = match heard.place {
        Place::BeforeHost => "as it passes here",
        Place::AfterHost => "as its receiver reports it",
    };
    Finding {
        fault,
        summary: format!(
            "The audio from {} ({} -> {}) has a MOS of {} {seen}, the second 10 s in a row: {why}",
            heard.sender(),
            key.src,
            key.dst,
            rounded(score.mos)
        ),
        remedy,
        evidence: heard.evidence(),
        peer: heard.peer(facts),
        links: match cause {
            "loss" | "burst-loss" => vec!["rtp-loss"],
            "jitter" => vec!["rtp-jitter"],
            _ => Vec::new(),
        },
        ..Finding::new(cause, severity, Confidence::Likely)
    }
}
