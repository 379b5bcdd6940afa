//! What streams and RTCP tell of quality: intervals are rated as they end, reports are joined to the stream they speak of.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use crate::call::CallKey;
use crate::media::session::Leg;
use crate::media::store::StreamId;
use crate::media::table::MAX_WITNESSES;
use crate::media::witness::RtcpSource;
use crate::media::{HeardInterval, MediaSession, MediaTable, Reception, Stream};
use crate::packet::{CaptureLoss, Direction, Packet};
use crate::quality::{History, codec_quality};
use crate::record::Side;
use crate::rtp::{ReportBlock, Rtcp, RtcpPacket, VoipMetrics, XrBlock};
use crate::time::Timestamp;

impl MediaTable {
    /// The monitor itself missed packets: what is missing in streams at that time is no loss of theirs.
    pub fn note_capture_loss(&mut self, now: Timestamp, loss: &CaptureLoss) {
        if loss.media_ring_full + loss.map_full + loss.unreadable > 0 {
            self.missed_at = Some(now);
        }
    }

    /// Measures the last report about a stream. Returns its call where an interval ended that may change a verdict.
    pub(super) fn measure(&mut self, id: StreamId) -> Option<CallKey> {
        let missed_at = self.missed_at;
        let interval = self.streams.get_mut(id)?.measure(missed_at)?;
        let path = self.streams.get(id)?.call().and_then(|call| self.one_way(call));
        let quality = self.quality;
        let stream = self.streams.get_mut(id)?;
        stream.hear(interval, path, f64::from(quality.loss_percent));
        let heard = stream.heard.as_ref().and_then(|heard| heard.history.last().copied());
        let heard = heard.and_then(|interval| HeardInterval::of(stream, interval, false));
        let matters = stream.heard.as_ref().is_some_and(|heard| quality.may_matter(&heard.history));
        let call = stream.call().filter(|_| matters);
        self.heard.extend(heard);
        call
    }

    /// Intervals that ended since this was asked last.
    pub(crate) fn take_heard(&mut self) -> Vec<HeardInterval> {
        core::mem::take(&mut self.heard)
    }

    /// The call is over: streams that were too short for an interval are one by themselves.
    pub(crate) fn hear_rest(&mut self, call: CallKey) {
        let lossy_percent = f64::from(self.quality.loss_percent);
        let ids: SmallVec<[StreamId; 4]> = self.streams.ids_of(call).collect();
        for id in ids {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            let Some(interval) = stream.hear_rest(lossy_percent) else { continue };
            let heard = HeardInterval::of(stream, interval, false);
            self.heard.extend(heard);
        }
    }

    /// What packets of a call take from one side to the other: half of the round trips from here to each side.
    fn one_way(&self, call: CallKey) -> Option<Duration> {
        let trip = |side: Side| {
            let of_side = self.rtcp(call).iter().filter(|r| r.from == Some(side));
            of_side.filter_map(|r| r.round_trip.get()).min()
        };
        let (caller, callee) = (trip(Side::Caller), trip(Side::Callee));
        let both = caller.unwrap_or_default() + callee.unwrap_or_default();
        caller.or(callee).map(|_| both / 2)
    }

    /// Takes an RTCP compound. Returns the call to be judged again: where a receiver begins or ceases to say that nothing
    /// arrives, or an interval of its reports ended that may change a verdict.
    pub fn handle_rtcp(&mut self, now: Timestamp, packet: &Packet<'_>, payload: &[u8]) -> Option<CallKey> {
        let Ok(compound) = Rtcp::parse(payload) else { return None };
        let (call, from) = self.rtcp_holder(packet.src, packet.dst)?;
        let mut matters = false;
        for part in compound {
            if let Some(ssrc) = part.sender() {
                self.note_sender(now, call, from, packet, &part, ssrc);
                for block in part.reports() {
                    matters |= self.handle_report(now, call, packet, ssrc, block);
                }
            }
            if let RtcpPacket::ExtendedReport { blocks, .. } = part {
                for block in blocks {
                    if let XrBlock::VoipMetrics(metrics) = block {
                        self.handle_metrics(call, packet, metrics);
                    }
                }
            }
        }
        matters.then_some(call)
    }

    /// The call whose RTCP goes this way, and the side that sends it.
    pub(super) fn rtcp_holder(&self, src: SocketAddr, dst: SocketAddr) -> Option<(CallKey, Option<Side>)> {
        let towards = self.holders.at(dst).next().map(|h| (h.call, h.side.map(Side::other)));
        towards.or_else(|| self.holders.at(src).next().map(|h| (h.call, h.side)))
    }

    fn note_sender(
        &mut self,
        now: Timestamp,
        call: CallKey,
        from: Option<Side>,
        packet: &Packet<'_>,
        part: &RtcpPacket<'_>,
        ssrc: u32,
    ) {
        let Some(media) = self.holders.call_mut(call) else { return };
        let known = media.rtcp.iter().position(|r| (r.src, r.dst, r.ssrc) == (packet.src, packet.dst, ssrc));
        if known.is_none() && media.rtcp.len() < MAX_WITNESSES {
            media.rtcp.push(RtcpSource::new(now, packet, ssrc, from));
        }
        let index = known.unwrap_or(media.rtcp.len().saturating_sub(1));
        let fits = |r: &&mut RtcpSource| r.ssrc == ssrc && r.src == packet.src;
        if let Some(source) = media.rtcp.get_mut(index).filter(fits) {
            source.update(now, packet, part);
        }
    }

    /// Takes a report block. Returns whether a verdict may come of it, or end.
    fn handle_report(
        &mut self,
        now: Timestamp,
        call: CallKey,
        packet: &Packet<'_>,
        reporter: u32,
        block: ReportBlock,
    ) -> bool {
        let round_trip = self.time_round_trip(now, call, packet, reporter, &block);
        let Some(id) = self.reported(call, packet, block.ssrc) else { return false };
        let path = self.one_way(call);
        let quality = self.quality;
        let lossy_percent = f64::from(quality.loss_percent);
        let Some(stream) = self.streams.get_mut(id) else { return false };
        let codec = stream.codec_name().and_then(codec_quality);
        let rate_hz = stream.known_clock_rate_hz();
        let counted = &stream.counters;
        let here = (counted.packets.saturating_sub(counted.duplicates), counted.lost);
        let pace = stream.heard.as_ref().map_or(0.0, |heard| heard.meter.pace());
        let Some(reception) = &mut stream.reception else {
            stream.reception = Some(Box::new(Reception::new(now, block, here)));
            return false;
        };
        let was_deaf = reception.hears_nothing();
        let interval = reception.update(now, block, here, rate_hz, pace);
        reception.round_trip = round_trip.or(reception.round_trip);
        let mut matters = reception.hears_nothing() != was_deaf;
        if let Some(interval) = interval {
            reception.hear(interval, codec, path, lossy_percent);
            matters |= quality.may_matter(&reception.history);
            let rated = reception.history.last().copied();
            let heard = rated.and_then(|interval| HeardInterval::of(stream, interval, true));
            self.heard.extend(heard);
        }
        matters
    }

    fn handle_metrics(&mut self, call: CallKey, packet: &Packet<'_>, metrics: VoipMetrics) {
        let found = self.reported(call, packet, metrics.ssrc).and_then(|id| self.streams.get_mut(id));
        if let Some(reception) = found.and_then(|stream| stream.reception.as_mut()) {
            reception.voip = Some(metrics);
        }
    }

    /// The stream that a receiver speaks of: of those with that SSRC that go from here, or past here, the one to the host that
    /// reports. What this host's own receivers report was counted here already.
    fn reported(&self, call: CallKey, packet: &Packet<'_>, ssrc: u32) -> Option<StreamId> {
        if packet.direction == Direction::Out {
            return None;
        }
        let meant = |id: &StreamId| self.streams.get(*id).filter(|s| is_meant(s, ssrc));
        let of_call = || self.streams.ids_of(call).filter(|id| meant(id).is_some());
        let to_reporter = of_call().find(|id| meant(id).is_some_and(|s| s.counters.key.dst.ip() == packet.src.ip()));
        to_reporter.or_else(|| {
            let mut all = of_call();
            all.next().filter(|_| all.next().is_none())
        })
    }

    /// The round trip that a report block tells, once there are enough of them.
    fn time_round_trip(
        &mut self,
        now: Timestamp,
        call: CallKey,
        packet: &Packet<'_>,
        reporter: u32,
        block: &ReportBlock,
    ) -> Option<Duration> {
        let media = self.holders.call_mut(call).filter(|_| block.last_sr != 0)?;
        // A relay passes reports on: the copy seen last is the one nearest to the receiver.
        let reports = media.rtcp.iter().filter(|r| r.ssrc == block.ssrc);
        let sent = reports.filter_map(|r| r.sent_reports.passed_at(block.last_sr)).max()?;
        let mut sources = media.rtcp.iter_mut();
        let source = sources.find(|r| (r.src, r.dst, r.ssrc) == (packet.src, packet.dst, reporter))?;
        source.round_trip.note(sent, now, block.delay_since_last_sr);
        source.round_trip.get()
    }
}

fn is_meant(stream: &Stream, ssrc: u32) -> bool {
    let key = &stream.counters.key;
    key.ssrc == ssrc && key.direction != Direction::In
}

impl MediaSession {
    /// The signalling peer of the hop whose media goes to or comes from `remote`: the end that is not this host.
    #[must_use]
    pub fn peer_of(&self, table: &MediaTable, remote: IpAddr) -> Option<SocketAddr> {
        let peer = |hop: (SocketAddr, SocketAddr)| if table.is_local(hop.1.ip()) { hop.0 } else { hop.1 };
        let mut hops = self.legs.iter().map(|leg| (leg, peer(leg.hop)));
        let is_there = |(leg, peer): &(&Leg, SocketAddr)| {
            let named = leg.audio().is_some_and(|line| {
                [Side::Caller, Side::Callee].iter().any(|&side| line.of(side).address() == Some(remote))
            });
            named || peer.ip() == remote
        };
        hops.clone().find(is_there).or_else(|| hops.next()).map(|(_, peer)| peer)
    }
}

impl crate::config::QualityThresholds {
    /// Whether the last interval, or its end of a bad time, may change a verdict.
    fn may_matter(&self, history: &History) -> bool {
        let bad = |interval: &crate::quality::Interval| {
            interval.loss_percent() > f64::from(self.loss_percent)
                || interval.jitter_ms.is_some_and(|ms| ms > f64::from(self.jitter_ms))
                || interval.score.is_some_and(|score| score.mos < self.mos_warning())
        };
        history.last().is_some_and(bad) || history.previous().is_some_and(bad)
    }
}
