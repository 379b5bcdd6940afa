//! The record of a call or registration, as it leaves the engine.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::call::{Call, SessionKind};
use crate::dialog::Dialog;
use crate::privacy::Redactor;
use crate::record::{
    CallRecord, CallState, DialogRecord, RegistrationRecord, ResponseRecord, SCHEMA, TransactionRecord,
};
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

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
    pub fn record(&self, redactor: &Redactor) -> CallRecord {
        let first_ring = self.ringing_at.or(self.answered_at);
        let state = if self.unanswered_challenge().is_some() { CallState::Failed } else { self.state };
        CallRecord {
            schema: SCHEMA,
            call_id: self.call_id.as_str().to_owned(),
            from: redactor.uri(self.from.as_str()),
            to: redactor.uri(self.to.as_str()),
            methods: self.method_counts(),
            transactions: self.transactions.iter().map(|t| self.transaction_record(t)).collect(),
            dialogs: self.dialogs.iter().map(|d| dialog_record(d, redactor)).collect(),
            final_code: self.final_code,
            state,
            state_history: self.history.to_vec(),
            invited_at: self.invited_at,
            answered_at: self.answered_at,
            ended_at: self.ended_at.or_else(|| self.unanswered_challenge()),
            post_dial_delay_ms: span_ms(self.invited_at, first_ring),
            duration_ms: span_ms(self.answered_at, self.ended_at),
            ended_by: self.hangup.as_ref().and_then(|h| h.side),
            reason: self.hangup.as_ref().and_then(|h| h.reason_header.as_ref()).map(|r| redactor.text(r.as_str())),
            adopted: self.adopted,
            media: self.media.records(),
        }
    }

    /// The registration as a record.
    #[must_use]
    pub fn registration_record(&self, redactor: &Redactor) -> Option<RegistrationRecord> {
        let registration = self.registration.as_deref()?;
        Some(RegistrationRecord {
            schema: SCHEMA,
            aor: redactor.uri(registration.aor.as_str()),
            contact: registration.contact.as_ref().map(|c| redactor.uri(c.as_str())),
            call_id: self.call_id.as_str().to_owned(),
            source: registration.source.to_string(),
            registrar: registration.registrar.to_string(),
            state: registration.state.name().to_owned(),
            final_code: registration.final_code,
            expires_s: registration.expires_granted_s,
            requests: registration.requests,
            user_agent: registration.user_agent.as_ref().map(|a| a.as_str().to_owned()),
            first_at: registration.first_at,
            last_at: registration.last_at,
        })
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
}

fn dialog_record(dialog: &Dialog, redactor: &Redactor) -> DialogRecord {
    DialogRecord {
        from_tag: dialog.caller_tag.as_str().to_owned(),
        to_tag: dialog.callee_tag.as_str().to_owned(),
        state: dialog.state.name().to_owned(),
        route_set: dialog.route_set.iter().map(|route| redactor.uri(route.as_str())).collect(),
        started_at: dialog.started_at,
    }
}

fn span_ms(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<f64> {
    let span: Duration = to?.since(from?);
    Some(span.as_nanos() as f64 / 1e6)
}
