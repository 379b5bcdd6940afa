//! A SIP message as it was seen.

use schemars::JsonSchema;
use serde::Serialize;

use crate::time::Timestamp;

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
