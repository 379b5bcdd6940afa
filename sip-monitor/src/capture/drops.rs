//! The kernel's drop reasons: which of them mean loss, what they are called here, and the program that tells of them.

use std::os::unix::fs::MetadataExt as _;

use aya::{
    Btf, Ebpf, Pod,
    maps::Array,
    programs::{BtfTracePoint, ProgramError, RawTracePoint},
};
use sip_monitor_common::{
    drops::DropConfig,
    limits::{MAP_DROP_CONFIG, PROGRAM_DROPS, PROGRAM_DROPS_RAW},
};
use sip_monitor_engine::packet::DropReason;

use super::{btf::Types, error::chain};

/// A drop reason that means loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossReason {
    /// What it comes to.
    pub reason: DropReason,
    /// The kernel's name, without the prefix all share.
    pub name: &'static str,
    /// Of TCP, too.
    of_tcp: bool,
}

/// The kernel's reasons that mean that a packet meant for this host, or sent by it, was lost. Left out on purpose: what was
/// delivered or meant for others (consumed, OTHERHOST), reasons that say nothing (NOT_SPECIFIED), and a socket's own filter.
///
/// Of TCP more is left out: its own reasons (TCP_OLD_DATA, TCP_OVERWINDOW, TCP_OFOMERGE and the like are duplicates and what is
/// sent again anyway), a port without a socket, which is answered with a reset, and full queues and buffers, by which TCP finds
/// its speed.
const LOSSES: &[LossReason] = {
    use DropReason::{
        Checksum, Neighbour, Netfilter, NoRoute, NoSocket, Other, QueueFull, ReversePathFilter, SocketReceiveBuffer,
    };
    const fn loss(name: &'static str, reason: DropReason) -> LossReason {
        LossReason { reason, name, of_tcp: true }
    }
    const fn loss_of_datagrams(name: &'static str, reason: DropReason) -> LossReason {
        LossReason { reason, name, of_tcp: false }
    }
    &[
        loss("NETFILTER_DROP", Netfilter),
        loss_of_datagrams("NO_SOCKET", NoSocket),
        loss_of_datagrams("SOCKET_RCVBUFF", SocketReceiveBuffer),
        loss_of_datagrams("PROTO_MEM", SocketReceiveBuffer),
        loss_of_datagrams("SOCKET_BACKLOG", SocketReceiveBuffer),
        loss("IP_RPFILTER", ReversePathFilter),
        loss("NEIGH_CREATEFAIL", Neighbour),
        loss("NEIGH_FAILED", Neighbour),
        loss("NEIGH_QUEUEFULL", Neighbour),
        loss("NEIGH_DEAD", Neighbour),
        loss_of_datagrams("UDP_CSUM", Checksum),
        loss("TCP_CSUM", Checksum),
        loss("IP_CSUM", Checksum),
        loss("IP_INNOROUTES", NoRoute),
        loss("IP_OUTNOROUTES", NoRoute),
        loss("IP_INADDRERRORS", Other),
        loss("BPF_CGROUP_EGRESS", Other),
        loss_of_datagrams("QDISC_DROP", QueueFull),
        loss_of_datagrams("CPU_BACKLOG", QueueFull),
        loss_of_datagrams("FULL_RING", QueueFull),
        loss("NOMEM", Other),
        loss("XFRM_POLICY", Other),
        loss_of_datagrams("PKT_TOO_BIG", Other),
    ]
};

/// What the program reads of the kernel's structures: the name of its global, the structure, the member.
pub const MEMBERS: [(&str, &str, &str); 10] = [
    ("SKB_HEAD", "sk_buff", "head"),
    ("SKB_NETWORK_HEADER", "sk_buff", "network_header"),
    // An offset, as on every 64-bit kernel.
    ("SKB_TAIL", "sk_buff", "tail"),
    ("SKB_PROTOCOL", "sk_buff", "protocol"),
    ("SKB_DEV", "sk_buff", "dev"),
    ("SKB_SK", "sk_buff", "sk"),
    ("DEV_IFINDEX", "net_device", "ifindex"),
    // Both hold a `possible_net_t`, whose one member is the pointer.
    ("DEV_NET", "net_device", "nd_net"),
    ("SOCK_NET", "sock", "__sk_common.skc_net"),
    ("NET_INUM", "net", "ns.inum"),
];

/// Byte offsets of [`MEMBERS`] in the running kernel.
///
/// # Errors
/// In words, what its types lack.
pub fn offsets() -> Result<[u32; MEMBERS.len()], String> {
    offsets_in(&Types::of_kernel()?)
}

fn offsets_in(types: &Types) -> Result<[u32; MEMBERS.len()], String> {
    let mut offsets = [0; MEMBERS.len()];
    for (offset, (_, structure, path)) in offsets.iter_mut().zip(MEMBERS) {
        *offset =
            types.offset(structure, path).ok_or_else(|| format!("this kernel's types know no {structure}.{path}"))?;
    }
    Ok(offsets)
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Config(DropConfig);
// SAFETY: `repr(C)` integers without padding.
unsafe impl Pod for Config {}

/// How the kernel is asked why it drops packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tracepoint {
    /// With arguments whose types the kernel checks; where that is refused, without.
    #[default]
    Auto,
    /// Without, as a kernel that cannot check them needs it.
    Raw,
}

/// Tells the program about this kernel and attaches it; it stays until `ebpf` is dropped. Returns the reasons watched.
///
/// # Errors
/// In words, what this kernel lacks.
pub fn watch(ebpf: &mut Ebpf, tracepoint: Tracepoint) -> Result<Vec<(u32, LossReason)>, String> {
    let (config, reasons) = look_at_kernel()?;
    let map = ebpf.map_mut(MAP_DROP_CONFIG).ok_or("the object has no such map")?;
    let mut map: Array<_, Config> = Array::try_from(map).map_err(|e| chain(&e))?;
    map.set(0, Config(config), 0).map_err(|e| chain(&e))?;
    let typed = if tracepoint == Tracepoint::Raw { Err("it was not asked for".to_owned()) } else { attach_typed(ebpf) };
    let Err(why) = typed else { return Ok(reasons) };
    attach_raw(ebpf).map_err(|raw| format!("kfree_skb cannot be watched: {why}; as a raw tracepoint: {raw}"))?;
    Ok(reasons)
}

fn attach_typed(ebpf: &mut Ebpf) -> Result<(), String> {
    let types = Btf::from_sys_fs().map_err(|e| chain(&e))?;
    let program = ebpf.program_mut(PROGRAM_DROPS).ok_or("the object has no such program")?;
    let program: &mut BtfTracePoint = program.try_into().map_err(|e: ProgramError| chain(&e))?;
    program.load("kfree_skb", &types).map_err(|e| chain(&e))?;
    program.attach().map(drop).map_err(|e| chain(&e))
}

fn attach_raw(ebpf: &mut Ebpf) -> Result<(), String> {
    let program = ebpf.program_mut(PROGRAM_DROPS_RAW).ok_or("the object has no such program")?;
    let program: &mut RawTracePoint = program.try_into().map_err(|e: ProgramError| chain(&e))?;
    program.load().map_err(|e| chain(&e))?;
    program.attach("kfree_skb").map(drop).map_err(|e| chain(&e))
}

/// What of this kernel's types is needed, and the reasons it has. For `check`, too.
///
/// # Errors
/// In words, what it lacks.
pub fn look_at_kernel() -> Result<(DropConfig, Vec<(u32, LossReason)>), String> {
    let types = Types::of_kernel()?;
    offsets_in(&types)?;
    let named = types.enumerators("skb_drop_reason");
    if named.is_empty() {
        return Err("this kernel gives no reasons (they come with Linux 5.17)".to_owned());
    }
    let netns = std::fs::metadata("/proc/thread-self/ns/net").map_err(|e| format!("/proc/thread-self/ns/net: {e}"))?;
    let mut config =
        DropConfig { netns: u32::try_from(netns.ino()).map_err(|e| e.to_string())?, ..DropConfig::default() };
    let mut reasons = Vec::new();
    for (name, number) in named {
        let short = name.trim_start_matches("SKB_DROP_REASON_");
        if let Some(loss) = LOSSES.iter().find(|loss| loss.name == short) {
            config.insert(number, loss.of_tcp);
            reasons.push((number, *loss));
        }
    }
    if reasons.is_empty() { Err("none of this kernel's reasons is known".to_owned()) } else { Ok((config, reasons)) }
}
