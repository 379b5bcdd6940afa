//! Marks: what the legs of a call have in common, each as a number of 64 bits. What cannot tell one call from another makes none.

use core::hash::BuildHasher;
use core::net::IpAddr;

use foldhash::fast::RandomState;

use crate::record::Side;
use crate::seen::Seen;
use crate::sip::Message;

/// Longest header value that is an identity, bytes.
const LONGEST_VALUE: usize = 256;
/// Shortest one, and how many of its bytes must differ: `0`, `none` and `000000` are none.
const SHORTEST_VALUE: usize = 6;
const DIFFERENT_BYTES: usize = 3;
/// Shortest session id of an SDP origin that can be an identity: `0` and `1` are habits.
const SHORTEST_ORIGIN: usize = 6;
/// Lines of an SDP in which o= is looked for; it is the second (RFC 8866 5).
const ORIGIN_WITHIN_LINES: usize = 3;

/// Something that legs of one call share, kind included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark(u64);

/// What a mark was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The caller's UUID of a Session-ID: the same on every leg (RFC 7989 6, 7).
    Session,
    /// Both UUIDs of a Session-ID, of a call whose INVITE was not seen.
    Pair,
    /// A configured header.
    Header,
    /// Media that passes through.
    Media,
}

/// Where the kind stands in a mark: in the middle, since a hash table looks at both ends.
const KIND_SHIFT: u32 = 32;

impl Mark {
    fn new(kind: Kind, hash: u64) -> Self {
        Self(hash & !(3 << KIND_SHIFT) | (kind as u64) << KIND_SHIFT)
    }

    /// What it was made of.
    pub const fn kind(self) -> Kind {
        match self.0 >> KIND_SHIFT & 3 {
            0 => Kind::Session,
            1 => Kind::Pair,
            2 => Kind::Header,
            _ => Kind::Media,
        }
    }

    /// Its hash.
    pub const fn hash(self) -> u64 {
        self.0
    }

    /// The caller's half of the Session-ID of an initial INVITE or a response to one. A response without `remote` is of
    /// RFC 7329: one UUID for both sides.
    pub fn of_session(seen: &Seen<'_, '_>, hasher: &RandomState) -> Option<Self> {
        let id = seen.message.session_id()?;
        let caller = if seen.is_request() { id.local } else { id.remote.unwrap_or(id.local) };
        Some(Self::new(Kind::Session, hasher.hash_one(uuid(caller)?)))
    }

    /// Both halves of a Session-ID, whoever sent it.
    pub fn of_both_ends(message: &Message<'_>, hasher: &RandomState) -> Option<Self> {
        let id = message.session_id()?;
        let (one, other) = (uuid(id.local)?, uuid(id.remote?)?);
        Some(Self::new(Kind::Pair, hasher.hash_one((one.min(other), one.max(other)))))
    }

    /// The value of a configured header.
    pub fn of_header(index: usize, value: &[u8], hasher: &RandomState) -> Option<Self> {
        is_identity(value).then(|| Self::new(Kind::Header, hasher.hash_one((index, value))))
    }

    /// The origin of an SDP (RFC 8866 5.2): user name, session id and address, which together are unique. The version
    /// counts changes.
    pub fn of_origin(sdp: &[u8], hasher: &RandomState) -> Option<Self> {
        let mut lines = sdp.split(|byte| *byte == b'\n').take(ORIGIN_WITHIN_LINES);
        let origin = lines.find_map(|line| line.strip_prefix(b"o="))?;
        let mut words = origin.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (user, session) = (words.next()?, words.next()?);
        let address: IpAddr = core::str::from_utf8(words.nth(3)?).ok()?.parse().ok()?;
        let is_somewhere = !address.is_unspecified() && !address.is_loopback();
        (session.len() >= SHORTEST_ORIGIN && is_somewhere)
            .then(|| Self::new(Kind::Media, hasher.hash_one((user, session, address))))
    }

    /// The SSRC of a stream and who of the call sends it.
    pub fn of_stream(ssrc: u32, from: Side, hasher: &RandomState) -> Option<Self> {
        (ssrc != 0).then(|| Self::new(Kind::Media, hasher.hash_one((ssrc, from))))
    }
}

/// 32 hexadecimal digits; `None` for the nil UUID, which names nobody (RFC 7989 5).
fn uuid(text: &[u8]) -> Option<u128> {
    let digits = text.iter().map(|byte| char::from(*byte).to_digit(16).map(u128::from));
    let value = digits.into_iter().try_fold(0, |value: u128, digit| Some(value << 4 | digit?))?;
    (value != 0).then_some(value)
}

/// Whether a value can tell calls apart.
fn is_identity(value: &[u8]) -> bool {
    let differ = || {
        let mut known = [0_u8; DIFFERENT_BYTES];
        let mut count = 0;
        for byte in value {
            if !known.iter().take(count).any(|k| k == byte) {
                let Some(slot) = known.get_mut(count) else { return true };
                *slot = *byte;
                count += 1;
            }
        }
        count == DIFFERENT_BYTES
    };
    (SHORTEST_VALUE..=LONGEST_VALUE).contains(&value.len()) && differ()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_every_call_may_carry_is_no_identity() {
        for value in ["", "0", "12345", "000000", "010101", "------"] {
            assert!(!is_identity(value.as_bytes()), "{value}");
        }
        assert!(!is_identity(&b"abc".repeat(20_000)), "garbage of 60 kB");
        for value in ["012345", "a84b4c76e66710", "3848276298220188511@198.51.100.10"] {
            assert!(is_identity(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn the_nil_uuid_names_nobody_and_case_does_not_matter() {
        assert_eq!(uuid(b"00000000000000000000000000000000"), None);
        assert_eq!(uuid(b"ab30317f1a784dc48ff824d0d3715d86"), uuid(b"AB30317F1A784DC48FF824D0D3715D86"));
        assert!(uuid(b"ab30317f1a784dc48ff824d0d3715d86").is_some());
    }

    #[test]
    fn the_origin_of_a_session_is_an_identity_whatever_its_version() {
        let hasher = RandomState::default();
        let origin = |line: &str| Mark::of_origin(format!("v=0\r\n{line}\r\ns=-\r\n").as_bytes(), &hasher);
        let first = origin("o=alice 2890844526 1 IN IP4 198.51.100.10");
        assert!(first.is_some());
        assert_eq!(first, origin("o=alice 2890844526 2 IN IP4 198.51.100.10"));
        assert_ne!(first, origin("o=alice 2890844526 1 IN IP4 198.51.100.11"));
        for habit in ["o=- 0 0 IN IP4 198.51.100.10", "o=- 2890844526 1 IN IP4 127.0.0.1", "o=- 2890844526", "o="] {
            assert_eq!(origin(habit), None, "{habit}");
        }
    }

    #[test]
    fn marks_of_different_kinds_differ() {
        let kinds = [Kind::Session, Kind::Pair, Kind::Header, Kind::Media];
        for kind in kinds {
            assert_eq!(Mark::new(kind, u64::MAX).kind(), kind);
            assert_eq!(Mark::new(kind, 0).kind(), kind);
        }
    }
}
