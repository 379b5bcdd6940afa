//! Voice packets travel without the mark that gives them precedence.
//!
//! What people notice: nothing, until a link is full; then every call suffers at once.
//!
//! How it is seen: the code point (DSCP) of the RTP of an answered call. Voice is marked EF, 46 (RFC 4594 4.1), or 44 where calls
//! are admitted by capacity (RFC 5865). It is told where one direction of the call is marked and the other is not: where
//! neither is, marks are not in use, as on most of the internet.
//!
//! Causes:
//!
//! - `local`: RTP leaves this host with another code point.
//! - `unmarked-on-arrival`: RTP arrives with code point 0: its sender does not mark, or a network on the way takes the mark off,
//!   as the public internet does.
//!
//! Remedy: have the media process mark its packets (`tos_audio=ef`, `--tos=184`), or let the firewall do it; ask the provider
//! which code point it keeps.
//!
//! References: RFC 4594 4.1, RFC 3246, RFC 5865.

use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::media::{DSCP_EF, Stream};
use crate::packet::Direction;
use crate::record::Side;

/// RTP without the code point of voice.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "qos-unmarked",
    layer: Layer::Media,
    title: "RTP without the DSCP of voice",
    causes: &[
        Cause {
            name: "local",
            evidence: "RTP leaves this host with another DSCP than EF",
            remedy: "Have the media process of this host mark its RTP with EF (46)",
        },
        Cause {
            name: "unmarked-on-arrival",
            evidence: "RTP arrives with DSCP 0",
            remedy: "Ask the sender to mark its RTP, and the networks on the way to keep the mark",
        },
    ],
    refs: &["RFC 4594 4.1", "RFC 3246", "RFC 5865 2.3"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

/// So many packets make a stream that was meant.
const MEANT_PACKETS: u64 = 40;

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    call.answered_at?;
    call.media.agreed_audio().next()?;
    let is_marked = |s: &Stream| counts(s) && !s.is_oddly_marked() && s.counters.dscp != 0;
    // Where nobody marks, marks are not in use there: that is a plan, not a fault.
    facts.media.streams_of(call.key).find(|s| is_marked(s))?;
    let unmarked = || facts.media.streams_of(call.key).filter(|s| counts(s) && s.is_oddly_marked());
    let leaves = |s: &&Stream| s.counters.key.direction == Direction::Out;
    let stream = unmarked().find(leaves).or_else(|| unmarked().next())?;
    let (c, from) = (&stream.counters, stream.owner.as_ref().and_then(|o| o.from).unwrap_or(Side::Callee));
    let is_ours = leaves(&stream);
    let (cause, fault, summary, remedy) = if is_ours {
        (
            "local",
            Fault::Local,
            format!("RTP leaves this host for {} with DSCP {}, not with EF ({DSCP_EF})", c.key.dst, c.dscp),
            format!("Have the media process at {} mark its RTP with EF: TOS byte 184 (0xb8)", c.key.src),
        )
    } else {
        (
            "unmarked-on-arrival",
            Fault::Remote,
            format!("RTP from {} arrives without a mark (DSCP 0)", c.key.src.ip()),
            format!(
                "Ask {} to mark its RTP with EF ({DSCP_EF}), or the network between to keep the mark",
                c.key.src.ip()
            ),
        )
    };
    Some(Finding {
        fault: Some(fault),
        summary,
        remedy,
        evidence: vec![
            ("src", c.key.src.into()),
            ("dst", c.key.dst.into()),
            ("dscp", u64::from(c.dscp).into()),
            ("packets", c.packets.into()),
        ],
        peer: facts.peer(from),
        ..Finding::new(cause, Severity::Info, Confidence::Certain)
    })
}

/// Packets that stay on this host pass no queue.
fn counts(stream: &Stream) -> bool {
    let c = &stream.counters;
    let stays = c.key.src.ip() == c.key.dst.ip() || c.key.src.ip().is_loopback() || c.key.dst.ip().is_loopback();
    c.in_sequence && c.packets >= MEANT_PACKETS && !stays && stream.is_audio()
}
