//! What senders do, packet by packet, and what they know they did.

/// What a packet's time says of the sender's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It is a sample of jitter.
    Runs,
    /// Time begins anew with it: nothing can be said of the time before.
    Starts,
    /// It says nothing: comfort noise, a repeat, a further packet of one instant.
    Silent,
}

/// A packet to be sent.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When, after the beginning.
    pub at_ns: u64,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    pub payload: Vec<u8>,
    pub clock: Clock,
}

impl Packet {
    /// As it goes into a datagram (RFC 3550 5.1).
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x80, self.payload_type];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// What the sender did to one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ledger {
    /// Numbers never sent.
    pub lost: u64,
    /// Packets sent again.
    pub duplicates: u64,
    /// Packets sent behind a later one.
    pub late: u64,
    /// Packets with a number that belongs to no range.
    pub strays: u64,
}

/// One SSRC.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub ssrc: u32,
    pub ledger: Ledger,
}

/// What is sent from one port to another.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: &'static str,
    pub clock_rate_hz: u32,
    /// Dynamic payload types as SDP tells them; none where SDP says nothing.
    pub rtpmap: &'static [(u8, &'static str)],
    pub packets: Vec<Packet>,
    pub streams: Vec<Stream>,
}

const STEP_NS: u64 = 20_000_000;
/// Each packet is sent up to this much after its instant: far above what a busy machine adds unseen.
const JITTER_NS: u64 = 12_000_000;

/// Writes a script.
struct Sender {
    script: Script,
    payload_type: u8,
    random: u64,
    now_ns: u64,
    sequence: u16,
    timestamp: u32,
    /// Of the next packet.
    clock: Clock,
    /// Packets that wait until so many others have passed them.
    held: Vec<(usize, Packet)>,
}

impl Sender {
    fn new(name: &'static str, clock_rate_hz: u32, payload_type: u8, ssrc: u32) -> Self {
        let script = Script {
            name,
            clock_rate_hz,
            rtpmap: &[],
            packets: Vec::new(),
            streams: vec![Stream { ssrc, ledger: Ledger::default() }],
        };
        Self {
            script,
            payload_type,
            random: u64::from(ssrc),
            // Not all at once.
            now_ns: u64::from(ssrc % 20) * 1_000_000,
            sequence: 1_000,
            timestamp: 77_000,
            clock: Clock::Starts,
            held: Vec::new(),
        }
    }

    fn noise(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }

    fn ledger(&mut self) -> &mut Ledger {
        &mut self.script.streams.last_mut().expect("there is always one").ledger
    }

    fn packet(&mut self, payload_type: u8, payload_bytes: usize) -> Packet {
        let at_ns = self.now_ns + self.noise() % JITTER_NS;
        let packet = Packet {
            at_ns,
            ssrc: self.script.streams.last().expect("there is always one").ssrc,
            sequence: self.sequence,
            timestamp: self.timestamp,
            payload_type,
            payload: (0..payload_bytes).map(|_| self.noise() as u8).collect(),
            clock: self.clock,
        };
        self.clock = Clock::Runs;
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    fn step(&mut self) {
        self.now_ns += STEP_NS;
        self.timestamp = self.timestamp.wrapping_add(self.script.clock_rate_hz / 50);
    }

    fn push(&mut self, packet: Packet) {
        let at_ns = packet.at_ns;
        self.script.packets.push(packet);
        for (passed, _) in &mut self.held {
            *passed -= 1;
        }
        while let Some(n) = self.held.iter().position(|(passed, _)| *passed == 0) {
            let (_, late) = self.held.swap_remove(n);
            self.script.packets.push(Packet { at_ns: at_ns + 500_000, ..late });
        }
    }

    /// `n` packets of speech.
    fn speak(mut self, n: usize) -> Self {
        for _ in 0..n {
            let packet = self.packet(self.payload_type, 160);
            self.push(packet);
            self.step();
        }
        self
    }

    /// `n` packets that never leave.
    fn lose(mut self, n: u16) -> Self {
        self.ledger().lost += u64::from(n);
        for _ in 0..n {
            self.sequence = self.sequence.wrapping_add(1);
            self.step();
        }
        self
    }

    /// The last packet again, after so many others.
    fn repeat(mut self, after: usize) -> Self {
        let last = self.script.packets.last().expect("something was said").clone();
        self = self.speak(after);
        let at_ns = self.script.packets.last().expect("it was said").at_ns + 500_000;
        self.script.packets.push(Packet { at_ns, clock: Clock::Silent, ..last });
        self.ledger().duplicates += 1;
        self
    }

    /// A packet that `n` others overtake.
    fn delay(mut self, n: usize) -> Self {
        let packet = self.packet(self.payload_type, 160);
        self.held.push((n, packet));
        self.ledger().late += 1;
        self.step();
        self.speak(n)
    }

    /// Comfort noise (RFC 3389), a silence of which the clock tells or not, then speech anew.
    fn pause(mut self, steps: u32, clock_runs: bool) -> Self {
        self.clock = Clock::Silent;
        let noise = self.packet(13, 1);
        self.push(noise);
        for _ in 0..steps {
            let timestamp = self.timestamp;
            self.step();
            if !clock_runs {
                self.timestamp = timestamp;
            }
        }
        self.step();
        self.clock = Clock::Starts;
        self
    }

    /// Silence without a word of it (DTX): numbers run on, time runs on.
    fn silence(mut self, steps: u32) -> Self {
        (0..steps).for_each(|_| self.step());
        self
    }

    /// A key held for ten packets, its end told three times (RFC 4733 2.5.1): all of one instant.
    fn event(mut self, payload_type: u8) -> Self {
        let instant = self.timestamp;
        for n in 0..13_u16 {
            let duration = (n.min(9) + 1) * 160;
            let mut packet = self.packet(payload_type, 0);
            packet.timestamp = instant;
            packet.payload = vec![5, if n >= 10 { 0x8a } else { 0x0a }, (duration >> 8) as u8, duration as u8];
            self.clock = Clock::Silent;
            self.push(packet);
            self.step();
        }
        self.clock = Clock::Runs;
        self
    }

    /// The sender starts anew, with numbers and times that have nothing to do with those before.
    fn restart(mut self) -> Self {
        self.sequence = self.sequence.wrapping_add(20_000);
        self.timestamp = self.timestamp.wrapping_add(0x3456_789a);
        // The first is not believed, the second proves it.
        self.clock = Clock::Silent;
        self = self.speak(1);
        self.clock = Clock::Starts;
        self.speak(1)
    }

    /// One packet of another sender's numbering in between.
    fn stray(mut self) -> Self {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(30_000);
        self.clock = Clock::Silent;
        let packet = self.packet(self.payload_type, 160);
        self.push(packet);
        self.sequence = sequence;
        self.step();
        self.ledger().strays += 1;
        self
    }

    /// A picture of three packets at one instant, thirty of them a second.
    fn pictures(mut self, n: usize) -> Self {
        for _ in 0..n {
            for part in 0..3 {
                let mut packet = self.packet(self.payload_type, 900);
                if part > 0 {
                    packet.clock = Clock::Silent;
                    packet.at_ns = self.script.packets.last().expect("the first part").at_ns + 300_000;
                }
                self.push(packet);
            }
            self.now_ns += 1_000_000_000 / 30;
            self.timestamp = self.timestamp.wrapping_add(self.script.clock_rate_hz / 30);
        }
        self
    }

    fn payload_type(mut self, payload_type: u8) -> Self {
        self.payload_type = payload_type;
        self
    }

    fn sequence(mut self, sequence: u16) -> Self {
        self.sequence = sequence;
        self
    }

    /// Another SSRC from here on, with numbers and times of its own.
    fn ssrc(mut self, ssrc: u32) -> Self {
        self.script.streams.push(Stream { ssrc, ledger: Ledger::default() });
        (self.sequence, self.timestamp, self.clock) = (40_000, 5, Clock::Starts);
        self
    }

    fn rtpmap(mut self, map: &'static [(u8, &'static str)]) -> Self {
        self.script.rtpmap = map;
        self
    }

    fn end(self) -> Script {
        assert!(self.held.is_empty(), "a packet was delayed beyond the end");
        self.script
    }
}

/// Every script; `salt` makes their SSRCs.
pub fn all(salt: u32) -> Vec<Script> {
    let ssrc = |n: u32| salt + 0x5150_0000 + n;
    let troubled = |sender: Sender| {
        let sender = sender.speak(60).lose(1).speak(20).lose(3).speak(20).repeat(0).speak(10).delay(1).speak(10);
        let sender = sender.delay(4).speak(10).repeat(7).lose(10).speak(20).delay(20).speak(5).repeat(0).repeat(0);
        sender.speak(20).lose(40).speak(60).delay(2).lose(2).delay(3).speak(30)
    };
    vec![
        Sender::new("jitter alone", 8_000, 0, ssrc(1)).speak(350).end(),
        troubled(Sender::new("gaps, repeats, reordering", 8_000, 8, ssrc(2))).end(),
        troubled(Sender::new("the same over the wrap", 8_000, 18, ssrc(3)).sequence(65_450)).end(),
        Sender::new("restart of the sender", 8_000, 0, ssrc(4)).speak(120).lose(2).speak(50).restart().speak(180).end(),
        Sender::new("stray packet", 8_000, 0, ssrc(5)).speak(150).stray().speak(150).end(),
        Sender::new("change of SSRC", 8_000, 9, ssrc(6)).speak(120).lose(3).speak(40).ssrc(ssrc(7)).speak(160).end(),
        Sender::new("comfort noise and pauses", 8_000, 8, ssrc(8))
            .speak(80)
            .pause(60, true)
            .speak(80)
            .pause(40, false)
            .speak(80)
            .end(),
        Sender::new("DTX without a word of it", 8_000, 18, ssrc(9))
            .speak(80)
            .silence(30)
            .speak(80)
            .silence(75)
            .speak(80)
            .end(),
        Sender::new("telephone events", 8_000, 0, ssrc(10)).speak(100).event(101).speak(60).event(101).speak(100).end(),
        Sender::new("change of payload type", 8_000, 0, ssrc(11)).speak(150).payload_type(8).speak(150).end(),
        troubled(Sender::new("16,000 Hz, static type", 16_000, 6, ssrc(12))).end(),
        troubled(Sender::new("48,000 Hz, told by SDP", 48_000, 96, ssrc(13)))
            .rtpmap(&[(96, "opus/48000/2"), (97, "telephone-event/48000")])
            .event(97)
            .speak(40)
            .end(),
        Sender::new("16,000 Hz, told by SDP", 16_000, 98, ssrc(14)).rtpmap(&[(98, "AMR-WB/16000")]).speak(250).end(),
        Sender::new("48,000 Hz, estimated", 48_000, 99, ssrc(15)).speak(300).end(),
        Sender::new("90,000 Hz, pictures", 90_000, 34, ssrc(16)).pictures(60).lose(4).pictures(120).end(),
        Sender::new("90,000 Hz, estimated", 90_000, 100, ssrc(17)).pictures(180).end(),
    ]
}
