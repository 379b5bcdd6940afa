//! One counted RTP stream, the call it belongs to and what its receiver says of it.

use core::time::Duration;
use std::sync::Arc;

use crate::call::{CallKey, KeyTimes};
use crate::config::QualityThresholds;
use crate::media::{CodecName, PayloadHistory, Reception};
use crate::packet::{CLOCK_RATES_HZ, Direction, Jitter, StreamCounters};
use crate::quality::{History, Interval, Meter, codec_quality};
use crate::record::{SCHEMA, Side, StreamRecord};
use crate::rtp::static_payload;
use crate::time::Timestamp;

/// After such a silence a call is worth another look.
const PAUSE: Duration = Duration::from_secs(2);
/// After such a silence media counts as having begun anew. Longer than the pauses of silence suppression usually are.
const RESTART: Duration = Duration::from_secs(10);
/// Reports of a stream that goes on are no further apart.
const REPORTED: Duration = Duration::from_secs(1);
/// Where nothing tells the clock rate: that of most telephone codecs (RFC 3551 6).
const DEFAULT_CLOCK_RATE_HZ: u32 = 8_000;
/// Shortest stream from whose timestamps a clock rate is estimated.
const MIN_ESTIMATE_NS: u64 = 500_000_000;

/// An RTP stream and whose it is.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What was counted, up to the last report.
    pub counters: StreamCounters,
    /// The call it was joined to.
    pub owner: Option<Owner>,
    /// When it began, or began anew after a silence of 10 s or more.
    pub burst_at: Timestamp,
    /// The last pause of 2 s or more in which its sender sent nothing: no number is missing after it.
    pub pause: Option<(Timestamp, Timestamp)>,
    /// When telephone events (RFC 4733) began in it. A report tells of them up to 1 s late: at the earliest they may have.
    pub keys: KeyTimes,
    /// What its receiver said of it last, by RTCP.
    pub reception: Option<Box<Reception>>,
    /// What its payloads showed.
    pub payload: PayloadHistory,
    /// How good it was where it was counted, interval by interval; `None` until it is RTP beyond doubt.
    pub heard: Option<Box<Heard>>,
}

/// The quality of a stream as its packets show it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub(super) meter: Meter,
    /// Its intervals.
    pub history: History,
}

/// An interval of a stream of a call, to be counted for the peer it comes from or goes to.
#[derive(Clone, Debug)]
pub struct HeardInterval {
    /// The call.
    pub call: CallKey,
    /// Who sends the stream.
    pub from: Option<Side>,
    /// Which way it goes.
    pub direction: Direction,
    /// Its receiver's reports tell it, not its packets.
    pub is_remote: bool,
    /// Encoding name of its codec.
    pub codec: Box<str>,
    /// The interval, rated.
    pub interval: Interval,
}

impl HeardInterval {
    /// `None` of a stream of no call that is up, or of a codec without a name.
    pub(super) fn of(stream: &Stream, interval: Interval, is_remote: bool) -> Option<Self> {
        Some(Self {
            call: stream.call()?,
            from: stream.owner.as_ref()?.from,
            direction: stream.counters.key.direction,
            is_remote,
            codec: stream.codec_name()?.into(),
            interval,
        })
    }
}

/// The call a stream belongs to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its key. Stale once the call is freed.
    pub call: CallKey,
    /// Its Call-ID.
    pub call_id: Arc<str>,
    /// Who sends the stream; `None` where both sides announced its endpoint.
    pub from: Option<Side>,
    /// Codecs of who receives it, else of who sends it.
    pub codecs: Arc<[CodecName]>,
    /// When the call ended, where it has.
    pub over_at: Option<Timestamp>,
    /// The call is freed: the record is due when the stream ends.
    pub released: bool,
}

impl Stream {
    /// A stream at its first report.
    #[must_use]
    pub fn new(counters: StreamCounters) -> Self {
        let payload = PayloadHistory::new(&counters);
        let mut stream = Self {
            counters,
            owner: None,
            burst_at: counters.first_at,
            pause: None,
            keys: KeyTimes::default(),
            reception: None,
            payload,
            heard: None,
        };
        if counters.events > 0 {
            stream.keys.press(counters.first_at.max(counters.last_at - REPORTED));
        }
        stream.listen();
        stream
    }

    /// Takes the next report. Returns whether it began to count, or came back after a silence.
    pub fn update(&mut self, counters: &StreamCounters) -> bool {
        let silent = counters.last_at.since(self.counters.last_at);
        let counts_now = counters.in_sequence && !self.counters.in_sequence;
        if silent >= RESTART {
            self.burst_at = counters.last_at;
        }
        if silent >= PAUSE && counters.lost == self.counters.lost && counters.restarts == self.counters.restarts {
            self.pause = Some((self.counters.last_at, counters.last_at));
        }
        if counters.events > self.counters.events {
            self.keys.press(self.counters.last_at.max(counters.last_at - REPORTED));
        }
        let tells_more = self.payload.update(&self.counters, counters);
        self.counters = *counters;
        self.listen();
        counts_now || silent >= PAUSE || tells_more
    }

    /// Begins to measure it once it is RTP beyond doubt.
    fn listen(&mut self) {
        if self.counters.in_sequence && self.heard.is_none() {
            let meter = Meter::new(&self.counters);
            self.heard = Some(Box::new(Heard { meter, history: History::default() }));
        }
    }

    /// Measures the last report; returns the interval that it completes. `missed_at`: when the monitor itself last missed
    /// packets.
    pub(super) fn measure(&mut self, missed_at: Option<Timestamp>) -> Option<Interval> {
        let slot = self.known_clock_rate_hz().map(|rate| nearest_candidate(rate).1);
        self.heard.as_mut()?.meter.take(&self.counters, slot, missed_at)
    }

    /// Rates an interval of it and puts it on record.
    pub(super) fn hear(&mut self, mut interval: Interval, path: Option<Duration>, lossy_percent: f64) {
        interval.rate(self.codec_name().and_then(codec_quality), path);
        if let Some(heard) = &mut self.heard {
            heard.history.push(interval, lossy_percent);
        }
    }

    /// Encoding name of what it is mainly made of, where it is known.
    #[must_use]
    pub fn codec_name(&self) -> Option<&str> {
        self.codec(self.main_payload_type()).map(|(name, _)| name)
    }

    /// The clock rate where SDP or RFC 3551 tells it.
    #[must_use]
    pub fn known_clock_rate_hz(&self) -> Option<u32> {
        self.codec(self.main_payload_type()).map(|(_, rate)| rate)
    }

    /// Whether its receiver says that none of it arrives.
    #[must_use]
    pub fn is_unheard(&self) -> bool {
        self.reception.as_ref().is_some_and(|r| r.hears_nothing())
    }

    /// The call it belongs to, while that is up.
    #[must_use]
    pub fn call(&self) -> Option<CallKey> {
        self.owner.as_ref().filter(|o| !o.released).map(|o| o.call)
    }

    /// Payload types seen, ascending.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        let [low, high] = self.counters.payload_types;
        let bits = u128::from(high) << 64 | u128::from(low);
        (0_u8..128).filter(move |n| bits >> n & 1 == 1)
    }

    /// The codec that a payload type stands for in this stream: by SDP, else by RFC 3551.
    fn codec(&self, payload_type: u8) -> Option<(&str, u32)> {
        let negotiated = self.owner.as_ref().and_then(|o| o.codecs.iter().find(|c| c.payload_type == payload_type));
        match negotiated {
            Some(c) if c.clock_rate_hz != 0 => Some((&c.name, c.clock_rate_hz)),
            _ => static_payload(payload_type).map(|f| (f.name, f.clock_rate_hz)),
        }
    }

    /// Whether a payload type carries no voice of its own: comfort noise or telephone-event.
    pub(super) fn is_accessory(&self, payload_type: u8) -> bool {
        self.codec(payload_type)
            .is_some_and(|(name, _)| name.eq_ignore_ascii_case("CN") || name.eq_ignore_ascii_case("telephone-event"))
    }

    /// The payload type that the stream is mainly made of: the last one, unless that is comfort noise or telephone-event.
    #[must_use]
    pub fn main_payload_type(&self) -> u8 {
        let last = self.counters.payload_type;
        if self.is_accessory(last) {
            self.payload_types().find(|n| !self.is_accessory(*n)).unwrap_or(last)
        } else {
            last
        }
    }

    /// Whether its last packet was comfort noise: the silence after it is silence suppression (RFC 3389 5).
    #[must_use]
    pub fn ended_in_comfort_noise(&self) -> bool {
        // 19 was comfort noise before RFC 3551 and is reserved for its sake (RFC 3551 6).
        let last = self.counters.payload_type;
        last == 19 || self.codec(last).is_some_and(|(name, _)| name.eq_ignore_ascii_case("CN"))
    }

    /// The clock rate: by SDP, else by RFC 3551, else the candidate nearest to what the timestamps advanced by.
    #[must_use]
    pub fn clock_rate_hz(&self) -> u32 {
        self.known_clock_rate_hz().unwrap_or_else(|| self.estimated_clock_rate_hz())
    }

    fn estimated_clock_rate_hz(&self) -> u32 {
        let c = &self.counters;
        let elapsed_ns = c.last_at.since(c.first_at).as_nanos();
        if elapsed_ns < u128::from(MIN_ESTIMATE_NS) || c.rtp_timestamp_units == 0 {
            return DEFAULT_CLOCK_RATE_HZ;
        }
        let measured = u128::from(c.rtp_timestamp_units) * 1_000_000_000 / elapsed_ns;
        nearest_candidate(u32::try_from(measured).unwrap_or(u32::MAX)).0
    }

    /// Interarrival jitter at its clock rate.
    #[must_use]
    pub fn jitter(&self) -> Jitter {
        let (_, slot) = nearest_candidate(self.clock_rate_hz());
        self.counters.jitter.get(slot).copied().unwrap_or_default()
    }

    /// Whether it is worth a record: RTP beyond doubt, or at an endpoint that SDP announced.
    #[must_use]
    pub const fn is_worth_a_record(&self) -> bool {
        self.counters.in_sequence || self.owner.is_some()
    }

    /// Its intervals; one that ended before its first interval did is one by itself. `None` where there was none.
    fn whole_history(&self) -> Option<History> {
        let heard = self.heard.as_ref()?;
        if heard.history.count() > 0 {
            return Some(heard.history.clone());
        }
        let mut history = History::default();
        history.push(self.rest()?, f64::from(QualityThresholds::default().loss_percent));
        Some(history)
    }

    /// What was heard of it so far as one interval, where that was too short for a full one.
    fn rest(&self) -> Option<Interval> {
        let heard = self.heard.as_ref().filter(|heard| heard.history.count() == 0)?;
        let slot = self.known_clock_rate_hz().map(|rate| nearest_candidate(rate).1);
        let mut interval = heard.meter.rest(&self.counters, slot)?;
        interval.rate(self.codec_name().and_then(codec_quality), None);
        Some(interval)
    }

    /// It ends: puts what was too short for a full interval on record, once.
    pub(super) fn hear_rest(&mut self, lossy_percent: f64) -> Option<Interval> {
        let interval = self.rest()?;
        self.heard.as_mut()?.history.push(interval, lossy_percent);
        Some(interval)
    }

    /// Its record.
    #[must_use]
    pub fn record(&self) -> StreamRecord {
        let c = &self.counters;
        let jitter = self.jitter();
        let history = self.whole_history();
        let rating = history.as_ref().and_then(History::rating);
        let remote = self.reception.as_deref();
        StreamRecord {
            schema: SCHEMA,
            call_id: self.owner.as_ref().map(|o| o.call_id.to_string()),
            from_side: self.owner.as_ref().and_then(|o| o.from),
            src: c.key.src.to_string(),
            dst: c.key.dst.to_string(),
            ssrc: format!("0x{:08x}", c.key.ssrc),
            direction: match c.key.direction {
                Direction::In => "in",
                Direction::Out => "out",
                Direction::Transit => "transit",
            }
            .to_owned(),
            payload_types: self.payload_types().collect(),
            codec: self.codec(self.main_payload_type()).map(|(name, rate)| format!("{name}/{rate}")),
            clock_rate_hz: self.clock_rate_hz(),
            packets: c.packets,
            bytes: c.bytes,
            expected: c.expected,
            lost: c.lost,
            late: c.late,
            duplicates: c.duplicates,
            jitter_mean_ms: mean_ms(jitter),
            jitter_max_ms: rounded_ms(jitter.max_ns.into()),
            gap_max_ms: rounded_ms(c.gap_max_ns),
            ttl_min: c.ttl_min,
            ttl_max: c.ttl_max,
            dscp: c.dscp,
            intervals: history.as_ref().map(History::count),
            lossy_intervals: history.as_ref().map(History::lossy),
            loss_max_percent: history.as_ref().map(|h| hundredths(h.worst_loss_percent())),
            mos_min: rating.map(|r| hundredths(r.mos_min)),
            mos_mean: rating.map(|r| hundredths(r.mos_mean)),
            r_factor: rating.map(|r| hundredths(r.r_mean)),
            rtt_ms: remote.and_then(|r| r.round_trip).map(|t| hundredths(t.as_secs_f64() * 1e3)),
            remote_lost: remote.map(|r| r.block.cumulative_lost),
            remote_loss_percent: remote.map(|r| hundredths(f64::from(r.block.fraction_lost) * 100.0 / 256.0)),
            remote_jitter_ms: remote
                .zip(self.known_clock_rate_hz())
                .map(|(r, rate)| hundredths(f64::from(r.block.jitter_rtp_units) * 1e3 / f64::from(rate.max(1)))),
            remote_mos: remote.and_then(|r| r.history.rating()).map(|r| hundredths(r.mos_mean)),
            remote_mos_lq: remote.and_then(|r| r.voip?.mos_lq_tenths).map(|tenths| f64::from(tenths) / 10.0),
            first_at: c.first_at,
            last_at: c.last_at,
        }
    }
}

/// Two decimals.
pub(super) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The candidate rate nearest to `rate_hz` by ratio, and its slot.
fn nearest_candidate(rate_hz: u32) -> (u32, usize) {
    let distance = |candidate: u32| {
        let (a, b) = (f64::from(candidate), f64::from(rate_hz.max(1)));
        (a / b).max(b / a)
    };
    let mut best = (DEFAULT_CLOCK_RATE_HZ, 0);
    for (slot, candidate) in CLOCK_RATES_HZ.into_iter().enumerate() {
        if distance(candidate) < distance(best.0) {
            best = (candidate, slot);
        }
    }
    best
}

/// Microseconds are enough: what is finer is noise of the division.
#[allow(clippy::cast_precision_loss)] // below 2^52 ns for 52 days
fn rounded_ms(ns: u64) -> f64 {
    (ns / 1_000) as f64 / 1e3
}

fn mean_ms(jitter: Jitter) -> f64 {
    jitter.sum_ns.checked_div(jitter.samples).map_or(0.0, rounded_ms)
}
