//! Settings of the engine. Each has a default that needs no tuning; the daemon reads them from its configuration file
//! under the same names.

use core::net::IpAddr;
use core::time::Duration;

use siphasher::sip128::SipHasher24;

use crate::peer::Trunk;

/// Everything the engine can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineConfig {
    /// Addresses of this host.
    pub local: Vec<IpAddr>,
    /// What the capture can be expected to show of media.
    pub media_sight: MediaSight,
    /// A capture file that holds one direction of signalling only: that nothing came back proves nothing.
    pub half_seen: bool,
    /// This host's kernel tells which packets it drops and why: that it dropped none of a flow is then a fact. Live with the
    /// program at `kfree_skb` attached; a file never holds it.
    pub drops_watched: bool,
    /// RFC 3261's timers.
    pub timers: SipTimers,
    /// When conditions fire.
    pub thresholds: Thresholds,
    /// How much is kept.
    pub limits: Limits,
    /// Peers that are known by name.
    pub trunks: Vec<Trunk>,
    /// Which records leave the engine besides alerts.
    pub emit: Emit,
    /// How the legs of a call are found.
    pub legs: LegSettings,
    /// How often records of peers are written; only at the end where that is nothing.
    pub peers_every: Option<Duration>,
    /// What is done to phone numbers and user parts in what leaves the engine.
    pub privacy: Privacy,
    /// Key of the hashes of [`Privacy::Hash`].
    pub privacy_key: PrivacyKey,
    /// Stands in `host` of every alert; left out where empty.
    pub host: String,
    /// Names of the interfaces, by [`crate::packet::Packet::link`].
    pub links: Vec<String>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            local: Vec::new(),
            media_sight: MediaSight::default(),
            half_seen: false,
            drops_watched: false,
            timers: SipTimers::default(),
            thresholds: Thresholds::default(),
            limits: Limits::default(),
            trunks: Vec::new(),
            emit: Emit::default(),
            legs: LegSettings::default(),
            peers_every: None,
            privacy: Privacy::Mask,
            privacy_key: PrivacyKey::default(),
            host: String::new(),
            links: Vec::new(),
        }
    }
}

/// What makes the hashes of numbers one installation's own. Never shown.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PrivacyKey(pub [u8; 16]);

impl PrivacyKey {
    /// From a secret of any length.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(SipHasher24::new().hash(secret).as_bytes())
    }
}

impl core::fmt::Debug for PrivacyKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PrivacyKey(..)")
    }
}

/// RFC 3261 17.1.1.1: T1, T2, T4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipTimers {
    /// Round-trip estimate, 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions, 4 s.
    pub t2: Duration,
    /// Longest time a message stays in the network, 5 s.
    pub t4: Duration,
}

impl Default for SipTimers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl SipTimers {
    /// 64*T1: timers B, F, H, and how long a 2xx is repeated.
    #[must_use]
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }
}

/// When conditions fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// `no-ack` warns after so many retransmissions of the 2xx: 3 (3.5 s).
    pub no_ack_retransmissions: u32,
    /// Media that must flow and does not, without positive evidence: 6 s after the answer.
    pub media_absent: Duration,
    /// The same with positive evidence (an ICMP error, a private address, later a drop reason): 3 s.
    pub media_refused: Duration,
    /// Media that flowed and does not any more: 10 s.
    pub media_stopped: Duration,
    /// When audio counts as bad.
    pub quality: QualityThresholds,
    /// A request that nobody answers counts as unanswered after so many retransmissions: 3 (3.5 s).
    pub unanswered_retransmissions: u32,
    /// A call on hold for longer is forgotten: 900 s.
    pub hold_too_long: Duration,
    /// A transfer whose outcome is not told by then has failed: 60 s.
    pub transfer_notify: Duration,
    /// INVITEs of one source within a second above which it is a flood: 50.
    pub invite_flood_per_second: u32,
    /// Window in which further cases of one alert to one peer are counted instead of told: 300 s.
    pub alert_window: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            no_ack_retransmissions: 3,
            media_absent: Duration::from_secs(6),
            media_refused: Duration::from_secs(3),
            media_stopped: Duration::from_secs(10),
            quality: QualityThresholds::default(),
            unanswered_retransmissions: 3,
            hold_too_long: Duration::from_secs(900),
            transfer_notify: Duration::from_secs(60),
            invite_flood_per_second: 50,
            alert_window: Duration::from_secs(300),
        }
    }
}

/// When audio counts as bad, by intervals of 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QualityThresholds {
    /// `rtp-loss`: more than this lost, percent: 3.
    pub loss_percent: u32,
    /// `rtp-jitter`: more interarrival jitter than this, milliseconds: 50.
    pub jitter_ms: u32,
    /// `low-mos`: a MOS below this, in hundredths: 360.
    pub mos_warning_hundredths: u32,
    /// `low-mos` is critical below this, in hundredths: 310.
    pub mos_critical_hundredths: u32,
}

impl Default for QualityThresholds {
    fn default() -> Self {
        Self { loss_percent: 3, jitter_ms: 50, mos_warning_hundredths: 360, mos_critical_hundredths: 310 }
    }
}

impl QualityThresholds {
    /// [`QualityThresholds::mos_warning_hundredths`] as a score.
    #[must_use]
    pub fn mos_warning(&self) -> f64 {
        f64::from(self.mos_warning_hundredths) / 100.0
    }

    /// [`QualityThresholds::mos_critical_hundredths`] as a score.
    #[must_use]
    pub fn mos_critical(&self) -> f64 {
        f64::from(self.mos_critical_hundredths) / 100.0
    }
}

/// How much is kept; what does not fit is evicted and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Call-IDs at a time.
    pub calls: usize,
    /// Registered Contacts at a time.
    pub registrations: usize,
    /// Peers at a time, besides the configured trunks.
    pub peers: usize,
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
    /// Bytes of unfinished messages held of all connections together.
    pub stream_bytes: usize,
    /// Longest Call-ID, tag, branch or URI that is kept, bytes; a longer one is cut (and still told apart).
    pub text_bytes: usize,
    /// Trunks whose measures are summed up apart; those of all others are one.
    pub trunk_metrics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 200_000,
            registrations: 100_000,
            peers: 4_096,
            streams: 100_000,
            transactions_per_call: 64,
            dialogs_per_call: 16,
            alerts: 10_000,
            connections: 16_384,
            stream_bytes: 64 << 20,
            text_bytes: 1_024,
            trunk_metrics: 100,
        }
    }
}

/// How calls with different Call-IDs are found to be legs of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSettings {
    /// Headers of an INVITE that are the same on all legs, or that hold the Call-ID of another leg: `Name`, or
    /// `Name;parameter` where only a parameter of it is.
    pub headers: Vec<String>,
    /// How soon after a call came in a call with its numbers must leave to be taken for its leg: 5 s; 0 is never.
    pub numbers_within: Duration,
}

impl Default for LegSettings {
    /// Headers that are made for this: X-CID as HOMER's agents read it, X-Call-ID as people name it themselves, the ICID of
    /// RFC 7315 5.6, and those that a vendor's nodes pass on from leg to leg: Cisco's CUBE and CUCM, AudioCodes' SBCs,
    /// Genesys' SIP Server.
    fn default() -> Self {
        let headers =
            ["X-CID", "X-Call-ID", "P-Charging-Vector;icid-value", "Cisco-Guid", "AC-Session-ID", "X-Genesys-CallUUID"];
        Self { headers: headers.map(str::to_owned).into(), numbers_within: Duration::from_secs(5) }
    }
}

/// Which records leave the engine besides alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Emit {
    /// One [`crate::record::CallRecord`] a call.
    pub calls: bool,
    /// One [`crate::record::EventRecord`] a change of a call's state, when it happens.
    pub events: bool,
    /// One [`crate::record::StreamRecord`] a stream.
    pub streams: bool,
    /// One [`crate::record::RegistrationRecord`] a registration.
    pub registrations: bool,
    /// One [`crate::record::PeerRecord`] a peer, at the end and every [`EngineConfig::peers_every`].
    pub peers: bool,
    /// One [`crate::record::MessageRecord`] a message.
    pub messages: bool,
}

/// What is done to phone numbers and user parts in what leaves the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// `+15551230001` becomes `+1555***0001`'s like: the middle is starred.
    Mask,
    /// Replaced by a hash, the same for the same number.
    Hash,
    /// As sent.
    Plain,
}

/// What the capture can be expected to show of this host's media: absence proves something only where presence could
/// have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MediaSight {
    /// Media is not captured: no RTP programs attached, or a file that holds nothing but signalling (no UDP that is not SIP
    /// and no ICMP error quoting such). No verdict about missing media.
    Unseen,
    /// A file whose local addresses were guessed and that holds UDP besides SIP: media of a call counts as missing only
    /// where other packets between the same hosts, or other media of the host, were seen.
    Guessed,
    /// Live with the RTP programs attached, or a file with `--local` told that holds UDP besides SIP: all media to and
    /// from a local address is seen.
    #[default]
    Full,
}
