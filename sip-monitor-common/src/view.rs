//! The one way to look into a packet. The kernel implements it over packet memory, tests and replay over a slice.

use crate::counter::Counter;

/// A packet, or its first part, as bytes at offsets.
///
/// Nothing reads a single byte: the verifier learns no range from a 1-byte comparison with `data_end`, so the smallest
/// load is two bytes wide and headers are read in pairs.
pub trait PacketView {
    /// Two bytes at `offset` as they stand in memory.
    fn load_u16(&self, offset: usize) -> Option<[u8; 2]>;
    /// Four bytes at `offset`.
    fn load_u32(&self, offset: usize) -> Option<[u8; 4]>;
    /// Eight bytes at `offset`.
    fn load_u64(&self, offset: usize) -> Option<[u8; 8]>;
    /// Bytes of the whole packet, also those this view cannot reach.
    fn total_len(&self) -> usize;

    /// A big-endian 16-bit number, or [`Counter::IgnoredTruncated`] where the view ends before it.
    #[inline(always)]
    fn be16(&self, offset: usize) -> Result<u16, Counter> {
        self.load_u16(offset).map(u16::from_be_bytes).ok_or(Counter::IgnoredTruncated)
    }

    /// A big-endian 32-bit number, or [`Counter::IgnoredTruncated`].
    #[inline(always)]
    fn be32(&self, offset: usize) -> Result<u32, Counter> {
        self.load_u32(offset).map(u32::from_be_bytes).ok_or(Counter::IgnoredTruncated)
    }

    /// Four bytes in host order, which is how addresses are kept: memory order, never interpreted.
    #[inline(always)]
    fn ne32(&self, offset: usize) -> Result<u32, Counter> {
        self.load_u32(offset).map(u32::from_ne_bytes).ok_or(Counter::IgnoredTruncated)
    }
}

impl PacketView for [u8] {
    #[inline]
    fn load_u16(&self, offset: usize) -> Option<[u8; 2]> {
        load(self, offset)
    }
    #[inline]
    fn load_u32(&self, offset: usize) -> Option<[u8; 4]> {
        load(self, offset)
    }
    #[inline]
    fn load_u64(&self, offset: usize) -> Option<[u8; 8]> {
        load(self, offset)
    }
    #[inline]
    fn total_len(&self) -> usize {
        self.len()
    }
}

#[inline]
fn load<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}
