//! The record of an RTP stream.

use schemars::JsonSchema;
use serde::Serialize;

use super::Side;
use crate::time::Timestamp;

/// An RTP stream.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StreamRecord {
    /// Version of this schema.
    pub schema: u32,
    /// Call it belongs to, where one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Who sends it, where it belongs to a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_side: Option<Side>,
    /// Sender, `ip:port`.
    pub src: String,
    /// Receiver, `ip:port`.
    pub dst: String,
    /// Synchronisation source, as `0x` and 8 hexadecimal digits.
    pub ssrc: String,
    /// `in`, `out` or `transit`, as seen from this host.
    pub direction: String,
    /// Payload types seen, ascending.
    pub payload_types: Vec<u8>,
    /// Codec of the main payload type, `name/rate`, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// RTP clock rate used for jitter, hertz.
    pub clock_rate_hz: u32,
    /// Packets seen, duplicates and late ones included.
    pub packets: u64,
    /// RTP bytes.
    pub bytes: u64,
    /// Sequence numbers that should have been seen.
    pub expected: u64,
    /// Sequence numbers never seen.
    pub lost: u64,
    /// Packets out of order.
    pub late: u64,
    /// Sequence numbers seen again.
    pub duplicates: u64,
    /// Mean of the interarrival jitter (RFC 3550 A.8) after each packet, milliseconds.
    pub jitter_mean_ms: f64,
    /// Its maximum, milliseconds.
    pub jitter_max_ms: f64,
    /// Longest silence between two packets, milliseconds.
    pub gap_max_ms: f64,
    /// Lowest TTL or hop limit.
    pub ttl_min: u8,
    /// Highest TTL or hop limit.
    pub ttl_max: u8,
    /// Differentiated services code point of the last packet.
    pub dscp: u8,
    /// Intervals of 10 s that were measured; of a shorter stream all of it is one. What the monitor itself missed, pauses and
    /// restarts of the sender are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<u32>,
    /// Those in which more was lost than `rtp-loss` bears (3 %).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lossy_intervals: Option<u32>,
    /// Highest loss of an interval, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_max_percent: Option<f64>,
    /// Lowest MOS of an interval where it passed here (ITU-T G.107, G.107.1; buffer of 60 ms). Left out for codecs without
    /// known impairment factors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_min: Option<f64>,
    /// Mean MOS of the intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_mean: Option<f64>,
    /// Mean R factor of the intervals, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r_factor: Option<f64>,
    /// From this host to the receiver and back, by RTCP, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Packets that its receiver has lost, by its last RTCP report; negative with duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_lost: Option<i32>,
    /// Share that its receiver lost since the report before, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_loss_percent: Option<f64>,
    /// Interarrival jitter at its receiver, by its last report, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_jitter_ms: Option<f64>,
    /// Mean MOS at its receiver, made from its reports as `mos_mean` is from packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_mos: Option<f64>,
    /// MOS-LQ that its receiver tells itself (RFC 3611 4.7.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_mos_lq: Option<f64>,
    /// First packet.
    pub first_at: Timestamp,
    /// Last packet.
    pub last_at: Timestamp,
}
