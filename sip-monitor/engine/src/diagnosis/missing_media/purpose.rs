//! What speaks for a sender that is silent on purpose: a menu that waits for keys, a voice mailbox that records, a queue. From
//! RTP alone it looks as one that died; where something tells that it lives, that it is a fault is no more than possible.

use core::time::Duration;

use super::{Case, Extent};
use crate::diagnosis::CallFacts;

/// Keys dialled this long before the silence belong to the dialogue with it: a minute, from the first key of an input of up to
/// 10 s on.
const DIALOGUE: Duration = Duration::from_secs(70);

/// What speaks for it, where one direction stopped and the other one goes on.
pub(super) fn of(facts: &CallFacts<'_>, case: &Case<'_>) -> Option<&'static str> {
    let stopped_at = case.missing.state.stopped_at().filter(|_| case.extent == Extent::One)?;
    // RTCP that goes on counting packets contradicts: the packets are sent and lost.
    if case.missing.claims_to_send_since(stopped_at) {
        return None;
    }
    // Who hears nothing any more may press keys for that: only those before it count.
    let pressed = [facts.call.dtmf.keys[case.missing.to as usize], case.other.keys].map(|keys| keys.up_to(stopped_at));
    if pressed.into_iter().flatten().any(|at| at + DIALOGUE >= stopped_at) {
        return Some("keys were dialled to it, and a menu that waits for more sends nothing");
    }
    case.missing.resumed_at.is_some().then_some("it paused before in this call, lost nothing by that, and came back")
}
