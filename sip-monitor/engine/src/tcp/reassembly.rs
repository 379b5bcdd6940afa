//! One direction of a connection: segments in any order in, bytes in the order of their sequence numbers out (RFC 9293 3.4).
//!
//! The monitor is no receiver: it can not ask for what it missed. A gap is given up as soon as it is known that it will
//! not be filled: the other side has acknowledged what lies behind it, it has waited too long, or it holds back too much.

use core::time::Duration;

use crate::time::Timestamp;

/// Bytes held behind a gap in one direction.
const EARLY_BYTES: usize = 256 * 1024;
/// Segments held behind a gap in one direction: tiny ones cost more than their bytes.
const EARLY_SEGMENTS: usize = 512;
/// How long a gap may stay open. A lost segment is sent again after 1 s at the latest, twice lost after 3 s (RFC 6298 2, 5.5).
const GAP_WITHIN: Duration = Duration::from_secs(8);
/// A sequence number farther away than any window (RFC 7323 2.3) belongs to another connection between the same ports.
const FARTHEST: u32 = 1 << 30;

/// What comes out, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// So many bytes that were never seen stand here; `u32::MAX` where it is not known how many.
    Gap(u32),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Reassembly {
    /// Sequence number of the next byte; `None` before the first segment.
    next: Option<u32>,
    /// Segments behind a gap, nearest first.
    early: Vec<Early>,
    early_bytes: usize,
}

#[derive(Clone, Debug)]
struct Early {
    seq: u32,
    at: Timestamp,
    bytes: Box<[u8]>,
}

impl Reassembly {
    /// A connection begins: its first byte will be `seq`.
    pub(super) fn begin(&mut self, seq: u32) {
        *self = Self { next: Some(seq), ..Self::default() };
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.early_bytes
    }

    /// Whether everything before this byte was handed on or passed over.
    pub(super) fn has_all_before(&self, seq: u32) -> bool {
        self.next.is_some_and(|next| next.wrapping_sub(seq) < FARTHEST)
    }

    /// Whether nothing is missing before this byte but what may still come: an acknowledgement of it leaves nothing open.
    pub(super) fn is_done_with(&self, ack: u32) -> bool {
        self.next.is_none_or(|next| ack.wrapping_sub(next) < FARTHEST)
    }

    /// Takes a segment and hands on what is in order with it. Where segments overlap, the bytes that came first stand.
    pub(super) fn handle_segment(&mut self, now: Timestamp, seq: u32, bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        let Some(next) = self.next else {
            self.next = Some(seq.wrapping_add(length(bytes)));
            return sink(Piece::Bytes(bytes));
        };
        let ahead = seq.wrapping_sub(next);
        let behind = next.wrapping_sub(seq);
        if behind < FARTHEST {
            self.hand_on(seq, bytes, sink);
            return self.drain(sink);
        }
        if ahead >= FARTHEST {
            sink(Piece::Gap(u32::MAX));
            self.begin(seq);
            return self.hand_on(seq, bytes, sink);
        }
        let place = self.early.iter().position(|e| e.seq.wrapping_sub(next) > ahead).unwrap_or(self.early.len());
        self.early.insert(place, Early { seq, at: now, bytes: bytes.into() });
        self.early_bytes += bytes.len();
        self.give_up(now, sink);
    }

    /// The other side has everything before `ack`: a gap before that is the monitor's own.
    pub(super) fn handle_ack(&mut self, ack: u32, sink: &mut dyn FnMut(Piece<'_>)) {
        while let Some(first) = self.early.first()
            && ack.wrapping_sub(first.seq) < FARTHEST
        {
            self.skip_gap(sink);
        }
    }

    /// Gives up gaps that hold back too much or have waited too long.
    pub(super) fn give_up(&mut self, now: Timestamp, sink: &mut dyn FnMut(Piece<'_>)) {
        let is_over = |s: &Self| {
            s.early_bytes > EARLY_BYTES
                || s.early.len() > EARLY_SEGMENTS
                || s.early.iter().any(|e| now.since(e.at) >= GAP_WITHIN)
        };
        while is_over(self) {
            self.skip_gap(sink);
        }
    }

    fn skip_gap(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        let Some(first) = self.early.first() else { return };
        let missing = self.next.map_or(u32::MAX, |next| first.seq.wrapping_sub(next));
        self.next = Some(first.seq);
        sink(Piece::Gap(missing));
        self.drain(sink);
    }

    /// Hands on what of a segment lies at or behind the next byte.
    fn hand_on(&mut self, seq: u32, bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        let Some(next) = self.next else { return };
        let known = next.wrapping_sub(seq) as usize;
        if let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
            self.next = Some(next.wrapping_add(length(fresh)));
            sink(Piece::Bytes(fresh));
        }
    }

    /// Hands on the early segments that the next byte has reached.
    fn drain(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        while let (Some(next), Some(first)) = (self.next, self.early.first()) {
            if next.wrapping_sub(first.seq) >= FARTHEST {
                return;
            }
            let early = self.early.remove(0);
            self.early_bytes -= early.bytes.len();
            self.hand_on(early.seq, &early.bytes, sink);
        }
    }
}

/// A segment is shorter than 2^32, super-packets included.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ns(ms * 1_000_000)
    }

    /// Feeds `(seq, bytes)` into a stream that begins at `begin`; `|` stands for a gap.
    fn read(begin: u32, segments: &[(u32, &str)]) -> (Reassembly, String) {
        let (mut r, mut out) = (Reassembly::default(), String::new());
        r.begin(begin);
        for (seq, bytes) in segments {
            r.handle_segment(at(0), begin.wrapping_add(*seq), bytes.as_bytes(), &mut |piece| note(&mut out, piece));
        }
        (r, out)
    }

    fn note(out: &mut String, piece: Piece<'_>) {
        match piece {
            Piece::Bytes(bytes) => out.push_str(std::str::from_utf8(bytes).unwrap()),
            Piece::Gap(_) => out.push('|'),
        }
    }

    #[test]
    fn segments_come_in_order_whatever_way_they_came() {
        for begin in [0, u32::MAX - 3, 0x7fff_fffe] {
            for segments in [
                &[(0, "abc"), (3, "def"), (6, "ghi")][..],
                &[(6, "ghi"), (3, "def"), (0, "abc")],
                &[(0, "abc"), (0, "abc"), (3, "def"), (0, "abcdef"), (6, "ghi")],
                &[(3, "defghi"), (0, "abcde")],
                &[(6, "ghi"), (0, "abcd"), (6, "ghi"), (3, "defg")],
            ] {
                let (r, out) = read(begin, segments);
                assert_eq!((out.as_str(), r.held()), ("abcdefghi", 0), "{begin} {segments:?}");
            }
        }
    }

    #[test]
    fn a_gap_is_given_up_when_the_other_side_has_acknowledged_what_is_behind_it() {
        let (mut r, mut out) = read(100, &[(0, "abc"), (6, "ghi"), (12, "mno")]);
        r.handle_ack(103, &mut |piece| note(&mut out, piece));
        assert_eq!(out, "abc");
        r.handle_ack(109, &mut |piece| note(&mut out, piece));
        assert_eq!((out.as_str(), r.held()), ("abc|ghi", 3));
    }

    #[test]
    fn a_gap_is_given_up_when_it_has_waited_or_holds_back_too_much() {
        let (mut r, mut out) = read(0, &[(0, "abc"), (6, "ghi")]);
        r.give_up(at(7999), &mut |piece| note(&mut out, piece));
        assert_eq!(out, "abc");
        r.give_up(at(8000), &mut |piece| note(&mut out, piece));
        assert_eq!(out, "abc|ghi");
        let (mut r, mut gaps) = (Reassembly::default(), 0);
        r.begin(0);
        for n in 1..2000 {
            r.handle_segment(at(0), n * 1448, &[0; 1400], &mut |piece| {
                gaps += u32::from(matches!(piece, Piece::Gap(_)))
            });
            assert!(r.held() <= EARLY_BYTES);
        }
        assert!(gaps > 1000);
    }

    #[test]
    fn a_sequence_number_from_elsewhere_is_another_connection() {
        let (_, out) = read(0, &[(0, "abc"), (0x5000_0000, "xyz"), (0x5000_0003, "!")]);
        assert_eq!(out, "abc|xyz!");
    }
}
