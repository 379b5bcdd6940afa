//! Every stream the capture reports, and which call an endpoint belongs to.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::call::CallKey;
use crate::config::{EngineConfig, MediaSight};
use crate::media::CodecName;
use crate::media::stream::{Owner, Stream};
use crate::media::witness::{Refusal, RtcpSource};
use crate::packet::{IcmpError, IcmpKind, Packet, StreamCounters, StreamKey};
use crate::record::{Side, StreamRecord};
use crate::rtp::{Rtcp, RtcpPacket};
use crate::time::Timestamp;

/// How often streams that ended are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// A stream of no call that is silent for so long has ended.
const STRAY_IDLE: Duration = Duration::from_secs(60);
/// A stream of a call that is over has ended when it is silent for so long.
const RELEASED_IDLE: Duration = Duration::from_secs(5);
/// A stream that began before its SDP was seen belongs to it if it was heard so lately.
const EARLY_STREAM: Duration = Duration::from_secs(5);
/// Calls that may hold one endpoint at a time: the legs of a back-to-back user agent name the same one.
const MAX_HOLDERS: usize = 8;
/// Flows with ICMP errors, and RTCP senders, kept for one call.
const MAX_WITNESSES: usize = 16;
/// Slots looked at to find the stream that is evicted.
const EVICTION_SAMPLE: usize = 64;
/// A call is not judged again for the same direction within this time.
const JUDGE_EVERY: Duration = Duration::from_millis(200);

/// Streams and the endpoints that SDP announced.
#[derive(Debug)]
pub struct MediaTable {
    limit: usize,
    local: Vec<IpAddr>,
    sight: MediaSight,
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    hand: usize,
    by_key: HashMap<StreamKey, u32, foldhash::fast::FixedState>,
    by_dst: BTreeSet<(SocketAddr, u32)>,
    by_src: BTreeSet<(SocketAddr, u32)>,
    by_call: BTreeSet<(CallKey, u32)>,
    holders: HashMap<SocketAddr, SmallVec<[Holder; 1]>, foldhash::fast::FixedState>,
    calls: HashMap<CallKey, CallMedia, foldhash::fast::FixedState>,
    records: VecDeque<StreamRecord>,
    keep_records: bool,
    next_sweep: Option<Timestamp>,
    evicted: u64,
    owned_evicted_at: Option<Timestamp>,
}

/// Who takes media at an endpoint.
#[derive(Clone, Debug)]
struct Holder {
    call: CallKey,
    /// `None` where both sides of the call announced it, as private candidates of like-numbered networks are.
    side: Option<Side>,
    rtcp_only: bool,
    codecs: Arc<[CodecName]>,
}

/// What the table keeps for a call.
#[derive(Debug)]
struct CallMedia {
    call_id: Arc<str>,
    endpoints: Vec<SocketAddr>,
    refusals: Vec<Refusal>,
    rtcp: Vec<RtcpSource>,
    /// When the call was last handed out to be judged, for media towards caller and callee.
    judged: [Option<Timestamp>; 2],
}

impl Default for MediaTable {
    fn default() -> Self {
        Self::new(&EngineConfig::default())
    }
}

impl MediaTable {
    /// A table with the limits of `config`.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        let hasher = foldhash::fast::FixedState::default();
        Self {
            limit: config.limits.streams.max(1),
            local: config.local.clone(),
            sight: config.media_sight,
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            by_key: HashMap::with_hasher(hasher.clone()),
            by_dst: BTreeSet::new(),
            by_src: BTreeSet::new(),
            by_call: BTreeSet::new(),
            holders: HashMap::with_hasher(hasher.clone()),
            calls: HashMap::with_hasher(hasher),
            records: VecDeque::new(),
            keep_records: config.emit.streams,
            next_sweep: None,
            evicted: 0,
            owned_evicted_at: None,
        }
    }

    /// Puts other settings in force: local addresses, what the capture shows, whether records are kept.
    pub fn set_config(&mut self, config: &EngineConfig) {
        self.local.clone_from(&config.local);
        self.sight = config.media_sight;
        self.keep_records = config.emit.streams;
    }

    /// Takes a report about a stream. Returns the call to be judged again: where the stream counts for the first time, or
    /// comes back after a silence.
    pub fn handle_stream(&mut self, now: Timestamp, counters: &StreamCounters) -> Option<CallKey> {
        self.next_sweep.get_or_insert(now + SWEEP_EVERY);
        if let Some(&id) = self.by_key.get(&counters.key) {
            let changed = self.slots.get_mut(id as usize)?.as_mut()?.update(counters);
            if self.stream(id)?.owner.is_none() {
                self.join(id);
            }
            return if changed { self.to_be_judged(now, id) } else { None };
        }
        let id = self.insert(Stream::new(*counters));
        self.join(id);
        if counters.in_sequence { self.to_be_judged(now, id) } else { None }
    }

    /// Takes an ICMP error that quotes a UDP flow. Returns the call whose media was refused.
    pub fn handle_icmp(&mut self, now: Timestamp, packet: &Packet<'_>, error: &IcmpError) -> Option<CallKey> {
        let refuses = !matches!(error.kind, IcmpKind::TooBig | IcmpKind::Other);
        if error.protocol != 17 || !refuses {
            return None;
        }
        let (src, dst) = (error.quoted_src, error.quoted_dst);
        let call = self.holder(dst).or_else(|| self.holder(src)).map(|h| h.call).or_else(|| {
            let ids = self.by_dst.range((dst, 0)..=(dst, u32::MAX));
            ids.filter_map(|&(_, id)| self.stream(id)).filter(|s| s.counters.key.src == src).find_map(Stream::call)
        })?;
        let refusal = Refusal {
            src,
            dst,
            kind: error.kind,
            icmp: (error.icmp_type, error.icmp_code),
            reporter: packet.src,
            direction: packet.direction,
            count: 1,
            first_at: now,
            last_at: now,
        };
        let refusals = &mut self.calls.get_mut(&call)?.refusals;
        let known = refusals.iter_mut().find(|r| (r.src, r.dst, r.direction) == (src, dst, packet.direction));
        if let Some(known) = known {
            known.repeat(&refusal);
        } else if refusals.len() < MAX_WITNESSES {
            refusals.push(refusal);
        }
        Some(call)
    }

    /// Takes an RTCP compound. Returns the call it is about where it can change a verdict.
    pub fn handle_rtcp(&mut self, now: Timestamp, packet: &Packet<'_>, payload: &[u8]) -> Option<CallKey> {
        let Ok(compound) = Rtcp::parse(payload) else { return None };
        let (holder, towards_holder) = match self.any_holder(packet.dst) {
            Some(h) => (h, true),
            None => (self.any_holder(packet.src)?, false),
        };
        let call = holder.call;
        let from = holder.side.map(|side| if towards_holder { side.other() } else { side });
        for part in compound {
            for block in part.reports() {
                self.handle_report(now, call, block);
            }
            self.note_rtcp(now, call, from, packet, &part);
        }
        None
    }

    fn handle_report(&mut self, now: Timestamp, call: CallKey, block: crate::rtp::ReportBlock) {
        let found = self.ids_of(call).find(|&id| self.stream(id).is_some_and(|s| s.counters.key.ssrc == block.ssrc));
        if let Some(stream) = found.and_then(|id| self.slots.get_mut(id as usize)).and_then(Option::as_mut) {
            stream.handle_report(now, block);
        }
    }

    fn note_rtcp(
        &mut self,
        now: Timestamp,
        call: CallKey,
        from: Option<Side>,
        packet: &Packet<'_>,
        part: &RtcpPacket<'_>,
    ) {
        let Some(ssrc) = part.sender() else { return };
        let Some(media) = self.calls.get_mut(&call) else { return };
        let index = media.rtcp.iter().position(|r| (r.src, r.dst, r.ssrc) == (packet.src, packet.dst, ssrc));
        let index = match index {
            Some(index) => index,
            None if media.rtcp.len() < MAX_WITNESSES => {
                media.rtcp.push(RtcpSource {
                    src: packet.src,
                    dst: packet.dst,
                    ssrc,
                    from,
                    direction: packet.direction,
                    first_at: now,
                    last_at: now,
                    sent_packets: None,
                    sent_grew_at: None,
                    bye: false,
                    ttl_min: packet.ttl,
                });
                media.rtcp.len() - 1
            }
            None => return,
        };
        let Some(source) = media.rtcp.get_mut(index) else { return };
        source.last_at = now;
        source.ttl_min = source.ttl_min.min(packet.ttl);
        match part {
            RtcpPacket::SenderReport { info, .. } => {
                if source.sent_packets.is_none_or(|sent| sent != info.packets) && info.packets != 0 {
                    source.sent_grew_at = Some(now);
                }
                source.sent_packets = Some(info.packets);
            }
            RtcpPacket::Bye { .. } => source.bye = true,
            RtcpPacket::ReceiverReport { .. }
            | RtcpPacket::SourceDescription { .. }
            | RtcpPacket::App { .. }
            | RtcpPacket::Feedback { .. }
            | RtcpPacket::ExtendedReport { .. }
            | RtcpPacket::Other { .. } => {}
        }
    }

    /// Notes that `side` of a call takes media at `endpoint`. The newest call that names an endpoint gets the streams that
    /// begin from then on; a stream that began before stays with its call.
    pub(super) fn hold(
        &mut self,
        at: Timestamp,
        call: CallKey,
        call_id: &str,
        place: &Place,
        codecs: &Arc<[CodecName]>,
    ) {
        let media = self.calls.entry(call).or_insert_with(|| CallMedia {
            call_id: call_id.into(),
            endpoints: Vec::new(),
            refusals: Vec::new(),
            rtcp: Vec::new(),
            judged: [None; 2],
        });
        let holders = self.holders.entry(place.endpoint).or_default();
        if let Some(known) = holders.iter_mut().find(|h| h.call == call) {
            if place.weak {
                return;
            }
            if known.rtcp_only == place.rtcp_only && known.side.is_some_and(|side| side != place.side) {
                known.side = None;
            }
            known.rtcp_only &= place.rtcp_only;
            known.codecs = Arc::clone(codecs);
        } else {
            if place.weak && !holders.is_empty() {
                return;
            }
            if holders.len() >= MAX_HOLDERS {
                holders.remove(0);
            }
            let (side, rtcp_only) = (Some(place.side), place.rtcp_only);
            holders.push(Holder { call, side, rtcp_only, codecs: Arc::clone(codecs) });
            media.endpoints.push(place.endpoint);
        }
        if !place.rtcp_only {
            self.join_around(at, place.endpoint, codecs);
        }
    }

    /// Joins the streams to and from an endpoint that has just become known, and tells those of its call the codecs.
    fn join_around(&mut self, at: Timestamp, endpoint: SocketAddr, codecs: &Arc<[CodecName]>) {
        let range = (endpoint, 0)..=(endpoint, u32::MAX);
        let ids: SmallVec<[u32; 8]> =
            self.by_dst.range(range.clone()).chain(self.by_src.range(range)).map(|&(_, id)| id).collect();
        for id in ids {
            let Some(stream) = self.stream(id) else { continue };
            let towards = stream.counters.key.dst == endpoint;
            match stream.call() {
                None if stream.owner.is_none() && at.since(stream.counters.last_at) <= EARLY_STREAM => self.join(id),
                None => {}
                Some(call) => {
                    let same = self.holder(endpoint).is_some_and(|h| h.call == call);
                    let owner = self.slots.get_mut(id as usize).and_then(Option::as_mut).and_then(|s| s.owner.as_mut());
                    if let (true, true, Some(owner)) = (same, towards, owner) {
                        owner.codecs = Arc::clone(codecs);
                    }
                }
            }
        }
    }

    /// Joins a stream to a call: by where it goes, else by where it comes from (symmetric RTP, RFC 4961).
    fn join(&mut self, id: u32) {
        let Some(stream) = self.stream(id) else { return };
        let key = stream.counters.key;
        let owner = match (self.holder(key.dst), self.holder(key.src)) {
            (Some(dst), _) => (dst.call, dst.side.map(Side::other), Arc::clone(&dst.codecs)),
            (None, Some(src)) => (src.call, src.side, Arc::clone(&src.codecs)),
            (None, None) => return,
        };
        let (call, from, codecs) = owner;
        let Some(call_id) = self.calls.get(&call).map(|m| Arc::clone(&m.call_id)) else { return };
        if let Some(stream) = self.slots.get_mut(id as usize).and_then(Option::as_mut) {
            stream.owner = Some(Owner { call, call_id, from, codecs, released: false });
            self.by_call.insert((call, id));
        }
    }

    /// The call is freed: its endpoints belong to nobody, its streams are written when they end.
    pub fn release(&mut self, key: CallKey) {
        let Some(media) = self.calls.remove(&key) else { return };
        for endpoint in media.endpoints {
            if let hashbrown::hash_map::Entry::Occupied(mut entry) = self.holders.entry(endpoint) {
                entry.get_mut().retain(|h| h.call != key);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
        let ids: SmallVec<[u32; 8]> = self.ids_of(key).collect();
        for id in ids {
            self.by_call.remove(&(key, id));
            if let Some(owner) = self.slots.get_mut(id as usize).and_then(Option::as_mut).and_then(|s| s.owner.as_mut())
            {
                owner.released = true;
            }
        }
    }

    /// Writes the records of streams that ended.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.next_sweep.is_none_or(|at| at > now) {
            return;
        }
        let ended = |stream: &Stream| {
            let silent = now.since(stream.counters.last_at);
            match &stream.owner {
                None => silent >= STRAY_IDLE,
                Some(owner) if owner.released => silent >= RELEASED_IDLE,
                Some(_) => false,
            }
        };
        let ids: Vec<u32> = self.ids().filter(|&id| self.stream(id).is_some_and(ended)).collect();
        for id in ids {
            self.remove(id);
        }
        self.next_sweep = if self.is_empty() { None } else { Some(now + SWEEP_EVERY) };
    }

    /// When [`MediaTable::handle_timeout`] should be called next.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Timestamp> {
        self.next_sweep
    }

    /// The record of a stream that ended.
    pub fn poll_record(&mut self) -> Option<StreamRecord> {
        self.records.pop_front()
    }

    /// The capture is over: the records of all streams are due, in the order they began.
    pub fn finish(&mut self, _now: Timestamp) {
        let mut ids: Vec<u32> = self.ids().collect();
        ids.sort_by_key(|&id| self.stream(id).map(|s| (s.counters.first_at, s.counters.key)));
        for id in ids {
            self.remove(id);
        }
    }

    /// The streams joined to a call, in the order they were first reported.
    pub fn streams_of(&self, call: CallKey) -> impl Iterator<Item = &Stream> + '_ {
        self.ids_of(call).filter_map(|id| self.stream(id))
    }

    /// The streams that go to an endpoint.
    pub fn streams_to(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_dst.range((endpoint, 0)..=(endpoint, u32::MAX)).filter_map(|&(_, id)| self.stream(id))
    }

    /// The streams that come from an endpoint.
    pub fn streams_from(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.by_src.range((endpoint, 0)..=(endpoint, u32::MAX)).filter_map(|&(_, id)| self.stream(id))
    }

    /// The streams that come from any port of an address.
    pub fn streams_from_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        let range = (SocketAddr::new(address, 0), 0)..=(SocketAddr::new(address, u16::MAX), u32::MAX);
        self.by_src.range(range).filter_map(|&(_, id)| self.stream(id))
    }

    /// The streams that go to any port of an address.
    pub fn streams_to_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        let range = (SocketAddr::new(address, 0), 0)..=(SocketAddr::new(address, u16::MAX), u32::MAX);
        self.by_dst.range(range).filter_map(|&(_, id)| self.stream(id))
    }

    /// ICMP errors that quote media of a call.
    #[must_use]
    pub fn refusals(&self, call: CallKey) -> &[Refusal] {
        self.calls.get(&call).map_or(&[], |m| &m.refusals)
    }

    /// RTCP about a call, by sender.
    #[must_use]
    pub fn rtcp(&self, call: CallKey) -> &[RtcpSource] {
        self.calls.get(&call).map_or(&[], |m| &m.rtcp)
    }

    /// Whether a call takes media at the endpoint, or took it earlier in its life.
    #[must_use]
    pub fn is_held(&self, endpoint: SocketAddr) -> bool {
        self.holders.contains_key(&endpoint)
    }

    /// Whether a call other than this one does.
    #[must_use]
    pub fn is_held_by_others(&self, endpoint: SocketAddr, call: CallKey) -> bool {
        self.holders.get(&endpoint).is_some_and(|holders| holders.iter().any(|h| h.call != call))
    }

    /// Whether the address is one of this host's.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.local.contains(&address)
    }

    /// What the capture can be expected to show of media.
    #[must_use]
    pub const fn sight(&self) -> MediaSight {
        self.sight
    }

    /// Streams known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no stream is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams forgotten for want of room, since start.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether a stream of a call was forgotten for want of room at or after `since`: that none is known proves nothing.
    #[must_use]
    pub fn forgot_since(&self, since: Timestamp) -> bool {
        self.owned_evicted_at.is_some_and(|at| at >= since)
    }

    /// The newest call that takes RTP at the endpoint.
    fn holder(&self, endpoint: SocketAddr) -> Option<&Holder> {
        self.holders.get(&endpoint)?.iter().rfind(|h| !h.rtcp_only)
    }

    /// The newest call that takes RTP or RTCP at the endpoint.
    fn any_holder(&self, endpoint: SocketAddr) -> Option<&Holder> {
        self.holders.get(&endpoint)?.last()
    }

    fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.slots).filter(|(_, slot)| slot.is_some()).map(|(id, _)| id)
    }

    fn ids_of(&self, call: CallKey) -> impl Iterator<Item = u32> + '_ {
        self.by_call.range((call, 0)..=(call, u32::MAX)).map(|&(_, id)| id)
    }

    fn stream(&self, id: u32) -> Option<&Stream> {
        self.slots.get(id as usize)?.as_ref()
    }

    /// The call of a stream that changed, unless it was handed out for the same direction just before.
    fn to_be_judged(&mut self, now: Timestamp, id: u32) -> Option<CallKey> {
        let stream = self.stream(id)?;
        let call = stream.call()?;
        let from = stream.owner.as_ref()?.from;
        let media = self.calls.get_mut(&call)?;
        let judged = match from {
            Some(Side::Callee) => &mut media.judged[0],
            Some(Side::Caller) | None => &mut media.judged[1],
        };
        if judged.is_some_and(|at| now.since(at) < JUDGE_EVERY) {
            return None;
        }
        *judged = Some(now);
        Some(call)
    }

    fn insert(&mut self, stream: Stream) -> u32 {
        if self.len() >= self.limit {
            self.evict(stream.counters.last_at);
        }
        let key = stream.counters.key;
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(slot) = self.slots.get_mut(id as usize) {
            *slot = Some(stream);
        }
        self.by_key.insert(key, id);
        self.by_dst.insert((key.dst, id));
        self.by_src.insert((key.src, id));
        id
    }

    /// Makes room: of the next streams in turn, first one that may be no RTP at all, then one of no call, then the one
    /// silent for longest.
    fn evict(&mut self, now: Timestamp) {
        let mut victim: Option<((u8, Timestamp), u32)> = None;
        for _ in 0..EVICTION_SAMPLE.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(stream) = self.slots.get(self.hand).and_then(Option::as_ref) else { continue };
            let rank = match (stream.counters.in_sequence, stream.call()) {
                (false, None) => 0,
                (false, Some(_)) => 1,
                (true, None) => 2,
                (true, Some(_)) => 3,
            };
            let merit = (rank, stream.counters.last_at);
            if victim.is_none_or(|(least, _)| merit < least) {
                victim = Some((merit, u32::try_from(self.hand).unwrap_or(u32::MAX)));
            }
        }
        if let Some(((rank, _), id)) = victim {
            self.evicted += 1;
            if rank == 3 {
                self.owned_evicted_at = Some(now);
            }
            self.remove(id);
        }
    }

    /// Forgets a stream and writes its record where it is worth one.
    fn remove(&mut self, id: u32) {
        let Some(stream) = self.slots.get_mut(id as usize).and_then(Option::take) else { return };
        let key = stream.counters.key;
        self.by_key.remove(&key);
        self.by_dst.remove(&(key.dst, id));
        self.by_src.remove(&(key.src, id));
        if let Some(owner) = &stream.owner {
            self.by_call.remove(&(owner.call, id));
        }
        self.free.push(id);
        if self.keep_records && stream.is_worth_a_record() {
            self.records.push_back(stream.record());
        }
    }
}

/// An endpoint as SDP gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub endpoint: SocketAddr,
    pub side: Side,
    pub rtcp_only: bool,
    /// Only a guess: it gives way to any call that really names the endpoint.
    pub weak: bool,
}
