//! Counting against a model of it: slow, over the whole list of packets at once, with sets and floating point, and made from
//! the text of RFC 3550 A.1, A.3 and A.8 and RFC 4733. What both say of random streams must be equal.

use std::{collections::BTreeSet, vec::Vec};

use crate::rtp::PAYLOAD_TYPE_COMFORT_NOISE;
use crate::stream::*;

/// What a stream is, said slowly.
#[derive(Debug, Default)]
struct Model {
    /// Extended sequence numbers seen since each restart.
    runs: Vec<BTreeSet<i64>>,
    in_sequence: bool,
    restarts: u32,
    late: u64,
    duplicates: u64,
    loss_runs: u64,
    /// For each of [`CLOCK_RATES_HZ`]: every value that the estimate had, nanoseconds.
    jitter: [Vec<f64>; 6],
}

/// Where the model sees a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seat {
    New,
    Again,
    Far,
    Restarted,
}

impl Model {
    fn of(packets: &[RtpPacket]) -> Self {
        let mut model = Self { runs: vec![BTreeSet::from([i64::from(packets[0].sequence)])], ..Self::default() };
        let mut expected_restart = None;
        let mut seats = vec![Seat::Restarted];
        for packet in &packets[1..] {
            seats.push(model.seat(packet.sequence, &mut expected_restart));
        }
        model.jitter = CLOCK_RATES_HZ.map(|rate_hz| jitter(packets, &seats, rate_hz));
        model
    }

    fn seat(&mut self, sequence: u16, expected_restart: &mut Option<u16>) -> Seat {
        let run = self.runs.last_mut().expect("there is always one");
        let highest = *run.last().expect("with at least one number");
        // The number of which this is the lower half that lies at most 100 before and less than 3,000 behind the highest.
        let number = (highest - 100..highest + 3_000).find(|n| n.rem_euclid(65_536) == i64::from(sequence));
        let Some(number) = number else {
            if *expected_restart != Some(sequence) {
                *expected_restart = Some(sequence.wrapping_add(1));
                return Seat::Far;
            }
            *expected_restart = None;
            self.restarts += u32::from(self.in_sequence);
            self.in_sequence = true;
            self.runs.push(BTreeSet::from([i64::from(sequence), i64::from(sequence) - 1]));
            return Seat::Restarted;
        };
        if !run.insert(number) {
            self.duplicates += 1;
            return Seat::Again;
        }
        if number < highest {
            self.late += 1;
        } else {
            *expected_restart = None;
            self.loss_runs += u64::from(number > highest + 1);
            self.in_sequence |= number == highest + 1;
        }
        Seat::New
    }

    fn unique(&self) -> u64 {
        self.runs.iter().map(|run| run.len() as u64).sum()
    }

    fn expected(&self) -> u64 {
        self.runs.iter().map(|run| (run.last().unwrap() - run.first().unwrap() + 1) as u64).sum()
    }
}

/// RFC 3550 A.8 over those packets that tell of the sender's pace.
///
/// Of payload types that RFC 3551 gives 8,000 Hz, only that rate is estimated.
fn jitter(packets: &[RtpPacket], seats: &[Seat], rate_hz: u32) -> Vec<f64> {
    let mut estimates: Vec<f64> = Vec::new();
    let mut before: Option<&RtpPacket> = None;
    let mut after_noise = false;
    for (packet, seat) in packets.iter().zip(seats) {
        let is_noise = packet.payload_type == PAYLOAD_TYPE_COMFORT_NOISE;
        match (seat, before) {
            (Seat::Again | Seat::Far, _) => {}
            (Seat::Restarted, _) | (_, None) => {
                after_noise |= is_noise && before.is_none();
                before = Some(packet);
            }
            (Seat::New, Some(_)) if is_noise => after_noise = true,
            (Seat::New, Some(last)) if last.timestamp == packet.timestamp => {}
            (Seat::New, Some(last)) => {
                let units = packet.timestamp.wrapping_sub(last.timestamp).cast_signed();
                let difference = (packet.time_ns - last.time_ns) as f64 - f64::from(units) * 1e9 / f64::from(rate_hz);
                let is_open = rate_hz == 8_000 || ![0, 3, 4, 8, 15, 18].contains(&packet.payload_type);
                if !after_noise && is_open {
                    let estimate = estimates.last().copied().unwrap_or(0.0);
                    estimates.push((estimate + (difference.abs() - estimate) / 16.0).min(f64::from(u32::MAX)));
                }
                after_noise = false;
                before = Some(packet);
            }
        }
    }
    estimates
}

/// Numbers without pattern, the same each time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A sender with a clock, over a path that loses, repeats and reorders.
fn random_stream(random: &mut Random) -> Vec<RtpPacket> {
    let rate = u64::from(CLOCK_RATES_HZ[random.below(6) as usize]);
    let step = (rate / 50) as u32;
    let mut payload_type = [0, 8, 9, 18, 96, 111][random.below(6) as usize];
    let (mut sequence, mut timestamp) = (random.next() as u16, random.next() as u32);
    let mut sent_ns = 1_000_000_000;
    let mut packets: Vec<RtpPacket> = Vec::new();
    let mut held: Vec<(usize, RtpPacket)> = Vec::new();
    let trouble = [4, 20, 200][random.below(3) as usize];
    for n in 0..random.below(600) as usize + 1 {
        let mut packet = RtpPacket {
            time_ns: sent_ns + random.below(5_000_000),
            bytes: 172,
            timestamp,
            fingerprint: random.next() as u32 & 0xff0f_ffff,
            sequence,
            payload_bytes: 160,
            payload_type,
            ttl: 60 + random.below(5) as u8,
            dscp: 46,
        };
        (sequence, timestamp, sent_ns) = (sequence.wrapping_add(1), timestamp.wrapping_add(step), sent_ns + 20_000_000);
        if random.one_in(trouble) {
            match random.below(13) {
                0 => sequence = sequence.wrapping_add(1 + random.below(4) as u16),
                1 => sequence = sequence.wrapping_add(random.below(6_000) as u16),
                2 => sequence = sequence.wrapping_sub(random.below(240) as u16),
                3 => (sequence, timestamp) = (random.next() as u16, random.next() as u32),
                4 => packet.sequence = random.next() as u16,
                5 => packets.push(packet),
                6 => held.push((n + 1 + random.below(130) as usize, packet)),
                7 => packet.payload_type = PAYLOAD_TYPE_COMFORT_NOISE,
                // A pause in speech, of which the clock tells (RFC 3551 4.1) or does not.
                8 => (timestamp, sent_ns) = (timestamp.wrapping_add(step * 100), sent_ns + 2_000_000_000),
                9 => sent_ns += random.below(4_000_000_000),
                // A telephone event: all its packets have the time of the first.
                10 => timestamp = timestamp.wrapping_sub(step),
                11 => payload_type = [0, 3, 4, 5, 15, 97][random.below(6) as usize],
                _ => continue,
            }
        }
        packets.push(packet);
        while let Some(at) = held.iter().position(|(due, _)| *due <= n) {
            packets.push(held.swap_remove(at).1);
        }
    }
    // The kernel's clock runs forward.
    for n in 1..packets.len() {
        packets[n].time_ns = packets[n].time_ns.max(packets[n - 1].time_ns);
    }
    packets
}

/// Numbers thrown about: no sender does that, and the counts must hold all the same.
fn random_numbers(random: &mut Random) -> Vec<RtpPacket> {
    let mut sequence = random.next() as u16;
    let packet = |n: u64, sequence: u16, random: &mut Random| RtpPacket {
        time_ns: n * 1_000_000 + random.below(1_000_000),
        sequence,
        timestamp: (n as u32).wrapping_mul(80),
        ..RtpPacket::default()
    };
    (0..400)
        .map(|n| {
            sequence = match random.below(5) {
                0 | 1 => sequence.wrapping_add(1),
                2 => sequence.wrapping_add(random.below(140) as u16).wrapping_sub(70),
                3 => sequence.wrapping_add([2_999, 3_000, 3_001, 65_436, 65_435, 65_437][random.below(6) as usize]),
                _ => random.next() as u16 & 0x00ff,
            };
            packet(n, sequence, random)
        })
        .collect()
}

fn counted(packets: &[RtpPacket]) -> StreamState {
    let mut state = StreamState::default();
    start(&mut state, &packets[0]);
    for packet in &packets[1..] {
        account(&mut state, packet);
    }
    state
}

fn compare(seed: u64, packets: &[RtpPacket]) {
    let (state, model) = (counted(packets), Model::of(packets));
    assert_eq!(state.packets, packets.len() as u64, "seed {seed}: packets");
    assert_eq!(state.unique, model.unique(), "seed {seed}: different numbers");
    assert_eq!(state.expected(), model.expected(), "seed {seed}: expected");
    assert_eq!(state.lost(), model.expected() - model.unique(), "seed {seed}: lost");
    assert_eq!(
        (state.late, state.duplicates, state.loss_runs, state.restarts, state.in_sequence == 1),
        (model.late, model.duplicates, model.loss_runs, model.restarts, model.in_sequence),
        "seed {seed}: late, repeated, holes, restarts, in sequence"
    );
    for (slot, estimates) in model.jitter.iter().enumerate() {
        let rate_hz = CLOCK_RATES_HZ[slot];
        let jitter = state.jitter[slot];
        assert_eq!(state.samples(slot), estimates.len() as u64, "seed {seed}: samples at {rate_hz} Hz");
        // Integers round down by up to 16 ns, and a unit of time is rounded in its eighth digit.
        let close = |got: f64, want: f64| (got - want).abs() <= 20.0 + want * 1e-6;
        let last = estimates.last().copied().unwrap_or(0.0);
        let max = estimates.iter().copied().fold(0.0, f64::max);
        let mean = estimates.iter().sum::<f64>() / estimates.len().max(1) as f64;
        let mean_counted = jitter.sum_ns as f64 / estimates.len().max(1) as f64;
        assert!(close(f64::from(jitter.last_ns), last), "seed {seed}: last at {rate_hz} Hz: {} {last}", jitter.last_ns);
        assert!(close(f64::from(jitter.max_ns), max), "seed {seed}: highest at {rate_hz} Hz: {} {max}", jitter.max_ns);
        assert!(close(mean_counted, mean), "seed {seed}: mean at {rate_hz} Hz: {mean_counted} {mean}");
    }
}

#[test]
fn streams_of_senders_over_bad_paths_are_counted_as_the_model_says() {
    for seed in 0..600 {
        compare(seed, &random_stream(&mut Random(seed)));
    }
}

#[test]
fn numbers_thrown_about_are_counted_as_the_model_says() {
    for seed in 0..600 {
        compare(seed, &random_numbers(&mut Random(seed)));
    }
}
