//! Both sides change the call at the same time, again and again.
//!
//! A re-INVITE or UPDATE that crosses one of the other side is refused with 491, and tried again after a random time that is chosen
//! so that it cannot cross twice (RFC 3261 14.1). Users hear late or lost changes: hold, transfer, video.
//!
//! **Evidence.** At least three 491 in one dialog. One 491 is the normal course of things.
//!
//! **Usual causes.** Both sides refresh the session timer, or a side repeats at once instead of waiting 2.1 to 4 s (the side that
//! owns the Call-ID) or up to 2 s (the other).
//!
//! **Remedy.** Let one side refresh; fix the stack that does not wait.

use crate::diagnosis::requests::{peer_of, side_name};
use crate::diagnosis::{Asks, CallFacts, Confidence, Diagnosis, Finding, Layer, RequestName, Severity, UNKNOWN};
use crate::transaction::Transaction;

/// A dialog whose sides go on crossing each other's offers.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "glare",
    layer: Layer::Dialog,
    title: "Offers of both sides cross again and again",
    causes: &[],
    refs: &["RFC 3261 14.1", "RFC 3261 14.2", "RFC 5407 3.3"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

/// So many 491 in one dialog are no accident.
const CROSSINGS: usize = 3;

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let refused = || call.transactions.iter().filter(|t| t.final_response().is_some_and(|last| last.code == 491));
    let last = refused().next_back()?;
    // A relay's copy of a request is the same request.
    let is_copy = |t: &Transaction| {
        call.transactions
            .iter()
            .take_while(|other| !core::ptr::eq(*other, t))
            .any(|other| other.method == t.method && other.cseq == t.cseq && other.from == t.from)
    };
    let crossings = refused().filter(|t| t.dialog == last.dialog && !is_copy(t)).count();
    if crossings < CROSSINGS {
        return None;
    }
    let view = call.path(last.path)?;
    Some(Finding {
        summary: format!(
            "{crossings} requests of this dialog were refused with 491, the last one {} of {}",
            last.method_name(),
            side_name(last.from)
        ),
        remedy: "Let only one side refresh the session, and let each wait as RFC 3261 14.1 says before it tries again"
            .into(),
        peer: Some(peer_of(&view)),
        request: Some(RequestName { cseq: last.cseq, method: last.method_name().to_owned().into() }),
        evidence: vec![("refused_491", (crossings as u64).into())],
        ..Finding::new(UNKNOWN, Severity::Info, Confidence::Certain)
    })
}
