//! What offer and answer of one call agreed on (RFC 3264), for each hop on which the SDP was seen.

use core::net::SocketAddr;

use crate::call::CallKey;
use crate::config::EngineConfig;
use crate::media::{MediaTable, SdpContext};
use crate::record::{MediaRecord, Side};
use crate::sdp::Sdp;
use crate::time::Timestamp;

/// Negotiated media of one call.
#[derive(Clone, Debug, Default)]
pub struct MediaSession {}

impl MediaSession {
    /// Takes an SDP that is no retransmission. The caller of this tells offer from answer.
    pub fn handle_sdp(&mut self, _table: &mut MediaTable, _key: CallKey, _context: &SdpContext<'_>, _sdp: &Sdp<'_>) {}

    /// The offer that `offerer` made between `src` and `dst` (in either order) was refused or given up: what was agreed on
    /// before stays in force (RFC 3264 8).
    pub fn offer_rejected(
        &mut self,
        _table: &mut MediaTable,
        _key: CallKey,
        _at: Timestamp,
        _offerer: Side,
        _src: SocketAddr,
        _dst: SocketAddr,
    ) {
    }

    /// The first 2xx to the initial INVITE was seen: media is due from here on.
    pub fn confirmed(&mut self, _at: Timestamp) {}

    /// A BYE, CANCEL or final refusal was seen: media is due no more.
    pub fn ended(&mut self, _at: Timestamp) {}

    /// The call was already up when the monitor first saw it.
    pub fn adopted(&mut self) {}

    /// When the facts about flow next come to a threshold by time alone, after `now`.
    #[must_use]
    pub fn next_check(&self, _table: &MediaTable, _config: &EngineConfig, _now: Timestamp) -> Option<Timestamp> {
        None
    }

    /// Whether one side holds the other: the media agreed on flows one way at most (RFC 3264 8.4, RFC 3261's c=0.0.0.0).
    #[must_use]
    pub fn is_held(&self) -> bool {
        false
    }

    /// The media descriptions as last negotiated.
    #[must_use]
    pub fn records(&self) -> Vec<MediaRecord> {
        Vec::new()
    }
}
