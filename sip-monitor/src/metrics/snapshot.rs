//! Everything `/metrics` tells, as it stood at one time.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use sip_monitor_engine::Engine;
use sip_monitor_engine::Timestamp;
use sip_monitor_engine::alert::AlertCounters;
use sip_monitor_engine::counters::Counters as EngineCounters;
use sip_monitor_engine::metrics::{CodeLabel, Exemplar, Ledgers, Metrics};
use sip_monitor_engine::packet::{Body, CaptureLoss, Direction, Packet};

use crate::capture::counters::Counters;
use crate::capture::live::{InterfaceStatus, Live, RingFill};
use crate::clock;
use crate::sink::SinkCounters;
use crate::sink::board::{Board, Verdict};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// What the kernel programs count.
    pub kernel: Counters,
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

/// Kinds of what comes up.
pub const KINDS: [&str; 7] = ["udp", "tcp", "rtcp", "icmp", "fragment", "kernel-drop", "stream"];

/// Counts of what came up from the kernel, by interface, direction and kind. Not packets of RTP: those stay in the kernel.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// By [`Packet::link`].
    by_link: Vec<[[u64; KINDS.len()]; 3]>,
}

impl Recorded {
    /// Counts one.
    pub fn count(&mut self, packet: &Packet<'_>) {
        let kind = match packet.body {
            Body::Udp(_) | Body::Cut(_) => 0,
            Body::Tcp(_) => 1,
            Body::Rtcp(_) => 2,
            Body::Icmp(_) => 3,
            Body::Incomplete(_) => 4,
            Body::Drop(_) => 5,
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
    /// Of all this, now.
    #[must_use]
    pub fn take(live: &Live, recorded: &Recorded, engine: &Engine, board: &Board, sinks: &SinkCounters) -> Self {
        let (in_map, map_limit) = live.streams_in_map();
        Self {
            kernel: live.counters().unwrap_or_default(),
            interfaces: live.interfaces(),
            recorded: recorded.clone(),
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
