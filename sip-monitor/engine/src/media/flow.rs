//! Whether media flows: what SDP agreed on, what the streams show and what ICMP and RTCP say, as one fact for each
//! direction of a call's audio. No opinion: a flow that is missing may be no fault, and whose fault it is, others say.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use crate::call::CallKey;
use crate::config::{EngineConfig, MediaSight};
use crate::media::session::{Leg, Line};
use crate::media::{MediaSession, MediaTable, Refusal, RtcpSource, Stream};
use crate::packet::{Direction, IcmpKind, is_private};
use crate::record::Side;
use crate::time::Timestamp;

/// A stream just seen is given this long to show that it goes on before its absence is spoken of: the capture reports a
/// stream at its first packet and then once a second.
const SETTLE: Duration = Duration::from_secs(2);
/// ICMP errors must go on for so long before they say more than that a port was opened late.
const REFUSED_FOR: Duration = Duration::from_secs(1);
/// An error belongs to the packets sent up to this much later: senders of ICMP limit themselves to one a second.
const ICMP_INTERVAL: Duration = Duration::from_secs(2);
/// RTCP comes every 5 s or so (RFC 3550 6.2); three intervals without it and its sender is gone.
const RTCP_ALIVE: Duration = Duration::from_secs(15);
/// A sender report may come one interval after the packets it counts.
const RTCP_INTERVAL: Duration = Duration::from_secs(7);
/// Packets that arrive with so few hops left are about to be lost on any longer way.
pub const LOW_TTL: u8 = 10;

/// Both directions of the audio on one hop of a call, where both must flow.
#[derive(Clone, Debug)]
pub struct AudioFlows {
    /// Towards the caller.
    pub to_caller: Flow,
    /// Towards the callee.
    pub to_callee: Flow,
    /// The signalling peer of this hop: the end that is not this host.
    pub peer: SocketAddr,
}

/// Media towards one side.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Who should hear it.
    pub to: Side,
    /// Which way it goes, as seen from this host.
    pub travel: Travel,
    /// How far its absence can be trusted.
    pub sight: Sight,
    /// Since when it has been due.
    pub due_since: Timestamp,
    /// Where it should arrive, by the SDP of who should hear it.
    pub endpoint: SocketAddr,
    /// Where it should come from, by the SDP of who should send it.
    pub origin: Option<SocketAddr>,
    /// What becomes of it.
    pub state: FlowState,
    /// Packets of streams that went where they should.
    pub packets: u64,
    /// Packets that were seen there and make no stream (no two in sequence).
    pub strays: u64,
    /// Last packet of either.
    pub last_at: Option<Timestamp>,
    /// When the present burst of it began.
    pub burst_at: Option<Timestamp>,
    /// It is to go to a private address though the signalling went between public ones.
    pub private_address: Option<IpAddr>,
    /// ICMP errors that quote it.
    pub refusal: Option<Refusal>,
    /// A stream between the two that goes to where SDP did not say.
    pub elsewhere: Option<Elsewhere>,
    /// RTCP of who should send it.
    pub sender_rtcp: Option<RtcpSource>,
    /// Lowest TTL or hop limit its packets were seen with.
    pub lowest_ttl: Option<u8>,
}

/// Which way media goes, as seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Travel {
    /// To this host.
    In,
    /// From this host.
    Out,
    /// From this host to itself.
    Within,
    /// Between others.
    Past,
}

/// How far the absence of packets can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// They could have passed without being seen.
    None,
    /// They would probably have been seen.
    Partial,
    /// They would have been seen.
    Full,
}

/// What becomes of media in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// It flows, or paused too lately to say, or is silent on purpose.
    Flowing,
    /// A few packets just came: too early to say.
    Starting,
    /// None since it became due.
    Absent,
    /// It is sent, and refused.
    Refused,
    /// It is sent to a private address that nothing ever came from.
    Undeliverable,
    /// It flowed until then.
    Stopped(Timestamp),
}

/// A stream that goes to where SDP did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where it comes from.
    pub src: SocketAddr,
    /// Where it goes.
    pub dst: SocketAddr,
    /// Its packets.
    pub packets: u64,
    /// Its last packet.
    pub last_at: Timestamp,
}

impl Flow {
    /// Whether it does not flow.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        match self.state {
            FlowState::Flowing | FlowState::Starting => false,
            FlowState::Absent | FlowState::Refused | FlowState::Undeliverable | FlowState::Stopped(_) => true,
        }
    }

    /// Whether something besides absence shows that it does not arrive.
    #[must_use]
    pub const fn has_positive_evidence(&self) -> bool {
        match self.state {
            FlowState::Refused | FlowState::Undeliverable => true,
            FlowState::Absent => self.private_address.is_some() || self.elsewhere.is_some(),
            FlowState::Flowing | FlowState::Starting | FlowState::Stopped(_) => false,
        }
    }

    /// Who should send it.
    #[must_use]
    pub const fn from(&self) -> Side {
        self.to.other()
    }
}

impl AudioFlows {
    /// Media towards a side.
    #[must_use]
    pub const fn towards(&self, to: Side) -> &Flow {
        match to {
            Side::Caller => &self.to_caller,
            Side::Callee => &self.to_callee,
        }
    }
}

impl MediaSession {
    /// The audio of each hop of the call as it stands at `now`, where both directions are due: the call is up, nothing is
    /// held, and no fax goes on. Of a call that is over: as it stood when it ended.
    #[must_use]
    pub fn flows(&self, table: &MediaTable, config: &EngineConfig, now: Timestamp) -> SmallVec<[AudioFlows; 1]> {
        let now = self.ended_at.map_or(now, |ended| ended.min(now));
        self.due_audio().map(|due| due.flows(table, config, now)).collect()
    }

    /// When the facts about flow next come to a threshold by time alone, after `now`.
    #[must_use]
    pub fn next_check(&self, table: &MediaTable, config: &EngineConfig, now: Timestamp) -> Option<Timestamp> {
        if self.ended_at.is_some() {
            return None;
        }
        let mut next: Option<Timestamp> = None;
        let mut consider = |at: Timestamp| {
            if at > now && next.is_none_or(|n| at < n) {
                next = Some(at);
            }
        };
        let thresholds = &config.thresholds;
        for audio in self.due_audio() {
            let flows = audio.flows(table, config, now);
            for flow in [&flows.to_caller, &flows.to_callee] {
                consider(flow.due_since + thresholds.media_refused);
                consider(flow.due_since + thresholds.media_absent);
                if let Some(last_at) = flow.last_at {
                    consider(last_at + SETTLE);
                    consider(last_at + thresholds.media_stopped);
                }
                if let Some(burst_at) = flow.burst_at {
                    consider(burst_at + SETTLE);
                }
                if let Some(refusal) = &flow.refusal {
                    consider(refusal.first_at + REFUSED_FOR);
                    consider(refusal.last_at + ICMP_INTERVAL);
                }
                if let Some(rtcp) = &flow.sender_rtcp {
                    consider(rtcp.last_at + RTCP_ALIVE);
                }
            }
        }
        next
    }

    /// The audio of each hop on which it is due both ways. Where a proxy passed the SDP on as it was, its hops speak of
    /// the same media: that counts once.
    fn due_audio(&self) -> impl Iterator<Item = DueAudio<'_>> {
        let mut seen: SmallVec<[(Option<SocketAddr>, Option<SocketAddr>); 2]> = SmallVec::new();
        self.legs.iter().filter_map(move |leg| {
            let (key, confirmed_at) = (self.key?, self.confirmed_at?);
            let line = leg.audio().filter(|_| !leg.is_fax())?;
            let endpoints = (line.caller.endpoint, line.callee.endpoint);
            if !(line.is_due(Side::Caller) && line.is_due(Side::Callee)) || seen.contains(&endpoints) {
                return None;
            }
            seen.push(endpoints);
            Some(DueAudio {
                key,
                leg,
                line,
                confirmed_at,
                caller: line.caller.endpoint?,
                callee: line.callee.endpoint?,
            })
        })
    }
}

/// The audio of one hop, due both ways.
struct DueAudio<'a> {
    key: CallKey,
    leg: &'a Leg,
    line: &'a Line,
    confirmed_at: Timestamp,
    caller: SocketAddr,
    callee: SocketAddr,
}

/// Where a side takes and sends media: as announced, and as its packets show.
struct Endpoints {
    announced: SmallVec<[SocketAddr; 4]>,
    learned: SmallVec<[SocketAddr; 4]>,
    local: bool,
}

impl Endpoints {
    fn all(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.announced.iter().chain(&self.learned).copied()
    }

    fn has(&self, endpoint: SocketAddr) -> bool {
        self.announced.contains(&endpoint) || self.learned.contains(&endpoint)
    }

    fn has_host(&self, address: IpAddr) -> bool {
        self.all().any(|e| e.ip() == address)
    }
}

impl DueAudio<'_> {
    fn flows(&self, table: &MediaTable, config: &EngineConfig, now: Timestamp) -> AudioFlows {
        let announced = |side: Side| -> SmallVec<[SocketAddr; 4]> {
            let other = self.line.of(side.other());
            self.line.of(side).endpoints().filter(|e| other.endpoints().all(|o| o != *e)).collect()
        };
        let (caller, callee) = (announced(Side::Caller), announced(Side::Callee));
        let (from_caller, from_callee) =
            (self.learned(table, Side::Caller, &caller, &callee), self.learned(table, Side::Callee, &callee, &caller));
        let ends = |announced: SmallVec<[SocketAddr; 4]>, learned: SmallVec<[SocketAddr; 4]>| {
            let local = announced.iter().chain(&learned).any(|e| table.is_local(e.ip()));
            Endpoints { announced, learned, local }
        };
        let (caller, callee) = (ends(caller, from_caller), ends(callee, from_callee));
        let peer = if table.is_local(self.leg.hop.1.ip()) { self.leg.hop.0 } else { self.leg.hop.1 };
        AudioFlows {
            to_caller: self.flow(table, config, now, Side::Caller, &caller, &callee),
            to_callee: self.flow(table, config, now, Side::Callee, &callee, &caller),
            peer,
        }
    }

    fn flow(
        &self,
        table: &MediaTable,
        config: &EngineConfig,
        now: Timestamp,
        to: Side,
        receiver: &Endpoints,
        sender: &Endpoints,
    ) -> Flow {
        let due_since = self.line.since.max(self.confirmed_at);
        let (endpoint, origin) = match to {
            Side::Caller => (self.caller, self.callee),
            Side::Callee => (self.callee, self.caller),
        };
        let ice = !self.line.caller.candidates.is_empty() && !self.line.callee.candidates.is_empty();
        let seen = Seen::collect(table, self.key, receiver, sender, ice, due_since);
        let travel = match (sender.local, receiver.local) {
            (false, true) => Travel::In,
            (true, false) => Travel::Out,
            (true, true) => Travel::Within,
            (false, false) => Travel::Past,
        };
        let private_address = if ice { None } else { self.private_address(table, to, endpoint) };
        let refusal = seen.refusal(due_since);
        let sender_rtcp = latest_rtcp(table, self.key, to.other(), sender);
        let elsewhere = elsewhere(table, self.key, receiver, sender, due_since, now, ice);
        let mut flow = Flow {
            to,
            travel,
            sight: sight(table, self.key, travel, receiver, sender, self.leg, to, due_since),
            due_since,
            endpoint,
            origin: Some(origin),
            state: FlowState::Flowing,
            packets: seen.packets,
            strays: seen.strays,
            last_at: seen.last_at.max(seen.stray_at),
            burst_at: seen.burst_at,
            private_address,
            refusal,
            elsewhere,
            sender_rtcp,
            lowest_ttl: seen.lowest_ttl,
        };
        flow.state = seen.state(&flow, config, now, table);
        flow
    }

    /// Addresses of a side that SDP does not tell: sources of streams that reach the other side where that announced it
    /// (symmetric RTP, RFC 4961), and for a host behind one-to-one NAT its own address with the port that it announced.
    fn learned(
        &self,
        table: &MediaTable,
        side: Side,
        announced: &[SocketAddr],
        other: &[SocketAddr],
    ) -> SmallVec<[SocketAddr; 4]> {
        let mut learned = SmallVec::new();
        let mut learn = |endpoint: SocketAddr| {
            if !announced.contains(&endpoint) && !other.contains(&endpoint) && !learned.contains(&endpoint) {
                learned.push(endpoint);
            }
        };
        let arriving = || other.iter().flat_map(|e| table.streams_to(*e)).filter(|s| s.counters.in_sequence);
        let latest = arriving().map(|s| s.counters.last_at).max();
        // Where it came from before it moved is no place to send to any more.
        for stream in arriving().filter(|s| latest.is_some_and(|at| at.since(s.counters.last_at) <= SETTLE)) {
            learn(stream.counters.key.src);
        }
        let Some(endpoint) = self.line.of(side).endpoint.filter(|e| !table.is_local(e.ip())) else { return learned };
        for stream in table.streams_of(self.key) {
            let dst = stream.counters.key.dst;
            let from_other = stream.owner.as_ref().is_some_and(|o| o.from == Some(side.other()));
            if from_other && dst.port() == endpoint.port() && table.is_local(dst.ip()) {
                learn(dst);
            }
        }
        learned
    }

    /// The private address a side wants its media at, where the signalling with the other network was public.
    fn private_address(&self, table: &MediaTable, to: Side, endpoint: SocketAddr) -> Option<IpAddr> {
        let (near_caller, near_callee) = self.leg.hop;
        let outside = match (table.is_local(near_caller.ip()), table.is_local(near_callee.ip())) {
            (true, false) => near_callee,
            (false, true) => near_caller,
            (true, true) | (false, false) => match to {
                Side::Caller => near_caller,
                Side::Callee => near_callee,
            },
        };
        (is_private(endpoint.ip()) && !is_private(outside.ip())).then_some(endpoint.ip())
    }
}

/// What the streams towards one side show.
#[derive(Default)]
struct Seen {
    packets: u64,
    strays: u64,
    last_at: Option<Timestamp>,
    stray_at: Option<Timestamp>,
    burst_at: Option<Timestamp>,
    lowest_ttl: Option<u8>,
    comfort_noise: bool,
    paths: SmallVec<[Path; 2]>,
}

/// One 5-tuple without protocol, and what became of its packets.
struct Path {
    src: SocketAddr,
    dst: SocketAddr,
    last_at: Timestamp,
    refusal: Option<Refusal>,
}

impl Seen {
    fn collect(
        table: &MediaTable,
        key: CallKey,
        receiver: &Endpoints,
        sender: &Endpoints,
        ice: bool,
        since: Timestamp,
    ) -> Self {
        let mut seen = Self::default();
        for endpoint in receiver.all() {
            for stream in table.streams_to(endpoint).filter(|s| !receiver.has(s.counters.key.src)) {
                // A learned address is one of many ports of a NAT or a media server: only what comes from the other
                // side counts there.
                let known = sender.has(stream.counters.key.src) || stream.call() == Some(key);
                if known || receiver.announced.contains(&endpoint) {
                    seen.add(stream, since);
                }
            }
        }
        if ice {
            // ICE settles on addresses that SDP may never tell (RFC 8445 7.2.5.3).
            for endpoint in &sender.announced {
                for stream in table.streams_from(*endpoint) {
                    if stream.call() == Some(key) && !receiver.has(stream.counters.key.dst) {
                        seen.add(stream, since);
                    }
                }
            }
        }
        for refusal in table.refusals(key) {
            let ours = sender.has(refusal.src) || sender.has_host(refusal.src.ip());
            if receiver.has(refusal.dst) && ours {
                match seen.paths.iter_mut().find(|p| (p.src, p.dst) == (refusal.src, refusal.dst)) {
                    Some(path) => path.refusal = Some(*refusal),
                    None => seen.paths.push(Path {
                        src: refusal.src,
                        dst: refusal.dst,
                        last_at: refusal.last_at,
                        refusal: Some(*refusal),
                    }),
                }
            }
        }
        seen
    }

    /// Counts a stream. One that ended before media became due on these terms tells nothing but its TTL.
    fn add(&mut self, stream: &Stream, since: Timestamp) {
        let c = &stream.counters;
        self.lowest_ttl = Some(self.lowest_ttl.map_or(c.ttl_min, |ttl| ttl.min(c.ttl_min)));
        if c.last_at < since {
            return;
        }
        if !c.in_sequence {
            self.strays += c.packets;
            self.stray_at = self.stray_at.max(Some(c.last_at));
            return;
        }
        self.packets += c.packets;
        if self.last_at.is_none_or(|at| c.last_at > at) {
            self.last_at = Some(c.last_at);
            self.comfort_noise = stream.ended_in_comfort_noise();
        }
        self.burst_at = self.burst_at.max(Some(stream.burst_at));
        let path = self.paths.iter_mut().find(|p| (p.src, p.dst) == (c.key.src, c.key.dst));
        match path {
            Some(path) => path.last_at = path.last_at.max(c.last_at),
            None => self.paths.push(Path { src: c.key.src, dst: c.key.dst, last_at: c.last_at, refusal: None }),
        }
    }

    /// The run of ICMP errors that says most: the one on the path used last.
    fn refusal(&self, since: Timestamp) -> Option<Refusal> {
        self.paths.iter().filter_map(|p| p.refusal).filter(|r| r.last_at >= since).max_by_key(|r| (r.last_at, r.count))
    }

    fn state(&self, flow: &Flow, config: &EngineConfig, now: Timestamp, table: &MediaTable) -> FlowState {
        let Some(last_at) = self.last_at else {
            let just_now = self.stray_at.is_some_and(|at| now.since(at) < SETTLE);
            return match (just_now, &flow.refusal) {
                (true, _) => FlowState::Starting,
                (false, Some(refusal)) if refusal.span_since(flow.due_since) >= REFUSED_FOR => FlowState::Refused,
                (false, _) => FlowState::Absent,
            };
        };
        let used: SmallVec<[&Path; 2]> = self.paths.iter().filter(|p| last_at.since(p.last_at) < SETTLE).collect();
        if !used.is_empty() && used.iter().all(|p| p.is_refused(flow.due_since)) {
            return FlowState::Refused;
        }
        if now.since(last_at) >= config.thresholds.media_stopped {
            let silent = self.comfort_noise || is_silent_on_purpose(flow.sender_rtcp.as_ref(), last_at, now);
            return if silent { FlowState::Flowing } else { FlowState::Stopped(last_at) };
        }
        if flow.travel == Travel::Out && flow.private_address.is_some_and(|address| nobody_there(table, address, &used))
        {
            return FlowState::Undeliverable;
        }
        FlowState::Flowing
    }
}

impl Path {
    /// Whether its packets were refused again and again, up to the last ones.
    fn is_refused(&self, since: Timestamp) -> bool {
        self.refusal.is_some_and(|r| {
            r.last_at >= since && r.span_since(since) >= REFUSED_FOR && self.last_at.since(r.last_at) <= ICMP_INTERVAL
        })
    }
}

/// Whether all that is sent goes to a private address from which nothing ever came.
fn nobody_there(table: &MediaTable, address: IpAddr, used: &[&Path]) -> bool {
    used.iter().all(|p| p.dst.ip() == address) && table.streams_from_host(address).next().is_none()
}

/// Whether the sender's RTCP goes on and does not claim that it sends: muted, or DTX (RFC 3550 6.4: an SR counts what was
/// sent).
fn is_silent_on_purpose(rtcp: Option<&RtcpSource>, last_at: Timestamp, now: Timestamp) -> bool {
    rtcp.is_some_and(|r| {
        now.since(r.last_at) <= RTCP_ALIVE
            && r.last_at > last_at
            && r.sent_grew_at.is_none_or(|t| t.since(last_at) <= RTCP_INTERVAL)
    })
}

fn latest_rtcp(table: &MediaTable, key: CallKey, from: Side, sender: &Endpoints) -> Option<RtcpSource> {
    let of_sender = |r: &&RtcpSource| r.from == Some(from) || (r.from.is_none() && sender.has_host(r.src.ip()));
    table.rtcp(key).iter().filter(of_sender).max_by_key(|r| r.last_at).copied()
}

/// A stream from the sender that goes on to where the receiver's SDP does not send it: its old port, or no announced one.
fn elsewhere(
    table: &MediaTable,
    key: CallKey,
    receiver: &Endpoints,
    sender: &Endpoints,
    since: Timestamp,
    now: Timestamp,
    ice: bool,
) -> Option<Elsewhere> {
    if ice {
        return None;
    }
    let fits = |stream: &&Stream| {
        let c = &stream.counters;
        let of_others = stream.owner.as_ref().is_some_and(|o| o.call != key);
        c.in_sequence && c.last_at >= since && !of_others && !receiver.has(c.key.dst) && now.since(c.last_at) <= SETTLE
    };
    let elsewhere = |stream: &Stream| {
        let c = &stream.counters;
        Elsewhere { src: c.key.src, dst: c.key.dst, packets: c.packets, last_at: c.last_at }
    };
    let from_endpoints = sender.all().flat_map(|e| table.streams_from(e)).filter(|s| !sender.has(s.counters.key.dst));
    if let Some(stream) = from_endpoints
        .filter(|s| !table.is_held_by_others(s.counters.key.dst, key))
        .filter(fits)
        .max_by_key(|s| s.counters.last_at)
    {
        return Some(elsewhere(stream));
    }
    // Neither end is as announced: only a stream between the two hosts that began with this session, the only one of
    // its kind, can be meant.
    let mut between_hosts = sender
        .announced
        .iter()
        .flat_map(|e| table.streams_from_host(e.ip()))
        .filter(|s| receiver.has_host(s.counters.key.dst.ip()) && !sender.has_host(s.counters.key.dst.ip()))
        .filter(|s| s.counters.first_at + SETTLE >= since && !table.is_held(s.counters.key.dst))
        .filter(fits);
    let only = between_hosts.next().map(elsewhere)?;
    between_hosts.next().is_none().then_some(only)
}

/// How far the absence of media towards `to` can be trusted (ground rules 5, 9 and 10).
#[allow(clippy::too_many_arguments)]
fn sight(
    table: &MediaTable,
    key: CallKey,
    travel: Travel,
    receiver: &Endpoints,
    sender: &Endpoints,
    leg: &Leg,
    to: Side,
    since: Timestamp,
) -> Sight {
    if table.sight() == MediaSight::Unseen || table.forgot_since(since) {
        return Sight::None;
    }
    let ours = travel != Travel::Past;
    if ours && table.sight() == MediaSight::Full {
        return Sight::Full;
    }
    let passed = |from: &Endpoints, to: &Endpoints| {
        let between = |src: IpAddr, dst: IpAddr| from.has_host(src) && to.has_host(dst);
        from.all().flat_map(|e| table.streams_from_host(e.ip())).any(|s| to.has_host(s.counters.key.dst.ip()))
            || table.rtcp(key).iter().any(|r| between(r.src.ip(), r.dst.ip()))
    };
    if !ours {
        let both_ways = passed(sender, receiver) && passed(receiver, sender);
        return if both_ways { Sight::Full } else { Sight::None };
    }
    let (near_caller, near_callee) = leg.hop;
    let (sip_from, sip_to) = match to {
        Side::Caller => (near_callee, near_caller),
        Side::Callee => (near_caller, near_callee),
    };
    let media_of_host = |ends: &Endpoints| {
        let mut hosts = ends.all().map(|e| e.ip()).filter(|ip| table.is_local(*ip));
        hosts.any(|ip| table.streams_to_host(ip).chain(table.streams_from_host(ip)).any(Stream::is_worth_a_record))
    };
    if !media_of_host(receiver) && !media_of_host(sender) && table.refusals(key).is_empty() {
        return Sight::None;
    }
    let seen_passing = passed(sender, receiver) || (sender.has_host(sip_from.ip()) && receiver.has_host(sip_to.ip()));
    if seen_passing { Sight::Full } else { Sight::Partial }
}

/// Whether an ICMP error comes from the network on the way rather than from its end.
#[must_use]
pub const fn is_of_network(kind: IcmpKind) -> bool {
    matches!(kind, IcmpKind::TimeExceeded | IcmpKind::NetUnreachable)
}

/// Whether this host itself refused.
#[must_use]
pub fn is_refused_here(refusal: &Refusal) -> bool {
    refusal.direction == Direction::Out
}
