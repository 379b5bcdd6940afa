//! All peers, found by address or by the trunk that the address belongs to. Bounded: a new one takes the place of the one
//! that was silent longest.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{Leg, LegRole, Measured, Meter, Patterns, Pings, RepeatShare, Setups, Talks, Trunk, Voice, Window};
use crate::config::EngineConfig;
use crate::metrics::{Ledgers, Measure};
use crate::sip::{Host, Uri};
use crate::time::Timestamp;

/// Addresses kept that a domain assigned to a trunk.
const LEARNED_KEPT: usize = 1_024;

/// Identity of a peer inside the engine: a slot and how often it was used, so that a stale key finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// Slot in the table.
    pub slot: u32,
    /// Use of the slot.
    pub generation: u32,
}

/// Who this host exchanges signalling with: an address, or a configured trunk with all of its addresses. This host's own
/// addresses have an entry too, for what it refuses itself.
#[derive(Debug)]
pub struct Peer {
    /// Its identity inside the engine.
    pub key: PeerKey,
    /// The address it was made for.
    home: IpAddr,
    /// Address and port as last seen; of a trunk that was never seen, the first that is configured, port 0.
    pub addr: SocketAddr,
    /// Index of its trunk in the configuration.
    pub trunk: Option<u16>,
    /// It is an address of this host.
    pub is_local: bool,
    /// Where what is measured of it is summed up for good.
    pub(super) ledger: u16,
    /// First message; of a configured trunk, when the engine began.
    pub first_at: Timestamp,
    /// Last message to or from it.
    pub last_at: Option<Timestamp>,
    /// Calls that are up or being set up through it, in either direction.
    pub concurrent: u32,
    /// The most of them.
    pub concurrent_peak: u32,
    /// Calls a second sent to it.
    pub meter: Meter,
    /// Calls that it made.
    pub attempts_from: u32,
    /// This host has answered a call of it or taken a registration: it is no stranger.
    pub let_in: bool,
    /// What RFC 6076 measures.
    pub measured: Measured,
    /// Calls to it, where those are bad that it could not serve: 408, 480, 500 to 504, no answer.
    pub availability: Window,
    /// Calls to it, where those are bad that were not answered with a 2xx or a 3xx.
    pub success: Window,
    /// How long calls to it took to ring.
    pub setups: Setups,
    /// How long answered calls through it lasted.
    pub talks: Talks,
    /// OPTIONS sent to it.
    pub pings: Pings,
    /// Which calls to it fail more often than they use to.
    pub patterns: Option<Box<Patterns>>,
    /// What had to be sent again.
    pub repeats: RepeatShare,
    /// How good its audio is, by codec and direction.
    pub voices: Vec<Voice>,
}

/// Every peer.
#[derive(Debug)]
pub struct PeerTable {
    trunks: Vec<Trunk>,
    /// Addresses that a domain assigned to a trunk.
    learned: HashMap<IpAddr, u16, RandomState>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_addr: HashMap<IpAddr, PeerKey, RandomState>,
    /// The peer of each trunk.
    by_trunk: Vec<Option<PeerKey>>,
    /// Keys in the order of their last use, as far as was known when they were queued.
    by_age: VecDeque<(PeerKey, Timestamp)>,
    evicted: Vec<PeerKey>,
    evictions: u64,
    limit: usize,
    /// Sums by trunk, which outlive the peers they are of.
    pub(super) ledgers: Ledgers,
    /// Audio kept of peers that are no trunk.
    pub(super) voices: usize,
    local: Vec<IpAddr>,
    began_at: Option<Timestamp>,
    next_check: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    peer: Option<Box<Peer>>,
}

impl PeerTable {
    /// One with the configured trunks and nothing seen.
    #[must_use]
    pub fn new(config: &EngineConfig, hasher: RandomState) -> Self {
        let mut table = Self {
            trunks: config.trunks.clone(),
            learned: HashMap::with_hasher(hasher.clone()),
            slots: Vec::new(),
            free: Vec::new(),
            by_addr: HashMap::with_hasher(hasher),
            by_trunk: vec![None; config.trunks.len()],
            by_age: VecDeque::new(),
            evicted: Vec::new(),
            evictions: 0,
            limit: config.limits.peers.max(1),
            ledgers: Ledgers::new(config.limits.trunk_metrics),
            voices: 0,
            local: config.local.clone(),
            began_at: None,
            next_check: None,
        };
        table.open_ledgers();
        table
    }

    /// Puts other trunks and local addresses in force. Where the trunks changed, what was measured starts anew.
    pub fn set_config(&mut self, config: &EngineConfig) {
        self.local.clone_from(&config.local);
        if self.trunks == config.trunks {
            return;
        }
        self.trunks.clone_from(&config.trunks);
        self.open_ledgers();
        self.learned.clear();
        let keys: Vec<PeerKey> = self.iter().map(|peer| peer.key).collect();
        keys.into_iter().for_each(|key| self.remove(key));
        self.by_trunk = vec![None; self.trunks.len()];
        self.next_check = None;
        if let Some(now) = self.began_at.take() {
            self.begin(now);
        }
    }

    /// The configured trunk of an address.
    #[must_use]
    pub fn trunk_of(&self, addr: SocketAddr) -> Option<&Trunk> {
        self.trunks.get(usize::from(self.trunk_index(addr)?))
    }

    /// The configured trunk of a peer.
    #[must_use]
    pub fn trunk(&self, peer: &Peer) -> Option<&Trunk> {
        self.trunks.get(usize::from(peer.trunk?))
    }

    /// The peer, where it still is the same one.
    #[must_use]
    pub fn get(&self, key: PeerKey) -> Option<&Peer> {
        let slot = self.slots.get(key.slot as usize)?;
        slot.peer.as_deref().filter(|_| slot.generation == key.generation)
    }

    /// The peer at an address.
    #[must_use]
    pub fn find(&self, addr: SocketAddr) -> Option<&Peer> {
        let key = match self.trunk_index(addr) {
            Some(index) => self.by_trunk.get(usize::from(index)).copied().flatten()?,
            None => *self.by_addr.get(&addr.ip())?,
        };
        self.get(key)
    }

    /// Every peer, those known longest first.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        let mut peers: Vec<&Peer> = self.slots.iter().filter_map(|slot| slot.peer.as_deref()).collect();
        peers.sort_by_key(|peer| (peer.first_at, peer.key));
        peers.into_iter()
    }

    /// Peers known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was measured of each trunk since the program began.
    #[must_use]
    pub const fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// Calls that are up or being set up at the peers of each ledger, and when one of them was heard of last; in the order of
    /// [`Ledgers::iter`].
    #[must_use]
    pub fn by_ledger(&self) -> Vec<(u64, Option<Timestamp>)> {
        let mut now = vec![(0, None); self.ledgers.iter().count()];
        for peer in self.slots.iter().filter_map(|slot| slot.peer.as_deref()) {
            if let Some((calls, last_at)) = now.get_mut(usize::from(peer.ledger)) {
                *calls += u64::from(peer.concurrent);
                *last_at = peer.last_at.max(*last_at);
            }
        }
        now
    }

    /// Peers forgotten for want of room.
    #[must_use]
    pub const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// What to call a peer in a sentence: its trunk's name, else its address.
    #[must_use]
    pub fn name(&self, peer: &Peer) -> String {
        match self.trunk(peer) {
            Some(trunk) => trunk.name.clone(),
            None if peer.is_local => format!("this host ({})", peer.addr.ip()),
            None => peer.addr.ip().to_string(),
        }
    }

    pub(crate) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.peer.as_deref_mut().filter(|_| slot.generation == key.generation)
    }

    /// The peer at an address, made where it is new.
    pub(crate) fn at(&mut self, addr: SocketAddr, now: Timestamp) -> PeerKey {
        let trunk = self.trunk_index(addr);
        let known = match trunk {
            Some(index) => self.by_trunk.get(usize::from(index)).copied().flatten(),
            None => self.by_addr.get(&addr.ip()).copied(),
        };
        let key = match known {
            Some(key) => key,
            None => self.insert(addr, trunk, now),
        };
        if let Some(peer) = self.get_mut(key) {
            peer.addr = addr;
        }
        key
    }

    /// A request names a domain: where that is a trunk's, the address belongs to it.
    pub(crate) fn learn(&mut self, addr: SocketAddr, uri: &[u8]) {
        if self.trunks.iter().all(|trunk| trunk.domains.is_empty()) || self.trunk_index(addr).is_some() {
            return;
        }
        let Some(Host::Name(host)) = Uri::parse(uri).ok().and_then(|uri| uri.host) else { return };
        let found = self.trunks.iter().position(|trunk| trunk.has_domain(host));
        let Some(index) = found.and_then(|index| u16::try_from(index).ok()) else { return };
        if self.learned.len() < LEARNED_KEPT {
            self.learned.insert(addr.ip(), index);
        }
    }

    /// Counts what was measured of a peer: for itself, and for good in the ledger of its trunk.
    pub(super) fn measure(&mut self, key: PeerKey, now: Timestamp, measure: Measure) {
        let Some(peer) = self.get_mut(key) else { return };
        peer.measured.add(now, measure);
        let ledger = peer.ledger;
        self.ledgers.add(ledger, measure);
    }

    /// The same of a leg: what began in a ledger ends there, also where the peer was forgotten meanwhile.
    pub(super) fn measure_leg(&mut self, leg: (PeerKey, u16), now: Timestamp, measure: Measure) {
        let (key, ledger) = leg;
        if let Some(peer) = self.get_mut(key) {
            peer.measured.add(now, measure);
        }
        self.ledgers.add(ledger, measure);
    }

    /// The leg of a call that was called at a peer; failing that, one of the same ledger whose peer was forgotten.
    pub(super) fn called_leg(&self, legs: &[Leg], key: PeerKey) -> Option<usize> {
        let was_called = |leg: &Leg| leg.role == LegRole::Called;
        let ledger = self.get(key)?.ledger;
        let is_orphan = |leg: &Leg| was_called(leg) && leg.ledger == ledger && self.get(leg.peer).is_none();
        legs.iter().position(|leg| was_called(leg) && leg.peer == key).or_else(|| legs.iter().position(is_orphan))
    }

    /// A trunk that has not been heard of has a ledger of zeros: a series that begins with the first call lacks that call.
    fn open_ledgers(&mut self) {
        for trunk in &self.trunks {
            self.ledgers.open(&trunk.name);
        }
    }

    fn ledger_for(&mut self, trunk: Option<u16>, is_local: bool) -> u16 {
        match trunk.and_then(|index| self.trunks.get(usize::from(index))) {
            Some(trunk) => self.ledgers.open(&trunk.name),
            None if is_local => Ledgers::LOCAL,
            None => Ledgers::OTHER,
        }
    }

    /// Peers forgotten since the last time this was asked.
    pub(crate) fn take_evicted(&mut self) -> Vec<PeerKey> {
        core::mem::take(&mut self.evicted)
    }

    /// The first packet: configured trunks are expected from here on.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        if self.began_at.is_some() {
            return;
        }
        self.began_at = Some(now);
        for index in 0..self.trunks.len() {
            let Some(trunk) = self.trunks.get(index).filter(|trunk| trunk.expect_traffic_within.is_some()) else {
                continue;
            };
            let first = trunk.addresses.first().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), super::Prefix::first);
            self.insert(SocketAddr::new(first, 0), u16::try_from(index).ok(), now);
        }
        self.plan(now);
    }

    /// Trunks that have been silent for longer than they may be, or are heard of again since the last check.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) -> Vec<PeerKey> {
        let due = self.expected().filter(|(_, at)| *at <= now).map(|(key, _)| key).collect();
        self.plan(now);
        due
    }

    /// When [`PeerTable::handle_timeout`] should be called next.
    pub(crate) const fn poll_timeout(&self) -> Option<Timestamp> {
        self.next_check
    }

    /// How long the trunk has been silent, where that is longer than it may be.
    #[must_use]
    pub fn overdue(&self, peer: &Peer, now: Timestamp) -> Option<Duration> {
        let within = self.trunk(peer)?.expect_traffic_within?;
        let silent = now.since(peer.last_at.unwrap_or(peer.first_at));
        (silent >= within).then_some(silent)
    }

    /// When each trunk that must be heard of is overdue.
    fn expected(&self) -> impl Iterator<Item = (PeerKey, Timestamp)> + '_ {
        self.by_trunk.iter().flatten().filter_map(|key| {
            let peer = self.get(*key)?;
            let within = self.trunk(peer)?.expect_traffic_within?;
            Some((*key, peer.last_at.unwrap_or(peer.first_at) + within))
        })
    }

    /// A trunk that is overdue is looked at again when it was heard of, not by time.
    fn plan(&mut self, now: Timestamp) {
        self.next_check = self.expected().map(|(_, at)| at).filter(|at| *at > now).min();
    }

    /// A trunk was heard of: its next check may be sooner than planned.
    pub(crate) fn plan_after(&mut self, key: PeerKey, now: Timestamp) {
        let within = self.get(key).and_then(|peer| self.trunk(peer)).and_then(|trunk| trunk.expect_traffic_within);
        if let Some(at) = within.map(|within| now + within) {
            self.next_check = Some(self.next_check.map_or(at, |next| next.min(at)));
        }
    }

    fn trunk_index(&self, addr: SocketAddr) -> Option<u16> {
        if self.trunks.is_empty() {
            return None;
        }
        let by_address = self.trunks.iter().position(|trunk| trunk.holds(addr));
        by_address.and_then(|index| u16::try_from(index).ok()).or_else(|| self.learned.get(&addr.ip()).copied())
    }

    fn insert(&mut self, addr: SocketAddr, trunk: Option<u16>, now: Timestamp) -> PeerKey {
        self.make_room();
        let is_local = self.local.contains(&addr.ip());
        let ledger = self.ledger_for(trunk, is_local);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(place) = self.slots.get_mut(slot as usize) else { return PeerKey { slot, generation: 0 } };
        place.generation = place.generation.wrapping_add(1);
        let key = PeerKey { slot, generation: place.generation };
        place.peer = Some(Box::new(Peer {
            key,
            home: addr.ip(),
            addr,
            trunk,
            is_local,
            ledger,
            first_at: now,
            last_at: None,
            concurrent: 0,
            concurrent_peak: 0,
            meter: Meter::default(),
            attempts_from: 0,
            let_in: false,
            measured: Measured::default(),
            availability: Window::default(),
            success: Window::default(),
            setups: Setups::default(),
            talks: Talks::default(),
            pings: Pings::default(),
            patterns: None,
            repeats: RepeatShare::default(),
            voices: Vec::new(),
        }));
        match trunk {
            Some(index) => {
                if let Some(place) = self.by_trunk.get_mut(usize::from(index)) {
                    *place = Some(key);
                }
            }
            None => {
                self.by_addr.insert(addr.ip(), key);
            }
        }
        self.by_age.push_back((key, now));
        key
    }

    /// Trunks stay: they are as many as are configured. Of the others the one that was silent longest goes.
    fn make_room(&mut self) {
        while self.by_addr.len() >= self.limit {
            let Some((key, queued_at)) = self.by_age.pop_front() else { return };
            let Some(peer) = self.get(key) else { continue };
            let last_at = peer.last_at.unwrap_or(peer.first_at);
            if peer.trunk.is_some() {
                continue;
            }
            if last_at > queued_at {
                self.by_age.push_back((key, last_at));
                continue;
            }
            self.remove(key);
            self.evictions += 1;
        }
    }

    fn remove(&mut self, key: PeerKey) {
        let Some(slot) = self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation) else {
            return;
        };
        let Some(peer) = slot.peer.take() else { return };
        self.voices = self.voices.saturating_sub(peer.voices_counted());
        match peer.trunk {
            Some(index) => {
                if let Some(place) = self.by_trunk.get_mut(usize::from(index)) {
                    *place = None;
                }
            }
            None => {
                self.by_addr.remove(&peer.home);
            }
        }
        self.free.push(key.slot);
        self.evicted.push(key);
    }
}
