//! When facts about media come about by time alone, besides those of flow: early media that does not come, a silence that
//! grows old, RTCP that stays away, a fax that does not begin.

use core::time::Duration;

use smallvec::SmallVec;

use crate::media::{MediaSession, MediaTable, Stream};
use crate::record::Side;
use crate::time::Timestamp;

/// Early media is spoken of when the phone has been ringing for so long.
pub const EARLY_MEDIA: Duration = Duration::from_secs(4);
/// A call without media for so long is up only on paper.
pub const ZOMBIE: Duration = Duration::from_secs(60);
/// RTCP comes each 5 s (RFC 3550 6.2); six intervals without it are no chance.
pub const RTCP_MISSING: Duration = Duration::from_secs(30);
/// A fax begins within so much of the answer to its re-INVITE.
pub const FAX_START: Duration = Duration::from_secs(6);
/// Where media comes from is spoken of when it is clear whether it flows at all.
pub const SOURCE_SETTLED: Duration = Duration::from_secs(6);
/// A stream flows at a point in time where it was reported so lately.
const LATELY: Duration = Duration::from_secs(3);

/// A side that sends RTP and whose RTCP stays away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RtcpSilence {
    /// Which side.
    pub from: Side,
    /// Its last RTCP, or since when RTP has flowed both ways.
    pub since: Timestamp,
    /// RTCP compounds of the other side show that RTCP passes here.
    pub other_is_heard: bool,
}

impl MediaSession {
    /// The first point in time after `after` at which time alone brings a fact about.
    #[must_use]
    pub fn next_watch(&self, table: &MediaTable, after: Timestamp) -> Option<Timestamp> {
        let key = self.key?;
        let mut times: SmallVec<[Timestamp; 8]> = SmallVec::new();
        match self.confirmed_at {
            None => times.extend(self.early_since().map(|since| since + EARLY_MEDIA)),
            Some(confirmed_at) => {
                let secure = self.agreed_audio().filter(|a| a.caller.secure || a.callee.secure);
                times.extend(secure.map(|a| a.since.max(confirmed_at) + Duration::from_millis(1)));
                let fax = self.fax().and_then(|fax| fax.agreed_at.or(fax.refused_at));
                times.extend(fax.into_iter().flat_map(|at| [at + Duration::from_millis(1), at + FAX_START]));
                let unannounced =
                    table.streams_of(key).any(|s| s.counters.in_sequence && !table.is_held(s.counters.key.src));
                let due = self.agreed_audio().filter(|_| unannounced).map(|a| a.since.max(confirmed_at));
                times.extend(due.map(|since| since + SOURCE_SETTLED));
                let last_at =
                    table.streams_of(key).filter(|s| s.counters.in_sequence).map(|s| s.counters.last_at).max();
                times.extend(last_at.map(|at| at + ZOMBIE));
                times.extend(self.rtcp_silences(table).filter(|s| s.other_is_heard).map(|s| s.since + RTCP_MISSING));
            }
        }
        times.into_iter().filter(|at| *at > after).min()
    }

    /// Since when an early answer has promised media to the caller, before the call is answered.
    #[must_use]
    pub fn early_since(&self) -> Option<Timestamp> {
        if self.confirmed_at.is_some() {
            return None;
        }
        self.agreed_audio().filter(|a| a.is_due(Side::Caller)).map(|a| a.since).min()
    }

    /// Each side that sends RTP, since when no RTCP of it has come. Only where RTP flows both ways. What this host's kernel dropped was
    /// sent.
    pub fn rtcp_silences(&self, table: &MediaTable) -> impl Iterator<Item = RtcpSilence> {
        let both = self.rtp_both_ways_since(table);
        let heard = |from: Side| {
            let of_side = table.rtcp(self.key?).iter().filter(|r| r.from == Some(from));
            of_side.map(|r| r.last_at).max()
        };
        let dropped = |from: Side| {
            let of_side = table.dropped_rtcp(self.key?).iter().filter(|r| r.from == Some(from));
            of_side.map(|r| r.drop.last_at).max()
        };
        let silence = |from: Side| {
            let since = both?;
            Some(RtcpSilence {
                from,
                since: heard(from).max(dropped(from)).map_or(since, |at| at.max(since)),
                other_is_heard: heard(from.other()).is_some_and(|at| at >= since),
            })
        };
        [silence(Side::Caller), silence(Side::Callee)].into_iter().flatten()
    }

    /// Since when audio has flowed both ways without a pause, where it does.
    fn rtp_both_ways_since(&self, table: &MediaTable) -> Option<Timestamp> {
        let (key, confirmed_at) = (self.key?, self.confirmed_at?);
        let audio = self.agreed_audio().find(|a| a.is_due_both_ways())?;
        let of_side = |from: Side| -> Option<&Stream> {
            let sent = table.streams_of(key).filter(|s| s.counters.in_sequence);
            let sent = sent.filter(|s| s.owner.as_ref().is_some_and(|o| o.from == Some(from)));
            sent.max_by_key(|s| s.counters.last_at)
        };
        let (one, other) = (of_side(Side::Caller)?, of_side(Side::Callee)?);
        let (a, b) = (one.counters.last_at, other.counters.last_at);
        let together = a.since(b).max(b.since(a)) <= LATELY;
        together.then(|| one.burst_at.max(other.burst_at).max(audio.since).max(confirmed_at))
    }
}
