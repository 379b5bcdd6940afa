//! Every stream the capture reports, and which call an endpoint belongs to.

use crate::call::CallKey;
use crate::config::EngineConfig;
use crate::media::MediaSession;
use crate::packet::{IcmpError, Packet, StreamCounters};
use crate::record::StreamRecord;
use crate::time::Timestamp;

/// Streams and the endpoints that SDP announced.
#[derive(Debug, Default)]
pub struct MediaTable {}

impl MediaTable {
    /// A table with the limits of `config`.
    #[must_use]
    pub fn new(_config: &EngineConfig) -> Self {
        Self {}
    }

    /// Takes a report about a stream. Returns the call to be judged again: where the stream is new to it, counts for the
    /// first time, or comes back after a silence.
    pub fn handle_stream(&mut self, _now: Timestamp, _counters: &StreamCounters) -> Option<CallKey> {
        None
    }

    /// Takes an ICMP error that quotes a UDP flow. Returns the call whose media was refused.
    pub fn handle_icmp(&mut self, _now: Timestamp, _packet: &Packet<'_>, _error: &IcmpError) -> Option<CallKey> {
        None
    }

    /// Takes an RTCP compound. Returns the call it is about where it can change a verdict.
    pub fn handle_rtcp(&mut self, _now: Timestamp, _packet: &Packet<'_>, _payload: &[u8]) -> Option<CallKey> {
        None
    }

    /// The call is freed: its endpoints belong to nobody, its streams are written when they end.
    pub fn release(&mut self, _key: CallKey, _session: &MediaSession) {}

    /// Writes the records of streams that ended.
    pub fn handle_timeout(&mut self, _now: Timestamp) {}

    /// When [`MediaTable::handle_timeout`] should be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// The record of a stream that ended.
    pub fn poll_record(&mut self) -> Option<StreamRecord> {
        None
    }

    /// The capture is over: the records of all streams are due.
    pub fn finish(&mut self, _now: Timestamp) {}

    /// Streams known now.
    #[must_use]
    pub fn len(&self) -> usize {
        0
    }

    /// Whether no stream is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams forgotten for want of room, since start.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        0
    }
}
