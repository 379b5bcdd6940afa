//! The record of a call.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::CauseRecord;
use crate::leg::LegRecord;
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
    /// Q.850 cause of what ended the call: of a Reason in the BYE, the CANCEL or the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q850: Option<CauseRecord>,
    /// Holds in order; the first 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldRecord>,
    /// All time on hold together, those beyond the first 16 included, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<f64>,
    /// Transfers asked for, in order; the first 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<TransferRecord>,
    /// Redirections of the initial INVITE, in order; the first 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<ForwardRecord>,
    /// Whom the call was meant for before it was diverted to here, the last diversion first: URIs of Diversion (RFC 5806), else
    /// those of History-Info (RFC 7044) in its order; masked by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diverted_from: Vec<String>,
    /// Call-ID of the call that this one takes over (Replaces of its INVITE, RFC 3891).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// User-Agent of the first INVITE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_agent: Option<String>,
    /// Server or User-Agent of the last response to it that named another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callee_agent: Option<String>,
    /// Peers it went through, in the order they joined; one that was forgotten meanwhile is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<CallPeer>,
    /// The call was already up when the monitor first saw it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Media descriptions as last negotiated.
    pub media: Vec<MediaRecord>,
    /// What flowed, a direction and a hop each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_flows: Vec<FlowRecord>,
    /// Calls that belong to it, as far as known when the record was written; the first 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<LegRecord>,
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
    /// Which side brought it about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Side>,
    /// Status code of the response that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
}

// It stands in the facts of every live call.
const _: () = assert!(size_of::<StateChange>() == 16);

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
    /// Call-ID header value.
    pub call_id: String,
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
    /// Each state and when it began. One that was up before the capture began has no `early`.
    pub state_history: Vec<DialogChange>,
}

/// A state of a dialog and when it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DialogChange {
    /// When.
    pub at: Timestamp,
    /// `early`, `confirmed` or `terminated`.
    pub state: String,
}

/// One side held the other.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HoldRecord {
    /// Who held the other; left out where both did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Side>,
    /// Answer to the offer that began it.
    pub from: Timestamp,
    /// Answer to the offer that ended it, or the end of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Whether the target of a transfer was spoken to before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TransferKind {
    /// The Refer-To names a number.
    Blind,
    /// The Refer-To names a call to take over (Replaces, RFC 3891).
    Attended,
}

/// A transfer that was asked for (REFER, RFC 3515).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TransferRecord {
    /// When it was asked for.
    pub at: Timestamp,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Side>,
    /// Refer-To URI without its headers, masked by default.
    pub target: String,
    /// Blind or attended.
    pub kind: TransferKind,
    /// Call-ID of the call to be taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Final response to the REFER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// When that came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// Last status that a NOTIFY told of the call that came of it; below 200 it is not known how that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome_code: Option<u16>,
    /// When that NOTIFY came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome_at: Option<Timestamp>,
}

/// A redirection (3xx) of the initial INVITE.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ForwardRecord {
    /// When.
    pub at: Timestamp,
    /// Status code.
    pub code: u16,
    /// Contact URIs, masked by default.
    pub targets: Vec<String>,
}

/// Which part a peer had in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// The INVITE went to it.
    Called,
    /// The INVITE came from it.
    Calling,
}

/// A peer that the call went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CallPeer {
    /// Address.
    pub addr: String,
    /// Name of its trunk in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It is an address of this host.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// Its part.
    pub role: PeerRole,
    /// Its final response as counted for it; 0 is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
}

/// RTP of the call from one address to another, all its streams together. Through a relay on this host each direction of the
/// call has two.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FlowRecord {
    /// Who sends it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_side: Option<Side>,
    /// Sender, `ip:port`.
    pub src: String,
    /// Receiver, `ip:port`.
    pub dst: String,
    /// `in`, `out` or `transit`, as seen from this host.
    pub direction: String,
    /// Streams (SSRCs) in it.
    pub streams: u32,
    /// Codec of the longest, `name/rate`, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// Packets seen.
    pub packets: u64,
    /// Sequence numbers never seen.
    pub lost: u64,
    /// Those, percent of what should have been seen.
    pub loss_percent: f64,
    /// Mean interarrival jitter, milliseconds.
    pub jitter_mean_ms: f64,
    /// Its maximum, milliseconds.
    pub jitter_max_ms: f64,
    /// Mean MOS of the intervals of 10 s where it passed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_mean: Option<f64>,
    /// Lowest MOS of an interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_min: Option<f64>,
    /// From this host to the receiver and back, by RTCP, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Packets that its receiver has lost, by its last RTCP report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_lost: Option<i32>,
    /// Interarrival jitter at its receiver, by its last report, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_jitter_ms: Option<f64>,
    /// Mean MOS at its receiver, made from its reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_mos: Option<f64>,
    /// First packet.
    pub first_at: Timestamp,
    /// Last packet.
    pub last_at: Timestamp,
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
