//! Changes of a call's state as they happen, told as records.

use core::net::SocketAddr;

use smallvec::SmallVec;

use crate::Engine;
use crate::call::{Call, CallKey, ReasonSeen};
use crate::metrics::Turn;
use crate::packet::Direction;
use crate::peer::PeerTable;
use crate::privacy::{Redactor, users_in};
use crate::record::{CallState, CauseRecord, EventRecord, Output, PeerName, SCHEMA, Side, q850_text};
use crate::seen::Seen;
use crate::time::Timestamp;
use crate::transaction::MethodKind;

/// A change of state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    pub at: Timestamp,
    pub state: CallState,
    /// None of the first.
    pub previous: Option<CallState>,
    pub by: Option<Side>,
    pub code: Option<u16>,
    /// From 1 on.
    pub sequence: u32,
}

/// What one message or timer changed.
pub(crate) type Changes = SmallVec<[Changed; 1]>;

impl Engine {
    /// Counts what a message or a timer changed.
    pub(crate) fn count_changes(&mut self, key: CallKey, changes: &[Changed]) {
        let Some(call) = self.calls.get_mut(key).filter(|call| call.is_call()) else { return };
        let counts_as = Some(call.state).filter(|_| call.ended_at.is_none());
        if counts_as != call.counted_as {
            self.metrics.calls.shift(call.counted_as, counts_as);
            call.counted_as = counts_as;
        }
        for changed in changes {
            self.metrics.calls.turn(&Turn {
                direction: call.hops.first().map_or(Direction::Transit, |hop| hop.direction),
                call_id: &call.call_id,
                at: changed.at,
                state: changed.state,
                previous: changed.previous,
                invited_at: call.invited_at,
                answered_at: call.answered_at,
                code: call.final_code,
            });
        }
    }

    /// Tells what a message (`seen`) or a timer changed.
    pub(crate) fn tell_changes(&mut self, key: CallKey, changes: &[Changed], seen: Option<&Seen<'_, '_>>) {
        if !self.config.emit.events {
            return;
        }
        let Some(call) = self.calls.get(key).filter(|call| call.is_call()) else { return };
        for changed in changes {
            let record = call.event(changed, seen, &self.redactor, &self.peers, self.config.limits.text_bytes);
            self.outputs.push_back(Output::Event(Box::new(record)));
        }
    }
}

impl Call {
    fn event(
        &self,
        changed: &Changed,
        seen: Option<&Seen<'_, '_>>,
        redactor: &Redactor,
        peers: &PeerTable,
        limit: usize,
    ) -> EventRecord {
        let text = |bytes: &[u8]| crate::text::StoredText::new(bytes, limit).as_str().to_owned();
        let (from_tag, to_tag) = self.tags(seen, limit);
        let is_end = matches!(changed.state, CallState::Disconnected | CallState::Failed | CallState::Timeout);
        let reason = seen.and_then(|seen| seen.message.header(crate::sip::HeaderName::Reason)).map(text);
        let hangup = self.hangup.as_deref().filter(|_| is_end);
        let reason = reason.or_else(|| hangup?.reason_header.as_ref().map(|r| r.as_str().to_owned()));
        let phrase = seen.filter(|seen| seen.code.is_some()).map(|seen| text(crate::call::phrase(seen.message)));
        EventRecord {
            schema: SCHEMA,
            ts: changed.at,
            call_id: self.call_id.as_str().to_owned(),
            sequence: changed.sequence,
            state: changed.state,
            previous: changed.previous,
            from: redactor.uri(self.from.as_str()),
            to: redactor.uri(self.to.as_str()),
            from_tag,
            to_tag,
            by: changed.by,
            method: seen.map(|seen| text(seen.method.as_bytes())),
            code: changed.code,
            phrase: phrase.filter(|p| !p.is_empty()).map(|p| redactor.words(&p, &self.users())),
            reason: reason.map(|r| redactor.words(&r, &self.users())),
            q850: self.q850().filter(|_| is_end).map(|reason| cause_record(reason, &self.users(), redactor)),
            duration_ms: (changed.state == CallState::Disconnected).then(|| self.duration_ms()).flatten(),
            peer: self.peer_of_change(seen).map(|addr| peer_name(peers, addr)),
            adopted: self.adopted,
        }
    }

    /// User parts of the caller and the callee.
    pub(crate) fn users(&self) -> Vec<&str> {
        [&self.from, &self.to].into_iter().flat_map(|uri| users_in(uri.as_str())).collect()
    }

    /// The tags of caller and callee in the dialog that a message belongs to.
    fn tags(&self, seen: Option<&Seen<'_, '_>>, limit: usize) -> (Option<String>, Option<String>) {
        let kept = |tag: &[u8]| (!tag.is_empty()).then(|| crate::text::StoredText::new(tag, limit).as_str().to_owned());
        match seen {
            Some(seen) if self.requester(seen, limit) == Some(Side::Callee) => (kept(seen.to_tag), kept(seen.from_tag)),
            Some(seen) => (kept(seen.from_tag), kept(seen.to_tag)),
            None => {
                let identity = self.identity();
                (identity.from_tag.map(str::to_owned), identity.to_tag.map(str::to_owned))
            }
        }
    }

    /// The other end of a message; where there is none, of the last INVITE.
    fn peer_of_change(&self, seen: Option<&Seen<'_, '_>>) -> Option<SocketAddr> {
        let other = |direction, src, dst, is_request| match direction {
            Direction::Out => dst,
            Direction::In => src,
            Direction::Transit if is_request => dst,
            Direction::Transit => src,
        };
        if let Some(seen) = seen {
            return Some(other(seen.direction, seen.src, seen.dst, seen.is_request()));
        }
        let invite = self.transactions.iter().rfind(|t| t.method == MethodKind::Invite && !t.in_dialog)?;
        self.path(invite.path).map(|hop| other(hop.direction, hop.src, hop.dst, true))
    }

    /// The Q.850 cause of what ended the call: of the BYE or CANCEL, else of the last refusal.
    pub(crate) fn q850(&self) -> Option<&ReasonSeen> {
        let is_q850 = |reason: &&ReasonSeen| reason.protocol.as_str().eq_ignore_ascii_case("Q.850");
        let of_hangup = self.hangup.as_ref().and_then(|hangup| hangup.reason.as_ref()).filter(is_q850);
        let refusal = self.refusals.last().filter(|refusal| Some(refusal.code) == self.final_code);
        let of_refusal = refusal.and_then(|refusal| refusal.reasons.iter().find(is_q850));
        of_hangup.or(of_refusal).filter(|reason| reason.cause.is_some())
    }
}

/// A Q.850 cause as it is told: named as the table has it, since senders write what they like.
pub(crate) fn cause_record(reason: &ReasonSeen, users: &[&str], redactor: &Redactor) -> CauseRecord {
    let cause = reason.cause.unwrap_or(0);
    let sent = reason.text.as_ref().filter(|text| !text.is_empty()).map(|text| redactor.words(text.as_str(), users));
    CauseRecord { cause, text: q850_text(cause).map(str::to_owned).or(sent) }
}

/// A peer by address and by the name of its trunk.
fn peer_name(peers: &PeerTable, addr: SocketAddr) -> PeerName {
    PeerName {
        addr: addr.ip().to_string(),
        port: (addr.port() != 0).then(|| addr.port()),
        name: peers.trunk_of(addr).map(|trunk| trunk.name.clone()),
    }
}
