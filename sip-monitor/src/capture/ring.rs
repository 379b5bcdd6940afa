//! Reads both rings and merges them in time order.
//!
//! A record is written a moment after its time was taken, on any CPU, into one of two rings. So what has been read waits
//! until everything older must have been written, and goes out sorted.

use aya::maps::{MapData, RingBuf};

use super::record::{self, RecordView};

/// How long after its time a record may still be on its way: far above what the programs take, far below what anyone
/// waits for.
pub const HOLD_BACK_NS: u64 = 5_000_000;

/// A record that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    ktime_ns: u64,
    /// Keeps the order of arrival among equals.
    serial: u64,
    begin: usize,
    len: usize,
}

/// See the module. Records lie one behind the other in one buffer: none is allocated for.
pub struct Merger {
    rings: [RingBuf<MapData>; 2],
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    serial: u64,
    /// Bytes read from one ring at most before anything is handed on.
    budget: usize,
    /// The most found in each ring at one poll, since [`Merger::turn`] and between it and the one before.
    most: [[usize; 2]; 2],
}

/// Both rings, still unread.
pub struct Rings {
    /// Signalling.
    pub signalling: RingBuf<MapData>,
    /// Media.
    pub media: RingBuf<MapData>,
}

impl Merger {
    /// One that reads these rings, of at most `budget` bytes each.
    #[must_use]
    pub fn new(rings: Rings, budget: usize) -> Self {
        Self {
            rings: [rings.signalling, rings.media],
            bytes: Vec::new(),
            waiting: Vec::new(),
            serial: 0,
            budget,
            most: [[0; 2]; 2],
        }
    }

    /// Reads what is in the rings.
    pub fn read(&mut self) {
        for i in 0..self.rings.len() {
            let begin = self.bytes.len();
            while self.bytes.len() - begin < self.budget {
                let Some(item) = self.rings[i].next() else { break };
                let Some(header) = record::read_header(&item) else { continue };
                self.waiting.push(Waiting {
                    ktime_ns: header.ktime_ns,
                    serial: self.serial,
                    begin: self.bytes.len(),
                    len: item.len(),
                });
                self.serial += 1;
                self.bytes.extend_from_slice(&item);
            }
            let [current, _] = &mut self.most[i];
            *current = (*current).max(self.bytes.len() - begin);
        }
        self.waiting.sort_unstable_by_key(|w| (w.ktime_ns, w.serial));
    }

    /// Hands on what is older than `until_ns`, in time order, and keeps the rest.
    pub fn release(&mut self, until_ns: u64, mut each: impl FnMut(RecordView<'_>)) {
        let n = self.waiting.partition_point(|w| w.ktime_ns <= until_ns);
        for waiting in &self.waiting[..n] {
            let item = &self.bytes[waiting.begin..waiting.begin + waiting.len];
            let Some(header) = record::read_header(item) else { continue };
            if header.kind == sip_monitor_common::Kind::Stream as u8 {
                if let Some(stream) = record::read_stream(item) {
                    each(RecordView::Stream(&stream));
                }
            } else if header.kind == sip_monitor_common::Kind::Drop as u8 {
                if let Some(drops) = record::read_drops(item) {
                    each(RecordView::Drop(&drops));
                }
            } else if let Some(bytes) =
                item.get(size_of_val(&header)..).and_then(|rest| rest.get(..header.len as usize))
            {
                each(RecordView::Bytes { header, bytes });
            }
        }
        self.keep_from(n);
    }

    /// A time is over for which [`Merger::most`] tells.
    pub fn turn(&mut self) {
        self.most = self.most.map(|[current, _]| [0, current]);
    }

    /// The most bytes found in the rings for signalling and media at one poll, in this time and the one before.
    #[must_use]
    pub fn most(&self) -> [usize; 2] {
        self.most.map(|[current, before]| current.max(before))
    }

    /// Moves what still waits to the front of the buffer.
    fn keep_from(&mut self, n: usize) {
        let mut kept = Vec::new();
        for waiting in &mut self.waiting[n..] {
            let begin = kept.len();
            kept.extend_from_slice(&self.bytes[waiting.begin..waiting.begin + waiting.len]);
            waiting.begin = begin;
        }
        self.waiting.drain(..n);
        self.bytes.clear();
        self.bytes.extend_from_slice(&kept);
    }
}
