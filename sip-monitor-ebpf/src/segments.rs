//! UDP super-packets (UDP_SEGMENT, UDP GRO): one socket buffer holds many datagrams of one flow, which tc sees before
//! they are cut or after they were joined. Each counts for itself.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sip_monitor_common::{Counter, Direction, Kind, limits::MAX_SEGMENTS};

use crate::{
    config::has_loop,
    context::{HEAD_BYTES, Hook, opaque},
    counters::Counters,
    flows,
    found::{self, DATAGRAM_IGNORED, DATAGRAM_RTCP, DATAGRAM_RTP, DATAGRAM_SIP, Found, head, look_at_datagram},
    observe::Batch,
};

/// What the loop's body needs, and where it has come to.
struct Walk<'a, H> {
    hook: &'a H,
    counters: &'a Counters,
    time_ns: u64,
    direction: Direction,
    size: u32,
    at: u32,
    rest: u32,
    sip: u64,
    rtcp: u64,
}

/// Counts each datagram. Where one is SIP or RTCP, the whole super-packet goes up and user space cuts it.
#[inline(always)]
pub fn walk<H: Hook>(hook: &H, counters: &Counters, found: &Found, direction: Direction, time_ns: u64) -> Batch {
    let mut walk = Walk {
        hook,
        counters,
        time_ns,
        direction,
        size: hook.gso_size(),
        at: found.seen.payload_offset as u32,
        rest: found.seen.payload_len as u32,
        sip: 0,
        rtcp: 0,
    };
    if has_loop() {
        // The kernel's loop: unrolled or bounded by the program, the verifier would look at each turn anew.
        // SAFETY: `step` takes what is passed, and returns before `walk` is gone.
        unsafe {
            bpf_loop(MAX_SEGMENTS, step::<H> as *const () as *mut c_void, (&raw mut walk).cast(), 0);
        }
    }
    if walk.rest != 0 {
        counters.count(Counter::Received);
        counters.count(Counter::LostSegments);
    }
    if walk.sip != 0 {
        // RTCP that shares a super-packet with SIP goes the same way.
        return Batch { kind: Kind::Sip, counter: Counter::ReportedSip, datagrams: walk.sip + walk.rtcp };
    }
    Batch { kind: Kind::Rtcp, counter: Counter::ReportedRtcp, datagrams: walk.rtcp }
}

/// One datagram. 1 ends the loop.
unsafe extern "C" fn step<H: Hook>(_turn: u32, walk: *mut Walk<'_, H>) -> i64 {
    // SAFETY: the loop passes what `walk` gave to it.
    let walk = unsafe { &mut *walk };
    let (Some(bytes), Some(found)) = (head(), found::found()) else { return 1 };
    let this = if walk.rest < walk.size { walk.rest } else { walk.size };
    let mut len = u64::from(this);
    if len > HEAD_BYTES as u64 {
        len = HEAD_BYTES as u64;
    }
    let len = opaque(len);
    if len == 0 || len > HEAD_BYTES as u64 {
        return 1;
    }
    walk.counters.count(Counter::Received);
    // SAFETY: the entry has HEAD_BYTES, and len is between 1 and that.
    if unsafe { walk.hook.copy(walk.at, bytes, len as u32) } {
        match look_at_datagram(len as u32, this) {
            DATAGRAM_RTP => {
                // SAFETY: this CPU's own entry.
                flows::count(walk.hook, unsafe { &mut *found }, walk.direction, walk.time_ns, this as usize);
            }
            DATAGRAM_RTCP => walk.rtcp += 1,
            DATAGRAM_SIP => walk.sip += 1,
            reason => walk.counters.count_number(reason - DATAGRAM_IGNORED),
        }
    } else {
        walk.counters.count(Counter::LostUnreadable);
    }
    walk.at += this;
    walk.rest -= this;
    0
}
