//! The facts of a call.

use core::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::call::{
    Attempt, CallKey, DropSeen, DtmfInfo, Hold, Hop, HopView, IntervalRefused, Rare, Refusal, Returned, SessionTimer,
};
use crate::diagnosis::CallIdentity;
use crate::dialog::{Answer, Contact, Dialog, DialogState};
use crate::media::MediaSession;
use crate::packet::{Direction, IcmpKind};
use crate::peer::{Leg, LimitSeen};
use crate::record::{CallState, Side, StateChange};
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Path, Repeats, Transaction};

/// What a Call-ID is about, by the first request seen under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionKind {
    /// A call: an INVITE, or a message that can only stand in a dialog that an INVITE made.
    Invite,
    /// A registration.
    Register,
    /// OPTIONS outside a dialog: a ping.
    Options,
    /// Anything else: SUBSCRIBE, PUBLISH, MESSAGE and so on. Transactions only.
    Other,
}

/// A call: everything seen under one Call-ID.
#[derive(Debug)]
pub struct Call {
    /// Its identity inside the engine.
    pub key: CallKey,
    /// Call-ID header value.
    pub call_id: StoredText,
    pub(crate) call_id_hash: u64,
    /// What it is about.
    pub kind: SessionKind,
    /// URI of the From header of the first request (of an adopted call: of the first message).
    pub from: StoredText,
    /// URI of the To header.
    pub to: StoredText,
    /// From tags of initial INVITEs: whoever sends with one of them is the caller.
    pub caller_tags: SmallVec<[StoredText; 1]>,
    /// It was up before it was first seen: its setup was not seen.
    pub adopted: bool,
    /// State now.
    pub state: CallState,
    /// The state it counts as being in among the calls that are up.
    pub(crate) counted_as: Option<CallState>,
    /// State changes in order; the first 16.
    pub history: SmallVec<[StateChange; 4]>,
    /// How often it changed.
    pub(crate) changes: u32,
    /// First message.
    pub first_at: Timestamp,
    /// Last message.
    pub last_at: Timestamp,
    /// First INVITE.
    pub invited_at: Option<Timestamp>,
    /// CSeq number of the initial INVITE as sent last (credentials and 422 make a new one).
    pub invite_cseq: Option<u32>,
    /// First 18x.
    pub ringing_at: Option<Timestamp>,
    /// First 2xx to the initial INVITE.
    pub answered_at: Option<Timestamp>,
    /// BYE, final refusal, or time-out.
    pub ended_at: Option<Timestamp>,
    /// Last final response to the initial INVITE.
    pub final_code: Option<u16>,
    /// Requests seen, by method: each copy on each hop and each retransmission; a packet captured twice once.
    pub methods: [u16; MethodKind::COUNT],
    /// Names of the methods counted under [`MethodKind::Other`].
    pub other_methods: Vec<(StoredText, u32)>,
    /// Pairs of addresses its signalling was seen between, in order.
    pub hops: SmallVec<[Hop; 1]>,
    /// Transactions per hop, in the order they began.
    pub transactions: Vec<Transaction>,
    /// Transactions that were not kept.
    pub transactions_dropped: u32,
    /// Dialogs in the order they began.
    pub dialogs: SmallVec<[Dialog; 1]>,
    /// 2xx to INVITEs, each with its ACKs, in order.
    pub answers: SmallVec<[Answer; 1]>,
    /// What ended it: BYE or CANCEL.
    pub hangup: Option<Box<Hangup>>,
    /// ICMP errors that quote its signalling.
    pub icmp: Vec<IcmpSeen>,
    /// Packets of its signalling flows that this host's kernel dropped.
    pub dropped: Vec<DropSeen>,
    /// What it counts for at the peers it goes through.
    pub legs: SmallVec<[Leg; 2]>,
    /// A refusal that named a limit; the last one.
    pub limit: Option<Box<LimitSeen>>,
    /// REFERs in it.
    pub refers: Vec<Refer>,
    /// Refusals of the initial INVITE on the hop nearest to the caller, challenges among them, in order.
    pub refusals: Vec<Refusal>,
    /// What the last attempt of the initial INVITE carried beyond From and To; `None` where that is nothing.
    pub attempt: Option<Box<Attempt>>,
    /// The challenge was answered in another call: same nonce, another Call-ID.
    pub challenge_answered_elsewhere: bool,
    /// Contact of the initial INVITE: where requests to the caller must go.
    pub caller_contact: Option<Contact>,
    /// Session timer (RFC 4028) as negotiated last, seconds.
    pub session_interval_s: Option<u32>,
    /// The session timer in force, and who refreshes it.
    pub session_timer: Option<SessionTimer>,
    /// Intervals that were refused with 422; the first 8.
    pub intervals_refused: Vec<IntervalRefused>,
    /// The hold it is in, or was in when it ended.
    pub hold: Option<Hold>,
    /// What few calls have.
    pub rare: Option<Box<Rare>>,
    /// What caller and callee say they are.
    pub(crate) agents: [Option<Arc<str>>; 2],
    /// A request of it that came back to this host.
    pub returned: Option<Box<Returned>>,
    /// What offers and answers agreed on.
    pub media: MediaSession,
    /// DTMF in INFO requests.
    pub dtmf: DtmfInfo,
    pub(crate) clock: CallClock,
}

/// The one timer of a call: when it has something to do, and when it will be woken for that at the latest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallClock {
    /// When there is something to do.
    pub due: Timestamp,
    /// The entry in the queue that counts; all others of this call are stale.
    pub armed: Timestamp,
    /// When media is to be looked at by time alone, as of the last look; `None` where that is to be asked anew.
    pub media: Option<Timestamp>,
    /// The last look at what time alone brings about.
    pub watched: Timestamp,
}

/// The BYE or CANCEL that ended a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Hangup {
    /// When it was first seen.
    pub at: Timestamp,
    /// [`MethodKind::Bye`] or [`MethodKind::Cancel`].
    pub method: MethodKind,
    /// Who sent it, where the tags tell.
    pub side: Option<Side>,
    /// The way it went.
    pub path: Path,
    /// Its Reason: the Q.850 value where there are several.
    pub reason: Option<ReasonSeen>,
    /// Its first Reason header as sent.
    pub reason_header: Option<StoredText>,
    /// CSeq number.
    pub cseq: u32,
    /// A header beside Reason that tells why: Warning, or one of the vendors' own, as sent.
    pub text: Option<StoredText>,
}

/// A Reason header (RFC 3326).
#[derive(Clone, Debug, PartialEq)]
pub struct ReasonSeen {
    /// Its protocol: `Q.850`, `SIP` and so on.
    pub protocol: StoredText,
    /// Its cause number.
    pub cause: Option<u16>,
    /// Its text.
    pub text: Option<StoredText>,
}

/// An ICMP error that quotes signalling of the call.
#[derive(Clone, Debug, PartialEq)]
pub struct IcmpSeen {
    /// What it says.
    pub kind: IcmpKind,
    /// Who sent it.
    pub reporter: SocketAddr,
    /// Which way the error itself went: `Out` is this host refusing.
    pub direction: Direction,
    /// Sender of the message that did not arrive.
    pub quoted_src: SocketAddr,
    /// Where that message was to go.
    pub quoted_dst: SocketAddr,
    /// When, and how often.
    pub seen: Repeats,
}

/// A transfer (RFC 3515).
#[derive(Clone, Debug, PartialEq)]
pub struct Refer {
    /// When it was asked for.
    pub at: Timestamp,
    /// Who asked.
    pub side: Option<Side>,
    /// CSeq number of the REFER.
    pub cseq: u32,
    /// Where to.
    pub target: StoredText,
    /// Final response to the REFER.
    pub code: Option<u16>,
    /// When that came.
    pub answered_at: Option<Timestamp>,
    /// Last status that a NOTIFY told (message/sipfrag).
    pub notified: Option<(Timestamp, u16)>,
    /// No NOTIFY is due: Refer-Sub: false (RFC 4488), or `nosub` is required (RFC 7614).
    pub no_subscription: bool,
    /// The way it went, first seen.
    pub path: Path,
    /// A call to its target was seen to leave this host, or whether one did could not be watched.
    pub followed: bool,
}

impl Call {
    /// One direction of a hop.
    #[must_use]
    pub fn path(&self, path: Path) -> Option<HopView> {
        self.hops.get(usize::from(path.hop)).map(|hop| HopView::new(hop, path))
    }

    /// The INVITE that set the call up was seen.
    #[must_use]
    pub const fn setup_seen(&self) -> bool {
        self.invited_at.is_some() && !self.adopted
    }

    /// The dialog that matters most: the confirmed one, else the last.
    #[must_use]
    pub fn main_dialog(&self) -> Option<&Dialog> {
        self.dialogs
            .iter()
            .find(|d| d.confirmed_at.is_some())
            .or_else(|| self.dialogs.iter().rfind(|d| d.state != DialogState::Terminated))
            .or(self.dialogs.last())
    }

    /// The transactions of the initial INVITE, every attempt and every hop.
    pub fn invites(&self) -> impl Iterator<Item = &Transaction> {
        self.transactions.iter().filter(|t| t.method == MethodKind::Invite && !t.in_dialog)
    }

    /// Who the call is, as an alert names it.
    #[must_use]
    pub fn identity(&self) -> CallIdentity<'_> {
        let dialog = self.main_dialog();
        CallIdentity {
            call_id: self.call_id.as_str(),
            from: self.from.as_str(),
            to: self.to.as_str(),
            from_tag: dialog
                .map(|d| d.caller_tag.as_str())
                .or_else(|| self.caller_tags.first().map(StoredText::as_str)),
            to_tag: dialog.map(|d| d.callee_tag.as_str()).filter(|tag| !tag.is_empty()),
            cseq: self.invite_cseq,
            state: self.state,
            answered_at: self.answered_at,
            ended_at: self.ended_at,
            link: self.hops.first().map(|hop| hop.link),
            transport: self.hops.first().map_or("udp", |hop| hop.transport),
        }
    }
}
