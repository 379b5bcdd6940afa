//! Identity of an alert: a ULID that is the same wherever and however often the same condition is computed.

use core::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::time::Timestamp;

/// Crockford's base 32, as the ULID specification has it.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Fixed, so that two monitors that see the same condition in the same millisecond name it the same.
const KEYS: (u64, u64) = (0x7369_702d_6d6f_6e69, 0x746f_7220_616c_6572);

/// A ULID: 48 bits of milliseconds since the Unix epoch, then 80 bits of a keyed hash over the parts that name the
/// condition (instead of ULID's random bits).
#[must_use]
pub fn ulid(at: Timestamp, parts: &[&str]) -> String {
    let mut hasher = SipHasher24::new_with_keys(KEYS.0, KEYS.1);
    for part in parts {
        hasher.write(part.as_bytes());
        // No part holds this byte, so two lists of parts never run together.
        hasher.write_u8(0xff);
    }
    let millis = u128::from(u64::try_from(at.unix_ns() / 1_000_000).unwrap_or(0)) & ((1 << 48) - 1);
    let bits = (millis << 80) | (hasher.finish128().as_u128() & ((1 << 80) - 1));
    (0..26).rev().map(|i| char::from(DIGITS[(bits >> (5 * i)) as usize & 31])).collect()
}

/// One number for the names that tell a condition from others of its code, cause and address; 0 where there is none.
#[must_use]
pub fn name_hash(trunk: Option<&str>, identity: Option<&str>) -> u64 {
    if trunk.is_none() && identity.is_none() {
        return 0;
    }
    let mut hasher = SipHasher24::new_with_keys(KEYS.0, KEYS.1);
    for part in [trunk, identity] {
        hasher.write(part.unwrap_or_default().as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish128().h1
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_ns(1_469_918_176_385_000_000);

    #[test]
    fn the_first_ten_digits_are_the_time_of_the_ulid_specification() {
        let id = ulid(AT, &["no-ack"]);
        assert_eq!(&id[..10], "01ARYZ6S41");
        assert_eq!(id.len(), 26);
    }

    #[test]
    fn the_same_condition_has_the_same_id_and_another_has_another() {
        assert_eq!(ulid(AT, &["a", "b"]), ulid(AT, &["a", "b"]));
        assert_ne!(ulid(AT, &["a", "b"]), ulid(AT, &["ab"]));
        assert_ne!(ulid(AT, &["a", "b"]), ulid(AT, &["a", "c"]));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let later = AT + core::time::Duration::from_millis(1);
        assert!(ulid(AT, &["z"]) < ulid(later, &["a"]));
    }
}
