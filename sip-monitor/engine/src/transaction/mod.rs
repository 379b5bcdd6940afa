//! Transactions on one hop (RFC 3261 17): a request, how often it was sent, and what came back. Facts without opinion.

mod matching;
mod misrouted;
mod repeats;

use smallvec::SmallVec;

use crate::record::Side;
use crate::sip::Method;
use crate::text::StoredText;
use crate::time::Timestamp;

pub(crate) use matching::{transaction_key, via_stack};
pub use misrouted::Misrouted;
pub use repeats::{Repeats, Sighting};

/// A method without the name of an unregistered one, so that it fits into a byte and into a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum MethodKind {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Prack,
    Update,
    Info,
    Subscribe,
    Notify,
    Refer,
    Message,
    Publish,
    /// Any other token; its name stands beside it where it matters.
    Other,
}

impl MethodKind {
    /// How many there are.
    pub const COUNT: usize = 15;

    /// The kind of a method.
    #[must_use]
    pub const fn of(method: &Method<'_>) -> Self {
        match method {
            Method::Invite => Self::Invite,
            Method::Ack => Self::Ack,
            Method::Bye => Self::Bye,
            Method::Cancel => Self::Cancel,
            Method::Register => Self::Register,
            Method::Options => Self::Options,
            Method::Prack => Self::Prack,
            Method::Update => Self::Update,
            Method::Info => Self::Info,
            Method::Subscribe => Self::Subscribe,
            Method::Notify => Self::Notify,
            Method::Refer => Self::Refer,
            Method::Message => Self::Message,
            Method::Publish => Self::Publish,
            Method::Other(_) => Self::Other,
        }
    }

    /// Every kind, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Invite,
        Self::Ack,
        Self::Bye,
        Self::Cancel,
        Self::Register,
        Self::Options,
        Self::Prack,
        Self::Update,
        Self::Info,
        Self::Subscribe,
        Self::Notify,
        Self::Refer,
        Self::Message,
        Self::Publish,
        Self::Other,
    ];

    /// The registered name; `other` for the rest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.method().label()
    }

    /// The method of this kind; one without a name for the rest.
    const fn method(self) -> Method<'static> {
        match self {
            Self::Invite => Method::Invite,
            Self::Ack => Method::Ack,
            Self::Bye => Method::Bye,
            Self::Cancel => Method::Cancel,
            Self::Register => Method::Register,
            Self::Options => Method::Options,
            Self::Prack => Method::Prack,
            Self::Update => Method::Update,
            Self::Info => Method::Info,
            Self::Subscribe => Method::Subscribe,
            Self::Notify => Method::Notify,
            Self::Refer => Method::Refer,
            Self::Message => Method::Message,
            Self::Publish => Method::Publish,
            Self::Other => Method::Other(b""),
        }
    }
}

/// A hop of a call in one of its two directions: where a message was seen to come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Index into [`crate::call::Call::hops`].
    pub hop: u8,
    /// Against the direction in which the hop was first used: from [`crate::call::Hop::b`] to [`crate::call::Hop::a`].
    pub reversed: bool,
}

impl Path {
    /// The way back.
    #[must_use]
    pub const fn back(self) -> Self {
        Self { hop: self.hop, reversed: !self.reversed }
    }
}

/// A transaction on one hop. An ACK to a 2xx is no transaction: see [`crate::dialog::AckSeen`].
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// Method of the request.
    pub method: MethodKind,
    /// Name of a method that is [`MethodKind::Other`].
    pub method_name: Option<StoredText>,
    /// CSeq number.
    pub cseq: u32,
    /// The way the request went.
    pub path: Path,
    /// Who sent it, where the tags tell.
    pub from: Option<Side>,
    /// The request carried a To tag: it was sent within a dialog.
    pub in_dialog: bool,
    /// Index into [`crate::call::Call::dialogs`], where the dialog is known.
    pub dialog: Option<u8>,
    /// Branch of the top Via; empty where there was none.
    pub branch: StoredText,
    /// Sent-by of the top Via.
    pub sent_by: StoredText,
    /// Hash of branch and sent-by (RFC 3261 17.2.3), or of what RFC 2543 matched by where the branch lacks the magic cookie.
    pub key: u64,
    /// The Via stack as it was sent: what a response must bring back.
    pub vias: ViaStack,
    /// When it was seen, and how often.
    pub sent: Repeats,
    /// Responses in the order in which each was first seen.
    pub responses: SmallVec<[Response; 2]>,
    /// Responses that were not kept since there were too many different ones.
    pub responses_dropped: u32,
    /// ACK to a final response that is no 2xx (RFC 3261 17.1.1.3): it belongs to the INVITE's own transaction.
    pub ack: Option<Repeats>,
    /// A CANCEL for this INVITE was seen on this hop.
    pub cancelled_at: Option<Timestamp>,
    /// The timer of RFC 3261 that ended it.
    pub timed_out: Option<TimerLetter>,
    /// Its end by a timer was counted at the peer.
    pub(crate) counted: bool,
    /// The request carried an SDP offer.
    pub has_offer: bool,
    /// A copy of it was fragmented and never became whole.
    pub fragment_lost: bool,
    /// The request carried credentials (Authorization or Proxy-Authorization).
    pub credentials: bool,
    /// Max-Forwards of the request.
    pub max_forwards: Option<u8>,
    /// Session-Expires of the request, seconds.
    pub session_expires_s: Option<u32>,
    /// What a PRACK acknowledges: RSeq and CSeq number of its RAck (RFC 3262 7.2).
    pub rack: Option<(u32, u32)>,
    /// A BYE that was sent elsewhere than its dialog says.
    pub misrouted: Option<Box<Misrouted>>,
}

impl Transaction {
    /// The first final response.
    #[must_use]
    pub fn final_response(&self) -> Option<&Response> {
        self.responses.iter().find(|r| r.code >= 200)
    }

    /// It was sent so often that an answer could have come, or given up, and nothing came back.
    #[must_use]
    pub fn is_unanswered(&self, repetitions: u32) -> bool {
        !self.is_answered() && (self.sent.retransmissions() >= repetitions || self.timed_out.is_some())
    }

    /// Whether anything at all came back.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        !self.responses.is_empty()
    }

    /// Name of the method as sent.
    #[must_use]
    pub fn method_name(&self) -> &str {
        self.method_name.as_ref().map_or(self.method.name(), StoredText::as_str)
    }
}

/// A response within a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Status code.
    pub code: u16,
    /// Index of the dialog its To tag names.
    pub dialog: Option<u8>,
    /// It carried SDP.
    pub has_sdp: bool,
    /// RSeq of a reliable provisional (RFC 3262).
    pub rseq: Option<u32>,
    /// When it was seen, and how often.
    pub sent: Repeats,
}

/// The Via headers of a message, without what a receiver may add to them (`received`, `rport`; RFC 3261 18.2.1, RFC 3581 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViaStack {
    /// How many.
    pub count: u8,
    /// Hash of transport, sent-by and branch of each, in order.
    pub hash: u64,
}

/// Timers that end a transaction (RFC 3261 17, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimerLetter {
    /// When an INVITE without any response is given up: 64*T1 (17.1.1.2).
    B,
    /// When another request without a final response is given up: 64*T1 (17.1.2.2).
    F,
    /// When a final response to INVITE, not 2xx, without ACK is given up: 64*T1 (17.2.1).
    H,
}

impl TimerLetter {
    /// Its letter.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::B => "B",
            Self::F => "F",
            Self::H => "H",
        }
    }
}
