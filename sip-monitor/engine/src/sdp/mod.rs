//! Session descriptions: bytes in, borrowed view out (RFC 8866, RFC 3264).
//!
//! A line scanner, not a validator: what cannot be read is counted ([`Sdp::junk_lines`]) and left out.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod attribute;
mod line;
mod media;
mod session;

pub use attribute::{Candidate, CandidateType, Codec, Crypto, Direction, Rtcp, T38};
pub use media::{Media, MediaKind, SdpAddress};
pub use session::{Group, NotSdp, Origin, Sdp};

#[cfg(test)]
mod tests;
