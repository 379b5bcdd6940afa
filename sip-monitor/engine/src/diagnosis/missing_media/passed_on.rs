//! Media that concerns two legs: what this host passes on from one to the other, and what flows past it between the ends.
//! One condition is told on one of them (ground rule 7).

use core::time::Duration;

use smallvec::SmallVec;

use super::Case;
use crate::call::Call;
use crate::diagnosis::CallFacts;
use crate::media::MediaSession;
use crate::media::flow::{AudioFlows, Flow, FlowState, Sight, Travel};
use crate::time::Timestamp;

/// What stopped on both legs within this time stopped once.
const AT_ONCE: Duration = Duration::from_secs(2);
/// A leg that ended this long ago tells nothing of the present.
const JUST_OVER: Duration = Duration::from_secs(2);

/// Whether nothing is sent this way since nothing arrives on the other leg that could be. That leg's own alert says so
/// (ground rule 7). `flows_of` gives the audio of a call, answered or early as that of `flow` is.
pub(super) fn has_nothing_to_send(
    facts: &CallFacts<'_>,
    flow: &Flow,
    now: Timestamp,
    flows_of: impl Fn(&MediaSession) -> SmallVec<[AudioFlows; 1]>,
) -> bool {
    if flow.travel != Travel::Out {
        return false;
    }
    let legs = facts.legs.across(facts.call.key);
    let is_up = |ended_at: Option<Timestamp>| ended_at.is_none_or(|at| at + JUST_OVER >= now);
    let mut arriving = legs.iter().filter(|leg| is_up(leg.ended_at)).map(|leg| flows_of(&leg.media)).peekable();
    arriving.peek().is_some()
        && arriving.all(|audio| {
            let mut source =
                audio.iter().map(|audio| audio.towards(flow.to)).filter(|f| f.travel == Travel::In).peekable();
            source.peek().is_some() && source.all(|source| lacks_the_same(flow, source))
        })
}

/// Whether an earlier leg of the call agreed on the same two endpoints, as after a re-INVITE to direct media, and lacks the
/// same: it is the same packets that are missing, and that leg tells it.
pub(super) fn is_told_on_another_leg(facts: &CallFacts<'_>, case: &Case<'_>, now: Timestamp) -> bool {
    let ends = |audio: &AudioFlows| (audio.to_caller.endpoint, audio.to_callee.endpoint);
    let order = |call: &Call| (call.invited_at, call.key);
    let tells = |leg: &&Call| {
        let is_earlier = !leg.adopted && order(leg) < order(facts.call);
        let is_up = leg.ended_at.is_none_or(|at| at + JUST_OVER >= now);
        let has_same = |audio: &AudioFlows| {
            ends(audio) == ends(case.audio)
                && Case::of(audio, case.extent).is_some_and(|c| c.missing.to == case.missing.to)
        };
        is_earlier && is_up && leg.media.flows(facts.media, facts.config, now).iter().any(has_same)
    };
    facts.legs.beside(facts.call.key).iter().any(tells)
}

/// Whether what is missing here does not arrive there either, from the same time on.
fn lacks_the_same(flow: &Flow, source: &Flow) -> bool {
    match (flow.state, source.state) {
        // What the far end refuses or does not hear was sent: then this host has something to send.
        (FlowState::Absent | FlowState::Stopped(_), FlowState::Refused) => true,
        (FlowState::Absent, FlowState::Absent | FlowState::Undeliverable) => source.sight > Sight::None,
        // Its own threshold may pass a moment later: what counts is that nothing came since.
        (FlowState::Stopped(here), _) => {
            let is_then = |there: Timestamp| here.since(there).max(there.since(here)) <= AT_ONCE;
            source.sight > Sight::None && source.last_at.is_some_and(is_then)
        }
        (
            FlowState::Absent
            | FlowState::Flowing
            | FlowState::Starting
            | FlowState::Refused
            | FlowState::Unheard
            | FlowState::Undeliverable,
            _,
        ) => false,
    }
}
