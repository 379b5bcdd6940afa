//! A 2xx to an INVITE, how it travelled, and the ACKs that came for it (RFC 3261 13.3.1.4).
//!
//! Both are end to end: neither belongs to a transaction. On a proxy the same answer is seen on several hops.

use core::net::SocketAddr;
use core::time::Duration;

use smallvec::SmallVec;

use crate::config::EngineConfig;
use crate::dialog::Contact;
use crate::record::Side;
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::{Path, Repeats, ViaStack};

/// The 2xx to one INVITE (initial or re-INVITE) in one dialog.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Index into [`crate::call::Call::dialogs`].
    pub dialog: u8,
    /// CSeq number of the INVITE: that of its ACK, too.
    pub cseq: u32,
    /// Status code.
    pub code: u16,
    /// It answers the initial INVITE, not a re-INVITE.
    pub initial: bool,
    /// Who answered.
    pub side: Side,
    /// The INVITE it answers was seen.
    pub invite_seen: bool,
    /// Each hop it was seen on, in the order of the first sighting: the first is the nearest to the answerer.
    pub hops: SmallVec<[AnswerHop; 1]>,
    /// ACKs for it, right ones and odd ones, by hop and kind.
    pub acks: SmallVec<[AckSeen; 1]>,
    /// When 64*T1 had passed since the first 2xx, or the call was ended before that.
    pub given_up_at: Option<Timestamp>,
    /// Its repetition stopped after an ACK, and long enough ago that the ACK must have arrived.
    pub settled: bool,
}

impl Answer {
    /// When it was first seen.
    #[must_use]
    pub fn first_at(&self) -> Timestamp {
        self.hops.first().map_or(Timestamp::ZERO, |hop| hop.sent.first())
    }

    /// Last ACK seen that names this dialog and CSeq.
    #[must_use]
    pub fn last_ack_at(&self) -> Option<Timestamp> {
        self.acks.iter().filter(|ack| ack.matches()).map(|ack| ack.sent.last()).max()
    }

    /// First ACK seen that names this dialog and CSeq.
    #[must_use]
    pub fn first_ack_at(&self) -> Option<Timestamp> {
        self.acks.iter().filter(|ack| ack.matches()).map(|ack| ack.sent.first()).min()
    }

    /// The hop nearest to the answerer.
    #[must_use]
    pub fn origin(&self) -> Option<&AnswerHop> {
        self.hops.first()
    }

    /// How often it was sent again, as the answerer did it.
    #[must_use]
    pub fn retransmissions(&self) -> u32 {
        self.origin().map_or(0, |hop| hop.sent.retransmissions())
    }

    /// Last time it was sent.
    #[must_use]
    pub fn last_at(&self) -> Timestamp {
        self.origin().map_or(Timestamp::ZERO, |hop| hop.sent.last())
    }

    /// It was sent again though an ACK had been seen at least T1 before: no ACK of that kind ends it.
    #[must_use]
    pub fn repeated_despite_ack(&self, t1: Duration) -> bool {
        let (Some(origin), Some(ack)) = (self.origin(), self.first_ack_at()) else { return false };
        origin.sent.retransmissions_after(ack + t1) > 0
    }

    /// It goes on being repeated though an ACK could have arrived: often enough, and neither a late ACK nor silence ended it.
    #[must_use]
    pub fn goes_unacknowledged(&self, config: &EngineConfig) -> bool {
        if self.settled || self.retransmissions() < config.thresholds.no_ack_retransmissions {
            return false;
        }
        let Some(ack) = self.first_ack_at() else { return true };
        self.given_up_at.is_some_and(|given_up| ack > given_up) || self.repeated_despite_ack(config.timers.t1)
    }

    /// An ACK was seen that names this dialog and CSeq.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.acks.iter().any(AckSeen::matches)
    }
}

/// A 2xx on one hop.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerHop {
    /// The way it went.
    pub path: Path,
    /// When it was seen there, and how often.
    pub sent: Repeats,
    /// Its Contact there: a relay may have changed it.
    pub contact: Option<Contact>,
    /// How many Record-Route values it carried there.
    pub record_routes: u8,
    /// The way its INVITE went, where that was seen.
    pub invite_path: Option<Path>,
    /// The Via stack it brought back, and that of its INVITE on this hop, where they differ.
    pub via_mismatch: Option<Box<ViaMismatch>>,
    /// Where it had to be sent by its top Via (received and rport, else sent-by; RFC 3261 18.2.2, RFC 3581 4), where it
    /// was sent elsewhere. Not known for a name.
    pub expected_dst: Option<Box<SocketAddr>>,
}

/// Via headers of a response that are not those of its request.
#[derive(Clone, Debug, PartialEq)]
pub struct ViaMismatch {
    /// Of the INVITE.
    pub invite: ViaStack,
    /// Of the 2xx.
    pub answer: ViaStack,
    /// Top Via of the INVITE, as sent.
    pub invite_top: StoredText,
    /// Top Via of the 2xx, as sent.
    pub answer_top: StoredText,
}

/// An ACK for a 2xx, on one hop.
#[derive(Clone, Debug, PartialEq)]
pub struct AckSeen {
    /// The way it went.
    pub path: Path,
    /// When it was seen there, and how often.
    pub sent: Repeats,
    /// What is not as it must be; `None` for an ACK that is right in everything.
    pub odd: Option<Box<OddAck>>,
}

impl AckSeen {
    /// Its tags and CSeq number are those of the 2xx: it does acknowledge it, however it was routed.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.odd.as_ref().is_none_or(|odd| odd.tags_match && odd.cseq_matches)
    }
}

/// An ACK that is not as RFC 3261 12.2.1.1 and 13.2.2.4 have it.
#[derive(Clone, Debug, PartialEq)]
pub struct OddAck {
    /// Both tags are those of the 2xx.
    pub tags_match: bool,
    /// The CSeq number is that of the INVITE.
    pub cseq_matches: bool,
    /// The Request-URI is the Contact of the 2xx (or the top route, for a strict router).
    pub uri_is_contact: bool,
    /// It carries the dialog's route set (on its way: what is left of it).
    pub routes_match: bool,
    /// It was sent to the top route, or without one to the Contact: address and port, as far as they are addresses.
    pub sent_to_next_hop: bool,
    /// Where it had to be sent, where that is an address.
    pub next_hop: Option<SocketAddr>,
    /// Request-URI as sent.
    pub request_uri: StoredText,
    /// Route values as sent.
    pub routes: SmallVec<[StoredText; 1]>,
    /// From tag as sent.
    pub from_tag: StoredText,
    /// To tag as sent.
    pub to_tag: StoredText,
    /// CSeq number as sent.
    pub cseq: u32,
}
