//! SIP messages go over UDP though they are longer than a path may carry.
//!
//! What people notice: nothing, as long as every fragment arrives. Where a NAT, a firewall or a tunnel drops fragments, calls
//! with many codecs, long headers or video fail without an answer, and short ones work.
//!
//! **Evidence.** A datagram with more than 1300 bytes of SIP. RFC 3261 18.1.1 wants a transport with congestion control for it
//! where the path's MTU is not known.
//!
//! **Usual causes.** Many codecs and crypto lines in the offer, ICE candidates, long Record-Route and Via stacks.
//!
//! **Remedy.** SIP over TCP to that peer, or fewer codecs.
//!
//! References: RFC 3261 18.1.1.

use crate::diagnosis::{Asks, Confidence, Diagnosis, Fault, Finding, Layer, Severity, UNKNOWN, WireFacts};
use crate::packet::Direction;
use crate::wire::{LARGEST_OVER_UDP, Sign};

/// SIP over UDP above 1300 bytes.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "oversized-udp",
    layer: Layer::Host,
    title: "SIP messages over UDP are longer than 1300 bytes",
    causes: &[],
    refs: &["RFC 3261 18.1.1"],
    asks: Asks::Wire(judge),
    takes_over: &[],
};

fn judge(facts: &WireFacts<'_>) -> Option<Finding> {
    let wire = facts.wire;
    let Sign::Oversized { bytes, name } = &wire.sign else { return None };
    let peer = wire.peer;
    let sent = match wire.direction {
        Direction::Out => format!("{name} of {bytes} bytes sent to {} over UDP", peer.ip()),
        Direction::In | Direction::Transit => format!("{name} of {bytes} bytes from {} over UDP", peer.ip()),
    };
    Some(Finding {
        fault: match wire.direction {
            Direction::Out => Some(Fault::Local),
            Direction::In => Some(Fault::Remote),
            Direction::Transit => None,
        },
        summary: format!(
            "{sent}: above {LARGEST_OVER_UDP} bytes it may be fragmented on its way, and is lost where fragments are dropped"
        ),
        remedy: format!("Use SIP over TCP between here and {}, or offer fewer codecs", peer.ip()),
        evidence: vec![("bytes", (*bytes as u64).into()), ("message", name.as_str().to_owned().into())],
        peer: Some(peer),
        ..Finding::new(UNKNOWN, Severity::Info, Confidence::Certain)
    })
}
