//! Everything `/metrics` tells, as it stood at one time.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sip_monitor_engine::Engine;
use sip_monitor_engine::Timestamp;
use sip_monitor_engine::alert::AlertCounters;
use sip_monitor_engine::counters::Counters as EngineCounters;
use sip_monitor_engine::metrics::{CodeLabel, Exemplar, Ledgers, Metrics};
use sip_monitor_engine::packet::{Body, CaptureLoss, Direction, DroppedSegment, DroppedTraffic, KernelDrop, Packet};

use crate::capture::counters::Counters;
use crate::capture::live::{InterfaceStatus, Live, RingFill};
use crate::clock;
use crate::sink::SinkCounters;
use crate::sink::alertmanager::PushCounters;
use crate::sink::board::{Board, Verdict};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// What the kernel programs count; `None` where that could not be read, which is no count of 0.
    pub kernel: Option<Counters>,
    /// How each interface is watched.
    pub interfaces: Vec<InterfaceStatus>,
    /// What came up, by interface.
    pub recorded: Recorded,
    /// How full the rings were found.
    pub rings: Vec<RingFill>,
    /// Streams in the kernel's map, how many it holds at most, and how many it evicted.
    pub kernel_streams: (u64, u64, u64),
    /// Drop reasons of the kernel that are watched.
    pub drop_reasons: u64,
    /// What the monitor itself lost.
    pub lost: CaptureLoss,
    /// What the engine took, and could not use or keep.
    pub engine: EngineCounters,
    /// Messages and calls.
    pub metrics: Metrics,
    /// Measures by trunk, and for each the calls up and when it was heard of last.
    pub ledgers: Option<Ledgers>,
    /// In the order of the ledgers.
    pub trunks_now: Vec<(u64, Option<Timestamp>)>,
    /// Registered Contacts, failures by code, and REGISTERs without answer.
    pub registrations: (u64, BTreeMap<CodeLabel, u64>, u64),
    /// The engine's tables.
    pub tables: Vec<Table>,
    /// Alerts that fired.
    pub fired: BTreeMap<Verdict, (u64, Option<Exemplar>)>,
    /// Alerts that fire now.
    pub firing: BTreeMap<Verdict, u64>,
    /// What else became of alerts.
    pub alerts: AlertCounters,
    /// Each output: its name, what it wrote, what found no room, what failed.
    pub outputs: Vec<Output>,
}

/// A table of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Name, as in `[limits]`.
    pub name: &'static str,
    /// Entries now.
    pub entries: u64,
    /// Entries at most.
    pub limit: u64,
    /// Entries that went for want of room.
    pub evicted: u64,
}

/// What became of what an output was given.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Name.
    pub name: &'static str,
    /// Written, or sent.
    pub written: u64,
    /// Found no room in the queue.
    pub dropped: u64,
    /// Could not be written.
    pub failed: u64,
}

impl Output {
    /// Of the pushes to Alertmanagers.
    #[must_use]
    pub fn of_pushed(pushed: &PushCounters) -> Self {
        Self {
            name: "alertmanager",
            written: pushed.sent.load(Ordering::Relaxed),
            dropped: pushed.dropped.load(Ordering::Relaxed),
            failed: pushed.failed.load(Ordering::Relaxed),
        }
    }
}

/// Kinds of what comes up.
pub const KINDS: [&str; 7] = ["udp", "tcp", "rtcp", "icmp", "fragment", "kernel-drop", "stream"];

/// Runs of kernel drops that are remembered, as many as the kernel keeps.
const RUNS: usize = sip_monitor_common::drops::MAX_DROP_KEYS as usize;
/// A run that was silent for so long is over (5 s), and no report of it is on its way.
const RUN_OVER: Duration = Duration::from_secs(10);

/// How often those that are over make room.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// Counts of what came up from the kernel, by interface, direction and kind. Not packets of RTP: those stay in the kernel.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// By [`Packet::link`].
    by_link: Vec<[[u64; KINDS.len()]; 3]>,
    /// Packets that the kernel dropped, by its name of the reason.
    drops: BTreeMap<&'static str, u64>,
    /// The runs these are of.
    runs: HashMap<Run, KernelDrop>,
    /// When those that are over were looked for last.
    pruned_at: Timestamp,
}

/// Whose run of drops: from where to where, and why.
type Run = (SocketAddr, SocketAddr, &'static str, DroppedTraffic, Option<DroppedSegment>);

impl Recorded {
    /// Counts one.
    pub fn count(&mut self, packet: &Packet<'_>) {
        let kind = match packet.body {
            Body::Udp(_) | Body::Cut(_) => 0,
            Body::Tcp(_) => 1,
            Body::Rtcp(_) => 2,
            Body::Icmp(_) => 3,
            Body::Incomplete(_) => 4,
            Body::Drop(drop) => {
                self.count_drop(packet, &drop);
                5
            }
            Body::Stream(_) => 6,
            // Nothing that came, and of no interface.
            Body::CaptureLoss(_) => return,
        };
        let link = usize::from(packet.link);
        if self.by_link.len() <= link {
            self.by_link.resize_with(link + 1, Default::default);
        }
        let ways = self.by_link.get_mut(link).and_then(|ways| ways.get_mut(packet.direction as usize));
        if let Some(count) = ways.and_then(|kinds| kinds.get_mut(kind)) {
            *count += 1;
        }
    }

    /// Interfaces as they are named now, and as they were: one that has taken the place of another counts from 0.
    pub fn rename(&mut self, before: &[String], now: &[String]) {
        for (counts, _) in self.by_link.iter_mut().zip(before.iter().zip(now)).filter(|(_, (was, is))| was != is) {
            *counts = Default::default();
        }
    }

    /// A report holds all of its run so far: what is new of it counts.
    fn count_drop(&mut self, packet: &Packet<'_>, drop: &KernelDrop) {
        // Not at each report: where none is over, each would look at all of them.
        if self.runs.len() >= RUNS && packet.time.since(self.pruned_at) >= PRUNE_EVERY {
            self.pruned_at = packet.time;
            self.runs.retain(|_, run| packet.time.since(run.last_at) < RUN_OVER);
        }
        let run: Run = (packet.src, packet.dst, drop.name, drop.traffic, drop.segment);
        let known = self.runs.get(&run).filter(|known| known.first_at == drop.first_at).map_or(0, |known| known.count);
        if known > 0 || self.runs.contains_key(&run) || self.runs.len() < RUNS {
            *self.drops.entry(drop.name).or_default() += drop.count.saturating_sub(known);
            self.runs.insert(run, *drop);
        }
    }

    /// The same counts, without what is only kept to go on counting.
    #[must_use]
    pub fn sums(&self) -> Self {
        Self { by_link: self.by_link.clone(), drops: self.drops.clone(), ..Self::default() }
    }

    /// Packets that the kernel dropped, as it reported them, by its name of the reason.
    #[must_use]
    pub const fn drops(&self) -> &BTreeMap<&'static str, u64> {
        &self.drops
    }

    /// Each count that is not 0: link, direction, kind.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Direction, &'static str, u64)> + '_ {
        let ways = [Direction::In, Direction::Out, Direction::Transit];
        self.by_link.iter().enumerate().flat_map(move |(link, counts)| {
            ways.into_iter().zip(counts).flat_map(move |(way, kinds)| {
                let seen = KINDS.iter().zip(kinds).filter(|(_, count)| **count > 0);
                seen.map(move |(kind, count)| (link, way, *kind, *count))
            })
        })
    }
}

impl Snapshot {
    /// One of the counts of the kernel programs, where they could be read.
    #[must_use]
    pub fn kernel_count(&self, name: &str) -> Option<u64> {
        self.kernel.as_ref()?.iter().find(|(n, _)| *n == name).map(|(_, count)| count)
    }

    /// Of all this, now.
    #[must_use]
    pub fn take(live: &Live, recorded: &Recorded, engine: &Engine, board: &Board, sinks: &SinkCounters) -> Self {
        let (in_map, map_limit) = live.streams_in_map();
        Self {
            kernel: live.counters().ok(),
            interfaces: live.interfaces(),
            recorded: recorded.sums(),
            rings: live.rings().into(),
            kernel_streams: (in_map, map_limit, live.evicted()),
            drop_reasons: live.drop_reasons().unwrap_or(0) as u64,
            fired: board.fired().clone(),
            firing: board.firing(),
            outputs: vec![Output {
                name: "lines",
                written: sinks.written.load(Ordering::Relaxed),
                dropped: sinks.dropped.load(Ordering::Relaxed),
                failed: sinks.failed.load(Ordering::Relaxed),
            }],
            ..Self::of_engine(engine)
        }
    }

    /// What the engine knows of it.
    #[must_use]
    pub fn of_engine(engine: &Engine) -> Self {
        let (failures, unanswered) = engine.registrations().failures();
        Self {
            at: clock::now(),
            lost: engine.capture().lost,
            engine: *engine.counters(),
            metrics: engine.metrics().clone(),
            ledgers: Some(engine.peers().ledgers().clone()),
            trunks_now: engine.peers().by_ledger(),
            registrations: (engine.registrations().up() as u64, failures.clone(), unanswered),
            tables: tables(engine),
            alerts: engine.alert_counters().clone(),
            ..Self::default()
        }
    }
}

fn tables(engine: &Engine) -> Vec<Table> {
    let (limits, counters) = (&engine.config().limits, engine.counters());
    [
        ("calls", engine.calls().len(), limits.calls, counters.evicted),
        ("streams", engine.media().len(), limits.streams, engine.media().evicted()),
        ("peers", engine.peers().len(), limits.peers, engine.peers().evictions()),
        ("registrations", engine.registrations().len(), limits.registrations, counters.registrations_evicted),
        ("connections", engine.connections().len(), limits.connections, counters.connections_evicted),
        ("alerts", engine.open_alerts(), limits.alerts, engine.alert_counters().evicted),
    ]
    .map(|(name, entries, limit, evicted)| Table { name, entries: entries as u64, limit: limit as u64, evicted })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_engine::packet::DropReason;

    fn report(recorded: &mut Recorded, port: u16, first_s: i64, last_s: i64, count: u64) {
        let at = |s: i64| Timestamp::from_unix_ns(s * 1_000_000_000);
        let drop = KernelDrop {
            reason: DropReason::Netfilter,
            name: "NETFILTER_DROP",
            traffic: DroppedTraffic::Media,
            segment: None,
            count,
            first_at: at(first_s),
            last_at: at(last_s),
        };
        let packet = Packet {
            time: at(last_s),
            link: 0,
            direction: Direction::In,
            src: SocketAddr::from(([203, 0, 113, 1], port)),
            dst: SocketAddr::from(([198, 51, 100, 1], 6_000)),
            ip_id: 0,
            ttl: 0,
            dscp: 0,
            body: Body::Drop(drop),
        };
        recorded.count(&packet);
    }

    #[test]
    fn a_run_of_drops_is_counted_once_however_often_it_is_reported() {
        let mut recorded = Recorded::default();
        report(&mut recorded, 1, 10, 11, 50);
        report(&mut recorded, 1, 10, 12, 100);
        report(&mut recorded, 2, 10, 12, 7);
        // After a pause the kernel counts from 1 again.
        report(&mut recorded, 1, 60, 61, 3);
        assert_eq!(recorded.drops().get("NETFILTER_DROP"), Some(&110));
    }

    #[test]
    fn runs_that_are_over_are_looked_for_once_a_second_however_many_reports_come() {
        let mut recorded = Recorded::default();
        for n in 0..5_000_u16 {
            report(&mut recorded, n, 1, 1, 1);
        }
        assert_eq!(recorded.runs.len(), RUNS);
        // At 11 s all are over; but half a second ago they were looked through.
        recorded.pruned_at = Timestamp::from_unix_ns(10_500_000_000);
        report(&mut recorded, 6_000, 11, 11, 1);
        assert_eq!(recorded.runs.len(), RUNS);
        report(&mut recorded, 6_001, 12, 12, 1);
        assert_eq!(recorded.runs.len(), 1);
    }

    #[test]
    fn an_interface_in_the_place_of_another_counts_from_0() {
        let mut recorded = Recorded::default();
        report(&mut recorded, 1, 10, 11, 50);
        let [old, new] = ["veth1", "veth2"].map(|name| vec![name.to_owned()]);
        recorded.rename(&old, &old);
        assert_eq!(recorded.iter().map(|(.., count)| count).sum::<u64>(), 1);
        recorded.rename(&old, &new);
        assert_eq!(recorded.iter().count(), 0);
        assert_eq!(recorded.drops().get("NETFILTER_DROP"), Some(&50), "what was dropped is of no interface");
    }

    #[test]
    fn runs_that_are_over_make_room_and_no_more_are_kept_than_there_can_be() {
        let mut recorded = Recorded::default();
        for n in 0..20_000_u16 {
            report(&mut recorded, n, i64::from(n), i64::from(n), 1);
            assert!(recorded.runs.len() <= RUNS);
        }
        assert_eq!(recorded.drops().get("NETFILTER_DROP"), Some(&20_000));
    }
}
