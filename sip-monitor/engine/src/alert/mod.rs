//! From findings to alerts: identity, firing / update / resolved, one alert per peer and window.

pub mod book;
mod dispatch;
pub mod id;
mod line;
mod open;
mod verdict;

use std::collections::BTreeMap;

pub use book::{AlertBook, AlertCounters};
use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnosis::{Confidence, Fault, Layer, Severity, Value};
use crate::leg::LegRecord;
use crate::time::Timestamp;

/// What people read. One JSON object a line; schema version 1.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Alert {
    /// Version of this schema.
    pub schema: u32,
    /// The same for every line about one condition (ULID).
    pub id: String,
    /// When this line's fact was seen.
    pub ts: Timestamp,
    /// Where the condition stands.
    pub status: Status,
    /// Which condition; see `sip-monitor explain`.
    pub code: String,
    /// Why, or `unknown`.
    pub cause: String,
    /// How much it matters.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// Layer.
    pub layer: Layer,
    /// Where the fault is, as seen from this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// One true sentence.
    pub summary: String,
    /// What to do.
    pub remedy: String,
    /// Who cannot hear whom: `caller-cannot-hear-callee` or `callee-cannot-hear-caller`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// The call it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<AlertCall>,
    /// How many calls, where it is more than one, with samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<AlertCalls>,
    /// Other calls that belong to the call: its legs behind a back-to-back user agent, and what a transfer made of it; the
    /// first 3 known by `ts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<LegRecord>,
    /// The peer it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<AlertPeer>,
    /// What proves it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, Value>,
    /// Ids of alerts that this one explains or is explained by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// RFC sections.
    pub refs: Vec<String>,
    /// Name of this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Interface it was seen on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iface: Option<String>,
}

/// Where a condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It began.
    Firing,
    /// It goes on and is clearer, or hit more calls.
    Update,
    /// It ended.
    Resolved,
}

/// The call an alert is about.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AlertCall {
    /// Call-ID header value.
    pub call_id: String,
    /// From URI, masked by default.
    pub from: String,
    /// To URI, masked by default.
    pub to: String,
    /// From tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_tag: Option<String>,
    /// To tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_tag: Option<String>,
    /// CSeq number of the request concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cseq: Option<u32>,
    /// Method of the request concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// State of the call.
    pub state: crate::record::CallState,
    /// From the answer to `ts` or to the end of the call, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// Several calls with the same condition.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AlertCalls {
    /// How many so far.
    pub count: u64,
    /// Call-IDs of some.
    pub sample_call_ids: Vec<String>,
}

/// The peer an alert is about.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AlertPeer {
    /// Address.
    pub addr: String,
    /// Port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Transport of its signalling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Configured name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
