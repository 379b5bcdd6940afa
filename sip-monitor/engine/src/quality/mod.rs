//! How good audio is: what an interval of a stream lost and how it jittered, and what the E-model makes of that. Numbers
//! without opinion: which of them is worth an alert is for the catalogue.
//!
//! Two witnesses tell of a stream, and both are cut into intervals of 10 s: the packets that were counted here, and the
//! reports of its receiver (RTCP), which tell what became of it behind this host.

mod codec;
mod emodel;
mod history;
mod interval;
mod meter;
mod reports;

pub use codec::{Band, CodecQuality, codec_quality};
pub use emodel::{Conditions, Score};
pub use history::History;
pub use interval::Interval;
pub use meter::Meter;
pub use reports::ReportMeter;

use core::time::Duration;

/// Length of an interval.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Fewer packets than this in an interval say nothing of it: silence suppression, or a capture that was thinned out.
pub const MIN_PACKETS: u64 = 50;
/// The jitter buffer that a receiver is taken to have (the catalogue's assumption), milliseconds.
pub const BUFFER_MS: f64 = 60.0;
/// Packetisation and look-ahead, milliseconds: one packet of 20 ms.
pub const PACKETISATION_MS: f64 = 20.0;
