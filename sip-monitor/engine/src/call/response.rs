//! Responses: the transaction each belongs to, the dialog it makes, and what it does to the call.

use smallvec::SmallVec;

use crate::call::{Call, Context, SessionKind};
use crate::dialog::{Answer, AnswerHop, DialogState, ViaMismatch, route};
use crate::event::Event;
use crate::media::SdpRole;
use crate::record::{CallState, Side};
use crate::seen::Seen;
use crate::sip::{HeaderName, Message};
use crate::text::StoredText;
use crate::transaction::{MethodKind, Path, Repeats, Response, Sighting, Transaction, transaction_key, via_stack};

/// Different responses kept for one transaction.
const RESPONSES_KEPT: usize = 16;
/// 2xx to INVITEs kept for one call.
const ANSWERS_KEPT: usize = 32;
/// Hops kept for one 2xx.
const ANSWER_HOPS_KEPT: usize = 8;
/// Routes kept of a route set.
const ROUTES_KEPT: usize = 16;

/// A response to INVITE, beside its message.
#[derive(Clone, Copy)]
struct Reply {
    code: u16,
    path: Path,
    /// Its transaction, where that was seen.
    index: Option<usize>,
    dialog: Option<u8>,
    /// Who sent the INVITE.
    requester: Option<Side>,
    /// It was not seen before on this hop.
    first: bool,
}

impl Call {
    /// Takes a response.
    pub(crate) fn handle_response(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, code: u16) {
        self.last_at = seen.at;
        let Some(path) = self.path_of(seen) else {
            ctx.counters.details_dropped += 1;
            return;
        };
        let limit = ctx.text_limit();
        let requester = self.requester(seen, limit);
        let makes_dialog = self.kind == SessionKind::Invite && (seen.kind == MethodKind::Invite || seen.in_dialog());
        let dialog = match code {
            101..300 if makes_dialog => self.dialog_of(ctx, seen),
            _ => self.find_dialog(seen, limit),
        };
        let Some(index) = self.transaction_of(ctx, seen, path) else {
            ctx.counters.stray_responses += 1;
            if seen.kind == MethodKind::Invite && code < 300 && makes_dialog {
                let reply = Reply { code, path, index: None, dialog, requester, first: true };
                self.take_invite_response(ctx, seen, reply);
            }
            if seen.kind == MethodKind::Invite && code >= 200 && (code < 300 || self.answered_at.is_none()) {
                self.final_code = Some(code);
            }
            return;
        };
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        let rseq = seen.message.rseq();
        let known = transaction
            .responses
            .iter()
            .position(|r| r.code == code && (r.dialog == dialog || seen.kind != MethodKind::Invite) && r.rseq == rseq);
        let first = known.is_none();
        if let Some(known) = known.and_then(|known| transaction.responses.get_mut(known)) {
            ctx.repeated = true;
            if known.sent.see(seen.at, seen.ip_id, ctx.config.timers.t1) == Sighting::CapturedTwice {
                ctx.counters.captured_twice += 1;
                return;
            }
        } else if transaction.responses.len() < RESPONSES_KEPT {
            let has_sdp = seen.kind == MethodKind::Invite && seen.sdp.is_some();
            let sent = Repeats::once(seen.at, seen.ip_id);
            transaction.responses.push(Response { code, dialog, has_sdp, rseq, sent });
        } else {
            transaction.responses_dropped = transaction.responses_dropped.saturating_add(1);
            ctx.counters.details_dropped += 1;
        }
        self.note_response(ctx, seen, code, index, requester, first);
        match seen.kind {
            MethodKind::Invite => {
                let reply = Reply { code, path, index: Some(index), dialog, requester, first };
                self.take_invite_response(ctx, seen, reply);
            }
            _ if first => self.take_other_response(ctx, seen, code, index, dialog, requester),
            _ => {}
        }
    }

    /// The transaction by branch and sent-by, on the way back of its hop if there are several; where the Via was rewritten,
    /// by hop, CSeq and method.
    fn transaction_of(&self, ctx: &Context<'_>, seen: &Seen<'_, '_>, path: Path) -> Option<usize> {
        let key = transaction_key(seen, ctx.hasher);
        let fits = |t: &Transaction| t.cseq == seen.cseq && t.method == seen.kind;
        let by_key = |t: &Transaction| t.key == key && fits(t);
        let way_back = path.back();
        self.transactions
            .iter()
            .rposition(|t| by_key(t) && t.path == way_back)
            .or_else(|| self.transactions.iter().rposition(by_key))
            .or_else(|| self.transactions.iter().rposition(|t| t.path == way_back && fits(t)))
    }

    fn take_invite_response(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, reply: Reply) {
        let Reply { code, index, requester, first, .. } = reply;
        let invite = index.and_then(|index| self.transactions.get(index));
        let initial = invite.is_none_or(|t| !t.in_dialog);
        let had_offer = invite.is_none_or(|t| t.has_offer);
        let answerer = reply.answerer();
        if initial && first && code > 100 {
            self.note_agent(ctx, seen, answerer);
        }
        match code {
            100 => {}
            101..200 => {
                if first && initial && (180..190).contains(&code) {
                    self.ringing_at.get_or_insert(seen.at);
                    self.note_ringing(ctx, seen, answerer);
                }
                if first {
                    let role = if had_offer { SdpRole::Answer } else { SdpRole::Offer };
                    self.take_sdp(ctx, seen, answerer, role, false);
                }
            }
            200..300 => self.take_answer(ctx, seen, reply),
            _ if first => self.take_refusal(ctx, seen, code, index, requester),
            _ => {}
        }
    }

    /// What a response says beside its part in the call: that something is refused which a diagnosis looks at, that a
    /// silent peer speaks after all, that a reliable provisional is sent again and again.
    fn note_response(
        &mut self,
        ctx: &mut Context<'_>,
        seen: &Seen<'_, '_>,
        code: u16,
        index: usize,
        requester: Option<Side>,
        first: bool,
    ) {
        let patience = ctx.config.thresholds.unanswered_retransmissions;
        let Some(transaction) = self.transactions.get(index) else { return };
        if !first {
            let again = transaction.responses.iter().find(|r| r.code == code && r.rseq.is_some());
            if code < 200 && again.is_some_and(|r| r.sent.retransmissions() >= patience) {
                ctx.events.push(Event::Noted);
            }
            return;
        }
        let speaks_late = transaction.sent.retransmissions() >= patience || transaction.timed_out.is_some();
        let refused = match seen.kind {
            MethodKind::Bye | MethodKind::Refer => code >= 300,
            _ => matches!(code, 422 | 482 | 483 | 491),
        };
        let asked_s = transaction.session_expires_s;
        if speaks_late || refused || transaction.cancelled_at.is_some() {
            ctx.events.push(Event::Noted);
        }
        if code == 422 {
            self.note_interval_refused(seen, asked_s, requester);
        }
    }

    fn note_ringing(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, answerer: Side) {
        match self.state {
            CallState::Calling | CallState::Ringing if seen.sdp.is_some() => {
                self.set_state(ctx, seen.at, CallState::EarlyMedia, Some(answerer));
            }
            CallState::Calling => self.set_state(ctx, seen.at, CallState::Ringing, Some(answerer)),
            _ => {}
        }
    }

    fn take_answer(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, reply: Reply) {
        let Reply { code, index, first, .. } = reply;
        let side = reply.answerer();
        let Some(dialog) = reply.dialog else { return };
        let invite = index.and_then(|index| self.transactions.get(index));
        let initial = invite.map_or(self.answered_at.is_none() && self.answers.is_empty(), |t| !t.in_dialog);
        let had_offer = invite.is_none_or(|t| t.has_offer);
        let reliable_answer = invite.is_some_and(|t| t.responses.iter().any(|r| r.rseq.is_some() && r.has_sdp));
        let early_exchange = self.confirm_dialog(ctx, seen, dialog, initial, side);
        if initial {
            self.final_code = Some(code);
            if self.answered_at.is_none() {
                self.answered_at = Some(seen.at);
                self.ended_at = None;
                self.set_state(ctx, seen.at, CallState::Confirmed, Some(side));
                let id = self.dialog_id(ctx, seen);
                self.media.confirmed(seen.at, id);
                self.clock.media = None;
            }
        }
        if first && !(reliable_answer && early_exchange) {
            let role = if had_offer { SdpRole::Answer } else { SdpRole::Offer };
            self.take_sdp(ctx, seen, side, role, true);
        }
        if first && initial && self.media.unfit_answer().is_some() {
            ctx.events.push(Event::AnswerUnfit);
        }
        if first && !initial {
            ctx.events.push(Event::Renegotiated);
        }
        if first {
            self.note_session_timer(seen, side.other());
        }
        self.note_answer(ctx, seen, reply, dialog, initial);
    }

    /// The dialog is up. Returns whether an offer was exchanged in it before.
    fn confirm_dialog(
        &mut self,
        ctx: &Context<'_>,
        seen: &Seen<'_, '_>,
        dialog: u8,
        initial: bool,
        side: Side,
    ) -> bool {
        self.refresh_target(ctx, seen, Some(side), Some(dialog));
        let Some(dialog) = self.dialogs.get_mut(usize::from(dialog)) else { return false };
        if dialog.caller_target.is_none() {
            dialog.caller_target.clone_from(&self.caller_contact);
        }
        if dialog.state == DialogState::Early {
            dialog.state = DialogState::Confirmed;
        }
        dialog.confirmed_at.get_or_insert(seen.at);
        if initial {
            // The copy nearest to the caller comes last, and holds the set as the caller will use it.
            let limit = ctx.text_limit();
            let mut count = 0;
            let mut same = true;
            for route in seen.message.record_routes().flatten().take(ROUTES_KEPT) {
                count += 1;
                same &=
                    dialog.route_set.iter().rev().nth(count - 1).is_some_and(|known| known.matches(route.uri, limit));
            }
            if !same || count != dialog.route_set.len() {
                let routes = seen.message.record_routes().flatten().take(ROUTES_KEPT);
                dialog.route_set = routes.map(|r| StoredText::new(r.uri, limit)).collect();
                dialog.route_set.reverse();
            }
        }
        dialog.early_exchange
    }

    fn note_answer(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, reply: Reply, dialog: u8, initial: bool) {
        let Reply { code, path, index, .. } = reply;
        let known = self.answers.iter().position(|a| a.dialog == dialog && a.cseq == seen.cseq);
        let position = match known {
            Some(position) => position,
            None if self.answers.len() < ANSWERS_KEPT => {
                self.answers.push(Answer {
                    dialog,
                    cseq: seen.cseq,
                    code,
                    initial,
                    side: reply.answerer(),
                    invite_seen: index.is_some(),
                    hops: SmallVec::new(),
                    acks: SmallVec::new(),
                    given_up_at: None,
                    settled: false,
                });
                self.answers.len() - 1
            }
            None => {
                // Re-INVITEs of a long call: the oldest one that was acknowledged is of no more interest.
                let Some(old) = self.answers.iter().position(Answer::is_acknowledged) else { return };
                self.answers.remove(old);
                ctx.counters.details_dropped += 1;
                return self.note_answer(ctx, seen, reply, dialog, initial);
            }
        };
        let repeated = self.answers.get_mut(position).and_then(|answer| {
            let hop = answer.hops.iter_mut().find(|hop| hop.path == path)?;
            hop.sent.see(seen.at, seen.ip_id, ctx.config.timers.t1);
            answer.settled = false;
            Some(hop.sent.retransmissions())
        });
        if let Some(times) = repeated {
            return ctx.events.push(Event::AnswerRepeated(times));
        }
        let nearest = self.transactions.iter().find(|t| t.method == MethodKind::Invite && !t.in_dialog);
        if initial
            && nearest.is_some_and(|t| t.path == path.back())
            && let Some(dialog) = self.dialogs.get_mut(usize::from(dialog))
        {
            dialog.reached_caller = true;
        }
        let hop = self.answer_hop(ctx, seen, path, index);
        if let Some(answer) = self.answers.get_mut(position) {
            if answer.hops.len() < ANSWER_HOPS_KEPT {
                answer.hops.push(hop);
            } else {
                ctx.counters.details_dropped += 1;
            }
        }
    }

    /// How a 2xx looks on one hop, beside its INVITE.
    fn answer_hop(&self, ctx: &Context<'_>, seen: &Seen<'_, '_>, path: Path, index: Option<usize>) -> AnswerHop {
        let limit = ctx.text_limit();
        let invite = index.and_then(|index| self.transactions.get(index));
        let invite_src = invite.and_then(|t| self.path(t.path)).map(|hop| hop.src);
        let vias = via_stack(seen, ctx.hasher);
        let via_mismatch = invite.filter(|t| t.vias != vias).map(|t| {
            let top = seen.message.list(HeaderName::Via).next().unwrap_or_default();
            Box::new(ViaMismatch {
                invite: t.vias,
                answer: vias,
                invite_top: StoredText::new(format!("{};branch={}", t.sent_by, t.branch).as_bytes(), limit),
                answer_top: StoredText::new(top, limit),
            })
        });
        // What is sent back to where the request came from arrives, whatever the Via says: that is what rport is for.
        let expected = seen.via.as_ref().and_then(route::response_destination);
        let expected_dst =
            expected.filter(|expected| *expected != seen.dst && invite_src.is_some_and(|src| src != seen.dst));
        AnswerHop {
            path,
            sent: Repeats::once(seen.at, seen.ip_id),
            contact: seen.message.contact_uri().map(|uri| route::contact(uri, limit)),
            record_routes: u8::try_from(seen.message.record_routes().count()).unwrap_or(u8::MAX),
            invite_path: invite.map(|t| t.path),
            via_mismatch,
            expected_dst: expected_dst.map(Box::new),
        }
    }

    /// A final response to INVITE that is no 2xx.
    fn take_refusal(
        &mut self,
        ctx: &mut Context<'_>,
        seen: &Seen<'_, '_>,
        code: u16,
        index: Option<usize>,
        requester: Option<Side>,
    ) {
        let Some(invite) = index.and_then(|index| self.transactions.get(index)) else { return };
        let (in_dialog, has_offer, path, cseq) = (invite.in_dialog, invite.has_offer, invite.path, invite.cseq);
        if in_dialog {
            if has_offer && let Some(offerer) = requester {
                self.media.offer_rejected(seen.at, offerer, seen.src, seen.dst);
                self.clock.media = None;
            }
            return;
        }
        // Of a forked call that was answered the other branches end with 487.
        if self.answered_at.is_none() {
            self.final_code = Some(code);
        }
        // Behind a proxy one branch may be refused while another rings: what the caller is told decides.
        let nearest =
            self.transactions.iter().find(|t| t.method == MethodKind::Invite && !t.in_dialog && t.cseq == cseq);
        let told_to_caller = nearest.is_some_and(|t| t.path == path);
        if !told_to_caller || self.answered_at.is_some() || self.invite_cseq != Some(cseq) {
            return;
        }
        for dialog in self.dialogs.iter_mut().filter(|d| d.state == DialogState::Early) {
            dialog.state = DialogState::Terminated;
            dialog.terminated_at = Some(seen.at);
        }
        self.note_refusal(ctx, seen, code, path);
        let refuser = requester.unwrap_or(Side::Caller).other();
        let cancelled = self.hangup.as_ref().filter(|hangup| code == 487 && hangup.method == MethodKind::Cancel);
        let by = cancelled.map_or(Some(refuser), |hangup| hangup.side);
        match code {
            // The caller may go on with credentials, with another interval, or to another target: see `due`.
            300..=399 => self.note_forward(ctx, seen, code),
            401 | 407 | 422 => {}
            408 => self.end(ctx, seen.at, CallState::Timeout, by),
            _ => self.end(ctx, seen.at, CallState::Failed, by),
        }
    }

    fn take_other_response(
        &mut self,
        ctx: &mut Context<'_>,
        seen: &Seen<'_, '_>,
        code: u16,
        index: usize,
        dialog: Option<u8>,
        requester: Option<Side>,
    ) {
        let Some(transaction) = self.transactions.get(index) else { return };
        let had_offer = transaction.has_offer;
        match seen.kind {
            MethodKind::Update | MethodKind::Prack => {
                let Some(requester) = requester else { return };
                if code >= 300 && had_offer {
                    self.media.offer_rejected(seen.at, requester, seen.src, seen.dst);
                    self.clock.media = None;
                } else if (200..300).contains(&code) {
                    if seen.kind == MethodKind::Update {
                        self.refresh_target(ctx, seen, Some(requester.other()), dialog);
                    }
                    if seen.kind == MethodKind::Update {
                        self.note_session_timer(seen, requester);
                    }
                    if had_offer {
                        self.take_sdp(ctx, seen, requester.other(), SdpRole::Answer, false);
                        if self.answered_at.is_some() || self.adopted {
                            ctx.events.push(Event::Renegotiated);
                        }
                    }
                }
            }
            MethodKind::Refer if code >= 200 => {
                if let Some(refer) = self.refers.iter_mut().rfind(|r| r.cseq == seen.cseq) {
                    refer.code = Some(code);
                    refer.answered_at.get_or_insert(seen.at);
                    refer.no_subscription |= refer_sub_is_false(seen.message);
                }
            }
            MethodKind::Info => self.take_info_response(ctx, seen, code, requester),
            // The other end may have forgotten the dialog: media that stopped before is looked at again.
            MethodKind::Bye if matches!(code, 408 | 481) => ctx.events.push(Event::Media),
            _ => {}
        }
    }
}

impl Reply {
    /// Who sent it.
    fn answerer(&self) -> Side {
        self.requester.unwrap_or(Side::Caller).other()
    }
}

/// The receiver of a REFER will not tell how it ends (RFC 4488 4).
pub(crate) fn refer_sub_is_false(message: &Message<'_>) -> bool {
    let mut values = message.headers_named(b"Refer-Sub");
    values.any(|value| value.trim_ascii().get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"false")))
}
