//! The hops of a call: pairs of addresses its signalling was seen between.

use core::net::SocketAddr;

use crate::packet::Direction;
use crate::tcp::BrokenConnection;
use crate::time::Timestamp;
use crate::transaction::Path;

/// Two addresses that exchanged messages of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Sender of the first message seen here.
    pub a: SocketAddr,
    /// Its receiver.
    pub b: SocketAddr,
    /// Which way the first message went, as seen from this host.
    pub direction: Direction,
    /// Interface of the first message ([`crate::packet::Packet::link`]).
    pub link: u16,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: &'static str,
    /// Last message from `a` to `b`.
    pub last_forward_at: Option<Timestamp>,
    /// Last message from `b` to `a`.
    pub last_back_at: Option<Timestamp>,
    /// What was last sent in vain on its connection, and when that was clear.
    pub broken: Option<Box<(Timestamp, BrokenConnection)>>,
}

impl Hop {
    /// Messages were seen both ways: what is absent here could have been seen.
    #[must_use]
    pub const fn both_ways(&self) -> bool {
        self.last_forward_at.is_some() && self.last_back_at.is_some()
    }
}

/// One direction of a [`Hop`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HopView {
    /// Sender.
    pub src: SocketAddr,
    /// Receiver.
    pub dst: SocketAddr,
    /// Which way, as seen from this host.
    pub direction: Direction,
    /// Last message this way.
    pub last_at: Option<Timestamp>,
    /// Last message the other way.
    pub last_back_at: Option<Timestamp>,
}

impl HopView {
    pub(crate) fn new(hop: &Hop, path: Path) -> Self {
        if path.reversed {
            let direction = hop.direction.opposite();
            Self { src: hop.b, dst: hop.a, direction, last_at: hop.last_back_at, last_back_at: hop.last_forward_at }
        } else {
            Self {
                src: hop.a,
                dst: hop.b,
                direction: hop.direction,
                last_at: hop.last_forward_at,
                last_back_at: hop.last_back_at,
            }
        }
    }
}
