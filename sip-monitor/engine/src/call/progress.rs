//! How a call moves from state to state, and what its ends are.

use core::hash::BuildHasher;

use crate::call::{Call, CallClock, CallKey, Changed, Context, DtmfInfo, Hangup, Hop, ReasonSeen, SessionKind};
use crate::dialog::{Dialog, DialogState};
use crate::event::Event;
use crate::media::{MediaSession, SdpContext, SdpRole};
use crate::record::{CallState, Side, StateChange};
use crate::sdp::Sdp;
use crate::seen::Seen;
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Path};

/// Pairs of addresses kept for one call.
const HOPS_KEPT: usize = 16;
/// State changes kept for one call.
const HISTORY_KEPT: usize = 16;

impl Call {
    /// A call whose first message is `seen`.
    pub(crate) fn new(key: CallKey, call_id: &[u8], call_id_hash: u64, seen: &Seen<'_, '_>, limit: usize) -> Self {
        let kind = kind_of(seen);
        let starts_here =
            seen.is_request() && !(seen.in_dialog() || matches!(seen.kind, MethodKind::Ack | MethodKind::Cancel));
        let uri = |addr: Option<crate::sip::NameAddr<'_>>| {
            addr.map_or_else(StoredText::default, |a| StoredText::new(a.uri, limit))
        };
        let mut media = MediaSession::default();
        if !starts_here {
            media.adopted(seen.at);
        }
        Self {
            key,
            call_id: StoredText::new(call_id, limit),
            call_id_hash,
            kind,
            from: uri(seen.from),
            to: uri(seen.to),
            caller_tags: core::iter::once(StoredText::new(seen.from_tag, limit)).collect(),
            adopted: !starts_here,
            state: if starts_here { CallState::Calling } else { CallState::Confirmed },
            counted_as: None,
            history: smallvec::SmallVec::new(),
            changes: 0,
            first_at: seen.at,
            last_at: seen.at,
            invited_at: None,
            invite_cseq: None,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            final_code: None,
            methods: [0; MethodKind::COUNT],
            other_methods: Vec::new(),
            hops: smallvec::SmallVec::new(),
            transactions: Vec::new(),
            transactions_dropped: 0,
            dialogs: smallvec::SmallVec::new(),
            answers: smallvec::SmallVec::new(),
            hangup: None,
            icmp: Vec::new(),
            dropped: Vec::new(),
            legs: smallvec::SmallVec::new(),
            limit: None,
            refers: Vec::new(),
            refusals: Vec::new(),
            attempt: None,
            challenge_answered_elsewhere: false,
            caller_contact: None,
            session_interval_s: None,
            session_timer: None,
            intervals_refused: Vec::new(),
            hold: None,
            rare: None,
            agents: [None, None],
            returned: None,
            media,
            dtmf: DtmfInfo::default(),
            clock: CallClock { due: Timestamp::MAX, armed: Timestamp::MAX, media: None, watched: Timestamp::ZERO },
        }
    }

    /// The hop of a message, made where it is new. `None` where the call has too many.
    pub(crate) fn path_of(&mut self, seen: &Seen<'_, '_>) -> Option<Path> {
        let known = self.hops.iter().position(|hop| {
            hop.transport == seen.transport
                && ((hop.a == seen.src && hop.b == seen.dst) || (hop.a == seen.dst && hop.b == seen.src))
        });
        let index = match known {
            Some(index) => index,
            None if self.hops.len() < HOPS_KEPT => {
                self.hops.push(Hop {
                    a: seen.src,
                    b: seen.dst,
                    direction: seen.direction,
                    link: seen.link,
                    transport: seen.transport,
                    last_forward_at: None,
                    last_back_at: None,
                    broken: None,
                });
                self.hops.len() - 1
            }
            None => return None,
        };
        let hop = self.hops.get_mut(index)?;
        let reversed = hop.a != seen.src;
        if reversed {
            hop.last_back_at = Some(seen.at);
        } else {
            hop.last_forward_at = Some(seen.at);
        }
        Some(Path { hop: u8::try_from(index).ok()?, reversed })
    }

    /// Who sent a request with these tags; of a response, who sent the request it answers.
    pub(crate) fn requester(&self, seen: &Seen<'_, '_>, limit: usize) -> Option<Side> {
        let is_caller = |tag: &[u8]| self.caller_tags.iter().any(|known| known.matches(tag, limit));
        if is_caller(seen.from_tag) {
            Some(Side::Caller)
        } else if !seen.to_tag.is_empty() && is_caller(seen.to_tag) {
            Some(Side::Callee)
        } else {
            None
        }
    }

    /// The dialog that the tags of the message name.
    pub(crate) fn find_dialog(&self, seen: &Seen<'_, '_>, limit: usize) -> Option<u8> {
        let index = self.dialogs.iter().position(|d| d.has_tags(seen.from_tag, seen.to_tag, limit))?;
        u8::try_from(index).ok()
    }

    /// The dialog that the tags of the message name, made where it is new.
    pub(crate) fn dialog_of(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>) -> Option<u8> {
        let limit = ctx.text_limit();
        if let Some(index) = self.find_dialog(seen, limit) {
            return Some(index);
        }
        // A 2xx without To tag is RFC 2543's; its dialog has an empty tag (RFC 3261 12.1.2).
        if !seen.in_dialog() && seen.code.is_none_or(|code| code < 200) {
            return None;
        }
        if self.dialogs.len() >= ctx.config.limits.dialogs_per_call.min(usize::from(u8::MAX)) {
            ctx.counters.details_dropped += 1;
            return None;
        }
        let (caller, callee) = match self.requester(seen, limit) {
            Some(Side::Callee) => (seen.to_tag, seen.from_tag),
            Some(Side::Caller) | None => (seen.from_tag, seen.to_tag),
        };
        // A response to a request without To tag makes a dialog; a request that has one belongs to a dialog already up.
        let adopted = seen.is_request();
        self.dialogs.push(Dialog {
            caller_tag: StoredText::new(caller, limit),
            callee_tag: StoredText::new(callee, limit),
            state: if adopted { DialogState::Confirmed } else { DialogState::Early },
            started_at: seen.at,
            confirmed_at: None,
            terminated_at: None,
            reached_caller: false,
            adopted,
            route_set: smallvec::SmallVec::new(),
            early_exchange: false,
            caller_target: None,
            callee_target: None,
        });
        u8::try_from(self.dialogs.len() - 1).ok()
    }

    /// Moves to a state; says so once. `by`: who brought it about.
    pub(crate) fn set_state(&mut self, ctx: &mut Context<'_>, at: Timestamp, state: CallState, by: Option<Side>) {
        if self.state == state && !self.history.is_empty() {
            return;
        }
        let previous = Some(self.state).filter(|previous| *previous != state);
        let code = ctx.code;
        self.state = state;
        self.changes = self.changes.saturating_add(1);
        if self.history.len() < HISTORY_KEPT {
            self.history.push(StateChange { at, state, by, code });
        }
        ctx.events.push(Event::State(state));
        ctx.changes.push(Changed { at, state, previous, by, code, sequence: self.changes });
    }

    /// The call is over as of `at`.
    pub(crate) fn end(&mut self, ctx: &mut Context<'_>, at: Timestamp, state: CallState, by: Option<Side>) {
        if self.ended_at.is_none() {
            self.ended_at = Some(at);
            self.media.ended(at);
            ctx.media.call_over(self.key, at);
            self.clock.media = None;
            for answer in &mut self.answers {
                answer.given_up_at.get_or_insert(at);
            }
        }
        self.set_state(ctx, at, state, by);
    }

    /// What media knows a dialog by: the callee's tag tells the branches of a fork apart.
    pub(crate) fn dialog_id(&self, ctx: &Context<'_>, seen: &Seen<'_, '_>) -> u64 {
        let callee_tag = match self.requester(seen, ctx.text_limit()) {
            Some(Side::Callee) => seen.from_tag,
            Some(Side::Caller) | None => seen.to_tag,
        };
        if callee_tag.is_empty() { 0 } else { ctx.hasher.hash_one(callee_tag) }
    }

    /// Takes the SDP of a message that was not seen before.
    pub(crate) fn take_sdp(
        &mut self,
        ctx: &mut Context<'_>,
        seen: &Seen<'_, '_>,
        from: Side,
        role: SdpRole,
        confirms: bool,
    ) {
        let Some(sdp) = seen.sdp.and_then(|bytes| Sdp::parse(bytes).ok()) else { return };
        let dialog = self.dialog_id(ctx, seen);
        let context = SdpContext {
            at: seen.at,
            from,
            role,
            src: seen.src,
            dst: seen.dst,
            direction: seen.direction,
            dialog,
            confirms,
            call_id: self.call_id.as_str(),
        };
        self.media.handle_sdp(ctx.media, self.key, &context, &sdp);
        self.clock.media = None;
        if self.answered_at.is_some() || self.adopted {
            self.note_hold(ctx, seen.at, from, role);
        }
    }

    /// Takes a BYE that was not seen before on its hop.
    pub(crate) fn take_bye(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, side: Option<Side>, path: Path) {
        let dialog = self.dialog_of(ctx, seen);
        if let Some(dialog) = dialog.and_then(|index| self.dialogs.get_mut(usize::from(index))) {
            dialog.state = DialogState::Terminated;
            dialog.terminated_at.get_or_insert(seen.at);
        }
        let known = self.dialogs.iter().any(|d| d.reached_caller);
        let up = self.dialogs.iter().any(|d| d.state == DialogState::Confirmed && (d.reached_caller || !known));
        if up || self.ended_at.is_some() {
            return;
        }
        self.hangup = Some(Box::new(hangup(seen, side, path, ctx.text_limit())));
        ctx.events.push(Event::HungUp(MethodKind::Bye));
        let was_up = self.answered_at.is_some() || self.adopted;
        self.end(ctx, seen.at, if was_up { CallState::Disconnected } else { CallState::Failed }, side);
    }

    /// Takes a CANCEL that was not seen before on its hop.
    pub(crate) fn take_cancel(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, side: Option<Side>, path: Path) {
        for invite in self
            .transactions
            .iter_mut()
            .filter(|t| t.method == MethodKind::Invite && t.cseq == seen.cseq && t.path == path)
        {
            invite.cancelled_at.get_or_insert(seen.at);
        }
        if self.hangup.is_none() && self.answered_at.is_none() {
            self.hangup = Some(Box::new(hangup(seen, side.or(Some(Side::Caller)), path, ctx.text_limit())));
            ctx.events.push(Event::HungUp(MethodKind::Cancel));
        }
    }
}

/// What a session is about, by its first message.
pub(crate) fn kind_of(seen: &Seen<'_, '_>) -> SessionKind {
    match seen.kind {
        MethodKind::Invite => SessionKind::Invite,
        MethodKind::Register => SessionKind::Register,
        MethodKind::Options if !seen.in_dialog() => SessionKind::Options,
        MethodKind::Ack
        | MethodKind::Bye
        | MethodKind::Prack
        | MethodKind::Update
        | MethodKind::Info
        | MethodKind::Refer
        | MethodKind::Options
            if seen.in_dialog() =>
        {
            SessionKind::Invite
        }
        MethodKind::Ack
        | MethodKind::Bye
        | MethodKind::Cancel
        | MethodKind::Prack
        | MethodKind::Update
        | MethodKind::Info
        | MethodKind::Options
        | MethodKind::Subscribe
        | MethodKind::Notify
        | MethodKind::Refer
        | MethodKind::Message
        | MethodKind::Publish
        | MethodKind::Other => SessionKind::Other,
    }
}

fn hangup(seen: &Seen<'_, '_>, side: Option<Side>, path: Path, limit: usize) -> Hangup {
    let reasons = || seen.message.reasons().flatten();
    // Of several Reason values the Q.850 one tells most.
    let reason = reasons().find(|r| r.protocol.eq_ignore_ascii_case(b"Q.850")).or_else(|| reasons().next());
    let reason = reason.map(|r| ReasonSeen {
        protocol: StoredText::new(r.protocol, limit),
        cause: r.cause.and_then(|c| u16::try_from(c).ok()),
        text: r.text.map(|t| StoredText::new(t, limit)),
    });
    let value = seen.message.header(crate::sip::HeaderName::Reason).map(|v| StoredText::new(v, limit));
    let texts = ["Warning", "X-Asterisk-HangupCause", "X-Hangup-Cause", "X-Reason", "Error-Info"];
    let text = texts.iter().find_map(|name| {
        let value = match *name {
            "Warning" => seen.message.header(crate::sip::HeaderName::Warning),
            name => seen.message.headers_named(name.as_bytes()).next(),
        }?;
        Some(StoredText::new(value, limit))
    });
    Hangup { at: seen.at, method: seen.kind, side, path, reason, reason_header: value, cseq: seen.cseq, text }
}
