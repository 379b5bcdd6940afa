//! Points in time, as nanoseconds since the Unix epoch. The engine reads no clock: every `Timestamp` comes in with a
//! packet or with a timeout. `std::time::Instant` cannot be made from a capture file, hence an own type.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

/// Nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Kept with the sign bit turned over, so that order is that of unsigned numbers and 0 is no time at all: an
/// `Option<Timestamp>`, of which a call has dozens, takes 8 bytes and not 16.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

const _: () = assert!(size_of::<Option<Timestamp>>() == 8);

/// What turns the sign bit over.
const SIGN: u64 = 1 << 63;

impl Timestamp {
    /// The Unix epoch.
    pub const ZERO: Self = Self::from_unix_ns(0);
    /// The end of time, for "no deadline".
    pub const MAX: Self = Self::from_unix_ns(i64::MAX);

    /// From nanoseconds since the Unix epoch. The first of all nanoseconds, in 1677, counts as the one after it.
    #[must_use]
    pub const fn from_unix_ns(ns: i64) -> Self {
        match NonZeroU64::new(ns.cast_unsigned() ^ SIGN) {
            Some(biased) => Self(biased),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_ns(self) -> i64 {
        (self.0.get() ^ SIGN).cast_signed()
    }

    /// The time from `earlier` to `self`; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        // What is biased alike differs as what it stands for does.
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl core::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        let ns = u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ns))
    }
}

impl core::ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        let ns = u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::new(self.0.get().saturating_sub(ns)).unwrap_or(NonZeroU64::MIN))
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

/// RFC 3339 in UTC with microseconds: `2026-11-20T10:15:42.123456Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.unix_ns())) {
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => write!(f, "{}ns", self.unix_ns()),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "description": "RFC 3339, UTC, microseconds"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_order_and_saturate_at_both_ends() {
        let at = Timestamp::from_unix_ns;
        let day = Duration::from_secs(86_400);
        let times = [i64::MIN + 1, -1, 0, 1, i64::MAX];
        assert!(times.map(at).is_sorted() && times.map(|ns| at(ns).unix_ns()) == times);
        assert_eq!(at(i64::MIN), at(i64::MIN + 1));
        assert_eq!((at(-5) + Duration::from_nanos(7), at(2) - Duration::from_nanos(7)), (at(2), at(-5)));
        assert_eq!((Timestamp::MAX + day, Timestamp::MAX - day), (Timestamp::MAX, at(i64::MAX - 86_400_000_000_000)));
        assert_eq!(at(i64::MIN) - day, at(i64::MIN));
        assert_eq!(at(5).since(at(-2)), Duration::from_nanos(7));
        assert_eq!(at(-2).since(at(5)), Duration::ZERO);
    }

    #[test]
    fn a_timestamp_prints_as_rfc_3339_with_microseconds() {
        assert_eq!(Timestamp::from_unix_ns(1_645_889_070_234_849_299).to_string(), "2022-02-26T15:24:30.234849Z");
    }
}
