//! What the kernel program tells of dropped packets: run by run, at the first packet and then once a second at most.

use sip_monitor_engine::packet::{DropReason, DroppedSegment, DroppedTraffic, KernelDrop};

use super::Result;
use super::field::Fields;
use super::script::at;

/// Options of a `DROP` line.
pub const OPTIONS: [&str; 4] = ["ptime", "invite", "tcp", "rtcp"];

const SECOND_NS: i64 = 1_000_000_000;
/// After so long without a drop the next begins a new run.
const RUN_GAP_NS: i64 = 5 * SECOND_NS;

/// What the dropped packets carried, by their ports and the options of the line.
pub fn carried(fields: &Fields, ports: (u16, u16)) -> Result<(DroppedTraffic, Option<DroppedSegment>)> {
    let segment = match fields.option("tcp") {
        None => None,
        Some("syn") => Some(DroppedSegment::Syn),
        Some("syn-ack") => Some(DroppedSegment::SynAck),
        Some("data") => Some(DroppedSegment::Data),
        Some("ack") => Some(DroppedSegment::Ack),
        Some(other) => return Err(format!("tcp={other}: syn, syn-ack, data or ack")),
    };
    let traffic = match ports {
        (..) if fields.option("rtcp").is_some() => DroppedTraffic::Rtcp,
        (_, 5060) => DroppedTraffic::ToSipPort,
        (5060, _) => DroppedTraffic::FromSipPort,
        (..) => DroppedTraffic::Media,
    };
    Ok((traffic, segment))
}

/// The reports of packets dropped at these times, each with the time it is told at.
pub fn reports(
    times_ns: impl IntoIterator<Item = i64>,
    reason: (DropReason, &'static str),
    (traffic, segment): (DroppedTraffic, Option<DroppedSegment>),
) -> Vec<(i64, KernelDrop)> {
    let mut told = Vec::new();
    let (mut count, mut first_ns, mut last_ns) = (0, 0, None);
    let mut told_ns = i64::MIN;
    for now_ns in times_ns {
        if last_ns.is_none_or(|last_ns| now_ns >= last_ns + RUN_GAP_NS) {
            (count, first_ns) = (0, now_ns);
        }
        count += 1;
        last_ns = Some(now_ns);
        if now_ns >= told_ns.saturating_add(SECOND_NS) {
            told_ns = now_ns;
            let (reason, name) = reason;
            told.push((
                now_ns,
                KernelDrop { reason, name, traffic, segment, count, first_at: at(first_ns), last_at: at(now_ns) },
            ));
        }
    }
    told
}
