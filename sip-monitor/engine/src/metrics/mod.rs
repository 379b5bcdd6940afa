//! What is counted for a metrics system: sums that only grow, by labels of a bounded set. Facts without opinion.
//!
//! Records of calls and peers forget what they no longer need; what stands here never goes down while the program runs,
//! whatever is evicted or reloaded. [`messages`] counts SIP messages, [`calls`] what becomes of calls, [`ledger`] the measures of
//! RFC 6076 and the audio of each trunk, [`buckets`] is the histogram they share.

mod buckets;
mod calls;
mod codec;
mod ledger;
mod messages;
#[cfg(test)]
mod tests;

pub use buckets::{Buckets, Exemplar};
pub(crate) use calls::Turn;
pub use calls::{CallCounts, Outcomes};
pub use codec::codec_label;
pub use ledger::{Audio, Ledger, Ledgers, Measure, is_effective, is_ineffective};
pub use messages::{CodeLabel, MessageCounts};

/// What the engine counts besides [`crate::counters::Counters`] and the ledgers of its peers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// SIP messages.
    pub messages: MessageCounts,
    /// Calls.
    pub calls: CallCounts,
}
