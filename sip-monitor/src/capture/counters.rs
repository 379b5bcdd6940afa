//! The counters of the kernel programs, summed over CPUs, and what they say was lost.

use sip_monitor_common::Counter;
use sip_monitor_engine::packet::CaptureLoss;

/// One value for each [`Counter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters([u64; Counter::COUNT]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::COUNT])
    }
}

impl Counters {
    /// Adds to one counter.
    pub fn add(&mut self, counter: Counter, n: u64) {
        self.0[counter as usize] += n;
    }

    /// One value.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// All of them with their names, in the order of their definition.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Counter::ALL.iter().filter(|c| **c != Counter::Reserved).map(|c| (c.name(), self.get(*c)))
    }

    /// Packets handed up, of any kind.
    #[must_use]
    pub fn reported(&self) -> u64 {
        self.sum("reported_")
    }

    /// Packets ignored on purpose, for any reason.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.sum("ignored_")
    }

    /// Packets lost, for any reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sum("lost_")
    }

    fn sum(&self, prefix: &str) -> u64 {
        self.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, n)| n).sum()
    }

    /// `received - (reported + accounted + ignored + lost)`: zero, as nothing passes unseen. While packets flow, a read may
    /// catch a packet between its two counters.
    #[must_use]
    pub fn unexplained(&self) -> i64 {
        let fates: u64 = Counter::ALL.iter().filter(|c| c.is_fate()).map(|c| self.get(*c)).sum();
        self.get(Counter::Received).cast_signed() - fates.cast_signed()
    }

    /// What was lost between `earlier` and now.
    #[must_use]
    pub fn loss_since(&self, earlier: &Self) -> CaptureLoss {
        let delta = |c| self.get(c).saturating_sub(earlier.get(c));
        CaptureLoss {
            signalling_ring_full: delta(Counter::LostSignallingRing),
            media_ring_full: delta(Counter::LostMediaRing),
            map_full: delta(Counter::LostMapFull),
            fragments_evicted: 0,
            drop_reports: delta(Counter::DropReportsLost),
            drops_unread: delta(Counter::DropsUnread),
            unreadable: delta(Counter::LostUnreadable) + delta(Counter::LostSegments),
            cut: 0,
        }
    }
}
