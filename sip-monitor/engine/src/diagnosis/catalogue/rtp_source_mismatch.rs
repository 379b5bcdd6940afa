//! RTP comes from another address or port than its sender's SDP said, and the call works.
//!
//! What people notice: mostly nothing. It is the sign of a NAT or of a media relay that SDP does not tell of, and the first
//! thing to look at when audio is one-way for some calls only.
//!
//! How it is seen: a stream arrives steadily where the receiver's SDP asked for it, from a source that no SDP of its sender
//! names. With ICE the source may be any candidate, also one that is never told; that is no mismatch.
//!
//! Causes:
//!
//! - `symmetric-nat`: it comes from the host whose SDP it is, or from the host that its signalling comes from, by another port
//!   or from behind its NAT. Symmetric RTP answers there.
//! - `other-host`: it comes from a host that neither SDP nor signalling named.
//!
//! Remedy: nothing where symmetric RTP works; else a correct media address in SDP (external address, STUN, ICE).
//!
//! References: RFC 4961 (symmetric RTP), RFC 3264 5.1, RFC 8445.

use core::net::SocketAddr;
use core::time::Duration;

use crate::diagnosis::missing_media::{Extent, find};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::media::{AgreedAudio, SOURCE_SETTLED, Stream};
use crate::packet::Direction;
use crate::record::Side;

/// RTP from where SDP did not say.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "rtp-source-mismatch",
    layer: Layer::Media,
    title: "RTP comes from another address or port than its SDP said",
    causes: &[
        Cause {
            name: "symmetric-nat",
            evidence: "the source is the host of the SDP or of the signalling, by another port or through its NAT",
            remedy: "None where symmetric RTP answers to the source; else have that side tell its public address in SDP",
        },
        Cause {
            name: "other-host",
            evidence: "the source is a host that neither SDP nor signalling named",
            remedy: "Find out which relay or interface sends: allow it in the firewall, or have SDP name it",
        },
    ],
    refs: &["RFC 4961 3", "RFC 3264 5.1"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

/// A stream is reported once a second.
const LATELY: Duration = Duration::from_secs(1);
/// So many packets make a stream that was meant.
const MEANT_PACKETS: u64 = 25;

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    // Where audio is missing that is what is told, and why.
    if call.adopted || find(facts, Extent::One).or_else(|| find(facts, Extent::Both)).is_some() {
        return None;
    }
    call.media.agreed_audio().find_map(|audio| {
        let from_elsewhere = |s: &&Stream| sender_of(facts, &audio, s).is_some();
        let stream = facts.media.streams_of(call.key).filter(from_elsewhere).max_by_key(|s| s.counters.last_at)?;
        let from = sender_of(facts, &audio, stream)?;
        finding(facts, &audio, stream, from)
    })
}

/// Who sends a stream that comes from where no SDP of its sender said.
fn sender_of(facts: &CallFacts<'_>, audio: &AgreedAudio<'_>, stream: &Stream) -> Option<Side> {
    let c = &stream.counters;
    let from = stream.owner.as_ref()?.from?;
    let due_since = audio.since.max(facts.call.media.confirmed_at()?);
    let steady = c.in_sequence && c.packets >= MEANT_PACKETS && c.last_at.since(due_since) + LATELY >= SOURCE_SETTLED;
    let arrives = c.key.direction != Direction::Out && !facts.media.is_local(c.key.src.ip());
    let as_agreed = audio.of(from.other()).endpoints().any(|e| e == c.key.dst);
    let told = audio.of(from).endpoints().any(|e| e == c.key.src) || facts.media.is_held(c.key.src);
    (steady && arrives && as_agreed && !told && audio.is_due(from.other()) && !audio.has_ice()).then_some(from)
}

fn finding(facts: &CallFacts<'_>, audio: &AgreedAudio<'_>, stream: &Stream, from: Side) -> Option<Finding> {
    let source = stream.counters.key.src;
    let told: SocketAddr = audio.of(from).endpoint?;
    let near = match from {
        Side::Caller => audio.hop.0,
        Side::Callee => audio.hop.1,
    };
    let same_host = source.ip() == told.ip() || source.ip() == near.ip();
    let who = match from {
        Side::Caller => "caller",
        Side::Callee => "callee",
    };
    let (cause, remedy) = if same_host {
        (
            "symmetric-nat",
            format!(
                "Nothing, as long as media is answered to {source}; where it is not, have the {who} tell that address in SDP \
                 instead of {told}"
            ),
        )
    } else {
        (
            "other-host",
            format!(
                "Find out what {} is: a media relay that SDP should name, or a stranger that should not send",
                source.ip()
            ),
        )
    };
    Some(Finding {
        fault: Some(Fault::Remote),
        summary: format!("RTP of the {who} comes from {source}, its SDP said {told}"),
        remedy,
        evidence: vec![
            ("sdp", told.into()),
            ("source", source.into()),
            ("signalling", near.into()),
            ("packets", stream.counters.packets.into()),
        ],
        peer: facts.peer(from),
        ..Finding::new(cause, Severity::Info, Confidence::Certain)
    })
}
