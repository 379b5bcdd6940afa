//! What the engine took, and what it could not use or keep and why. Nothing is lost in silence.

/// Counts since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets handed to the engine.
    pub packets: u64,
    /// SIP requests read, retransmissions included.
    pub requests: u64,
    /// SIP responses read, retransmissions included.
    pub responses: u64,
    /// Keep-alives and empty datagrams on SIP ports.
    pub keep_alives: u64,
    /// Datagrams on SIP ports that are no SIP.
    pub not_sip: u64,
    /// SIP messages without a usable Call-ID.
    pub without_call_id: u64,
    /// SIP messages that name no method.
    pub without_method: u64,
    /// Packets that were seen a second time (a mirror port, a VLAN trunk).
    pub captured_twice: u64,
    /// TCP segments of SIP ports.
    pub tcp_segments: u64,
    /// SIP messages read from TCP or WebSocket.
    pub stream_messages: u64,
    /// Bytes on TCP connections of SIP ports that are no SIP.
    pub stream_garbage_bytes: u64,
    /// Messages over TCP of which a part was not seen, or that were too long to be kept.
    pub stream_messages_cut: u64,
    /// TCP connections forgotten for want of room.
    pub connections_evicted: u64,
    /// Fragmented datagrams of signalling that never became whole.
    pub incomplete: u64,
    /// Others that never became whole.
    pub incomplete_other: u64,
    /// RTCP compounds.
    pub rtcp: u64,
    /// Reports about RTP streams.
    pub stream_reports: u64,
    /// Reports about packets that this host's kernel dropped.
    pub kernel_drop_reports: u64,
    /// Places at which the kernel drops, and reports of drops that no call had claimed yet, forgotten for want of room.
    pub drops_evicted: u64,
    /// ICMP errors joined to a call's signalling.
    pub icmp_signalling: u64,
    /// ICMP errors that belong to no call's signalling; media looks at them.
    pub icmp_other: u64,
    /// Call-IDs seen.
    pub sessions: u64,
    /// Calls that were up before they were first seen.
    pub adopted: u64,
    /// Call-IDs forgotten for want of room.
    pub evicted: u64,
    /// Messages under a new Call-ID that found no room and nothing to evict.
    pub refused: u64,
    /// Bindings forgotten for want of room.
    pub registrations_evicted: u64,
    /// Bindings that found no room.
    pub registrations_refused: u64,
    /// Source addresses that found no room: nothing is said of their scans.
    pub sources_refused: u64,
    /// Intervals of streams not counted for their peer for want of room.
    pub quality_refused: u64,
    /// Calls freed since nothing was heard of them for too long.
    pub idle: u64,
    /// Transactions forgotten for want of room within their call.
    pub transactions_dropped: u64,
    /// Dialogs, answers, hops and responses not kept for want of room within their call.
    pub details_dropped: u64,
    /// Responses whose request was not seen.
    pub stray_responses: u64,
    /// Times a call was put before the diagnoses.
    pub judgements: u64,
    /// Packets older than one before them; they count as of the latest time.
    pub out_of_order: u64,
}
