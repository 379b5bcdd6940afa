//! A change of a call's state, written when it happens.

use schemars::JsonSchema;
use serde::Serialize;

use super::{CallState, CauseRecord, PeerName, Side};
use crate::time::Timestamp;

/// A call changed its state. Each change is told once, however many hops its messages are seen on. A call that was up before
/// the monitor began tells from its next change on; one whose end is not seen has no last line.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EventRecord {
    /// Version of this schema.
    pub schema: u32,
    /// When the state began. What shows only by time passing (a challenge that nobody answers) is told later than it was.
    pub ts: Timestamp,
    /// Call-ID header value.
    pub call_id: String,
    /// Which change of this call it is, from 1 on. A number that is missing is a line that was lost.
    pub sequence: u32,
    /// State from now on.
    pub state: CallState,
    /// State up to now; left out of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<CallState>,
    /// URI of the From header of the first INVITE; its number masked by default.
    pub from: String,
    /// URI of the To header of the first INVITE; its number masked by default.
    pub to: String,
    /// Tag of the caller in the dialog that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_tag: Option<String>,
    /// Tag of the callee in the dialog that changed; none before the first response that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_tag: Option<String>,
    /// Which side brought it about; left out where nobody did (a timer) or where the tags do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Side>,
    /// Method of the request that brought it about, or to which the response belongs that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Status code of the response that brought it about; of a transfer, what its NOTIFY told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Reason phrase of that response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
    /// Reason header of the message that brought it about or, after a CANCEL, of that, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Q.850 cause of that Reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q850: Option<CauseRecord>,
    /// From the answer to the end, milliseconds; of `disconnected` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// Who this host exchanged that message with, or waited for in vain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// The call was already up when the monitor first saw it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}
