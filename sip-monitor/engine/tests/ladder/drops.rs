//! What the kernel program tells of dropped packets: run by run, at the first packet and then once a second at most.

use sip_monitor_engine::packet::{DropReason, DroppedTraffic, KernelDrop};

use super::script::at;

const SECOND_NS: i64 = 1_000_000_000;
/// After so long without a drop the next begins a new run.
const RUN_GAP_NS: i64 = 5 * SECOND_NS;

/// The reports of packets dropped at these times, each with the time it is told at.
pub fn reports(
    times_ns: impl IntoIterator<Item = i64>,
    reason: (DropReason, &'static str),
    ports: (u16, u16),
) -> Vec<(i64, KernelDrop)> {
    let traffic = match ports {
        (_, 5060) => DroppedTraffic::ToSipPort,
        (5060, _) => DroppedTraffic::FromSipPort,
        (..) => DroppedTraffic::Media,
    };
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
                KernelDrop { reason, name, traffic, count, first_at: at(first_ns), last_at: at(now_ns) },
            ));
        }
    }
    told
}
