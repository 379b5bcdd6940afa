//! The way of a call's first INVITE: where it began, where it ended, and whether another call goes on from there.

use core::net::SocketAddr;

use smallvec::SmallVec;

use crate::call::Call;
use crate::packet::Direction;
use crate::time::Timestamp;

/// The way of the initial INVITE, and how long the call was up.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// First INVITE.
    pub invited_at: Timestamp,
    /// BYE, final refusal, or time-out.
    pub ended_at: Option<Timestamp>,
    /// Who sent it first.
    pub origin: Node,
    /// Who took it and did not relay it under the same Call-ID.
    pub ends: SmallVec<[Node; 2]>,
}

/// A host on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Its address there.
    pub addr: SocketAddr,
    /// It is this host, which may have several addresses.
    pub here: bool,
}

impl Node {
    /// Whether both are the same host.
    pub fn is(&self, other: &Self) -> bool {
        self.addr.ip() == other.addr.ip() || (self.here && other.here)
    }
}

impl Node {
    /// Who sent the initial INVITE of a call first; `None` where none was seen.
    pub fn origin_of(call: &Call) -> Option<Self> {
        let hop = call.invites().find_map(|invite| call.path(invite.path))?;
        Some(Self { addr: hop.src, here: hop.direction == Direction::Out })
    }
}

impl Way {
    /// `None` where no initial INVITE was seen.
    pub fn of(call: &Call) -> Option<Self> {
        let hops: SmallVec<[(Node, Node); 4]> = call
            .invites()
            .filter_map(|invite| call.path(invite.path))
            .map(|hop| {
                let from = Node { addr: hop.src, here: hop.direction == Direction::Out };
                (from, Node { addr: hop.dst, here: hop.direction == Direction::In })
            })
            .collect();
        let (origin, _) = *hops.first()?;
        let relays = |node: &Node| hops.iter().any(|(from, _)| from.is(node));
        let last = hops.len() - 1;
        // A relay that hands over to another process of its own host ends there all the same.
        let ends = hops.iter().enumerate().filter(|(index, (_, to))| *index == last || !relays(to));
        let mut kept: SmallVec<[Node; 2]> = SmallVec::new();
        for (_, (_, to)) in ends {
            if !kept.iter().any(|known| known.is(to)) {
                kept.push(*to);
            }
        }
        Some(Self { invited_at: call.invited_at?, ended_at: call.ended_at, origin, ends: kept })
    }

    /// Whether `later` may go on where this call ended: it leaves the host that this one entered, afterwards, while this one
    /// was up.
    pub fn leads_to(&self, later: &Self) -> bool {
        self.invited_at <= later.invited_at
            && self.ended_at.is_none_or(|at| at >= later.invited_at)
            && !self.origin.is(&later.origin)
            && self.ends.iter().any(|end| end.is(&later.origin))
    }

    /// Whether both came from one host.
    pub fn has_origin_of(&self, other: &Self) -> bool {
        self.origin.is(&other.origin)
    }

    /// Whether both entered one host at a time.
    pub fn meets(&self, other: &Self) -> bool {
        let (earlier, later) = if self.invited_at <= other.invited_at { (self, other) } else { (other, self) };
        earlier.ended_at.is_none_or(|at| at >= later.invited_at)
            && self.ends.iter().any(|end| other.ends.iter().any(|known| known.is(end)))
    }
}
