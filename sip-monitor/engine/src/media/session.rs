//! What offer and answer of one call agreed on (RFC 3264), for each hop on which the SDP was seen: a proxy that rewrites
//! SDP has another session on each side.

use core::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::call::CallKey;
use crate::media::fax::{FaxSwitch, offers_fax};
use crate::media::holders::Place;
use crate::media::{Description, MediaTable, SdpContext, SdpRole};
use crate::record::{MediaRecord, Side};
use crate::sdp::{MediaKind, Sdp};
use crate::time::Timestamp;

/// Hops of one call whose media is kept.
const MAX_LEGS: usize = 8;
/// m-lines of one SDP that are kept.
const MAX_LINES: usize = 16;
/// Branches of a fork whose early answer is kept.
const MAX_EARLY: usize = 8;

/// Negotiated media of one call.
#[derive(Clone, Debug, Default)]
pub struct MediaSession {
    pub(super) key: Option<CallKey>,
    pub(super) legs: SmallVec<[Leg; 1]>,
    pub(super) confirmed_at: Option<Timestamp>,
    /// Payload types that caller and callee ever announced, one bit each.
    pub(super) announced_types: [u128; 2],
    pub(super) fax: Option<Box<FaxSwitch>>,
    ended_at: Option<Timestamp>,
}

/// The session as one hop saw it.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    /// Signalling addresses: the end nearer to the caller, the end nearer to the callee.
    pub hop: (SocketAddr, SocketAddr),
    /// m-lines as agreed on last.
    pub lines: Vec<Line>,
    /// The last offer, until it is rejected.
    pub offer: Option<Offer>,
    /// What was in force before the last offer was answered, in case it is rejected after all.
    previous: Option<Vec<Line>>,
    /// Answers in provisional responses, by dialog.
    early: SmallVec<[(u64, Lines); 1]>,
    created_at: Timestamp,
    touched_at: Timestamp,
}

pub(super) type Lines = Vec<Arc<Description>>;

#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub from: Side,
    at: Timestamp,
    pub lines: Lines,
    answered: bool,
}

/// One m-line of an answered offer.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub caller: Arc<Description>,
    pub callee: Arc<Description>,
    /// Since when these terms have been in force.
    pub since: Timestamp,
}

impl Line {
    /// What a side wrote.
    pub fn of(&self, side: Side) -> &Description {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    /// Whether media must flow towards a side: it receives, and the other sends.
    pub fn is_due(&self, to: Side) -> bool {
        self.of(to).receives() && self.of(to.other()).sends()
    }

    /// Accepted by both sides.
    pub fn is_active(&self) -> bool {
        self.caller.port != 0 && self.callee.port != 0
    }

    /// Whether nothing changes for the media: the same ends, and the same directions. A side that is taken off hold may
    /// have been silent, so that what it sends is due anew as well.
    fn same_terms(&self, other: &Self) -> bool {
        [Side::Caller, Side::Callee].iter().all(|&to| self.is_due(to) == other.is_due(to))
            && self.caller.endpoint == other.caller.endpoint
            && self.callee.endpoint == other.callee.endpoint
    }
}

impl MediaSession {
    /// Takes an SDP that is no retransmission. Its caller tells offer from answer.
    pub fn handle_sdp(&mut self, table: &mut MediaTable, key: CallKey, context: &SdpContext<'_>, sdp: &Sdp<'_>) {
        self.key = Some(key);
        let describe = |media| {
            let codecs = table.share_codecs(&media);
            Arc::new(Description::from_sdp(&media, codecs))
        };
        let lines: Lines = sdp.media().take(MAX_LINES).map(describe).collect();
        for codec in lines.iter().flat_map(|line| line.codecs.iter()).filter(|c| c.payload_type < 128) {
            self.announced_types[context.from as usize] |= 1 << codec.payload_type;
        }
        self.note_fax(context, &lines);
        hold_endpoints(table, key, context, &lines);
        let hop = match context.from {
            Side::Caller => (context.src, context.dst),
            Side::Callee => (context.dst, context.src),
        };
        let Some(index) = self.leg_for(hop, context) else { return };
        let Some(leg) = self.legs.get_mut(index) else { return };
        leg.touched_at = context.at;
        match context.role {
            SdpRole::Offer => {
                leg.offer = Some(Offer { from: context.from, at: context.at, lines, answered: false });
                leg.early.clear();
            }
            SdpRole::Answer => {
                leg.handle_answer(context, lines);
                self.retire_bypassed(index);
            }
        }
    }

    /// The offer that `offerer` made between `src` and `dst` (in either order) was refused or given up: what was agreed on
    /// before stays in force (RFC 3264 8).
    pub fn offer_rejected(&mut self, at: Timestamp, offerer: Side, src: SocketAddr, dst: SocketAddr) {
        let between = |leg: &Leg| leg.hop == (src, dst) || leg.hop == (dst, src);
        let pending = |leg: &Leg| leg.offer.as_ref().is_some_and(|o| o.from == offerer);
        let found = self
            .legs
            .iter()
            .position(|leg| between(leg) && pending(leg))
            .or_else(|| self.legs.iter().position(|leg| pending(leg) && same_hosts(leg.hop, src, dst)));
        let Some(leg) = found.and_then(|index| self.legs.get_mut(index)) else { return };
        if leg.offer.as_ref().is_some_and(|o| offers_fax(&o.lines))
            && let Some(fax) = self.fax.as_mut().filter(|fax| fax.offerer == offerer)
        {
            fax.refuse(at);
        }
        leg.offer = None;
        leg.early.clear();
        if let Some(previous) = leg.previous.take() {
            leg.lines = previous;
        }
        leg.touched_at = at;
    }

    /// The first 2xx to the initial INVITE was seen, in the dialog of that identity: media is due from here on.
    pub fn confirmed(&mut self, at: Timestamp, dialog: u64) {
        self.confirmed_at.get_or_insert(at);
        // A 2xx without SDP makes the answer of an earlier reliable response final (RFC 3262 5), that of its own branch.
        for leg in &mut self.legs {
            if let Some(index) = leg.early.iter().position(|(d, _)| *d == dialog) {
                let (_, lines) = leg.early.swap_remove(index);
                leg.agree(at, &lines, true);
            }
            leg.early.clear();
        }
    }

    /// A BYE, CANCEL or final refusal was seen: media is due no more.
    pub fn ended(&mut self, at: Timestamp) {
        self.ended_at.get_or_insert(at);
    }

    /// The call was already up when the monitor first saw it, at `at`: what it renegotiates from here on is known.
    pub fn adopted(&mut self, at: Timestamp) {
        self.confirmed_at.get_or_insert(at);
    }

    /// When the call ended, where it has.
    #[must_use]
    pub const fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// Whether one side holds the other: audio that both accepted flows one way at most (RFC 3264 8.4).
    #[must_use]
    pub fn is_held(&self) -> bool {
        let latest = self.legs.iter().filter(|leg| !leg.lines.is_empty()).max_by_key(|leg| leg.touched_at);
        latest.and_then(Leg::audio).is_some_and(|line| !(line.is_due(Side::Caller) && line.is_due(Side::Callee)))
    }

    /// The media descriptions as last negotiated.
    #[must_use]
    pub fn records(&self) -> Vec<MediaRecord> {
        let mut records = Vec::new();
        for leg in &self.legs {
            for record in leg.records() {
                if !records.contains(&record) {
                    records.push(record);
                }
            }
        }
        records
    }

    /// The leg an SDP belongs to. Responses may come back to another port than the request left from (RFC 3261 18.2.2).
    fn leg_for(&mut self, hop: (SocketAddr, SocketAddr), context: &SdpContext<'_>) -> Option<usize> {
        let awaits = |leg: &Leg| match context.role {
            SdpRole::Answer => leg.offer.as_ref().is_some_and(|o| o.from != context.from),
            // A second hop between the same hosts: the first one has the same offer under way.
            SdpRole::Offer => leg.offer.as_ref().is_none_or(|o| o.answered),
        };
        let legs = &self.legs;
        let found = legs
            .iter()
            .position(|leg| leg.hop == hop && (awaits(leg) || context.role == SdpRole::Offer))
            .or_else(|| legs.iter().position(|leg| same_hosts(leg.hop, hop.0, hop.1) && awaits(leg)))
            .or_else(|| legs.iter().position(|leg| leg.hop == hop))
            .or_else(|| (context.role == SdpRole::Answer && legs.len() == 1 && legs.iter().all(awaits)).then_some(0));
        if found.is_some() {
            return found;
        }
        if self.legs.len() >= MAX_LEGS {
            return None;
        }
        self.legs.push(Leg {
            hop,
            lines: Vec::new(),
            offer: None,
            previous: None,
            early: SmallVec::new(),
            created_at: context.at,
            touched_at: context.at,
        });
        Some(self.legs.len() - 1)
    }

    /// A re-INVITE that takes a new way, past the hops of the first one, leaves their session behind.
    fn retire_bypassed(&mut self, index: usize) {
        let Some(leg) = self.legs.get(index) else { return };
        let Some(offered_at) = leg.offer.as_ref().map(|o| o.at) else { return };
        if self.confirmed_at.is_some_and(|at| leg.created_at > at) {
            self.legs.retain(|other| other.touched_at >= offered_at);
        }
    }
}

impl Leg {
    /// Who made the last offer.
    pub fn offerer(&self) -> Option<Side> {
        self.offer.as_ref().map(|o| o.from)
    }

    fn handle_answer(&mut self, context: &SdpContext<'_>, lines: Lines) {
        if self.offer.as_ref().is_none_or(|o| o.from == context.from) {
            return;
        }
        if !context.confirms {
            self.early.retain(|(dialog, _)| *dialog != context.dialog);
            if self.early.len() < MAX_EARLY {
                self.early.push((context.dialog, lines.clone()));
            }
        }
        self.agree(context.at, &lines, context.confirms);
    }

    /// Puts the last offer and `answer` into force, m-line by m-line (RFC 3264 6).
    fn agree(&mut self, at: Timestamp, answer: &[Arc<Description>], finally: bool) {
        let Some(offer) = &mut self.offer else { return };
        offer.answered |= finally;
        let mut lines = Vec::with_capacity(answer.len());
        for (index, (offered, answered)) in offer.lines.iter().zip(answer).enumerate() {
            let (caller, callee) = match offer.from {
                Side::Caller => (offered, answered),
                Side::Callee => (answered, offered),
            };
            let mut line = Line { caller: Arc::clone(caller), callee: Arc::clone(callee), since: at };
            if let Some(known) = self.lines.get(index).filter(|known| line.same_terms(known)) {
                line.since = known.since;
            }
            lines.push(line);
        }
        let replaced = core::mem::replace(&mut self.lines, lines);
        if finally {
            self.previous = None;
        } else {
            self.previous.get_or_insert(replaced);
        }
    }

    /// The audio that both sides accepted, of the first m-line where there is more than one.
    pub fn audio(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.is_active() && line.caller.kind == MediaKind::Audio && line.caller.rtp)
    }

    /// Fax over T.38 was agreed on: no audio need flow beside it.
    pub fn is_fax(&self) -> bool {
        self.lines.iter().any(|line| line.is_active() && (line.caller.t38 || line.callee.t38))
    }

    fn records(&self) -> Vec<MediaRecord> {
        let answerer = self.offer.as_ref().map_or(Side::Callee, |o| o.from.other());
        if !self.lines.is_empty() {
            return self.lines.iter().map(|line| line.record(answerer)).collect();
        }
        let Some(offer) = &self.offer else { return Vec::new() };
        offer.lines.iter().map(|d| offered_record(d, offer.from)).collect()
    }
}

impl Line {
    fn record(&self, answerer: Side) -> MediaRecord {
        let direction = match (self.is_due(Side::Callee), self.is_due(Side::Caller)) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        };
        MediaRecord {
            kind: self.caller.kind_name().to_owned(),
            caller: self.caller.endpoint.map(|e| e.to_string()),
            callee: self.callee.endpoint.map(|e| e.to_string()),
            direction: direction.to_owned(),
            codecs: self.of(answerer).codec_names(),
        }
    }
}

fn offered_record(d: &Description, from: Side) -> MediaRecord {
    let endpoint = d.endpoint.map(|e| e.to_string());
    let (caller, callee) = match from {
        Side::Caller => (endpoint, None),
        Side::Callee => (None, endpoint),
    };
    let (sends, receives) = match from {
        Side::Caller => (d.sends(), d.receives()),
        Side::Callee => (d.receives(), d.sends()),
    };
    let direction = match (sends, receives) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    };
    MediaRecord {
        kind: d.kind_name().to_owned(),
        caller,
        callee,
        direction: direction.to_owned(),
        codecs: d.codec_names(),
    }
}

fn same_hosts(hop: (SocketAddr, SocketAddr), a: SocketAddr, b: SocketAddr) -> bool {
    let (x, y) = (hop.0.ip(), hop.1.ip());
    (x, y) == (a.ip(), b.ip()) || (x, y) == (b.ip(), a.ip())
}

/// Makes the endpoints of an SDP known to the table, so that its streams find their call.
fn hold_endpoints(table: &mut MediaTable, key: CallKey, context: &SdpContext<'_>, lines: &[Arc<Description>]) {
    let (at, side) = (context.at, context.from);
    for line in lines.iter().filter(|line| line.rtp) {
        for endpoint in line.endpoints() {
            let place = Place { endpoint, side, rtcp_only: false, weak: false };
            table.hold(at, key, context.call_id, &place, &line.codecs);
        }
        if let Some(endpoint) = line.rtcp.filter(|rtcp| Some(*rtcp) != line.endpoint) {
            let place = Place { endpoint, side, rtcp_only: true, weak: false };
            table.hold(at, key, context.call_id, &place, &line.codecs);
        }
        // A host behind one-to-one NAT that tells its public address gets its media at the private one, port kept.
        let behind_nat =
            line.address().is_some_and(|address| !table.is_local(address)) && table.is_local(context.src.ip());
        if behind_nat && line.endpoint.is_some() {
            let endpoint = SocketAddr::new(context.src.ip(), line.port);
            let place = Place { endpoint, side, rtcp_only: false, weak: true };
            table.hold(at, key, context.call_id, &place, &line.codecs);
        }
    }
}
