//! What speaks for a sender that is silent on purpose: a menu that waits for keys, a voice mailbox that records, a queue. From
//! RTP alone it looks as one that died; where something tells that it lives, that it is a fault is no more than possible.

use core::time::Duration;

use super::{Case, Extent};
use crate::diagnosis::CallFacts;
use crate::media::flow::Travel;

/// Keys dialled this long before the silence belong to the dialogue with it.
const DIALOGUE: Duration = Duration::from_secs(60);

/// What speaks for it, where one direction stopped and the other one goes on.
pub(super) fn of(facts: &CallFacts<'_>, case: &Case<'_>) -> Option<&'static str> {
    let stopped_at = case.missing.state.stopped_at().filter(|_| case.extent == Extent::One)?;
    // RTCP that goes on counting packets contradicts: the packets are sent and lost.
    if case.missing.claims_to_send_since(stopped_at) {
        return None;
    }
    let dialled_at = facts.call.dtmf.last_at[case.missing.to as usize].max(case.other.event_at);
    if dialled_at.is_some_and(|at| at + DIALOGUE >= stopped_at) {
        return Some("keys were dialled to it, and a menu that waits for more sends nothing");
    }
    if case.missing.resumed_at.is_some() {
        return Some("it paused before in this call and came back");
    }
    // A process that hangs lets its receive buffer overflow within seconds; one that died has closed its port.
    let is_alive = case.missing.travel == Travel::Out && facts.config.drops_watched && case.other.refusal.is_none();
    is_alive.then_some("its process still reads what comes, of which this host's kernel drops nothing")
}
