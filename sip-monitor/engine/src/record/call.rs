//! The record of a call.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::time::Timestamp;

/// The nine states of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    /// The INVITE is out, nothing but 100 came back.
    Calling,
    /// 18x without media.
    Ringing,
    /// 18x with SDP.
    EarlyMedia,
    /// A 2xx was seen.
    Confirmed,
    /// One side holds the other.
    Held,
    /// A REFER was accepted and its call came up.
    Transferred,
    /// It was up and was ended.
    Disconnected,
    /// It was refused or given up before it was up.
    Failed,
    /// Nobody answered in time.
    Timeout,
}

/// A call: everything seen under one Call-ID.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CallRecord {
    /// Version of this schema.
    pub schema: u32,
    /// Call-ID header value.
    pub call_id: String,
    /// URI of the From header of the first INVITE; its number masked by default.
    pub from: String,
    /// URI of the To header of the first INVITE; its number masked by default.
    pub to: String,
    /// Methods seen, each with how many requests of it: every copy on every hop and every retransmission, as they were
    /// seen (a packet captured twice counts once). Distinct requests are the `transactions`.
    pub methods: BTreeMap<String, u32>,
    /// Each transaction on each hop, in the order they began.
    pub transactions: Vec<TransactionRecord>,
    /// Each dialog, in the order they began.
    pub dialogs: Vec<DialogRecord>,
    /// Status code of the last final response to the initial INVITE (a challenge that was answered is not final; of a forked
    /// call that was answered the 2xx is).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_code: Option<u16>,
    /// State when the record was written.
    pub state: CallState,
    /// State changes in order.
    pub state_history: Vec<StateChange>,
    /// First INVITE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_at: Option<Timestamp>,
    /// First 2xx to the initial INVITE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// BYE, final refusal, or time-out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// From `invited_at` to the first 18x (or 2xx where there is none), milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_dial_delay_ms: Option<f64>,
    /// From `answered_at` to `ended_at`, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// Who sent the BYE or CANCEL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Side>,
    /// Reason header of what ended the call, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The call was already up when the monitor first saw it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Media descriptions as last negotiated.
    pub media: Vec<MediaRecord>,
}

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The side that sent the initial INVITE.
    Caller,
    /// The side that was invited.
    Callee,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// A state and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StateChange {
    /// When.
    pub at: Timestamp,
    /// Into which state.
    pub state: CallState,
}

/// A transaction on one hop (RFC 3261 17).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TransactionRecord {
    /// Method of the request.
    pub method: String,
    /// CSeq number.
    pub cseq: u32,
    /// Branch of the top Via; left out where there was none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// Where the request came from, `ip:port`.
    pub src: String,
    /// Where it went, `ip:port`.
    pub dst: String,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: String,
    /// First request.
    pub started_at: Timestamp,
    /// Times the request was sent again.
    pub request_retransmissions: u32,
    /// Times its final response was sent again.
    pub response_retransmissions: u32,
    /// Responses in order, retransmissions left out.
    pub responses: Vec<ResponseRecord>,
    /// Where it ended by a timer of RFC 3261: its letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timed_out: Option<String>,
}

/// A response within a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResponseRecord {
    /// Status code.
    pub code: u16,
    /// When it was first seen.
    pub at: Timestamp,
}

/// A dialog (RFC 3261 12).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DialogRecord {
    /// Tag of the caller.
    pub from_tag: String,
    /// Tag of the callee.
    pub to_tag: String,
    /// `early`, `confirmed` or `terminated`.
    pub state: String,
    /// Route set as the caller uses it (RFC 3261 12.1.2).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route_set: Vec<String>,
    /// When it began.
    pub started_at: Timestamp,
}

/// One media description of the call as last negotiated.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MediaRecord {
    /// `audio`, `video`, `image` and so on.
    pub kind: String,
    /// Where the caller receives, `ip:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Where the callee receives, `ip:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callee: Option<String>,
    /// Direction as the caller sees it: `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: String,
    /// Codecs of the answer (of the offer while there is none), as `name/rate`.
    pub codecs: Vec<String>,
}
