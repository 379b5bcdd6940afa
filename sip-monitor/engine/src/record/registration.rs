//! The record of a registration.

use schemars::JsonSchema;
use serde::Serialize;

use crate::time::Timestamp;

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
