//! From the kernel's numbers of a stream to the engine's.

use std::net::SocketAddr;

use sip_monitor_common::StreamRecord;
use sip_monitor_engine::{
    Timestamp,
    packet::{Direction, Jitter, StreamCounters, StreamKey},
};

use super::decode::address;

// Both sides keep the same estimates; the engine must not depend on the kernel's crate, so the list stands twice.
const _: () = {
    let (ours, theirs) = (sip_monitor_common::stream::CLOCK_RATES_HZ, sip_monitor_engine::packet::CLOCK_RATES_HZ);
    assert!(ours.len() == theirs.len());
    let mut i = 0;
    while i < ours.len() {
        assert!(ours[i] == theirs[i]);
        i += 1;
    }
};

/// Translates a report.
pub(super) fn stream_counters(
    record: &StreamRecord,
    direction: Direction,
    real_time: impl Fn(u64) -> Timestamp,
) -> StreamCounters {
    let (key, state) = (&record.key, &record.state);
    StreamCounters {
        key: StreamKey {
            src: SocketAddr::new(address(key.src), key.src_port),
            dst: SocketAddr::new(address(key.dst), key.dst_port),
            ssrc: key.ssrc,
            direction,
        },
        first_at: real_time(state.first_ns),
        last_at: real_time(state.last_ns),
        in_sequence: state.in_sequence == 1,
        packets: state.packets,
        bytes: state.bytes,
        expected: state.expected(),
        lost: state.lost(),
        late: state.late,
        duplicates: state.duplicates,
        loss_runs: state.loss_runs,
        restarts: state.restarts,
        gap_max_ns: state.gap_max_ns,
        jitter: std::array::from_fn(|slot| {
            let jitter = state.jitter[slot];
            Jitter {
                last_ns: jitter.last_ns,
                max_ns: jitter.max_ns,
                sum_ns: jitter.sum_ns,
                samples: state.samples(slot),
            }
        }),
        first_rtp_timestamp: state.first_rtp_timestamp,
        rtp_timestamp_units: state.rtp_timestamp_units,
        payload_type: state.payload_type,
        payload_types: state.payload_types,
        ttl_min: state.ttl_min,
        ttl_max: state.ttl_max,
        dscp: state.dscp,
        same_payload: state.same_payload,
        type_run: state.type_run,
        events: state.events,
        events_ended: state.events_ended,
        payload_bytes: state.payload_bytes,
        last_sequence: state.last_sequence,
    }
}
