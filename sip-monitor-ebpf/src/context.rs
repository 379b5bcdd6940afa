//! The one unsafe access to packets: XDP buffers and socket buffers, by pointer where the bytes are linear, by copy
//! where they are not.

use core::ptr;

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_skb_load_bytes, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::{TcContext, XdpContext},
};
use sip_monitor_common::PacketView;

use crate::records::{send_skb, send_xdp};

/// Where a packet passes: the context that the kernel gives to a program.
pub trait Hook {
    /// Beginning and end of the part that can be read in place.
    fn ends(&self) -> (usize, usize);
    /// Bytes of the whole packet.
    fn total_len(&self) -> usize;
    /// Copies `len` bytes at `offset` to `to`, wherever in the packet they are.
    ///
    /// # Safety
    /// `to` must have room for `len` bytes, and `len` must not be 0.
    unsafe fn copy(&self, offset: u32, to: *mut u8, len: u32) -> bool;
    /// Hands up the packet from `offset` on, as `records::send` has prepared it.
    fn send(&self, offset: u32) -> u32;
    /// The interface it passes.
    fn ifindex(&self) -> u32;
    /// Bytes of payload of each datagram in a super-packet, 0 for an ordinary one.
    fn gso_size(&self) -> u32;
    /// The EtherType the socket buffer knows, 0 where there is none and the frame's own header counts.
    fn protocol(&self) -> u16;
    /// The VLAN identifier that the device took out of the frame, 0 for none.
    fn stripped_vlan(&self) -> u16;
}

/// No header ends beyond this.
const MAX_OFFSET: usize = 2047;

/// `offset ^ 0`, which the verifier takes for anything up to [`MAX_OFFSET`]: states that differ only in how they came to
/// an offset become equal, and it looks at what follows once instead of once for each.
#[inline(always)]
fn settle(offset: usize, zero: u64) -> usize {
    (offset ^ zero as usize) & MAX_OFFSET
}

/// Reads a value of the linear part.
#[inline(always)]
fn load<T: Copy + Default>(begin: usize, end: usize, offset: usize) -> (T, bool) {
    let at = begin + offset;
    if at + size_of::<T>() > end {
        return (T::default(), false);
    }
    // SAFETY: the bytes lie between data and data_end, as the verifier has just seen, too. Packet memory has no alignment
    // that could be relied on, and the BPF machine asks for none.
    (unsafe { *(at as *const T) }, true)
}

/// Copies from an XDP buffer.
///
/// # Safety
/// `to` must have room for `len` bytes, and `len` must not be 0.
#[inline(always)]
pub unsafe fn copy_from_xdp(xdp: *mut xdp_md, offset: u32, to: *mut u8, len: u32) -> bool {
    // SAFETY: by the contract.
    unsafe { bpf_xdp_load_bytes(xdp, offset, to.cast(), len) >= 0 }
}

/// Copies from a socket buffer.
///
/// # Safety
/// As [`copy_from_xdp`].
#[inline(always)]
pub unsafe fn copy_from_skb(skb: *mut __sk_buff, offset: u32, to: *mut u8, len: u32) -> bool {
    // SAFETY: by the contract.
    unsafe { bpf_skb_load_bytes(skb.cast(), offset, to.cast(), len) >= 0 }
}

/// A packet, read where it is.
pub struct InPlace<'a, H> {
    pub hook: &'a H,
    begin: usize,
    end: usize,
    zero: u64,
}

impl<'a, H: Hook> InPlace<'a, H> {
    /// `zero` is 0, but from a place where neither the compiler nor the verifier can know it.
    #[inline(always)]
    pub fn new(hook: &'a H, zero: u64) -> Self {
        // `opaque`: the fields are 32 bits wide in the context, and spilled at that width a pointer would be one no more.
        let (begin, end) = hook.ends();
        Self { hook, begin: opaque(begin as u64) as usize, end: opaque(end as u64) as usize, zero }
    }
}

impl<H: Hook> PacketView for InPlace<'_, H> {
    const DEEP: bool = false;

    #[inline(always)]
    fn load_u16(&self, offset: usize) -> (u16, bool) {
        load(self.begin, self.end, offset)
    }
    #[inline(always)]
    fn load_u32(&self, offset: usize) -> (u32, bool) {
        load(self.begin, self.end, offset)
    }
    #[inline(always)]
    fn load_u64(&self, offset: usize) -> (u64, bool) {
        load(self.begin, self.end, offset)
    }
    #[inline(always)]
    fn settle(&self, offset: usize) -> usize {
        settle(offset, self.zero)
    }
    #[inline(always)]
    fn total_len(&self) -> usize {
        self.hook.total_len()
    }
}

impl Hook for XdpContext {
    #[inline(always)]
    fn ends(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }
    #[inline(always)]
    fn total_len(&self) -> usize {
        // SAFETY: the context is the one the kernel gave to this program.
        unsafe { bpf_xdp_get_buff_len(self.ctx) as usize }
    }
    #[inline(always)]
    unsafe fn copy(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: by the contract of this function.
        unsafe { copy_from_xdp(self.ctx, offset, to, len) }
    }
    #[inline(always)]
    fn send(&self, offset: u32) -> u32 {
        send_xdp(self.ctx, offset)
    }
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the context is valid while the program runs.
        unsafe { (*self.ctx).ingress_ifindex }
    }
    #[inline(always)]
    fn gso_size(&self) -> u32 {
        0
    }
    #[inline(always)]
    fn protocol(&self) -> u16 {
        0
    }
    #[inline(always)]
    fn stripped_vlan(&self) -> u16 {
        0
    }
}

impl Hook for TcContext {
    #[inline(always)]
    fn ends(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }
    #[inline(always)]
    fn total_len(&self) -> usize {
        self.len() as usize
    }
    #[inline(always)]
    unsafe fn copy(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: by the contract of this function.
        unsafe { copy_from_skb(self.skb.skb, offset, to, len) }
    }
    #[inline(always)]
    fn send(&self, offset: u32) -> u32 {
        send_skb(self.skb.skb, offset)
    }
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the context is valid while the program runs.
        unsafe { (*self.skb.skb).ifindex }
    }
    #[inline(always)]
    fn gso_size(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb.skb).gso_size }
    }
    #[inline(always)]
    fn protocol(&self) -> u16 {
        // SAFETY: as above. The field holds the protocol in network byte order.
        u16::from_be(unsafe { (*self.skb.skb).protocol } as u16)
    }
    #[inline(always)]
    fn stripped_vlan(&self) -> u16 {
        // SAFETY: as above.
        unsafe { if (*self.skb.skb).vlan_present != 0 { (*self.skb.skb).vlan_tci as u16 & 0x0fff } else { 0 } }
    }
}

/// Bytes of a packet's beginning that are copied where the linear part ends too early. Link layer with two tags, IPv6
/// with extension headers, UDP, RTP with its lists.
pub const HEAD_BYTES: usize = 256;

/// A copy of some first bytes, in memory of [`HEAD_BYTES`].
pub struct Head {
    bytes: *const u8,
    len: usize,
    total: usize,
    zero: u64,
}

impl Head {
    /// # Safety
    /// `bytes` must point to [`HEAD_BYTES`] that stay as they are while this value is used; the first `len` count.
    #[inline(always)]
    pub unsafe fn new(bytes: *const u8, len: usize, total: usize, zero: u64) -> Self {
        Self { bytes, len, total, zero }
    }

    #[inline(always)]
    fn load<T: Copy + Default>(&self, offset: usize) -> (T, bool) {
        let offset = opaque(offset as u64) as usize;
        if offset > HEAD_BYTES - size_of::<T>() || offset + size_of::<T>() > self.len {
            return (T::default(), false);
        }
        // SAFETY: inside the memory promised to `new`.
        (unsafe { ptr::read_unaligned(self.bytes.add(offset).cast::<T>()) }, true)
    }
}

impl PacketView for Head {
    #[inline(always)]
    fn load_u16(&self, offset: usize) -> (u16, bool) {
        self.load(offset)
    }
    #[inline(always)]
    fn load_u32(&self, offset: usize) -> (u32, bool) {
        self.load(offset)
    }
    #[inline(always)]
    fn load_u64(&self, offset: usize) -> (u64, bool) {
        self.load(offset)
    }
    #[inline(always)]
    fn settle(&self, offset: usize) -> usize {
        settle(offset, self.zero)
    }
    #[inline(always)]
    fn total_len(&self) -> usize {
        self.total
    }
}

/// The same value, of which the optimiser knows nothing: a bound checked on it stays, on the very register the verifier
/// looks at.
#[inline(always)]
pub fn opaque(mut x: u64) -> u64 {
    // SAFETY: `r = r`; an instruction must be there, or two lines would share one offset in the line information.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) x, options(nomem, nostack, preserves_flags)) };
    x
}
