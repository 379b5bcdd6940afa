//! The record of a peer, and when it is due.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{Histogram, Measures, Peer, PeerTable};
use crate::config::EngineConfig;
use crate::record::{DelayRecord, MeasuresRecord, OptionsRecord, PeerName, PeerRecord, SCHEMA};
use crate::time::Timestamp;

/// When the records of peers are due: once an interval, at its full multiples, while anything is heard.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    every: Option<Duration>,
    next: Option<Timestamp>,
    /// The last time they were due.
    last: Option<Timestamp>,
}

impl Reports {
    pub fn new(config: &EngineConfig) -> Self {
        let mut reports = Self::default();
        reports.set_config(config);
        reports
    }

    /// Puts another interval in force; none: they are never due.
    pub fn set_config(&mut self, config: &EngineConfig) {
        let every = config.peers_every.filter(|every| config.emit.peers && !every.is_zero());
        if every != self.every {
            (self.every, self.next) = (every, None);
        }
    }

    /// Something was heard of a peer.
    pub fn heard(&mut self, now: Timestamp) {
        if self.next.is_none()
            && let Some(every) = self.every
        {
            let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX);
            let next = (now.unix_ns().div_euclid(every) + 1).saturating_mul(every);
            self.next = Some(Timestamp::from_unix_ns(next));
        }
    }

    /// When they are due next.
    pub const fn poll_timeout(&self) -> Option<Timestamp> {
        self.next
    }

    /// They are due, where they are: of peers that were heard of since when; of all, where they never were due before.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<Option<Timestamp>> {
        self.next.filter(|at| *at <= now)?;
        self.next = None;
        Some(self.last.replace(now))
    }
}

impl PeerTable {
    /// The peer as a record.
    #[must_use]
    pub fn record(&self, peer: &Peer, now: Timestamp) -> PeerRecord {
        let round_trip = delay(&peer.pings.round_trip);
        let options = (peer.pings.ended > 0).then_some(OptionsRecord {
            ended: peer.pings.ended,
            bad_in_a_row: peer.pings.bad_in_a_row,
            round_trip,
        });
        let (recent, since) = peer.measured.recent_at(now);
        let mut quality: Vec<_> = peer.voices.iter().map(super::Voice::record).collect();
        quality.sort_by(|a, b| (&a.codec, a.way).cmp(&(&b.codec, b.way)));
        PeerRecord {
            schema: SCHEMA,
            ts: now,
            peer: PeerName {
                addr: peer.addr.ip().to_string(),
                port: (peer.addr.port() != 0).then(|| peer.addr.port()),
                name: self.trunk(peer).map(|trunk| trunk.name.clone()),
            },
            local: peer.is_local,
            first_at: peer.first_at,
            last_at: peer.last_at,
            attempts_from: peer.attempts_from,
            concurrent: peer.concurrent,
            concurrent_max: peer.concurrent_peak,
            calls_per_second: peer.meter.per_second(now),
            calls_per_second_max: peer.meter.peak(),
            options,
            recent: measures(&recent, since.max(peer.first_at)),
            since_start: measures(&peer.measured.total, peer.first_at),
            quality,
        }
    }
}

fn measures(m: &Measures, since: Timestamp) -> MeasuresRecord {
    let tenths = |share: f64| (share * 10.0).round() / 10.0;
    let name = |code: u16| if code == 0 { "no-answer".to_owned() } else { code.to_string() };
    let codes: BTreeMap<String, u32> = m.codes.iter().map(|(code, count)| (name(*code), *count)).collect();
    MeasuresRecord {
        since,
        attempts: m.attempts,
        codes,
        rrd: delay(&m.rrd),
        ira_percent: m.ira().map(tenths),
        srd: delay(&m.srd),
        srd_failed: delay(&m.srd_failed),
        sdd: delay(&m.sdd),
        sdt: delay(&m.sdt),
        sdt_failed: delay(&m.sdt_failed),
        ser_percent: m.ser().map(tenths),
        seer_percent: m.seer().map(tenths),
        isa_percent: m.isa().map(tenths),
        scr_percent: m.scr().map(tenths),
    }
}

fn delay(histogram: &Histogram) -> Option<DelayRecord> {
    let ms = |percent| histogram.percentile(percent).map(|time| time.as_secs_f64() * 1e3);
    Some(DelayRecord { count: histogram.count(), p50_ms: ms(50)?, p95_ms: ms(95)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_at_full_multiples_and_only_while_something_is_heard() {
        let at = |seconds: i64| Timestamp::from_unix_ns(seconds * 1_000_000_000);
        let mut config = EngineConfig { peers_every: Some(Duration::from_secs(60)), ..EngineConfig::default() };
        let mut reports = Reports::new(&config);
        reports.heard(at(100));
        assert_eq!(reports.poll_timeout(), None, "nobody wants them");
        config.emit.peers = true;
        reports.set_config(&config);
        reports.heard(at(100));
        reports.heard(at(110));
        assert_eq!(reports.poll_timeout(), Some(at(120)));
        assert_eq!(reports.pop_due(at(119)), None);
        assert_eq!(reports.pop_due(at(120)), Some(None));
        assert_eq!(reports.poll_timeout(), None, "nothing was heard since");
        reports.heard(at(1_000));
        assert_eq!(reports.pop_due(at(1_020)), Some(Some(at(120))));
    }
}
