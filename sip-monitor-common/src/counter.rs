//! What the kernel programs count. Every datagram that passes a hook ends in exactly one of these besides `Received`:
//!
//! `received = reported_* + accounted_rtp + ignored_* + lost_*`
//!
//! A UDP GSO super-packet counts once for each datagram in it.

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One counter; the discriminant is its index in the map `COUNTERS`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Counter { $($(#[$doc])* $variant,)* }

        impl Counter {
            /// All of them, by index.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name people see: a metric's label, a key in status output. Never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

counters! {
    /// Datagrams and packets seen at the hooks.
    Received = "received",
    /// SIP over UDP handed up.
    ReportedSip = "reported_sip",
    /// TCP segments of SIP ports handed up.
    ReportedSipTcp = "reported_sip_tcp",
    /// IP fragments handed up.
    ReportedFragment = "reported_fragment",
    /// RTCP handed up.
    ReportedRtcp = "reported_rtcp",
    /// ICMP errors handed up.
    ReportedIcmp = "reported_icmp",
    /// RTP packets counted in their stream.
    AccountedRtp = "accounted_rtp",
    /// Neither IPv4 nor IPv6: ARP, LLDP, spanning tree and the like.
    IgnoredNotIp = "ignored_not_ip",
    /// Shorter than its own headers say.
    IgnoredTruncated = "ignored_truncated",
    /// Headers that contradict each other.
    IgnoredMalformed = "ignored_malformed",
    /// More VLAN tags or IPv6 extension headers than are followed.
    IgnoredNested = "ignored_nested",
    /// A transport other than UDP, TCP and ICMP.
    IgnoredProtocol = "ignored_protocol",
    /// UDP that is neither SIP nor RTP nor RTCP.
    IgnoredUdp = "ignored_udp",
    /// TCP of other ports.
    IgnoredTcp = "ignored_tcp",
    /// TCP of SIP ports that carries neither payload nor SYN, FIN or RST and does not close the window.
    IgnoredTcpAck = "ignored_tcp_ack",
    /// ICMP that is no error, or quotes no UDP and no SIP over TCP.
    IgnoredIcmp = "ignored_icmp",
    /// Fragments of other transports than UDP.
    IgnoredFragment = "ignored_fragment",
    /// Datagrams of a super-packet beyond the number that is walked.
    LostSegments = "lost_segments",
    /// Signalling for which its ring had no room.
    LostSignallingRing = "lost_signalling_ring",
    /// RTCP for which the media ring had no room.
    LostMediaRing = "lost_media_ring",
    /// RTP of a stream the map could not take.
    LostMapFull = "lost_map_full",
    /// Bytes the kernel refused to hand to the program.
    LostUnreadable = "lost_unreadable",
    /// Streams that began. With what user space finds in the map and has removed itself, this tells how many were evicted.
    StreamsOpened = "streams_opened",
    /// Stream reports put into the media ring. No packet of its own.
    StreamReports = "stream_reports",
    /// Stream reports for which the media ring had no room; a later one replaces them. No packet of its own.
    StreamReportsLost = "stream_reports_lost",
    /// SIP and RTP packets of this host that the kernel dropped for a reason that means loss. They are counted as received too.
    KernelDrops = "kernel_drops",
    /// Reports of them put into the media ring. No packet of its own.
    DropReports = "drop_reports",
    /// Reports of them for which the media ring had no room; a later one replaces them. No packet of its own.
    DropReportsLost = "drop_reports_lost",
    /// Packets of this host that the kernel dropped and whose headers the program could not read: anybody's. They are counted as
    /// received too, where they came in.
    DropsUnread = "drops_unread",
    /// Always 0.
    Reserved = "reserved",
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether it is the fate of a packet, so that all of these together give [`Counter::Received`].
    #[must_use]
    pub const fn is_fate(self) -> bool {
        !matches!(
            self,
            Self::Received
                | Self::StreamsOpened
                | Self::StreamReports
                | Self::StreamReportsLost
                | Self::KernelDrops
                | Self::DropReports
                | Self::DropReportsLost
                | Self::DropsUnread
                | Self::Reserved
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_name_are_unique() {
        let mut names: Vec<_> = Counter::ALL.iter().map(|c| c.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Counter::COUNT);
        for (i, c) in Counter::ALL.iter().enumerate() {
            assert_eq!(*c as usize, i);
        }
    }
}
