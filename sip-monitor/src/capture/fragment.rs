//! Puts fragmented datagrams together (RFC 791 3.2, RFC 8200 4.5). Bounded by count and by time. What is given up for want
//! of room is counted: it is the monitor that did not wait. What did not become whole in time is handed on as what it is.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use sip_monitor_common::{Address, IpHeader};

/// What fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FragmentKey {
    /// Source.
    pub src: Address,
    /// Destination.
    pub dst: Address,
    /// Identification.
    pub id: u32,
    /// The interface: a packet seen on two of them is fragmented twice.
    pub ifindex: u32,
    /// Which way, as a number.
    pub direction: u8,
}

/// A datagram put together: from its UDP header on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// UDP header and payload.
    pub bytes: Vec<u8>,
    /// Of the first fragment.
    pub ttl: u8,
    /// Of the first fragment.
    pub dscp: u8,
    /// The capture file holds no more than the beginning of some fragment; `bytes` end there.
    pub cut: bool,
}

/// What was seen of a datagram that did not become whole in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// Which one.
    pub key: FragmentKey,
    /// When its first fragment came.
    pub since_ns: u64,
    /// UDP header and payload from the beginning on as far as there is no gap and the capture file kept them; empty where
    /// the beginning is missing.
    pub head: Vec<u8>,
    /// Bytes that were seen.
    pub held: usize,
    /// Length of the whole, where its end was seen.
    pub total: Option<usize>,
    /// Of the fragment that came first.
    pub ttl: u8,
    /// Of the fragment that came first.
    pub dscp: u8,
}

#[derive(Debug)]
struct Pending {
    since_ns: u64,
    bytes: Vec<u8>,
    /// Where the last fragment ended.
    total: Option<usize>,
    /// Half-open ranges held, sorted, apart from each other.
    held: Vec<(usize, usize)>,
    /// From where on bytes came that the capture file did not keep.
    cut_from: Option<usize>,
    ttl: u8,
    dscp: u8,
}

/// See the module.
#[derive(Debug)]
pub struct Reassembler {
    pending: HashMap<FragmentKey, Pending, FixedState>,
    /// Datagrams that became whole a moment ago: where packets are captured several times, pieces of them come again.
    whole: HashMap<(Address, Address, u32), u64, FixedState>,
    max_datagrams: usize,
    given_up: u64,
}

/// How long a datagram may take to become whole. Receivers wait longer (Linux 30 s), but its fragments leave within a
/// millisecond of each other, and nobody should learn only half a minute later why a request was not answered.
const TIMEOUT_NS: u64 = 5_000_000_000;
/// Datagrams remembered after they became whole.
const WHOLE_KEPT: usize = 16_384;
/// Longest UDP datagram.
const MAX_BYTES: usize = 65_535;
/// More pieces than this in one datagram are an attack (65,535 bytes in fragments of the smallest MTU of IPv4 are 964,
/// but nobody fragments SIP below 576).
const MAX_PIECES: usize = 128;

impl Reassembler {
    /// One that holds at most `max_datagrams` at a time.
    #[must_use]
    pub fn new(max_datagrams: usize, seed: u64) -> Self {
        Self {
            pending: HashMap::with_hasher(FixedState::with_seed(seed)),
            whole: HashMap::with_hasher(FixedState::with_seed(seed)),
            max_datagrams: max_datagrams.max(1),
            given_up: 0,
        }
    }

    /// Takes one fragment; gives the datagram back once it is whole. Where fragments overlap, the first one stands.
    pub fn handle_fragment(&mut self, now_ns: u64, key: FragmentKey, ip: &IpHeader, bytes: &[u8]) -> Option<Datagram> {
        let begin = usize::from(ip.fragment_offset);
        // What the capture file did not keep of a fragment came all the same.
        let len = bytes.len().max(ip.transport_len);
        let end = begin + len;
        if end > MAX_BYTES || (len == 0 && ip.more_fragments) {
            return None;
        }
        if !self.pending.contains_key(&key) {
            self.make_room();
        }
        let pending = self.pending.entry(key).or_insert_with(|| Pending {
            since_ns: now_ns,
            bytes: Vec::new(),
            total: None,
            held: Vec::new(),
            cut_from: None,
            ttl: ip.ttl,
            dscp: ip.dscp,
        });
        if begin == 0 {
            (pending.ttl, pending.dscp) = (ip.ttl, ip.dscp);
        }
        if !ip.more_fragments && pending.total.is_none() {
            pending.total = Some(end);
        }
        if bytes.len() == len {
            pending.insert(begin, bytes);
        } else {
            let mut padded = bytes.to_vec();
            padded.resize(len, 0);
            pending.insert(begin, &padded);
            let cut_from = begin + bytes.len();
            pending.cut_from = Some(pending.cut_from.map_or(cut_from, |known| known.min(cut_from)));
        }
        if pending.is_whole() {
            let mut whole = self.pending.remove(&key)?;
            if self.whole.len() < WHOLE_KEPT {
                self.whole.insert((key.src, key.dst, key.id), now_ns);
            }
            let cut_from = whole.cut_from.filter(|from| whole.total.is_some_and(|total| *from < total));
            whole.bytes.truncate(cut_from.or(whole.total)?);
            return Some(Datagram { bytes: whole.bytes, ttl: whole.ttl, dscp: whole.dscp, cut: cut_from.is_some() });
        }
        if pending.held.len() > MAX_PIECES {
            self.pending.remove(&key);
            self.given_up += 1;
        }
        None
    }

    /// Takes out what has waited too long, the oldest first.
    pub fn expire(&mut self, now_ns: u64) -> Vec<Remains> {
        let is_late = |p: &Pending| now_ns.saturating_sub(p.since_ns) >= TIMEOUT_NS;
        let mut late: Vec<Remains> =
            self.pending.extract_if(|_, p| is_late(p)).map(|(key, pending)| pending.into_remains(key)).collect();
        late.retain(|remains| !self.whole.contains_key(&(remains.key.src, remains.key.dst, remains.key.id)));
        self.whole.retain(|_, at_ns| now_ns.saturating_sub(*at_ns) < 2 * TIMEOUT_NS);
        late.sort_by_key(|remains| (remains.since_ns, remains.key));
        late
    }

    /// Datagrams given up so far because there was no room for them.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    fn make_room(&mut self) {
        if self.pending.len() < self.max_datagrams {
            return;
        }
        // At most a few hundred entries, and only when full.
        if let Some(oldest) = self.pending.iter().map(|(key, p)| (p.since_ns, *key)).min() {
            self.pending.remove(&oldest.1);
            self.given_up += 1;
        }
    }
}

impl Pending {
    fn into_remains(mut self, key: FragmentKey) -> Remains {
        let contiguous = match self.held.first() {
            Some((0, end)) => *end,
            _ => 0,
        };
        self.bytes.truncate(self.cut_from.map_or(contiguous, |from| from.min(contiguous)));
        Remains {
            key,
            since_ns: self.since_ns,
            head: self.bytes,
            held: self.held.iter().map(|(from, to)| to - from).sum(),
            total: self.total,
            ttl: self.ttl,
            dscp: self.dscp,
        }
    }

    fn insert(&mut self, begin: usize, bytes: &[u8]) {
        let end = begin + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut at = begin;
        for &(from, to) in &self.held {
            if to <= at {
                continue;
            }
            if from >= end {
                break;
            }
            if from > at {
                self.bytes[at..from].copy_from_slice(&bytes[at - begin..from - begin]);
            }
            at = to.max(at);
        }
        if at < end {
            self.bytes[at..end].copy_from_slice(&bytes[at - begin..]);
        }
        self.held.push((begin, end));
        self.held.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::with_capacity(self.held.len());
        for &(from, to) in &self.held {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        self.held = merged;
    }

    fn is_whole(&self) -> bool {
        matches!((self.total, self.held.as_slice()), (Some(total), [(0, end), ..]) if *end >= total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_common::Fragment;

    fn key(id: u32) -> FragmentKey {
        FragmentKey { src: Address([1; 4]), dst: Address([2; 4]), id, ifindex: 1, direction: 0 }
    }

    fn header(offset: u16, more: bool) -> IpHeader {
        IpHeader {
            src: Address([1; 4]),
            dst: Address([2; 4]),
            protocol: 17,
            ttl: 60,
            dscp: 0,
            fragment: if offset == 0 { Fragment::First } else { Fragment::Later },
            fragment_offset: offset,
            more_fragments: more,
            id: 1,
            transport_offset: 20,
            transport_len: 0,
            total: 0,
        }
    }

    #[test]
    fn fragments_become_a_datagram_in_any_order_with_repeats_and_overlaps() {
        let data: Vec<u8> = (0..40).collect();
        let pieces = [(0_usize, 16, true), (16, 32, true), (32, 40, false), (8, 24, true), (0, 16, true)];
        for order in [[0, 1, 2, 3, 4], [2, 1, 3, 4, 0], [3, 4, 0, 2, 1], [4, 3, 2, 1, 0]] {
            let mut r = Reassembler::new(4, 0);
            let mut whole = Vec::new();
            for i in order {
                let (from, to, more) = pieces[i];
                if let Some(d) = r.handle_fragment(0, key(1), &header(from as u16, more), &data[from..to]) {
                    whole.push(d.bytes);
                }
            }
            assert_eq!(whole[0], data, "{order:?}");
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_what_is_late_is_handed_on() {
        let mut r = Reassembler::new(4, 0);
        for id in 0..10 {
            assert_eq!(r.handle_fragment(u64::from(id), key(id), &header(0, true), &[0; 8]), None);
        }
        assert_eq!((r.pending.len(), r.given_up()), (4, 6));
        let late = r.expire(TIMEOUT_NS + 8);
        assert_eq!((r.pending.len(), r.given_up(), late.len()), (1, 6, 3));
        assert_eq!((late[0].since_ns, late[0].head.len(), late[0].total), (6, 8, None));
    }

    #[test]
    fn pieces_of_a_whole_datagram_that_come_again_are_no_loss() {
        let mut r = Reassembler::new(4, 0);
        assert_eq!(r.handle_fragment(0, key(1), &header(8, false), &[0; 8]), None);
        assert!(r.handle_fragment(1, key(1), &header(0, true), &[0; 8]).is_some());
        assert_eq!(r.handle_fragment(2, key(1), &header(0, true), &[0; 8]), None);
        assert_eq!(r.handle_fragment(2, FragmentKey { ifindex: 2, ..key(1) }, &header(0, true), &[0; 8]), None);
        assert_eq!(r.expire(TIMEOUT_NS + 2), []);
    }

    #[test]
    fn a_fragment_beyond_the_longest_datagram_is_refused() {
        let mut r = Reassembler::new(4, 0);
        assert_eq!(r.handle_fragment(0, key(1), &header(65_528, false), &[0; 16]), None);
        assert_eq!(r.pending.len(), 0);
    }

    #[test]
    fn fragments_of_which_a_capture_kept_the_beginning_came_all_the_same() {
        let mut fragments = Reassembler::new(8, 1);
        let of = |offset, more, len| IpHeader { transport_len: len, ..header(offset, more) };
        assert_eq!(fragments.handle_fragment(0, key(1), &of(0, true, 16), b"abcdefgh"), None);
        let whole = fragments.handle_fragment(1, key(1), &of(16, false, 16), b"stuv").unwrap();
        assert_eq!((&whole.bytes[..], whole.cut), (&b"abcdefgh"[..], true));
        assert!(fragments.expire(9 * TIMEOUT_NS).is_empty());
    }
}
