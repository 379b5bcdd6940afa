//! Counting of one RTP stream: loss, order, repeats and jitter (RFC 3550 A.1, A.3, A.8), integers only, no division.

use crate::{
    ip::IpHeader,
    limits::REPORT_INTERVAL_NS,
    rtp::{PAYLOAD_TYPE_COMFORT_NOISE, RtpHeader},
};

/// Clock rates for which jitter is kept side by side, in hertz. The rate is known only from SDP, which the kernel never
/// sees, and jitter is not linear in it: so each candidate has an estimate of its own. That of telephony comes first: for
/// most payload types it is the only one.
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
/// What every packet changes stands first and together: a packet of one stream among thousands finds nothing of it in a
/// cache near by, and pays for each line of 64 bytes.
///
/// Layout: 304 bytes, align 8, no padding, host byte order, nanoseconds of the record's clock.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamState {
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
    /// Longest time between two neighbours.
    pub gap_max_ns: u64,
    /// Which of the last 128 sequence numbers were seen: bit n of the first word stands for the highest minus n.
    pub window: [u64; 2],
    /// Payload types seen, one bit each.
    pub payload_types: [u64; 2],
    /// Samples in the jitter sum of 8,000 Hz.
    pub jitter_samples: u64,
    /// Arrival of the last packet that counts for jitter.
    pub jitter_at_ns: u64,
    /// Timestamp units passed between packets that count for jitter.
    pub rtp_timestamp_units: u64,
    /// Timestamp of the last packet that counts for jitter.
    pub jitter_rtp_timestamp: u32,
    /// Highest extended sequence number since the last restart.
    pub highest_sequence: u32,
    /// The next sequence number after one that did not fit; seen, it proves a restart. 65536 for none.
    pub restart_sequence: u32,
    /// Packets in a row with the payload of the one before.
    pub same_payload: u32,
    /// Fingerprint of the last payload.
    pub fingerprint: u32,
    /// Zero, too, but read back from memory: neither the compiler nor the verifier knows. `x ^ zero` makes a value that
    /// took a different way on each path one the verifier treats alike, or it would follow every path to the end.
    pub zero: u32,
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
    /// For each of [`CLOCK_RATES_HZ`].
    pub jitter: [JitterState; 6],
    /// Samples in each of the other jitter sums.
    pub jitter_samples_other: u64,
    /// First packet.
    pub first_ns: u64,
    /// Sequence numbers expected before the last restart.
    pub expected_before: u64,
    /// Packets behind one with a higher sequence number.
    pub late: u64,
    /// Packets whose sequence number had been seen.
    pub duplicates: u64,
    /// Holes in the numbering when they were first seen, each of one or more numbers; late packets may have filled some.
    pub loss_runs: u64,
    /// Timestamp of the first packet.
    pub first_rtp_timestamp: u32,
    /// Extended sequence number of the first packet since the last restart.
    pub base_sequence: u32,
    /// Proven restarts.
    pub restarts: u32,
    /// Telephone events.
    pub events: u16,
    /// Those whose end was seen.
    pub events_ended: u16,
}
const _: () = assert!(size_of::<StreamState>() == 304);

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

    /// Samples in the jitter sum of that place in [`CLOCK_RATES_HZ`].
    #[must_use]
    pub const fn samples(&self, slot: usize) -> u64 {
        if slot == 0 { self.jitter_samples } else { self.jitter_samples_other }
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

/// Interarrival jitter (RFC 3550 A.8) for every rate that the payload type leaves open.
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
    sample_one(&mut state.jitter[0], passed_ns, units, TICK_NS[0], state.zero);
    if is_telephone_rate(packet.payload_type) {
        return;
    }
    state.jitter_samples_other += 1;
    let mut i = 1;
    while i < TICK_NS.len() {
        sample_one(&mut state.jitter[i], passed_ns, units, TICK_NS[i], state.zero);
        i += 1;
    }
}

/// Whether a payload type is one that runs at 8,000 Hz whatever SDP says (RFC 3551 6): PCMU, GSM, G723, PCMA, G728, G729. Not
/// G722, which some announce with 16,000.
#[inline(always)]
const fn is_telephone_rate(payload_type: u8) -> bool {
    const TYPES: u64 = 1 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 15 | 1 << 18;
    payload_type < 64 && TYPES >> (payload_type & 63) & 1 == 1
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
mod tests;
