//! Registrations (RFC 3261 10): what one Call-ID of REGISTER requests binds. Facts without opinion.

pub mod binding;
mod table;

use core::net::SocketAddr;

use crate::text::StoredText;
use crate::time::Timestamp;

pub use binding::{Binding, BindingState, RegisterFailure};
pub use table::RegistrationTable;

/// Where a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistrationState {
    /// Sent, nothing final came back yet or at all.
    Unanswered,
    /// Challenged; no credentials followed.
    Challenged,
    /// Bound.
    Registered,
    /// Taken back with Expires 0.
    Removed,
    /// Refused.
    Refused,
}

impl RegistrationState {
    /// As it stands in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Challenged => "challenged",
            Self::Registered => "registered",
            Self::Removed => "removed",
            Self::Refused => "refused",
        }
    }
}

/// One Contact bound to one address of record, as the requests under one Call-ID tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Address of record: the To URI.
    pub aor: StoredText,
    /// Contact URI.
    pub contact: Option<StoredText>,
    /// Where the REGISTER came from.
    pub source: SocketAddr,
    /// Where it went.
    pub registrar: SocketAddr,
    /// Where it stands.
    pub state: RegistrationState,
    /// Expiry asked for last, seconds; 0 is a removal.
    pub expires_asked_s: Option<u32>,
    /// Expiry granted, seconds.
    pub expires_granted_s: Option<u32>,
    /// Last final status code.
    pub final_code: Option<u16>,
    /// REGISTER requests seen, retransmissions not counted.
    pub requests: u32,
    /// User-Agent of the client.
    pub user_agent: Option<StoredText>,
    /// First request.
    pub first_at: Timestamp,
    /// Last message.
    pub last_at: Timestamp,
}
