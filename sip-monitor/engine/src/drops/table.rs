//! All entries, and when each is to be looked at.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{CALLS_OF_FLOW, DroppedFlow, DropsKey, FLOWS_KEPT, LEFT_OUT_SLOTS, LocalDrops, SAMPLES, Standing};
use crate::call::CallKey;
use crate::packet::{Direction, DropReason, DroppedTraffic, KernelDrop, Packet};
use crate::text::StoredText;
use crate::time::Timestamp;

/// Entries at a time.
const ENTRIES: usize = 1_024;
/// An entry is looked at this long after its first packet, and then once a second at most while it grows.
pub(crate) const SETTLES: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A flow that was quiet for so long makes room for another, whoever it is of.
const STALE: Duration = Duration::from_secs(60);

/// Every entry.
#[derive(Debug)]
pub struct DropTable {
    entries: HashMap<DropsKey, LocalDrops, RandomState>,
    keep: Duration,
    next_check: Option<Timestamp>,
    evicted: u64,
}

/// What a report changed.
pub(crate) struct Noted {
    pub key: DropsKey,
    /// It is to be judged.
    pub is_due: bool,
    /// The entry that had to go for it.
    pub evicted: Option<DropsKey>,
}

impl DropTable {
    /// One that keeps an entry for `keep` after its last packet.
    #[must_use]
    pub fn new(keep: Duration, hasher: RandomState) -> Self {
        Self { entries: HashMap::with_hasher(hasher), keep, next_check: None, evicted: 0 }
    }

    /// Another time to keep entries.
    pub(crate) fn set_keep(&mut self, keep: Duration) {
        self.keep = keep;
    }

    /// The entry.
    #[must_use]
    pub fn get(&self, key: DropsKey) -> Option<&LocalDrops> {
        self.entries.get(&key)
    }

    /// Whether a firewall rule of this host has dropped SIP from or to that address lately.
    #[must_use]
    pub fn has_rule_against(&self, remote: IpAddr) -> bool {
        let by_rule = |entry: &&LocalDrops| {
            entry.key.reason == DropReason::Netfilter
                && matches!(entry.key.traffic, DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort)
        };
        let mut entries = self.entries.values().filter(by_rule);
        entries.any(|entry| entry.flows.iter().any(|flow| flow.remote(entry.key.direction) == remote))
    }

    /// Whether signalling may have been dropped between somebody and an end of this host, either way, over TCP or UDP, at or after
    /// `since`.
    #[must_use]
    pub fn may_have_hit(&self, remote: SocketAddr, local: SocketAddr, tcp: bool, since: Timestamp) -> bool {
        let ends = [(remote, local), (local, remote)];
        self.entries.values().filter(|entry| entry.last_at >= since).any(|entry| {
            let key = &entry.key;
            let is_signalling = matches!(key.traffic, DroppedTraffic::ToSipPort | DroppedTraffic::FromSipPort);
            let is_here = key.local.ip() == local.ip() && [0, local.port()].contains(&key.local.port());
            let hit = || entry.flows.iter().any(|flow| ends.contains(&(flow.src, flow.dst)) && flow.last_at >= since);
            is_signalling && key.tcp == tcp && is_here && (hit() || entry.may_have_left_out(remote.ip(), since))
        })
    }

    /// Entries now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries forgotten for want of room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes a report about a flow and the calls that use it; `is_missed`: those of strangers make room for it. `None` where neither end is this host.
    pub(crate) fn note(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        drop: &KernelDrop,
        calls: &[(CallKey, &str)],
        is_missed: bool,
    ) -> Option<Noted> {
        let mut local = match packet.direction {
            Direction::In => packet.dst,
            Direction::Out => packet.src,
            Direction::Transit => return None,
        };
        let is_of_service = match packet.direction {
            Direction::In => drop.traffic == DroppedTraffic::ToSipPort,
            Direction::Out | Direction::Transit => drop.traffic == DroppedTraffic::FromSipPort,
        };
        if !is_of_service {
            local.set_port(0);
        }
        let tcp = drop.segment.is_some();
        let key = DropsKey { traffic: drop.traffic, tcp, local, direction: packet.direction, reason: drop.reason };
        let evicted = if self.entries.contains_key(&key) { None } else { self.make_room() };
        let entry = self.entries.entry(key).or_insert_with(|| LocalDrops {
            key,
            first_at: drop.first_at,
            last_at: drop.last_at,
            flows: SmallVec::new(),
            reports_left_out: 0,
            left_out: None,
            calls: 0,
            samples: SmallVec::new(),
            judged_at: Timestamp::ZERO,
        });
        entry.last_at = entry.last_at.max(drop.last_at);
        entry.count(packet, drop, calls, is_missed);
        let is_due = now.since(entry.first_at) >= SETTLES && now.since(entry.judged_at) >= LOOK_EVERY;
        if is_due {
            entry.judged_at = now;
        }
        let next = if now.since(entry.first_at) < SETTLES { entry.first_at + SETTLES } else { now + self.keep };
        self.next_check = Some(self.next_check.map_or(next, |at| at.min(next)));
        Some(Noted { key, is_due, evicted })
    }

    /// Notes how the flows of an entry stand.
    pub(crate) fn settle(&mut self, key: DropsKey, standings: &[Standing]) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        for (flow, standing) in entry.flows.iter_mut().zip(standings) {
            flow.standing = *standing;
        }
    }

    /// When [`DropTable::handle_timeout`] should be called next.
    pub(crate) const fn poll_timeout(&self) -> Option<Timestamp> {
        self.next_check
    }

    /// The entries to be judged, and those that are forgotten.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) -> (Vec<DropsKey>, Vec<DropsKey>) {
        let keep = self.keep;
        let mut due: Vec<DropsKey> = Vec::new();
        for entry in self.entries.values_mut() {
            if entry.judged_at < entry.first_at + SETTLES && entry.first_at + SETTLES <= now {
                entry.judged_at = now;
                due.push(entry.key);
            }
        }
        let old = |entry: &LocalDrops| now.since(entry.last_at) >= keep;
        let mut gone: Vec<DropsKey> = self.entries.values().filter(|e| old(e)).map(|e| e.key).collect();
        due.sort_unstable();
        gone.sort_unstable();
        for key in &gone {
            self.entries.remove(key);
        }
        let next = self
            .entries
            .values()
            .map(|entry| if now < entry.first_at + SETTLES { entry.first_at + SETTLES } else { entry.last_at + keep });
        self.next_check = next.min();
        (due, gone)
    }

    /// The entry longest without a packet goes first.
    fn make_room(&mut self) -> Option<DropsKey> {
        if self.entries.len() < ENTRIES {
            return None;
        }
        let oldest = self.entries.values().map(|entry| (entry.last_at, entry.key)).min().map(|(_, key)| key)?;
        self.entries.remove(&oldest);
        self.evicted += 1;
        Some(oldest)
    }
}

impl LocalDrops {
    fn count(&mut self, packet: &Packet<'_>, drop: &KernelDrop, calls: &[(CallKey, &str)], is_missed: bool) {
        let same = |flow: &DroppedFlow| {
            (flow.src, flow.dst, flow.name, flow.segment) == (packet.src, packet.dst, drop.name, drop.segment)
        };
        let index = match self.flows.iter().position(same) {
            Some(index) => index,
            None if self.flows.len() < FLOWS_KEPT => {
                self.flows.push(DroppedFlow::new(packet, drop));
                self.flows.len() - 1
            }
            None => {
                self.reports_left_out += 1;
                // One scanner has as many flows as it has ports: the one of them that is quiet for longest goes. Who opens a
                // connection again and again has a new port each time, too.
                let may_go = |flow: &DroppedFlow| !flow.is_missed || drop.last_at.since(flow.last_at) >= STALE;
                let replaceable = self.flows.iter().enumerate().filter(|(_, flow)| may_go(flow));
                let Some((index, _)) = replaceable.min_by_key(|(_, flow)| (flow.is_missed, flow.last_at)) else {
                    let flow = DroppedFlow::new(packet, drop);
                    return self.leave_out(flow.remote(packet.direction), drop.last_at);
                };
                let gone = core::mem::replace(&mut self.flows[index], DroppedFlow::new(packet, drop));
                self.leave_out(gone.remote(packet.direction), gone.last_at);
                index
            }
        };
        let Some(flow) = self.flows.get_mut(index) else { return };
        flow.is_missed |= is_missed;
        // A report of the same run replaces the one before it.
        let known = if flow.run.1 == drop.first_at { flow.run.0 } else { 0 };
        flow.packets += drop.count.saturating_sub(known);
        flow.run = (drop.count, drop.first_at);
        flow.last_at = flow.last_at.max(drop.last_at);
        for (key, call_id) in calls {
            if let Some(known) = flow.calls.iter().position(|call| call == key) {
                // The ones that are told of go on being remembered.
                flow.calls[known..].rotate_left(1);
                continue;
            }
            if flow.calls.len() >= CALLS_OF_FLOW {
                flow.calls.remove(0);
            }
            flow.calls.push(*key);
            self.calls += 1;
            if self.samples.len() < SAMPLES {
                self.samples.push(StoredText::new(call_id.as_bytes(), usize::MAX));
            }
        }
    }

    /// A flow of that address has no room here; its last packet.
    fn leave_out(&mut self, remote: IpAddr, last_at: Timestamp) {
        let left_out = self.left_out.get_or_insert_with(|| Box::new([Timestamp::ZERO; LEFT_OUT_SLOTS]));
        let slot = &mut left_out[slot_of(remote)];
        *slot = last_at.max(*slot);
    }

    /// Whether a flow of that address may be among those left out.
    fn may_have_left_out(&self, remote: IpAddr, since: Timestamp) -> bool {
        self.left_out.as_ref().is_some_and(|left_out| left_out[slot_of(remote)] >= since)
    }
}

/// Where it is noted that a flow of an address was left out.
fn slot_of(remote: IpAddr) -> usize {
    let mix = |slot: u8, octet: &u8| slot.wrapping_mul(31).wrapping_add(*octet);
    usize::from(match remote {
        IpAddr::V4(ip) => ip.octets().iter().fold(0, mix),
        IpAddr::V6(ip) => ip.octets().iter().fold(0, mix),
    })
}

impl DroppedFlow {
    /// One of which nothing is counted yet.
    fn new(packet: &Packet<'_>, drop: &KernelDrop) -> Self {
        Self {
            src: packet.src,
            dst: packet.dst,
            name: drop.name,
            segment: drop.segment,
            packets: 0,
            first_at: drop.first_at,
            last_at: drop.last_at,
            run: (0, drop.first_at),
            is_missed: false,
            calls: SmallVec::new(),
            standing: Standing::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::packet::Body;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ns(ms * 1_000_000)
    }

    fn addr(n: u32, port: u16) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::from(0x0a00_0000 + n).into(), port)
    }

    fn report(table: &mut DropTable, src: SocketAddr, dst: SocketAddr, count: u64, ms: (i64, i64)) -> Noted {
        // Host 9 is a trunk.
        let is_missed = src.ip() == addr(9, 0).ip();
        let drop = KernelDrop {
            reason: DropReason::Netfilter,
            name: "NETFILTER_DROP",
            traffic: if dst.port() == 5060 { DroppedTraffic::ToSipPort } else { DroppedTraffic::Media },
            segment: None,
            count,
            first_at: at(ms.0),
            last_at: at(ms.1),
        };
        let packet = Packet {
            time: at(ms.1),
            link: 0,
            direction: Direction::In,
            src,
            dst,
            ip_id: 0,
            ttl: 0,
            dscp: 0,
            body: Body::Drop(drop),
        };
        table.note(at(ms.1), &packet, &drop, &[], is_missed).unwrap()
    }

    fn table() -> DropTable {
        DropTable::new(Duration::from_secs(300), RandomState::default())
    }

    #[test]
    fn a_report_of_the_same_run_replaces_and_another_run_adds() {
        let mut table = table();
        for (count, ms) in [(1, (1_000, 1_000)), (7, (1_000, 2_000)), (1, (9_000, 9_000)), (3, (9_000, 10_000))] {
            report(&mut table, addr(1, 5060), addr(2, 5060), count, ms);
        }
        let key = report(&mut table, addr(1, 5060), addr(2, 5060), 3, (9_000, 10_000)).key;
        assert_eq!(table.get(key).unwrap().flows[0].packets, 10);
    }

    #[test]
    fn media_of_all_ports_is_one_entry_and_each_sip_port_its_own() {
        let mut table = table();
        for port in 0..20 {
            report(&mut table, addr(1, 4000), addr(2, 30_000 + port), 1, (0, 0));
        }
        report(&mut table, addr(1, 5060), addr(2, 5060), 1, (0, 0));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn entries_and_their_flows_are_bounded_and_forgotten_in_time() {
        let mut table = table();
        for port in 0..100 {
            report(&mut table, addr(1, 4000), addr(2, 10_000 + port), 1, (0, 0));
        }
        let key = report(&mut table, addr(1, 4000), addr(2, 10_099), 1, (0, 0)).key;
        let entry = table.get(key).unwrap();
        assert_eq!((entry.flows.len(), entry.reports_left_out), (FLOWS_KEPT, 100 - FLOWS_KEPT as u64));
        for host in 0..2_000 {
            report(&mut table, addr(1, 5060), addr(host, 5060), 1, (i64::from(host), i64::from(host)));
        }
        assert_eq!(table.len(), ENTRIES);
        assert_eq!(table.evicted(), 2_001 - ENTRIES as u64);
        while let Some(due) = table.poll_timeout() {
            table.handle_timeout(due);
        }
        assert!(table.is_empty());
    }

    #[test]
    fn flows_of_strangers_make_room_for_one_that_is_missed_and_not_the_other_way() {
        let mut table = table();
        for port in 0..100 {
            report(&mut table, addr(1, 10_000 + port), addr(2, 5060), 1, (i64::from(port), i64::from(port)));
        }
        for n in 0..4_i64 {
            let ms = 1_000 + n * 1_000;
            report(&mut table, addr(9, 5060), addr(2, 5060), n.cast_unsigned() + 1, (1_000, ms));
            for port in 0..100 {
                report(&mut table, addr(1, 20_000 + port), addr(2, 5060), 1, (ms + 1, ms + 1));
            }
        }
        let key = report(&mut table, addr(9, 5060), addr(2, 5060), 5, (1_000, 6_000)).key;
        let entry = table.get(key).unwrap();
        let of_trunk: Vec<u64> = entry.flows.iter().filter(|f| f.src == addr(9, 5060)).map(|f| f.packets).collect();
        assert_eq!((entry.flows.len(), of_trunk), (FLOWS_KEPT, vec![5]));
        assert!(table.may_have_hit(addr(9, 5060), addr(2, 5060), false, at(6_000)));
        assert!(!table.may_have_hit(addr(9, 5060), addr(3, 5060), false, at(6_000)));
    }

    #[test]
    fn what_was_left_out_casts_doubt_on_its_own_address_at_its_own_place_and_time_alone() {
        let mut table = table();
        for port in 0..100_u16 {
            report(&mut table, addr(1, 10_000 + port), addr(2, 5060), 1, (i64::from(port), i64::from(port)));
            report(&mut table, addr(5, 20_000 + port), addr(2, 30_000 + port), 1, (0, 5_000));
        }
        let hit = |remote: u32, local: SocketAddr, tcp, ms| table.may_have_hit(addr(remote, 5060), local, tcp, at(ms));
        // The last of the flows that had to go was dropped at 67 ms.
        assert!(hit(1, addr(2, 5060), false, 67));
        assert!(!hit(1, addr(2, 5060), false, 68), "later");
        assert!(!hit(4, addr(2, 5060), false, 1), "another address");
        assert!(!hit(1, addr(2, 5060), true, 1), "another transport");
        assert!(!hit(1, addr(2, 5080), false, 1), "another port of this host");
        assert!(!hit(5, addr(2, 5060), false, 1), "media");
    }

    #[test]
    fn a_missed_flow_makes_room_when_it_has_been_quiet_for_a_minute() {
        let mut table = table();
        for port in 0..=32_u16 {
            report(&mut table, addr(9, 10_000 + port), addr(2, 5060), 1, (i64::from(port), i64::from(port)));
        }
        let count = |table: &DropTable, key, src| table.get(key).unwrap().flows.iter().any(|flow| flow.src == src);
        let key = report(&mut table, addr(9, 20_000), addr(2, 5060), 1, (59_999, 59_999)).key;
        assert!(!count(&table, key, addr(9, 20_000)), "all are fresh");
        assert!(
            table.may_have_hit(addr(9, 20_000), addr(2, 5060), false, at(59_999)),
            "it is left out, and known to be"
        );
        report(&mut table, addr(9, 20_001), addr(2, 5060), 1, (60_000, 60_000));
        assert!(count(&table, key, addr(9, 20_001)));
        assert!(!count(&table, key, addr(9, 10_000)), "the stalest has gone");
        assert_eq!(table.get(key).unwrap().flows.len(), FLOWS_KEPT);
    }

    #[test]
    fn an_entry_is_looked_at_when_it_has_settled_and_then_once_a_second_at_most() {
        let mut table = table();
        let noted = report(&mut table, addr(1, 5060), addr(2, 5060), 1, (0, 0));
        assert!(!noted.is_due);
        assert_eq!(table.poll_timeout(), Some(at(5_000)));
        assert_eq!(table.handle_timeout(at(5_000)), (vec![noted.key], vec![]));
        let due: Vec<bool> = [5_500, 6_100, 6_900, 7_100]
            .map(|ms| report(&mut table, addr(1, 5060), addr(2, 5060), 9, (0, ms)).is_due)
            .to_vec();
        assert_eq!(due, [false, true, false, true]);
    }
}
