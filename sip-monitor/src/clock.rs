//! The only clock of the program: real time, as a [`Timestamp`].

use std::time::{SystemTime, UNIX_EPOCH};

use sip_monitor_engine::Timestamp;

/// The present.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ns(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
