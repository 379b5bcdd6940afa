//! What leaves the engine besides alerts: one record a call, a stream, a registration or a message. Field names and units
//! are the published schema (`sip-monitor schema`); fields that do not apply are left out, never null.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::alert::Alert;
use crate::leg::LegRecord;
use crate::time::Timestamp;

/// One line of output; `type` says which.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Output {
    /// A condition that fires, changes or ends.
    Alert(Box<Alert>),
    /// A call (one Call-ID with an INVITE) that is over, or that was up when the capture ended.
    Call(Box<CallRecord>),
    /// An RTP stream that is over, or that was up when the capture ended.
    Stream(Box<StreamRecord>),
    /// A registration (one address of record and Contact).
    Registration(Box<RegistrationRecord>),
    /// A SIP message as it was seen.
    Message(Box<MessageRecord>),
}

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
    /// Status code of the last final response to the initial INVITE (a challenge that was answered is not final).
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

/// An RTP stream.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StreamRecord {
    /// Version of this schema.
    pub schema: u32,
    /// Call it belongs to, where one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Who sends it, where it belongs to a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_side: Option<Side>,
    /// Sender, `ip:port`.
    pub src: String,
    /// Receiver, `ip:port`.
    pub dst: String,
    /// Synchronisation source, as `0x` and 8 hexadecimal digits.
    pub ssrc: String,
    /// `in`, `out` or `transit`, as seen from this host.
    pub direction: String,
    /// Payload types seen, ascending.
    pub payload_types: Vec<u8>,
    /// Codec of the main payload type, `name/rate`, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// RTP clock rate used for jitter, hertz.
    pub clock_rate_hz: u32,
    /// Packets seen, duplicates and late ones included.
    pub packets: u64,
    /// RTP bytes.
    pub bytes: u64,
    /// Sequence numbers that should have been seen.
    pub expected: u64,
    /// Sequence numbers never seen.
    pub lost: u64,
    /// Packets out of order.
    pub late: u64,
    /// Sequence numbers seen again.
    pub duplicates: u64,
    /// Mean of the interarrival jitter (RFC 3550 A.8) after each packet, milliseconds.
    pub jitter_mean_ms: f64,
    /// Its maximum, milliseconds.
    pub jitter_max_ms: f64,
    /// Longest silence between two packets, milliseconds.
    pub gap_max_ms: f64,
    /// Lowest TTL or hop limit.
    pub ttl_min: u8,
    /// Highest TTL or hop limit.
    pub ttl_max: u8,
    /// Differentiated services code point of the last packet.
    pub dscp: u8,
    /// Intervals of 10 s that were measured; of a shorter stream all of it is one. What the monitor itself missed, pauses and
    /// restarts of the sender are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<u32>,
    /// Those in which more was lost than `rtp-loss` bears (3 %).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lossy_intervals: Option<u32>,
    /// Highest loss of an interval, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_max_percent: Option<f64>,
    /// Lowest MOS of an interval where it passed here (ITU-T G.107, G.107.1; buffer of 60 ms). Left out for codecs without
    /// known impairment factors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_min: Option<f64>,
    /// Mean MOS of the intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_mean: Option<f64>,
    /// Mean R factor of the intervals, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r_factor: Option<f64>,
    /// From this host to the receiver and back, by RTCP, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Packets that its receiver has lost, by its last RTCP report; negative with duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_lost: Option<i32>,
    /// Share that its receiver lost since the report before, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_loss_percent: Option<f64>,
    /// Interarrival jitter at its receiver, by its last report, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_jitter_ms: Option<f64>,
    /// Mean MOS at its receiver, made from its reports as `mos_mean` is from packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_mos: Option<f64>,
    /// MOS-LQ that its receiver tells itself (RFC 3611 4.7.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_mos_lq: Option<f64>,
    /// First packet.
    pub first_at: Timestamp,
    /// Last packet.
    pub last_at: Timestamp,
}

/// A registration: one Contact bound to one address of record.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RegistrationRecord {
    /// Version of this schema.
    pub schema: u32,
    /// Address of record (To URI), masked by default.
    pub aor: String,
    /// Contact URI, masked by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Call-ID of the registration.
    pub call_id: String,
    /// Where the REGISTER came from, `ip:port`.
    pub source: String,
    /// Registrar, `ip:port`.
    pub registrar: String,
    /// `registered`, `removed`, `refused`, `challenged` or `unanswered`.
    pub state: String,
    /// Last final status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_code: Option<u16>,
    /// Expiry granted, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u32>,
    /// REGISTER requests seen (retransmissions not counted).
    pub requests: u32,
    /// User-Agent of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// First request.
    pub first_at: Timestamp,
    /// Last message.
    pub last_at: Timestamp,
}

/// A SIP message.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MessageRecord {
    /// Version of this schema.
    pub schema: u32,
    /// When it was seen.
    pub ts: Timestamp,
    /// Sender, `ip:port`.
    pub src: String,
    /// Receiver, `ip:port`.
    pub dst: String,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: String,
    /// Method of a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Status code of a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Call-ID header value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// CSeq as `number METHOD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cseq: Option<String>,
    /// Faults found in it, each a stable name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// It is the same message again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retransmission: bool,
}
