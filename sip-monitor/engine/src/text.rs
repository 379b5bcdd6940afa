//! Text kept from the wire: Call-IDs, tags, branches, URIs. Bounded in length, compared with the wire's own bytes.

use core::fmt;
use core::hash::{Hash, Hasher};

/// Text as it stood in a header, readable whatever its bytes were: UTF-8 as it is, anything else as Latin-1.
///
/// Longer text than the limit it was kept under is cut, and ends in `~` and a hash of the whole, so that two long texts
/// which differ only after the limit are still told apart.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredText(Box<str>);

/// `~` and 16 hexadecimal digits.
const CUT_MARK_BYTES: usize = 17;

impl StoredText {
    /// Keeps `wire`, at most `limit` bytes of it.
    #[must_use]
    pub fn new(wire: &[u8], limit: usize) -> Self {
        if wire.len() > limit.max(CUT_MARK_BYTES) {
            return Self(cut(wire, limit.max(CUT_MARK_BYTES)).into());
        }
        match core::str::from_utf8(wire) {
            Ok(text) => Self(text.into()),
            Err(_) => Self(latin_1(wire).into()),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `wire` is the text that was kept under `limit`.
    #[must_use]
    pub fn matches(&self, wire: &[u8], limit: usize) -> bool {
        if self.0.as_bytes() == wire {
            return true;
        }
        // Only text that is cut, or that is no UTF-8, is kept in another form than it stood on the wire.
        if wire.len() > limit.max(CUT_MARK_BYTES) {
            return *self.0 == *cut(wire, limit.max(CUT_MARK_BYTES));
        }
        !self.0.is_ascii() && core::str::from_utf8(wire).is_err() && *self.0 == *latin_1(wire)
    }
}

fn latin_1(wire: &[u8]) -> String {
    wire.iter().copied().map(char::from).collect()
}

fn cut(wire: &[u8], limit: usize) -> String {
    // A fixed key: the mark must be the same wherever it is computed, and a collision only merges two oversized texts.
    let mut hasher = siphasher::sip::SipHasher13::new();
    wire.hash(&mut hasher);
    let kept = wire.get(..limit.saturating_sub(CUT_MARK_BYTES)).unwrap_or_default();
    format!("{}~{:016x}", String::from_utf8_lossy(kept), hasher.finish())
}

impl fmt::Display for StoredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compared_with_the_bytes_of_the_wire() {
        let text = StoredText::new(b"a84b4c76e66710", 64);
        assert!(text.matches(b"a84b4c76e66710", 64));
        assert!(!text.matches(b"a84b4c76e66711", 64));
    }

    #[test]
    fn latin_1_is_readable_and_still_matches() {
        let text = StoredText::new(b"M\xfcller", 64);
        assert_eq!(text.as_str(), "Müller");
        assert!(text.matches(b"M\xfcller", 64));
        assert!(!text.matches(b"M\xfbller", 64));
    }

    #[test]
    fn long_texts_are_cut_and_told_apart_by_what_was_cut_off() {
        let (mut a, mut b) = (vec![b'x'; 10_000], vec![b'x'; 10_000]);
        a.push(b'1');
        b.push(b'2');
        let kept = StoredText::new(&a, 100);
        assert!(kept.as_str().len() <= 100, "{}", kept.as_str().len());
        assert!(kept.matches(&a, 100));
        assert!(!kept.matches(&b, 100));
    }

    #[test]
    fn a_limit_of_nothing_does_not_panic() {
        assert!(StoredText::new(b"0123456789abcdefXYZ", 0).matches(b"0123456789abcdefXYZ", 0));
    }
}
