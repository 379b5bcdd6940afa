//! Where audio is due, and what becomes of it there.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use crate::call::CallKey;
use crate::config::EngineConfig;
use crate::media::flow::seen::{ICMP_INTERVAL, REFUSED_FOR, RTCP_ALIVE, Seen};
use crate::media::flow::sight::{elsewhere, sight};
use crate::media::flow::{Audio, AudioFlows, Flow, FlowState, GONE, SETTLE, Travel};
use crate::media::session::{Leg, Line};
use crate::media::{MediaSession, MediaTable, RtcpSource};
use crate::packet::is_private;
use crate::record::Side;
use crate::time::Timestamp;

type Addrs = SmallVec<[SocketAddr; 4]>;

impl MediaSession {
    /// The audio of each hop of the call as it stands at `now`, where both directions are due: the call is up, nothing is
    /// held, and no fax goes on. Of a call that is over: as it stood when it ended.
    #[must_use]
    pub fn flows(&self, table: &MediaTable, config: &EngineConfig, now: Timestamp) -> Audio {
        let now = self.ended_at().map_or(now, |ended| ended.min(now));
        let mut hops: Audio = self.due_audio().map(|due| due.flows(table, config, now)).collect();
        note_starved(&mut hops);
        hops
    }

    /// The audio of each hop on which an early answer promised media to the caller, before the call is answered. Only what
    /// goes towards the caller is due.
    #[must_use]
    pub fn early_flows(&self, table: &MediaTable, config: &EngineConfig, now: Timestamp) -> Audio {
        let now = self.ended_at().map_or(now, |ended| ended.min(now));
        let early = |leg: &Leg| {
            let line = leg.audio().filter(|line| self.confirmed_at.is_none() && line.is_due(Side::Caller))?;
            let (key, caller, callee) = (self.key?, line.caller.endpoint?, line.callee.endpoint?);
            let due = DueAudio { key, leg, legs: &self.legs, line, since: line.since, caller, callee };
            Some(due.flows(table, config, now))
        };
        self.legs.iter().filter(|leg| !leg.is_fax()).filter_map(early).collect()
    }

    /// Whether all audio that is due plainly flows at `now`: a cheap answer to what most calls are asked most of the time.
    #[must_use]
    pub fn plainly_flows(&self, table: &MediaTable, config: &EngineConfig, now: Timestamp) -> bool {
        let now = self.ended_at().map_or(now, |ended| ended.min(now));
        self.due_audio().all(|due| due.plain_deadline(table, config).is_some_and(|deadline| deadline > now))
    }

    /// When the facts about flow next come to a threshold by time alone, after `now`. `known` is what
    /// [`MediaSession::flows`] says at `now`, empty where that was not asked.
    #[must_use]
    pub fn next_check(
        &self,
        table: &MediaTable,
        config: &EngineConfig,
        now: Timestamp,
        known: &[AudioFlows],
    ) -> Option<Timestamp> {
        if self.ended_at().is_some() {
            return None;
        }
        let of_leg = |(index, due): (usize, DueAudio<'_>)| {
            let plain = due.plain_deadline(table, config).filter(|deadline| *deadline > now);
            plain.or_else(|| match known.get(index) {
                Some(flows) => flows.next_check(config, now),
                None => due.flows(table, config, now).next_check(config, now),
            })
        };
        self.due_audio().enumerate().filter_map(of_leg).min()
    }

    /// The audio of each hop on which it is due both ways. Where a proxy passed the SDP on as it was, its hops speak of
    /// the same media: that counts once.
    fn due_audio(&self) -> impl Iterator<Item = DueAudio<'_>> {
        let mut seen: SmallVec<[(SocketAddr, SocketAddr); 2]> = SmallVec::new();
        self.legs.iter().filter_map(move |leg| {
            let line = leg.audio().filter(|_| !leg.is_fax())?;
            let endpoints = (line.caller.endpoint?, line.callee.endpoint?);
            if !(line.is_due(Side::Caller) && line.is_due(Side::Callee)) || seen.contains(&endpoints) {
                return None;
            }
            seen.push(endpoints);
            let (caller, callee) = endpoints;
            let since = line.since.max(self.confirmed_at?);
            Some(DueAudio { key: self.key?, leg, legs: &self.legs, line, since, caller, callee })
        })
    }
}

impl AudioFlows {
    fn next_check(&self, config: &EngineConfig, now: Timestamp) -> Option<Timestamp> {
        let thresholds = &config.thresholds;
        let mut times: SmallVec<[Timestamp; 16]> = SmallVec::new();
        for (flow, other) in [(&self.to_caller, &self.to_callee), (&self.to_callee, &self.to_caller)] {
            times.push(flow.due_since + thresholds.media_refused);
            times.push(flow.due_since + thresholds.media_absent);
            times.extend(flow.last_at.map(|at| at + thresholds.media_stopped));
            if flow.state == FlowState::Starting {
                times.extend(flow.last_at.map(|at| at + SETTLE));
            }
            if other.is_missing() {
                // How long this one has been flowing decides whether the other is missed alone.
                times.extend(flow.burst_at.map(|at| at + SETTLE));
                times.extend(flow.last_at.map(|at| at + GONE));
            }
            if let Some(refusal) = &flow.refusal {
                times.push(refusal.first_at + REFUSED_FOR);
                times.push(refusal.last_at + ICMP_INTERVAL);
                // By then the reports show that the stream has gone on without being refused.
                times.push(refusal.last_at + ICMP_INTERVAL + SETTLE);
            }
            let quiet = flow.last_at.is_some_and(|at| now.since(at) >= thresholds.media_stopped);
            if let Some(rtcp) = flow.sender_rtcp.as_ref().filter(|_| quiet) {
                times.push(rtcp.last_at + RTCP_ALIVE + Duration::from_nanos(1));
            }
        }
        times.into_iter().filter(|at| *at > now).min()
    }
}

/// Where a host relays, what it has to send on one hop is what comes on another.
fn note_starved(hops: &mut [AudioFlows]) {
    for to in [Side::Caller, Side::Callee] {
        let nothing_came = |hop: &AudioFlows| hop.towards(to).travel == Travel::In && hop.towards(to).is_missing();
        if hops.iter().any(nothing_came) {
            for flow in hops.iter_mut().map(|hop| hop.towards_mut(to)).filter(|flow| flow.travel == Travel::Out) {
                flow.is_starved = true;
            }
        }
    }
}

/// The audio of one hop, due both ways.
struct DueAudio<'a> {
    key: CallKey,
    leg: &'a Leg,
    /// All hops, this one among them.
    legs: &'a [Leg],
    line: &'a Line,
    since: Timestamp,
    caller: SocketAddr,
    callee: SocketAddr,
}

/// Where a side takes and sends media: as announced, and as its packets show.
pub(super) struct Ends {
    pub announced: Addrs,
    pub learned: Addrs,
    /// The address its signalling was seen at on this hop.
    pub signalling: IpAddr,
    local: bool,
}

impl Ends {
    pub fn all(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.announced.iter().chain(&self.learned).copied()
    }

    pub fn has(&self, endpoint: SocketAddr) -> bool {
        self.announced.contains(&endpoint) || self.learned.contains(&endpoint)
    }

    pub fn has_host(&self, address: IpAddr) -> bool {
        self.all().any(|e| e.ip() == address)
    }
}

/// One direction under examination.
pub(super) struct View<'a> {
    pub table: &'a MediaTable,
    pub config: &'a EngineConfig,
    pub key: CallKey,
    pub now: Timestamp,
    pub since: Timestamp,
    pub receiver: &'a Ends,
    pub sender: &'a Ends,
    pub travel: Travel,
    /// Both sides do ICE.
    pub ice: bool,
}

impl DueAudio<'_> {
    /// When the first direction will have been silent for too long, if both plainly flow: streams to both announced
    /// endpoints, nothing that refuses them and no private address in the way.
    fn plain_deadline(&self, table: &MediaTable, config: &EngineConfig) -> Option<Timestamp> {
        let last = |to: Side, endpoint: SocketAddr| {
            let mut latest = None;
            for stream in table.streams_to(endpoint) {
                if stream.is_unheard() {
                    return None;
                }
                latest = latest.max(stream.counters.in_sequence.then_some(stream.counters.last_at));
            }
            let is_public = || self.private_address(table, to, endpoint).is_none();
            latest.filter(|latest| *latest >= self.since && is_public())
        };
        if !table.refusals(self.key).is_empty() {
            return None;
        }
        let first = last(Side::Caller, self.caller)?.min(last(Side::Callee, self.callee)?);
        Some(first + config.thresholds.media_stopped)
    }

    fn flows(&self, table: &MediaTable, config: &EngineConfig, now: Timestamp) -> AudioFlows {
        let announced = |side: Side| -> Addrs {
            let other = self.line.of(side.other());
            self.line.of(side).endpoints().filter(|e| other.endpoints().all(|o| o != *e)).collect()
        };
        let ends = |side: Side| {
            let announced_here = announced(side);
            let learned = self.learned(table, side, &announced_here, &announced(side.other()));
            let local = announced_here.iter().chain(&learned).any(|e| table.is_local(e.ip()));
            let signalling = match side {
                Side::Caller => self.leg.hop.0.ip(),
                Side::Callee => self.leg.hop.1.ip(),
            };
            Ends { announced: announced_here, learned, signalling, local }
        };
        let (caller, callee) = (ends(Side::Caller), ends(Side::Callee));
        let ice = !self.line.caller.candidates.is_empty() && !self.line.callee.candidates.is_empty();
        let flow = |to: Side, receiver: &Ends, sender: &Ends| {
            let travel = match (sender.local, receiver.local) {
                (false, true) => Travel::In,
                (true, false) => Travel::Out,
                (true, true) => Travel::Within,
                (false, false) => Travel::Past,
            };
            let (key, since) = (self.key, self.since);
            self.flow(to, &View { table, config, key, now, since, receiver, sender, travel, ice })
        };
        let peer = if table.is_local(self.leg.hop.1.ip()) { self.leg.hop.0 } else { self.leg.hop.1 };
        let (mut to_caller, mut to_callee) =
            (flow(Side::Caller, &caller, &callee), flow(Side::Callee, &callee, &caller));
        to_caller.stop_with(&to_callee, now);
        to_callee.stop_with(&to_caller, now);
        AudioFlows { to_caller, to_callee, peer }
    }

    fn flow(&self, to: Side, view: &View<'_>) -> Flow {
        let (endpoint, origin) = match to {
            Side::Caller => (self.caller, self.callee),
            Side::Callee => (self.callee, self.caller),
        };
        let seen = Seen::collect(view);
        let mut flow = Flow {
            to,
            travel: view.travel,
            sight: sight(view),
            due_since: self.since,
            endpoint,
            endpoint_is_local: view.table.is_local(endpoint.ip()),
            origin,
            state: FlowState::Flowing,
            packets: seen.packets,
            strays: seen.strays,
            last_at: seen.last_at.max(seen.stray_at),
            burst_at: seen.burst_at,
            resumed_at: seen.pause.filter(|(began, _)| *began > self.since).map(|(_, resumed)| resumed),
            keys: seen.keys,
            private_address: if view.ice { None } else { self.private_address(view.table, to, endpoint) },
            refusal: seen.refusal(self.since),
            elsewhere: None,
            reception: seen.unheard().map(|(block, _)| block),
            sent_in_vain: seen.unheard().map_or(0, |(_, sent)| sent),
            sender_rtcp: latest_rtcp(view, to.other()),
            lowest_ttl: seen.lowest_ttl,
            is_starved: false,
        };
        flow.state = seen.state(&flow, view);
        if flow.state == FlowState::Absent {
            flow.elsewhere = elsewhere(view);
        }
        flow
    }

    /// Addresses of a side that SDP does not tell: sources of streams that reach the other side where that announced it
    /// (symmetric RTP, RFC 4961), and for a host behind one-to-one NAT its own address with the port that it announced.
    fn learned(&self, table: &MediaTable, side: Side, announced: &[SocketAddr], other: &[SocketAddr]) -> Addrs {
        let mut learned = Addrs::new();
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
        if !is_private(endpoint.ip()) {
            return None;
        }
        let goes_outside = |leg: &Leg| {
            let (near_caller, near_callee) = leg.hop;
            let outside = match (table.is_local(near_caller.ip()), table.is_local(near_callee.ip())) {
                (true, false) => near_callee,
                (false, true) => near_caller,
                (true, true) | (false, false) => match to {
                    Side::Caller => near_caller,
                    Side::Callee => near_callee,
                },
            };
            !is_private(outside.ip())
        };
        // A NAT or a proxy that passes SDP on as it was takes the address along to the other network.
        let is_copy = |leg: &&Leg| {
            let ends = |line: &Line| (line.caller.endpoint, line.callee.endpoint);
            leg.audio().is_some_and(|line| ends(line) == (Some(self.caller), Some(self.callee)))
        };
        let is_taken_out = goes_outside(self.leg) || self.legs.iter().filter(is_copy).any(goes_outside);
        is_taken_out.then_some(endpoint.ip())
    }
}

fn latest_rtcp(view: &View<'_>, from: Side) -> Option<RtcpSource> {
    let of_sender = |r: &&RtcpSource| r.from == Some(from) || (r.from.is_none() && view.sender.has_host(r.src.ip()));
    view.table.rtcp(view.key).iter().filter(of_sender).max_by_key(|r| r.last_at).copied()
}
