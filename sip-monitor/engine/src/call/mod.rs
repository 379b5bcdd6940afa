//! What a person calls a call: everything under one Call-ID. Facts without opinion.
//!
//! [`facts`] says what is known, [`request`], [`response`] and [`ack`] take messages in, [`progress`] moves the state,
//! [`due`] runs the timers, [`watch`] says when time alone is worth a look, [`hold`], [`routing`] and [`session_timer`] keep
//! what their names say, [`record`] writes the result. [`table`] holds all calls of the engine.

mod ack;
mod agents;
mod changed;
mod dropped;
mod dtmf;
mod due;
mod facts;
mod hold;
mod hop;
mod keys;
mod known;
pub mod number;
mod outcome;
mod progress;
mod rare;
mod record;
mod referral;
mod refusal;
mod registered;
mod request;
mod response;
mod routing;
mod session_timer;
mod table;
#[cfg(test)]
mod tests;
mod watch;

use foldhash::fast::RandomState;

use crate::config::EngineConfig;
use crate::counters::Counters;
use crate::event::Events;
use crate::media::MediaTable;

pub(crate) use agents::Agents;
pub(crate) use changed::{Changed, Changes, cause_record};
pub use dropped::DropSeen;
pub use dtmf::DtmfInfo;
pub(crate) use facts::CallClock;
pub use facts::{Call, Hangup, IcmpSeen, ReasonSeen, Refer, SessionKind};
pub use hold::Hold;
pub use hop::{Hop, HopView};
pub use keys::KeyTimes;
pub(crate) use known::ChallengeIndex;
pub use known::{Answered, Shown};
pub use rare::{Forward, Rare};
pub(crate) use record::RecordContext;
pub(crate) use referral::{Referrals, Referred};
pub use refusal::{Attempt, ChallengeSeen, CredentialsSeen, Refusal};
pub(crate) use refusal::{challenges, credentials, phrase};
pub(crate) use routing::LOOP_ARRIVALS;
pub use routing::Returned;
pub use session_timer::{IntervalRefused, SessionTimer};
pub use table::CallTable;
pub(crate) use watch::{SESSION_SLACK, STRANGER_WAITS};

/// Identity of a call inside the engine: a slot and how often it was used, so that a stale key finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Slot in the table.
    pub slot: u32,
    /// Use of the slot.
    pub generation: u32,
}

/// What a call needs of the engine while it takes a message.
pub(crate) struct Context<'e> {
    pub config: &'e EngineConfig,
    pub media: &'e mut MediaTable,
    pub counters: &'e mut Counters,
    pub hasher: &'e RandomState,
    pub events: Events,
    /// What it did to the state, to be told.
    pub changes: Changes,
    pub agents: &'e mut Agents,
    /// Status code of the response that is taken.
    pub code: Option<u16>,
    /// The message is one that was seen before: sent again, or captured twice.
    pub repeated: bool,
}

impl Context<'_> {
    /// Longest text kept.
    pub(crate) fn text_limit(&self) -> usize {
        self.config.limits.text_bytes
    }
}
