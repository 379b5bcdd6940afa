//! RTP streams: counted in the kernel, reported as counters, never copied.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{LruHashMap, PerCpuArray},
};
use aya_log_ebpf::debug;
use sip_monitor_common::{
    Counter, Direction, Kind, RecordHeader, Report, RtpPacket, StreamKey, StreamRecord, account,
    limits::DEFAULT_MAX_STREAMS, stream,
};

use crate::{
    context::Hook,
    counters::Counters,
    found::{Found, found},
    records,
};

#[map]
static STREAMS: LruHashMap<StreamKey, StreamRecord> = LruHashMap::with_max_entries(DEFAULT_MAX_STREAMS, 0);

/// Where the first value of a stream is put together: it is too large for the stack.
#[map]
static NEW_STREAM: PerCpuArray<StreamRecord> = PerCpuArray::with_max_entries(1, 0);

/// Counts the RTP packet in `found`, of which `bytes` are RTP.
#[inline(always)]
pub fn count<H: Hook>(hook: &H, found: &mut Found, direction: Direction, time_ns: u64, bytes: usize) {
    let seen = &found.seen;
    found.stream = StreamKey {
        src: seen.ip.src,
        dst: seen.ip.dst,
        src_port: seen.src_port,
        dst_port: seen.dst_port,
        ssrc: seen.rtp.ssrc,
        ifindex: hook.ifindex(),
        direction: direction as u32,
    };
    found.packet = RtpPacket::new(time_ns, bytes, &seen.rtp, &seen.ip);
    count_found();
}

/// Counts a packet in its stream and reports the stream where it is time.
///
/// Two CPUs may count one stream at once and then lose a unit; receive-side scaling keeps a flow on one.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn count_found() -> u32 {
    let (Some(counters), Some(found)) = (Counters::of_this_cpu(), found()) else { return 0 };
    // SAFETY: this CPU's own entry.
    let found = unsafe { &*found };
    let mut entry = STREAMS.get_ptr_mut(&found.stream);
    if entry.is_none() {
        if begin(&counters, found) {
            return 0;
        }
        // Another CPU began it just now, or there is no room.
        entry = STREAMS.get_ptr_mut(&found.stream);
    }
    let Some(record) = entry else {
        counters.count(Counter::LostMapFull);
        return 0;
    };
    // SAFETY: the value lives as long as the program runs; others may write it, which costs at most a unit.
    let due = unsafe { account(&mut (*record).state, &found.packet) };
    counters.count(Counter::AccountedRtp);
    if due == Report::Due {
        // SAFETY: as above.
        unsafe { (*record).header.ktime_ns = found.packet.time_ns };
        counters.count(if records::send_stream(record) { Counter::StreamReports } else { Counter::StreamReportsLost });
    }
    0
}

/// Puts a stream into the map with its first packet. False where it is there or there is no room.
#[inline(always)]
fn begin(counters: &Counters, found: &Found) -> bool {
    const LEN: u32 = (size_of::<StreamRecord>() - size_of::<RecordHeader>()) as u32;
    let Some(new) = NEW_STREAM.get_ptr_mut(0) else { return false };
    // SAFETY: this CPU's own entry.
    let new = unsafe { &mut *new };
    new.header = RecordHeader {
        ktime_ns: found.packet.time_ns,
        ifindex: found.stream.ifindex,
        cpu: 0,
        total: LEN,
        offset: 0,
        len: LEN,
        gso_size: 0,
        vlan: found.vlan,
        kind: Kind::Stream as u8,
        direction: found.stream.direction as u8,
        reserved: [0; 6],
    };
    new.key = found.stream;
    stream::start(&mut new.state, &found.packet);
    // Never over what another CPU has put there: a stream that is opened twice would seem to be evicted once.
    let is_new = STREAMS.insert(&found.stream, &*new, u64::from(BPF_NOEXIST)).is_ok();
    if is_new {
        counters.count(Counter::StreamsOpened);
        counters.count(Counter::AccountedRtp);
        debug!((), "stream {:x} begins on interface {}", found.stream.ssrc, found.stream.ifindex);
    }
    is_new
}
