//! Audio that flowed both ways and stopped both ways, with the call up and not held.

use core::net::SocketAddr;
use core::time::Duration;

use crate::diagnosis::{CallFacts, Confidence};
use crate::media::Refusal;
use crate::media::flow::{AudioFlows, Flow, Sight};
use crate::time::Timestamp;

/// A call that has fallen silent in both directions.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Last packet of the direction that stopped first.
    pub first_at: Timestamp,
    /// Last packet of the other.
    pub last_at: Timestamp,
    /// How long it has been silent, up to now or the end of the call.
    pub lasts: Duration,
    /// The signalling peer of the hop.
    pub peer: SocketAddr,
    /// How far the absence can be trusted.
    pub confidence: Confidence,
    /// ICMP errors that refused what was sent last.
    pub refusal: Option<Refusal>,
}

/// Finds it, where each direction has been silent for the time of `media_stopped`. Silence that was agreed on, comfort noise, mute
/// and discontinuous transmission are none.
pub fn silence(facts: &CallFacts<'_>) -> Option<Silence> {
    let now = facts.call.media.ended_at().map_or(facts.now, |ended| ended.min(facts.now));
    facts.unsteady_audio().iter().find_map(|audio| Silence::of(audio, facts, now))
}

impl Silence {
    fn of(audio: &AudioFlows, facts: &CallFacts<'_>, now: Timestamp) -> Option<Self> {
        let (a, b) = (&audio.to_caller, &audio.to_callee);
        let (one, other) = (a.state.stopped_at()?, b.state.stopped_at()?);
        let sights = |test: fn(&Flow) -> bool| test(a) && test(b);
        if !sights(|f| f.sight > Sight::None) {
            return None;
        }
        let sure = sights(|f| f.sight == Sight::Full) && !facts.call.adopted;
        let first_at = one.min(other);
        Some(Self {
            first_at,
            last_at: one.max(other),
            lasts: now.since(one.max(other)),
            peer: audio.peer,
            confidence: if sure { Confidence::Likely } else { Confidence::Possible },
            refusal: [a, b].into_iter().filter_map(|f| f.refusal).find(|r| r.last_at >= first_at - REFUSED_BEFORE),
        })
    }
}

/// Errors this long before the last packet count as what ended the stream.
const REFUSED_BEFORE: Duration = Duration::from_secs(3);
