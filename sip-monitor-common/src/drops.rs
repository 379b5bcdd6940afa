//! Packets the kernel freed: what the program at `kfree_skb` is told, and what it tells.

use crate::{ip::Address, record::RecordHeader};

/// Drop reasons that fit into the set; Linux 6.18 has about 120.
pub const MAX_DROP_REASONS: usize = 256;
/// After so long without a drop the next begins a new run, counted from 1: what was dropped before says nothing of it.
pub const DROP_RUN_GAP_NS: u64 = 5_000_000_000;
/// Keys held: a flow and a reason each.
pub const MAX_DROP_KEYS: u32 = 4_096;

/// What a packet carried that the kernel dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DroppedKind {
    /// A datagram to or from a SIP port.
    Sip = 1,
    /// A TCP segment between SIP ports that asks for a connection.
    TcpSyn = 2,
    /// One that accepts it.
    TcpSynAck = 3,
    /// One with payload.
    TcpData = 4,
    /// One that only acknowledges.
    TcpAck = 5,
    /// RTP.
    Rtp = 6,
    /// RTCP.
    Rtcp = 7,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

impl DroppedKind {
    const ALL: [Self; 7] =
        [Self::Sip, Self::TcpSyn, Self::TcpSynAck, Self::TcpData, Self::TcpAck, Self::Rtp, Self::Rtcp];

    /// The one with that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether it is a segment of TCP.
    #[inline(always)]
    #[must_use]
    pub const fn is_of_tcp(self) -> bool {
        matches!(self, Self::TcpSyn | Self::TcpSynAck | Self::TcpData | Self::TcpAck)
    }

    /// That of a segment with these flags; `None` where nothing is lost with it. What ends a connection is left out: firewalls drop
    /// resets and FINs of connections that they have forgotten all day (`ct state invalid`), and nobody misses them.
    #[inline(always)]
    #[must_use]
    pub const fn of_segment(flags: u8, has_payload: bool) -> Option<Self> {
        if flags & RST != 0 {
            return None;
        }
        match (flags & SYN != 0, flags & ACK != 0, flags & FIN != 0) {
            (true, false, _) => Some(Self::TcpSyn),
            (true, true, _) => Some(Self::TcpSynAck),
            (false, _, _) if has_payload => Some(Self::TcpData),
            (false, true, false) => Some(Self::TcpAck),
            (false, ..) => None,
        }
    }
}

/// What the program is told of the running kernel besides where its members are. All zeros switch it off.
///
/// Layout: 72 bytes, align 8, no padding, host byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DropConfig {
    /// Bit n: reason n is a loss.
    pub reasons: [u64; MAX_DROP_REASONS / 64],
    /// Bit n: reason n is one for TCP, too. A full queue is how TCP learns to send slower, and what it lacks it sends again.
    pub reasons_tcp: [u64; MAX_DROP_REASONS / 64],
    /// Inode number of the network namespace that is watched.
    pub netns: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<DropConfig>() == 72);

impl DropConfig {
    /// Whether the reason means a loss.
    #[inline(always)]
    #[must_use]
    pub fn is_loss(&self, reason: u32) -> bool {
        holds(&self.reasons, reason)
    }

    /// Whether it does of TCP.
    #[inline(always)]
    #[must_use]
    pub fn is_loss_of_tcp(&self, reason: u32) -> bool {
        holds(&self.reasons_tcp, reason)
    }

    /// Adds a reason that means a loss; `of_tcp`: also of TCP.
    pub fn insert(&mut self, reason: u32, of_tcp: bool) {
        if reason >= MAX_DROP_REASONS as u32 {
            return;
        }
        let sets = [Some(&mut self.reasons), of_tcp.then_some(&mut self.reasons_tcp)];
        for word in sets.into_iter().flatten().filter_map(|set| set.get_mut((reason >> 6) as usize)) {
            *word |= 1 << (reason & 63);
        }
    }
}

#[inline(always)]
fn holds(set: &[u64; MAX_DROP_REASONS / 64], reason: u32) -> bool {
    reason < MAX_DROP_REASONS as u32 && (set[(reason >> 6) as usize & 3] >> (reason & 63)) & 1 == 1
}

/// Key of the map `DROPS`: one flow, what of it is dropped, and why.
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
    pub reason: u16,
    /// A [`DroppedKind`].
    pub kind: u8,
    /// Zero.
    pub reserved: u8,
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
            config.insert(reason, reason == 8);
        }
        let held: Vec<u32> = (0..80_000).filter(|r| config.is_loss(*r)).collect();
        assert_eq!(held, [3, 8, 64, 255]);
        let held: Vec<u32> = (0..80_000).filter(|r| config.is_loss_of_tcp(*r)).collect();
        assert_eq!(held, [8]);
    }

    #[test]
    fn a_number_is_that_of_its_kind_and_of_no_other() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|n| DroppedKind::from_number(*n).is_some()).collect();
        assert_eq!(known, [1, 2, 3, 4, 5, 6, 7]);
        assert!(DroppedKind::ALL.iter().all(|kind| DroppedKind::from_number(*kind as u8) == Some(*kind)));
    }

    #[test]
    fn what_opens_carries_or_acknowledges_is_kept_and_what_ends_a_connection_is_not() {
        const PSH: u8 = 8;
        for (flags, has_payload, kind) in [
            (SYN, false, Some(DroppedKind::TcpSyn)),
            (SYN, true, Some(DroppedKind::TcpSyn)),
            (SYN | ACK, false, Some(DroppedKind::TcpSynAck)),
            (PSH | ACK, true, Some(DroppedKind::TcpData)),
            (FIN | ACK, true, Some(DroppedKind::TcpData)),
            (ACK, false, Some(DroppedKind::TcpAck)),
            (FIN | ACK, false, None),
            (FIN, false, None),
            (RST, false, None),
            (RST | ACK, true, None),
            (0, false, None),
        ] {
            assert_eq!(DroppedKind::of_segment(flags, has_payload), kind, "{flags} {has_payload}");
        }
    }
}
