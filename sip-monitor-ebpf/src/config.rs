//! What user space sets: at load by a global, later through a map.

use aya_ebpf::{Global, helpers::generated::bpf_ktime_get_boot_ns, macros::map, maps::Array};
use sip_monitor_common::PortSet;

#[map]
static SIP_PORTS: Array<PortSet> = Array::with_max_entries(1, 0);

/// The time tests set, in nanoseconds.
#[map]
static TEST_CLOCK: Array<u64> = Array::with_max_entries(1, 0);

/// 1 makes [`now_ns`] read [`TEST_CLOCK`]. 0 at load removes that path: the verifier sees a constant.
#[unsafe(no_mangle)]
static USE_TEST_CLOCK: Global<u32> = Global::new(0);

/// 1 where the kernel has bpf_loop (5.17). Without it super-packets are not walked, and counted as lost.
#[unsafe(no_mangle)]
static HAS_LOOP: Global<u32> = Global::new(1);

/// Whether super-packets can be walked.
#[inline(always)]
pub fn has_loop() -> bool {
    HAS_LOOP.load() != 0
}

/// Whether the port is one whose traffic is SIP whatever it looks like.
#[inline(always)]
pub fn is_sip_port(port: u16) -> bool {
    match SIP_PORTS.get(0) {
        Some(set) => set.contains(port),
        None => false,
    }
}

/// Nanoseconds since boot, suspended time included. About 30 ns: called once a packet, and only where a record or a
/// stream needs it.
#[inline(always)]
pub fn now_ns() -> u64 {
    if USE_TEST_CLOCK.load() != 0 {
        return TEST_CLOCK.get(0).copied().unwrap_or(0);
    }
    // SAFETY: takes nothing, reads the clock.
    unsafe { bpf_ktime_get_boot_ns() }
}
