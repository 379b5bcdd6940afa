//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.

use super::Diagnosis;

pub mod blocked_rtp;
pub mod capture_loss;
pub mod dropped_after_30s;
pub mod excess_retransmission;
pub mod failure_pattern;
pub mod fixed_duration_drops;
pub mod low_success_rate;
pub mod no_ack;
pub mod one_way_audio;
pub mod peer_unavailable;
pub mod slow_setup;
pub mod trunk_down;
pub mod trunk_limit;

/// Every diagnosis, sorted by code.
#[rustfmt::skip]
pub const ALL: &[&Diagnosis] = &[
    &blocked_rtp::DIAGNOSIS,
    &capture_loss::DIAGNOSIS,
    &dropped_after_30s::DIAGNOSIS,
    &excess_retransmission::DIAGNOSIS,
    &failure_pattern::DIAGNOSIS,
    &fixed_duration_drops::DIAGNOSIS,
    &low_success_rate::DIAGNOSIS,
    &no_ack::DIAGNOSIS,
    &one_way_audio::DIAGNOSIS,
    &peer_unavailable::DIAGNOSIS,
    &slow_setup::DIAGNOSIS,
    &trunk_down::DIAGNOSIS,
    &trunk_limit::DIAGNOSIS,
];

/// The files they stand in, in the same order.
#[rustfmt::skip]
const SOURCES: &[&str] = &[
    include_str!("blocked_rtp.rs"),
    include_str!("capture_loss.rs"),
    include_str!("dropped_after_30s.rs"),
    include_str!("excess_retransmission.rs"),
    include_str!("failure_pattern.rs"),
    include_str!("fixed_duration_drops.rs"),
    include_str!("low_success_rate.rs"),
    include_str!("no_ack.rs"),
    include_str!("one_way_audio.rs"),
    include_str!("peer_unavailable.rs"),
    include_str!("slow_setup.rs"),
    include_str!("trunk_down.rs"),
    include_str!("trunk_limit.rs"),
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
