//! An answered call has no audio in either direction.
//!
//! What people notice: the call connects and both sides hear nothing; they hang up after a few seconds, or a media
//! time-out drops the call.
//!
//! How it is seen: offer and answer agreed on audio both ways, the call was answered, and 6 s later (3 s where something
//! besides absence shows it) no RTP flows to either announced address, or all of it stopped for 10 s. Told early, as
//! information, where ICMP errors refuse the media again and again for a second. Held, inactive and one-way sessions,
//! T.38, silence suppression and media that does not pass this host raise nothing.
//!
//! Causes, tried in this order (of two directions the first that shows one):
//!
//! - `sdp-private-address`: the SDP asks for media at a private address though the signalling went between public ones, and
//!   nothing came from there.
//! - `local-firewall`, `no-listener`, `socket-overflow`, `rp-filter`, `neighbour`, `checksum`: the kernel of this host says why it drops the packets
//!   (kernels since 5.17, live only): a netfilter rule, no process has the port open, the receive buffer is full, the
//!   reverse path, a next hop that does not answer ARP, a wrong checksum. It drops them behind the hook that counted them, or, on
//!   the way out, before it. Without the kernel's word: RTP arrives and this host itself answers ICMP prohibited, or port
//!   unreachable. A full buffer counts where the process sends nothing any more: one that plays and never listens is no fault.
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
//! Most often: a firewall without the RTP port range, a private address in SDP, a media process that does not run.
//!
//! References: RFC 3264 5 and 8.4 (who sends when), RFC 4961 (symmetric RTP), RFC 792 and RFC 4443 (ICMP errors).

use crate::diagnosis::missing_media::{CAUSES, Extent, find};
use crate::diagnosis::{Asks, CallFacts, Diagnosis, Finding, Layer};

/// Audio is due both ways and flows neither way.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "blocked-rtp",
    layer: Layer::Media,
    title: "No audio in either direction of an answered call",
    causes: CAUSES,
    refs: &["RFC 3264 5", "RFC 3264 8.4", "RFC 4961"],
    takes_over: &["one-way-audio"],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    find(facts, Extent::Both)
}
