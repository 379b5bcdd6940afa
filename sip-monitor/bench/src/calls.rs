//! Complete calls of seven messages with SDP, and reports about their two streams, in virtual time and in the order of time: one
//! call begins each tick, and every later step of it comes a fixed number of ticks after. The bytes are made once; only numbers in
//! them change.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_monitor_engine::Timestamp;
use sip_monitor_engine::packet::{Body, Direction, Jitter, Packet, StreamCounters, StreamKey};

/// Messages of a call.
pub const MESSAGES: u32 = 7;
/// Pairs of ports that one media address has for the calls.
const PORTS: u32 = 20_000;
const BEGIN_NS: i64 = 1_700_000_000_000_000_000;

/// The time of calls.
#[derive(Clone, Copy)]
pub struct Pace {
    /// One call begins each so many nanoseconds.
    pub tick_ns: i64,
    /// Between two messages of its setup, and of its end.
    pub step_ns: i64,
    /// From the INVITE to the BYE at the least.
    pub lasts_ns: i64,
    /// Calls of one length are a finding: they last up to `2 << spread` ticks longer, each call another time.
    pub spread: u32,
    /// Reports about each of its two streams from the ACK on, at the most: as long as it is up.
    pub reports: u32,
    /// Between two of them.
    pub report_ns: i64,
}

impl Pace {
    /// Calls that are up at a time.
    pub const fn concurrent(self) -> u32 {
        (self.lasts_ns / self.tick_ns) as u32 + (1 << self.spread)
    }
}

/// The messages of a call; its number stands in them as eight digits wherever `00000000` does.
pub struct Calls {
    pace: Pace,
    setup: Vec<Template>,
    teardown: Vec<Template>,
    caller: SocketAddr,
    callee: SocketAddr,
    ip_id: u32,
}

struct Template {
    bytes: Vec<u8>,
    /// Where the number of the call stands.
    numbers: Vec<usize>,
    /// Where the last three digits of the media address and the port stand, where it carries SDP.
    media: Option<(Vec<usize>, usize)>,
    is_request: bool,
}

impl Calls {
    pub fn new(pace: Pace) -> Self {
        let message = |start: &str, branch: &str, cseq: &str, tag: &str, more: &str, body: &str| {
            let text = format!(
                "{start}\r\nVia: SIP/2.0/UDP 198.51.100.4:5060;branch=z9hG4bK-00000000-{branch};rport\r\nMax-Forwards: 70\r\n\
                 From: \"Alice Smith\" <sip:+15500000000@198.51.100.4;user=phone>;tag=a00000000\r\n\
                 To: <sip:+15551230002@203.0.113.7;user=phone>{tag}\r\nCall-ID: 38482762-00000000@198.51.100.4\r\n\
                 CSeq: {cseq}\r\nUser-Agent: ExamplePBX 18.4.0\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY\r\n\
                 Supported: replaces, timer\r\n{more}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            Template::new(text, !start.starts_with("SIP/2.0"))
        };
        let (tag, invite) = (";tag=b00000000", "1 INVITE");
        let caller = "Contact: <sip:+15500000000@198.51.100.4:5060>\r\nContent-Type: application/sdp\r\n";
        let callee = "Contact: <sip:bob@203.0.113.7:5060>\r\nContent-Type: application/sdp\r\n";
        let setup = vec![
            message("INVITE sip:+15551230002@203.0.113.7 SIP/2.0", "i", invite, "", caller, &sdp("198.51.100")),
            message("SIP/2.0 100 Trying", "i", invite, "", "", ""),
            message("SIP/2.0 180 Ringing", "i", invite, tag, "Contact: <sip:bob@203.0.113.7:5060>\r\n", ""),
            message("SIP/2.0 200 OK", "i", invite, tag, callee, &sdp("203.0.113")),
            message("ACK sip:bob@203.0.113.7:5060 SIP/2.0", "k", "1 ACK", tag, "", ""),
        ];
        let teardown = vec![
            message("BYE sip:bob@203.0.113.7:5060 SIP/2.0", "b", "2 BYE", tag, "", ""),
            message("SIP/2.0 200 OK", "b", "2 BYE", tag, "", ""),
        ];
        let signalling = |ip: [u8; 4]| SocketAddr::new(Ipv4Addr::from(ip).into(), 5060);
        Self {
            pace,
            setup,
            teardown,
            caller: signalling([198, 51, 100, 4]),
            callee: signalling([203, 0, 113, 7]),
            ip_id: 0,
        }
    }

    /// Addresses of the host that is called.
    pub fn local() -> Vec<IpAddr> {
        let media = (100..=255).map(|last| Ipv4Addr::new(203, 0, 113, last).into());
        core::iter::once(Ipv4Addr::new(203, 0, 113, 7).into()).chain(media).collect()
    }

    /// All that happens in one tick: call `tick` begins, those before it go on and end. `take` gets each packet.
    pub fn run(&mut self, tick: u32, take: &mut impl FnMut(Timestamp, &Packet<'_>)) {
        let now = i64::from(tick) * self.pace.tick_ns;
        let mut setup = std::mem::take(&mut self.setup);
        for (step, template) in setup.iter_mut().enumerate() {
            if let Some(call) = self.call_after(tick, step as i64 * self.pace.step_ns) {
                self.send(now, template, call, take);
            }
        }
        let up_ns = setup.len() as i64 * self.pace.step_ns;
        self.setup = setup;
        for age_ns in (0..i64::from(self.pace.reports)).map(|report| report * self.pace.report_ns) {
            if let Some(call) = self.call_after(tick, up_ns + age_ns).filter(|call| tick < self.ends_at(*call)) {
                self.report(now, call, age_ns, take);
            }
        }
        let mut teardown = std::mem::take(&mut self.teardown);
        for (step, template) in teardown.iter_mut().enumerate() {
            if let Some(call) = self.call_to_end(tick, step as i64 * self.pace.step_ns) {
                self.send(now, template, call, take);
            }
        }
        self.teardown = teardown;
    }

    /// The first `count` calls go on after the last of them has begun: both streams of each are reported once a second.
    pub fn go_on(&self, count: u32, seconds: u32, take: &mut impl FnMut(Timestamp, &Packet<'_>)) {
        for second in 1..=seconds {
            let now = i64::from(count) * self.pace.tick_ns + i64::from(second) * 1_000_000_000;
            (0..count).for_each(|call| self.report(now, call, now - i64::from(call) * self.pace.tick_ns, take));
        }
    }

    /// Which call is `age_ns` old in a tick.
    fn call_after(&self, tick: u32, age_ns: i64) -> Option<u32> {
        tick.checked_sub(u32::try_from(age_ns / self.pace.tick_ns).ok()?)
    }

    /// Which call hung up `ago_ns` before a tick.
    fn call_to_end(&self, tick: u32, ago_ns: i64) -> Option<u32> {
        let place = self.call_after(tick, self.pace.lasts_ns + ago_ns)?.checked_sub(1 << self.pace.spread)?;
        Some(self.exchanged(place))
    }

    /// The tick in which a call hangs up.
    fn ends_at(&self, call: u32) -> u32 {
        let least = u32::try_from(self.pace.lasts_ns / self.pace.tick_ns).unwrap_or(u32::MAX);
        self.exchanged(call).saturating_add(least).saturating_add(1 << self.pace.spread)
    }

    /// Calls that began in one run of ticks end in another order: which goes in whose place, and the other way round.
    fn exchanged(&self, call: u32) -> u32 {
        let place = call % (1 << self.pace.spread);
        call - place + place.reverse_bits().checked_shr(u32::BITS - self.pace.spread).unwrap_or(0)
    }

    fn send(&mut self, now: i64, template: &mut Template, call: u32, take: &mut impl FnMut(Timestamp, &Packet<'_>)) {
        self.ip_id = self.ip_id % 0xffff + 1;
        let (src, dst, direction) = if template.is_request {
            (self.caller, self.callee, Direction::In)
        } else {
            (self.callee, self.caller, Direction::Out)
        };
        template.fill(call);
        let time = Timestamp::from_unix_ns(BEGIN_NS + now);
        let body = Body::Udp(&template.bytes);
        take(time, &Packet { time, link: 0, direction, src, dst, ip_id: self.ip_id, ttl: 64, dscp: 0, body });
    }

    /// Both streams of a call, `age_ns` after they began.
    fn report(&self, now: i64, call: u32, age_ns: i64, take: &mut impl FnMut(Timestamp, &Packet<'_>)) {
        for (ssrc, from_caller) in [(2 * call, true), (2 * call + 1, false)] {
            let (host, port) = media_end(call);
            let caller = SocketAddr::new(Ipv4Addr::new(198, 51, 100, host).into(), port);
            let callee = SocketAddr::new(Ipv4Addr::new(203, 0, 113, host).into(), port);
            let (src, dst, direction) =
                if from_caller { (caller, callee, Direction::In) } else { (callee, caller, Direction::Out) };
            let key = StreamKey { src, dst, ssrc, direction };
            let time = Timestamp::from_unix_ns(BEGIN_NS + now);
            let counters = stream(key, time, age_ns);
            let body = Body::Stream(&counters);
            take(time, &Packet { time, link: 0, direction, src, dst, ip_id: 0, ttl: 60, dscp: 46, body });
        }
    }
}

/// Last octet of the media addresses of a call, and their port.
fn media_end(call: u32) -> (u8, u16) {
    ((100 + call / PORTS % 100) as u8, (16_384 + 2 * (call % PORTS)) as u16)
}

fn sdp(network: &str) -> String {
    format!(
        "v=0\r\no=- 1821 1821 IN IP4 {network}.999\r\ns=call\r\nc=IN IP4 {network}.999\r\nt=0 0\r\nm=audio 99999 RTP/AVP 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// A stream without fault that has run for `age_ns` at 50 packets a second.
fn stream(key: StreamKey, last_at: Timestamp, age_ns: i64) -> StreamCounters {
    let packets = 5 + u64::try_from(age_ns).unwrap_or(0) / 20_000_000;
    StreamCounters {
        key,
        first_at: Timestamp::from_unix_ns(last_at.unix_ns() - age_ns),
        last_at,
        in_sequence: true,
        packets,
        bytes: packets * 172,
        expected: packets,
        lost: 0,
        late: 0,
        duplicates: 0,
        loss_runs: 0,
        restarts: 0,
        gap_max_ns: 20_000_000,
        jitter: [Jitter::default(); 6],
        first_rtp_timestamp: 0,
        rtp_timestamp_units: packets * 160,
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
        last_sequence: packets as u16,
    }
}

impl Template {
    fn new(text: String, is_request: bool) -> Self {
        let bytes = text.into_bytes();
        let find = |what: &[u8]| (0..bytes.len()).filter(|at| bytes[*at..].starts_with(what)).collect::<Vec<_>>();
        let ports = find(b" 99999 ");
        let media = ports.first().map(|port| (find(b".999\r\n"), port + 1));
        let numbers = find(b"00000000");
        Self { numbers, media, is_request, bytes }
    }

    fn fill(&mut self, call: u32) {
        for at in &self.numbers {
            digits(&mut self.bytes[*at..*at + 8], call);
        }
        let (host, port) = media_end(call);
        if let Some((hosts, at)) = &self.media {
            hosts.iter().for_each(|host_at| digits(&mut self.bytes[*host_at + 1..*host_at + 4], host.into()));
            digits(&mut self.bytes[*at..*at + 5], port.into());
        }
    }
}

fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
