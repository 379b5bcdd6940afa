//! The two rings: signalling, and media. A flood of media can not push signalling out.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_RB_NO_WAKEUP, xdp_md},
    helpers::generated::bpf_ringbuf_output,
    macros::map,
    maps::{PerCpuArray, RingBuf},
};
use sip_monitor_common::{
    Counter, Kind, RecordHeader, StreamRecord,
    drops::DropRecord,
    limits::{DEFAULT_MEDIA_RING_BYTES, DEFAULT_SIGNALLING_RING_BYTES, MAX_PARTS, PART_BYTES},
};

use crate::{
    context::{Hook, copy_from_skb, copy_from_xdp, opaque},
    found::outcome,
};

#[map]
static SIGNALLING: RingBuf = RingBuf::with_byte_size(DEFAULT_SIGNALLING_RING_BYTES, 0);
#[map]
static MEDIA: RingBuf = RingBuf::with_byte_size(DEFAULT_MEDIA_RING_BYTES, 0);

const HEADER: usize = size_of::<RecordHeader>();

/// Where a record is put together. One a CPU is enough: nothing interrupts these programs with another of them.
#[map]
static SCRATCH: PerCpuArray<[u8; HEADER + PART_BYTES]> = PerCpuArray::with_max_entries(1, 0);

/// A wakeup costs the packet 5 us, a record 90 ns: so nobody is woken, and the daemon polls every 15 ms. Until then the
/// rings hold a gigabyte a second.
const NO_WAKEUP: u64 = BPF_RB_NO_WAKEUP as u64;

/// Hands up the packet of `hook` from `offset` on. `header` says what it is and how long; part by part the rest is filled.
///
/// # Errors
/// The counter under which the packet is lost.
#[inline(always)]
pub fn send<H: Hook>(hook: &H, offset: u32, header: &RecordHeader) -> u32 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return outcome(Err(Counter::LostUnreadable)) };
    // SAFETY: the entry begins with room for a header.
    unsafe { scratch.cast::<RecordHeader>().write(*header) };
    hook.send(offset)
}

/// Copies the packet that the header in the scratch describes into its ring, in parts of at most [`PART_BYTES`]. Gives an
/// [`outcome`].
///
/// Behind global functions, as said in `found`: the verifier goes through the loop once, not once for each kind of packet.
#[inline(always)]
fn send_parts(offset: u32, copy: impl Fn(u32, *mut u8, u32) -> bool) -> u32 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return outcome(Err(Counter::LostUnreadable)) };
    let scratch = scratch.cast::<u8>();
    let header = scratch.cast::<RecordHeader>();
    // SAFETY: the entry begins with a header, written by `send`.
    let (total, is_media) = unsafe { (u64::from((*header).total), (*header).kind == Kind::Rtcp as u8) };
    let ring = if is_media { &raw const MEDIA } else { &raw const SIGNALLING }.cast_mut();
    let mut done = 0_u64;
    for _ in 0..MAX_PARTS {
        if done >= total {
            break;
        }
        let mut n = total - done;
        if n > PART_BYTES as u64 {
            n = PART_BYTES as u64;
        }
        // Bounded once more behind `opaque`, on the 64-bit register that reaches the helpers.
        let n = opaque(n);
        if n == 0 || n > PART_BYTES as u64 {
            break;
        }
        // SAFETY: the scratch holds the header and PART_BYTES behind it, and n is between 1 and PART_BYTES.
        unsafe {
            (*header).offset = done as u32;
            (*header).len = n as u32;
            if !copy(offset + done as u32, scratch.add(HEADER), n as u32) {
                return outcome(Err(Counter::LostUnreadable));
            }
            if bpf_ringbuf_output(ring.cast(), scratch.cast(), HEADER as u64 + n, NO_WAKEUP) < 0 {
                return outcome(Err(if is_media { Counter::LostMediaRing } else { Counter::LostSignallingRing }));
            }
        }
        done += n;
    }
    0
}

/// [`send_parts`] for tc.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_skb(skb: *mut __sk_buff, offset: u32) -> u32 {
    // SAFETY: the scratch has room for what is copied, and the length is not 0.
    send_parts(offset, |at, to, len| unsafe { copy_from_skb(skb, at, to, len) })
}

/// [`send_parts`] for XDP.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_xdp(xdp: *mut xdp_md, offset: u32) -> u32 {
    // SAFETY: as above.
    send_parts(offset, |at, to, len| unsafe { copy_from_xdp(xdp, at, to, len) })
}

/// Puts a report about dropped packets into the media ring, straight from the map's value.
#[inline(always)]
pub fn send_drops(record: *mut DropRecord) -> bool {
    let ring = (&raw const MEDIA).cast_mut();
    // SAFETY: as in `send_stream`.
    unsafe { bpf_ringbuf_output(ring.cast(), record.cast(), size_of::<DropRecord>() as u64, NO_WAKEUP) >= 0 }
}

/// Puts a stream's counters into the media ring, straight from the map's value.
#[inline(always)]
pub fn send_stream(record: *mut StreamRecord) -> bool {
    let ring = (&raw const MEDIA).cast_mut();
    // SAFETY: the value is a whole record in map memory, which the program may read.
    unsafe { bpf_ringbuf_output(ring.cast(), record.cast(), size_of::<StreamRecord>() as u64, NO_WAKEUP) >= 0 }
}
