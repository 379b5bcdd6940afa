//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.

use super::Diagnosis;

pub mod blocked_rtp;
pub mod capture_loss;
pub mod dropped_after_30s;
pub mod low_mos;
pub mod no_ack;
pub mod one_way_audio;
pub mod rtp_jitter;
pub mod rtp_loss;

/// Every diagnosis, sorted by code.
#[rustfmt::skip]
pub const ALL: &[&Diagnosis] = &[
    &blocked_rtp::DIAGNOSIS,
    &capture_loss::DIAGNOSIS,
    &dropped_after_30s::DIAGNOSIS,
    &low_mos::DIAGNOSIS,
    &no_ack::DIAGNOSIS,
    &one_way_audio::DIAGNOSIS,
    &rtp_jitter::DIAGNOSIS,
    &rtp_loss::DIAGNOSIS,
];

/// The files they stand in, in the same order.
#[rustfmt::skip]
const SOURCES: &[&str] = &[
    include_str!("blocked_rtp.rs"),
    include_str!("capture_loss.rs"),
    include_str!("dropped_after_30s.rs"),
    include_str!("low_mos.rs"),
    include_str!("no_ack.rs"),
    include_str!("one_way_audio.rs"),
    include_str!("rtp_jitter.rs"),
    include_str!("rtp_loss.rs"),
];

/// The diagnosis of that code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Diagnosis> {
    ALL.iter().copied().find(|d| d.code == code)
}

/// The source file of the diagnosis of that code.
pub(super) fn source(code: &str) -> Option<&'static str> {
    let index = ALL.iter().position(|d| d.code == code)?;
    SOURCES.get(index).copied()
}
