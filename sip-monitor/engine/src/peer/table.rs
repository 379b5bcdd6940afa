//! All peers, found by address or by the trunk that the address belongs to. Bounded: a new one takes the place of the one
//! that was silent longest.

use core::net::{IpAddr, SocketAddr};

use super::Trunk;
use crate::config::EngineConfig;

/// Identity of a peer inside the engine: a slot and how often it was used, so that a stale key finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// Slot in the table.
    pub slot: u32,
    /// Use of the slot.
    pub generation: u32,
}

/// Who this host exchanges signalling with: an address, or a configured trunk with all of its addresses.
#[derive(Debug)]
pub struct Peer {
    /// Address and port as last seen.
    pub addr: SocketAddr,
    /// Index of its trunk in the configuration.
    pub trunk: Option<u16>,
}

/// Every peer.
#[derive(Debug)]
pub struct PeerTable {
    trunks: Vec<Trunk>,
    /// Addresses that a domain assigned to a trunk.
    learned: Vec<(IpAddr, u16)>,
}

impl PeerTable {
    /// One with the configured trunks and nothing seen.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        Self { trunks: config.trunks.clone(), learned: Vec::new() }
    }

    /// The configured trunk of an address.
    #[must_use]
    pub fn trunk_of(&self, addr: SocketAddr) -> Option<&Trunk> {
        let by_address = self.trunks.iter().find(|trunk| trunk.holds(addr));
        let by_domain = || {
            let (_, index) = self.learned.iter().find(|(ip, _)| *ip == addr.ip())?;
            self.trunks.get(usize::from(*index))
        };
        by_address.or_else(by_domain)
    }
}
