//! Media of calls: what offer and answer agreed on, the streams that were counted, and how the one fits the other. Facts
//! without opinion: who sends where since when, and what refused it. Whether that is a fault is for the catalogue.
//!
//! Two owners: a [`MediaSession`] belongs to its call and holds what SDP said; the one [`MediaTable`] holds every stream
//! of the engine and which call an endpoint belongs to. [`flow`] joins the two into one fact a direction.

use core::net::SocketAddr;

use crate::packet::Direction;
use crate::record::Side;
use crate::time::Timestamp;

mod agreed;
mod description;
mod dropped;
mod endpoint;
mod fax;
pub mod flow;
mod holders;
mod index;
mod keying;
mod listen;
mod negotiated;
mod payload;
mod reception;
mod round_trip;
mod session;
mod store;
mod stream;
mod summary;
mod table;
mod watch;
mod witness;

pub use agreed::AgreedAudio;
pub use description::{CodecName, Description};
pub use dropped::{DroppedMedia, DroppedShare};
pub use fax::FaxSwitch;
pub use keying::{Keying, Setup};
pub use negotiated::{Misfit, Unfit, names};
pub use payload::{AFTER_END, CONSTANT_FOR, DSCP_EF, PayloadHistory};
pub use reception::Reception;
pub use round_trip::{RoundTrip, SentReports};
pub use session::MediaSession;
pub use stream::{Heard, HeardInterval, Owner, Stream};
pub use table::MediaTable;
pub use watch::{EARLY_MEDIA, FAX_START, RTCP_MISSING, RtcpSilence, SOURCE_SETTLED, ZOMBIE};
pub use witness::{Refusal, RtcpDropped, RtcpSource, per_second};

/// What an SDP is in the exchange of RFC 3264.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SdpRole {
    /// A proposal, in a request or, for a late offer, in the first reliable response.
    Offer,
    /// The reply to the offer of the other side; in an unreliable 1xx only a preview of it (RFC 3261 13.2.1).
    Answer,
}

/// The SIP message an SDP came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdpContext<'a> {
    /// When the message was seen.
    pub at: Timestamp,
    /// Who wrote it.
    pub from: Side,
    /// What it is.
    pub role: SdpRole,
    /// Source of the packet.
    pub src: SocketAddr,
    /// Destination of the packet.
    pub dst: SocketAddr,
    /// Which way the packet went.
    pub direction: Direction,
    /// Identity of the dialog (a hash of the To tag will do; 0 where there is none): each branch of a fork has its own
    /// answer (RFC 3261 13.2.2.4).
    pub dialog: u64,
    /// The message makes the session final: a 2xx, or the ACK with the answer to a late offer. A 1xx does not.
    pub confirms: bool,
    /// Call-ID header value, for the records of the call's streams.
    pub call_id: &'a str,
}

#[cfg(test)]
mod tests;
