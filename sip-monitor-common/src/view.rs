//! The one way to look into a packet. The kernel implements it over packet memory, tests and replay over a slice.

use crate::counter::Counter;

/// A packet, or its first part, as bytes at offsets.
///
/// Nothing reads a single byte: the verifier learns no range from a 1-byte comparison with `data_end`, so the smallest
/// load is two bytes wide and headers are read in pairs.
pub trait PacketView {
    /// Whether tunnels are looked into through this view. The kernel's views of packets in place do not: each of the many
    /// ways through a tunnel's headers would be verified for each of theirs, so tunnels are read from a copy of the first
    /// bytes.
    const PEELS: bool = true;

    /// Two bytes at `offset` in memory order, and whether they are there; 0 where they are not.
    ///
    /// No `Option`: LLVM may compute on with the value of a `None` before it looks at the tag, and the verifier refuses
    /// registers that were never written.
    fn load_u16(&self, offset: usize) -> (u16, bool);
    /// Four bytes, likewise.
    fn load_u32(&self, offset: usize) -> (u32, bool);
    /// Eight bytes, likewise.
    fn load_u64(&self, offset: usize) -> (u64, bool);
    /// The same offset, of which the verifier forgets how it came about, so that all paths that lead here go on as one. It
    /// must be below 2048, where headers end; beyond, it is some other offset.
    fn settle(&self, offset: usize) -> usize {
        offset
    }
    /// Bytes of the whole packet, also those this view cannot reach.
    fn total_len(&self) -> usize;

    /// A big-endian 16-bit number, or [`Counter::IgnoredTruncated`] where the view ends before it.
    #[inline(always)]
    fn be16(&self, offset: usize) -> Result<u16, Counter> {
        let (value, found) = self.load_u16(offset);
        if found { Ok(u16::from_be(value)) } else { Err(Counter::IgnoredTruncated) }
    }

    /// A big-endian 32-bit number, or [`Counter::IgnoredTruncated`].
    #[inline(always)]
    fn be32(&self, offset: usize) -> Result<u32, Counter> {
        self.ne32(offset).map(u32::from_be)
    }

    /// Four bytes in host order, which is how addresses are kept: memory order, never interpreted.
    #[inline(always)]
    fn ne32(&self, offset: usize) -> Result<u32, Counter> {
        let (value, found) = self.load_u32(offset);
        if found { Ok(value) } else { Err(Counter::IgnoredTruncated) }
    }
}

impl PacketView for [u8] {
    #[inline]
    fn load_u16(&self, offset: usize) -> (u16, bool) {
        load(self, offset).map_or((0, false), |bytes| (u16::from_ne_bytes(bytes), true))
    }
    #[inline]
    fn load_u32(&self, offset: usize) -> (u32, bool) {
        load(self, offset).map_or((0, false), |bytes| (u32::from_ne_bytes(bytes), true))
    }
    #[inline]
    fn load_u64(&self, offset: usize) -> (u64, bool) {
        load(self, offset).map_or((0, false), |bytes| (u64::from_ne_bytes(bytes), true))
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
