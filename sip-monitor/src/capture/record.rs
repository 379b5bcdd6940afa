//! The kernel's records, owned (replay, tests) or as they stand in a ring.

use sip_monitor_common::{RecordHeader, StreamRecord, drops::DropRecord};

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A packet, or a part of one, from its IP header on.
    Bytes {
        /// What the kernel says of it.
        header: RecordHeader,
        /// `header.len` bytes.
        bytes: Vec<u8>,
    },
    /// The counters of a stream.
    Stream(Box<StreamRecord>),
}

/// A record that borrows its bytes.
#[derive(Clone, Copy, Debug)]
pub enum RecordView<'a> {
    /// See [`Record::Bytes`].
    Bytes {
        /// What the kernel says of it.
        header: RecordHeader,
        /// `header.len` bytes.
        bytes: &'a [u8],
    },
    /// See [`Record::Stream`].
    Stream(&'a StreamRecord),
    /// Packets that the kernel dropped. Only a kernel knows: replay has none.
    Drop(&'a DropRecord),
}

impl Record {
    /// Borrows.
    #[must_use]
    pub fn view(&self) -> RecordView<'_> {
        match self {
            Self::Bytes { header, bytes } => RecordView::Bytes { header: *header, bytes },
            Self::Stream(record) => RecordView::Stream(record),
        }
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &RecordHeader {
        match self {
            Self::Bytes { header, .. } => header,
            Self::Stream(record) => &record.header,
        }
    }

    /// Reads a record as it stands in the signalling ring, or an RTCP record of the media ring.
    #[must_use]
    pub fn from_ring(item: &[u8]) -> Option<Self> {
        let header = read_header(item)?;
        if header.kind == sip_monitor_common::Kind::Stream as u8 {
            return Some(Self::Stream(Box::new(read_stream(item)?)));
        }
        let bytes = item.get(size_of::<RecordHeader>()..)?.get(..header.len as usize)?;
        Some(Self::Bytes { header, bytes: bytes.to_vec() })
    }
}

impl RecordView<'_> {
    /// When the hook saw it, on the kernel's clock.
    #[must_use]
    pub fn ktime_ns(&self) -> u64 {
        match self {
            Self::Bytes { header, .. } => header.ktime_ns,
            Self::Stream(record) => record.header.ktime_ns,
            Self::Drop(record) => record.header.ktime_ns,
        }
    }
}

/// Reads the header of a ring item.
#[must_use]
pub fn read_header(item: &[u8]) -> Option<RecordHeader> {
    read(item)
}

/// Reads a stream report.
#[must_use]
pub fn read_stream(item: &[u8]) -> Option<StreamRecord> {
    read(item)
}

/// Reads a report about dropped packets.
#[must_use]
pub fn read_drops(item: &[u8]) -> Option<DropRecord> {
    read(item)
}

/// Plain old data: integers and arrays of integers only, `repr(C)`, without padding.
trait Plain: Copy {}
impl Plain for RecordHeader {}
impl Plain for StreamRecord {}
impl Plain for DropRecord {}

fn read<T: Plain>(item: &[u8]) -> Option<T> {
    if item.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the slice holds at least `size_of::<T>()` bytes, and `Plain` types are valid for any bytes.
    Some(unsafe { item.as_ptr().cast::<T>().read_unaligned() })
}
