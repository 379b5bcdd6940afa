//! Sizes and times both sides must agree on.

/// Most bytes of one packet in one record; a longer packet goes up in parts.
pub const PART_BYTES: usize = 8192;
/// Most parts of one packet: 9 * 8 KiB hold the longest IPv6 packet (40 + 65,535 bytes).
pub const MAX_PARTS: u32 = 9;
/// Most segments walked in one UDP GSO super-packet (UDP_MAX_SEGMENTS of Linux 6.9; 64 before).
pub const MAX_SEGMENTS: u32 = 128;
/// IPv6 extension headers followed before the packet is given up.
pub const MAX_EXTENSION_HEADERS: u32 = 6;
/// Tunnels within each other that are followed before the packet is given up.
pub const MAX_TUNNELS: u32 = 2;
/// Extension headers of GTP-U that are followed.
pub const MAX_GTP_EXTENSIONS: u32 = 2;
/// Leading CRLF pairs skipped before a SIP start line (RFC 3261 7.5).
pub const MAX_LEADING_CRLF: usize = 4;
/// A live stream reports this often.
pub const REPORT_INTERVAL_NS: u64 = 1_000_000_000;
/// A stream of fewer than two packets in sequence is forgotten after this much silence: a chance look-alike.
pub const LOOKALIKE_IDLE_NS: u64 = 10_000_000_000;
/// A stream is forgotten after this much silence; the same SSRC then begins anew.
pub const STREAM_IDLE_NS: u64 = 600_000_000_000;
/// Streams in the kernel's map where the configuration says nothing else.
pub const DEFAULT_MAX_STREAMS: u32 = 65_536;
/// Bytes of the signalling ring where the configuration says nothing else. A power of two.
pub const DEFAULT_SIGNALLING_RING_BYTES: u32 = 16 << 20;
/// Bytes of the media ring where the configuration says nothing else. A power of two.
pub const DEFAULT_MEDIA_RING_BYTES: u32 = 16 << 20;

/// Ring of SIP, SIP over TCP, IP fragments and ICMP errors.
pub const MAP_SIGNALLING: &str = "SIGNALLING";
/// Ring of stream reports and RTCP.
pub const MAP_MEDIA: &str = "MEDIA";
/// LRU hash of [`crate::StreamKey`] to [`crate::StreamRecord`].
pub const MAP_STREAMS: &str = "STREAMS";
/// One [`crate::PortSet`].
pub const MAP_SIP_PORTS: &str = "SIP_PORTS";
/// Per-CPU counters, indexed by [`crate::Counter`].
pub const MAP_COUNTERS: &str = "COUNTERS";
/// One u64: the time tests set.
pub const MAP_TEST_CLOCK: &str = "TEST_CLOCK";
/// One [`crate::drops::DropConfig`].
pub const MAP_DROP_CONFIG: &str = "DROP_CONFIG";
/// Program at `kfree_skb`.
pub const PROGRAM_DROPS: &str = "packet_dropped";
/// The same as a raw tracepoint.
pub const PROGRAM_DROPS_RAW: &str = "packet_dropped_raw";
/// Name of the switch that makes the programs read the time from [`MAP_TEST_CLOCK`].
pub const GLOBAL_TEST_CLOCK: &str = "USE_TEST_CLOCK";
/// Name of the switch that tells the programs whether the kernel has bpf_loop.
pub const GLOBAL_HAS_LOOP: &str = "HAS_LOOP";
/// Program at the XDP hook.
pub const PROGRAM_XDP_INGRESS: &str = "xdp_ingress";
/// Program at tc ingress.
pub const PROGRAM_TC_INGRESS: &str = "tc_ingress";
/// Program at tc egress.
pub const PROGRAM_TC_EGRESS: &str = "tc_egress";
/// An empty program at `kfree_skb`: the base line of measurements.
pub const PROGRAM_DROPS_EMPTY: &str = "dropped_empty";
/// An empty XDP program: the base line of measurements.
pub const PROGRAM_XDP_EMPTY: &str = "xdp_empty";
/// An empty tc program: the base line of measurements.
pub const PROGRAM_TC_EMPTY: &str = "tc_empty";
