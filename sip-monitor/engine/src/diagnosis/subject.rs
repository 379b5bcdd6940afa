//! What a verdict is about, and what a diagnosis about anything but a call may look at. [`super::CallFacts`] stands beside.

use core::net::IpAddr;

use super::{CallIdentity, CaptureFacts};
use crate::call::CallKey;
use crate::config::EngineConfig;
use crate::drops::{DropsKey, LocalDrops};
use crate::peer::{Peer, PeerKey, PeerTable};
use crate::registration::Binding;
use crate::source::Source;
use crate::time::Timestamp;
use crate::wire::{Wire, WireKey};

/// Who a verdict is about. All but the host come and go: whoever forgets one tells
/// [`AlertBook::forget`](crate::alert::AlertBook::forget).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// One call.
    Call(CallKey),
    /// One peer or trunk.
    Peer(PeerKey),
    /// One address of record, or one binding of it: the same number for the same one, given out by whoever keeps them.
    Registration(u64),
    /// One source address, friendly or not.
    Source(IpAddr),
    /// What is wrong with the way signalling travels to or from one address.
    Wire(WireKey),
    /// What this host's kernel drops at one place for one reason.
    Drops(DropsKey),
    /// This host. There is one.
    Host,
}

/// What a diagnosis about a peer may look at.
pub struct PeerFacts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Settings.
    pub config: &'a EngineConfig,
    /// What was measured of it.
    pub peer: &'a Peer,
    /// The call at which it is asked, where it is one.
    pub call: Option<CallIdentity<'a>>,
    /// The others, and the trunks.
    pub peers: &'a PeerTable,
    /// What the monitor missed.
    pub capture: &'a CaptureFacts,
}

/// What a diagnosis about a registration may look at.
pub struct RegistrationFacts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Settings.
    pub config: &'a EngineConfig,
    /// The registration.
    pub binding: &'a Binding,
    /// Its source scans, or did when it was refused: what becomes of single users is part of that.
    pub scanning: bool,
    /// A firewall rule of this host drops what its source sends or is answered, who was refused before and is no one known here.
    pub kept_out: bool,
    /// Nothing more will be seen: what was kept back is told as far as it is known.
    pub over: bool,
    /// For the name of the registrar's trunk.
    pub peers: &'a PeerTable,
    /// What the monitor missed.
    pub capture: &'a CaptureFacts,
}

/// What a diagnosis about one source address may look at.
pub struct SourceFacts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Settings.
    pub config: &'a EngineConfig,
    /// The source.
    pub source: &'a Source,
    /// For the name of its trunk.
    pub peers: &'a PeerTable,
    /// What the monitor missed.
    pub capture: &'a CaptureFacts,
}

/// What a diagnosis about the way of signalling may look at.
pub struct WireFacts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Settings.
    pub config: &'a EngineConfig,
    /// What was noted of one address about one topic.
    pub wire: &'a Wire,
    /// It is no stranger: a trunk, or somebody with whom calls, registrations or pings succeeded, or whom this host calls.
    pub is_known: bool,
    /// Who talks SIP to this host, and the trunks.
    pub peers: &'a PeerTable,
    /// What the monitor missed.
    pub capture: &'a CaptureFacts,
}

/// What a diagnosis about packets that this host's kernel drops may look at.
pub struct DropsFacts<'a> {
    /// The present.
    pub now: Timestamp,
    /// Settings.
    pub config: &'a EngineConfig,
    /// What was dropped at one place for one reason.
    pub drops: &'a LocalDrops,
    /// Who talks SIP to this host, and the trunks.
    pub peers: &'a PeerTable,
    /// What the monitor missed.
    pub capture: &'a CaptureFacts,
}
