//! What of each message is kept for the legs of its call.

use super::find::{Family, Legs};
use super::mark::{Kind, Mark};
use super::numbers::{Began, Fit, NumberKeys, Numbers};
use super::table::{HeaderMark, Link};
use super::way::{Node, Way};
use super::{LegBy, LegRecord, LegRelation};
use crate::Engine;
use crate::call::{Call, CallKey};
use crate::diagnosis::Confidence;
use crate::seen::Seen;
use crate::transaction::MethodKind;

/// Legs named in the record of a call.
const LEGS_IN_RECORD: usize = 16;

impl Engine {
    /// What is known of legs.
    fn legs(&self) -> Legs<'_> {
        Legs { table: &self.legs, calls: &self.calls, media: &self.media, peers: &self.peers }
    }

    /// Takes a message that was not seen before, after its call has.
    pub(crate) fn note_legs(&mut self, key: CallKey, seen: &Seen<'_, '_>) {
        let Some(call) = self.calls.get(key) else { return };
        if call.adopted {
            if let Some(mark) = Mark::of_both_ends(seen.message, &self.legs.hasher) {
                self.mark(key, mark);
            }
            return;
        }
        if seen.kind != MethodKind::Invite || call.answered_at.is_some_and(|at| at < seen.at) {
            return;
        }
        let is_first = seen.is_request() && call.transactions.len() == 1;
        if let Some(mark) = Mark::of_session(seen, &self.legs.hasher) {
            self.mark(key, mark);
        }
        if !seen.is_request() || seen.in_dialog() {
            return;
        }
        self.note_headers(key, seen);
        self.note_replaced(key, seen);
        if let Some(mark) = seen.sdp.and_then(|sdp| Mark::of_origin(sdp, &self.legs.hasher)) {
            self.mark(key, mark);
        }
        if is_first {
            self.note_numbers(key);
        }
    }

    /// Takes the streams that were joined to a call since the last look: one that a relay passes on has the same SSRC on
    /// both sides.
    pub(crate) fn note_streams(&mut self) {
        while let Some((key, from, ssrc)) = self.media.poll_joined() {
            // The call may have been freed since its stream was joined.
            if self.calls.get(key).is_some()
                && let Some(mark) = Mark::of_stream(ssrc, from, &self.legs.hasher)
            {
                self.mark(key, mark);
            }
        }
    }

    /// A REFER in `referred`, if that call is still known, made `call`.
    pub(crate) fn note_referred(&mut self, referred: CallKey, call: CallKey) {
        if self.calls.get(referred).is_none() {
            return;
        }
        let link =
            Link { other: call, relation: LegRelation::Transfer, by: LegBy::Refer, confidence: Confidence::Likely };
        self.legs.say(referred, link);
    }

    /// The legs of a call that is about to be freed, the last time that it can be asked. Its legs keep its name.
    pub(crate) fn take_legs(&mut self, key: CallKey) -> Vec<LegRecord> {
        let legs = self.legs();
        let links = legs.links(key);
        let name = |link: &Link| Some((link.other, legs.record(link.other, &Link { other: key, ..*link })?));
        let names: Vec<(CallKey, LegRecord)> = links.iter().filter_map(name).collect();
        let records = legs.records(key, &links, LEGS_IN_RECORD);
        for (other, record) in names {
            self.legs.outlive(other, record);
        }
        self.legs.remove(key);
        records
    }

    /// Gives a call a mark. One that shows calls which cannot be legs of each other is no identity.
    fn mark(&mut self, key: CallKey, mark: Mark) {
        if !self.legs.add(key, mark) {
            return;
        }
        let by = match mark.kind() {
            Kind::Session => LegBy::SessionId,
            Kind::Header => LegBy::Header,
            Kind::Media => LegBy::Media,
            Kind::Pair => return,
        };
        if Family::of(&self.calls, self.legs.members_of(mark), by).is_none() {
            self.legs.make_common(mark);
        }
    }

    /// The configured headers: one may carry what all legs carry, or the Call-ID of another leg.
    fn note_headers(&mut self, key: CallKey, seen: &Seen<'_, '_>) {
        if self.legs.headers.is_empty() {
            return;
        }
        for (_, name, value) in seen.message.all_headers() {
            let is_wanted = |header: &HeaderMark| name.eq_ignore_ascii_case(&header.name);
            let Some(index) = self.legs.headers.iter().position(is_wanted) else { continue };
            let parameter = self.legs.headers.get(index).and_then(|header| header.parameter.as_deref());
            let Some(value) = parameter.map_or(Some(value), |wanted| parameter_of(value, wanted)) else { continue };
            if let Some(other) = self.calls.find(value).filter(|other| *other != key) {
                let way = |key| self.calls.get(key).and_then(Way::of);
                // Two calls from one host are another try or another branch, whatever they say.
                let is_leg = way(key).zip(way(other)).is_none_or(|(one, other)| !one.has_origin_of(&other));
                let (relation, by, confidence) = (LegRelation::Leg, LegBy::Header, Confidence::Certain);
                if is_leg {
                    self.legs.say(key, Link { other, relation, by, confidence });
                }
            }
            match Mark::of_header(index, value, &self.legs.hasher) {
                Some(mark) => self.mark(key, mark),
                None => self.legs.counters.values_unfit += 1,
            }
        }
    }

    fn note_replaced(&mut self, key: CallKey, seen: &Seen<'_, '_>) {
        let replaced = seen.message.replaces().and_then(|replaces| self.calls.find(replaces.call_id));
        if let Some(other) = replaced.filter(|other| *other != key) {
            let (relation, by) = (LegRelation::Transfer, LegBy::Replaces);
            self.legs.say(key, Link { other, relation, by, confidence: Confidence::Certain });
        }
    }

    /// A call begins: the one that entered the host it leaves a moment ago, with the same numbers, may be its leg. Where two
    /// could be, none is.
    fn note_numbers(&mut self, key: CallKey) {
        let within = self.legs.settings.numbers_within;
        if within.is_zero() {
            return;
        }
        let Some((call, at)) = self.calls.get(key).and_then(|call| Some((call, call.invited_at?))) else { return };
        let keys = NumberKeys::of(call, &self.legs.hasher);
        let since = at - within;
        let origin = Node::origin_of(call);
        let found = self.legs.numbers.find(keys, since, origin);
        let way = if found.calls.is_empty() { None } else { Way::of(call) };
        if let Some(way) = way {
            let numbers = Numbers::of(call);
            let fit = |other: &CallKey| {
                let other: &Call = self.calls.get(*other)?;
                Way::of(other)?.leads_to(&way).then(|| Numbers::of(other).fit(&numbers)).flatten()
            };
            let fits: Vec<(CallKey, Fit)> =
                found.calls.iter().filter_map(|other| Some((*other, fit(other)?))).collect();
            let best = fits.iter().map(|(_, fit)| *fit).max();
            let mut likeliest = fits.iter().filter(|(_, fit)| Some(*fit) == best);
            if let (Some((other, fit)), None) = (likeliest.next(), likeliest.next()) {
                // Who has both numbers was found by the one that is not crowded.
                let confidence = match fit {
                    Fit::Both => Some(Confidence::Likely),
                    Fit::One if found.is_crowded => None,
                    Fit::One => Some(Confidence::Possible),
                };
                let (relation, by) = (LegRelation::Leg, LegBy::Numbers);
                if let Some(confidence) = confidence {
                    self.legs.say(key, Link { other: *other, relation, by, confidence });
                }
            }
        }
        self.legs.counters.numbers_evicted += self.legs.numbers.insert(Began { at, call: key, origin }, keys, since);
    }
}

/// A parameter of a header whose value is nothing but parameters, as P-Charging-Vector is (RFC 7315 5.6).
fn parameter_of<'a>(value: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    value.split(|byte| *byte == b';').find_map(|part| {
        let equals = part.iter().position(|byte| *byte == b'=')?;
        let (name, value) = part.split_at_checked(equals)?;
        let value = value.get(1..)?.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        name.trim_ascii().eq_ignore_ascii_case(wanted).then_some(value)
    })
}
