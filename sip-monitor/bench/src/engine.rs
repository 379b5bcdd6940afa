//! Messages a second through the whole engine on one core, and what a live call costs in memory.
//!
//! Complete calls of seven messages with SDP and media reports both ways, every diagnosis on, in virtual time: a hundred
//! calls begin each second and last eight, so that calls come up, are looked at by their timers, end and are forgotten while
//! others go on. The bytes are made before the clock starts to run; only numbers in them change.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sip_monitor_engine::config::{EngineConfig, MediaSight, Thresholds};
use sip_monitor_engine::packet::{Body, Direction, Jitter, Packet, StreamCounters, StreamKey};
use sip_monitor_engine::{Engine, Timestamp};

const CALLS: u32 = 30_000;
const ROUNDS: usize = 3;
const LIVE_CALLS: u32 = 10_000;
const BETWEEN_CALLS_NS: i64 = 10_000_000;
const CALL_LASTS: u32 = 800;
const MESSAGES_PER_CALL: u32 = 7;

/// Prints the measures. Targets: 1,000,000 messages a second, 25 us a call, 4 KB a live call.
pub fn run() {
    let best = (0..ROUNDS).map(|_| throughput()).min().unwrap_or(Duration::MAX);
    let seconds = best.as_secs_f64();
    let (calls, messages) = (f64::from(CALLS), f64::from(CALLS * MESSAGES_PER_CALL));
    println!(
        "engine: {:>10.0} messages/s on one core, {:.2} us a complete call (every diagnosis on)",
        messages / seconds,
        seconds * 1e6 / calls
    );
    match live_call_bytes() {
        Some(bytes) => println!("engine: {bytes:>10.0} bytes a live call, {LIVE_CALLS} of them up"),
        None => println!("engine: memory a live call: not measured, no /proc/self/statm"),
    }
}

/// Time this thread has had on a core: what others do on the machine does not count.
fn cpu_time() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = on_cpu.and_then(|text| text.split(' ').next().and_then(|ns| ns.parse().ok()));
    on_cpu.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// Processor time for all calls from their INVITE until they are forgotten.
fn throughput() -> Duration {
    let mut engine = engine();
    let mut script = Script::new();
    let start = cpu_time();
    for n in 0..CALLS {
        script.begin(&mut engine, n);
        if let Some(over) = n.checked_sub(CALL_LASTS) {
            script.end(&mut engine, over, n);
        }
        if let Some(output) = engine.poll_output() {
            panic!("a good call raised {:?}", black_box(output));
        }
    }
    cpu_time().saturating_sub(start)
}

fn live_call_bytes() -> Option<f64> {
    let mut engine = engine();
    let mut script = Script::new();
    // What the tables take at once is not a call's.
    script.begin(&mut engine, 0);
    let before = resident_bytes()?;
    for n in 1..=LIVE_CALLS {
        script.begin(&mut engine, n % 900 + n * 1000);
    }
    let after = resident_bytes()?;
    black_box(&engine);
    Some((after.saturating_sub(before)) as f64 / f64::from(LIVE_CALLS))
}

fn engine() -> Engine {
    let local = vec!["203.0.113.7".parse().expect("a literal")];
    let config = EngineConfig::default();
    // All calls come from one address, a hundred a second.
    let thresholds = Thresholds { invite_flood_per_second: u32::MAX, ..config.thresholds };
    Engine::new(EngineConfig { local, media_sight: MediaSight::Full, thresholds, ..config })
}

fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// The messages of one call; its number stands in them as eight digits wherever `00000000` does.
struct Script {
    setup: Vec<(Vec<u8>, Vec<usize>, bool)>,
    teardown: Vec<(Vec<u8>, Vec<usize>, bool)>,
    caller: SocketAddr,
    callee: SocketAddr,
    ip_id: u32,
}

impl Script {
    fn new() -> Self {
        let sdp = |addr: &str, port: &str| {
            format!(
                "v=0\r\no=- 1821 1821 IN IP4 {addr}\r\ns=call\r\nc=IN IP4 {addr}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n\
                 a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
            )
        };
        let message = |start: &str, branch: &str, cseq: &str, tag: &str, more: &str, body: &str| {
            let text = format!(
                "{start}\r\nVia: SIP/2.0/UDP 198.51.100.4:5060;branch=z9hG4bK-00000000-{branch};rport\r\nMax-Forwards: 70\r\n\
                 From: \"Alice Smith\" <sip:+15551230001@198.51.100.4;user=phone>;tag=a00000000\r\n\
                 To: <sip:+15551230002@203.0.113.7;user=phone>{tag}\r\nCall-ID: 38482762-00000000@198.51.100.4\r\n\
                 CSeq: {cseq}\r\nUser-Agent: ExamplePBX 18.4.0\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY\r\n\
                 Supported: replaces, timer\r\n{more}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let bytes = text.into_bytes();
            let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"00000000")).collect();
            (bytes, places, !start.starts_with("SIP/2.0"))
        };
        let (tag, invite) = (";tag=b00000000", "1 INVITE");
        let caller = "Contact: <sip:+15551230001@198.51.100.4:5060>\r\nContent-Type: application/sdp\r\n";
        let callee = "Contact: <sip:bob@203.0.113.7:5060>\r\nContent-Type: application/sdp\r\n";
        let setup = vec![
            message(
                "INVITE sip:+15551230002@203.0.113.7 SIP/2.0",
                "i",
                invite,
                "",
                caller,
                &sdp("198.51.100.4", "16428"),
            ),
            message("SIP/2.0 100 Trying", "i", invite, "", "", ""),
            message("SIP/2.0 180 Ringing", "i", invite, tag, "Contact: <sip:bob@203.0.113.7:5060>\r\n", ""),
            message("SIP/2.0 200 OK", "i", invite, tag, callee, &sdp("203.0.113.7", "20000")),
            message("ACK sip:bob@203.0.113.7:5060 SIP/2.0", "k", "1 ACK", tag, "", ""),
        ];
        let teardown = vec![
            message("BYE sip:bob@203.0.113.7:5060 SIP/2.0", "b", "2 BYE", tag, "", ""),
            message("SIP/2.0 200 OK", "b", "2 BYE", tag, "", ""),
        ];
        let addr = |text: &str| text.parse().expect("a literal");
        Self { setup, teardown, caller: addr("198.51.100.4:5060"), callee: addr("203.0.113.7:5060"), ip_id: 0 }
    }

    /// Setup of a call, and a report about each of its streams.
    fn begin(&mut self, engine: &mut Engine, number: u32) {
        let at = i64::from(number) * BETWEEN_CALLS_NS;
        let ports = [16_384 + 2 * (number % 20_000) as u16, 16_385 + 2 * (number % 20_000) as u16];
        let mut setup = std::mem::take(&mut self.setup);
        for (step, (bytes, places, is_request)) in setup.iter_mut().enumerate() {
            patch(bytes, places, number);
            patch_port(bytes, ports[usize::from(!*is_request)]);
            self.send(engine, at + step as i64 * 1_000_000, bytes, *is_request);
        }
        self.setup = setup;
        for (ssrc, from_caller) in [(2 * number, true), (2 * number + 1, false)] {
            self.report(engine, at + 6_000_000, at + 8_000_000_000, ssrc, ports, from_caller);
        }
    }

    fn end(&mut self, engine: &mut Engine, number: u32, now: u32) {
        let at = i64::from(now) * BETWEEN_CALLS_NS + 8_000_000;
        let mut teardown = std::mem::take(&mut self.teardown);
        for (step, (bytes, places, is_request)) in teardown.iter_mut().enumerate() {
            patch(bytes, places, number);
            self.send(engine, at + step as i64 * 100_000, bytes, *is_request);
        }
        self.teardown = teardown;
    }

    fn send(&mut self, engine: &mut Engine, at_ns: i64, bytes: &[u8], from_caller: bool) {
        self.ip_id = self.ip_id % 0xffff + 1;
        let (src, dst, direction) = if from_caller {
            (self.caller, self.callee, Direction::In)
        } else {
            (self.callee, self.caller, Direction::Out)
        };
        let time = Timestamp::from_unix_ns(1_700_000_000_000_000_000 + at_ns);
        let packet =
            Packet { time, link: 0, direction, src, dst, ip_id: self.ip_id, ttl: 64, dscp: 0, body: Body::Udp(bytes) };
        engine.handle_packet(time, &packet);
    }

    fn report(&self, engine: &mut Engine, at_ns: i64, last_ns: i64, ssrc: u32, ports: [u16; 2], from_caller: bool) {
        let at = |ns: i64| Timestamp::from_unix_ns(1_700_000_000_000_000_000 + ns);
        let ends = [SocketAddr::new(self.caller.ip(), ports[0]), SocketAddr::new(self.callee.ip(), ports[1])];
        let (src, dst, direction) =
            if from_caller { (ends[0], ends[1], Direction::In) } else { (ends[1], ends[0], Direction::Out) };
        let counters = StreamCounters {
            key: StreamKey { src, dst, ssrc, direction },
            first_at: at(at_ns),
            last_at: at(last_ns),
            in_sequence: true,
            packets: 400,
            bytes: 400 * 172,
            expected: 400,
            lost: 0,
            late: 0,
            duplicates: 0,
            loss_runs: 0,
            restarts: 0,
            gap_max_ns: 20_000_000,
            jitter: [Jitter::default(); 6],
            first_rtp_timestamp: 0,
            rtp_timestamp_units: 64_000,
            payload_type: 0,
            payload_types: [1, 0],
            ttl_min: 60,
            ttl_max: 60,
            dscp: 46,
            same_payload: 0,
            type_run: 0,
            events: 0,
            events_ended: 0,
            payload_bytes: 160,
            last_sequence: 400,
        };
        let packet = Packet {
            time: at(at_ns),
            link: 0,
            direction,
            src,
            dst,
            ip_id: 0,
            ttl: 60,
            dscp: 46,
            body: Body::Stream(&counters),
        };
        engine.handle_packet(at(at_ns), &packet);
    }
}

fn patch(bytes: &mut [u8], places: &[usize], number: u32) {
    let mut digits = [b'0'; 8];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    for at in places {
        bytes[*at..*at + 8].copy_from_slice(&digits);
    }
}

/// Puts the media port of the call into its SDP.
fn patch_port(bytes: &mut [u8], port: u16) {
    let Some(at) = bytes.windows(8).position(|w| w == b"m=audio ") else { return };
    let text = port.to_string();
    bytes[at + 8..at + 8 + text.len()].copy_from_slice(text.as_bytes());
}
