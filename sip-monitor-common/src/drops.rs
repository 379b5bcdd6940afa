//! Packets the kernel freed: what the program at `kfree_skb` is told, and what it tells.

use crate::{ip::Address, record::RecordHeader};

/// Drop reasons that fit into the set; Linux 6.18 has about 120.
pub const MAX_DROP_REASONS: usize = 256;
/// After so long without a drop the next begins a new run, counted from 1: what was dropped before says nothing of it.
pub const DROP_RUN_GAP_NS: u64 = 5_000_000_000;
/// Keys held: a flow and a reason each.
pub const MAX_DROP_KEYS: u32 = 4_096;

/// What the program must know of the running kernel. All zeros switch it off.
///
/// Layout: 80 bytes, align 8, no padding, host byte order. Offsets are in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DropConfig {
    /// Bit n: reason n is a loss.
    pub reasons: [u64; MAX_DROP_REASONS / 64],
    /// Inode number of the network namespace that is watched.
    pub netns: u32,
    /// `sk_buff.head`.
    pub skb_head: u32,
    /// `sk_buff.network_header`.
    pub skb_network_header: u32,
    /// `sk_buff.protocol`.
    pub skb_protocol: u32,
    /// `sk_buff.dev`.
    pub skb_dev: u32,
    /// `sk_buff.sk`.
    pub skb_sk: u32,
    /// `net_device.ifindex`.
    pub dev_ifindex: u32,
    /// `net_device.nd_net`.
    pub dev_net: u32,
    /// `sock.__sk_common.skc_net`.
    pub sock_net: u32,
    /// `net.ns.inum`.
    pub net_inum: u32,
    /// Zero.
    pub reserved: [u32; 2],
}
const _: () = assert!(size_of::<DropConfig>() == 80);

impl DropConfig {
    /// Whether the reason means a loss.
    #[inline(always)]
    #[must_use]
    pub fn is_loss(&self, reason: u32) -> bool {
        reason < MAX_DROP_REASONS as u32 && (self.reasons[(reason >> 6) as usize & 3] >> (reason & 63)) & 1 == 1
    }

    /// Adds a reason that means a loss.
    pub fn insert(&mut self, reason: u32) {
        if reason < MAX_DROP_REASONS as u32
            && let Some(word) = self.reasons.get_mut((reason >> 6) as usize)
        {
            *word |= 1 << (reason & 63);
        }
    }
}

/// Key of the map `DROPS`: one flow and why its packets are dropped.
///
/// Layout: 40 bytes, align 4, no padding. Addresses in network byte order, ports in host byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DropKey {
    /// Source address.
    pub src: Address,
    /// Destination address.
    pub dst: Address,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// The kernel's number of the reason; its name is in the kernel's types.
    pub reason: u32,
}
const _: () = assert!(size_of::<DropKey>() == 40);

/// Value of the map `DROPS` and, as it stands, the report of it.
///
/// Layout: 112 bytes, align 8, no padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DropRecord {
    /// As in every record; `len` covers what follows the header. `ifindex` is 0 on the way out.
    pub header: RecordHeader,
    /// Which packets.
    pub key: DropKey,
    /// Packets dropped in this run.
    pub count: u64,
    /// The first of them.
    pub first_ns: u64,
    /// The last.
    pub last_ns: u64,
    /// Kernel address of the code that freed the last.
    pub location: u64,
}
const _: () = assert!(size_of::<DropRecord>() == 112);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_no_reason_beyond_its_end() {
        let mut config = DropConfig::default();
        for reason in [3, 8, 64, 255, 256, 70_000] {
            config.insert(reason);
        }
        let held: Vec<u32> = (0..80_000).filter(|r| config.is_loss(*r)).collect();
        assert_eq!(held, [3, 8, 64, 255]);
    }
}
