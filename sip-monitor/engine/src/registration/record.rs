//! The record of a binding, as it leaves the engine.

use super::{Binding, BindingState};
use crate::privacy::Redactor;
use crate::record::{RegistrationRecord, SCHEMA};

impl Binding {
    /// The binding as a record.
    #[must_use]
    pub fn record(&self, redactor: &Redactor) -> RegistrationRecord {
        RegistrationRecord {
            schema: SCHEMA,
            aor: redactor.uri(self.aor.as_str()),
            contact: (!self.contact.is_empty()).then(|| redactor.uri(self.contact.as_str())),
            registered_by: self.registered_by.as_ref().map(|by| redactor.uri(by.as_str())),
            call_id: self.call_id.as_str().to_owned(),
            source: self.source.to_string(),
            registrar: self.registrar.to_string(),
            state: self.state_name().to_owned(),
            final_code: self.final_code,
            asked_s: self.asked_s,
            expires_s: self.registered_at.map(|_| self.granted_s),
            requests: self.requests,
            refreshes: self.refreshes,
            challenges: self.challenges,
            flaps: self.came_up.saturating_sub(1),
            superseded: self.superseded,
            registered_at: self.registered_at,
            offline_since: self.offline_since,
            user_agent: self.user_agent.as_ref().map(|agent| redactor.text(agent.as_str())),
            first_at: self.first_at,
            last_at: self.last_at,
        }
    }

    fn state_name(&self) -> &'static str {
        match (self.state, self.final_code) {
            (BindingState::Up, _) => "registered",
            (BindingState::Removed, _) => "removed",
            (BindingState::Lapsed, _) => "expired",
            (BindingState::New, Some(200..300)) if self.contact.is_empty() => "queried",
            (BindingState::New, Some(401 | 407)) => "challenged",
            (BindingState::New, Some(_)) => "refused",
            (BindingState::New, None) => "unanswered",
        }
    }
}
