//! RTP carries a payload type that its receiver never announced.
//!
//! What people notice: silence or noise in one direction, though packets flow.
//!
//! How it is seen: the sender has settled on a payload type (half a second of it) that stands in no SDP that the receiver wrote
//! in this call, whether in an offer or in an answer. What counts is the receiver's SDP: each side says what it takes
//! (RFC 3264 5.1). Comfort noise (13) is left out, and telephone events belong to `dtmf-mismatch`. Another packet time than
//! `a=ptime` asks for is no fault: it is a wish.
//!
//! Usual reasons: a sender that ignores the answer or a re-INVITE and keeps its old codec; dynamic payload types taken from
//! the sender's own SDP instead of the receiver's; a B2BUA that joins two legs with different codecs without transcoding.
//!
//! Remedy: have the sender use a codec of the receiver's SDP, or transcode between the legs.
//!
//! References: RFC 3264 5.1 and 6.1, RFC 3551 6.

use core::time::Duration;

use crate::diagnosis::{Asks, CallFacts, Confidence, Diagnosis, Fault, Finding, Layer, Severity, UNKNOWN};
use crate::media::Stream;
use crate::record::Side;
use crate::rtp::static_payload;

/// A payload type that stands in no SDP of its receiver.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "payload-unnegotiated",
    layer: Layer::Media,
    title: "RTP carries a payload type that its receiver never announced",
    causes: &[],
    refs: &["RFC 3264 5.1", "RFC 3264 6.1"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

/// Comfort noise, as of RFC 3389 and as it was before.
const COMFORT_NOISE: [u8; 2] = [13, 19];
/// What was under way when new terms came into force has ended by then.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let answered_at = call.answered_at.filter(|_| !call.adopted)?;
    let is_foreign =
        |s: &&Stream| s.counters.last_at.since(answered_at) >= SETTLED_AFTER && foreign(facts, s).is_some();
    let stream = facts.media.streams_of(call.key).filter(is_foreign).max_by_key(|s| s.counters.last_at)?;
    let (payload_type, to) = foreign(facts, stream)?;
    let c = &stream.counters;
    let name = static_payload(payload_type).map(|f| format!(" ({})", f.name)).unwrap_or_default();
    let announced: Vec<String> = call
        .media
        .agreed_audio()
        .flat_map(|a| a.of(to).codecs.iter().map(|c| c.payload_type.to_string()).collect::<Vec<_>>())
        .collect();
    let list = announced.join(" ");
    let (sender, receiver) = match to {
        Side::Caller => ("callee", "caller"),
        Side::Callee => ("caller", "callee"),
    };
    let is_ours = facts.media.is_local(c.key.src.ip());
    Some(Finding {
        fault: Some(if is_ours { Fault::Local } else { Fault::Remote }),
        summary: format!(
            "The {sender} sends payload type {payload_type}{name} to {}, the SDP of the {receiver} takes {list}",
            c.key.dst
        ),
        remedy: format!(
            "Have {} send one of {list}: it ignores the SDP of the {receiver}, or two legs with different codecs are joined \
             without transcoding",
            c.key.src.ip()
        ),
        evidence: vec![
            ("payload_type", u64::from(payload_type).into()),
            ("announced", list.into()),
            ("src", c.key.src.into()),
            ("dst", c.key.dst.into()),
            ("packets", c.packets.into()),
        ],
        peer: facts.peer(to.other()),
        deaf: Some(to),
        ..Finding::new(UNKNOWN, Severity::Warning, Confidence::Certain)
    })
}

/// The payload type that a stream has settled on, and its receiver, where that never announced it.
fn foreign(facts: &CallFacts<'_>, stream: &Stream) -> Option<(u8, Side)> {
    let to = stream.owner.as_ref()?.from?.other();
    let payload_type = stream.settled_type()?;
    let c = &stream.counters;
    let is_event = c.events > 0 && c.payload_bytes == 4;
    let known = COMFORT_NOISE.contains(&payload_type) || facts.call.media.has_announced(to, payload_type);
    let was_told_where = facts.media.is_held(c.key.dst);
    (c.in_sequence && was_told_where && !is_event && !known).then_some((payload_type, to))
}
