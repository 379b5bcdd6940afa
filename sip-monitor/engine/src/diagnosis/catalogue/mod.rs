//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.

use super::Diagnosis;

pub mod abrupt_disconnect;
pub mod blocked_rtp;
pub mod capture_loss;
pub mod dropped_after_30s;
pub mod early_media_missing;
pub mod media_after_bye;
pub mod no_ack;
pub mod one_way_audio;
pub mod zombie_call;

/// Every diagnosis, sorted by code.
#[rustfmt::skip]
pub const ALL: &[&Diagnosis] = &[
    &abrupt_disconnect::DIAGNOSIS,
    &blocked_rtp::DIAGNOSIS,
    &capture_loss::DIAGNOSIS,
    &dropped_after_30s::DIAGNOSIS,
    &early_media_missing::DIAGNOSIS,
    &media_after_bye::DIAGNOSIS,
    &no_ack::DIAGNOSIS,
    &one_way_audio::DIAGNOSIS,
    &zombie_call::DIAGNOSIS,
];

/// The files they stand in, in the same order.
#[rustfmt::skip]
const SOURCES: &[&str] = &[
    include_str!("abrupt_disconnect.rs"),
    include_str!("blocked_rtp.rs"),
    include_str!("capture_loss.rs"),
    include_str!("dropped_after_30s.rs"),
    include_str!("early_media_missing.rs"),
    include_str!("media_after_bye.rs"),
    include_str!("no_ack.rs"),
    include_str!("one_way_audio.rs"),
    include_str!("zombie_call.rs"),
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
