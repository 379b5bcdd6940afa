//! Verdicts. A diagnosis is one file in `catalogue/`: its documentation, one `const`, one pure function from facts to a
//! [`Finding`]. It holds no state: what must be remembered is a fact and belongs to the call, stream or peer it is about.
//!
//! To add one: write the file, write its scenario (`tests/scenarios/CODE.md`, each cause with one case that fires and one
//! look-alike that stays quiet), run `cargo xtask codegen`.

mod bound;
pub mod catalogue;
mod missing_media;
mod peer_view;
mod phrase;
mod refused;
mod requests;
mod subject;
mod unacknowledged;
mod voice;

use core::cell::OnceCell;
use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::call::{Answered, Call};
use crate::config::EngineConfig;
use crate::drops::DropTable;
use crate::leg::Legs;
use crate::media::MediaTable;
use crate::media::flow::{Audio, AudioFlows};
use crate::peer::PeerTable;
use crate::record::{CallState, Side};
use crate::time::Timestamp;

pub use subject::{DropsFacts, PeerFacts, RegistrationFacts, SourceFacts, Subject, WireFacts};

/// Which layer a condition belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// A single request method.
    Method,
    /// A transaction (RFC 3261 17).
    Transaction,
    /// A dialog (RFC 3261 12).
    Dialog,
    /// A call.
    Call,
    /// A registration (RFC 3261 10).
    Registration,
    /// RTP and RTCP.
    Media,
    /// This host and its network.
    Host,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look at it.
    Warning,
    /// A call or a trunk is lost.
    Critical,
}

/// How sure the verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Weakened: the monitor lost packets, sees one direction only, or joined mid-call. Forces `info`.
    Possible,
    /// The packets fit and nothing contradicts; also absence where presence could have been seen.
    Likely,
    /// The packets prove it.
    Certain,
}

/// Where the fault is, as seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This host.
    Local,
    /// The other side.
    Remote,
    /// Between the two.
    Network,
}

/// One condition of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Diagnosis {
    /// Stable name, kebab-case.
    pub code: &'static str,
    /// Layer.
    pub layer: Layer,
    /// One line for lists.
    pub title: &'static str,
    /// Every cause it can name besides `unknown`, in the order they are tried.
    pub causes: &'static [Cause],
    /// RFC sections.
    pub refs: &'static [&'static str],
    /// When it is worth asking.
    pub asks: Asks,
    /// Codes that say less about the same thing: where this one fires for a call, they do not (ground rule 7: the
    /// specific code takes the finding over from the general one).
    pub takes_over: &'static [&'static str],
}

impl Diagnosis {
    /// The doc comment at the head of its catalogue file: what the user notices, evidence, usual causes, remedy, references.
    #[must_use]
    pub fn doc(&self) -> String {
        catalogue::source(self.code).map(head_comment).unwrap_or_default()
    }

    /// The cause of that name.
    #[must_use]
    pub fn cause(&self, name: &str) -> Option<&'static Cause> {
        self.causes.iter().find(|c| c.name == name)
    }
}

/// The text of the `//!` lines at the head of a source file.
fn head_comment(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    text.join("\n")
}

/// A cause of a condition and what to do about it.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// Stable name, kebab-case.
    pub name: &'static str,
    /// What evidence makes it this one.
    pub evidence: &'static str,
    /// What to do, in general; the finding's own remedy has the values in it.
    pub remedy: &'static str,
}

/// What a diagnosis looks at.
#[derive(Clone, Copy, Debug)]
pub enum Asks {
    /// One call and its media: asked when a call changes in a way that can matter, and at its thresholds.
    Call(fn(&CallFacts<'_>) -> Option<Finding>),
    /// One peer or trunk: asked when an outcome of a call, an answer to a ping or a threshold comes due. It tells of many
    /// calls at once, in [`Finding::calls`].
    Peer(fn(&PeerFacts<'_>) -> Option<Finding>),
    /// One registration: asked when it changes in a way that can matter, and at its thresholds.
    Registration(fn(&RegistrationFacts<'_>) -> Option<Finding>),
    /// One source address, for abuse: asked when what it did crosses a mark, and when that is over.
    Source(fn(&SourceFacts<'_>) -> Option<Finding>),
    /// The way signalling travels to or from one address: asked at each sign that something is wrong with it.
    Wire(fn(&WireFacts<'_>) -> Option<Finding>),
    /// What this host's kernel drops at one place for one reason: asked when it has settled, then once a second at most while it
    /// goes on.
    Drops(fn(&DropsFacts<'_>) -> Option<Finding>),
    /// The host and the monitor itself: asked when a host fact changes.
    Host(fn(&HostFacts<'_>) -> Option<Finding>),
}

/// What a diagnosis about a call may look at.
pub struct CallFacts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Settings.
    pub config: &'a EngineConfig,
    /// Who the call is, as an alert names it.
    pub identity: CallIdentity<'a>,
    /// The call with its transactions, dialogs and negotiated media.
    pub call: &'a Call,
    /// Streams, for those joined to the call.
    pub media: &'a MediaTable,
    /// Who answered calls since start.
    pub answered: &'a Answered,
    /// What was measured of the peers it goes through.
    pub peers: &'a PeerTable,
    /// Which other calls are its legs.
    pub legs: Legs<'a>,
    /// What this host's kernel dropped, also of flows that the call shares with others.
    pub drops: &'a DropTable,
    /// What the monitor missed.
    pub capture: &'a CaptureFacts,
    /// Several users of who makes the call are refused, and hardly any is let in.
    pub caller_probes: bool,
    /// Nothing more will be seen: what was kept back is told as far as it is known.
    pub over: bool,
    /// What [`CallFacts::unsteady_audio`] found: several diagnoses ask for it.
    pub(crate) unsteady_audio: OnceCell<Audio>,
}

impl CallFacts<'_> {
    /// The audio that is due both ways, hop by hop, as it stands now, or stood when the call ended; empty where all of it plainly
    /// flows.
    #[must_use]
    pub fn unsteady_audio(&self) -> &[AudioFlows] {
        self.unsteady_audio.get_or_init(|| {
            let media = &self.call.media;
            if media.plainly_flows(self.media, self.config, self.now) {
                return Audio::new();
            }
            media.flows(self.media, self.config, self.now)
        })
    }

    /// The signalling peer nearest to a side: the end of that hop that is not this host.
    #[must_use]
    pub fn peer(&self, side: Side) -> Option<core::net::SocketAddr> {
        let hops = &self.call.hops;
        let hop = match side {
            Side::Caller => hops.first()?,
            Side::Callee => hops.last()?,
        };
        Some(match (self.media.is_local(hop.a.ip()), self.media.is_local(hop.b.ip()), side) {
            (true, false, _) => hop.b,
            (false, true, _) | (_, _, Side::Caller) => hop.a,
            (_, _, Side::Callee) => hop.b,
        })
    }
}

/// What names a call in an alert, as sent: masking is done where the alert is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallIdentity<'a> {
    /// Call-ID header value.
    pub call_id: &'a str,
    /// URI of the From header of the first INVITE.
    pub from: &'a str,
    /// URI of the To header of the first INVITE.
    pub to: &'a str,
    /// Tag of the caller.
    pub from_tag: Option<&'a str>,
    /// Tag of the callee in the dialog that matters most: the confirmed one, else the last.
    pub to_tag: Option<&'a str>,
    /// CSeq number of the initial INVITE.
    pub cseq: Option<u32>,
    /// State now.
    pub state: CallState,
    /// First 2xx to the initial INVITE.
    pub answered_at: Option<Timestamp>,
    /// BYE, final refusal, or time-out.
    pub ended_at: Option<Timestamp>,
    /// Interface of its first message ([`crate::packet::Packet::link`]).
    pub link: Option<u16>,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: &'static str,
}

/// What a diagnosis about the host may look at.
pub struct HostFacts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Settings.
    pub config: &'a EngineConfig,
    /// For the names of trunks.
    pub peers: &'a PeerTable,
    /// What the monitor missed.
    pub capture: &'a CaptureFacts,
}

/// What the monitor itself missed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaptureFacts {
    /// Totals since start.
    pub lost: crate::packet::CaptureLoss,
    /// First and last loss.
    pub first_lost_at: Option<Timestamp>,
    /// Last loss.
    pub last_lost_at: Option<Timestamp>,
    /// Last report of what the kernel dropped that was lost.
    pub drops_untold_at: Option<Timestamp>,
    /// Last message that the capture file holds too little of to know what it was.
    pub cut_at: Option<Timestamp>,
    /// The capture file holds one direction of signalling only.
    pub half_seen: bool,
}

impl CaptureFacts {
    /// What was lost last may have been lost until now.
    pub(crate) fn goes_on(&mut self, now: Timestamp) {
        let last = self.last_lost_at.max(self.drops_untold_at);
        for at in [&mut self.last_lost_at, &mut self.drops_untold_at] {
            if *at == last {
                *at = at.map(|at| at.max(now));
            }
        }
    }

    /// Whether the kernel may have dropped something at or after `since` without its report coming through: that it told of nothing
    /// proves nothing.
    #[must_use]
    pub fn drops_untold_since(&self, since: Timestamp) -> bool {
        self.drops_untold_at.is_some_and(|at| at >= since)
    }

    /// Whether the monitor lost signalling or media records at or after `since`.
    #[must_use]
    pub fn lost_since(&self, since: Timestamp) -> bool {
        self.last_lost_at.is_some_and(|t| t >= since)
    }

    /// Whether something was missed at or after `since`: absence since then proves nothing.
    #[must_use]
    pub fn missed_since(&self, since: Timestamp) -> bool {
        self.half_seen || self.last_lost_at.max(self.cut_at).is_some_and(|t| t >= since)
    }
}

/// The verdict of one diagnosis about one subject. Texts and evidence carry values as sent; they are masked later.
///
/// Write it as `Finding { summary: ..., ..Finding::new("contact-private", Severity::Warning, Confidence::Likely) }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Name of the cause, or [`UNKNOWN`].
    pub cause: &'static str,
    /// Severity before weakening: a finding that is only `possible` leaves as `info`.
    pub severity: Severity,
    /// Confidence before weakening.
    pub confidence: Confidence,
    /// Where the verdict rests on something not having been seen: since when it was looked for. If the monitor lost packets
    /// since then, the verdict leaves as `possible`.
    pub rests_on_absence_since: Option<Timestamp>,
    /// Where it rests on this host's kernel not having dropped something: since when. If reports of its drops were lost since
    /// then, the verdict leaves as `possible`.
    pub rests_on_no_drop_since: Option<Timestamp>,
    /// Where the fault is; left out where nothing tells.
    pub fault: Option<Fault>,
    /// One true sentence.
    pub summary: String,
    /// What to do, with the values.
    pub remedy: String,
    /// What proves it, in a fixed order.
    pub evidence: Vec<(&'static str, Value)>,
    /// The peer it is about: `None` where there is none.
    pub peer: Option<core::net::SocketAddr>,
    /// Who cannot hear whom, for one-way conditions: the side that does not hear.
    pub deaf: Option<Side>,
    /// The request concerned, where it is not the initial INVITE.
    pub request: Option<RequestName>,
    /// Tag of the callee in the dialog concerned, where it is not the call's main one.
    pub to_tag: Option<String>,
    /// Codes of alerts of the same subject that this one explains or is explained by.
    pub links: Vec<&'static str>,
    /// The calls that prove it, where it is about several: how many, and some of them.
    pub calls: Option<ProvenBy>,
    /// What tells it from others of the same code, cause and peer: an address of record, a number. `None` where all of one
    /// code, cause and peer are one alert.
    pub identity: Option<String>,
    /// Where many of one code and cause, whatever their identity, are one alert; what tells more stands first.
    pub crowds: Vec<Crowd>,
}

/// Where registrations of which one thing is wrong gather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// They come from one address: an office, a trunk.
    From(core::net::IpAddr),
    /// They go to one registrar.
    To(core::net::IpAddr),
}

/// The calls that prove a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenBy {
    /// How many in the window.
    pub count: u64,
    /// Call-IDs of some.
    pub sample_call_ids: Vec<String>,
}

/// Cause of a finding whose reason the evidence does not tell.
pub const UNKNOWN: &str = "unknown";

impl Finding {
    /// A finding that says nothing but its cause yet.
    #[must_use]
    pub const fn new(cause: &'static str, severity: Severity, confidence: Confidence) -> Self {
        Self {
            cause,
            severity,
            confidence,
            rests_on_absence_since: None,
            rests_on_no_drop_since: None,
            fault: None,
            summary: String::new(),
            remedy: String::new(),
            evidence: Vec::new(),
            peer: None,
            deaf: None,
            request: None,
            to_tag: None,
            links: Vec::new(),
            calls: None,
            identity: None,
            crowds: Vec::new(),
        }
    }
}

/// Names a request within a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestName {
    /// CSeq number.
    pub cseq: u32,
    /// Method.
    pub method: Cow<'static, str>,
}

/// A value of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A measure, its unit in the key.
    Number(f64),
    /// A name, an address, a header as sent.
    Text(Cow<'static, str>),
    /// Yes or no.
    Flag(bool),
    /// Several.
    List(Vec<Value>),
}

impl From<u64> for Value {
    fn from(v: u64) -> Self {
        Self::Count(v)
    }
}
impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Self::Count(v.into())
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Number(v)
    }
}
impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Flag(v)
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Self::Text(v.into())
    }
}
impl From<&'static str> for Value {
    fn from(v: &'static str) -> Self {
        Self::Text(v.into())
    }
}
impl From<core::net::SocketAddr> for Value {
    fn from(v: core::net::SocketAddr) -> Self {
        Self::Text(v.to_string().into())
    }
}
