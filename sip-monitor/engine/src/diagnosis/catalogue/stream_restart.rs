//! A sender starts its stream anew in the middle of a call, without a re-INVITE.
//!
//! What people notice: a click, a short gap; with some receivers silence from then on, and recordings that end early.
//!
//! How it is seen: the same source goes on to the same port with another SSRC, or the sequence number or the timestamp of a
//! stream jumps by far more than loss explains, while offer and answer stand as they were. A change at the answer or with a
//! re-INVITE or UPDATE is normal, and so is one of a call that is being transferred.
//!
//! Usual reasons: a media server that switches its source (announcement, music, queue) and makes a new stream of it, a device
//! that restarted, a B2BUA that passes through two different senders.
//!
//! Remedy: none where both ends cope; else have the sender keep its SSRC and go on counting, or announce the change by a
//! re-INVITE.
//!
//! References: RFC 3550 5.1, 8.2 and A.1.

use core::time::Duration;

use crate::diagnosis::{Asks, CallFacts, Confidence, Diagnosis, Fault, Finding, Layer, Severity, UNKNOWN, Value};
use crate::media::{AgreedAudio, Stream};
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

/// A stream that begins anew without a word of signalling.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "stream-restart",
    layer: Layer::Media,
    title: "RTP stream starts anew without a re-INVITE",
    causes: &[],
    refs: &["RFC 3550 8.2", "RFC 3550 A.1"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

/// Around a change of terms a new stream is expected.
const AROUND_TERMS: Duration = Duration::from_secs(3);
/// The new stream takes the place of the old one within this time.
const HAND_OVER: Duration = Duration::from_secs(2);
/// A stream that was meant.
const MEANT_PACKETS: u64 = 25;
/// A timestamp that jumps by this much is no pause and no drift.
const JUMP: Duration = Duration::from_secs(16);

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    if call.adopted || call.answered_at.is_none() || !call.refers.is_empty() {
        return None;
    }
    call.media.agreed_audio().find_map(|audio| {
        let began = |s: &&Stream| counts(s) && s.counters.last_at.since(audio.since) >= AROUND_TERMS;
        facts.media.streams_of(call.key).filter(began).find_map(|stream| {
            let told = new_source(facts, &audio, stream).or_else(|| jump(facts, stream))?;
            Some(finding(facts, stream, told))
        })
    })
}

fn counts(stream: &Stream) -> bool {
    stream.counters.in_sequence && stream.counters.packets >= MEANT_PACKETS
}

/// What is told of a restart: in a sentence, and as evidence.
struct Told {
    what: String,
    evidence: (&'static str, Value),
}

/// Another SSRC took the place of this stream's predecessor.
fn new_source(facts: &CallFacts<'_>, audio: &AgreedAudio<'_>, stream: &Stream) -> Option<Told> {
    let c = &stream.counters;
    let answered_at: Timestamp = facts.call.answered_at?;
    if c.first_at.since(audio.since) < AROUND_TERMS || c.first_at.since(answered_at) < AROUND_TERMS {
        return None;
    }
    if renegotiations(facts).any(|at| at.since(c.first_at).max(c.first_at.since(at)) <= AROUND_TERMS) {
        return None;
    }
    let before = facts.media.streams_from(c.key.src).find(|s| {
        let old = &s.counters;
        old.key.dst == c.key.dst
            && old.key.ssrc != c.key.ssrc
            && counts(s)
            && old.first_at < c.first_at
            && old.last_at.since(c.first_at) < HAND_OVER
            && c.first_at.since(old.last_at) < HAND_OVER
    })?;
    Some(Told {
        what: format!(
            "changes its SSRC from 0x{:08x} to 0x{:08x} at {}",
            before.counters.key.ssrc, c.key.ssrc, c.first_at
        ),
        evidence: ("ssrc_before", format!("0x{:08x}", before.counters.key.ssrc).into()),
    })
}

/// When new terms were asked for, whatever came of it: a sender may start anew with each.
fn renegotiations<'a>(facts: &'a CallFacts<'_>) -> impl Iterator<Item = Timestamp> + 'a {
    let asks = |t: &&Transaction| t.in_dialog && matches!(t.method, MethodKind::Invite | MethodKind::Update);
    facts.call.transactions.iter().filter(asks).map(|t| t.sent.first())
}

/// Where the numbers of the stream jumped; when is not known, so that it must not have been with new terms.
fn jump(facts: &CallFacts<'_>, stream: &Stream) -> Option<Told> {
    let c = &stream.counters;
    if renegotiations(facts).next().is_some() {
        return None;
    }
    if c.restarts > 0 {
        let times = if c.restarts == 1 { "once".to_owned() } else { format!("{} times", c.restarts) };
        return Some(Told {
            what: format!("jumps in its sequence numbers {times}"),
            evidence: ("sequence_jumps", c.restarts.into()),
        });
    }
    // One jump by D raises the jitter estimate by D/16 (RFC 3550 A.8); the longest gap can account for its own part of it.
    let explained = (Duration::from_nanos(c.gap_max_ns) * 2 + JUMP) / 16;
    let jitter = Duration::from_nanos(u64::from(stream.jitter().max_ns));
    (jitter > explained).then(|| Told {
        what: "jumps in its timestamps".to_owned(),
        evidence: ("timestamp_jump_at_least_s", JUMP.as_secs().into()),
    })
}

fn finding(facts: &CallFacts<'_>, stream: &Stream, told: Told) -> Finding {
    let key = &stream.counters.key;
    let is_ours = facts.media.is_local(key.src.ip());
    let from = stream.owner.as_ref().and_then(|o| o.from).unwrap_or(crate::record::Side::Callee);
    Finding {
        fault: Some(if is_ours { Fault::Local } else { Fault::Remote }),
        summary: format!("RTP from {} to {} {}, without a re-INVITE", key.src, key.dst, told.what),
        remedy: format!(
            "Nothing where both ends go on; where audio stops there, have {} keep SSRC, sequence and timestamp when it \
             switches its source",
            key.src.ip()
        ),
        evidence: vec![
            ("src", key.src.into()),
            ("dst", key.dst.into()),
            ("ssrc", format!("0x{:08x}", key.ssrc).into()),
            told.evidence,
        ],
        peer: facts.peer(from),
        ..Finding::new(UNKNOWN, Severity::Info, Confidence::Certain)
    }
}
