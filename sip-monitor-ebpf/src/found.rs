//! What was found in a packet, kept in a map, and the functions that look on from there.
//!
//! Both for the verifier's sake. It follows every value on the stack, and would look at all that comes after the headers
//! once for each way through them; what stands in a map it does not know. And a global function it checks once, by
//! itself, whoever calls it: so the reading of copied bytes and the counting of streams are such functions, without
//! arguments but numbers.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use sip_monitor_common::{
    Class, Counter, PacketView, RtpPacket, Seen, StreamKey,
    classify::{classify_datagram, classify_into, classify_ip},
    limits::MAX_TUNNELS,
    link::{self, NetworkLayer},
    tunnel::step_into,
};

use crate::{
    config::is_sip_port,
    context::{HEAD_BYTES, Head},
    counters::Counters,
};

/// One packet's findings.
#[repr(C)]
pub struct Found {
    pub layer: NetworkLayer,
    pub seen: Seen,
    /// Of RTP: its stream.
    pub stream: StreamKey,
    /// Of RTP: what is counted.
    pub packet: RtpPacket,
    /// The VLAN of the packet.
    pub vlan: u16,
}

#[map]
static FOUND: PerCpuArray<Found> = PerCpuArray::with_max_entries(1, 0);

/// First bytes of a packet, or of a datagram in a super-packet, where they can not be read in place.
#[map]
static HEAD: PerCpuArray<[u8; HEAD_BYTES]> = PerCpuArray::with_max_entries(1, 0);

/// This CPU's entry. `None` only tells the verifier.
#[inline(always)]
pub fn found() -> Option<*mut Found> {
    FOUND.get_ptr_mut(0)
}

/// This CPU's room for [`HEAD_BYTES`].
#[inline(always)]
pub fn head() -> Option<*mut u8> {
    HEAD.get_ptr_mut(0).map(|bytes| bytes.cast())
}

/// The same pointer; what it points to is read from memory from here on.
#[inline(always)]
pub fn reread<T>(mut pointer: *mut T) -> *mut T {
    // SAFETY: `r = r`; not being `nomem`, it makes the compiler forget what it knows of memory.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) pointer, options(nostack, preserves_flags)) };
    pointer
}

/// The outcome of looking at a packet as a number, for functions that may return nothing else: 0, or the counter plus 1.
#[inline(always)]
pub fn outcome(result: Result<(), Counter>) -> u32 {
    match result {
        Ok(()) => 0,
        Err(reason) => reason as u32 + 1,
    }
}

/// Finds the network layer, by the protocol of the socket buffer or, where that is 0, behind Ethernet; then classifies.
#[inline(always)]
pub fn look_into<V: PacketView>(view: &V, protocol: u16, gso_size: usize, found: &mut Found) -> Result<(), Counter> {
    find_network(view, protocol, found)?;
    classify_into(view, found.layer.offset, gso_size, is_sip_port, &mut found.seen)
}

#[inline(always)]
fn find_network<V: PacketView>(view: &V, protocol: u16, found: &mut Found) -> Result<(), Counter> {
    let layer = &mut found.layer;
    if protocol == 0 {
        link::ethernet(view, layer)?;
    } else {
        link::by_protocol(view, protocol, layer)?;
    }
    layer.offset = view.settle(layer.offset);
    Ok(())
}

/// Looks at the copy of a packet's first `len` bytes of `total`, also into tunnels. Gives an [`outcome`].
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn look_at_copy(len: u32, total: u32, protocol: u32, gso_size: u32) -> u32 {
    let (Some(counters), Some(bytes), Some(found)) = (Counters::of_this_cpu(), head(), found()) else { return 1 };
    // SAFETY: this CPU's entries, which nothing else touches while the program runs.
    let (view, found) = unsafe { (Head::new(bytes, len as usize, total as usize, counters.zero()), &mut *found) };
    let reason = outcome(find_network(&view, protocol as u16, found));
    if reason != 0 {
        return reason;
    }
    let mut at = found.layer.offset as u32;
    for _ in 0..=MAX_TUNNELS {
        match read_ip(len, total, at) {
            0 => return look_behind_ip(len, total, gso_size),
            failed if failed >= READ_IP_FAILED => return failed - READ_IP_FAILED,
            inner => at = inner,
        }
    }
    outcome(Err(Counter::IgnoredNested))
}

/// From here on [`read_ip`] gives an [`outcome`] that is not 0.
const READ_IP_FAILED: u32 = 1 << 16;

/// Reads the IP header at `at` of the copy. Gives where the packet it carries begins, 0 for none.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn read_ip(len: u32, total: u32, at: u32) -> u32 {
    let (Some(counters), Some(bytes), Some(found)) = (Counters::of_this_cpu(), head(), found()) else { return 0 };
    // SAFETY: as in `look_at_copy`.
    let (view, found) = unsafe { (Head::new(bytes, len as usize, total as usize, counters.zero()), &mut *found) };
    let at = view.settle(at as usize);
    found.seen.ip_offset = at;
    match step_into(&view, at, &mut found.seen.ip) {
        Ok(inner) => inner as u32,
        Err(reason) => READ_IP_FAILED + reason as u32 + 1,
    }
}

/// Goes on where [`look_at_copy`] has found the innermost IP header, whatever it stood in. Gives an [`outcome`].
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn look_behind_ip(len: u32, total: u32, gso_size: u32) -> u32 {
    let (Some(counters), Some(bytes), Some(found)) = (Counters::of_this_cpu(), head(), found()) else { return 1 };
    // SAFETY: as above.
    let (view, found) = unsafe { (Head::new(bytes, len as usize, total as usize, counters.zero()), &mut *found) };
    outcome(classify_ip(&view, gso_size as usize, is_sip_port, &mut found.seen))
}

/// What a datagram of a super-packet is: 0 RTP, 1 RTCP, 2 SIP, or 3 plus a counter.
pub const DATAGRAM_RTP: u32 = 0;
pub const DATAGRAM_RTCP: u32 = 1;
pub const DATAGRAM_SIP: u32 = 2;
pub const DATAGRAM_IGNORED: u32 = 3;

/// Looks at the copy of a datagram's first `len` bytes of `total`; ports stand in what was found of the super-packet.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn look_at_datagram(len: u32, total: u32) -> u32 {
    let (Some(counters), Some(bytes), Some(found)) = (Counters::of_this_cpu(), head(), found()) else { return 0 };
    // SAFETY: as in `look_at_copy`.
    let (view, found) = unsafe { (Head::new(bytes, len as usize, total as usize, counters.zero()), &mut *found) };
    let (src_port, dst_port) = (found.seen.src_port, found.seen.dst_port);
    match classify_datagram(&view, 0, total as usize, src_port, dst_port, is_sip_port, &mut found.seen.rtp) {
        Ok(Class::Rtp) => DATAGRAM_RTP,
        Ok(Class::Rtcp) => DATAGRAM_RTCP,
        Ok(_) => DATAGRAM_SIP,
        Err(reason) => DATAGRAM_IGNORED + reason as u32,
    }
}
