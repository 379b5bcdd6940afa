//! Why the kernel dropped a packet: `kfree_skb` with its reason, only for reasons that mean loss, only for this network
//! namespace, only for SIP, RTP and RTCP; summed up by flow, what it carried and reason, and told once a second.
//!
//! There is no CO-RE in Rust: offsets come from the running kernel's types, as constants at load. With arguments whose types the
//! kernel checks, its structures are read directly ([`Typed`]); where it does not, and for the packet's bytes always, by a checked
//! read ([`Untyped`], `bpf_probe_read_kernel`), which costs a call. Nothing here uses the per-CPU memory of the packet
//! programs: those run in softirq and may interrupt this one.

use core::mem::MaybeUninit;

use aya_ebpf::{
    Global,
    helpers::generated::bpf_probe_read_kernel,
    macros::map,
    maps::{Array, LruHashMap},
};
use sip_monitor_common::{
    Address, Counter, Direction, Kind, RecordHeader, content,
    content::Media,
    drops::{DROP_RUN_GAP_NS, DropConfig, DropKey, DropRecord, DroppedKind, MAX_DROP_KEYS},
    ip::{PROTOCOL_TCP, PROTOCOL_UDP},
    limits::REPORT_INTERVAL_NS,
};

use crate::{
    config::{is_sip_port, now_ns},
    counters::Counters,
    records,
};

#[map]
static DROP_CONFIG: Array<DropConfig> = Array::with_max_entries(1, 0);

#[map]
static DROPS: LruHashMap<DropKey, DropRecord> = LruHashMap::with_max_entries(MAX_DROP_KEYS, 0);

/// `::ffff:0:0/96` in memory order: IPv4 addresses are kept mapped.
const MAPPED: u32 = 0xffff_u32.to_be();
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const UDP_HEADER_BYTES: usize = 8;
/// Bytes of a TCP header up to its flags and window.
const TCP_BYTES: usize = 16;
/// No buffer is longer: what seems to be is a tail before the header.
const MAX_LINEAR: usize = 1 << 20;

/// Where an IPv4 header without options ends, in words.
const IPV4_WORDS: usize = 5;
/// Where an IPv6 header ends.
const IPV6_WORDS: usize = 10;
/// Words of the transport header and what follows it that tell what a packet is.
const TRANSPORT_WORDS: usize = 4;
type Transport = [u32; TRANSPORT_WORDS];

/// Reads from kernel memory; `None` where the address is none.
#[inline(always)]
fn read<T: Copy>(at: usize) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes at most `size_of::<T>()` bytes, and checks the address it reads from.
    let result = unsafe { bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, at as *const _) };
    // SAFETY: on success all bytes are written, and `T` is made of integers.
    if result == 0 { Some(unsafe { value.assume_init() }) } else { None }
}

/// Byte offsets of members of the kernel's structures, set at load. The verifier must know them as constants.
macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident,)*) => { $($(#[$doc])* #[unsafe(no_mangle)] static $name: Global<u32> = Global::new(0);)* };
}

offsets! {
    /// `sk_buff.head`.
    SKB_HEAD,
    /// `sk_buff.network_header`.
    SKB_NETWORK_HEADER,
    /// `sk_buff.tail`.
    SKB_TAIL,
    /// `sk_buff.protocol`.
    SKB_PROTOCOL,
    /// `sk_buff.dev`.
    SKB_DEV,
    /// `sk_buff.sk`.
    SKB_SK,
    /// `net_device.ifindex`.
    DEV_IFINDEX,
    /// `net_device.nd_net`.
    DEV_NET,
    /// `sock.__sk_common.skc_net`.
    SOCK_NET,
    /// `net.ns.inum`.
    NET_INUM,
}

/// How members of the kernel's structures are read. What cannot be read is 0.
pub trait Members {
    /// The member at `offset` of the structure at `at`.
    fn member<T: Copy>(at: usize, offset: &Global<u32>) -> T;
}

/// Of structures whose types the kernel has checked.
pub struct Typed;

impl Members for Typed {
    #[inline(always)]
    fn member<T: Copy>(at: usize, offset: &Global<u32>) -> T {
        // SAFETY: the verifier refuses what is no pointer to a structure with such a member; an address that is none, as a pointer
        // may be that is followed, reads as 0. No other thread's write can tear an aligned integer.
        unsafe { ((at + offset.load() as usize) as *const T).read_volatile() }
    }
}

/// Of addresses of which the kernel knows nothing.
pub struct Untyped;

impl Members for Untyped {
    #[inline(always)]
    fn member<T: Copy>(at: usize, offset: &Global<u32>) -> T {
        // SAFETY: `T` is made of integers, for which zeros are a value.
        read(at + offset.load() as usize).unwrap_or(unsafe { core::mem::zeroed() })
    }
}

/// Handles one freed packet.
#[inline(always)]
pub fn handle<M: Members>(skb: usize, location: u64, reason: u32) {
    let Some(config) = DROP_CONFIG.get(0) else { return };
    if !config.is_loss(reason) {
        return;
    }
    let Some(ifindex) = interface::<M>(config, skb) else { return };
    let mut key = DropKey {
        src: Address([0; 4]),
        dst: Address([0; 4]),
        src_port: 0,
        dst_port: 0,
        reason: reason as u16,
        kind: 0,
        reserved: 0,
    };
    let kind = match flow::<M>(skb, &mut key) {
        Ok(kind) => kind,
        Err(Unkept::NotOurs) => return,
        Err(Unkept::Unreadable) => {
            // It may have been anybody's: that nothing was dropped is no longer known.
            if let Some(counters) = Counters::of_this_cpu() {
                counters.count(Counter::DropsUnread);
            }
            return;
        }
    };
    if kind.is_of_tcp() && !config.is_loss_of_tcp(reason) {
        return;
    }
    key.kind = kind as u8;
    count(&key, ifindex, location);
}

/// The interface index, 0 on the way out; `None` for a packet of another network namespace.
///
/// On the way in the device says which namespace, on the way out the socket; a packet that has neither is taken, and the
/// engine looks whether its addresses mean anything here. So is one whose namespace cannot be read: the queue of a UDP socket
/// keeps something else where the device was.
#[inline(always)]
fn interface<M: Members>(config: &DropConfig, skb: usize) -> Option<u32> {
    let dev = M::member::<usize>(skb, &SKB_DEV);
    if dev != 0 {
        let net = M::member::<usize>(dev, &DEV_NET);
        if net != 0 {
            return match M::member::<u32>(net, &NET_INUM) {
                0 => Some(0),
                inum if inum == config.netns => Some(M::member(dev, &DEV_IFINDEX)),
                _ => None,
            };
        }
    }
    let sock = M::member::<usize>(skb, &SKB_SK);
    if sock == 0 {
        return Some(0);
    }
    let net = M::member::<usize>(sock, &SOCK_NET);
    if net == 0 {
        return Some(0);
    }
    let inum = M::member::<u32>(net, &NET_INUM);
    if inum == config.netns || inum == 0 { Some(0) } else { None }
}

/// Why a packet is not counted.
enum Unkept {
    /// Neither SIP nor media, or a fragment without ports.
    NotOurs,
    /// Its headers are not in the linear part of the buffer, or no headers.
    Unreadable,
}

/// The flow of a packet and what it carries, where that is SIP by its ports, or RTP or RTCP by its first bytes.
#[inline(always)]
fn flow<M: Members>(skb: usize, key: &mut DropKey) -> Result<DroppedKind, Unkept> {
    let head = M::member::<usize>(skb, &SKB_HEAD);
    let network = M::member::<u16>(skb, &SKB_NETWORK_HEADER) as usize;
    // An offset on every 64-bit kernel. What lies behind it is left from other packets.
    let linear = (M::member::<u32>(skb, &SKB_TAIL) as usize).wrapping_sub(network);
    let at = head + network;
    match u16::from_be(M::member::<u16>(skb, &SKB_PROTOCOL)) {
        ETH_P_IP => {
            let words = read::<[u32; IPV4_WORDS + TRANSPORT_WORDS]>(at).ok_or(Unkept::Unreadable)?;
            let protocol = (u32::from_be(words[2]) >> 16) as u8;
            if u32::from_be(words[0]) >> 28 != 4 {
                return Err(Unkept::Unreadable);
            }
            // Only the first fragment has ports.
            if u32::from_be(words[1]) & 0x1fff != 0 {
                return Err(Unkept::NotOurs);
            }
            key.src = Address([0, 0, MAPPED, words[3]]);
            key.dst = Address([0, 0, MAPPED, words[4]]);
            let first = u32::from_be(words[0]);
            let (header, total) = ((first >> 24 & 15) as usize * 4, (first & 0xffff) as usize);
            let transport = if header == IPV4_WORDS * 4 {
                [words[5], words[6], words[7], words[8]]
            } else {
                read::<Transport>(at + header).ok_or(Unkept::Unreadable)?
            };
            carried(protocol, &transport, total.wrapping_sub(header), linear.wrapping_sub(header), key)
        }
        ETH_P_IPV6 => {
            let words = read::<[u32; IPV6_WORDS + TRANSPORT_WORDS]>(at).ok_or(Unkept::Unreadable)?;
            if u32::from_be(words[0]) >> 28 != 6 {
                return Err(Unkept::Unreadable);
            }
            key.src = Address([words[2], words[3], words[4], words[5]]);
            key.dst = Address([words[6], words[7], words[8], words[9]]);
            let word = u32::from_be(words[1]);
            let transport = [words[10], words[11], words[12], words[13]];
            // Packets with extension headers are left out: they are rare, and a guess would be wrong.
            carried((word >> 8) as u8, &transport, (word >> 16) as usize, linear.wrapping_sub(IPV6_WORDS * 4), key)
        }
        _ => Err(Unkept::NotOurs),
    }
}

/// What stands behind an IP header: `len` bytes, 0 or less where the header does not say (a super-packet), `linear` of them in one
/// piece.
#[inline(always)]
fn carried(
    protocol: u8,
    transport: &Transport,
    len: usize,
    linear: usize,
    key: &mut DropKey,
) -> Result<DroppedKind, Unkept> {
    let header = match protocol {
        PROTOCOL_UDP => UDP_HEADER_BYTES,
        PROTOCOL_TCP => TCP_BYTES,
        _ => return Err(Unkept::NotOurs),
    };
    if linear < header || linear > MAX_LINEAR {
        return Err(Unkept::Unreadable);
    }
    let ports = u32::from_be(transport[0]);
    key.src_port = (ports >> 16) as u16;
    key.dst_port = ports as u16;
    let kind = if protocol == PROTOCOL_UDP {
        let len = (u32::from_be(transport[1]) >> 16) as usize;
        datagram(len.wrapping_sub(UDP_HEADER_BYTES), linear - UDP_HEADER_BYTES, transport[2], key)?
    } else if is_sip_port(key.src_port) || is_sip_port(key.dst_port) {
        let word = u32::from_be(transport[3]);
        DroppedKind::of_segment((word >> 16) as u8, len != (word >> 28) as usize * 4)
    } else {
        None
    };
    kind.ok_or(Unkept::NotOurs)
}

/// What a datagram with `len` bytes of payload is, `linear` of them in one piece, that begins with `first`, in memory order.
#[inline(always)]
fn datagram(len: usize, linear: usize, first: u32, key: &DropKey) -> Result<Option<DroppedKind>, Unkept> {
    if is_sip_port(key.src_port) || is_sip_port(key.dst_port) {
        return Ok(Some(DroppedKind::Sip));
    }
    if len < size_of::<u32>() || len > u16::MAX as usize || !content::may_carry_media(key.src_port, key.dst_port) {
        return Ok(None);
    }
    if linear < size_of::<u32>() {
        return Err(Unkept::Unreadable);
    }
    Ok(match content::media(&first.to_ne_bytes()[..], 0, len) {
        Ok(Media::Rtp) => Some(DroppedKind::Rtp),
        Ok(Media::Rtcp) => Some(DroppedKind::Rtcp),
        Ok(Media::Neither) | Err(_) => None,
    })
}

/// Adds a packet to its flow and reason, and reports them where it is time: at the first, then once a second at most.
#[inline(always)]
fn count(key: &DropKey, ifindex: u32, location: u64) {
    const LEN: u32 = (size_of::<DropRecord>() - size_of::<RecordHeader>()) as u32;
    let Some(counters) = Counters::of_this_cpu() else { return };
    counters.count(Counter::KernelDrops);
    let time_ns = now_ns();
    let record = match DROPS.get_ptr_mut(key) {
        Some(record) => record,
        None => {
            let record = DropRecord {
                header: RecordHeader {
                    ktime_ns: 0,
                    ifindex,
                    cpu: 0,
                    total: LEN,
                    offset: 0,
                    len: LEN,
                    gso_size: 0,
                    vlan: 0,
                    kind: Kind::Drop as u8,
                    direction: Direction::In as u8,
                    reserved: [0; 6],
                },
                key: *key,
                count: 0,
                first_ns: time_ns,
                last_ns: time_ns,
                location,
            };
            if DROPS.insert(key, &record, 0).is_err() {
                return counters.count(Counter::DropReportsLost);
            }
            let Some(record) = DROPS.get_ptr_mut(key) else {
                return counters.count(Counter::DropReportsLost);
            };
            record
        }
    };
    // SAFETY: the value lives as long as the program runs; another CPU may write it, which costs at most a unit.
    let is_due = unsafe {
        if time_ns >= (*record).last_ns + DROP_RUN_GAP_NS {
            (*record).count = 0;
            (*record).first_ns = time_ns;
        }
        (*record).count += 1;
        (*record).last_ns = time_ns;
        (*record).location = location;
        let is_due = time_ns >= (*record).header.ktime_ns + REPORT_INTERVAL_NS;
        if is_due {
            (*record).header.ktime_ns = time_ns;
            (*record).header.ifindex = ifindex;
        }
        is_due
    };
    if is_due {
        counters.count(if records::send_drops(record) { Counter::DropReports } else { Counter::DropReportsLost });
    }
}
