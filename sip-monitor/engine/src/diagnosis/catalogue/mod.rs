//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.

use super::Diagnosis;

pub mod auth_failed;
pub mod blocked_rtp;
pub mod capture_loss;
pub mod codec_mismatch;
pub mod destination_forbidden;
pub mod dropped_after_30s;
pub mod excess_retransmission;
pub mod failure_pattern;
pub mod fixed_duration_drops;
pub mod identity_refused;
pub mod invalid_caller_id;
pub mod invalid_number;
pub mod invite_flood;
pub mod low_success_rate;
pub mod no_ack;
pub mod one_way_audio;
pub mod peer_unavailable;
pub mod registration_expired;
pub mod registration_failed;
pub mod registration_flapping;
pub mod registration_nat;
pub mod scan;
pub mod slow_setup;
pub mod trunk_down;
pub mod trunk_limit;

/// Every diagnosis, sorted by code.
#[rustfmt::skip]
pub const ALL: &[&Diagnosis] = &[
    &auth_failed::DIAGNOSIS,
    &blocked_rtp::DIAGNOSIS,
    &capture_loss::DIAGNOSIS,
    &codec_mismatch::DIAGNOSIS,
    &destination_forbidden::DIAGNOSIS,
    &dropped_after_30s::DIAGNOSIS,
    &excess_retransmission::DIAGNOSIS,
    &failure_pattern::DIAGNOSIS,
    &fixed_duration_drops::DIAGNOSIS,
    &identity_refused::DIAGNOSIS,
    &invalid_caller_id::DIAGNOSIS,
    &invalid_number::DIAGNOSIS,
    &invite_flood::DIAGNOSIS,
    &low_success_rate::DIAGNOSIS,
    &no_ack::DIAGNOSIS,
    &one_way_audio::DIAGNOSIS,
    &peer_unavailable::DIAGNOSIS,
    &registration_expired::DIAGNOSIS,
    &registration_failed::DIAGNOSIS,
    &registration_flapping::DIAGNOSIS,
    &registration_nat::DIAGNOSIS,
    &scan::DIAGNOSIS,
    &slow_setup::DIAGNOSIS,
    &trunk_down::DIAGNOSIS,
    &trunk_limit::DIAGNOSIS,
];

/// The files they stand in, in the same order.
#[rustfmt::skip]
const SOURCES: &[&str] = &[
    include_str!("auth_failed.rs"),
    include_str!("blocked_rtp.rs"),
    include_str!("capture_loss.rs"),
    include_str!("codec_mismatch.rs"),
    include_str!("destination_forbidden.rs"),
    include_str!("dropped_after_30s.rs"),
    include_str!("excess_retransmission.rs"),
    include_str!("failure_pattern.rs"),
    include_str!("fixed_duration_drops.rs"),
    include_str!("identity_refused.rs"),
    include_str!("invalid_caller_id.rs"),
    include_str!("invalid_number.rs"),
    include_str!("invite_flood.rs"),
    include_str!("low_success_rate.rs"),
    include_str!("no_ack.rs"),
    include_str!("one_way_audio.rs"),
    include_str!("peer_unavailable.rs"),
    include_str!("registration_expired.rs"),
    include_str!("registration_failed.rs"),
    include_str!("registration_flapping.rs"),
    include_str!("registration_nat.rs"),
    include_str!("scan.rs"),
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
