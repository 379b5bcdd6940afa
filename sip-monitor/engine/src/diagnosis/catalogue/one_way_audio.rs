//! One side of an answered call cannot hear the other.
//!
//! What people notice: "they can hear me, I cannot hear them", or the reverse. `direction` in the alert names who cannot
//! hear whom.
//!
//! How it is seen: offer and answer agreed on audio both ways, one direction flows steadily, and in the other none
//! arrives 6 s after the answer (3 s where something besides absence shows it), or none does any more for 10 s. Held and
//! one-way sessions, music on hold, T.38, silence suppression, mute (RTCP goes on and claims nothing sent) and media
//! that does not pass this host raise nothing.
//!
//! Causes, tried in this order (of two directions the first that shows one):
//!
//! - `sdp-private-address`: the SDP asks for media at a private address though the signalling went between public ones, and
//!   nothing came from there.
//! - `local-firewall`, `no-listener`, `socket-overflow`, `rp-filter`: the kernel of this host says why it drops the packets
//!   (kernels since 5.17, live only): a netfilter rule, no process has the port open, the receive buffer is full, the
//!   reverse path. It drops them behind the hook that counted them, or, on the way out, before it. Without the
//!   kernel's word: RTP arrives and this host itself answers ICMP prohibited, or port unreachable. A full buffer counts where
//!   the process sends nothing any more: one that plays and never listens is no fault.
//! - `wrong-port`: RTP of the sender goes on to another port or address than the receiver's SDP announced.
//! - `remote-unreachable`: ICMP errors refuse the RTP that is sent, for a second and more; time exceeded and network
//!   unreachable put the fault in the network.
//! - `remote-not-receiving`: its RTCP says that none of what is sent arrives: a fraction lost of 98 % or more twice in a row,
//!   or a highest sequence number that stands still for 4 s while packets are sent.
//! - `low-ttl`: the far end's packets came with a TTL of 10 or less, and then none came.
//! - `never-sent`: this host sends nothing, and does not lack what it would relay: on a proxy with a media relay the hop
//!   tells on which it is missing first.
//! - `never-arrived`: this host sends, and nothing comes; where the far end's RTCP says that it sends, the network lost it.
//! - `stopped`: it flowed, and then none came for 10 s.
//!
//! Most often: NAT with a private address in SDP, a firewall open one way only, an endpoint that ignores a re-INVITE, no
//! audio device.
//!
//! References: RFC 3264 5 and 8.4 (who sends when), RFC 4961 (symmetric RTP), RFC 3550 6.4 (what RTCP claims).

use crate::diagnosis::missing_media::{CAUSES, Extent, find};
use crate::diagnosis::{Asks, CallFacts, Diagnosis, Finding, Layer};

/// Audio is due both ways and flows one way.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "one-way-audio",
    layer: Layer::Media,
    title: "One side of an answered call cannot hear the other",
    causes: CAUSES,
    refs: &["RFC 3264 5", "RFC 3264 8.4", "RFC 4961", "RFC 3550 6.4"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    find(facts, Extent::One)
}
