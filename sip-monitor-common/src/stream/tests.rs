//! Counting, one rule of the RFCs at a time.

mod model;

use super::*;

const MS: u64 = 1_000_000;

/// A stream from (arrival in milliseconds, sequence, timestamp) and how often it reported.
fn stream(packets: impl IntoIterator<Item = (u64, u16, u32)>) -> (StreamState, usize) {
    of_types(packets.into_iter().map(|(at, sequence, timestamp)| (at, sequence, timestamp, 8)))
}

fn of_types(packets: impl IntoIterator<Item = (u64, u16, u32, u8)>) -> (StreamState, usize) {
    let (mut state, mut reports, mut begun) = (StreamState::default(), 0, false);
    for (at_ms, sequence, timestamp, payload_type) in packets {
        let packet = RtpPacket {
            time_ns: (1_000 + at_ms) * MS,
            bytes: 172,
            timestamp,
            fingerprint: u32::from(sequence),
            sequence,
            payload_bytes: 160,
            payload_type,
            ttl: 64,
            dscp: 46,
        };
        if begun {
            reports += usize::from(account(&mut state, &packet) == Report::Due);
        } else {
            start(&mut state, &packet);
            begun = true;
        }
    }
    (state, reports)
}

/// G.711 in 20 ms packets with these sequence numbers, each with the timestamp of its number, one every 20 ms.
fn sequences(numbers: impl IntoIterator<Item = u16>) -> StreamState {
    let paced = numbers.into_iter().zip(0..).map(|(s, n): (u16, u64)| (n * 20, s, u32::from(s).wrapping_mul(160)));
    stream(paced).0
}

fn counts(s: &StreamState) -> (u64, u64, u64, u64, u64, u32) {
    (s.packets, s.expected(), s.lost(), s.late, s.duplicates, s.restarts)
}

#[test]
fn a_clean_stream_has_no_loss_and_both_probation_packets_count() {
    let s = sequences(100..150);
    assert_eq!(counts(&s), (50, 50, 0, 0, 0, 0));
    assert_eq!((s.in_sequence, s.jitter_samples, s.jitter[0].max_ns), (1, 49, 0));
    assert_eq!(s.rtp_timestamp_units, 49 * 160);
}

#[test]
fn one_packet_is_no_stream_in_sequence() {
    let s = sequences([7]);
    assert_eq!((counts(&s), s.in_sequence), ((1, 1, 0, 0, 0, 0), 0));
}

#[test]
fn sequence_wraps_from_65535_to_0() {
    let s = sequences((65_530..=65_535).chain(0..10));
    assert_eq!(counts(&s), (16, 16, 0, 0, 0, 0));
}

#[test]
fn a_gap_is_loss_and_a_late_packet_heals_it() {
    assert_eq!(counts(&sequences([1, 2, 3, 6, 7])), (5, 7, 2, 0, 0, 0));
    assert_eq!(counts(&sequences([1, 2, 3, 6, 4, 7, 5])), (7, 7, 0, 2, 0, 0));
}

#[test]
fn a_packet_late_by_up_to_a_hundred_is_late_and_not_a_restart() {
    let numbers = (0..200).filter(|n| *n != 90).chain([90]);
    assert_eq!(counts(&sequences(numbers.clone())).3, 0, "109 behind is a stray");
    let numbers = (0..200).filter(|n| *n != 100).chain([100]);
    assert_eq!(counts(&sequences(numbers)), (200, 200, 0, 1, 0, 0));
}

#[test]
fn repeats_are_no_loss_and_no_lateness_wherever_in_the_window() {
    assert_eq!(counts(&sequences([1, 1, 2, 2, 3, 3])), (6, 3, 0, 0, 3, 0));
    let numbers = (0..120).chain([20, 119, 56, 57]);
    assert_eq!(counts(&sequences(numbers)), (124, 120, 0, 0, 4, 0));
}

#[test]
fn a_packet_before_the_first_widens_the_range() {
    assert_eq!(counts(&sequences([10, 9, 11, 12])), (4, 4, 0, 1, 0, 0));
    assert_eq!(counts(&sequences([0, 65_535, 1])), (3, 3, 0, 1, 0, 0));
}

#[test]
fn a_jump_is_a_restart_once_two_in_sequence_confirm_it() {
    let s = sequences((0..10).chain(30_000..30_010));
    assert_eq!(counts(&s), (20, 20, 0, 0, 0, 1));
    let stray = sequences((0..10).chain([30_000]).chain(10..20));
    assert_eq!(counts(&stray), (21, 20, 0, 0, 0, 0));
}

#[test]
fn a_jump_below_three_thousand_is_loss_and_above_is_none() {
    assert_eq!(sequences([0, 1, 3_000, 3_001]).lost(), 2_998);
    assert_eq!(sequences([0, 1, 3_002, 3_003]).lost(), 0);
}

#[test]
fn jitter_is_that_of_rfc_3550_for_the_rate_it_belongs_to() {
    // Every second packet 4 ms late: D is 4 ms each time, and J tends to it.
    let packets = (0..400_u64).map(|n| (n * 20 + n % 2 * 4, n as u16, n as u32 * 160));
    let (s, _) = of_types(packets.clone().map(|(at, sequence, timestamp)| (at, sequence, timestamp, 96)));
    let expected_ms = 4.0 * (1.0 - (15.0_f64 / 16.0).powi(399));
    assert!((f64::from(s.jitter[0].last_ns) / 1e6 - expected_ms).abs() < 0.001, "{}", s.jitter[0].last_ns);
    // At 16 kHz the same timestamps stand for 10 ms a packet: another number altogether.
    assert!(s.jitter[1].last_ns > 9 * MS as u32);
    // G.711 has its rate and no other.
    let (telephone, _) = stream(packets);
    assert_eq!((telephone.jitter[0], telephone.samples(1), telephone.jitter[1].last_ns), (s.jitter[0], 0, 0));
}

#[test]
fn neither_event_repeats_nor_comfort_noise_disturb_jitter() {
    let mut packets = Vec::new();
    let mut sequence = 0;
    let mut push = |packets: &mut Vec<_>, at: u64, timestamp: u32, payload_type: u8| {
        packets.push((at, sequence, timestamp, payload_type));
        sequence += 1;
    };
    for n in 0..50 {
        push(&mut packets, n * 20, n as u32 * 160, 8);
    }
    // A digit of 160 ms: all its packets carry its first instant, the last one three times.
    for n in 0..10 {
        push(&mut packets, 1_000 + n.min(8) * 20, 50 * 160, 101);
    }
    for n in 58..100 {
        push(&mut packets, n * 20, n as u32 * 160, 8);
    }
    // Comfort noise at odd times, then speech after a pause that the timestamps do not tell of.
    push(&mut packets, 2_013, 100 * 160, 13);
    for n in 0..50 {
        push(&mut packets, 9_000 + n * 20, 101 * 160 + n as u32 * 160, 8);
    }
    let (s, _) = of_types(packets);
    assert_eq!((s.jitter[0].max_ns, s.lost()), (0, 0));
    assert_eq!(s.gap_max_ns, (9_000 - 2_013) * MS);
}

#[test]
fn a_clock_that_jumps_keeps_the_estimate_in_range() {
    let (s, _) = stream([(0, 1, 0), (20, 2, 160), (40, 3, u32::MAX / 2), (60, 4, 17), (10_000_000, 5, 5)]);
    assert!(s.jitter.iter().all(|j| j.max_ns >= j.last_ns && j.sum_ns >= u64::from(j.last_ns)));
}

#[test]
fn times_without_sense_do_no_harm() {
    let mut state = StreamState::default();
    start(&mut state, &RtpPacket::default());
    for (sequence, time_ns) in (1..).zip([u64::MAX, 0, u64::MAX / 2, 1, i64::MAX as u64 + 1, 5]) {
        let timestamp = 0x8000_0000 ^ u32::from(sequence);
        account(&mut state, &RtpPacket { time_ns, sequence, timestamp, ..RtpPacket::default() });
    }
    assert_eq!(counts(&state).0, 7);
}

#[test]
fn it_reports_at_the_second_packet_then_once_a_second_and_at_a_new_payload_type() {
    let packets = (0..151_u64).map(|n| (n * 20, n as u16, n as u32 * 160));
    assert_eq!(stream(packets.clone()).1, 3, "at 0.02, 1.02 and 2.02 s");
    let mixed = packets.map(|(at, s, t)| (at, s, t, if s > 70 && s < 80 { 101 } else { 8 }));
    assert_eq!(of_types(mixed).1, 4, "also at the first event, not at every change back");
    assert_eq!(
        stream((0..100).map(|n| (n * 20, (n as u16).wrapping_mul(1_009), 0))).1,
        0,
        "a look-alike never reports"
    );
}

#[test]
fn a_constant_payload_is_counted() {
    let mut state = StreamState::default();
    let packet = RtpPacket { time_ns: 1, fingerprint: 9, ..RtpPacket::default() };
    start(&mut state, &packet);
    for sequence in 1..=30 {
        account(&mut state, &RtpPacket { sequence, ..packet });
    }
    assert_eq!(state.same_payload, 30);
    account(&mut state, &RtpPacket { sequence: 31, fingerprint: 8, ..packet });
    assert_eq!(state.same_payload, 0);
}

/// A packet of a telephone event (RFC 4733 2.3): its timestamp and whether its end bit is set.
fn event(sequence: u16, timestamp: u32, ends: bool) -> RtpPacket {
    let fingerprint = if ends { 0x008a_0140 } else { 0x000a_00a0 };
    RtpPacket { sequence, timestamp, fingerprint, payload_bytes: 4, payload_type: 101, ..RtpPacket::default() }
}

#[test]
fn telephone_events_count_by_timestamp_and_end_once() {
    let mut state = StreamState::default();
    start(&mut state, &event(1, 800, false));
    for packet in [event(2, 800, false), event(3, 800, true), event(4, 800, true), event(5, 4_000, false)] {
        account(&mut state, &packet);
    }
    assert_eq!((state.events, state.events_ended), (2, 1));
}

#[test]
fn a_run_of_one_payload_type_begins_anew_with_another() {
    let packets = (0..40_u16).map(|n| (u64::from(n) * 20, n, u32::from(n) * 160, if n < 30 { 8 } else { 0 }));
    assert_eq!(of_types(packets).0.type_run, 9);
}
