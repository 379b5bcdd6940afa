//! RTP streams as the kernel side reports them: counters at the second packet in sequence, then once a second, at a new
//! payload type, and once more when a sweep finds the stream quiet.

use sip_monitor_engine::Timestamp;
use sip_monitor_engine::packet::{CLOCK_RATES_HZ, Jitter, StreamCounters, StreamKey};

use super::Result;
use super::field::{Fields, nanoseconds};

/// Options of an `RTP` line.
pub const OPTIONS: [&str; 15] = [
    "pt", "ptime", "ssrc", "lose", "pause", "ttl", "dscp", "constant", "jitter", "rate", "bytes", "link", "event",
    "restart", "jump",
];

const SECOND_NS: i64 = 1_000_000_000;

/// One packet of a stream, or the gap where one was lost.
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket {
    /// Arrival, from the start of the ladder.
    pub at_ns: i64,
    is_lost: bool,
    payload_type: u8,
    payload_bytes: u16,
    timestamp_units: u32,
    ttl: u8,
    dscp: u8,
    is_constant: bool,
    /// Of a telephone event: whether this packet begins it, and whether it ends it.
    event: Option<(bool, bool)>,
    /// The sequence number jumps here.
    is_restart: bool,
}

/// The packets of one `RTP` line, from `start_ns` to `end_ns`.
pub fn packets(start_ns: i64, end_ns: i64, fields: &Fields) -> Result<Vec<RtpPacket>> {
    let ptime_ms: u32 = fields.number("ptime")?.unwrap_or(20);
    let rate: u32 = fields.number("rate")?.unwrap_or(8_000);
    let jitter_ns = fields.number::<i64>("jitter")?.unwrap_or(0) * 1_000_000;
    let lost = Gap::parse(fields.option("lose"))?;
    let pause = Gap::parse(fields.option("pause"))?;
    let payload_type = fields.number("pt")?.unwrap_or(0);
    let event = fields.option("event");
    let payload_bytes = fields.number("bytes")?.unwrap_or(if payload_type == 13 {
        1
    } else if event.is_some() {
        4
    } else {
        u16::try_from(ptime_ms * 8).unwrap_or(0)
    });
    let step_ns = i64::from(ptime_ms) * 1_000_000;
    let mut packets = Vec::new();
    let mut units = ptime_ms * rate / 1_000 + fields.number::<u32>("jump")?.unwrap_or(0) * rate;
    let count = (end_ns - start_ns) / step_ns.max(1);
    for n in 0..=count {
        let sent_ns = start_ns + n * step_ns;
        if pause.holds(n, sent_ns) {
            units += ptime_ms * rate / 1_000;
            continue;
        }
        packets.push(RtpPacket {
            at_ns: sent_ns + if n % 2 == 1 { jitter_ns } else { 0 },
            is_lost: lost.holds(n, sent_ns),
            payload_type,
            payload_bytes,
            timestamp_units: units,
            ttl: fields.number("ttl")?.unwrap_or(58),
            dscp: fields.number("dscp")?.unwrap_or(46),
            is_constant: fields.option("constant").is_some(),
            event: event.map(|end| (n == 0, n == count && end != "open")),
            is_restart: n == 0 && fields.option("restart").is_some(),
        });
        units = ptime_ms * rate / 1_000;
    }
    Ok(packets)
}

/// Which packets something happens to: `5%` (evenly) or `3.0..5.0` (in that time).
enum Gap {
    Never,
    EachNth(i64),
    Between(i64, i64),
}

impl Gap {
    fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Never) };
        if let Some(percent) =
            text.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()).filter(|p| (1..=100).contains(p))
        {
            return Ok(Self::EachNth(100 / percent));
        }
        let (from, to) = text.split_once("..").ok_or_else(|| format!("{text:?}: `5%` or `3.0..5.0`"))?;
        Ok(Self::Between(nanoseconds(from)?, nanoseconds(to)?))
    }

    fn holds(&self, n: i64, at_ns: i64) -> bool {
        match *self {
            Self::Never => false,
            Self::EachNth(nth) => n % nth == nth - 1,
            Self::Between(from, to) => (from..to).contains(&at_ns),
        }
    }
}

/// An RTP packet of a stream on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Arrival, from the start of the ladder.
    pub at_ns: i64,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Code point.
    pub dscp: u8,
    /// Header (RFC 3550 5.1) and payload.
    pub bytes: Vec<u8>,
}

/// A sender that restarts goes on with a sequence number so far off: no receiver takes it for loss (RFC 3550 A.1).
const RESTART_JUMP: u16 = 20_000;

/// The packets of one stream as bytes, in order of time; those lost have a number and never come.
pub fn datagrams(ssrc: u32, packets: &[RtpPacket]) -> Vec<Datagram> {
    // Neither zero nor the same for every stream, as RFC 3550 5.1 wants.
    let (mut sequence, mut timestamp) = (1_000_u16.wrapping_add(ssrc as u16), 16_000_u32.wrapping_mul(ssrc));
    let (mut event_began, mut datagrams) = (0, Vec::with_capacity(packets.len()));
    for (n, packet) in packets.iter().enumerate() {
        timestamp = timestamp.wrapping_add(if n == 0 { 0 } else { packet.timestamp_units });
        if packet.is_restart {
            sequence = sequence.wrapping_add(RESTART_JUMP);
        }
        // All packets of a telephone event carry the instant it began (RFC 4733 2.5.1.1).
        if packet.event.is_none_or(|(begins, _)| begins) {
            event_began = timestamp;
        }
        if !packet.is_lost {
            let marker = if n == 0 || packet.event.is_some_and(|(begins, _)| begins) { 0x80 } else { 0 };
            let mut bytes = vec![0x80, marker | packet.payload_type];
            bytes.extend(sequence.to_be_bytes());
            bytes.extend(if packet.event.is_some() { event_began } else { timestamp }.to_be_bytes());
            bytes.extend(ssrc.to_be_bytes());
            bytes.extend(payload(packet, sequence, timestamp.wrapping_sub(event_began)));
            datagrams.push(Datagram { at_ns: packet.at_ns, ttl: packet.ttl, dscp: packet.dscp, bytes });
        }
        sequence = sequence.wrapping_add(1);
    }
    // Stable: a packet that jitter delays may come behind its successor.
    datagrams.sort_by_key(|d| d.at_ns);
    datagrams
}

/// Speech that no two packets have in common, the same bytes again and again, or the four bytes of RFC 4733 2.3.
fn payload(packet: &RtpPacket, sequence: u16, event_units: u32) -> Vec<u8> {
    if let Some((_, ends)) = packet.event {
        let [.., high, low] = event_units.to_be_bytes();
        return vec![5, if ends { 0x8a } else { 0x0a }, high, low];
    }
    let varies = if packet.is_constant { 0 } else { u32::from(sequence) };
    (0..u32::from(packet.payload_bytes))
        .map(|i| (i.wrapping_mul(7).wrapping_add(varies.wrapping_mul(31)) >> 1) as u8)
        .collect()
}

/// The reports of one stream, in order of time. `end_ns` is the end of the capture, where what is left is reported.
pub fn reports(key: StreamKey, base: Timestamp, packets: &[RtpPacket], end_ns: i64) -> Vec<(i64, StreamCounters)> {
    let mut account = Account::new(key, base);
    let mut reports = Vec::new();
    let mut tick_ns = SECOND_NS;
    for packet in packets.iter().filter(|p| p.at_ns <= end_ns) {
        while tick_ns <= packet.at_ns {
            reports.extend(account.sweep(tick_ns));
            tick_ns += SECOND_NS;
        }
        reports.extend(account.take(packet));
    }
    while tick_ns <= end_ns {
        reports.extend(account.sweep(tick_ns));
        tick_ns += SECOND_NS;
    }
    if account.has_news() {
        reports.push((end_ns, account.counters));
    }
    reports
}

/// Counters of a stream as they grow.
struct Account {
    base: Timestamp,
    counters: StreamCounters,
    last_ns: i64,
    reported_ns: Option<i64>,
    jitter_ns: [f64; CLOCK_RATES_HZ.len()],
    lost_before: u16,
    units_before: u32,
}

impl Account {
    fn new(key: StreamKey, base: Timestamp) -> Self {
        let counters = StreamCounters {
            key,
            first_at: base,
            last_at: base,
            in_sequence: false,
            packets: 0,
            bytes: 0,
            expected: 0,
            lost: 0,
            late: 0,
            duplicates: 0,
            loss_runs: 0,
            restarts: 0,
            gap_max_ns: 0,
            jitter: [Jitter::default(); CLOCK_RATES_HZ.len()],
            first_rtp_timestamp: 0,
            rtp_timestamp_units: 0,
            payload_type: 0,
            payload_types: [0; 2],
            ttl_min: u8::MAX,
            ttl_max: 0,
            dscp: 0,
            same_payload: 0,
            type_run: 0,
            events: 0,
            events_ended: 0,
            payload_bytes: 0,
            last_sequence: 0,
        };
        Self { base, counters, last_ns: 0, reported_ns: None, jitter_ns: [0.0; 6], lost_before: 0, units_before: 0 }
    }

    fn take(&mut self, packet: &RtpPacket) -> Option<(i64, StreamCounters)> {
        self.units_before += packet.timestamp_units;
        if packet.is_lost {
            self.lost_before += 1;
            return None;
        }
        let now = self.base + std::time::Duration::from_nanos(packet.at_ns.unsigned_abs());
        let c = &mut self.counters;
        if c.packets == 0 {
            c.first_at = now;
            c.last_sequence = 0;
            c.expected = 1;
        } else {
            let gap_ns = packet.at_ns - self.last_ns;
            c.gap_max_ns = c.gap_max_ns.max(gap_ns.unsigned_abs());
            c.last_sequence = c.last_sequence.wrapping_add(1 + self.lost_before);
            c.expected += 1 + u64::from(self.lost_before);
            c.lost += u64::from(self.lost_before);
            c.loss_runs += u64::from(self.lost_before > 0);
            c.in_sequence |= self.lost_before == 0;
            c.rtp_timestamp_units += u64::from(self.units_before);
            for ((jitter, estimate), rate) in c.jitter.iter_mut().zip(&mut self.jitter_ns).zip(CLOCK_RATES_HZ) {
                let wanted_ns = f64::from(self.units_before) * 1e9 / f64::from(rate);
                *estimate += ((gap_ns as f64 - wanted_ns).abs() - *estimate) / 16.0;
                jitter.last_ns = *estimate as u32;
                jitter.max_ns = jitter.max_ns.max(jitter.last_ns);
                jitter.sum_ns += u64::from(jitter.last_ns);
                jitter.samples += 1;
            }
        }
        self.lost_before = 0;
        self.units_before = 0;
        self.last_ns = packet.at_ns;
        c.last_at = now;
        c.packets += 1;
        c.bytes += 12 + u64::from(packet.payload_bytes);
        c.ttl_min = c.ttl_min.min(packet.ttl);
        c.ttl_max = c.ttl_max.max(packet.ttl);
        c.dscp = packet.dscp;
        c.type_run =
            if c.packets > 1 && packet.payload_type == c.payload_type { c.type_run.saturating_add(1) } else { 0 };
        c.events += u16::from(packet.event.is_some_and(|(begins, _)| begins));
        c.events_ended += u16::from(packet.event.is_some_and(|(_, ends)| ends));
        c.restarts += u32::from(packet.is_restart);
        c.payload_type = packet.payload_type;
        c.payload_bytes = packet.payload_bytes;
        c.same_payload = if packet.is_constant { c.same_payload + 1 } else { 0 };
        let word = &mut c.payload_types[usize::from(packet.payload_type / 64)];
        let bit = 1 << (packet.payload_type % 64);
        let is_new_type = *word & bit == 0;
        *word |= bit;
        let is_due = self.reported_ns.is_none_or(|at| is_new_type || packet.at_ns - at >= SECOND_NS);
        (self.counters.in_sequence && is_due).then(|| self.report(packet.at_ns))
    }

    fn sweep(&mut self, now_ns: i64) -> Option<(i64, StreamCounters)> {
        (self.has_news() && now_ns - self.last_ns >= SECOND_NS).then(|| self.report(now_ns))
    }

    fn has_news(&self) -> bool {
        self.counters.packets > 0 && self.reported_ns.is_none_or(|at| at < self.last_ns)
    }

    fn report(&mut self, now_ns: i64) -> (i64, StreamCounters) {
        self.reported_ns = Some(now_ns);
        (now_ns, self.counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_engine::packet::Direction;

    fn key() -> StreamKey {
        let (src, dst) = ("192.0.2.1:4000".parse().unwrap(), "192.0.2.2:5000".parse().unwrap());
        StreamKey { src, dst, ssrc: 1, direction: Direction::In }
    }

    #[test]
    fn a_stream_reports_at_its_second_packet_each_second_and_when_it_is_quiet() {
        let fields = Fields::parse_with("ptime=20", &OPTIONS).unwrap();
        let packets = packets(0, 2_500_000_000, &fields).unwrap();
        let reports = reports(key(), Timestamp::ZERO, &packets, 5_000_000_000);
        let times: Vec<i64> = reports.iter().map(|(at, _)| at / 1_000_000).collect();
        assert_eq!(times, [20, 1_020, 2_020, 4_000]);
        assert_eq!(reports.last().unwrap().1.packets, 126);
    }

    #[test]
    fn what_is_lost_leaves_a_hole_in_the_numbers_and_what_is_paused_one_in_the_timestamps() {
        let of = |options: &str| {
            let fields = Fields::parse_with(options, &OPTIONS).unwrap();
            datagrams(7, &packets(0, 3_000_000_000, &fields).unwrap())
        };
        let sequence = |d: &Datagram| u16::from_be_bytes([d.bytes[2], d.bytes[3]]);
        let timestamp = |d: &Datagram| u32::from_be_bytes([d.bytes[4], d.bytes[5], d.bytes[6], d.bytes[7]]);
        let (lossy, paused) = (of("lose=1.0..2.0"), of("pause=1.0..2.0"));
        assert_eq!((lossy.len(), paused.len()), (101, 101));
        let span = |d: &[Datagram]| (sequence(&d[100]) - sequence(&d[0]), timestamp(&d[100]) - timestamp(&d[0]));
        assert_eq!(span(&lossy), (150, 24_000));
        assert_eq!(span(&paused), (100, 24_000));
    }

    #[test]
    fn lost_packets_are_expected_and_a_pause_is_not() {
        let lossy = Fields::parse_with("lose=1.0..2.0", &OPTIONS).unwrap();
        let last = |fields: &Fields| {
            let packets = packets(0, 3_000_000_000, fields).unwrap();
            reports(key(), Timestamp::ZERO, &packets, 9_000_000_000).last().unwrap().1
        };
        assert_eq!((last(&lossy).packets, last(&lossy).expected, last(&lossy).lost), (101, 151, 50));
        let paused = Fields::parse_with("pause=1.0..2.0", &OPTIONS).unwrap();
        assert_eq!((last(&paused).packets, last(&paused).expected, last(&paused).lost), (101, 101, 0));
        assert_eq!(last(&paused).jitter[0].max_ns, 0, "timestamps go on in a pause");
    }
}
