//! What leaves the engine besides alerts: one record a call, a change of its state, a stream, a
//! registration, a peer or a message. Field names and units
//! are the published schema (`sip-monitor schema`); fields that do not apply are left out, never null.

mod call;
mod cause;
mod event;
mod message;
mod peer;
mod registration;
mod stream;

use schemars::JsonSchema;
use serde::Serialize;

use crate::alert::Alert;

pub use call::{
    CallPeer, CallRecord, CallState, DialogChange, DialogRecord, FlowRecord, ForwardRecord, HoldRecord, MediaRecord,
    PeerRole, ResponseRecord, Side, StateChange, TransactionRecord, TransferKind, TransferRecord,
};
pub use cause::{CauseRecord, q850_text};
pub use event::EventRecord;
pub use message::MessageRecord;
pub use peer::{
    DelayRecord, MeasuresRecord, MediaWay, OptionsRecord, PeerName, PeerRecord, QualityRecord, SpreadRecord,
};
pub use registration::RegistrationRecord;
pub use stream::StreamRecord;

/// Version of the schema of every record. Fields are added without a new one; it rises where one changes its meaning.
pub const SCHEMA: u32 = 1;

/// One line of output; `type` says which.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Output {
    /// A condition that fires, changes or ends.
    Alert(Box<Alert>),
    /// A call (one Call-ID with an INVITE) that is over, or that was up when the capture ended.
    Call(Box<CallRecord>),
    /// A call changed its state.
    Event(Box<EventRecord>),
    /// An RTP stream that is over, or that was up when the capture ended.
    Stream(Box<StreamRecord>),
    /// A registration (one address of record and Contact).
    Registration(Box<RegistrationRecord>),
    /// A peer and what was measured of it.
    Peer(Box<PeerRecord>),
    /// A SIP message as it was seen.
    Message(Box<MessageRecord>),
}
