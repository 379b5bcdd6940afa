//! A request that was sent elsewhere than its dialog says.

use smallvec::SmallVec;

use crate::text::StoredText;

/// A request within a dialog that was sent elsewhere than the dialog says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misrouted {
    /// Request-URI as sent.
    pub request_uri: StoredText,
    /// Contact of who had to get it.
    pub contact: StoredText,
    /// Route values as sent.
    pub routes: SmallVec<[StoredText; 1]>,
    /// The route set it had to carry.
    pub route_set: SmallVec<[StoredText; 1]>,
}
