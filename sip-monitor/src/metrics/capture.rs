//! Families of capture: what the kernel programs saw, kept and lost, and how full they are.

use sip_monitor_engine::packet::{CaptureLoss, Direction};

use super::Snapshot;
use super::exposition::{Exposition, Family, Kind};
use crate::capture::counters::Counters;

static RECEIVED: Family = Family {
    name: "sipmonitor_capture_packets_received_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Packets seen by the kernel programs on all watched interfaces.",
};
static PACKETS: Family = Family {
    name: "sipmonitor_capture_packets_total",
    kind: Kind::Counter,
    labels: &["fate", "reason"],
    help: "What became of these packets: reported, accounted (RTP, counted in the kernel), ignored on purpose, or lost, and why.",
};
static LOST: Family = Family {
    name: "sipmonitor_capture_lost_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "What the monitor itself lost, kernel and user space together: packets, and reports of drops (drop_reports). Verdicts that rest on absence weigh less while it grows.",
};
static RECORDS: Family = Family {
    name: "sipmonitor_capture_records_total",
    kind: Kind::Counter,
    labels: &["iface", "direction", "kind"],
    help: "What came up from the kernel programs, by interface: messages whole, of RTP the reports of its streams.",
};
static INTERFACE: Family = Family {
    name: "sipmonitor_capture_interface_info",
    kind: Kind::Gauge,
    labels: &["iface", "ingress", "egress"],
    help: "1 where the interface is watched, with the hooks of its programs: xdp, xdp-generic, tcx or tc; 0 where it is not. Where all interfaces are watched, one that is gone is left out.",
};
static RING: Family = Family {
    name: "sipmonitor_capture_ring_bytes",
    kind: Kind::Gauge,
    labels: &["ring"],
    help: "The most found in a ring at one poll within the last 15 to 30 s.",
};
static RING_SIZE: Family = Family {
    name: "sipmonitor_capture_ring_size_bytes",
    kind: Kind::Gauge,
    labels: &["ring"],
    help: "What fits into the ring.",
};
static STREAMS: Family = Family {
    name: "sipmonitor_capture_streams",
    kind: Kind::Gauge,
    labels: &[],
    help: "RTP streams in the kernel's map.",
};
static STREAMS_LIMIT: Family = Family {
    name: "sipmonitor_capture_streams_limit",
    kind: Kind::Gauge,
    labels: &[],
    help: "Streams that fit into it (capture.max_streams).",
};
static STREAMS_OPENED: Family = Family {
    name: "sipmonitor_capture_streams_opened_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Streams that began, chance look-alikes among them.",
};
static STREAMS_EVICTED: Family = Family {
    name: "sipmonitor_capture_streams_evicted_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Streams the kernel evicted since its map was full.",
};
static DROPS: Family = Family {
    name: "sipmonitor_kernel_drops_total",
    kind: Kind::Counter,
    labels: &[],
    help: "SIP and RTP packets of this host that its kernel dropped for a reason that means loss.",
};
static DROPS_REPORTED: Family = Family {
    name: "sipmonitor_kernel_drops_reported_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Of these, what the kernel has reported, by its own name of the reason, such as NETFILTER_DROP.",
};
static DROPS_UNREAD: Family = Family {
    name: "sipmonitor_kernel_drops_unread_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Packets that the kernel dropped and whose headers the monitor could not read: SIP and RTP may be among them. Verdicts that rest on the kernel having dropped nothing weigh less while it grows.",
};
static DROP_REASONS: Family = Family {
    name: "sipmonitor_kernel_drop_reasons",
    kind: Kind::Gauge,
    labels: &[],
    help: "Drop reasons of the kernel that are watched; 0 where this kernel does not tell.",
};

/// All of them.
pub const FAMILIES: &[&Family] = &[
    &RECEIVED,
    &PACKETS,
    &LOST,
    &RECORDS,
    &INTERFACE,
    &RING,
    &RING_SIZE,
    &STREAMS,
    &STREAMS_LIMIT,
    &STREAMS_OPENED,
    &STREAMS_EVICTED,
    &DROPS,
    &DROPS_REPORTED,
    &DROPS_UNREAD,
    &DROP_REASONS,
];

/// Which way, as a label.
#[must_use]
pub const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
        Direction::Transit => "transit",
    }
}

/// Writes them.
pub fn write(to: &mut Exposition, now: &Snapshot) {
    let mut received = to.family(&RECEIVED);
    now.kernel_count("received").into_iter().for_each(|count| received.count(&[], count));
    let mut packets = to.family(&PACKETS);
    for (name, count) in now.kernel.iter().flat_map(Counters::iter) {
        if let Some((fate @ ("reported" | "accounted" | "ignored" | "lost"), reason)) = name.split_once('_') {
            packets.count(&[fate, reason], count);
        }
    }
    let mut lost = to.family(&LOST);
    // What a capture file holds too little of does not occur here; drops that nobody could read are no loss of the monitor.
    let CaptureLoss {
        signalling_ring_full,
        media_ring_full,
        map_full,
        fragments_evicted,
        unreadable,
        drop_reports,
        drops_unread: _,
        cut: _,
    } = now.lost;
    for (reason, count) in [
        ("signalling_ring_full", signalling_ring_full),
        ("media_ring_full", media_ring_full),
        ("map_full", map_full),
        ("fragments_evicted", fragments_evicted),
        ("unreadable", unreadable),
        ("drop_reports", drop_reports),
    ] {
        lost.count(&[reason], count);
    }
    let mut records = to.family(&RECORDS);
    for (link, way, kind, count) in now.recorded.iter() {
        if let Some(interface) = now.interfaces.get(link) {
            records.count(&[&interface.name, direction(way), kind], count);
        }
    }
    let mut interfaces = to.family(&INTERFACE);
    for interface in now.interfaces.iter().filter(|interface| interface.is_expected) {
        let is_watched = u64::from(!interface.ingress.is_empty() && !interface.egress.is_empty());
        interfaces.count(&[&interface.name, interface.ingress, interface.egress], is_watched);
    }
    let mut ring = to.family(&RING);
    now.rings.iter().for_each(|r| ring.count(&[r.name], r.most_bytes));
    let mut size = to.family(&RING_SIZE);
    now.rings.iter().for_each(|r| size.count(&[r.name], r.size_bytes));
    let (streams, limit, evicted) = now.kernel_streams;
    to.family(&STREAMS).count(&[], streams);
    to.family(&STREAMS_LIMIT).count(&[], limit);
    let mut opened = to.family(&STREAMS_OPENED);
    now.kernel_count("streams_opened").into_iter().for_each(|count| opened.count(&[], count));
    to.family(&STREAMS_EVICTED).count(&[], evicted);
    let mut drops = to.family(&DROPS);
    now.kernel_count("kernel_drops").into_iter().for_each(|count| drops.count(&[], count));
    let mut reported = to.family(&DROPS_REPORTED);
    now.recorded.drops().iter().for_each(|(reason, count)| reported.count(&[reason], *count));
    let mut unread = to.family(&DROPS_UNREAD);
    now.kernel_count("drops_unread").into_iter().for_each(|count| unread.count(&[], count));
    to.family(&DROP_REASONS).count(&[], now.drop_reasons);
}
