//! What the diagnoses about peers say alike.

use core::time::Duration;

use super::{PeerFacts, ProvenBy, Value};
use crate::peer::Window;
use crate::text::StoredText;

/// A time in seconds with one decimal, as it stands in a sentence.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A time in milliseconds, as it stands in evidence.
pub(super) fn milliseconds(time: Duration) -> Value {
    Value::Count(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Per cent with one decimal, as a value.
pub(super) fn percent(share: f64) -> Value {
    Value::Number((share * 10.0).round() / 10.0)
}

/// The calls of a window that ended badly.
pub(super) fn proven_by(count: u32, window: &Window) -> ProvenBy {
    let sample_call_ids = window.samples().map(|id: &StoredText| id.as_str().to_owned()).collect();
    ProvenBy { count: count.into(), sample_call_ids }
}

/// What is under way at the peer, for the evidence of every verdict about its calls.
pub(super) fn load(facts: &PeerFacts<'_>) -> [(&'static str, Value); 2] {
    [
        ("calls_per_second", facts.peer.meter.per_second(facts.now).into()),
        ("concurrent_calls", facts.peer.concurrent.into()),
    ]
}
