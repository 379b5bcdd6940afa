//! A bounded copy of bytes from the wire, for facts that outlive their packet.

use smallvec::SmallVec;

/// An owned copy of at most [`Text::MAX`] bytes. Two texts are equal only if what they were made from was: where it was
/// cut, length and a 128-bit hash of the whole stand in for the rest. Without allocation up to 32 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text {
    bytes: SmallVec<[u8; 32]>,
    cut: Option<Box<(u64, u128)>>,
}

impl Text {
    /// The longest copy that is kept.
    pub const MAX: usize = 256;

    /// Copies.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let kept = bytes.get(..Self::MAX).unwrap_or(bytes);
        Self { bytes: SmallVec::from_slice(kept), cut: None }
    }

    /// What was kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it was longer than [`Text::MAX`].
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }
}

impl core::fmt::Display for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))?;
        if self.is_cut() { f.write_str("...") } else { Ok(()) }
    }
}

impl core::fmt::Debug for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}
