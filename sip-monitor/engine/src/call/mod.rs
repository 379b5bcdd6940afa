//! What a person calls a call: everything under one Call-ID. Facts without opinion.

mod facts;
mod hop;

pub use facts::{Call, Hangup, IcmpSeen, ReasonSeen, Refer, SessionKind};
pub use hop::{Hop, HopView};

/// Identity of a call inside the engine: a slot and how often it was used, so that a stale key finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Slot in the table.
    pub slot: u32,
    /// Use of the slot.
    pub generation: u32,
}
