//! Peers: who this host exchanges signalling with, by address or as a configured trunk, and what is measured of each.
//! Facts without opinion.
//!
//! [`table`] holds them, [`observe`] counts what a call, a ping or a registration does at them, the rest is one measure a
//! file. [`flow`] finds the calls that an ICMP error concerns.

mod flow;
mod histogram;
mod leg;
mod limit;
mod measures;
mod meter;
mod observe;
mod patterns;
mod pings;
mod repeats;
mod report;
mod setups;
mod table;
mod talks;
#[cfg(test)]
mod tests;
mod trunk;
mod voice;
mod window;

pub use flow::FlowIndex;
pub use histogram::Histogram;
pub use leg::{Leg, LegRole};
pub use limit::{LimitKind, LimitSeen};
pub use measures::{Measured, Measures};
pub use meter::Meter;
pub(crate) use observe::{Novelty, Touched};
pub use patterns::{Common, Departure, Patterns};
pub use pings::{PingEnd, Pings};
pub use repeats::{Counts, RepeatCause, RepeatShare};
pub(crate) use report::Reports;
pub use setups::{Setup, SetupDelay, Setups};
pub use table::{Peer, PeerKey, PeerTable};
pub use talks::{Alike, Talk, Talks};
pub use trunk::{Prefix, PrefixError, Trunk};
pub use voice::Voice;
pub use window::{ABANDONED, Ends, Window};
