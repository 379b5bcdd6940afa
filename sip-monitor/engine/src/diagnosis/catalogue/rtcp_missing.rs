//! RTP flows both ways, and one side sends no RTCP.
//!
//! What people notice: nothing in the call; but nobody can tell how that side hears the other, and the quality figures of the call
//! stay empty.
//!
//! How it is seen: RTP has flowed both ways for 30 s, RTCP of the other side passes here, and none of this side does. RTCP
//! comes every 5 s (RFC 3550 6.2). Where no RTCP passes at all it may not be captured, and where `a=rtcp:0` or `b=RR:0`
//! switch it off it is not due: neither is spoken of. What this host's own kernel drops (live) was sent: `packets-dropped-locally`.
//!
//! Usual reasons: a firewall that opens even RTP ports only, RTCP switched off at a gateway, a NAT that maps the two ports apart
//! without `a=rtcp` saying so.
//!
//! Remedy: open the RTP port plus one as well, or use `a=rtcp-mux` (RFC 5761).
//!
//! References: RFC 3550 6.2, RFC 3605, RFC 5761.

use crate::diagnosis::{Asks, CallFacts, Confidence, Diagnosis, Fault, Finding, Layer, Severity, UNKNOWN};
use crate::media::RTCP_MISSING;
use crate::record::Side;

/// A side that sends RTP and no RTCP.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "rtcp-missing",
    layer: Layer::Media,
    title: "RTP both ways, and no RTCP from one side",
    causes: &[],
    refs: &["RFC 3550 6.2", "RFC 3605 2.1", "RFC 5761 5"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let now = call.ended_at.map_or(facts.now, |ended| ended.min(facts.now));
    let silence =
        call.media.rtcp_silences(facts.media).find(|s| s.other_is_heard && now.since(s.since) >= RTCP_MISSING)?;
    let audio = call.media.agreed_audio().next()?;
    if audio.of(silence.from).rtcp_off {
        return None;
    }
    let (who, receiver) = match silence.from {
        Side::Caller => ("caller", audio.callee),
        Side::Callee => ("callee", audio.caller),
    };
    let sender = audio.of(silence.from).endpoint?;
    let expected = receiver.rtcp.map_or_else(|| "the RTP port plus one".to_owned(), |rtcp| rtcp.to_string());
    let is_ours = facts.media.is_local(sender.ip());
    Some(Finding {
        rests_on_absence_since: Some(silence.since),
        rests_on_no_drop_since: Some(silence.since),
        fault: Some(if is_ours { Fault::Local } else { Fault::Remote }),
        summary: format!("The {who} sends RTP and no RTCP for {} s; it is due at {expected}", RTCP_MISSING.as_secs()),
        remedy: format!(
            "Let RTCP from {} to {expected} through the firewalls, switch it on there, or use a=rtcp-mux",
            sender.ip()
        ),
        evidence: vec![
            ("silent_side", who.into()),
            ("since", silence.since.to_string().into()),
            ("expected_at", expected.into()),
        ],
        peer: facts.peer(silence.from),
        ..Finding::new(UNKNOWN, Severity::Info, Confidence::Likely)
    })
}
