//! The kernel programs' twin in user space: the same rules of `sip-monitor-common`, with a hash map and a vector in place
//! of maps and rings. Replay runs on it.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use sip_monitor_common::{
    Class, Counter, Direction, Kind, PortSet, RecordHeader, Report, RtpPacket, StreamKey, StreamRecord, account,
    classify::{self, Seen},
    limits::{DEFAULT_MAX_STREAMS, PART_BYTES},
    link::{self, NetworkLayer},
    stream,
};

use super::{
    counters::Counters,
    record::Record,
    sweep::{Fate, Sweeper},
};

/// Settings of a [`SoftKernel`].
#[derive(Clone, Debug)]
pub struct SoftKernelConfig {
    /// Ports whose UDP and TCP is SIP, whatever it looks like.
    pub sip_ports: Vec<u16>,
    /// Streams held before the oldest are evicted.
    pub max_streams: usize,
    /// Whether a stream seen on several interfaces is one stream. Capture files of one host with several interfaces hold
    /// one call in pieces; the kernel keeps them apart, since there a bridge and its port see every packet twice.
    pub merge_links: bool,
    /// Seed of the stream table's hash.
    pub seed: u64,
}

impl Default for SoftKernelConfig {
    fn default() -> Self {
        Self { sip_ports: vec![5060], max_streams: DEFAULT_MAX_STREAMS as usize, merge_links: true, seed: 0x5e1f }
    }
}

/// A frame as it comes from a capture file.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    time_ns: u64,
    ifindex: u32,
    direction: Direction,
    vlan: u16,
    /// From the IP header on.
    bytes: &'a [u8],
}

/// See the module.
#[derive(Debug)]
pub struct SoftKernel {
    config: SoftKernelConfig,
    ports: Box<PortSet>,
    streams: HashMap<StreamKey, StreamRecord, FixedState>,
    sweeper: Sweeper<FixedState>,
    counters: Counters,
    evicted: u64,
}

impl SoftKernel {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(config: SoftKernelConfig) -> Self {
        let hasher = FixedState::with_seed(config.seed);
        Self {
            ports: Box::new(config.sip_ports.iter().copied().collect()),
            streams: HashMap::with_hasher(hasher.clone()),
            sweeper: Sweeper::new(hasher),
            counters: Counters::default(),
            evicted: 0,
            config,
        }
    }

    /// Takes one packet from its IP header on and appends what the kernel programs would have put into their rings.
    pub fn handle_frame(&mut self, time_ns: u64, ifindex: u32, direction: Direction, l3: &[u8], out: &mut Vec<Record>) {
        self.handle(Frame { time_ns, ifindex, direction, vlan: 0, bytes: l3 }, out);
    }

    /// Takes one Ethernet frame.
    pub fn handle_ethernet(
        &mut self,
        time_ns: u64,
        ifindex: u32,
        direction: Direction,
        frame: &[u8],
        out: &mut Vec<Record>,
    ) {
        let mut layer = NetworkLayer::default();
        match link::ethernet(frame, &mut layer) {
            Ok(()) => {
                let bytes = frame.get(layer.offset..).unwrap_or_default();
                self.handle(Frame { time_ns, ifindex, direction, vlan: layer.vlan, bytes }, out);
            }
            Err(reason) => {
                self.counters.add(Counter::Received, 1);
                self.counters.add(reason, 1);
            }
        }
    }

    fn handle(&mut self, frame: Frame<'_>, out: &mut Vec<Record>) {
        self.counters.add(Counter::Received, 1);
        let seen = match classify::classify(frame.bytes, 0, 0, |port| self.ports.contains(port)) {
            Ok(seen) => seen,
            Err(reason) => return self.counters.add(reason, 1),
        };
        let (kind, counter) = match seen.class {
            Class::Rtp => return self.account(&frame, &seen, out),
            Class::Sip => (Kind::Sip, Counter::ReportedSip),
            Class::SipTcp => (Kind::SipTcp, Counter::ReportedSipTcp),
            Class::Fragment => (Kind::Fragment, Counter::ReportedFragment),
            Class::Icmp => (Kind::Icmp, Counter::ReportedIcmp),
            Class::Rtcp => (Kind::Rtcp, Counter::ReportedRtcp),
        };
        self.counters.add(counter, 1);
        let packet = frame.bytes.get(seen.ip_offset..).unwrap_or_default();
        let bytes = packet.get(..seen.ip.total).unwrap_or(packet);
        for (i, part) in bytes.chunks(PART_BYTES).enumerate() {
            let header = RecordHeader {
                total: bytes.len() as u32,
                offset: (i * PART_BYTES) as u32,
                len: part.len() as u32,
                ..header(&frame, kind)
            };
            out.push(Record::Bytes { header, bytes: part.to_vec() });
        }
    }

    fn account(&mut self, frame: &Frame<'_>, seen: &Seen, out: &mut Vec<Record>) {
        self.counters.add(Counter::AccountedRtp, 1);
        let key = StreamKey {
            src: seen.ip.src,
            dst: seen.ip.dst,
            src_port: seen.src_port,
            dst_port: seen.dst_port,
            ssrc: seen.rtp.ssrc,
            ifindex: if self.config.merge_links { 0 } else { frame.ifindex },
            direction: frame.direction as u32,
        };
        let packet = RtpPacket::new(frame.time_ns, seen.payload_len, &seen.rtp, &seen.ip);
        if let Some(record) = self.streams.get_mut(&key) {
            if account(&mut record.state, &packet) == Report::Due {
                self.counters.add(Counter::StreamReports, 1);
                record.header.ktime_ns = frame.time_ns;
                out.push(Record::Stream(Box::new(*record)));
            }
            return;
        }
        if self.streams.len() >= self.config.max_streams {
            self.evict();
        }
        self.counters.add(Counter::StreamsOpened, 1);
        let mut record = StreamRecord { header: stream_header(frame), key, ..StreamRecord::default() };
        stream::start(&mut record.state, &packet);
        self.streams.insert(key, record);
    }

    /// Drops the sixteenth of the streams that has been quiet for longest, so that the search is rare.
    fn evict(&mut self) {
        let mut ages: Vec<(u64, StreamKey)> = self.streams.iter().map(|(key, r)| (r.state.last_ns, *key)).collect();
        let n = (ages.len() / 16).max(1).min(ages.len());
        if n < ages.len() {
            ages.select_nth_unstable(n);
        }
        for (_, key) in &ages[..n] {
            self.streams.remove(key);
        }
        self.evicted += n as u64;
    }

    /// What the daemon does once a second: reports the streams that went quiet, forgets those quiet for long.
    pub fn sweep(&mut self, time_ns: u64, out: &mut Vec<Record>) {
        let begin = out.len();
        self.streams.retain(|key, record| match self.sweeper.judge(time_ns, key, &record.state) {
            Fate::Keep => true,
            Fate::Forget => false,
            Fate::Report => {
                out.push(Record::Stream(Box::new(swept(record, time_ns))));
                true
            }
        });
        self.sweeper.finish();
        sort_streams(&mut out[begin..]);
    }

    /// Reports every stream that has counted packets since its last report: the end of a capture.
    pub fn flush(&mut self, out: &mut Vec<Record>) {
        let begin = out.len();
        let end_ns = self.streams.values().map(|r| r.state.last_ns).max().unwrap_or(0);
        for (key, record) in &self.streams {
            if self.sweeper.has_news(key, &record.state) {
                out.push(Record::Stream(Box::new(swept(record, end_ns))));
            }
        }
        sort_streams(&mut out[begin..]);
    }

    /// What was counted, under the same names as in the kernel.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Streams evicted because the table was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// A report made outside the packet path carries the time of the sweep: records go up in time order.
pub(super) fn swept(record: &StreamRecord, time_ns: u64) -> StreamRecord {
    let mut report = *record;
    report.header.ktime_ns = time_ns;
    report
}

/// Reports of one instant go up by when the stream began, then by key.
pub(super) fn sort_streams(records: &mut [Record]) {
    records.sort_by_key(|record| match record {
        Record::Stream(r) => (r.state.first_ns, r.key),
        Record::Bytes { header, .. } => (header.ktime_ns, StreamKey::default()),
    });
}

fn header(frame: &Frame<'_>, kind: Kind) -> RecordHeader {
    RecordHeader {
        ktime_ns: frame.time_ns,
        ifindex: frame.ifindex,
        vlan: frame.vlan,
        kind: kind as u8,
        direction: frame.direction as u8,
        ..RecordHeader::default()
    }
}

fn stream_header(frame: &Frame<'_>) -> RecordHeader {
    let len = (size_of::<StreamRecord>() - size_of::<RecordHeader>()) as u32;
    RecordHeader { total: len, len, ..header(frame, Kind::Stream) }
}
