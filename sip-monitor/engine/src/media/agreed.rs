//! What both sides of a call accepted, as the catalogue looks at it.

use core::net::SocketAddr;

use smallvec::SmallVec;

use crate::media::session::Leg;
use crate::media::{Description, MediaSession, MediaTable};
use crate::record::Side;
use crate::time::Timestamp;

/// Audio that both sides accepted, on one hop of the call.
#[derive(Clone, Copy, Debug)]
pub struct AgreedAudio<'a> {
    /// Signalling addresses: the end nearer to the caller, the end nearer to the callee.
    pub hop: (SocketAddr, SocketAddr),
    /// What the caller wrote.
    pub caller: &'a Description,
    /// What the callee wrote.
    pub callee: &'a Description,
    /// Who made the offer it came of.
    pub offerer: Side,
    /// Since when these terms have been in force.
    pub since: Timestamp,
}

impl AgreedAudio<'_> {
    /// What a side wrote.
    #[must_use]
    pub const fn of(&self, side: Side) -> &Description {
        match side {
            Side::Caller => self.caller,
            Side::Callee => self.callee,
        }
    }

    /// Whether media must flow towards a side.
    #[must_use]
    pub fn is_due(&self, to: Side) -> bool {
        self.of(to).receives() && self.of(to.other()).sends()
    }

    /// Whether media must flow both ways.
    #[must_use]
    pub fn is_due_both_ways(&self) -> bool {
        self.is_due(Side::Caller) && self.is_due(Side::Callee)
    }

    /// Whether either side does ICE: it may settle on addresses that its SDP does not tell.
    #[must_use]
    pub fn has_ice(&self) -> bool {
        !self.caller.candidates.is_empty() || !self.callee.candidates.is_empty()
    }

    /// Whether both sides accepted telephone-event.
    #[must_use]
    pub fn has_telephone_event(&self) -> bool {
        [self.caller, self.callee]
            .iter()
            .all(|d| d.codecs.iter().any(|c| c.name.eq_ignore_ascii_case("telephone-event")))
    }

    /// The end of the hop that is not this host.
    #[must_use]
    pub fn peer(&self, table: &MediaTable) -> SocketAddr {
        if table.is_local(self.hop.1.ip()) { self.hop.0 } else { self.hop.1 }
    }
}

impl MediaSession {
    /// The audio that is agreed on, hop by hop; none where a fax goes on. A proxy that passed the SDP on as it was has the same
    /// on each hop: that counts once.
    pub fn agreed_audio(&self) -> impl Iterator<Item = AgreedAudio<'_>> {
        let mut seen: SmallVec<[(Option<SocketAddr>, Option<SocketAddr>); 2]> = SmallVec::new();
        self.legs.iter().filter_map(move |leg| {
            let line = leg.audio().filter(|_| !leg.is_fax())?;
            let endpoints = (line.caller.endpoint, line.callee.endpoint);
            if seen.contains(&endpoints) {
                return None;
            }
            seen.push(endpoints);
            let (caller, callee) = (&*line.caller, &*line.callee);
            Some(AgreedAudio { hop: leg.hop, caller, callee, offerer: offerer(leg), since: line.since })
        })
    }

    /// When the call was answered, or adopted.
    #[must_use]
    pub const fn confirmed_at(&self) -> Option<Timestamp> {
        self.confirmed_at
    }

    /// Whether a payload type stands in any SDP that the side wrote in this call; `true` where it wrote none that was seen.
    #[must_use]
    pub const fn has_announced(&self, side: Side, payload_type: u8) -> bool {
        let types = self.announced_types[side as usize];
        types == 0 || types >> payload_type & 1 == 1
    }
}

fn offerer(leg: &Leg) -> Side {
    leg.offerer().unwrap_or(Side::Caller)
}
