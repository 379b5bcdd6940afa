//! Keys that are pressed do not reach the other side, since the two sides do not agree on how to send them.
//!
//! What people notice: the voice menu does not react, or takes each key twice, or a PIN is wrong.
//!
//! How it is seen (which keys were pressed is not looked at):
//!
//! - `info-refused`: an INFO with DTMF (`application/dtmf-relay`, `application/dtmf`) was refused.
//! - `not-negotiated`: telephone events (RFC 4733) are sent with a payload type that the receiver's SDP does not name.
//! - `both`: one side sends its keys as telephone events and as INFO: they count twice.
//! - `info-used`: telephone-event was agreed on by both sides, and the keys come as INFO.
//! - `no-end`: a telephone event never got its end packet though nothing was lost: the key stays pressed.
//!
//! Remedy: the same DTMF mode on both sides, RFC 4733 (also called RFC 2833) where the other side offers telephone-event.
//!
//! References: RFC 4733 2.5, RFC 6086 (INFO), RFC 3264 5.1.

use core::time::Duration;

use crate::diagnosis::{
    Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, RequestName, Severity, Value,
};
use crate::media::{AgreedAudio, Stream};
use crate::record::Side;

/// DTMF that the sides send in different ways.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "dtmf-mismatch",
    layer: Layer::Media,
    title: "DTMF is sent in a way that was not agreed on",
    causes: &[
        Cause {
            name: "info-refused",
            evidence: "an INFO with DTMF was refused",
            remedy: "Send DTMF as telephone events (RFC 4733), or have the other side take INFO",
        },
        Cause {
            name: "not-negotiated",
            evidence: "telephone events are sent, and the receiver's SDP does not name their payload type",
            remedy: "Have the receiver offer telephone-event, or the sender use what was agreed on",
        },
        Cause {
            name: "both",
            evidence: "one side sends telephone events and INFO with DTMF",
            remedy: "Switch one of the two off: each key counts twice",
        },
        Cause {
            name: "info-used",
            evidence: "telephone-event was agreed on, and DTMF comes as INFO",
            remedy: "Set the DTMF mode of the sender to RFC 4733 (RFC 2833)",
        },
        Cause {
            name: "no-end",
            evidence: "a telephone event has no packet with the end bit, and no packet was lost",
            remedy: "Have the sender send the end packet three times (RFC 4733 2.5.1.4)",
        },
    ],
    refs: &["RFC 4733 2.5.1.4", "RFC 6086 1", "RFC 3264 5.1"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

/// An event that is still under way may yet end.
const UNDER_WAY: Duration = Duration::from_secs(2);

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    if let Some(finding) = info_refused(facts) {
        return Some(finding);
    }
    let audio = call.media.agreed_audio().next()?;
    call.answered_at.filter(|_| !call.adopted)?;
    [Side::Caller, Side::Callee].into_iter().find_map(|from| {
        let sent = facts.media.streams_of(call.key).filter(|s| s.counters.in_sequence && s.counters.events > 0);
        let events: Vec<&Stream> = sent.filter(|s| s.owner.as_ref().is_some_and(|o| o.from == Some(from))).collect();
        let infos = call.dtmf.sent[from as usize];
        let sides = Sides { facts, audio: &audio, from };
        let not_negotiated = events.iter().find_map(|s| sides.not_negotiated(s));
        not_negotiated
            .or_else(|| (infos > 0 && !events.is_empty()).then(|| sides.both(infos, &events)))
            .or_else(|| (infos > 0 && audio.has_telephone_event()).then(|| sides.info_used(infos)))
            .or_else(|| events.iter().find_map(|s| sides.no_end(s)))
    })
}

fn info_refused(facts: &CallFacts<'_>) -> Option<Finding> {
    let (from, at, code) = facts.call.dtmf.refused?;
    let by = from.other();
    Some(Finding {
        fault: fault_of(facts, by),
        summary: format!("DTMF of the {} came as INFO and was refused with {code}", name(from)),
        remedy: format!(
            "Set the DTMF mode of the {} to telephone events (RFC 4733), or have the {} take INFO with DTMF",
            name(from),
            name(by)
        ),
        evidence: vec![("code", u64::from(code).into()), ("refused_at", at.to_string().into())],
        peer: facts.peer(by),
        request: facts
            .call
            .transactions
            .iter()
            .find(|t| t.method == crate::transaction::MethodKind::Info && t.from == Some(from))
            .map(|t| RequestName { cseq: t.cseq, method: "INFO".into() }),
        ..Finding::new("info-refused", Severity::Warning, Confidence::Certain)
    })
}

/// What one side sends, beside what was agreed on.
struct Sides<'a> {
    facts: &'a CallFacts<'a>,
    audio: &'a AgreedAudio<'a>,
    from: Side,
}

impl Sides<'_> {
    fn finding(
        &self,
        cause: &'static str,
        what: String,
        remedy: String,
        evidence: Vec<(&'static str, Value)>,
    ) -> Finding {
        Finding {
            fault: fault_of(self.facts, self.from),
            summary: what,
            remedy,
            evidence,
            peer: self.facts.peer(self.from),
            ..Finding::new(cause, Severity::Warning, Confidence::Certain)
        }
    }

    /// Events come with four bytes and a dynamic type: one that no SDP of the receiver names cannot be a codec of it either.
    fn not_negotiated(&self, stream: &Stream) -> Option<Finding> {
        let to = self.from.other();
        let media = &self.facts.call.media;
        let unknown = stream.payload_types().find(|n| *n >= 96 && !media.has_announced(to, *n))?;
        let offers = self.audio.of(to).codecs.iter().any(|c| c.name.eq_ignore_ascii_case("telephone-event"));
        let told = if offers { "names another one" } else { "offers no telephone-event" };
        Some(self.finding(
            "not-negotiated",
            format!(
                "The {} sends DTMF as telephone events of payload type {unknown}, the SDP of the {} {told}",
                name(self.from),
                name(to)
            ),
            format!(
                "Have the {} offer telephone-event/8000 in its SDP, or set the DTMF mode of the {} to what it does take",
                name(to),
                name(self.from)
            ),
            vec![("payload_type", u64::from(unknown).into()), ("events", u64::from(stream.counters.events).into())],
        ))
    }

    fn both(&self, infos: u32, events: &[&Stream]) -> Finding {
        let events: u64 = events.iter().map(|s| u64::from(s.counters.events)).sum();
        self.finding(
            "both",
            format!("The {} sends its DTMF twice: {events} x telephone event and {infos} x INFO", name(self.from)),
            format!(
                "Set the DTMF mode of the {} to RFC 4733 alone: each key counts twice at the other side",
                name(self.from)
            ),
            vec![("events", events.into()), ("info_requests", infos.into())],
        )
    }

    fn info_used(&self, infos: u32) -> Finding {
        self.finding(
            "info-used",
            format!("Both sides agreed on telephone-event, and the {} sends its DTMF as INFO", name(self.from)),
            format!("Set the DTMF mode of the {} to RFC 4733 (RFC 2833)", name(self.from)),
            vec![("info_requests", infos.into())],
        )
    }

    fn no_end(&self, stream: &Stream) -> Option<Finding> {
        let c = &stream.counters;
        let now = self.facts.call.ended_at.map_or(self.facts.now, |ended| ended.min(self.facts.now));
        let under_way = c.payload_bytes == 4 && now.since(c.last_at) < UNDER_WAY;
        let open = u64::from(c.events.saturating_sub(c.events_ended)).saturating_sub(u64::from(under_way));
        if open == 0 || c.lost > 0 {
            return None;
        }
        Some(self.finding(
            "no-end",
            format!("{open} of {} telephone events of the {} never got an end packet", c.events, name(self.from)),
            format!("Have the {} end each event by its end packet, three times (RFC 4733 2.5.1.4)", name(self.from)),
            vec![("events", u64::from(c.events).into()), ("without_end", open.into())],
        ))
    }
}

fn fault_of(facts: &CallFacts<'_>, side: Side) -> Option<Fault> {
    let end = match side {
        Side::Caller => facts.call.hops.first()?.a,
        Side::Callee => facts.call.hops.last()?.b,
    };
    Some(if facts.media.is_local(end.ip()) { Fault::Local } else { Fault::Remote })
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Callee => "callee",
    }
}
