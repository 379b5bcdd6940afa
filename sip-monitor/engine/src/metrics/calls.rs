//! What becomes of calls: how many began, were answered, failed, are up, and how long it took.

use std::collections::BTreeMap;

use super::{Buckets, CodeLabel, Exemplar};
use crate::packet::Direction;
use crate::record::CallState;
use crate::text::StoredText;
use crate::time::Timestamp;

/// States of calls that are not over.
const UP: [CallState; 6] = [
    CallState::Calling,
    CallState::Ringing,
    CallState::EarlyMedia,
    CallState::Confirmed,
    CallState::Held,
    CallState::Transferred,
];

/// A change of a call's state as it counts.
pub(crate) struct Turn<'a> {
    pub direction: Direction,
    pub call_id: &'a StoredText,
    pub at: Timestamp,
    pub state: CallState,
    pub previous: Option<CallState>,
    pub invited_at: Option<Timestamp>,
    pub answered_at: Option<Timestamp>,
    /// Of the final response, where it failed.
    pub code: Option<u16>,
}

/// Counts of the calls that began in one direction, as seen from this host.
#[derive(Clone, Debug)]
pub struct Outcomes {
    /// Which way their INVITEs went.
    pub direction: Direction,
    /// Calls whose INVITE was seen.
    pub attempts: u64,
    /// Answered with a 2xx.
    pub answered: u64,
    /// Refused or given up, by the code of the final response, each with the last of them. One that is tried again under
    /// the same Call-ID may still be answered.
    pub failed: BTreeMap<CodeLabel, (u64, Exemplar)>,
    /// The same without a final response: nobody answered, or it was given up before. With the last of them.
    pub failed_without_code: (u64, Option<Exemplar>),
    /// Answered and over.
    pub completed: u64,
    /// From the INVITE to the first ringing or answer, seconds.
    pub post_dial: Buckets,
    /// From the INVITE to the 2xx, seconds.
    pub setup: Buckets,
    /// From the 2xx to the end, seconds.
    pub talk: Buckets,
}

impl Outcomes {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            attempts: 0,
            answered: 0,
            failed: BTreeMap::new(),
            failed_without_code: (0, None),
            completed: 0,
            post_dial: Buckets::new(Buckets::SETUP_S),
            setup: Buckets::new(Buckets::SETUP_S),
            talk: Buckets::new(Buckets::TALK_S),
        }
    }
}

/// Counts of all calls.
#[derive(Clone, Debug)]
pub struct CallCounts {
    /// In, out and transit.
    pub outcomes: [Outcomes; 3],
    up: [u64; UP.len()],
}

impl Default for CallCounts {
    fn default() -> Self {
        Self { outcomes: [Direction::In, Direction::Out, Direction::Transit].map(Outcomes::new), up: [0; UP.len()] }
    }
}

impl CallCounts {
    /// Calls that are not over, by state.
    pub fn up(&self) -> impl Iterator<Item = (CallState, u64)> + '_ {
        UP.iter().zip(&self.up).map(|(state, count)| (*state, *count))
    }

    /// A call that counted as being in one state counts in another; `None`: it is over, or not known.
    pub(crate) fn shift(&mut self, from: Option<CallState>, to: Option<CallState>) {
        let place = |state: Option<CallState>| UP.iter().position(|up| Some(*up) == state);
        if let Some(count) = place(from).and_then(|index| self.up.get_mut(index)) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = place(to).and_then(|index| self.up.get_mut(index)) {
            *count += 1;
        }
    }

    /// Counts a change of state.
    pub(crate) fn turn(&mut self, turn: &Turn<'_>) {
        let Some(outcomes) = self.outcomes.get_mut(turn.direction as usize) else { return };
        let since = |from: Option<Timestamp>| from.map(|from| turn.at.since(from).as_secs_f64());
        let id = turn.call_id.as_str();
        let exemplar = || Exemplar { call_id: id.into(), value: 1.0, at: turn.at };
        if turn.previous == Some(CallState::Calling)
            && matches!(turn.state, CallState::Ringing | CallState::EarlyMedia | CallState::Confirmed)
            && let Some(seconds) = since(turn.invited_at)
        {
            outcomes.post_dial.add_of(seconds, id, turn.at);
        }
        match turn.state {
            // A further attempt under the same Call-ID belongs to the call.
            CallState::Calling => outcomes.attempts += u64::from(turn.invited_at == Some(turn.at)),
            CallState::Ringing | CallState::EarlyMedia | CallState::Held | CallState::Transferred => {}
            CallState::Confirmed => {
                if let (true, Some(seconds)) = (turn.answered_at == Some(turn.at), since(turn.invited_at)) {
                    outcomes.answered += 1;
                    outcomes.setup.add_of(seconds, id, turn.at);
                }
            }
            CallState::Disconnected => {
                outcomes.completed += 1;
                if let Some(seconds) = since(turn.answered_at) {
                    outcomes.talk.add_of(seconds, id, turn.at);
                }
            }
            // A 408 is an answer, from whoever gave up first; other codes of a call that timed out are of attempts before.
            CallState::Failed | CallState::Timeout => {
                match turn.code.filter(|code| turn.state == CallState::Failed || *code == 408) {
                    Some(code) => {
                        let (count, last) =
                            outcomes.failed.entry(CodeLabel::of(code)).or_insert_with(|| (0, exemplar()));
                        *count += 1;
                        *last = exemplar();
                    }
                    None => {
                        outcomes.failed_without_code.0 += 1;
                        outcomes.failed_without_code.1 = Some(exemplar());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ns(ms * 1_000_000)
    }

    fn play(turns: &[(i64, CallState, Option<u16>)]) -> CallCounts {
        let (mut counts, mut previous, mut answered_at) = (CallCounts::default(), None, None);
        for (ms, state, code) in turns {
            if *state == CallState::Confirmed {
                answered_at.get_or_insert(at(*ms));
            }
            counts.turn(&Turn {
                direction: Direction::Out,
                call_id: &StoredText::new(b"c", 10),
                at: at(*ms),
                state: *state,
                previous,
                invited_at: Some(at(0)),
                answered_at,
                code: *code,
            });
            counts.shift(previous, Some(*state));
            previous = Some(*state);
        }
        counts
    }

    #[test]
    fn an_answered_call_is_one_attempt_and_its_times_are_counted_once() {
        let counts = play(&[
            (0, CallState::Calling, None),
            (500, CallState::Ringing, Some(180)),
            (2_000, CallState::Confirmed, Some(200)),
            (3_000, CallState::Held, None),
            (4_000, CallState::Confirmed, None),
            (12_000, CallState::Disconnected, None),
        ]);
        let [_, out, _] = &counts.outcomes;
        assert_eq!((out.attempts, out.answered, out.completed, out.failed.len()), (1, 1, 1, 0));
        assert_eq!((out.post_dial.sum(), out.setup.sum(), out.talk.sum()), (0.5, 2.0, 10.0));
        assert!(counts.up().all(|(_, count)| count == 0), "it is over");
    }

    #[test]
    fn a_refused_call_counts_under_its_code_and_one_without_answer_apart() {
        let refused = play(&[(0, CallState::Calling, None), (100, CallState::Failed, Some(486))]);
        let [_, out, _] = &refused.outcomes;
        assert_eq!(out.failed.get(&CodeLabel::of(486)).map(|(count, last)| (*count, &*last.call_id)), Some((1, "c")));
        let silent = play(&[(0, CallState::Calling, None), (32_000, CallState::Timeout, None)]);
        assert_eq!((silent.outcomes[1].failed_without_code.0, silent.outcomes[1].failed.len()), (1, 0));
        let late = play(&[(0, CallState::Calling, None), (32_000, CallState::Timeout, Some(408))]);
        let codes: Vec<_> = late.outcomes[1].failed.iter().map(|(code, (count, _))| (code.name(), *count)).collect();
        assert_eq!((codes, late.outcomes[1].failed_without_code.0), (vec![("408".to_owned(), 1)], 0));
        let given_up = play(&[(0, CallState::Calling, None), (900, CallState::Failed, None)]);
        assert_eq!((given_up.outcomes[1].failed_without_code.0, given_up.outcomes[1].failed.len()), (1, 0));
    }

    #[test]
    fn a_further_attempt_of_a_call_is_no_call_of_its_own() {
        let counts = play(&[
            (0, CallState::Calling, None),
            (100, CallState::Failed, Some(503)),
            (200, CallState::Calling, None),
            (900, CallState::Confirmed, Some(200)),
        ]);
        let [_, out, _] = &counts.outcomes;
        assert_eq!((out.attempts, out.answered), (1, 1));
        assert_eq!(counts.up().filter(|(_, n)| *n > 0).collect::<Vec<_>>(), [(CallState::Confirmed, 1)]);
    }
}
