//! One stream, one reporter. A bridge and its port both see every packet, and the kernel counts it on each; the engine
//! knows a stream by its addresses, and two series of totals under one name would contradict each other. So the interface
//! that reported first speaks for the stream, until it falls silent.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use sip_monitor_engine::packet::StreamKey;

/// An interface that has not reported for this long no longer speaks: streams report once a second.
const SILENT_NS: u64 = 5_000_000_000;
/// Entries kept; beyond, streams pass unchecked.
const MAX_OWNERS: usize = 1 << 18;

/// Who speaks for which stream.
#[derive(Debug)]
pub(super) struct Owners {
    by_stream: HashMap<StreamKey, (u32, u64), FixedState>,
}

impl Owners {
    pub(super) fn new(seed: u64) -> Self {
        Self { by_stream: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    /// Whether this interface speaks for the stream.
    pub(super) fn admits(&mut self, key: StreamKey, ifindex: u32, ktime_ns: u64) -> bool {
        if self.by_stream.len() >= MAX_OWNERS && !self.by_stream.contains_key(&key) {
            return true;
        }
        let (owner, last_ns) = self.by_stream.entry(key).or_insert((ifindex, ktime_ns));
        if *owner != ifindex && ktime_ns.saturating_sub(*last_ns) < SILENT_NS {
            return false;
        }
        (*owner, *last_ns) = (ifindex, ktime_ns);
        true
    }

    /// Forgets the silent.
    pub(super) fn expire(&mut self, ktime_ns: u64) {
        self.by_stream.retain(|_, (_, last_ns)| ktime_ns.saturating_sub(*last_ns) < SILENT_NS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_engine::packet::Direction;

    #[test]
    fn the_second_interface_is_heard_only_once_the_first_is_silent() {
        let at = |port| std::net::SocketAddr::from(([10, 0, 0, 1], port));
        let key = StreamKey { src: at(1), dst: at(2), ssrc: 7, direction: Direction::In };
        let mut owners = Owners::new(0);
        assert!(owners.admits(key, 3, 0));
        assert!(!owners.admits(key, 4, 1));
        assert!(owners.admits(key, 3, 1_000_000_000));
        assert!(!owners.admits(key, 4, 1_000_000_001));
        assert!(owners.admits(key, 4, 1_000_000_000 + SILENT_NS));
        assert!(!owners.admits(key, 3, 1_000_000_001 + SILENT_NS));
        owners.expire(10 * SILENT_NS);
        assert!(owners.by_stream.is_empty());
    }
}
