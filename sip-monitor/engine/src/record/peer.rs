//! The record of a peer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::time::Timestamp;

/// Who a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PeerName {
    /// Address; of a trunk the one used last.
    pub addr: String,
    /// Port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Name of its trunk in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A peer (an address, or a trunk with all its addresses) and what was measured of it. Written at the end of a capture and, live,
/// once an interval (`output.peers_interval`) for each peer that was heard of in it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PeerRecord {
    /// Version of this schema.
    pub schema: u32,
    /// When it was written.
    pub ts: Timestamp,
    /// Who.
    pub peer: PeerName,
    /// It is an address of this host: what this host refuses itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// First message; of a trunk that must be heard of, when the monitor began.
    pub first_at: Timestamp,
    /// Last message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// Calls that it made.
    pub attempts_from: u32,
    /// Calls through it that are up or being set up, in either direction.
    pub concurrent: u32,
    /// The most of them.
    pub concurrent_max: u32,
    /// Calls sent to it within the last second.
    pub calls_per_second: u32,
    /// The most within a second.
    pub calls_per_second_max: u32,
    /// OPTIONS sent to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<OptionsRecord>,
    /// The last five to ten minutes.
    pub recent: MeasuresRecord,
    /// Since the monitor began.
    pub since_start: MeasuresRecord,
    /// Audio, a codec and a direction each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quality: Vec<QualityRecord>,
}

/// OPTIONS sent to a peer outside of dialogs, and their ends.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OptionsRecord {
    /// Those that came to an end.
    pub ended: u32,
    /// How many in a row, up to now, were unanswered or answered with 5xx.
    pub bad_in_a_row: u32,
    /// Round trip of those answered at their first sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip: Option<DelayRecord>,
}

/// What RFC 6076 measures of the calls sent to a peer. A call whose INVITE is repeated with credentials is one attempt, and
/// so is one whose messages are seen on several hops.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MeasuresRecord {
    /// Begin of what is counted.
    pub since: Timestamp,
    /// Calls sent to it.
    pub attempts: u32,
    /// Final responses to them, each with how often it came; `no-answer` for none. Challenges that were answered are none.
    pub codes: BTreeMap<String, u32>,
    /// Registration Request Delay (RFC 6076 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rrd: Option<DelayRecord>,
    /// Ineffective Registration Attempts (4.2), percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ira_percent: Option<f64>,
    /// Session Request Delay of attempts that rang or were answered (4.3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srd: Option<DelayRecord>,
    /// Session Request Delay of attempts that failed (4.3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srd_failed: Option<DelayRecord>,
    /// Session Disconnect Delay (4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdd: Option<DelayRecord>,
    /// Session Duration Time of calls whose BYE was answered (4.5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdt: Option<DelayRecord>,
    /// Session Duration Time of calls whose BYE was not (4.5.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdt_failed: Option<DelayRecord>,
    /// Session Establishment Ratio (4.6), percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ser_percent: Option<f64>,
    /// Session Establishment Effectiveness Ratio (4.7), percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seer_percent: Option<f64>,
    /// Ineffective Session Attempts (4.8), percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isa_percent: Option<f64>,
    /// Session Completion Ratio (4.9), percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scr_percent: Option<f64>,
}

/// How long something took, told to within 2 %.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DelayRecord {
    /// How many were timed.
    pub count: u32,
    /// Half took no longer, milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 took no longer, milliseconds.
    pub p95_ms: f64,
}

/// Which way audio goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MediaWay {
    /// From the peer, as its packets were counted here.
    From,
    /// To the peer, as its RTCP reports say: what was lost behind this host.
    To,
}

/// Audio of one codec from or to a peer, by intervals of 10 s; a stream shorter than that is one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct QualityRecord {
    /// Encoding name.
    pub codec: String,
    /// Which way.
    pub way: MediaWay,
    /// Intervals.
    pub intervals: u64,
    /// MOS of the intervals (as `mos_mean` of streams). Left out for codecs without known impairment factors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos: Option<SpreadRecord>,
    /// Mean interarrival jitter of each interval, milliseconds; more than 200 counts as 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<SpreadRecord>,
    /// Loss of each interval, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_percent: Option<SpreadRecord>,
}

/// How values are spread, each told to within 1 %: so many per cent of them are not above.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SpreadRecord {
    /// Lowest.
    pub min: f64,
    /// 5 per cent.
    pub p5: f64,
    /// 50 per cent.
    pub p50: f64,
    /// 95 per cent.
    pub p95: f64,
    /// Highest.
    pub max: f64,
}
