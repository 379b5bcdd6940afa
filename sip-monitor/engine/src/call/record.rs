//! The record of a call, as it leaves the engine.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::call::{Call, Forward, Hold, Refer, SessionKind, cause_record};
use crate::dialog::{Dialog, DialogState};
use crate::media::MediaTable;
use crate::peer::{ABANDONED, Leg, LegRole, PeerTable};
use crate::privacy::Redactor;
use crate::record::{
    CallPeer, CallRecord, CallState, DialogChange, DialogRecord, ForwardRecord, HoldRecord, PeerRole, ResponseRecord,
    SCHEMA, TransactionRecord, TransferKind, TransferRecord,
};
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

/// What a record takes from elsewhere than the call.
#[derive(Clone, Copy)]
pub(crate) struct RecordContext<'e> {
    pub redactor: &'e Redactor,
    pub peers: &'e PeerTable,
    pub media: &'e MediaTable,
}

impl Call {
    /// Whether it is a call that people would call one: an INVITE was seen, or something that lives in a dialog of one.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.kind == SessionKind::Invite
    }

    /// Whether diagnoses of calls look at it: calls, and requests outside of calls but registrations and pings.
    #[must_use]
    pub(crate) const fn is_judged(&self) -> bool {
        matches!(self.kind, SessionKind::Invite | SessionKind::Other)
    }

    /// The call as a record.
    #[must_use]
    pub(crate) fn record(&self, context: &RecordContext<'_>) -> CallRecord {
        let redactor = context.redactor;
        let first_ring = self.ringing_at.or(self.answered_at);
        let state = if self.unanswered_challenge().is_some() { CallState::Failed } else { self.state };
        let rare = self.rare.as_deref();
        let holds = self.hold_records();
        let [caller_agent, callee_agent] =
            [0, 1].map(|side| self.agents.get(side)?.as_ref().map(|name| redactor.text(name)));
        CallRecord {
            schema: SCHEMA,
            call_id: self.call_id.as_str().to_owned(),
            from: redactor.uri(self.from.as_str()),
            to: redactor.uri(self.to.as_str()),
            methods: self.method_counts(),
            transactions: self.transactions.iter().map(|t| self.transaction_record(t)).collect(),
            dialogs: self.dialogs.iter().map(|d| self.dialog_record(d, redactor)).collect(),
            final_code: self.final_code,
            state,
            state_history: self.history.to_vec(),
            invited_at: self.invited_at,
            answered_at: self.answered_at,
            ended_at: self.ended_at.or_else(|| self.unanswered_challenge()),
            post_dial_delay_ms: span_ms(self.invited_at, first_ring),
            duration_ms: self.duration_ms(),
            ended_by: self.hangup.as_ref().and_then(|h| h.side),
            reason: self
                .hangup
                .as_ref()
                .and_then(|h| h.reason_header.as_ref())
                .map(|r| redactor.words(r.as_str(), &self.users())),
            q850: self.q850().map(|reason| cause_record(reason, &self.users(), redactor)),
            held_ms: self.held().map(milliseconds),
            holds,
            transfers: self.refers.iter().map(|refer| transfer_record(refer, redactor)).collect(),
            forwards: rare.map_or_else(Vec::new, |rare| {
                rare.forwards.iter().map(|forward| forward_record(forward, redactor)).collect()
            }),
            diverted_from: rare.map_or_else(Vec::new, |rare| {
                rare.diverted_from.iter().map(|uri| redactor.uri(uri.as_str())).collect()
            }),
            replaces: rare.and_then(|rare| rare.replaces.as_ref()).map(|id| id.as_str().to_owned()),
            caller_agent,
            callee_agent,
            peers: self.legs.iter().filter_map(|leg| call_peer(leg, context.peers)).collect(),
            adopted: self.adopted,
            media: self.media.records(),
            legs: Vec::new(),
            media_flows: context.media.flows_of(self.key),
        }
    }

    /// From the answer to the end, milliseconds.
    pub(crate) fn duration_ms(&self) -> Option<f64> {
        span_ms(self.answered_at, self.ended_at)
    }

    fn hold_records(&self) -> Vec<HoldRecord> {
        let past = self.rare.iter().flat_map(|rare| &rare.holds).map(|(hold, until)| (*hold, Some(*until)));
        let last = self.hold.map(|hold| (hold, self.ended_at));
        let record = |(hold, until): (Hold, Option<Timestamp>)| HoldRecord { by: hold.by, from: hold.since, until };
        past.chain(last).map(record).collect()
    }

    /// All time on hold, up to the end or else to the last message; `None` of a call that never was.
    fn held(&self) -> Option<Duration> {
        let past = self.rare.as_ref().filter(|rare| !rare.holds.is_empty()).map(|rare| rare.held);
        let last = self.hold.map(|hold| self.ended_at.unwrap_or(self.last_at).since(hold.since));
        past.map_or(last, |past| Some(past + last.unwrap_or_default()))
    }

    fn method_counts(&self) -> BTreeMap<String, u32> {
        let registered = MethodKind::ALL.iter().zip(self.methods).filter(|(kind, _)| **kind != MethodKind::Other);
        let named = self.other_methods.iter().map(|(name, count)| (name.as_str().to_owned(), *count));
        registered.filter(|(_, n)| *n > 0).map(|(kind, n)| (kind.name().to_owned(), n.into())).chain(named).collect()
    }

    fn transaction_record(&self, transaction: &Transaction) -> TransactionRecord {
        let hop = self.path(transaction.path);
        let transport = self.hops.get(usize::from(transaction.path.hop)).map_or("udp", |hop| hop.transport);
        let last_final = transaction.responses.iter().rfind(|r| r.code >= 200);
        TransactionRecord {
            method: transaction.method_name().to_owned(),
            cseq: transaction.cseq,
            branch: transaction.branch.as_str().to_owned(),
            src: hop.map_or_else(String::new, |hop| hop.src.to_string()),
            dst: hop.map_or_else(String::new, |hop| hop.dst.to_string()),
            transport: transport.to_owned(),
            started_at: transaction.sent.first(),
            request_retransmissions: transaction.sent.retransmissions(),
            response_retransmissions: last_final.map_or(0, |r| r.sent.retransmissions()),
            responses: transaction
                .responses
                .iter()
                .map(|r| ResponseRecord { code: r.code, at: r.sent.first() })
                .collect(),
            timed_out: transaction.timed_out.map(|letter| letter.name().to_owned()),
        }
    }

    fn dialog_record(&self, dialog: &Dialog, redactor: &Redactor) -> DialogRecord {
        let change = |at, state: DialogState| DialogChange { at, state: state.name().to_owned() };
        let began = (!dialog.adopted && dialog.confirmed_at != Some(dialog.started_at))
            .then(|| change(dialog.started_at, DialogState::Early));
        let up = dialog.confirmed_at.or(Some(dialog.started_at).filter(|_| dialog.adopted));
        let over = dialog.terminated_at.map(|at| change(at, DialogState::Terminated));
        DialogRecord {
            call_id: self.call_id.as_str().to_owned(),
            from_tag: dialog.caller_tag.as_str().to_owned(),
            to_tag: dialog.callee_tag.as_str().to_owned(),
            state: dialog.state.name().to_owned(),
            route_set: dialog.route_set.iter().map(|route| redactor.uri(route.as_str())).collect(),
            started_at: dialog.started_at,
            state_history: began
                .into_iter()
                .chain(up.map(|at| change(at, DialogState::Confirmed)))
                .chain(over)
                .collect(),
        }
    }
}

fn transfer_record(refer: &Refer, redactor: &Redactor) -> TransferRecord {
    let (target, headers) = refer.target.as_str().split_once('?').unwrap_or((refer.target.as_str(), ""));
    let replaces = replaced_call(headers);
    TransferRecord {
        at: refer.at,
        by: refer.side,
        target: redactor.uri(target),
        kind: if replaces.is_some() { TransferKind::Attended } else { TransferKind::Blind },
        replaces,
        code: refer.code,
        answered_at: refer.answered_at,
        outcome_code: refer.notified.map(|(_, code)| code),
        outcome_at: refer.notified.map(|(at, _)| at),
    }
}

/// Call-ID in the Replaces among the headers of a URI: `hname=hvalue&...`, escaped (RFC 3261 19.1.1, RFC 3891 6.1).
fn replaced_call(headers: &str) -> Option<String> {
    let value = headers.split('&').find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then_some(value)
    })?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| byte == b'%').and_then(|hex| core::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    Some(text.split(';').next().unwrap_or_default().to_owned())
}

fn forward_record(forward: &Forward, redactor: &Redactor) -> ForwardRecord {
    let targets = forward.targets.iter().map(|uri| redactor.uri(uri.as_str())).collect();
    ForwardRecord { at: forward.at, code: forward.code, targets }
}

fn call_peer(leg: &Leg, peers: &PeerTable) -> Option<CallPeer> {
    let peer = peers.get(leg.peer)?;
    Some(CallPeer {
        addr: peer.addr.ip().to_string(),
        name: peers.trunk(peer).map(|trunk| trunk.name.clone()),
        local: peer.is_local,
        role: match leg.role {
            LegRole::Called => PeerRole::Called,
            LegRole::Calling => PeerRole::Calling,
        },
        code: leg.outcome.filter(|code| *code != ABANDONED),
    })
}

fn span_ms(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<f64> {
    Some(milliseconds(to?.since(from?)))
}

fn milliseconds(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_id_in_a_refer_to_is_unescaped() {
        let headers = "Replaces=425928%40bobster.example.org%3Bto-tag%3D7743%3Bfrom-tag%3D6472&X=1";
        assert_eq!(replaced_call(headers).as_deref(), Some("425928@bobster.example.org"));
        assert_eq!(replaced_call("replaces=a%"), Some("a%".to_owned()));
        assert_eq!(replaced_call("Subject=x"), None);
    }
}
