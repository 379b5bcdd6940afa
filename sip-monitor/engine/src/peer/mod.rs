//! Peers: who this host exchanges signalling with, by address or as a configured trunk, and what is measured of each.
//! Facts without opinion.

mod flow;
mod table;
mod trunk;

pub use flow::FlowIndex;
pub use table::{Peer, PeerKey, PeerTable};
pub use trunk::{Prefix, PrefixError, Trunk};
