//! What one call counts for at one peer: once, however many INVITEs, hops and branches it takes.

use super::PeerKey;
use crate::time::Timestamp;

/// Which part the peer has in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegRole {
    /// It was called: the INVITE went to it.
    Called,
    /// It calls: the INVITE came from it.
    Calling,
}

/// A call at a peer.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The peer.
    pub peer: PeerKey,
    /// Where what becomes of it is summed up: also after a reload or for want of room, when the peer itself is no more.
    pub(super) ledger: u16,
    /// Its part.
    pub role: LegRole,
    /// First INVITE to or from it.
    pub started_at: Timestamp,
    /// Its first 18x or 2xx.
    pub progress_at: Option<Timestamp>,
    /// It rang or answered.
    pub rang: bool,
    /// It goes on elsewhere: the peer redirected it, or relays it.
    pub passed_on: bool,
    /// Code of its final response as counted; 0 is no answer.
    pub outcome: Option<u16>,
    /// The end of its BYE was counted: once, on however many hops it was seen.
    pub hung_up: bool,
    /// It counts among the calls that are up or being set up at the peer.
    pub is_open: bool,
    /// Calls that began there within the second of this one, itself included.
    pub per_second: u32,
    /// Calls that were up or being set up there when it began, itself included.
    pub concurrent: u32,
}
