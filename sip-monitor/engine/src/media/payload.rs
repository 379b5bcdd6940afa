//! What the payloads of a stream show over time: whether they are always the same, and whether their type is settled.

use core::time::Duration;

use crate::media::Stream;
use crate::packet::{Direction, StreamCounters};
use crate::time::Timestamp;

/// A payload that stays the same for so long is no speech.
pub const CONSTANT_FOR: Duration = Duration::from_secs(10);
/// So many packets in a row of one payload type (half a second at 20 ms) and the sender has settled on it.
pub const SETTLED_RUN: u8 = 25;
/// RTP this long after the end of its call is more than what was under way.
pub const AFTER_END: Duration = Duration::from_secs(5);
/// Expedited forwarding: voice (RFC 3246, RFC 4594 4.1).
pub const DSCP_EF: u8 = 46;
/// Expedited forwarding with admission control: voice, too (RFC 5865).
const DSCP_VOICE_ADMIT: u8 = 44;
/// The clock of video (RFC 3551 5).
const VIDEO_CLOCK_HZ: u32 = 90_000;
/// Payloads shorter than this are silence frames and telephone events: that they are alike says nothing.
const SPEECH_BYTES: u16 = 8;
/// A silence this long ends a run of equal payloads: reports come each second.
const BREAK: Duration = Duration::from_secs(2);

/// What the payloads of a stream showed, as exact as reports once a second tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadHistory {
    /// Since when each payload is the same as the one before.
    constant_since: Option<Timestamp>,
    /// Payloads differed at some time.
    pub varied: bool,
}

impl PayloadHistory {
    pub(super) fn new(counters: &StreamCounters) -> Self {
        let constant = counters.packets > 1 && u64::from(counters.same_payload) + 1 >= counters.packets;
        let varied = counters.packets > 1 && !constant;
        Self { constant_since: (!varied).then_some(counters.first_at), varied }
    }

    /// Takes the next report. Returns whether its payload has just been the same for long enough to speak of.
    pub(super) fn update(&mut self, before: &StreamCounters, now: &StreamCounters) -> bool {
        let repeats = now.duplicates.saturating_sub(before.duplicates);
        let new = now.packets.saturating_sub(before.packets).saturating_sub(repeats);
        let equal = u64::from(now.same_payload) >= new;
        let is_speech = now.payload_bytes >= SPEECH_BYTES;
        let paused = now.last_at.since(before.last_at) >= BREAK;
        let was_constant_for = self.constant_for(before);
        self.constant_since = match self.constant_since {
            _ if !is_speech || paused => None,
            known @ Some(_) if equal => known,
            None if equal && new > 1 => Some(before.last_at),
            Some(_) | None => None,
        };
        self.varied |= is_speech && !equal;
        self.constant_for(now) >= CONSTANT_FOR && was_constant_for < CONSTANT_FOR
    }

    fn constant_for(&self, counters: &StreamCounters) -> Duration {
        self.constant_since.map_or(Duration::ZERO, |since| counters.last_at.since(since))
    }
}

/// What changed from one report of a stream to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The sender has settled on a payload type.
    pub settles: bool,
    restarted: bool,
    event_without_end: bool,
    /// A telephone event began.
    pub has_event: bool,
}

impl Turn {
    pub fn between(before: &StreamCounters, now: &StreamCounters) -> Self {
        Self {
            settles: now.type_run >= SETTLED_RUN && before.type_run < SETTLED_RUN,
            restarted: now.restarts > before.restarts,
            has_event: now.events > before.events,
            event_without_end: now.events > before.events && before.events_ended < before.events,
        }
    }

    pub const fn is_jump(self) -> bool {
        self.restarted || self.event_without_end
    }
}

impl Stream {
    /// Whether it leaves this host without a code point for voice, or arrives without any.
    #[must_use]
    pub const fn is_oddly_marked(&self) -> bool {
        match self.counters.key.direction {
            Direction::Out => !matches!(self.counters.dscp, DSCP_EF | DSCP_VOICE_ADMIT),
            Direction::In => self.counters.dscp == 0,
            Direction::Transit => false,
        }
    }

    /// Whether it carries audio, as far as its payload type tells: video is marked otherwise (RFC 4594 4.4).
    #[must_use]
    pub fn is_audio(&self) -> bool {
        self.clock_rate_hz() != VIDEO_CLOCK_HZ
    }

    /// Whether telephone-event is among the codecs of its receiver.
    pub(super) fn may_carry_events(&self) -> bool {
        self.owner.as_ref().is_none_or(|o| o.codecs.iter().any(|c| c.name.eq_ignore_ascii_case("telephone-event")))
    }

    /// Whether the type of its last packet is among the codecs of its receiver.
    pub(super) fn is_of_known_type(&self) -> bool {
        self.owner.as_ref().is_none_or(|o| {
            o.codecs.is_empty() || o.codecs.iter().any(|c| c.payload_type == self.counters.payload_type)
        })
    }

    /// For how long, up to its last packet, every payload has been the same. Comfort noise, telephone events and the frames
    /// of discontinuous transmission do not count.
    #[must_use]
    pub fn constant_for(&self) -> Duration {
        if self.is_accessory(self.counters.payload_type) || self.counters.payload_bytes < SPEECH_BYTES {
            return Duration::ZERO;
        }
        self.payload.constant_for(&self.counters)
    }

    /// The payload type its sender has settled on.
    #[must_use]
    pub fn settled_type(&self) -> Option<u8> {
        (self.counters.type_run >= SETTLED_RUN).then_some(self.counters.payload_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tests::counters;

    /// A report `ms` after the start, with a run of `same` equal payloads.
    fn report(ms: u64, same: u32) -> StreamCounters {
        StreamCounters { same_payload: same, ..counters("198.51.100.10:4000", "203.0.113.7:5000", 0, ms, ms / 20 + 1) }
    }

    fn played(reports: &[StreamCounters]) -> (Stream, Vec<bool>) {
        let mut stream = Stream::new(reports[0]);
        let told = reports[1..].iter().map(|next| stream.update(next)).collect();
        (stream, told)
    }

    #[test]
    fn a_payload_that_never_changes_is_told_once_after_ten_seconds() {
        let reports: Vec<_> = (0..14).map(|s| report(20 + s * 1_000, u32::try_from(1 + s * 50).unwrap())).collect();
        let (stream, told) = played(&reports);
        assert_eq!(told.iter().filter(|t| **t).count(), 1);
        assert!(stream.constant_for() >= CONSTANT_FOR && !stream.payload.varied);
    }

    #[test]
    fn a_change_of_payload_ends_the_run() {
        let mut reports: Vec<_> = (0..9).map(|s| report(20 + s * 1_000, u32::try_from(1 + s * 50).unwrap())).collect();
        reports.push(report(9_020, 3));
        let (stream, _) = played(&reports);
        assert_eq!(stream.constant_for(), Duration::ZERO);
        assert!(stream.payload.varied);
    }

    #[test]
    fn short_payloads_are_silence_frames() {
        let reports: Vec<_> = (0..14)
            .map(|s| StreamCounters { payload_bytes: 7, ..report(20 + s * 1_000, u32::try_from(1 + s * 50).unwrap()) })
            .collect();
        assert_eq!(played(&reports).0.constant_for(), Duration::ZERO);
    }
}
