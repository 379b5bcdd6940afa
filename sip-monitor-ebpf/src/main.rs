//! The kernel programs: XDP and tc at ingress, tc at egress. Every path ends in "pass"; nothing is changed.
//!
//! `main` holds the entry points, `context` the one unsafe access to packets, `observe` what becomes of a packet,
//! `segments` the datagrams of a super-packet, `flows` the streams' map, `records` the rings, `counters` and `config`
//! what user space reads and sets. Rules that replay shares stand in `sip-monitor-common`.
//!
//! Log statements (aya-log) stand only where something rare happens; at load they are removed unless debugging is asked for.
//!
//! Tunnels (IP in IP, GTP-U) are peeled between `observe` and `sip_monitor_common::classify`; `drops` holds the program at
//! `kfree_skb`, which tells why the kernel dropped a packet.
//!
//! On any other target than bpf this is an empty program, so that the workspace builds on stable.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod config;
#[cfg(target_arch = "bpf")]
mod context;
#[cfg(target_arch = "bpf")]
mod counters;
#[cfg(target_arch = "bpf")]
mod drops;
#[cfg(target_arch = "bpf")]
mod flows;
#[cfg(target_arch = "bpf")]
mod found;
#[cfg(target_arch = "bpf")]
mod observe;
#[cfg(target_arch = "bpf")]
mod records;
#[cfg(target_arch = "bpf")]
mod segments;

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::{
        bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS},
        macros::{btf_tracepoint, classifier, raw_tracepoint, xdp},
        programs::{BtfTracePointContext, RawTracePointContext, TcContext, XdpContext},
    };
    use sip_monitor_common::Direction;

    use crate::{
        counters::Counters,
        drops::{self, Typed, Untyped},
        observe::observe,
    };

    /// Ingress on a network card. `frags`: without it an interface above 3.5 kB MTU refuses the program, and one that has
    /// it refuses a larger MTU.
    #[xdp(frags)]
    pub fn xdp_ingress(ctx: XdpContext) -> u32 {
        if let Some(counters) = Counters::of_this_cpu() {
            observe(&ctx, &counters, Direction::In);
        }
        XDP_PASS
    }

    /// Ingress where XDP can not or should not be.
    #[classifier]
    pub fn tc_ingress(ctx: TcContext) -> i32 {
        if let Some(counters) = Counters::of_this_cpu() {
            observe(&ctx, &counters, Direction::In);
        }
        TC_ACT_UNSPEC
    }

    /// Egress.
    #[classifier]
    pub fn tc_egress(ctx: TcContext) -> i32 {
        if let Some(counters) = Counters::of_this_cpu() {
            observe(&ctx, &counters, Direction::Out);
        }
        TC_ACT_UNSPEC
    }

    /// Every packet the kernel frees without having delivered it, in any network namespace.
    #[btf_tracepoint(function = "kfree_skb")]
    pub fn packet_dropped(ctx: BtfTracePointContext) -> i32 {
        let (skb, location, reason): (*const u8, u64, u32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
        drops::handle::<Typed>(skb as usize, location, reason);
        0
    }

    /// The same where the kernel cannot check the types of a tracepoint's arguments.
    #[raw_tracepoint(tracepoint = "kfree_skb")]
    pub fn packet_dropped_raw(ctx: RawTracePointContext) -> i32 {
        let (skb, location, reason): (*const u8, u64, u32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
        drops::handle::<Untyped>(skb as usize, location, reason);
        0
    }

    /// Base line of measurements.
    #[btf_tracepoint(function = "kfree_skb")]
    pub fn dropped_empty(_ctx: BtfTracePointContext) -> i32 {
        0
    }

    /// Base line of measurements.
    #[xdp(frags)]
    pub fn xdp_empty(_ctx: XdpContext) -> u32 {
        XDP_PASS
    }

    /// Base line of measurements.
    #[classifier]
    pub fn tc_empty(_ctx: TcContext) -> i32 {
        TC_ACT_UNSPEC
    }
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses any program in which this could be reached.
    loop {}
}

/// Some of the helpers are for GPL-compatible programs only.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
