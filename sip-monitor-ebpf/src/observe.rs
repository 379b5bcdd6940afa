//! What becomes of a packet: looked at, counted under exactly one fate, handed up where it is signalling.

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use aya_log_ebpf::debug;
use sip_monitor_common::{Class, Counter, Direction, Kind, RecordHeader, ip::PROTOCOL_UDP};

use crate::{
    config::now_ns,
    context::{HEAD_BYTES, Hook, InPlace, opaque},
    counters::Counters,
    flows,
    found::{Found, found, head, look_at_copy, look_into, outcome, reread},
    records, segments,
};

/// Datagrams that go up together, and as what they are counted.
pub struct Batch {
    pub kind: Kind,
    pub counter: Counter,
    pub datagrams: u64,
}

/// Observes one packet.
#[inline(always)]
pub fn observe<H: Hook>(hook: &H, counters: &Counters, direction: Direction) {
    let Some(entry) = found() else { return };
    // SAFETY: this CPU's own entry, which nothing else touches while the program runs.
    let reason = look(&InPlace::new(hook, counters.zero()), unsafe { &mut *entry });
    if reason != 0 {
        counters.count(Counter::Received);
        return counters.count_number(reason - 1);
    }
    // SAFETY: as above.
    let found = unsafe { &mut *reread(entry) };
    found.vlan = if found.layer.vlan != 0 { found.layer.vlan } else { hook.stripped_vlan() };
    let time_ns = now_ns();
    let gso_size = hook.gso_size();
    let batch = if gso_size != 0 && found.seen.ip.protocol == PROTOCOL_UDP {
        segments::walk(hook, counters, found, direction, time_ns)
    } else {
        counters.count(Counter::Received);
        let (kind, counter) = match found.seen.class {
            Class::Rtp => {
                let bytes = found.seen.payload_len;
                return flows::count(hook, found, direction, time_ns, bytes);
            }
            Class::Sip => (Kind::Sip, Counter::ReportedSip),
            Class::SipTcp => (Kind::SipTcp, Counter::ReportedSipTcp),
            Class::Fragment => (Kind::Fragment, Counter::ReportedFragment),
            Class::Icmp => (Kind::Icmp, Counter::ReportedIcmp),
            Class::Rtcp => (Kind::Rtcp, Counter::ReportedRtcp),
        };
        Batch { kind, counter, datagrams: 1 }
    };
    if batch.datagrams == 0 {
        return;
    }
    // What the header says, or what there is of it.
    let there = (hook.total_len() as u64).saturating_sub(found.seen.ip_offset as u64);
    let said = found.seen.ip.total as u64;
    let header = RecordHeader {
        ktime_ns: time_ns,
        ifindex: hook.ifindex(),
        // SAFETY: takes nothing.
        cpu: unsafe { bpf_get_smp_processor_id() } as u32,
        total: (if said < there { said } else { there }) as u32,
        offset: 0,
        len: 0,
        gso_size: gso_size as u16,
        vlan: found.vlan,
        kind: batch.kind as u8,
        direction: direction as u8,
        reserved: [0; 6],
    };
    match records::send(hook, found.seen.ip_offset as u32, &header) {
        0 => counters.add(batch.counter, batch.datagrams),
        lost => {
            counters.add_number(lost - 1, batch.datagrams);
            debug!((), "{} bytes seen on interface {} are lost, counter {}", header.total, header.ifindex, lost - 1);
        }
    }
}

/// Reads the packet in place, or a copy of its first bytes where they are not in one piece.
#[inline(always)]
fn look<H: Hook>(packet: &InPlace<'_, H>, found: &mut Found) -> u32 {
    let hook = packet.hook;
    let reason = outcome(look_into(packet, hook.protocol(), hook.gso_size() as usize, found));
    if reason != outcome(Err(Counter::IgnoredTruncated)) {
        return reason;
    }
    let Some(bytes) = head() else { return reason };
    let total = hook.total_len();
    let mut len = total as u64;
    if len > HEAD_BYTES as u64 {
        len = HEAD_BYTES as u64;
    }
    let len = opaque(len);
    if len == 0 || len > HEAD_BYTES as u64 {
        return reason;
    }
    // SAFETY: the entry has HEAD_BYTES, and len is between 1 and that.
    if !unsafe { hook.copy(0, bytes, len as u32) } {
        return outcome(Err(Counter::LostUnreadable));
    }
    look_at_copy(len as u32, total as u32, u32::from(hook.protocol()), hook.gso_size())
}
