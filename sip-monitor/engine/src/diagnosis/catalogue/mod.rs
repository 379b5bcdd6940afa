//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.

use super::Diagnosis;

pub mod abrupt_disconnect;
pub mod alg_suspected;
pub mod auth_failed;
pub mod blocked_rtp;
pub mod cancel_ignored;
pub mod capture_loss;
pub mod codec_mismatch;
pub mod dead_air;
pub mod destination_forbidden;
pub mod dropped_after_30s;
pub mod dtmf_mismatch;
pub mod early_media_missing;
pub mod excess_retransmission;
pub mod failure_pattern;
pub mod fixed_duration_drops;
pub mod fragment_loss;
pub mod glare;
pub mod hold_abandoned;
pub mod identity_refused;
pub mod invalid_caller_id;
pub mod invalid_number;
pub mod invite_flood;
pub mod low_mos;
pub mod low_success_rate;
pub mod malformed_sip;
pub mod media_after_bye;
pub mod no_ack;
pub mod one_way_audio;
pub mod oversized_udp;
pub mod packets_dropped_locally;
pub mod payload_unnegotiated;
pub mod peer_unavailable;
pub mod prack_missing;
pub mod qos_unmarked;
pub mod registration_expired;
pub mod registration_failed;
pub mod registration_flapping;
pub mod registration_nat;
pub mod request_unanswered;
pub mod routing_loop;
pub mod rtcp_missing;
pub mod rtp_jitter;
pub mod rtp_loss;
pub mod rtp_source_mismatch;
pub mod scan;
pub mod session_interval_too_small;
pub mod session_timer_expired;
pub mod slow_setup;
pub mod srtp_mismatch;
pub mod stream_restart;
pub mod t38_failed;
pub mod tcp_failed;
pub mod teardown_failed;
pub mod tls_failed;
pub mod transfer_failed;
pub mod trunk_down;
pub mod trunk_limit;
pub mod zombie_call;

/// Every diagnosis, sorted by code.
#[rustfmt::skip]
pub const ALL: &[&Diagnosis] = &[
    &abrupt_disconnect::DIAGNOSIS,
    &alg_suspected::DIAGNOSIS,
    &auth_failed::DIAGNOSIS,
    &blocked_rtp::DIAGNOSIS,
    &cancel_ignored::DIAGNOSIS,
    &capture_loss::DIAGNOSIS,
    &codec_mismatch::DIAGNOSIS,
    &dead_air::DIAGNOSIS,
    &destination_forbidden::DIAGNOSIS,
    &dropped_after_30s::DIAGNOSIS,
    &dtmf_mismatch::DIAGNOSIS,
    &early_media_missing::DIAGNOSIS,
    &excess_retransmission::DIAGNOSIS,
    &failure_pattern::DIAGNOSIS,
    &fixed_duration_drops::DIAGNOSIS,
    &fragment_loss::DIAGNOSIS,
    &glare::DIAGNOSIS,
    &hold_abandoned::DIAGNOSIS,
    &identity_refused::DIAGNOSIS,
    &invalid_caller_id::DIAGNOSIS,
    &invalid_number::DIAGNOSIS,
    &invite_flood::DIAGNOSIS,
    &low_mos::DIAGNOSIS,
    &low_success_rate::DIAGNOSIS,
    &malformed_sip::DIAGNOSIS,
    &media_after_bye::DIAGNOSIS,
    &no_ack::DIAGNOSIS,
    &one_way_audio::DIAGNOSIS,
    &oversized_udp::DIAGNOSIS,
    &packets_dropped_locally::DIAGNOSIS,
    &payload_unnegotiated::DIAGNOSIS,
    &peer_unavailable::DIAGNOSIS,
    &prack_missing::DIAGNOSIS,
    &qos_unmarked::DIAGNOSIS,
    &registration_expired::DIAGNOSIS,
    &registration_failed::DIAGNOSIS,
    &registration_flapping::DIAGNOSIS,
    &registration_nat::DIAGNOSIS,
    &request_unanswered::DIAGNOSIS,
    &routing_loop::DIAGNOSIS,
    &rtcp_missing::DIAGNOSIS,
    &rtp_jitter::DIAGNOSIS,
    &rtp_loss::DIAGNOSIS,
    &rtp_source_mismatch::DIAGNOSIS,
    &scan::DIAGNOSIS,
    &session_interval_too_small::DIAGNOSIS,
    &session_timer_expired::DIAGNOSIS,
    &slow_setup::DIAGNOSIS,
    &srtp_mismatch::DIAGNOSIS,
    &stream_restart::DIAGNOSIS,
    &t38_failed::DIAGNOSIS,
    &tcp_failed::DIAGNOSIS,
    &teardown_failed::DIAGNOSIS,
    &tls_failed::DIAGNOSIS,
    &transfer_failed::DIAGNOSIS,
    &trunk_down::DIAGNOSIS,
    &trunk_limit::DIAGNOSIS,
    &zombie_call::DIAGNOSIS,
];

/// The files they stand in, in the same order.
#[rustfmt::skip]
const SOURCES: &[&str] = &[
    include_str!("abrupt_disconnect.rs"),
    include_str!("alg_suspected.rs"),
    include_str!("auth_failed.rs"),
    include_str!("blocked_rtp.rs"),
    include_str!("cancel_ignored.rs"),
    include_str!("capture_loss.rs"),
    include_str!("codec_mismatch.rs"),
    include_str!("dead_air.rs"),
    include_str!("destination_forbidden.rs"),
    include_str!("dropped_after_30s.rs"),
    include_str!("dtmf_mismatch.rs"),
    include_str!("early_media_missing.rs"),
    include_str!("excess_retransmission.rs"),
    include_str!("failure_pattern.rs"),
    include_str!("fixed_duration_drops.rs"),
    include_str!("fragment_loss.rs"),
    include_str!("glare.rs"),
    include_str!("hold_abandoned.rs"),
    include_str!("identity_refused.rs"),
    include_str!("invalid_caller_id.rs"),
    include_str!("invalid_number.rs"),
    include_str!("invite_flood.rs"),
    include_str!("low_mos.rs"),
    include_str!("low_success_rate.rs"),
    include_str!("malformed_sip.rs"),
    include_str!("media_after_bye.rs"),
    include_str!("no_ack.rs"),
    include_str!("one_way_audio.rs"),
    include_str!("oversized_udp.rs"),
    include_str!("packets_dropped_locally.rs"),
    include_str!("payload_unnegotiated.rs"),
    include_str!("peer_unavailable.rs"),
    include_str!("prack_missing.rs"),
    include_str!("qos_unmarked.rs"),
    include_str!("registration_expired.rs"),
    include_str!("registration_failed.rs"),
    include_str!("registration_flapping.rs"),
    include_str!("registration_nat.rs"),
    include_str!("request_unanswered.rs"),
    include_str!("routing_loop.rs"),
    include_str!("rtcp_missing.rs"),
    include_str!("rtp_jitter.rs"),
    include_str!("rtp_loss.rs"),
    include_str!("rtp_source_mismatch.rs"),
    include_str!("scan.rs"),
    include_str!("session_interval_too_small.rs"),
    include_str!("session_timer_expired.rs"),
    include_str!("slow_setup.rs"),
    include_str!("srtp_mismatch.rs"),
    include_str!("stream_restart.rs"),
    include_str!("t38_failed.rs"),
    include_str!("tcp_failed.rs"),
    include_str!("teardown_failed.rs"),
    include_str!("tls_failed.rs"),
    include_str!("transfer_failed.rs"),
    include_str!("trunk_down.rs"),
    include_str!("trunk_limit.rs"),
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
