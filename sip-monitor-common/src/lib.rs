//! Bytes that cross the border between the kernel programs and the daemon, and the pure rules both sides must share:
//! how headers are read ([`ip`], [`link`], [`tunnel`]), what a packet is ([`classify`], [`content`]), how an RTP stream is counted
//! ([`stream`]), what a record looks like ([`record`]), what is counted ([`counter`]).
//!
//! No maps, no helpers, no allocation, no state: the kernel programs bring maps and rings, the daemon's replay brings a
//! hash map and a vector, and both call the functions here. That is why live capture and replay agree.
//!
//! What reads several fields fills a value the caller has made (`parse_into`): of a `Result` with a large value in it LLVM
//! leaves the fields of the error case undefined, spills them, and the verifier refuses the program ("R2 !read_ok").
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod classify;
pub mod content;
pub mod counter;
pub mod drops;
pub mod icmp;
pub mod ip;
pub mod limits;
pub mod link;
pub mod ports;
pub mod record;
pub mod rtp;
pub mod stream;
pub mod tunnel;
pub mod view;

pub use classify::{Class, Seen, classify};
pub use counter::Counter;
pub use ip::{Address, Fragment, IpHeader};
pub use ports::PortSet;
pub use record::{Direction, Kind, RecordHeader, StreamKey, StreamRecord};
pub use stream::{Report, RtpPacket, StreamState, account};
pub use view::PacketView;
