//! One side of an answered call cannot hear the other.
//!
//! What people notice: "they can hear me, I cannot hear them", or the reverse. `direction` in the alert names who cannot
//! hear whom.
//!
//! How it is seen: offer and answer agreed on audio both ways, one direction flows steadily, and in the other none
//! arrives 6 s after the answer (3 s where something besides absence shows it), or none does any more for 10 s. Held and
//! one-way sessions, music on hold, T.38, silence suppression, mute (RTCP goes on and claims nothing sent) and media
//! that does not pass this host raise nothing.
//!
//! Usual causes: NAT with a private address in SDP, a firewall open one way only, an endpoint that ignores a re-INVITE,
//! no audio device.
//!
//! References: RFC 3264 5 and 8.4 (who sends when), RFC 4961 (symmetric RTP), RFC 3550 6.4 (what RTCP claims).

use crate::diagnosis::missing_media::{CAUSES, Extent, find};
use crate::diagnosis::{Asks, CallFacts, Diagnosis, Finding, Layer};

/// Audio is due both ways and flows one way.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "one-way-audio",
    layer: Layer::Media,
    title: "One side of an answered call cannot hear the other",
    causes: CAUSES,
    refs: &["RFC 3264 5", "RFC 3264 8.4", "RFC 4961", "RFC 3550 6.4"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    find(facts, Extent::One)
}
