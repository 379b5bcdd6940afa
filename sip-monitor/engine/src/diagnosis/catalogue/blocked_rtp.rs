//! An answered call has no audio in either direction.
//!
//! What people notice: the call connects and both sides hear nothing; they hang up after a few seconds, or a media
//! time-out drops the call.
//!
//! How it is seen: offer and answer agreed on audio both ways, the call was answered, and 6 s later (3 s where something
//! besides absence shows it) no RTP flows to either announced address, or all of it stopped for 10 s. Told early, as
//! information, where ICMP errors refuse the media again and again for a second. Held, inactive and one-way sessions,
//! T.38, silence suppression and media that does not pass this host raise nothing.
//!
//! Usual causes: a firewall without the RTP port range, a private address in SDP, a media process that does not run.
//!
//! References: RFC 3264 5 and 8.4 (who sends when), RFC 4961 (symmetric RTP), RFC 792 and RFC 4443 (ICMP errors).

use crate::diagnosis::missing_media::{CAUSES, Extent, find};
use crate::diagnosis::{Asks, CallFacts, Diagnosis, Finding, Layer};

/// Audio is due both ways and flows neither way.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "blocked-rtp",
    layer: Layer::Media,
    title: "No audio in either direction of an answered call",
    causes: CAUSES,
    refs: &["RFC 3264 5", "RFC 3264 8.4", "RFC 4961"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    find(facts, Extent::Both)
}
