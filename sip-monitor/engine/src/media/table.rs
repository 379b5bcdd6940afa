//! Every stream the capture reports, and which call it belongs to.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use smallvec::SmallVec;

use crate::call::CallKey;
use crate::config::{EngineConfig, MediaSight, QualityThresholds};
use crate::media::holders::{Holders, MAX_HOLDERS, Place};
use crate::media::payload::{AFTER_END, Turn};
use crate::media::store::{StreamId, StreamStore};
use crate::media::stream::{Owner, Stream};
use crate::media::witness::{Refusal, RtcpSource};
use crate::media::{CodecName, HeardInterval};
use crate::packet::{IcmpError, IcmpKind, Packet, StreamCounters};
use crate::record::{Side, StreamRecord};
use crate::sdp::Media;
use crate::time::Timestamp;

/// How often streams that ended are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// A stream of no call that is silent for so long has ended.
const STRAY_IDLE: Duration = Duration::from_secs(60);
/// A stream of a call that is over has ended when it is silent for so long.
const RELEASED_IDLE: Duration = Duration::from_secs(5);
/// A stream that began before its SDP was seen belongs to it if it was heard so lately.
const EARLY_STREAM: Duration = Duration::from_secs(5);
/// Flows with ICMP errors, and RTCP senders, kept for one call.
pub(super) const MAX_WITNESSES: usize = 16;
/// Flows with drops kept until a call claims them.
const MAX_UNCLAIMED: usize = 256;
/// A call is not judged again for the same direction within this time.
const JUDGE_EVERY: Duration = Duration::from_millis(200);

/// Streams and the endpoints that SDP announced.
#[derive(Debug)]
pub struct MediaTable {
    local: HashSet<IpAddr, RandomState>,
    sight: MediaSight,
    pub(super) streams: StreamStore,
    pub(super) holders: Holders,
    records: VecDeque<StreamRecord>,
    /// Streams that were joined to a call and not asked for yet.
    joined: VecDeque<(CallKey, Side, u32)>,
    /// Intervals that ended and are not counted for their peers yet.
    pub(super) heard: Vec<HeardInterval>,
    keep_records: bool,
    next_sweep: Option<Timestamp>,
    /// Packets dropped before any call was known to take them, oldest first.
    unclaimed: VecDeque<Refusal>,
    unclaimed_evicted: u64,
    /// When the monitor itself last missed media.
    pub(super) missed_at: Option<Timestamp>,
    pub(super) quality: QualityThresholds,
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
        Self {
            local: config.local.iter().copied().collect(),
            sight: config.media_sight,
            streams: StreamStore::new(config.limits.streams),
            holders: Holders::default(),
            records: VecDeque::new(),
            joined: VecDeque::new(),
            heard: Vec::new(),
            keep_records: config.emit.streams,
            next_sweep: None,
            unclaimed: VecDeque::new(),
            unclaimed_evicted: 0,
            missed_at: None,
            quality: config.thresholds.quality,
        }
    }

    /// Puts other settings in force: local addresses, what the capture shows, whether records are kept.
    pub fn set_config(&mut self, config: &EngineConfig) {
        self.local = config.local.iter().copied().collect();
        self.sight = config.media_sight;
        self.keep_records = config.emit.streams;
        self.quality = config.thresholds.quality;
    }

    /// Takes a report about a stream. Returns the call to be judged again: where the stream counts for the first time, or
    /// comes back after a silence.
    pub fn handle_stream(&mut self, now: Timestamp, counters: &StreamCounters) -> Option<CallKey> {
        self.next_sweep.get_or_insert(now + SWEEP_EVERY);
        let Some(id) = self.streams.find(&counters.key) else {
            let (id, leaves) = self.streams.insert(Stream::new(*counters));
            self.write(leaves);
            self.join(id);
            return if counters.in_sequence { self.call_to_judge(now, id) } else { None };
        };
        let stream = self.streams.get_mut(id)?;
        let turn = Turn::between(&stream.counters, counters);
        let changed = stream.update(counters);
        if stream.owner.is_none() {
            self.join(id);
        }
        let is_worth_a_look = changed || self.is_odd(id, turn) || self.outlives_its_call(id);
        let measured = self.measure(id);
        if is_worth_a_look { self.call_to_judge(now, id).or(measured) } else { measured }
    }

    /// The call is over: what flows on is of interest.
    pub(crate) fn call_over(&mut self, call: CallKey, at: Timestamp) {
        if let Some(media) = self.holders.call_mut(call) {
            media.over_at = Some(at);
        }
        self.streams.call_over(call, at);
    }

    fn outlives_its_call(&self, id: StreamId) -> bool {
        let Some(stream) = self.streams.get(id) else { return false };
        let over_at = stream.owner.as_ref().filter(|owner| !owner.released).and_then(|owner| owner.over_at);
        over_at.is_some_and(|at| stream.counters.last_at.since(at) >= AFTER_END)
    }

    /// Whether a report shows what most streams never show.
    fn is_odd(&self, id: StreamId, turn: Turn) -> bool {
        let Some((stream, owner)) = self.streams.get(id).and_then(|s| Some((s, s.owner.as_ref()?))) else {
            return false;
        };
        let source_is_known = || self.holders.at(stream.counters.key.src).any(|h| h.call == owner.call);
        let key = &stream.counters.key;
        let follows_another =
            || self.streams_from(key.src).any(|s| s.counters.key.dst == key.dst && s.counters.key.ssrc != key.ssrc);
        turn.is_jump()
            || (turn.has_event && !stream.may_carry_events())
            || (turn.settles
                && (stream.is_oddly_marked() || !stream.is_of_known_type() || !source_is_known() || follows_another()))
    }

    /// Takes an ICMP error that quotes a UDP flow. Returns the call whose media was refused.
    pub fn handle_icmp(&mut self, now: Timestamp, packet: &Packet<'_>, error: &IcmpError) -> Option<CallKey> {
        let refuses = !matches!(error.kind, IcmpKind::TooBig | IcmpKind::Other);
        if error.protocol != 17 || !refuses {
            return None;
        }
        let (src, dst) = (error.quoted_src, error.quoted_dst);
        let refusal = Refusal {
            src,
            dst,
            kind: error.kind,
            icmp: (error.icmp_type, error.icmp_code),
            reporter: packet.src,
            direction: packet.direction,
            dropped: None,
            count: 1,
            first_at: now,
            last_at: now,
        };
        self.refuse(refusal)
    }

    /// Joins a refusal to the call whose media it concerns.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Option<CallKey> {
        let (src, dst) = (refusal.src, refusal.dst);
        let held = self.holders.between(src, dst).map(|(holder, _)| holder.call);
        let of_stream = || self.streams_to(dst).filter(|s| s.counters.key.src == src).find_map(Stream::call);
        let Some(call) = held.or_else(of_stream) else {
            self.keep_unclaimed(refusal);
            return None;
        };
        let refusals = &mut self.holders.call_mut(call)?.refusals;
        let known = refusals.iter_mut().find(|r| r.id() == refusal.id());
        if let Some(known) = known {
            known.repeat(&refusal);
        } else if refusals.len() < MAX_WITNESSES {
            refusals.push(refusal);
        }
        Some(call)
    }

    /// Keeps what the kernel dropped for a call whose SDP may come yet.
    fn keep_unclaimed(&mut self, refusal: Refusal) {
        if refusal.dropped.is_none() {
            return;
        }
        self.unclaimed
            .retain(|known| known.id() != refusal.id() && refusal.last_at.since(known.last_at) <= EARLY_STREAM);
        if self.unclaimed.len() >= MAX_UNCLAIMED {
            self.unclaimed.pop_front();
            self.unclaimed_evicted += 1;
        }
        self.unclaimed.push_back(refusal);
    }

    /// What was dropped just before SDP named this endpoint belongs to its call.
    fn claim(&mut self, at: Timestamp, endpoint: SocketAddr) {
        let is_meant = |r: &Refusal| r.src == endpoint || r.dst == endpoint;
        if !self.unclaimed.iter().any(is_meant) {
            return;
        }
        let (meant, rest): (VecDeque<_>, VecDeque<_>) = self.unclaimed.drain(..).partition(is_meant);
        self.unclaimed = rest;
        for refusal in meant.into_iter().filter(|r| at.since(r.last_at) <= EARLY_STREAM) {
            self.refuse(refusal);
        }
    }

    /// Reports of drops forgotten for want of room before a call claimed them.
    #[must_use]
    pub const fn unclaimed_evicted(&self) -> u64 {
        self.unclaimed_evicted
    }

    /// The codecs of an m-line, as one list with all calls that name the same.
    pub(super) fn share_codecs(&mut self, media: &Media<'_>) -> Arc<[CodecName]> {
        self.holders.share(media)
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
        if !self.holders.hold(call, call_id, place, codecs) || place.rtcp_only {
            return;
        }
        self.claim(at, place.endpoint);
        let ids: SmallVec<[StreamId; 8]> = self.streams.ids_around(place.endpoint).collect();
        for id in ids {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            let towards = stream.counters.key.dst == place.endpoint;
            match &mut stream.owner {
                None if at.since(stream.counters.last_at) <= EARLY_STREAM => self.join(id),
                Some(owner) if owner.call == call && towards => owner.codecs = Arc::clone(codecs),
                None | Some(_) => {}
            }
        }
    }

    /// Joins a stream to the call that takes media where it goes, or where it comes from.
    fn join(&mut self, id: StreamId) {
        let Some(key) = self.streams.get(id).map(|s| s.counters.key) else { return };
        let Some((holder, towards)) = self.holders.between(key.src, key.dst) else { return };
        let Some(media) = self.holders.call(holder.call) else { return };
        let owner = Owner {
            call: holder.call,
            call_id: Arc::clone(&media.call_id),
            from: if towards { holder.side.map(Side::other) } else { holder.side },
            codecs: Arc::clone(&holder.codecs),
            over_at: media.over_at,
            released: false,
        };
        self.joined.extend(owner.from.map(|from| (owner.call, from, key.ssrc)));
        self.streams.set_owner(id, owner);
    }

    /// The call is freed: its endpoints belong to nobody, its streams are written when they end.
    pub fn release(&mut self, key: CallKey) {
        self.holders.release(key);
        self.streams.release(key);
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
        let ids: Vec<StreamId> = self.streams.loose().filter(|(_, s)| ended(s)).map(|(id, _)| id).collect();
        for id in ids {
            let stream = self.streams.remove(id);
            self.write(stream);
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
        let mut ids: Vec<StreamId> = self.streams.ids().collect();
        ids.sort_by_key(|&id| self.streams.get(id).map(|s| (s.counters.first_at, s.counters.key)));
        for id in ids {
            let stream = self.streams.remove(id);
            self.write(stream);
        }
    }

    fn write(&mut self, stream: Option<Stream>) {
        if let Some(stream) = stream.filter(|s| self.keep_records && s.is_worth_a_record()) {
            self.records.push_back(stream.record());
        }
    }

    /// The streams joined to a call.
    pub fn streams_of(&self, call: CallKey) -> impl Iterator<Item = &Stream> + '_ {
        self.streams.ids_of(call).filter_map(|id| self.streams.get(id))
    }

    /// The streams that go to an endpoint.
    pub fn streams_to(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.streams.streams_to(endpoint)
    }

    /// The streams that come from an endpoint.
    pub fn streams_from(&self, endpoint: SocketAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.streams.streams_from(endpoint)
    }

    /// The streams that go to any port of an address.
    pub fn streams_to_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.streams.streams_to_host(address)
    }

    /// The streams that come from any port of an address.
    pub fn streams_from_host(&self, address: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.streams.streams_from_host(address)
    }

    /// The streams from one host to another that belong to no call.
    pub fn unowned_between(&self, src: IpAddr, dst: IpAddr) -> impl Iterator<Item = &Stream> + '_ {
        self.streams.unowned_between(src, dst)
    }

    /// ICMP errors that quote media of a call.
    #[must_use]
    pub fn refusals(&self, call: CallKey) -> &[Refusal] {
        self.holders.call(call).map_or(&[], |m| &m.refusals)
    }

    /// RTCP about a call, by sender.
    #[must_use]
    pub fn rtcp(&self, call: CallKey) -> &[RtcpSource] {
        self.holders.call(call).map_or(&[], |m| &m.rtcp)
    }

    /// Whether some call takes media at the endpoint, or took it earlier in its life.
    #[must_use]
    pub fn is_held(&self, endpoint: SocketAddr) -> bool {
        self.holders.at(endpoint).next().is_some()
    }

    /// Whether a call other than this one does.
    #[must_use]
    pub fn is_held_by_others(&self, endpoint: SocketAddr, call: CallKey) -> bool {
        self.holders.at(endpoint).any(|h| h.call != call)
    }

    /// The calls that take RTP at an endpoint of this call on the same side of it, itself among them, endpoint by endpoint.
    /// Nothing of an endpoint that as many share as are kept: there are more.
    pub fn calls_beside(&self, call: CallKey) -> impl Iterator<Item = SmallVec<[CallKey; MAX_HOLDERS]>> + '_ {
        self.holders.endpoints_of(call).iter().filter_map(move |endpoint| {
            let side = self.holders.at(*endpoint).find(|h| h.call == call && !h.rtcp_only)?.side?;
            let all = self.holders.at(*endpoint);
            let same: SmallVec<[CallKey; MAX_HOLDERS]> =
                all.clone().filter(|h| h.side == Some(side) && !h.rtcp_only).map(|h| h.call).collect();
            (same.len() > 1 && all.count() < MAX_HOLDERS).then_some(same)
        })
    }

    /// A stream that was joined to a call: the call, the side that sends it, and its SSRC.
    pub(crate) fn poll_joined(&mut self) -> Option<(CallKey, Side, u32)> {
        self.joined.pop_front()
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
        self.streams.len()
    }

    /// Whether no stream is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams forgotten for want of room, since start.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.streams.evicted()
    }

    /// Whether a stream of a call was forgotten for want of room at or after `since`: that none is known proves nothing.
    #[must_use]
    pub fn forgot_since(&self, since: Timestamp) -> bool {
        self.streams.owned_evicted_at().is_some_and(|at| at >= since)
    }

    /// The call of a stream that changed, unless it was handed out for the same direction just before.
    fn call_to_judge(&mut self, now: Timestamp, id: StreamId) -> Option<CallKey> {
        let stream = self.streams.get(id)?;
        let call = stream.call()?;
        let [to_caller, to_callee] = &mut self.holders.call_mut(call)?.judged;
        let judged = match stream.owner.as_ref()?.from {
            Some(Side::Callee) => to_caller,
            Some(Side::Caller) | None => to_callee,
        };
        if judged.is_some_and(|at| now.since(at) < JUDGE_EVERY) {
            return None;
        }
        *judged = Some(now);
        Some(call)
    }
}
