//! A bounded copy of bytes from the wire, for facts that outlive their packet.

use siphasher::sip128::SipHasher24;
use smallvec::SmallVec;

/// Fixed, so that the same bytes give the same text wherever they are seen. A collision takes 2^64 tries.
const KEY: (u64, u64) = (0x7369_702d_6d6f_6e69, 0x746f_722d_7465_7874);

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
        let cut = (kept.len() < bytes.len()).then(|| {
            let hash = SipHasher24::new_with_keys(KEY.0, KEY.1).hash(bytes);
            Box::new((bytes.len() as u64, hash.as_u128()))
        });
        Self { bytes: SmallVec::from_slice(kept), cut }
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

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_with_the_same_beginning_stay_different() {
        let (a, b) = ([b"x".repeat(10_000), b"a".to_vec()].concat(), [b"x".repeat(10_000), b"b".to_vec()].concat());
        assert_ne!(Text::new(&a), Text::new(&b));
        assert_eq!(Text::new(&a), Text::new(&a));
        assert_eq!(Text::new(&a).as_bytes().len(), Text::MAX);
        assert!(Text::new(&a).to_string().ends_with("x..."));
    }

    #[test]
    fn a_cut_text_is_not_its_own_beginning() {
        assert_ne!(Text::new(&b"x".repeat(Text::MAX)), Text::new(&b"x".repeat(Text::MAX + 1)));
        assert!(!Text::new(&b"x".repeat(Text::MAX)).is_cut());
    }
}
