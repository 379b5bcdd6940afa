//! A request goes round in circles.
//!
//! Each server sends it on to the next until it is back at the first. It ends with 482 (a server knows the request again), with 483
//! (Max-Forwards is used up), or not at all; the caller hears nothing or an error.
//!
//! **Evidence.** A 482 or 483 that ends the call or a request within it; or one request (same From tag and CSeq) that arrives
//! here for the third time with a Via of this host in it. A 482 on one branch of a fork, while the call goes on, is a request
//! that came on two ways (RFC 3261 8.2.2.2) and no loop.
//!
//! **Usual causes.** A default route that points back, two servers that each believe the other knows the number, a forward that
//! leads to itself.
//!
//! **Remedy.** Change the route that points back here, or to the server named.

use crate::call::{Call, LOOP_ARRIVALS, Returned};
use crate::diagnosis::requests::{fault_of_receiver, peer_of};
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, RequestName, Severity};
use crate::transaction::Transaction;

/// A request that comes back to where it was.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "routing-loop",
    layer: Layer::Call,
    title: "Request goes round in circles",
    causes: &[
        Cause {
            name: "spiral",
            evidence: "the request comes back to this host again and again, each time with another Request-URI",
            remedy: "Repair the chain of forwards or number translations that leads back here",
        },
        Cause {
            name: "loop",
            evidence: "the request comes back to this host again and again with the same Request-URI, or a server says 482",
            remedy: "Change the route that points back",
        },
        Cause {
            name: "max-forwards",
            evidence: "a server says 483: Max-Forwards is used up",
            remedy: "Find the servers that send the request to each other; Max-Forwards must start at 70",
        },
    ],
    refs: &["RFC 3261 16.3", "RFC 3261 8.1.1.6", "RFC 3261 21.4.19", "RFC 3261 21.4.20"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let refusal = refused(call);
    let returned = call.returned.as_deref().filter(|returned| returned.arrivals >= LOOP_ARRIVALS);
    match (returned, refusal) {
        (Some(returned), _) => Some(seen_here(returned, refusal.map(|(_, code)| code))),
        (None, Some((request, code))) => told(call, request, code),
        (None, None) => None,
    }
}

/// The request that a 482 or 483 ended, nearest to its sender.
fn refused(call: &Call) -> Option<(&Transaction, u16)> {
    call.transactions.iter().find_map(|t| {
        let code = t.final_response().map(|r| r.code).filter(|code| matches!(code, 482 | 483))?;
        let is_nearest = call
            .transactions
            .iter()
            .find(|other| other.method == t.method && other.cseq == t.cseq)
            .is_some_and(|first| core::ptr::eq(first, t));
        let goes_on =
            !t.in_dialog && (call.answered_at.is_some() || call.invite_cseq.is_some_and(|cseq| cseq > t.cseq));
        (is_nearest && !goes_on).then_some((t, code))
    })
}

/// The loop itself was seen.
fn seen_here(returned: &Returned, code: Option<u16>) -> Finding {
    let (cause, uris) = if returned.changes {
        ("spiral", format!("as {} first and {} last", returned.first_uri, returned.last_uri))
    } else {
        ("loop", format!("each time for {}", returned.last_uri))
    };
    let mut evidence = vec![
        ("arrivals", returned.arrivals.into()),
        ("from", returned.from.into()),
        ("first_uri", returned.first_uri.to_string().into()),
        ("last_uri", returned.last_uri.to_string().into()),
    ];
    evidence.extend(returned.max_forwards.map(|left| ("max_forwards", u32::from(left).into())));
    evidence.extend(code.map(|code| ("code", u32::from(code).into())));
    Finding {
        summary: format!(
            "{} came back to this host from {} {} times, {uris}",
            returned.method.name(),
            returned.from,
            returned.arrivals
        ),
        remedy: format!(
            "Change the route that sends {} to {}, or the one there that points back here",
            returned.last_uri,
            returned.from.ip()
        ),
        fault: Some(Fault::Local),
        peer: Some(returned.from),
        request: Some(RequestName { cseq: returned.cseq, method: returned.method.name().into() }),
        evidence,
        ..Finding::new(cause, Severity::Critical, Confidence::Certain)
    }
}

/// Somebody else says so.
fn told(call: &Call, request: &Transaction, code: u16) -> Option<Finding> {
    let view = call.path(request.path)?;
    let name = request.method_name().to_owned();
    let (cause, summary, remedy) = if code == 482 {
        (
            "loop",
            format!("{} refused {name} with 482: it had come to a server there before", view.dst),
            format!(
                "Follow the route of this number behind {}: a server there sends it back to where it was",
                view.dst.ip()
            ),
        )
    } else {
        (
            "max-forwards",
            format!(
                "{} refused {name} with 483: it went over too many servers{}",
                view.dst,
                request.max_forwards.map_or_else(String::new, |left| format!(" (Max-Forwards was {left} here)"))
            ),
            format!(
                "Find the servers behind {} that send this request to each other; Max-Forwards should leave its sender as 70",
                view.dst.ip()
            ),
        )
    };
    let mut evidence = vec![("code", u32::from(code).into()), ("from", view.dst.into())];
    evidence.extend(request.max_forwards.map(|left| ("max_forwards", u32::from(left).into())));
    Some(Finding {
        summary,
        remedy,
        fault: Some(fault_of_receiver(&view)),
        peer: Some(peer_of(&view)),
        request: Some(RequestName { cseq: request.cseq, method: name.into() }),
        evidence,
        ..Finding::new(cause, Severity::Critical, Confidence::Certain)
    })
}
