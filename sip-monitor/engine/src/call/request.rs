//! Requests: the transaction each belongs to, and what it does to the call.

use crate::call::response::refer_sub_is_false;
use crate::call::{Attempt, Call, Context, Refer, SessionKind};
use crate::dialog::route;
use crate::event::Event;
use crate::media::SdpRole;
use crate::record::{CallState, Side};
use crate::seen::Seen;
use crate::sip::StartLine;
use crate::text::StoredText;
use crate::transaction::{MethodKind, Path, Repeats, Sighting, Transaction, transaction_key, via_stack};

/// Transfers kept for one call.
const REFERS_KEPT: usize = 8;
/// From tags of callers kept for one call.
const CALLER_TAGS_KEPT: usize = 8;
/// Names of unregistered methods kept for one call.
const OTHER_METHODS_KEPT: usize = 8;

impl Call {
    /// Takes a request.
    pub(crate) fn handle_request(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>) {
        self.last_at = seen.at;
        let Some(path) = self.path_of(seen) else {
            ctx.counters.details_dropped += 1;
            return self.count_method(ctx, seen);
        };
        if seen.kind == MethodKind::Ack {
            return self.handle_ack(ctx, seen, path);
        }
        let key = transaction_key(seen, ctx.hasher);
        let known = self
            .transactions
            .iter_mut()
            .find(|t| t.key == key && t.path == path && t.method == seen.kind && t.cseq == seen.cseq);
        if let Some(known) = known {
            ctx.repeated = true;
            known.fragment_lost |= seen.incomplete;
            return match known.sent.see(seen.at, seen.ip_id, ctx.config.timers.t1) {
                Sighting::CapturedTwice => ctx.counters.captured_twice += 1,
                Sighting::Retransmission => {
                    ctx.events.push(Event::RequestRepeated(seen.kind, known.sent.retransmissions()));
                    self.count_method(ctx, seen);
                }
            };
        }
        self.count_method(ctx, seen);
        let side = self.place_request(ctx, seen);
        let dialog = self.dialog_in_call(ctx, seen);
        let has_offer = self.take_request(ctx, seen, side, dialog, path);
        let misrouted = match (seen.kind, side, dialog) {
            (MethodKind::Bye, Some(side), Some(dialog)) => self.misrouted(ctx, seen, side, dialog),
            _ => None,
        };
        self.note_return(ctx, seen);
        self.make_room_for_transaction(ctx);
        let limit = ctx.text_limit();
        let via = seen.via.as_ref();
        // A call that is up has one or two: what a vector takes beforehand would be most of what is kept of it.
        if self.transactions.len() == self.transactions.capacity() {
            self.transactions.reserve_exact(self.transactions.len().max(1));
        }
        self.transactions.push(Transaction {
            method: seen.kind,
            method_name: (seen.kind == MethodKind::Other).then(|| StoredText::new(seen.method.as_bytes(), limit)),
            cseq: seen.cseq,
            path,
            from: side,
            in_dialog: seen.in_dialog(),
            dialog,
            branch: StoredText::new(via.and_then(|v| v.branch).unwrap_or_default(), limit),
            sent_by: StoredText::new(via.map(|v| v.sent_by).unwrap_or_default(), limit),
            key,
            vias: if seen.kind == MethodKind::Invite { via_stack(seen, ctx.hasher) } else { Default::default() },
            sent: Repeats::once(seen.at, seen.ip_id),
            responses: smallvec::SmallVec::new(),
            responses_dropped: 0,
            ack: None,
            cancelled_at: None,
            timed_out: None,
            counted: false,
            has_offer,
            fragment_lost: seen.incomplete,
            credentials: seen.has_credentials(),
            max_forwards: seen.message.max_forwards(),
            session_expires_s: seen.message.session_expires().map(|timer| timer.seconds),
            rack: seen.message.rack().filter(|_| seen.kind == MethodKind::Prack).map(|r| (r.rseq, r.cseq.number)),
            misrouted,
        });
    }

    /// Counts a request as it was seen: on each hop, and each time it was sent.
    pub(crate) fn count_method(&mut self, ctx: &Context<'_>, seen: &Seen<'_, '_>) {
        if let Some(count) = self.methods.get_mut(seen.kind as usize) {
            *count = count.saturating_add(1);
        }
        if seen.kind != MethodKind::Other {
            return;
        }
        let (name, limit) = (seen.method.as_bytes(), ctx.text_limit());
        if let Some((_, count)) = self.other_methods.iter_mut().find(|(known, _)| known.matches(name, limit)) {
            *count += 1;
        } else if self.other_methods.len() < OTHER_METHODS_KEPT {
            self.other_methods.push((StoredText::new(name, limit), 1));
        }
    }

    /// Who sent it. A first INVITE makes its sender the caller.
    fn place_request(&mut self, ctx: &Context<'_>, seen: &Seen<'_, '_>) -> Option<Side> {
        let limit = ctx.text_limit();
        let side = self.requester(seen, limit);
        if side.is_some() || seen.in_dialog() || seen.kind != MethodKind::Invite {
            return side;
        }
        if self.caller_tags.len() < CALLER_TAGS_KEPT {
            self.caller_tags.push(StoredText::new(seen.from_tag, limit));
        }
        Some(Side::Caller)
    }

    /// The dialog of a request of a call; requests of other sessions make none.
    fn dialog_in_call(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>) -> Option<u8> {
        match self.kind {
            SessionKind::Invite => self.dialog_of(ctx, seen),
            SessionKind::Register | SessionKind::Options | SessionKind::Other => None,
        }
    }

    /// What a request that was not seen before on this hop does to the call. Returns whether it carries an offer.
    fn take_request(
        &mut self,
        ctx: &mut Context<'_>,
        seen: &Seen<'_, '_>,
        side: Option<Side>,
        dialog: Option<u8>,
        path: Path,
    ) -> bool {
        match seen.kind {
            MethodKind::Invite if seen.in_dialog() => {
                self.refresh_target(ctx, seen, side, dialog);
                self.take_offer(ctx, seen, side)
            }
            MethodKind::Invite => {
                self.take_first_invite(ctx, seen);
                self.take_offer(ctx, seen, Some(side.unwrap_or(Side::Caller)))
            }
            MethodKind::Update => {
                self.refresh_target(ctx, seen, side, dialog);
                self.note_early_exchange(seen, dialog);
                self.take_offer(ctx, seen, side)
            }
            MethodKind::Prack => {
                self.note_prack(ctx, seen);
                self.take_prack(ctx, seen, side, dialog)
            }
            MethodKind::Bye => {
                self.take_bye(ctx, seen, side, path);
                false
            }
            MethodKind::Cancel => {
                self.take_cancel(ctx, seen, side, path);
                false
            }
            MethodKind::Refer => {
                self.take_refer(ctx, seen, side, path);
                false
            }
            MethodKind::Notify => {
                self.take_notify(ctx, seen);
                false
            }
            MethodKind::Info => {
                self.take_info(ctx, seen, side);
                false
            }
            MethodKind::Ack
            | MethodKind::Options
            | MethodKind::Register
            | MethodKind::Subscribe
            | MethodKind::Message
            | MethodKind::Publish
            | MethodKind::Other => false,
        }
    }

    fn take_first_invite(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>) {
        let limit = ctx.text_limit();
        if self.invited_at.is_none() {
            if self.kind != SessionKind::Invite {
                self.kind = SessionKind::Invite;
                self.adopted = false;
            }
            // A Call-ID that was known only by a stray message before gets its names from the INVITE.
            self.from = seen.from.map_or_else(StoredText::default, |a| StoredText::new(a.uri, limit));
            self.to = seen.to.map_or_else(StoredText::default, |a| StoredText::new(a.uri, limit));
            self.caller_contact = seen.message.contact_uri().map(|uri| route::contact(uri, limit));
            self.invited_at = Some(seen.at);
            self.invite_cseq = Some(seen.cseq);
            self.attempt = Attempt::of(seen, ctx.hasher);
            self.note_origin(ctx, seen);
            self.note_agent(ctx, seen, Side::Caller);
            return self.set_state(ctx, seen.at, CallState::Calling, Some(Side::Caller));
        }
        if self.invite_cseq.is_none_or(|known| seen.cseq > known) {
            self.invite_cseq = Some(seen.cseq);
            self.attempt = Attempt::of(seen, ctx.hasher);
            // The attempt goes on: credentials, another interval, another target (RFC 3261 8.1.3.5, 22.2).
            if self.answered_at.is_none() {
                self.ended_at = None;
                self.set_state(ctx, seen.at, CallState::Calling, Some(Side::Caller));
            }
        }
    }

    fn take_offer(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, side: Option<Side>) -> bool {
        if seen.sdp.is_none() {
            return false;
        }
        if let Some(side) = side {
            self.take_sdp(ctx, seen, side, SdpRole::Offer, false);
        }
        true
    }

    /// PRACK answers an offer that came in the reliable response, or makes one of its own (RFC 3262 5).
    fn take_prack(
        &mut self,
        ctx: &mut Context<'_>,
        seen: &Seen<'_, '_>,
        side: Option<Side>,
        dialog: Option<u8>,
    ) -> bool {
        let Some(side) = side.filter(|_| seen.sdp.is_some()) else { return false };
        let acknowledged = seen.message.rack().map(|rack| rack.cseq.number);
        let late_offer = self.transactions.iter().any(|t| {
            t.method == MethodKind::Invite
                && acknowledged.is_none_or(|cseq| cseq == t.cseq)
                && !t.has_offer
                && t.responses.iter().any(|r| r.has_sdp && r.rseq.is_some())
        });
        let answered_before = self
            .transactions
            .iter()
            .any(|t| t.method == MethodKind::Prack && t.cseq < seen.cseq && t.from == Some(side));
        if late_offer && !answered_before {
            self.take_sdp(ctx, seen, side, SdpRole::Answer, false);
            return false;
        }
        self.note_early_exchange(seen, dialog);
        self.take_sdp(ctx, seen, side, SdpRole::Offer, false);
        true
    }

    /// A PRACK that comes late ends what was said of its absence; a wrong one explains it.
    fn note_prack(&self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>) {
        let patience = ctx.config.thresholds.unanswered_retransmissions;
        let mut reliable = self.invites().flat_map(|t| &t.responses).filter(|r| r.rseq.is_some());
        if seen.message.rack().is_some() && reliable.any(|r| r.sent.retransmissions() >= patience) {
            ctx.events.push(Event::Noted);
        }
    }

    fn note_early_exchange(&mut self, seen: &Seen<'_, '_>, dialog: Option<u8>) {
        if seen.sdp.is_none() {
            return;
        }
        if let Some(dialog) = dialog.and_then(|index| self.dialogs.get_mut(usize::from(index))) {
            dialog.early_exchange |= dialog.confirmed_at.is_none();
        }
    }

    /// INVITE and UPDATE within the dialog, and their 2xx, say anew where their sender is reached (RFC 3261 12.2).
    pub(crate) fn refresh_target(
        &mut self,
        ctx: &Context<'_>,
        seen: &Seen<'_, '_>,
        side: Option<Side>,
        dialog: Option<u8>,
    ) {
        let Some(dialog) = dialog.and_then(|index| self.dialogs.get_mut(usize::from(index))) else { return };
        let Some(uri) = seen.message.contact_uri() else { return };
        let limit = ctx.text_limit();
        let target = match side {
            Some(Side::Caller) => &mut dialog.caller_target,
            Some(Side::Callee) => &mut dialog.callee_target,
            None => return,
        };
        if !target.as_ref().is_some_and(|known| known.uri.matches(uri, limit)) {
            *target = Some(route::contact(uri, limit));
        }
    }

    fn take_refer(&mut self, ctx: &Context<'_>, seen: &Seen<'_, '_>, side: Option<Side>, path: Path) {
        let relayed = self.refers.iter().any(|r| r.cseq == seen.cseq && r.side == side);
        if relayed || self.refers.len() >= REFERS_KEPT {
            return;
        }
        let target =
            seen.message.refer_to().map_or_else(StoredText::default, |a| StoredText::new(a.uri, ctx.text_limit()));
        let no_subscription = refer_sub_is_false(seen.message)
            || seen.message.require().any(|option| option.eq_ignore_ascii_case(b"nosub"));
        self.refers.push(Refer {
            at: seen.at,
            side,
            cseq: seen.cseq,
            target,
            code: None,
            answered_at: None,
            notified: None,
            no_subscription,
            path,
            followed: false,
        });
    }

    /// A NOTIFY of a transfer carries the status line of the call that came of it (RFC 3515 2.4.5).
    fn take_notify(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>) {
        if !seen.message.event().is_some_and(|event| event.eq_ignore_ascii_case(b"refer")) {
            return;
        }
        let Some(code) = sipfrag_status(seen.message.body()) else { return };
        let Some(refer) = self.refers.last_mut() else { return };
        refer.notified = Some((seen.at, code));
        if code >= 200 {
            ctx.events.push(Event::Noted);
        }
        let up = matches!(self.state, CallState::Confirmed | CallState::Held);
        if (200..300).contains(&code) && up && refer.code.is_none_or(|c| c < 300) {
            let by = self.refers.last().and_then(|refer| refer.side);
            ctx.code = Some(code);
            self.set_state(ctx, seen.at, CallState::Transferred, by);
        }
    }

    /// Where there are too many, the oldest that is over goes first, but not the INVITE that set the call up.
    fn make_room_for_transaction(&mut self, ctx: &mut Context<'_>) {
        if self.transactions.len() < ctx.config.limits.transactions_per_call.max(1) {
            return;
        }
        let over = |t: &Transaction| {
            let setup = t.method == MethodKind::Invite && !t.in_dialog;
            !setup && (t.final_response().is_some() || t.timed_out.is_some())
        };
        let index = self.transactions.iter().position(over).unwrap_or(0);
        self.transactions.remove(index);
        self.transactions_dropped = self.transactions_dropped.saturating_add(1);
        ctx.counters.transactions_dropped += 1;
    }
}

/// The status code in a message/sipfrag body.
fn sipfrag_status(body: &[u8]) -> Option<u16> {
    // A fragment may be a status line alone, without any header.
    match crate::sip::Message::parse(body).ok()?.start_line() {
        StartLine::Response { code, .. } => (code != 0).then_some(code),
        StartLine::Request { .. } => None,
    }
}
