//! Counting of one RTP stream: loss, order, repeats and jitter (RFC 3550 A.1, A.3, A.8), integers only, no division.

use crate::{
    ip::IpHeader,
    limits::REPORT_INTERVAL_NS,
    rtp::{PAYLOAD_TYPE_COMFORT_NOISE, RtpHeader},
};

/// Clock rates for which jitter is kept side by side, in hertz. The rate is known only from SDP, which the kernel never
/// sees, and jitter is not linear in it: so each candidate has an estimate of its own.
pub const CLOCK_RATES_HZ: [u32; 6] = [8_000, 16_000, 32_000, 44_100, 48_000, 90_000];

/// Nanoseconds of one timestamp unit, times 2^[`TICK_SHIFT`], for each of [`CLOCK_RATES_HZ`].
const TICK_NS: [u32; 6] = [
    tick(CLOCK_RATES_HZ[0]),
    tick(CLOCK_RATES_HZ[1]),
    tick(CLOCK_RATES_HZ[2]),
    tick(CLOCK_RATES_HZ[3]),
    tick(CLOCK_RATES_HZ[4]),
    tick(CLOCK_RATES_HZ[5]),
];
const TICK_SHIFT: u32 = 10;

const fn tick(rate_hz: u32) -> u32 {
    (((1_000_000_000_u64 << TICK_SHIFT) + rate_hz as u64 / 2) / rate_hz as u64) as u32
}

/// A jump forward of this much or more is a restart of the sender, not loss (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3_000;
/// A jump backward of up to this much is reordering (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
/// A telephone event has this much payload (RFC 4733 2.3), and its type is a dynamic one.
const EVENT_BYTES: u16 = 4;
const FIRST_DYNAMIC_TYPE: u8 = 96;
/// The bit of a telephone event's payload that ends it, where the first byte is left out.
const EVENT_END: u32 = 0x0080_0000;
/// No packet has this as its sequence number.
const NO_SEQUENCE: u32 = 1 << 16;

/// One packet, as counting needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RtpPacket {
    /// When it passed the hook, nanoseconds of the record's clock.
    pub time_ns: u64,
    /// Header and payload.
    pub bytes: u32,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Stands for the payload's content.
    pub fingerprint: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Bytes of payload.
    pub payload_bytes: u16,
    /// Payload type.
    pub payload_type: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
}

impl RtpPacket {
    /// Gathers what counting needs of a datagram with `bytes` of RTP.
    #[inline(always)]
    #[must_use]
    pub fn new(time_ns: u64, bytes: usize, rtp: &RtpHeader, ip: &IpHeader) -> Self {
        Self {
            time_ns,
            bytes: bytes as u32,
            timestamp: rtp.timestamp,
            fingerprint: rtp.fingerprint,
            sequence: rtp.sequence,
            payload_bytes: rtp.payload_bytes,
            payload_type: rtp.payload_type,
            ttl: ip.ttl,
            dscp: ip.dscp,
        }
    }
}

/// Jitter for one clock rate.
///
/// Layout: 16 bytes, align 8. Nanoseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct JitterState {
    /// Sum of the estimate after each sample.
    pub sum_ns: u64,
    /// The running estimate.
    pub last_ns: u32,
    /// Its highest value.
    pub max_ns: u32,
}

/// Everything counted about one stream.
///
/// Layout: 296 bytes, align 8, no padding, host byte order, nanoseconds of the record's clock.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamState {
    /// First packet.
    pub first_ns: u64,
    /// Last packet.
    pub last_ns: u64,
    /// When it last reported, 0 for never.
    pub reported_ns: u64,
    /// Packets, repeats and late ones included.
    pub packets: u64,
    /// Header and payload of those.
    pub bytes: u64,
    /// Different sequence numbers that belong to the expected range.
    pub unique: u64,
    /// Sequence numbers expected before the last restart.
    pub expected_before: u64,
    /// Packets behind one with a higher sequence number.
    pub late: u64,
    /// Packets whose sequence number had been seen.
    pub duplicates: u64,
    /// Holes in the numbering when they were first seen, each of one or more numbers; late packets may have filled some.
    pub loss_runs: u64,
    /// Longest time between two neighbours.
    pub gap_max_ns: u64,
    /// Which of the last 128 sequence numbers were seen: bit n of the first word stands for the highest minus n.
    pub window: [u64; 2],
    /// Payload types seen, one bit each.
    pub payload_types: [u64; 2],
    /// Samples in the jitter sums.
    pub jitter_samples: u64,
    /// Arrival of the last packet that counts for jitter.
    pub jitter_at_ns: u64,
    /// Timestamp units passed between packets that count for jitter.
    pub rtp_timestamp_units: u64,
    /// For each of [`CLOCK_RATES_HZ`].
    pub jitter: [JitterState; 6],
    /// Timestamp of the first packet.
    pub first_rtp_timestamp: u32,
    /// Timestamp of the last packet that counts for jitter.
    pub jitter_rtp_timestamp: u32,
    /// Extended sequence number of the first packet since the last restart.
    pub base_sequence: u32,
    /// Highest extended sequence number since then.
    pub highest_sequence: u32,
    /// The next sequence number after one that did not fit; seen, it proves a restart. 65536 for none.
    pub restart_sequence: u32,
    /// Proven restarts.
    pub restarts: u32,
    /// Packets in a row with the payload of the one before.
    pub same_payload: u32,
    /// Fingerprint of the last payload.
    pub fingerprint: u32,
    /// Sequence number of the last packet.
    pub last_sequence: u16,
    /// Payload bytes of the last packet.
    pub payload_bytes: u16,
    /// Payload type of the last packet.
    pub payload_type: u8,
    /// Lowest TTL.
    pub ttl_min: u8,
    /// Highest TTL.
    pub ttl_max: u8,
    /// Code point of the last packet.
    pub dscp: u8,
    /// 1 once two packets came in sequence.
    pub in_sequence: u8,
    /// 1 where the packet before was comfort noise or the clock for jitter must start anew.
    pub jitter_pause: u8,
    /// Packets in a row, after the first, with the payload type of the last one; stays at 255.
    pub type_run: u8,
    /// 1 where the last telephone event was seen to end.
    pub event_ended: u8,
    /// Timestamp of the last telephone event: one for all its packets (RFC 4733 2.5.1.1).
    pub event_timestamp: u32,
    /// Telephone events.
    pub events: u16,
    /// Those whose end was seen.
    pub events_ended: u16,
    /// Zero, too, but read back from memory: neither the compiler nor the verifier knows. `x ^ zero` makes a value that
    /// took a different way on each path one the verifier treats alike, or it would follow every path to the end.
    pub zero: u32,
}
const _: () = assert!(size_of::<StreamState>() == 296);

/// Whether a packet makes its stream report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing to say yet.
    No,
    /// First packets, the second is up, or something changed.
    Due,
}

impl StreamState {
    /// Sequence numbers that should have been seen, over all restarts.
    #[must_use]
    pub const fn expected(&self) -> u64 {
        self.expected_before + (self.highest_sequence.wrapping_sub(self.base_sequence)) as u64 + 1
    }

    /// Sequence numbers never seen.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.unique)
    }
}

/// Where a packet stands among those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Ahead of all.
    Ahead,
    /// Behind the highest, not seen before.
    Late,
    /// Seen before.
    Duplicate,
    /// Far off; the next one tells whether the sender restarted.
    Stray,
    /// The second of two in sequence at a far place: the sender restarted.
    Restart,
}

/// Begins a stream with its first packet. `state` may hold anything.
#[inline(always)]
pub fn start(state: &mut StreamState, packet: &RtpPacket) {
    *state = StreamState::default();
    // One cycle above zero, so that a packet that comes late before the first one still has a number.
    let sequence = NO_SEQUENCE + packet.sequence as u32;
    state.first_ns = packet.time_ns;
    state.last_ns = packet.time_ns;
    state.packets = 1;
    state.bytes = packet.bytes as u64;
    state.unique = 1;
    state.window[0] = 1;
    state.first_rtp_timestamp = packet.timestamp;
    state.jitter_at_ns = packet.time_ns;
    state.jitter_rtp_timestamp = packet.timestamp;
    state.jitter_pause = (packet.payload_type == PAYLOAD_TYPE_COMFORT_NOISE) as u8;
    state.base_sequence = sequence;
    state.highest_sequence = sequence;
    state.restart_sequence = NO_SEQUENCE;
    state.fingerprint = packet.fingerprint;
    state.ttl_min = packet.ttl;
    state.ttl_max = packet.ttl;
    note_type(state, packet.payload_type);
    note_event(state, packet);
    note_last(state, packet);
}

/// Counts a further packet of a stream and says whether it is time to report.
#[inline(always)]
pub fn account(state: &mut StreamState, packet: &RtpPacket) -> Report {
    let now = packet.time_ns;
    // Two CPUs may see two packets of one stream in the other order.
    let gap = now.saturating_sub(state.last_ns);
    if gap > state.gap_max_ns {
        state.gap_max_ns = gap;
    }
    state.last_ns += gap;
    state.packets += 1;
    state.bytes += packet.bytes as u64;
    if packet.ttl < state.ttl_min {
        state.ttl_min = packet.ttl;
    }
    if packet.ttl > state.ttl_max {
        state.ttl_max = packet.ttl;
    }
    let place = place(state, packet.sequence);
    match place {
        Place::Ahead | Place::Late => sample_jitter(state, packet),
        Place::Restart => {
            state.jitter_at_ns = now;
            state.jitter_rtp_timestamp = packet.timestamp;
        }
        Place::Duplicate | Place::Stray => {}
    }
    if place != Place::Duplicate {
        state.same_payload =
            if packet.fingerprint == state.fingerprint { state.same_payload.saturating_add(1) } else { 0 };
        state.fingerprint = packet.fingerprint;
    }
    let new_type = note_type(state, packet.payload_type);
    state.type_run = if packet.payload_type == state.payload_type { state.type_run.saturating_add(1) } else { 0 };
    note_event(state, packet);
    note_last(state, packet);

    let changed = new_type || place == Place::Restart;
    let never = state.reported_ns == 0;
    if state.in_sequence == 1 && (never || changed || now.saturating_sub(state.reported_ns) >= REPORT_INTERVAL_NS) {
        state.reported_ns = now;
        return Report::Due;
    }
    Report::No
}

#[inline(always)]
fn note_last(state: &mut StreamState, packet: &RtpPacket) {
    state.last_sequence = packet.sequence;
    state.payload_bytes = packet.payload_bytes;
    state.payload_type = packet.payload_type;
    state.dscp = packet.dscp;
}

/// Counts telephone events and their ends. Which key was pressed is not looked at.
#[inline(always)]
fn note_event(state: &mut StreamState, packet: &RtpPacket) {
    if packet.payload_bytes != EVENT_BYTES || packet.payload_type < FIRST_DYNAMIC_TYPE {
        return;
    }
    if state.events == 0 || packet.timestamp != state.event_timestamp {
        state.events = state.events.wrapping_add(1);
        state.event_timestamp = packet.timestamp;
        state.event_ended = 0;
    }
    if packet.fingerprint & EVENT_END != 0 && state.event_ended == 0 {
        state.event_ended = 1;
        state.events_ended = state.events_ended.wrapping_add(1);
    }
}

/// Marks the payload type as seen; whether it is new.
#[inline(always)]
fn note_type(state: &mut StreamState, payload_type: u8) -> bool {
    let bit = 1_u64 << (payload_type & 63);
    let word = if payload_type < 64 { &mut state.payload_types[0] } else { &mut state.payload_types[1] };
    let new = *word & bit == 0;
    *word |= bit;
    new
}

/// Finds a packet's place and keeps the numbers of RFC 3550 A.1: a jump is believed once two packets in sequence confirm it.
#[inline(always)]
fn place(state: &mut StreamState, sequence: u16) -> Place {
    let ahead = sequence.wrapping_sub(state.highest_sequence as u16);
    let behind = (state.highest_sequence as u16).wrapping_sub(sequence);
    if ahead == 0 {
        state.duplicates += 1;
        return Place::Duplicate;
    }
    if ahead < MAX_DROPOUT {
        state.highest_sequence = state.highest_sequence.wrapping_add(ahead as u32);
        shift_window(&mut state.window, ahead as u32);
        state.unique += 1;
        state.loss_runs += (ahead > 1) as u64;
        state.restart_sequence = NO_SEQUENCE;
        if ahead == 1 {
            state.in_sequence = 1;
        }
        return Place::Ahead;
    }
    if behind <= MAX_MISORDER {
        let bit = 1_u64 << (behind & 63);
        let word = if behind < 64 { &mut state.window[0] } else { &mut state.window[1] };
        if *word & bit != 0 {
            state.duplicates += 1;
            return Place::Duplicate;
        }
        *word |= bit;
        state.unique += 1;
        state.late += 1;
        // Before the very first packet: the range begins earlier than was known.
        if behind as u32 > state.highest_sequence.wrapping_sub(state.base_sequence) {
            state.base_sequence = state.highest_sequence.wrapping_sub(behind as u32);
        }
        return Place::Late;
    }
    if sequence as u32 != state.restart_sequence {
        state.restart_sequence = sequence.wrapping_add(1) as u32;
        return Place::Stray;
    }
    state.expected_before = state.expected();
    state.highest_sequence = NO_SEQUENCE + sequence as u32;
    state.base_sequence = state.highest_sequence - 1;
    state.window = [0b11, 0];
    state.unique += 2;
    state.restart_sequence = NO_SEQUENCE;
    // Without two in sequence before, what was before may have been no RTP at all.
    state.restarts += state.in_sequence as u32;
    state.in_sequence = 1;
    Place::Restart
}

/// Moves the window so that the new highest sequence number stands at bit 0, and marks it.
#[inline(always)]
fn shift_window(window: &mut [u64; 2], by: u32) {
    let [low, high] = *window;
    *window = match by {
        0..64 => [(low << (by & 63)) | 1, (high << (by & 63)) | ((low >> 1) >> (63 - (by & 63)))],
        64..128 => [1, low << (by & 63)],
        _ => [1, 0],
    };
}

/// Interarrival jitter (RFC 3550 A.8) for every candidate rate.
///
/// Comfort noise is no sample and none is taken across it: a silent sender's clock need not run on. A packet with the
/// timestamp of the one before is no sample either: the repeats of a telephone event (RFC 4733 2.5.1.1) and the further
/// packets of a video frame all carry the instant of the first.
#[inline(always)]
fn sample_jitter(state: &mut StreamState, packet: &RtpPacket) {
    let units = packet.timestamp.wrapping_sub(state.jitter_rtp_timestamp) as i32 as i64;
    if packet.payload_type == PAYLOAD_TYPE_COMFORT_NOISE {
        state.jitter_pause = 1;
        return;
    }
    if units == 0 {
        return;
    }
    let passed_ns = packet.time_ns.wrapping_sub(state.jitter_at_ns) as i64;
    state.jitter_at_ns = packet.time_ns;
    state.jitter_rtp_timestamp = packet.timestamp;
    state.rtp_timestamp_units = state.rtp_timestamp_units.wrapping_add(units as u64);
    if state.jitter_pause != 0 {
        state.jitter_pause = 0;
        return;
    }
    state.jitter_samples += 1;
    let mut i = 0;
    while i < TICK_NS.len() {
        sample_one(&mut state.jitter[i], passed_ns, units, TICK_NS[i], state.zero);
        i += 1;
    }
}

/// J += (|D| - J) / 16, with D the difference between the time that passed and the time the timestamps say.
#[inline(always)]
fn sample_one(jitter: &mut JitterState, passed_ns: i64, units: i64, tick: u32, zero: u32) {
    // Wrapping: a capture file may hold any times.
    let difference = passed_ns.wrapping_sub((units * tick as i64) >> TICK_SHIFT);
    let sign = difference >> 63;
    let difference = (difference ^ sign).wrapping_sub(sign);
    let last = jitter.last_ns as i64;
    let mut estimate = last + (difference.wrapping_sub(last) >> 4);
    if estimate > u32::MAX as i64 {
        estimate = u32::MAX as i64;
    }
    let estimate = estimate as u32 ^ zero;
    jitter.last_ns = estimate;
    jitter.sum_ns = jitter.sum_ns.wrapping_add(estimate as u64);
    if estimate > jitter.max_ns {
        jitter.max_ns = estimate;
    }
}

#[cfg(test)]
mod tests {
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
        let (s, _) = stream(packets);
        let expected_ms = 4.0 * (1.0 - (15.0_f64 / 16.0).powi(399));
        assert!((f64::from(s.jitter[0].last_ns) / 1e6 - expected_ms).abs() < 0.001, "{}", s.jitter[0].last_ns);
        // At 16 kHz the same timestamps stand for 10 ms a packet: another number altogether.
        assert!(s.jitter[1].last_ns > 9 * MS as u32);
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
}
