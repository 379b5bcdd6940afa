//! Packets of a call's media come at uneven times.
//!
//! What people notice: stuttering and gaps although nothing is lost: what comes after its turn is thrown away by the
//! receiver's jitter buffer. With a large adaptive buffer: a long delay instead.
//!
//! How it is seen: the interarrival jitter of RFC 3550 has a mean above 50 ms over an interval of 10 s, and stands high all
//! through it: a single gap, as after hold or a pause of the speaker, makes the estimate jump and fall back at once, and is
//! none. Video and codecs whose clock rate is not known are not looked at. It resolves with the first interval that is
//! better.
//!
//! - `before-host`: a stream that arrives here (or passes here) has it: it comes about between its sender and this host, or
//!   in the sender.
//! - `after-host`: the receiver of a stream that leaves here reports it by RTCP, and the stream left here evenly and
//!   without a pause.
//!
//! Most often: a queue that fills and empties (bufferbloat on an uplink), wireless, a virtual machine short of CPU that sends
//! in clumps, voice without priority.
//!
//! References: RFC 3550 A.8 (interarrival jitter), RFC 3550 6.4.1 (what a receiver reports).

use crate::diagnosis::voice::{Heard, Place, heard, rounded};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};

/// More jitter than a usual buffer takes.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "rtp-jitter",
    layer: Layer::Media,
    title: "Packets of a call's media come at uneven times",
    causes: &[
        Cause {
            name: "before-host",
            evidence: "the stream that arrives at this host has a mean jitter above the threshold all through an interval",
            remedy: "Look for full queues and wireless on the way from the sender to this host, and at the sender's CPU",
        },
        Cause {
            name: "after-host",
            evidence: "the far end's RTCP reports that jitter of a stream that left this host evenly",
            remedy: "Look for full queues on the way from this host to the far end: own uplink first",
        },
    ],
    refs: &["RFC 3550 A.8", "RFC 3550 6.4.1"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

/// Clock rate of video (RFC 3551 5): its frames are sent in clumps.
const VIDEO_HZ: u32 = 90_000;

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let limit = f64::from(facts.config.thresholds.quality.jitter_ms);
    let jitter = |heard: &Heard<'_>| added_ms(heard).filter(|ms| *ms > limit);
    let holds = |heard: &Heard<'_>| heard.last.jitter_floor_ms.is_some_and(|floor| floor > limit / 2.0);
    let audio = heard(facts).filter(|h| h.stream.known_clock_rate_hz().is_some_and(|rate| rate != VIDEO_HZ));
    let uneven = audio.filter(holds).filter_map(|heard| Some((jitter(&heard)?, heard)));
    let (ms, worst) = uneven.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(finding(facts, &worst, rounded(ms)))
}

/// Jitter that came about before this host, or behind it.
fn added_ms(heard: &Heard<'_>) -> Option<f64> {
    let ms = heard.last.jitter_ms?;
    let here = heard.stream.heard.as_ref().and_then(|h| h.history.last()).and_then(|last| last.jitter_ms);
    match heard.place {
        Place::BeforeHost => Some(ms),
        Place::AfterHost => Some(ms - here?),
    }
}

fn finding(facts: &CallFacts<'_>, heard: &Heard<'_>, ms: f64) -> Finding {
    let key = &heard.stream.counters.key;
    let (summary, remedy) = match heard.place {
        Place::BeforeHost => (
            format!("RTP from {} ({}) arrives with {ms} ms of jitter on average over 10 s", heard.sender(), key.src),
            format!(
                "Look for full queues and wireless on the way from {} to {}, and at the CPU of the sender",
                key.src.ip(),
                key.dst.ip()
            ),
        ),
        Place::AfterHost => (
            format!(
                "RTP to {} leaves here evenly and its receiver's RTCP reports {ms} ms of jitter more on average over 10 s",
                key.dst
            ),
            format!(
                "Look for full queues on the way from {} to {}: this host's own uplink first",
                key.src.ip(),
                key.dst.ip()
            ),
        ),
    };
    Finding {
        fault: (heard.place == Place::AfterHost).then_some(Fault::Network),
        summary,
        remedy,
        evidence: heard.evidence(),
        peer: heard.peer(facts),
        ..Finding::new(heard.place_name(), Severity::Warning, Confidence::Certain)
    }
}
