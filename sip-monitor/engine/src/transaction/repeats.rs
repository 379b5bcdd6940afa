//! One message sent again and again: when, and how often. Tells a retransmission from a packet that was captured twice.

use core::time::Duration;

use crate::time::Timestamp;

/// How many times are kept; a request is sent 11 times in 64*T1 at most (RFC 3261 17.1.2.2), so is a 2xx.
const TIMES_KEPT: usize = 11;

/// What a sighting of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The message was sent again.
    Retransmission,
    /// The very packet that was seen before, captured a second time (a mirror port, a VLAN trunk, a bridge).
    CapturedTwice,
}

/// When a message was sent, first and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeats {
    first: Timestamp,
    last: Timestamp,
    count: u32,
    last_ip_id: u32,
    again: Option<Box<Again>>,
}

/// Times after the first, on the heap: most messages are sent once.
#[derive(Clone, Debug, Default, PartialEq)]
struct Again {
    kept: usize,
    times: [Timestamp; TIMES_KEPT - 1],
}

impl Again {
    fn times(&self) -> &[Timestamp] {
        self.times.get(..self.kept).unwrap_or_default()
    }
}

impl Repeats {
    /// Seen once.
    #[must_use]
    pub const fn once(at: Timestamp, ip_id: u32) -> Self {
        Self { first: at, last: at, count: 1, last_ip_id: ip_id, again: None }
    }

    /// First time.
    #[must_use]
    pub const fn first(&self) -> Timestamp {
        self.first
    }

    /// Last time.
    #[must_use]
    pub const fn last(&self) -> Timestamp {
        self.last
    }

    /// How often it was sent, the first time included; a packet captured twice counts once.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How often it was sent again.
    #[must_use]
    pub const fn retransmissions(&self) -> u32 {
        self.count - 1
    }

    /// Each time it was sent, as far as kept (the first 11).
    pub fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        core::iter::once(self.first).chain(self.again.iter().flat_map(|again| again.times().iter().copied()))
    }

    /// How often it was sent again after `since`, as far as the times are kept; the last always is.
    #[must_use]
    pub fn retransmissions_after(&self, since: Timestamp) -> u32 {
        let kept = self.again.as_ref().map_or(0, |again| again.kept);
        let later = self.again.iter().flat_map(|again| again.times()).filter(|at| **at > since).count();
        let unkept = (self.retransmissions() as usize).saturating_sub(kept);
        let later = if self.last > since { later + unkept } else { later };
        u32::try_from(later).unwrap_or(u32::MAX)
    }

    /// Takes the same message once more.
    ///
    /// The same packet has the same IP id and follows within milliseconds. An id of 0 tells nothing (Linux sends 0 with
    /// DF set): then only time does, and a sender waits at least T1 before it repeats itself, of which half is left
    /// for what the path adds or takes away.
    pub fn see(&mut self, at: Timestamp, ip_id: u32, t1: Duration) -> Sighting {
        let since = at.since(self.last);
        let same_packet = if ip_id != 0 && self.last_ip_id != 0 {
            ip_id == self.last_ip_id && since < t1 / 2
        } else {
            since < t1 / 2
        };
        if same_packet {
            return Sighting::CapturedTwice;
        }
        self.last = at;
        self.last_ip_id = ip_id;
        self.count = self.count.saturating_add(1);
        let again = self.again.get_or_insert_with(Box::default);
        if let Some(free) = again.times.get_mut(again.kept) {
            *free = at;
            again.kept += 1;
        }
        Sighting::Retransmission
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Duration = Duration::from_millis(500);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ns(ms * 1_000_000)
    }

    #[test]
    fn the_same_ip_id_within_milliseconds_is_one_packet() {
        let mut sent = Repeats::once(at(0), 77);
        assert_eq!(sent.see(at(1), 77, T1), Sighting::CapturedTwice);
        assert_eq!(sent.count(), 1);
    }

    #[test]
    fn another_ip_id_is_a_retransmission_however_soon() {
        let mut sent = Repeats::once(at(0), 77);
        assert_eq!(sent.see(at(20), 78, T1), Sighting::Retransmission);
        assert_eq!(sent.times().collect::<Vec<_>>(), [at(0), at(20)]);
    }

    #[test]
    fn without_ip_ids_time_alone_tells() {
        let mut sent = Repeats::once(at(0), 0);
        assert_eq!(sent.see(at(2), 0, T1), Sighting::CapturedTwice);
        assert_eq!(sent.see(at(500), 0, T1), Sighting::Retransmission);
        assert_eq!(sent.retransmissions(), 1);
    }

    #[test]
    fn the_same_ip_id_half_a_second_later_is_a_retransmission() {
        let mut sent = Repeats::once(at(0), 77);
        assert_eq!(sent.see(at(500), 77, T1), Sighting::Retransmission);
    }

    #[test]
    fn times_are_bounded_and_counts_are_not() {
        let mut sent = Repeats::once(at(0), 0);
        for n in 1..100 {
            sent.see(at(n * 4000), 0, T1);
        }
        assert_eq!(sent.count(), 100);
        assert_eq!(sent.times().count(), TIMES_KEPT);
        assert_eq!(sent.retransmissions_after(at(0)), 99);
        assert_eq!(sent.retransmissions_after(at(99 * 4000)), 0);
    }
}
