//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.

use super::Diagnosis;

pub mod blocked_rtp;
pub mod cancel_ignored;
pub mod capture_loss;
pub mod dropped_after_30s;
pub mod glare;
pub mod hold_abandoned;
pub mod no_ack;
pub mod one_way_audio;
pub mod prack_missing;
pub mod request_unanswered;
pub mod routing_loop;
pub mod session_interval_too_small;
pub mod session_timer_expired;
pub mod teardown_failed;
pub mod transfer_failed;

/// Every diagnosis, sorted by code.
#[rustfmt::skip]
pub const ALL: &[&Diagnosis] = &[
    &blocked_rtp::DIAGNOSIS,
    &cancel_ignored::DIAGNOSIS,
    &capture_loss::DIAGNOSIS,
    &dropped_after_30s::DIAGNOSIS,
    &glare::DIAGNOSIS,
    &hold_abandoned::DIAGNOSIS,
    &no_ack::DIAGNOSIS,
    &one_way_audio::DIAGNOSIS,
    &prack_missing::DIAGNOSIS,
    &request_unanswered::DIAGNOSIS,
    &routing_loop::DIAGNOSIS,
    &session_interval_too_small::DIAGNOSIS,
    &session_timer_expired::DIAGNOSIS,
    &teardown_failed::DIAGNOSIS,
    &transfer_failed::DIAGNOSIS,
];

/// The files they stand in, in the same order.
#[rustfmt::skip]
const SOURCES: &[&str] = &[
    include_str!("blocked_rtp.rs"),
    include_str!("cancel_ignored.rs"),
    include_str!("capture_loss.rs"),
    include_str!("dropped_after_30s.rs"),
    include_str!("glare.rs"),
    include_str!("hold_abandoned.rs"),
    include_str!("no_ack.rs"),
    include_str!("one_way_audio.rs"),
    include_str!("prack_missing.rs"),
    include_str!("request_unanswered.rs"),
    include_str!("routing_loop.rs"),
    include_str!("session_interval_too_small.rs"),
    include_str!("session_timer_expired.rs"),
    include_str!("teardown_failed.rs"),
    include_str!("transfer_failed.rs"),
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
