//! Which calls used a flow a moment ago, so that an ICMP error that quotes the flow finds them.

use core::net::SocketAddr;
use core::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::call::CallKey;
use crate::time::Timestamp;

/// Flows kept at a time.
const FLOWS_KEPT: usize = 8_192;
/// Calls kept for one flow: an ICMP error quotes no Call-ID, so it concerns whoever sent there just before.
const CALLS_KEPT: usize = 8;
/// How long after a message an ICMP error about it may come. Hosts give up neighbour discovery after 3 s.
const ICMP_WITHIN: Duration = Duration::from_secs(4);

/// Flows of signalling and the calls that used each last.
#[derive(Debug, Default)]
pub struct FlowIndex {
    flows: HashMap<(SocketAddr, SocketAddr), Recent, RandomState>,
    swept_at: Timestamp,
}

#[derive(Debug, Default)]
struct Recent {
    /// Newest last.
    calls: SmallVec<[(CallKey, Timestamp); 2]>,
}

impl FlowIndex {
    /// The call sent a message from `src` to `dst`.
    pub fn touch(&mut self, src: SocketAddr, dst: SocketAddr, key: CallKey, at: Timestamp) {
        if self.flows.len() >= FLOWS_KEPT && !self.flows.contains_key(&(src, dst)) && !self.sweep(at) {
            return;
        }
        let calls = &mut self.flows.entry((src, dst)).or_default().calls;
        if let Some(last) = calls.last_mut()
            && last.0 == key
        {
            last.1 = at;
            return;
        }
        calls.retain(|(other, seen)| *other != key && at.since(*seen) < ICMP_WITHIN);
        if calls.len() == CALLS_KEPT {
            calls.remove(0);
        }
        calls.push((key, at));
    }

    /// The calls whose message an ICMP error about this flow may quote.
    pub fn recent(&self, src: SocketAddr, dst: SocketAddr, now: Timestamp) -> SmallVec<[CallKey; CALLS_KEPT]> {
        let calls = self.flows.get(&(src, dst)).map(|recent| recent.calls.as_slice()).unwrap_or_default();
        calls.iter().filter(|(_, at)| now.since(*at) < ICMP_WITHIN).map(|(key, _)| *key).collect()
    }

    /// Makes room, at most once a second. Flows that are too old to be quoted go.
    fn sweep(&mut self, now: Timestamp) -> bool {
        if now.since(self.swept_at) >= Duration::from_secs(1) {
            self.swept_at = now;
            self.flows.retain(|_, recent| recent.calls.last().is_some_and(|(_, at)| now.since(*at) < ICMP_WITHIN));
        }
        self.flows.len() < FLOWS_KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u32) -> SocketAddr {
        SocketAddr::new(core::net::Ipv4Addr::from(0x0a00_0000 + n).into(), 5060)
    }

    fn key(slot: u32) -> CallKey {
        CallKey { slot, generation: 1 }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ns(ms * 1_000_000)
    }

    #[test]
    fn an_icmp_error_finds_who_sent_on_the_flow_a_moment_ago() {
        let mut index = FlowIndex::default();
        index.touch(addr(1), addr(2), key(1), at(0));
        index.touch(addr(1), addr(2), key(2), at(3000));
        assert_eq!(index.recent(addr(1), addr(2), at(3100)).as_slice(), [key(1), key(2)]);
        assert_eq!(index.recent(addr(1), addr(2), at(5000)).as_slice(), [key(2)]);
        assert!(index.recent(addr(2), addr(1), at(3100)).is_empty());
    }

    #[test]
    fn the_index_is_bounded_and_makes_room_for_new_flows() {
        let mut index = FlowIndex::default();
        for n in 0..20_000 {
            index.touch(addr(n), addr(0), key(n), at(1000));
        }
        assert_eq!(index.flows.len(), FLOWS_KEPT);
        index.touch(addr(30_000), addr(0), key(1), at(60_000));
        assert_eq!(index.flows.len(), 1);
    }
}
