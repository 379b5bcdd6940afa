//! A call without media that is still up, minutes after everybody has gone.
//!
//! What people notice: calls of many minutes or hours on the bill that nobody made, channels that stay in use, "the customer
//! gets charged longer".
//!
//! How it is seen: RTP flowed both ways and stopped both ways, 60 s ago or more, and neither a BYE nor a hold came. It takes the
//! alert over from `abrupt-disconnect` (both stopped at once) and `blocked-rtp` (one after the other).
//!
//! Cause: `media-gone`, both directions of media are gone for 60 s with the dialog up.
//!
//! Usual reasons: an endpoint that lost power or network and cannot send its BYE, a BYE that was lost, a media server that
//! freed the call without its signalling.
//!
//! Remedy: session timers (RFC 4028) and a media time-out on the PBX, so that such calls end by themselves.
//!
//! References: RFC 4028 (session timers), RFC 3261 15 (BYE).

use crate::diagnosis::missing_media::silence;
use crate::diagnosis::{Asks, CallFacts, Cause, Diagnosis, Fault, Finding, Layer, Severity};
use crate::media::ZOMBIE;

/// A confirmed dialog whose media is gone for 60 s.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "zombie-call",
    layer: Layer::Dialog,
    title: "Call still up 60 s after its media stopped in both directions",
    causes: &[Cause {
        name: "media-gone",
        evidence: "RTP stopped in both directions 60 s ago, without BYE or hold",
        remedy: "End the call by hand, and switch on session timers (RFC 4028) or a media time-out",
    }],
    refs: &["RFC 4028 7", "RFC 3261 15"],
    takes_over: &["abrupt-disconnect", "blocked-rtp", "teardown-failed"],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let silence = silence(facts).filter(|s| s.lasts >= ZOMBIE)?;
    Some(Finding {
        rests_on_absence_since: Some(silence.first_at),
        fault: facts.media.is_local(silence.peer.ip()).then_some(Fault::Local),
        summary: format!(
            "The call is still up {} s after its media stopped in both directions at {}: it may go on being billed",
            ZOMBIE.as_secs(),
            silence.last_at
        ),
        remedy: format!(
            "Hang the call up at the PBX; against the next one switch on session timers (Session-Expires: 1800) or an RTP \
             time-out of 60 s towards {}",
            silence.peer.ip()
        ),
        evidence: vec![
            ("stopped_at", silence.first_at.to_string().into()),
            ("last_packet_at", silence.last_at.to_string().into()),
        ],
        peer: Some(silence.peer),
        ..Finding::new("media-gone", Severity::Warning, silence.confidence)
    })
}
