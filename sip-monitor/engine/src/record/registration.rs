//! The record of a registration.

use schemars::JsonSchema;
use serde::Serialize;

use crate::time::Timestamp;

/// A registration: one Contact bound to one address of record, over all Call-IDs that registered it. Written when it has been
/// offline for 15 minutes, and at the end of the capture.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RegistrationRecord {
    /// Version of this schema.
    pub schema: u32,
    /// Address of record (To URI), masked by default.
    pub aor: String,
    /// Contact URI, masked by default; none of a REGISTER that only asked what is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Who registered it for the address of record, where that was another (From URI, RFC 3261 10.2), masked by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_by: Option<String>,
    /// Call-ID of the last REGISTER.
    pub call_id: String,
    /// Where the last REGISTER came from, `ip:port`.
    pub source: String,
    /// Registrar, `ip:port`.
    pub registrar: String,
    /// `registered`, `removed` (by its client), `expired`, `refused`, `challenged`, `unanswered`, or `queried` where a REGISTER
    /// without Contact was answered.
    pub state: String,
    /// Last final status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_code: Option<u16>,
    /// Expiry asked for last (Contact parameter, else Expires header), seconds; 0 is a removal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_s: Option<u32>,
    /// Expiry granted last (Contact parameter, else Expires header of the 200), seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u32>,
    /// REGISTER requests seen (retransmissions and relayed copies not counted).
    pub requests: u32,
    /// Those that renewed it while it was up.
    pub refreshes: u32,
    /// Authentication rounds: challenges (401, 407) to its REGISTER requests.
    pub challenges: u32,
    /// Times it came up again after it had been offline.
    pub flaps: u32,
    /// Another Contact of the same device took its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
    /// When it was registered or refreshed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    /// Since when it has been offline: removed, or not refreshed when its expiry came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline_since: Option<Timestamp>,
    /// User-Agent of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// First request.
    pub first_at: Timestamp,
    /// Last message.
    pub last_at: Timestamp,
}
