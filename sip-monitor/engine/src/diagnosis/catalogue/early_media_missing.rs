//! The phone rings and the caller hears nothing: early media was promised and does not come.
//!
//! What people notice: "no ringback". After dialling there is silence until somebody answers; callers hang up before that.
//!
//! How it is seen: a 183 with SDP says that ringback or an announcement is sent as RTP, so that the caller's phone plays no
//! tone of its own (RFC 3960 3.2). 4 s later the call still rings and no RTP goes from the callee to the caller. A later
//! 180 without SDP has the phone play its own tone and is no fault; nor are resources still being reserved (RFC 3312), ICE
//! under way, or an early answer that does not send.
//!
//! Causes as of `blocked-rtp`, tried in this order: `sdp-private-address`, `local-firewall`, `no-listener`, `wrong-port`,
//! `remote-unreachable`, `never-sent` (this host sent the 183 and no RTP), `never-arrived` (the 183 came in and no RTP did).
//!
//! Most often: a gateway that sends 183 without playing anything, or a firewall that opens the RTP ports at the answer only.
//!
//! References: RFC 3960 3.2 (when to play local ringback), RFC 3261 13.2.1 (early answers), RFC 3264 5.

use crate::diagnosis::missing_media::{EARLY_CAUSES, find_early};
use crate::diagnosis::{Asks, Diagnosis, Layer};

/// A 183 with SDP, and no RTP from that side.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "early-media-missing",
    layer: Layer::Media,
    title: "Early media was promised by a 183 with SDP and does not come: no ringback",
    causes: EARLY_CAUSES,
    refs: &["RFC 3960 3.2", "RFC 3261 13.2.1", "RFC 3264 5"],
    takes_over: &[],
    asks: Asks::Call(find_early),
};
