//! Packets that this host's kernel dropped, whatever call they belong to: summed by reason, way and place (a SIP port, or
//! all media or all RTCP of an address). Facts without opinion, bounded; an entry is forgotten when nothing was added to it for a
//! while.

mod table;

use core::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use crate::call::CallKey;
use crate::packet::{Direction, DropReason, DroppedSegment, DroppedTraffic};
use crate::text::StoredText;
use crate::time::Timestamp;

pub use table::DropTable;

/// Flows kept of one entry.
pub const FLOWS_KEPT: usize = 32;
/// Calls remembered of one flow, so that their alerts can be looked up.
const CALLS_OF_FLOW: usize = 16;
/// Places to note when a flow of an address was left out, by a hash of the address.
const LEFT_OUT_SLOTS: usize = 256;
/// Call-IDs kept of one entry.
const SAMPLES: usize = 5;

/// Identity of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DropsKey {
    /// What was dropped.
    pub traffic: DroppedTraffic,
    /// It came over TCP.
    pub tcp: bool,
    /// The end that is this host. The port is 0 for media, and where the other end is the SIP port: those are many.
    pub local: SocketAddr,
    /// Whether it was arriving or leaving.
    pub direction: Direction,
    /// Why.
    pub reason: DropReason,
}

/// What was dropped at one place for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalDrops {
    /// Its identity.
    pub key: DropsKey,
    /// First packet.
    pub first_at: Timestamp,
    /// Last packet.
    pub last_at: Timestamp,
    /// By flow, in the order they were first hit; at most [`FLOWS_KEPT`].
    pub flows: SmallVec<[DroppedFlow; 1]>,
    /// Reports about flows that found no room.
    pub reports_left_out: u64,
    /// The last packet of flows that found no room or had to go, by a hash of the address that is not this host: who shares the
    /// place of another shares the doubt.
    left_out: Option<Box<[Timestamp; LEFT_OUT_SLOTS]>>,
    /// Calls that use the flows: how many were noted, and some of their Call-IDs.
    pub calls: u64,
    /// See `calls`.
    pub samples: SmallVec<[StoredText; 1]>,
    judged_at: Timestamp,
}

/// Packets of one flow, dropped for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct DroppedFlow {
    /// Source.
    pub src: SocketAddr,
    /// Destination.
    pub dst: SocketAddr,
    /// The kernel's name of the reason.
    pub name: &'static str,
    /// Which segments of TCP they are.
    pub segment: Option<DroppedSegment>,
    /// Packets, over all runs.
    pub packets: u64,
    /// First of them.
    pub first_at: Timestamp,
    /// Last of them.
    pub last_at: Timestamp,
    /// Packets of the present run, and its first.
    run: (u64, Timestamp),
    /// Somebody this host knows, or a call, has to do with it: others make room for it.
    is_missed: bool,
    /// The calls that used it last.
    pub(crate) calls: SmallVec<[CallKey; 2]>,
    /// How it stood when it was last looked at.
    pub standing: Standing,
}

/// What else is known of a flow of which packets are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// The other end is no stranger: a configured trunk, or somebody with whom calls or registrations succeeded, or whom this
    /// host calls itself.
    pub is_known: bool,
    /// The other end was heard here before: what is sent to it may be an answer.
    pub asked_first: bool,
    /// Another alert tells of it, up to then.
    pub explained_until: Option<Timestamp>,
    /// Of media: a call takes it.
    pub has_call: bool,
    /// Of media: which part of the stream is dropped, 0 to 1; `None` where the stream is not known.
    pub share: Option<f64>,
    /// Of media: the stream was dropped from its first packets on.
    pub from_the_start: bool,
}

impl DroppedFlow {
    /// The end that is not this host.
    #[must_use]
    pub fn remote(&self, direction: Direction) -> IpAddr {
        if direction == Direction::Out { self.dst.ip() } else { self.src.ip() }
    }

    /// The end that is this host.
    #[must_use]
    pub const fn local(&self, direction: Direction) -> SocketAddr {
        match direction {
            Direction::Out => self.src,
            Direction::In | Direction::Transit => self.dst,
        }
    }
}
