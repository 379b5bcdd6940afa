//! Which calls are the legs of a call: asked when an alert or a record is written, answered from what is known by then.

use smallvec::SmallVec;

use super::mark::Kind;
use super::table::Link;
use super::way::Way;
use super::{LegBy, LegRecord, LegRelation, LegTable};
use crate::call::{Call, CallKey, CallTable};
use crate::diagnosis::Confidence;
use crate::media::MediaTable;
use crate::peer::PeerTable;

/// Calls that share both UUIDs of a Session-ID and were up before the monitor was: more are no legs of each other.
const PAIRED: usize = 8;

/// Everything that tells which calls belong together.
#[derive(Clone, Copy)]
pub struct Legs<'a> {
    /// What calls have in common.
    pub table: &'a LegTable,
    /// The calls.
    pub calls: &'a CallTable,
    /// Where they take media.
    pub media: &'a MediaTable,
    /// For the names of trunks.
    pub peers: &'a PeerTable,
}

/// Calls that share something, each with its way, and the call it comes from.
pub(super) struct Family {
    members: SmallVec<[(CallKey, Way); 4]>,
    /// By member, its parent: the last call before it that entered the host it left.
    parents: SmallVec<[Option<usize>; 4]>,
}

impl<'a> Legs<'a> {
    /// The calls that belong to a call, the surest first.
    #[must_use]
    pub fn of(&self, call: CallKey, limit: usize) -> Vec<LegRecord> {
        self.records(call, &self.links(call), limit)
    }

    /// The links of a call, and its legs that are over, as records.
    pub(super) fn records(&self, call: CallKey, links: &[Link], limit: usize) -> Vec<LegRecord> {
        let mut records: Vec<LegRecord> = links.iter().filter_map(|link| self.record(call, link)).collect();
        for former in self.table.former(call) {
            let is_known = |known: &LegRecord| known.call_id == former.call_id && known.relation == former.relation;
            if !records.iter().any(is_known) {
                records.push(former.clone());
            }
        }
        records.sort_by_key(|record| (record.relation, record.by));
        records.truncate(limit);
        records
    }

    /// The legs of a call that are known by more than numbers.
    #[must_use]
    pub fn beside(&self, call: CallKey) -> SmallVec<[&'a Call; 2]> {
        let calls: &'a CallTable = self.calls;
        let links = self.links(call);
        let legs = links.iter().filter(|link| link.relation == LegRelation::Leg && link.by != LegBy::Numbers);
        legs.filter_map(|link| calls.get(link.other)).collect()
    }

    /// The calls on the other side of this host, between which it passes on: one came in here and the other left from here.
    /// Numbers alone are too little to say so.
    #[must_use]
    pub fn across(&self, call: CallKey) -> SmallVec<[&'a Call; 2]> {
        let Some(way) = self.calls.get(call).and_then(Way::of) else { return SmallVec::new() };
        let is_across = |other: &Call| {
            Way::of(other).is_some_and(|other| {
                (way.leads_to(&other) && other.origin.here) || (other.leads_to(&way) && way.origin.here)
            })
        };
        self.beside(call).into_iter().filter(|other| is_across(other)).collect()
    }

    /// The links of a call, in the order the other calls began.
    pub(super) fn links(&self, call: CallKey) -> SmallVec<[Link; 2]> {
        let mut links = self.links_by_marks(call);
        for said in self.table.said(call) {
            if self.still_holds(call, said) {
                add(&mut links, *said);
            }
        }
        // What a transfer made of a call is no leg of it, though it may carry the same Session-ID.
        let transfers: SmallVec<[CallKey; 2]> =
            links.iter().filter(|link| link.relation == LegRelation::Transfer).map(|link| link.other).collect();
        links.retain(|link| link.relation == LegRelation::Transfer || !transfers.contains(&link.other));
        links.sort_by_key(|link| (self.calls.get(link.other).map(|other| other.first_at), link.other));
        links
    }

    /// What marks and media endpoints tell.
    fn links_by_marks(&self, call: CallKey) -> SmallVec<[Link; 2]> {
        let mut links = SmallVec::new();
        for mark in self.table.marks_of(call) {
            let members = self.table.members_of(mark);
            match mark.kind() {
                Kind::Session => self.add_family(&mut links, call, members, LegBy::SessionId),
                Kind::Header => self.add_family(&mut links, call, members, LegBy::Header),
                Kind::Media => self.add_family(&mut links, call, members, LegBy::Media),
                Kind::Pair => {
                    let others: SmallVec<[CallKey; 4]> = members.filter(|other| *other != call).collect();
                    for other in others.iter().filter(|_| others.len() < PAIRED) {
                        add(&mut links, link(*other, LegBy::SessionId));
                    }
                }
            }
        }
        for holders in self.media.calls_beside(call) {
            self.add_family(&mut links, call, holders.into_iter(), LegBy::Media);
        }
        links
    }

    fn add_family(
        &self,
        links: &mut SmallVec<[Link; 2]>,
        call: CallKey,
        members: impl Iterator<Item = CallKey>,
        by: LegBy,
    ) {
        let members: SmallVec<[CallKey; 4]> = members.collect();
        if members.len() < 2 {
            return;
        }
        let Some(family) = Family::of(self.calls, members, by) else { return };
        for other in family.legs_of(call, by) {
            add(links, link(other, by));
        }
    }

    /// Whether what was noted of two calls still holds. A guess by numbers does where nothing surer says otherwise.
    fn still_holds(&self, call: CallKey, said: &Link) -> bool {
        let (Some(this), Some(other)) = (self.calls.get(call), self.calls.get(said.other)) else { return false };
        if said.by != LegBy::Numbers {
            return true;
        }
        let (Some(this_way), Some(other_way)) = (Way::of(this), Way::of(other)) else { return false };
        let (upper, lower) = if this_way.leads_to(&other_way) {
            (call, said.other)
        } else if other_way.leads_to(&this_way) {
            (said.other, call)
        } else {
            return false;
        };
        !self.have_other_sessions(upper, lower) && !self.comes_of_another(upper, lower)
    }

    /// Whether both calls carry a Session-ID and it is not the same.
    fn have_other_sessions(&self, one: CallKey, other: CallKey) -> bool {
        let session = |call| self.table.marks_of(call).find(|mark| mark.kind() == Kind::Session);
        matches!((session(one), session(other)), (Some(one), Some(other)) if one != other)
    }

    /// Whether something surer than numbers says that `lower` is a leg of another call than `upper` that was before it.
    fn comes_of_another(&self, upper: CallKey, lower: CallKey) -> bool {
        let Some(way) = self.calls.get(lower).and_then(Way::of) else { return false };
        let leads_here = |link: &Link| self.calls.get(link.other).and_then(Way::of).is_some_and(|w| w.leads_to(&way));
        let links = self.links_by_marks(lower);
        let parents: SmallVec<[CallKey; 2]> = links.iter().filter(|l| leads_here(l)).map(|l| l.other).collect();
        !parents.is_empty() && !parents.contains(&upper)
    }

    /// The link as a record, as `call` has it.
    pub(super) fn record(&self, call: CallKey, link: &Link) -> Option<LegRecord> {
        let other = self.calls.get(link.other)?;
        Some(LegRecord {
            call_id: other.call_id.as_str().to_owned(),
            relation: link.relation,
            by: link.by,
            confidence: link.confidence,
            peer: self.far_end(self.calls.get(call), other),
        })
    }

    /// Who is at the end of `other` that `call` does not share.
    fn far_end(&self, call: Option<&Call>, other: &Call) -> Option<String> {
        let way = Way::of(other)?;
        let is_later = call.and_then(|call| call.invited_at).is_some_and(|at| at <= way.invited_at);
        let end = way.ends.last().filter(|end| !end.here);
        let node = if is_later || way.origin.here { end.unwrap_or(&way.origin) } else { &way.origin };
        let trunk = self.peers.trunk_of(node.addr).map(|trunk| trunk.name.clone());
        Some(trunk.unwrap_or_else(|| node.addr.to_string()))
    }
}

impl Family {
    /// Puts calls that share something in order. `None` where two of them cannot share it and still be one call: two calls
    /// that enter one host at a time without a common one before them.
    pub fn of(calls: &CallTable, members: impl IntoIterator<Item = CallKey>, by: LegBy) -> Option<Self> {
        let way = |key: CallKey| Some((key, Way::of(calls.get(key)?)?));
        let mut members: SmallVec<[(CallKey, Way); 4]> = members.into_iter().filter_map(way).collect();
        members.sort_by_key(|(key, way)| (way.invited_at, *key));
        let parent = |index: usize| {
            let (_, way) = members.get(index)?;
            members.iter().take(index).rposition(|(_, earlier)| earlier.leads_to(way))
        };
        let parents: SmallVec<[Option<usize>; 4]> = (0..members.len()).map(parent).collect();
        let family = Self { members, parents };
        (!family.has_two_heads(calls, by)).then_some(family)
    }

    fn has_two_heads(&self, calls: &CallTable, by: LegBy) -> bool {
        let heads = || self.members.iter().zip(&self.parents).filter(|(_, parent)| parent.is_none()).map(|(m, _)| m);
        heads().enumerate().any(|(index, (key, way))| {
            heads().skip(index + 1).any(|(other_key, other)| {
                way.meets(other) && !(by == LegBy::SessionId && is_one_caller(calls, (*key, way), (*other_key, other)))
            })
        })
    }

    /// The members that are legs of a call.
    fn legs_of(&self, call: CallKey, by: LegBy) -> SmallVec<[CallKey; 4]> {
        let Some(index) = self.members.iter().position(|(key, _)| *key == call) else { return SmallVec::new() };
        let others = self.members.iter().enumerate().filter(|(other, _)| self.are_legs(index, *other, by));
        others.map(|(_, (key, _))| *key).collect()
    }

    /// One comes of the other. A Session-ID also joins calls between which one was not seen: those that begin at different
    /// hosts.
    fn are_legs(&self, one: usize, other: usize, by: LegBy) -> bool {
        if one == other {
            return false;
        }
        let (line, other_line) = (self.line_of(one), self.line_of(other));
        if line.contains(&other) || other_line.contains(&one) {
            return true;
        }
        let head = |line: &[usize]| self.members.get(*line.last()?).map(|(_, way)| way);
        let (Some(head), Some(other_head)) = (head(&line), head(&other_line)) else { return false };
        by == LegBy::SessionId
            && line.last() != other_line.last()
            && !head.has_origin_of(other_head)
            && !head.meets(other_head)
    }

    /// A member, the one it comes of, and so on.
    fn line_of(&self, index: usize) -> SmallVec<[usize; 4]> {
        // A parent stands before its child, so that this ends.
        core::iter::successors(Some(index), |index| self.parents.get(*index).copied().flatten()).collect()
    }
}

/// Whether two calls are of one user at one host: a phone that keeps its UUID over a second call (RFC 7989 6).
fn is_one_caller(calls: &CallTable, one: (CallKey, &Way), other: (CallKey, &Way)) -> bool {
    let from = |key| calls.get(key).map(|call| &call.from);
    one.1.has_origin_of(other.1) && from(one.0) == from(other.0)
}

fn link(other: CallKey, by: LegBy) -> Link {
    let confidence = match by {
        LegBy::SessionId => Confidence::Certain,
        LegBy::Header | LegBy::Replaces | LegBy::Refer | LegBy::Media | LegBy::Numbers => Confidence::Likely,
    };
    Link { other, relation: LegRelation::Leg, by, confidence }
}

/// Adds a link, or makes the known one surer.
fn add(links: &mut SmallVec<[Link; 2]>, link: Link) {
    match links.iter_mut().find(|known| known.other == link.other && known.relation == link.relation) {
        Some(known)
            if (link.by, core::cmp::Reverse(link.confidence)) < (known.by, core::cmp::Reverse(known.confidence)) =>
        {
            *known = link;
        }
        Some(_) => {}
        None => links.push(link),
    }
}
