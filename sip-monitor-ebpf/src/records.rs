//! The two rings: signalling, and media. A flood of media can not push signalling out.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_smp_processor_id, bpf_ringbuf_output, bpf_ringbuf_query},
    macros::map,
    maps::{PerCpuArray, RingBuf},
};
use sip_monitor_common::{
    Counter, Direction, Kind, RecordHeader, StreamRecord,
    limits::{DEFAULT_MEDIA_RING_BYTES, DEFAULT_SIGNALLING_RING_BYTES, MAX_PARTS, PART_BYTES},
};

use crate::context::{Hook, opaque};

#[map]
static SIGNALLING: RingBuf = RingBuf::with_byte_size(DEFAULT_SIGNALLING_RING_BYTES, 0);
#[map]
static MEDIA: RingBuf = RingBuf::with_byte_size(DEFAULT_MEDIA_RING_BYTES, 0);

const HEADER: usize = size_of::<RecordHeader>();

/// Where a record is put together. One a CPU is enough: nothing interrupts these programs with another of them.
#[map]
static SCRATCH: PerCpuArray<[u8; HEADER + PART_BYTES]> = PerCpuArray::with_max_entries(1, 0);

/// A wakeup costs the packet 5 us, so the daemon polls; only a ring this full wakes it.
const WAKE_BYTES: u64 = 1 << 20;

/// A piece of a packet that goes up as it is.
pub struct Capture {
    pub time_ns: u64,
    pub kind: Kind,
    pub direction: Direction,
    pub vlan: u16,
    pub gso_size: u16,
    /// Where the IP header begins.
    pub offset: u32,
    /// Bytes from there on.
    pub len: u32,
}

impl Capture {
    /// Copies the packet into its ring, in parts of at most [`PART_BYTES`].
    ///
    /// There is one place that calls this: two inlined loops take the verifier more than twice the time.
    ///
    /// # Errors
    /// The counter under which the packet is lost.
    #[inline(always)]
    pub fn send<H: Hook>(&self, hook: &H) -> Result<(), Counter> {
        let ring = match self.kind {
            Kind::Rtcp => (&raw const MEDIA).cast_mut(),
            _ => (&raw const SIGNALLING).cast_mut(),
        };
        let full = match self.kind {
            Kind::Rtcp => Counter::LostMediaRing,
            _ => Counter::LostSignallingRing,
        };
        let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return Err(Counter::LostUnreadable) };
        let scratch = scratch.cast::<u8>();
        // SAFETY: takes nothing.
        let cpu = unsafe { bpf_get_smp_processor_id() } as u32;
        let total = u64::from(self.len);
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
            let header = RecordHeader {
                ktime_ns: self.time_ns,
                ifindex: hook.ifindex(),
                cpu,
                total: self.len,
                offset: done as u32,
                len: n as u32,
                gso_size: self.gso_size,
                vlan: self.vlan,
                kind: self.kind as u8,
                direction: self.direction as u8,
                reserved: [0; 6],
            };
            // SAFETY: the scratch holds the header and PART_BYTES behind it, and n is between 1 and PART_BYTES.
            unsafe {
                scratch.cast::<RecordHeader>().write(header);
                if !hook.copy(self.offset + done as u32, scratch.add(HEADER), n as u32) {
                    return Err(Counter::LostUnreadable);
                }
                if bpf_ringbuf_output(ring.cast(), scratch.cast(), HEADER as u64 + n, wake(ring)) < 0 {
                    return Err(full);
                }
            }
            done += n;
        }
        Ok(())
    }
}

/// Puts a stream's counters into the media ring, straight from the map's value.
#[inline(always)]
pub fn send_stream(record: *mut StreamRecord) -> bool {
    let ring = (&raw const MEDIA).cast_mut();
    // SAFETY: the value is a whole record in map memory, which the program may read.
    unsafe { bpf_ringbuf_output(ring.cast(), record.cast(), size_of::<StreamRecord>() as u64, wake(ring)) >= 0 }
}

/// Flags for a record: wake the daemon only when much is waiting.
#[inline(always)]
fn wake(ring: *mut RingBuf) -> u64 {
    // SAFETY: the ring is a map of this object.
    let waiting = unsafe { bpf_ringbuf_query(ring.cast(), u64::from(BPF_RB_AVAIL_DATA)) };
    u64::from(if waiting > WAKE_BYTES { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}
