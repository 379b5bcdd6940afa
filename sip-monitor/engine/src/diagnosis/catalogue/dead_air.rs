//! RTP flows and carries nothing: one side hears silence.
//!
//! What people notice: "agents hear silence": the call is up, packets flow, no voice comes through, while the other way is fine.
//!
//! How it is seen: for 10 s every packet of one direction has the same payload, which no live microphone and no codec makes of
//! sound, while the other direction varies. Comfort noise, telephone events, short silence frames (DTX), encrypted media and
//! held calls do not count. Where the direction has carried sound before, it may be a caller who pressed mute: that is told
//! as information only.
//!
//! Causes: `from-remote`, the stream that comes in is empty; `from-local`, the one this host sends is.
//!
//! Usual reasons: no audio device or the wrong one, a microphone without permission, a media server that plays a missing
//! file, a transcoder that gets nothing.
//!
//! Remedy: look at the audio source of the side named, not at the network: the packets arrive.
//!
//! References: RFC 3551 4.5.14 (PCMU and PCMA), RFC 3389 (comfort noise is how silence should be told).

use crate::call::{Call, CallKey};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::media::{CONSTANT_FOR, Stream};
use crate::packet::Direction;
use crate::record::Side;

/// A stream whose payload never changes.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "dead-air",
    layer: Layer::Media,
    title: "RTP flows in one direction and carries no sound",
    causes: &[
        Cause {
            name: "from-remote",
            evidence: "every packet that came in for 10 s has the same payload",
            remedy: "Ask the far end to look at its microphone, audio device or announcement",
        },
        Cause {
            name: "from-local",
            evidence: "every packet that this host sent for 10 s has the same payload",
            remedy: "Look at the audio source of this host: device, file, bridge, transcoder",
        },
    ],
    refs: &["RFC 3551 4.5.14", "RFC 3389 3"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let audio = call.media.agreed_audio().find(crate::media::AgreedAudio::is_due_both_ways)?;
    let now = call.ended_at.map_or(facts.now, |ended| ended.min(facts.now));
    let answered_at = call.media.confirmed_at()?;
    if audio.caller.secure || audio.callee.secure {
        return None;
    }
    let of_call = |key: CallKey, from: Side| -> Option<&Stream> {
        let sent = facts.media.streams_of(key).filter(|s| s.counters.in_sequence);
        let sent = sent.filter(|s| s.owner.as_ref().is_some_and(|o| o.from == Some(from)));
        let latest = sent.max_by_key(|s| s.counters.last_at)?;
        (now.since(latest.counters.last_at) < CONSTANT_FOR).then_some(latest)
    };
    let of_side = |from: Side| of_call(call.key, from);
    let (from_caller, from_callee) = (of_side(Side::Caller)?, of_side(Side::Callee)?);
    let is_dead = |s: &Stream| {
        let constant_for = s.constant_for();
        constant_for >= CONSTANT_FOR && s.counters.last_at.since(answered_at.max(audio.since)) >= CONSTANT_FOR
    };
    // Where both never change there is nobody to miss anything: a test, or two machines.
    let (from, stream) = match (is_dead(from_caller), is_dead(from_callee)) {
        (true, false) if from_callee.payload.varied => (Side::Caller, from_caller),
        (false, true) if from_caller.payload.varied => (Side::Callee, from_callee),
        _ => return None,
    };
    // What comes in as silence on another leg is passed on as silence: that leg tells it.
    let comes_dead = |leg: &&Call| {
        of_call(leg.key, from)
            .is_some_and(|s| s.counters.key.direction == Direction::In && s.constant_for() >= CONSTANT_FOR)
    };
    if stream.counters.key.direction == Direction::Out && facts.legs.across(call.key).iter().any(comes_dead) {
        return None;
    }
    Some(finding(facts, from, stream))
}

fn finding(facts: &CallFacts<'_>, from: Side, stream: &Stream) -> Finding {
    let c = &stream.counters;
    let (cause, fault) = match c.key.direction {
        Direction::Out => ("from-local", Some(Fault::Local)),
        Direction::In => ("from-remote", Some(Fault::Remote)),
        // Both are remote from where it passes.
        Direction::Transit => ("from-remote", None),
    };
    let (sender, receiver) = match from {
        Side::Caller => ("caller", "callee"),
        Side::Callee => ("callee", "caller"),
    };
    // Mute looks the same from here.
    let (confidence, so_far) = if stream.payload.varied {
        (Confidence::Possible, "the last 10 s (it carried sound before: perhaps it is muted)")
    } else {
        (Confidence::Likely, "the whole stream so far")
    };
    Finding {
        fault,
        summary: format!("The {receiver} hears silence: RTP of the {sender} flows, with the same payload in {so_far}"),
        remedy: format!(
            "Look at the audio source behind {}: microphone and its permission, audio device, announcement file, bridge; the \
             network delivers its packets",
            c.key.src
        ),
        evidence: vec![
            ("src", c.key.src.into()),
            ("dst", c.key.dst.into()),
            ("packets", c.packets.into()),
            ("payload_type", u64::from(c.payload_type).into()),
            ("payload_bytes", u64::from(c.payload_bytes).into()),
            ("carried_sound_before", stream.payload.varied.into()),
        ],
        peer: facts.peer(from),
        deaf: Some(from.other()),
        ..Finding::new(cause, Severity::Warning, confidence)
    }
}
