//! SIP messages: bytes in, borrowed view out (RFC 3261 7, 25).
//!
//! A monitor must read what stacks reject, so nothing here gives up a message for one bad header: what could be read is
//! returned, what was wrong stands beside it as a [`Fault`]. [`Message::parse`] finds the start line and the ranges of
//! the headers; values are read when they are asked for. No state, no allocation for usual messages, no demand for UTF-8.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accessors;
mod auth;
mod body;
mod check;
mod fault;
mod framing;
mod header;
mod message;
mod method;
mod name_addr;
mod scan;
mod start_line;
mod uri;
mod values;
mod via;

pub use auth::Auth;
pub use body::{ContentType, Part};
pub use fault::{Fault, FaultSet};
pub use framing::{Framing, MAX_BODY_BYTES, MAX_HEAD_BYTES, frame};
pub use header::HeaderName;
pub use message::{Message, NotSip};
pub use method::Method;
pub use name_addr::{Contact, NameAddr};
pub use scan::{Params, Values, eq_ignoring_folds};
pub use start_line::StartLine;
pub use uri::{Host, HostPort, Uri};
pub use values::{CSeq, RAck, Reason, Refresher, Replaces, SessionExpires, SessionId, SubscriptionState, Warning};
pub use via::Via;

#[cfg(test)]
mod tests;
