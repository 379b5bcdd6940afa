//! How the audio of a call is, interval by interval: what `rtp-loss`, `rtp-jitter` and `low-mos` have in common.

use core::time::Duration;

use crate::diagnosis::{CallFacts, Value};
use crate::media::Stream;
use crate::packet::Direction;
use crate::quality::{History, Interval};
use crate::record::Side;
use crate::time::Timestamp;

/// An interval counts for so long after its end: the next one ends 10 s later.
const FRESH: Duration = Duration::from_secs(15);

/// Where on its way a stream was harmed, as seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before it came here: its packets show it.
    BeforeHost,
    /// After it left here: its receiver's RTCP tells it.
    AfterHost,
}

/// One stream as one witness saw it.
#[derive(Clone, Copy)]
pub struct Heard<'a> {
    pub place: Place,
    pub stream: &'a Stream,
    pub history: &'a History,
    /// Its last interval.
    pub last: &'a Interval,
}

/// The streams of an answered call that were measured lately. Packets are the witness of what arrives or passes here, RTCP
/// of what becomes of it behind this host.
pub fn heard<'a>(facts: &'a CallFacts<'_>) -> impl Iterator<Item = Heard<'a>> {
    let is_up = facts.call.answered_at.is_some() || facts.call.adopted;
    let now = facts.call.media.ended_at().map_or(facts.now, |ended| ended.min(facts.now));
    let streams = facts.media.streams_of(facts.call.key).filter(move |stream| is_up && !stream.is_unheard());
    let of_stream = |stream: &'a Stream| {
        let arrives = stream.counters.key.direction != Direction::Out;
        let counted = stream.heard.as_ref().filter(|_| arrives).map(|h| (Place::BeforeHost, &h.history));
        let told = stream.reception.as_ref().map(|r| (Place::AfterHost, &r.history));
        counted.into_iter().chain(told).filter_map(move |(place, history)| {
            let last = history.last()?;
            Some(Heard { place, stream, history, last })
        })
    };
    streams.flat_map(of_stream).filter(move |heard| {
        let missed = heard.place == Place::BeforeHost && facts.capture.lost_since(heard.last.from);
        now.since(heard.last.until) <= FRESH && !missed
    })
}

impl Heard<'_> {
    /// Name of the place, as the catalogue has it.
    pub const fn place_name(&self) -> &'static str {
        match self.place {
            Place::BeforeHost => "before-host",
            Place::AfterHost => "after-host",
        }
    }

    /// Who sends it, in words.
    pub fn sender(&self) -> &'static str {
        match self.stream.owner.as_ref().and_then(|o| o.from) {
            Some(Side::Caller) => "the caller",
            Some(Side::Callee) => "the callee",
            None => "one side",
        }
    }

    /// The end of it that is elsewhere, in signalling.
    pub fn peer(&self, facts: &CallFacts<'_>) -> Option<core::net::SocketAddr> {
        let key = &self.stream.counters.key;
        let remote = match self.place {
            Place::BeforeHost => key.src,
            Place::AfterHost => key.dst,
        };
        facts.call.media.peer_of(facts.media, remote.ip())
    }

    /// What identifies the stream and its last interval.
    pub fn evidence(&self) -> Vec<(&'static str, Value)> {
        let (c, last) = (&self.stream.counters, self.last);
        let mut evidence: Vec<(&'static str, Value)> = vec![
            ("stream", format!("{} -> {}", c.key.src, c.key.dst).into()),
            ("ssrc", format!("0x{:08x}", c.key.ssrc).into()),
            ("witness", if self.place == Place::BeforeHost { "packets" } else { "rtcp" }.into()),
            ("interval_from", last.from.to_string().into()),
            ("interval_ms", millis(last.until, last.from).into()),
            ("expected", last.expected.into()),
            ("lost", last.lost.into()),
            ("loss_percent", rounded(last.loss_percent()).into()),
        ];
        let mut add = |key, value: Option<f64>| evidence.extend(value.map(|v| (key, rounded(v).into())));
        add("burst_ratio", last.burst_ratio);
        add("jitter_ms", last.jitter_ms);
        add("mos", last.score.map(|s| s.mos));
        add("r_factor", last.score.map(|s| s.r));
        let round_trip = self.stream.reception.as_ref().and_then(|r| r.round_trip);
        add("rtt_ms", round_trip.map(|t| t.as_secs_f64() * 1e3));
        if let Some(name) = self.stream.codec_name() {
            evidence.push(("codec", name.to_owned().into()));
        }
        evidence
    }
}

/// Two decimals.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn millis(until: Timestamp, from: Timestamp) -> u64 {
    u64::try_from(until.since(from).as_millis()).unwrap_or(u64::MAX)
}
