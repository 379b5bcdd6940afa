//! What happened, as far as it may change a verdict. Most messages of a healthy call raise none of these.

use smallvec::SmallVec;

use crate::record::CallState;
use crate::transaction::{MethodKind, TimerLetter};

/// Something that happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It changed its state.
    State(CallState),
    /// A 2xx to INVITE was sent again, for the so-manieth time.
    AnswerRepeated(u32),
    /// The initial INVITE was answered with a challenge, for the so-manieth time.
    Challenged(u32),
    /// The 2xx to the initial INVITE does not fit its offer.
    AnswerUnfit,
    /// An ACK came for a 2xx that had been sent again so many times.
    Acknowledged(u32),
    /// A request was sent again, for the so-manieth time.
    RequestRepeated(MethodKind, u32),
    /// BYE or CANCEL.
    HungUp(MethodKind),
    /// An offer within the dialog was answered: media may have moved.
    Renegotiated,
    /// A transaction ended by its timer.
    TimedOut(TimerLetter),
    /// 64*T1 passed since a 2xx (RFC 3261 13.3.1.4).
    AnswerGivenUp,
    /// Time enough passed without another repetition of a 2xx that its ACK must have arrived.
    AnswerSettled,
    /// A refusal named a limit.
    Limited,
    /// An ICMP error quotes signalling of the call.
    Icmp,
    /// Something about its media changed, or a threshold of it came due.
    Media,
    /// Another fact that a diagnosis looks at changed, or time made it worth a look.
    Noted,
}

/// What one message or timer caused.
pub type Events = SmallVec<[Event; 4]>;

impl Event {
    /// Whether a diagnosis could say something else than before. `repetitions` is how many repetitions of a message are
    /// still nothing to speak of.
    #[must_use]
    pub fn can_matter(self, repetitions: u32) -> bool {
        match self {
            Self::AnswerRepeated(n) | Self::Acknowledged(n) | Self::RequestRepeated(_, n) => n >= repetitions,
            Self::Challenged(n) => n > 1,
            Self::State(state) => matches!(state, CallState::Failed | CallState::Timeout | CallState::Held),
            Self::HungUp(method) => method == MethodKind::Bye,
            Self::AnswerUnfit
            | Self::Renegotiated
            | Self::TimedOut(_)
            | Self::AnswerGivenUp
            | Self::AnswerSettled
            | Self::Limited
            | Self::Icmp
            | Self::Media
            | Self::Noted => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_repetitions_of_a_message_are_nothing_to_speak_of() {
        assert!(!Event::AnswerRepeated(2).can_matter(3));
        assert!(Event::AnswerRepeated(3).can_matter(3));
        assert!(!Event::Acknowledged(0).can_matter(3));
    }

    #[test]
    fn coming_up_and_ringing_raise_no_verdict() {
        assert!(!Event::State(CallState::Ringing).can_matter(3));
        assert!(!Event::State(CallState::Confirmed).can_matter(3));
        assert!(Event::HungUp(MethodKind::Bye).can_matter(3));
    }
}
