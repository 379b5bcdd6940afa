//! RTP goes on after the call has ended.
//!
//! What people notice: channels and bandwidth in use without calls, "the customer gets charged longer", sometimes a stranger's
//! voice in the next call on that port.
//!
//! How it is seen: a BYE was answered, and more than 5 s later RTP with the SSRC of that call still flows, while no other call
//! that is up names either of its ports. A second or two of packets under way is normal.
//!
//! Causes: `from-remote`, the far end goes on sending; `from-local`, this host does.
//!
//! Usual reasons: a media server or gateway that lost the end of the call, a recorder or conference bridge that was not
//! told, a B2BUA that ended one leg only.
//!
//! References: RFC 3261 15 (a UA must stop sending media when it sends or takes BYE).

use core::time::Duration;

use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::media::{AFTER_END, Stream};
use crate::packet::Direction;
use crate::record::Side;
use crate::time::Timestamp;
use crate::transaction::MethodKind;

/// RTP that outlives its call.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "media-after-bye",
    layer: Layer::Media,
    title: "RTP goes on more than 5 s after the BYE was answered",
    causes: &[
        Cause {
            name: "from-remote",
            evidence: "the far end's stream of that call goes on",
            remedy: "Ask the far end to free its media when the call ends",
        },
        Cause {
            name: "from-local",
            evidence: "this host's stream of that call goes on",
            remedy: "Find the media process of this host that was not told of the end of the call",
        },
    ],
    refs: &["RFC 3261 15"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let hangup = call.hangup.as_deref().filter(|h| h.method == MethodKind::Bye && call.ended_at.is_some())?;
    // A BYE before it ended another branch of a fork.
    let byes = call.transactions.iter().filter(|t| t.method == MethodKind::Bye && t.sent.first() >= hangup.at);
    let answered_at = byes.filter_map(|t| t.final_response()).map(|r| r.sent.first()).min()?;
    let leaks = |s: &&Stream| is_left_over(facts, s, hangup.at, answered_at);
    // Of several always the same one, the far end's first.
    let order = |s: &&Stream| (s.counters.key.direction == Direction::Out, s.counters.first_at, s.counters.key);
    let stream = facts.media.streams_of(call.key).filter(leaks).min_by_key(order)?;
    let c = &stream.counters;
    let over: Duration = c.last_at.since(answered_at);
    let (cause, fault) = match c.key.direction {
        Direction::Out => ("from-local", Some(Fault::Local)),
        Direction::In => ("from-remote", Some(Fault::Remote)),
        // Both are remote from where it passes.
        Direction::Transit => ("from-remote", None),
    };
    let who = match stream.owner.as_ref().and_then(|o| o.from) {
        Some(Side::Caller) => "the caller",
        Some(Side::Callee) => "the callee",
        None => "one side",
    };
    let since_start = c.last_at.since(c.first_at).as_secs_f64().max(0.001);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let packets = (c.packets as f64 * over.as_secs_f64() / since_start) as u64;
    Some(Finding {
        fault,
        summary: format!(
            "{} ({who}) still sends RTP to {}, {} s after the BYE was answered",
            c.key.src,
            c.key.dst,
            AFTER_END.as_secs()
        ),
        remedy: format!(
            "Find out why {} was not told of the end of the call: a B2BUA that ended one leg only, a media server or recorder \
             without session time-out",
            c.key.src.ip()
        ),
        evidence: vec![
            ("src", c.key.src.into()),
            ("dst", c.key.dst.into()),
            ("ssrc", format!("0x{:08x}", c.key.ssrc).into()),
            ("seconds_after_bye", over.as_secs().into()),
            ("packets_after_bye_about", packets.into()),
        ],
        peer: facts.peer(stream.owner.as_ref().and_then(|o| o.from).unwrap_or(Side::Callee)),
        ..Finding::new(cause, Severity::Warning, Confidence::Certain)
    })
}

/// Whether a stream of this call went on after it, and no other call can be meant.
fn is_left_over(facts: &CallFacts<'_>, stream: &Stream, hung_up_at: Timestamp, answered_at: Timestamp) -> bool {
    let c = &stream.counters;
    let others = |endpoint| facts.media.is_held_by_others(endpoint, facts.call.key);
    c.in_sequence
        && c.first_at < hung_up_at
        && stream.burst_at < hung_up_at
        && c.last_at.since(answered_at) > AFTER_END
        && !others(c.key.dst)
        && !others(c.key.src)
}
