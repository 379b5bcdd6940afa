//! From a ladder to the packets that the engine gets, in order of time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sip_monitor_engine::packet::{
    Body, CaptureLoss, Direction, IcmpError, KernelDrop, Packet, StreamCounters, StreamKey,
};
use sip_monitor_engine::peer::Trunk;
use sip_monitor_engine::{EngineConfig, Timestamp};

use super::field::Fields;
use super::line::{Line, What};
use super::markdown::Scenario;
use super::sip::Calls;
use super::{Result, drops, rtcp, rtp, tcp};

/// Time 0 of every ladder: 2026-11-20T10:00:00Z.
pub const BASE: Timestamp = Timestamp::from_unix_ns(1_795_168_800_000_000_000);

/// Calls that one use of a part may hold.
const CALLS_PER_USE: u32 = 10;

/// A packet captured twice comes so much later the second time.
const DUPLICATE_DELAY_NS: i64 = 20_000;

/// A packet that owns what it carries.
#[derive(Clone, Debug)]
pub struct Event {
    /// From the start of the ladder.
    pub at_ns: i64,
    direction: Direction,
    src: SocketAddr,
    dst: SocketAddr,
    ip_id: u32,
    ttl: u8,
    payload: Payload,
}

#[derive(Clone, Debug)]
enum Payload {
    Udp(Vec<u8>),
    Cut(Vec<u8>),
    Rtcp(Vec<u8>),
    Tcp(tcp::Segment),
    Incomplete(tcp::Fragments),
    Icmp(IcmpError),
    Drop(KernelDrop),
    Stream(Box<StreamCounters>),
    Loss(CaptureLoss),
}

impl Event {
    /// As the engine takes it.
    pub fn packet(&self) -> Packet<'_> {
        Packet {
            time: at(self.at_ns),
            link: 0,
            direction: self.direction,
            src: self.src,
            dst: self.dst,
            ip_id: self.ip_id,
            ttl: self.ttl,
            dscp: 0,
            body: match &self.payload {
                Payload::Udp(bytes) => Body::Udp(bytes),
                Payload::Cut(bytes) => Body::Cut(bytes),
                Payload::Rtcp(bytes) => Body::Rtcp(bytes),
                Payload::Tcp(segment) => Body::Tcp(segment.body()),
                Payload::Incomplete(fragments) => Body::Incomplete(fragments.body(at(self.at_ns))),
                Payload::Icmp(error) => Body::Icmp(*error),
                Payload::Drop(drop) => Body::Drop(*drop),
                Payload::Stream(counters) => Body::Stream(counters),
                Payload::Loss(loss) => Body::CaptureLoss(*loss),
            },
        }
    }
}

/// A point in time of a ladder.
pub fn at(ns: i64) -> Timestamp {
    BASE + Duration::from_nanos(ns.unsigned_abs())
}

/// What a ladder means.
#[derive(Debug)]
pub struct Script {
    /// In order of time.
    pub events: Vec<Event>,
    /// Where the capture ends, if the ladder says so.
    pub end_ns: Option<i64>,
    /// The RTP packets behind the stream reports among the events, in order of time.
    pub media: Vec<(StreamKey, Vec<rtp::RtpPacket>)>,
    /// The kernel is watched, which is so live only.
    drops_watched: bool,
}

impl Script {
    /// Why no capture file can hold it, where that is so.
    pub fn beyond_a_capture(&self) -> Option<&'static str> {
        if self.drops_watched {
            return Some("that a kernel dropped nothing is in no capture file");
        }
        self.events.iter().find_map(|event| match event.payload {
            Payload::Drop(_) => Some("a kernel's drop reasons are in no capture file"),
            Payload::Loss(_) => Some("what the monitor itself lost is in no capture file"),
            Payload::Udp(_)
            | Payload::Cut(_)
            | Payload::Rtcp(_)
            | Payload::Tcp(_)
            | Payload::Incomplete(_)
            | Payload::Icmp(_)
            | Payload::Stream(_) => None,
        })
    }

    /// Where the capture ends.
    pub fn last_ns(&self) -> i64 {
        self.end_ns.unwrap_or_else(|| self.events.iter().map(|e| e.at_ns).max().unwrap_or(0))
    }
}

/// Reads the ladder of a scenario.
pub fn compile(scenario: &Scenario) -> Result<Script> {
    let mut compiler = Compiler {
        scenario,
        calls: Calls::default(),
        events: Vec::new(),
        streams: BTreeMap::new(),
        last_ns: 0,
        end_ns: None,
        next_ip_id: 1,
        shift_ns: 0,
        next_offset: 0,
    };
    for (number, text) in &scenario.ladder {
        compiler.line(text).map_err(|e| format!("line {number}: {e}"))?;
    }
    compiler.finish()
}

/// The UDP payloads of a scenario.
pub fn datagrams(scenario: &Scenario) -> Vec<Vec<u8>> {
    let script = compile(scenario).unwrap_or_else(|e| panic!("{}: {e}", scenario.place));
    let payloads = script.events.into_iter().filter_map(|event| match event.payload {
        Payload::Udp(bytes) => Some(bytes),
        Payload::Cut(_)
        | Payload::Rtcp(_)
        | Payload::Tcp(_)
        | Payload::Incomplete(_)
        | Payload::Icmp(_)
        | Payload::Drop(_)
        | Payload::Stream(_)
        | Payload::Loss(_) => None,
    });
    payloads.collect()
}

struct Compiler<'a> {
    scenario: &'a Scenario,
    calls: Calls,
    events: Vec<Event>,
    streams: BTreeMap<StreamKey, Vec<rtp::RtpPacket>>,
    last_ns: i64,
    end_ns: Option<i64>,
    next_ip_id: u32,
    /// Where time 0 of the part in use is.
    shift_ns: i64,
    /// Call numbers given to parts used at a time.
    next_offset: u32,
}

impl Compiler<'_> {
    fn line(&mut self, text: &str) -> Result<()> {
        let Line { mut at_ns, mut until_ns, what } =
            Line::parse(text, self.last_ns - self.shift_ns, &self.scenario.hosts)?;
        if !matches!(what, What::End) {
            at_ns += self.shift_ns;
            until_ns += self.shift_ns;
        }
        if !matches!(what, What::End | What::Use { .. }) {
            self.last_ns = at_ns;
        }
        match what {
            What::Message { src, dst, start, fields } => {
                let hosts = &self.scenario.hosts;
                let mut bytes = self.calls.message(hosts, &self.scenario.bodies, src, dst, &start, &fields)?;
                let payload = match fields.number("cut")? {
                    None => Payload::Udp(bytes),
                    Some(kept) => {
                        bytes.truncate(kept);
                        Payload::Cut(bytes)
                    }
                };
                self.send(at_ns, src, dst, &fields, start == "INVITE", payload)
            }
            What::Raw { src, dst, fields } => {
                let text = fields.phrase.as_deref().unwrap_or_default();
                let bytes = text.replace("\\r", "\r").replace("\\n", "\n").into_bytes();
                self.send(at_ns, src, dst, &fields, false, Payload::Udp(bytes))
            }
            What::Rtcp { src, dst, fields } => {
                let bytes = rtcp::compound(&fields)?;
                self.send(at_ns, src, dst, &fields, false, Payload::Rtcp(bytes))
            }
            What::Tcp { src, dst, fields } => {
                let payload = Payload::Tcp(tcp::Segment::new(&fields)?);
                self.send(at_ns, src, dst, &fields, false, payload)
            }
            What::Incomplete { src, dst, fields } => {
                let payload = Payload::Incomplete(tcp::Fragments::new(&fields)?);
                self.send(at_ns, src, dst, &fields, false, payload)
            }
            What::Icmp { src, dst, error, fields } => {
                let no_port = |addr: SocketAddr| SocketAddr::new(addr.ip(), 0);
                self.send(at_ns, no_port(src), no_port(dst), &fields, false, Payload::Icmp(error))
            }
            What::Rtp { src, dst, fields } => {
                let direction = self.scenario.hosts.direction(src, dst);
                let key = StreamKey { src, dst, ssrc: rtcp::ssrc(fields.option("ssrc").unwrap_or("1"))?, direction };
                let packets = rtp::packets(at_ns, until_ns, &fields)?;
                self.streams.entry(key).or_default().extend(packets);
                Ok(())
            }
            What::Drop { src, dst, reason, fields } => {
                let direction = self.scenario.hosts.direction(src, dst);
                let carried = drops::carried(&fields, (src.port(), dst.port()))?;
                let step_ns = i64::from(fields.number("ptime")?.unwrap_or(20)) * 1_000_000;
                // Packets of a stream up to a time, or so many repetitions of a message.
                let times_ns: Vec<i64> = if until_ns > at_ns {
                    (at_ns..=until_ns).step_by(usize::try_from(step_ns).unwrap_or(1)).collect()
                } else {
                    let is_invite = fields.option("invite").is_some();
                    fields.offsets(is_invite).into_iter().map(|offset_ns| at_ns + offset_ns).collect()
                };
                for (at_ns, drop) in drops::reports(times_ns, reason, carried) {
                    let payload = Payload::Drop(drop);
                    self.events.push(Event { at_ns, direction, src, dst, ip_id: 0, ttl: 0, payload });
                }
                Ok(())
            }
            What::Loss(loss) => {
                let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
                let payload = Payload::Loss(loss);
                self.events.push(Event {
                    at_ns,
                    direction: Direction::In,
                    src: nowhere,
                    dst: nowhere,
                    ip_id: 0,
                    ttl: 0,
                    payload,
                });
                Ok(())
            }
            What::End => {
                self.end_ns = Some(at_ns);
                Ok(())
            }
            What::Use { name, again: None } => self.part(&name),
            What::Use { name, again: Some(again) } => {
                let outer = (self.shift_ns, self.calls.offset);
                for offset_ns in again.offsets(false) {
                    self.shift_ns = at_ns + offset_ns;
                    self.next_offset += CALLS_PER_USE;
                    self.calls.offset = self.next_offset;
                    self.part(&name)?;
                }
                (self.shift_ns, self.calls.offset) = outer;
                Ok(())
            }
        }
    }

    /// The lines of a named ladder.
    fn part(&mut self, name: &str) -> Result<()> {
        let part = self.scenario.parts.get(name).ok_or_else(|| format!("no block `ladder {name}`"))?;
        part.iter().try_for_each(|(number, text)| self.line(text).map_err(|e| format!("{name}, line {number}: {e}")))
    }

    fn send(
        &mut self,
        at_ns: i64,
        src: SocketAddr,
        dst: SocketAddr,
        fields: &Fields,
        is_invite: bool,
        payload: Payload,
    ) -> Result<()> {
        let direction = self.scenario.hosts.direction(src, dst);
        for offset_ns in fields.offsets(is_invite) {
            let ip_id = match fields.number("id")? {
                Some(id) => id,
                None => self.next_ip_id,
            };
            self.next_ip_id = self.next_ip_id % 0xffff + 1;
            let ttl = fields.number("ttl")?.unwrap_or(if direction == Direction::Out { 64 } else { 58 });
            let event = Event { at_ns: at_ns + offset_ns, direction, src, dst, ip_id, ttl, payload: payload.clone() };
            if fields.option("dup").is_some() {
                self.events.push(Event { at_ns: event.at_ns + DUPLICATE_DELAY_NS, ..event.clone() });
            }
            self.events.push(event);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Script> {
        let packets = self.streams.values().flatten().map(|p| p.at_ns);
        let last_ns = self.events.iter().map(|e| e.at_ns).chain(packets).max().unwrap_or(0);
        let end_ns = self.end_ns.unwrap_or(last_ns);
        if end_ns < self.events.iter().map(|e| e.at_ns).max().unwrap_or(0) {
            return Err("`end` stands before the last line".to_owned());
        }
        let mut media: Vec<_> = std::mem::take(&mut self.streams).into_iter().collect();
        for (key, packets) in &mut media {
            let key = *key;
            packets.sort_by_key(|p| p.at_ns);
            packets.retain(|p| p.at_ns <= end_ns);
            for (at_ns, counters) in rtp::reports(key, BASE, packets, end_ns) {
                let (direction, src, dst) = (key.direction, key.src, key.dst);
                let payload = Payload::Stream(Box::new(counters));
                self.events.push(Event { at_ns, direction, src, dst, ip_id: 0, ttl: counters.ttl_min, payload });
            }
        }
        // Stable: what the ladder says first comes first.
        self.events.sort_by_key(|e| e.at_ns);
        let drops_watched = self.scenario.settings.iter().any(|(key, value)| key == "drops_watched" && value == "true");
        Ok(Script { events: self.events, end_ns: self.end_ns, media, drops_watched })
    }
}

/// `trunk = NAME ADDRESS... [port=5060] [domain=x] [expect=SECONDS]`.
fn trunk(text: &str) -> Result<Trunk> {
    let mut words = text.split_whitespace();
    let mut trunk = Trunk { name: words.next().unwrap_or_default().to_owned(), ..Trunk::default() };
    for word in words {
        let bad = || format!("trunk: what is {word:?}?");
        match word.split_once('=') {
            None => trunk.addresses.push(word.parse().map_err(|e| format!("{word}: {e}"))?),
            Some(("port", port)) => trunk.ports.push(port.parse().map_err(|_| bad())?),
            Some(("domain", domain)) => trunk.domains.push(domain.to_owned()),
            Some(("expect", seconds)) => {
                let seconds = seconds.parse().map_err(|_| bad())?;
                trunk.expect_traffic_within = Some(Duration::from_secs(seconds));
            }
            Some(_) => return Err(bad()),
        }
    }
    Ok(trunk)
}

/// The settings of a scenario.
pub fn config(scenario: &Scenario) -> Result<EngineConfig> {
    let mut config =
        EngineConfig { local: scenario.hosts.local(), links: vec!["eth0".to_owned()], ..EngineConfig::default() };
    for (key, value) in &scenario.settings {
        let seconds = || value.parse().map(Duration::from_secs_f64).map_err(|_| format!("{key} = {value}: no number"));
        let number = || value.parse::<u32>().map_err(|_| format!("{key} = {value}: no number"));
        match key.as_str() {
            "t1" => config.timers.t1 = seconds()?,
            "t2" => config.timers.t2 = seconds()?,
            "t4" => config.timers.t4 = seconds()?,
            "no_ack_retransmissions" => config.thresholds.no_ack_retransmissions = number()?,
            "media_absent" => config.thresholds.media_absent = seconds()?,
            "media_refused" => config.thresholds.media_refused = seconds()?,
            "media_stopped" => config.thresholds.media_stopped = seconds()?,
            "unanswered_retransmissions" => config.thresholds.unanswered_retransmissions = number()?,
            "hold_too_long" => config.thresholds.hold_too_long = seconds()?,
            "transfer_notify" => config.thresholds.transfer_notify = seconds()?,
            "alert_window" => config.thresholds.alert_window = seconds()?,
            "trunk" => config.trunks.push(trunk(value)?),
            "drops_watched" => {
                config.drops_watched = value.parse().map_err(|_| format!("{key} = {value}: true or false"))?
            }
            "calls" => config.limits.calls = number()? as usize,
            // A replay finds that out by itself.
            "half_seen" => config.half_seen = value == "true",
            "leg_headers" => config.legs.headers = value.split_whitespace().map(str::to_owned).collect(),
            "leg_numbers_within" => config.legs.numbers_within = seconds()?,
            _ => return Err(format!("no setting {key:?}")),
        }
    }
    Ok(config)
}
