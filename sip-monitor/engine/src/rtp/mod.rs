//! RTP and RTCP: bytes in, borrowed view out (RFC 3550, 3551, 3611, 4585).
//!
//! Live RTP is counted in the kernel and never comes here; [`RtpHeader`] is for tests and tools. RTCP comes whole.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bytes;
mod header;
mod payload;
mod rtcp;
mod xr;

pub use header::RtpHeader;
pub use payload::{PayloadFormat, static_payload};
pub use rtcp::{NotRtcp, ReportBlock, ReportBlocks, Rtcp, RtcpPacket, SenderInfo};
pub use xr::{VoipMetrics, XrBlock, XrBlocks};

#[cfg(test)]
mod tests;
