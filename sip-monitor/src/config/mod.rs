//! The configuration file: TOML, every key optional, a wrong key refused with its path and the allowed ones.
//!
//! Here are the keys and their defaults; [`load`] reads a file, [`units`] has the durations and sizes as people write them.
//! `etc/sip-monitor.toml` documents each key with its default, and a test holds the two together.

mod alertmanager;
mod load;
mod prometheus;
mod secret;
mod trunk;
pub mod units;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sip_monitor_common::limits::{DEFAULT_MAX_STREAMS, DEFAULT_MEDIA_RING_BYTES, DEFAULT_SIGNALLING_RING_BYTES};
use sip_monitor_engine::config as engine;

pub use alertmanager::{Alertmanager, Endpoint, LeastSeverity};
pub use load::{DEFAULT_PATH, from_file, from_str, load_or_default};
pub use prometheus::{Listen, Prometheus};
pub use secret::privacy_key;
pub use trunk::{Network, Trunk, TrunkThresholds};
use units::{Bytes, Span};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is done to phone numbers in everything that leaves the program.
    pub privacy: PrivacyMode,
    /// Holds the key of hashed numbers; without it each run has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_key_file: Option<PathBuf>,
    /// Level or filter of the log, as `--log`.
    pub log: LogLevel,
    /// Where packets come from.
    pub capture: Capture,
    /// RFC 3261's timers.
    pub timers: Timers,
    /// When conditions fire.
    pub thresholds: Thresholds,
    /// How legs are found.
    pub legs: Legs,
    /// How much is kept.
    pub limits: Limits,
    /// Peers with a name and thresholds of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunk: Vec<Trunk>,
    /// Where alerts go.
    pub output: Output,
    /// What Prometheus scrapes.
    pub prometheus: Prometheus,
    /// Which Alertmanagers alerts are pushed to.
    pub alertmanager: Alertmanager,
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// Interfaces to watch; empty: all that are up, except loopback.
    pub interfaces: Vec<String>,
    /// How arriving packets are seen.
    pub ingress: Ingress,
    /// Ports that carry SIP. On other UDP ports SIP is found by its first bytes.
    pub sip_ports: Vec<u16>,
    /// Size of the ring that carries signalling up; a power of two.
    pub signalling_ring: Bytes,
    /// Size of the ring that carries reports about RTP streams up; a power of two.
    pub media_ring: Bytes,
    /// RTP streams the kernel counts at a time.
    pub max_streams: u32,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            ingress: Ingress::Auto,
            sip_ports: vec![5060, 5061],
            signalling_ring: Bytes(DEFAULT_SIGNALLING_RING_BYTES.into()),
            media_ring: Bytes(DEFAULT_MEDIA_RING_BYTES.into()),
            max_streams: DEFAULT_MAX_STREAMS,
        }
    }
}

/// RFC 3261 17.1.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// Round-trip estimate.
    pub t1: Span,
    /// Longest interval between retransmissions.
    pub t2: Span,
    /// Longest time a message stays in the network.
    pub t4: Span,
}

impl Default for Timers {
    fn default() -> Self {
        let engine::SipTimers { t1, t2, t4 } = engine::SipTimers::default();
        Self { t1: Span(t1), t2: Span(t2), t4: Span(t4) }
    }
}

/// When conditions fire.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// `no-ack` warns after so many retransmissions of the 2xx.
    pub no_ack_retransmissions: u32,
    /// Media that must flow and does not, without positive evidence.
    pub media_absent: Span,
    /// The same with positive evidence, such as an ICMP error.
    pub media_refused: Span,
    /// Media that flowed and does not any more.
    pub media_stopped: Span,
    /// `rtp-loss`: more than this lost in 10 s, percent.
    pub rtp_loss_percent: u32,
    /// `rtp-jitter`: more interarrival jitter than this over 10 s, milliseconds.
    pub rtp_jitter_ms: u32,
    /// `low-mos`: a MOS below this in two intervals of 10 s, in hundredths.
    pub low_mos_hundredths: u32,
    /// `low-mos` is critical below this, in hundredths.
    pub low_mos_critical_hundredths: u32,
    /// A request that nobody answers counts as unanswered after so many retransmissions.
    pub unanswered_retransmissions: u32,
    /// A call on hold for longer is forgotten.
    pub hold_too_long: Span,
    /// A transfer whose outcome is not told by then has failed.
    pub transfer_notify: Span,
    /// `invite-flood`: INVITEs of one source within a second.
    pub invite_flood_per_second: u32,
    /// Window in which further cases of one alert to one peer are counted instead of told.
    pub alert_window: Span,
}

impl Default for Thresholds {
    fn default() -> Self {
        let engine::Thresholds {
            no_ack_retransmissions,
            media_absent,
            media_refused,
            media_stopped,
            quality,
            unanswered_retransmissions,
            hold_too_long,
            transfer_notify,
            invite_flood_per_second,
            alert_window,
        } = engine::Thresholds::default();
        Self {
            no_ack_retransmissions,
            invite_flood_per_second,
            media_absent: Span(media_absent),
            media_refused: Span(media_refused),
            media_stopped: Span(media_stopped),
            rtp_loss_percent: quality.loss_percent,
            rtp_jitter_ms: quality.jitter_ms,
            low_mos_hundredths: quality.mos_warning_hundredths,
            low_mos_critical_hundredths: quality.mos_critical_hundredths,
            unanswered_retransmissions,
            hold_too_long: Span(hold_too_long),
            transfer_notify: Span(transfer_notify),
            alert_window: Span(alert_window),
        }
    }
}

/// How calls with different Call-IDs are found to be legs of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Legs {
    /// Headers that are the same on all legs, or that hold the Call-ID of another leg.
    pub headers: Vec<String>,
    /// How soon after a call came in a call with its numbers must leave to be taken for its leg.
    pub numbers_within: Span,
}

impl Default for Legs {
    fn default() -> Self {
        let engine::LegSettings { headers, numbers_within } = engine::LegSettings::default();
        Self { headers, numbers_within: Span(numbers_within) }
    }
}

/// How much is kept; what does not fit is evicted and counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Call-IDs at a time.
    pub calls: usize,
    /// Peers at a time, besides the configured trunks.
    pub peers: usize,
    /// Registered Contacts at a time.
    pub registrations: usize,
    /// RTP streams at a time.
    pub streams: usize,
    /// Transactions kept for one Call-ID.
    pub transactions_per_call: usize,
    /// Dialogs kept for one Call-ID.
    pub dialogs_per_call: usize,
    /// Open alerts at a time.
    pub alerts: usize,
    /// TCP connections between SIP ports at a time.
    pub connections: usize,
    /// Unfinished messages held of all TCP connections together.
    pub stream: Bytes,
    /// Longest Call-ID, tag, branch or URI that is kept.
    pub text: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = engine::Limits::default();
        Self {
            calls: limits.calls,
            peers: limits.peers,
            registrations: limits.registrations,
            streams: limits.streams,
            transactions_per_call: limits.transactions_per_call,
            dialogs_per_call: limits.dialogs_per_call,
            alerts: limits.alerts,
            connections: limits.connections,
            stream: Bytes(limits.stream_bytes as u64),
            text: Bytes(limits.text_bytes as u64),
        }
    }
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Format of standard output.
    pub format: OutputFormat,
    /// What is printed.
    pub emit: Vec<Emit>,
    /// How often lines of peers are written; at the end only where it is 0.
    pub peers_interval: Span,
    /// File that alerts are appended to as JSON lines; none where empty.
    pub alerts_file: Option<PathBuf>,
    /// Lines that may wait for a slow reader; more are dropped and counted.
    pub queue: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            format: OutputFormat::Auto,
            emit: vec![Emit::Alerts],
            peers_interval: Span(Duration::from_secs(60)),
            alerts_file: None,
            queue: 10_000,
        }
    }
}

/// How arriving packets are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ingress {
    /// Native XDP on network cards, tc elsewhere
    #[default]
    Auto,
    /// Native XDP or nothing
    Xdp,
    /// XDP of the stack, on any interface
    XdpGeneric,
    /// tc
    Tc,
}

/// What is done to phone numbers in output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyMode {
    /// The middle is starred
    #[default]
    Mask,
    /// Replaced by a hash, the same for the same number
    Hash,
    /// As sent
    Plain,
}

impl From<PrivacyMode> for engine::Privacy {
    fn from(mode: PrivacyMode) -> Self {
        match mode {
            PrivacyMode::Mask => Self::Mask,
            PrivacyMode::Hash => Self::Hash,
            PrivacyMode::Plain => Self::Plain,
        }
    }
}

/// Level of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogLevel(pub String);

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".into())
    }
}

/// Format of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// Readable text on a terminal, JSON lines elsewhere.
    #[default]
    Auto,
    /// Readable text.
    Table,
    /// One JSON object a line.
    Jsonl,
}

/// A kind of output line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emit {
    /// Conditions that fire, change or end.
    Alerts,
    /// One line a call.
    Calls,
    /// One line each time a call changes its state.
    Events,
    /// One line an RTP stream.
    Streams,
    /// One line a registration.
    Registrations,
    /// One line a peer.
    Peers,
    /// One line a SIP message.
    Messages,
}

impl Config {
    /// The engine's part of it. The caller adds what only it knows: local addresses, interface names, what to emit.
    #[must_use]
    pub fn to_engine(&self) -> engine::EngineConfig {
        engine::EngineConfig {
            timers: engine::SipTimers { t1: self.timers.t1.0, t2: self.timers.t2.0, t4: self.timers.t4.0 },
            thresholds: engine::Thresholds {
                no_ack_retransmissions: self.thresholds.no_ack_retransmissions,
                media_absent: self.thresholds.media_absent.0,
                media_refused: self.thresholds.media_refused.0,
                media_stopped: self.thresholds.media_stopped.0,
                quality: engine::QualityThresholds {
                    loss_percent: self.thresholds.rtp_loss_percent,
                    jitter_ms: self.thresholds.rtp_jitter_ms,
                    mos_warning_hundredths: self.thresholds.low_mos_hundredths,
                    mos_critical_hundredths: self.thresholds.low_mos_critical_hundredths,
                },
                unanswered_retransmissions: self.thresholds.unanswered_retransmissions,
                hold_too_long: self.thresholds.hold_too_long.0,
                transfer_notify: self.thresholds.transfer_notify.0,
                invite_flood_per_second: self.thresholds.invite_flood_per_second,
                alert_window: self.thresholds.alert_window.0,
            },
            limits: engine::Limits {
                calls: self.limits.calls,
                peers: self.limits.peers,
                registrations: self.limits.registrations,
                streams: self.limits.streams,
                transactions_per_call: self.limits.transactions_per_call,
                dialogs_per_call: self.limits.dialogs_per_call,
                alerts: self.limits.alerts,
                connections: self.limits.connections,
                stream_bytes: usize::try_from(self.limits.stream.0).unwrap_or(usize::MAX),
                text_bytes: usize::try_from(self.limits.text.0).unwrap_or(usize::MAX),
                trunk_metrics: self.prometheus.max_trunks,
            },
            legs: engine::LegSettings {
                headers: self.legs.headers.clone(),
                numbers_within: self.legs.numbers_within.0,
            },
            trunks: self.trunk.iter().map(Trunk::to_engine).collect(),
            privacy: self.privacy.into(),
            emit: emit_flags(&self.output.emit),
            peers_every: Some(self.output.peers_interval.0).filter(|every| !every.is_zero()),
            ..engine::EngineConfig::default()
        }
    }
}

/// Which records the engine must write for `kinds`; alerts always come.
#[must_use]
pub fn emit_flags(kinds: &[Emit]) -> engine::Emit {
    engine::Emit {
        calls: kinds.contains(&Emit::Calls),
        events: kinds.contains(&Emit::Events),
        streams: kinds.contains(&Emit::Streams),
        registrations: kinds.contains(&Emit::Registrations),
        peers: kinds.contains(&Emit::Peers),
        messages: kinds.contains(&Emit::Messages),
    }
}
