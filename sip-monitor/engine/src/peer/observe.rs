//! What a message or a timer of a call counts for at the peers it goes to and comes from.

use core::net::SocketAddr;
use core::time::Duration;

use smallvec::SmallVec;

use super::limit::limit_named;
use super::repeats::cause_of_repeats;
use super::window::End;
use super::{ABANDONED, Leg, LegRole, LimitSeen, PeerKey, PeerTable, PingEnd, RepeatCause, Setup, SetupDelay, Talk};
use crate::call::{Call, HopView, SessionKind};
use crate::metrics::Measure;
use crate::packet::Direction;
use crate::seen::Seen;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, TimerLetter, Transaction};

/// Peers whose measures changed in a way that can matter, and whether that is so whatever is in force.
pub(crate) type Touched = SmallVec<[(PeerKey, bool); 2]>;

/// Legs kept for one call.
const LEGS_KEPT: usize = 8;
/// So many calls in a row that a peer served, and what was wrong is over.
const GOOD_IN_A_ROW: u32 = 10;
/// So many of the last calls were answered, and a low share before is of no more interest.
const ANSWERED_IN_A_ROW: u32 = 12;
/// A setup that takes longer is worth its Call-ID.
const SLOW: Duration = Duration::from_secs(4);
/// A request repeated so often got no answer at all that arrived: no loss, a wall.
const REPEATS_COUNTED: u32 = 4;

/// How a message relates to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    Repeated,
    CapturedTwice,
}

impl PeerTable {
    /// Takes a message that its call has taken.
    pub(crate) fn observe(&mut self, call: &mut Call, seen: &Seen<'_, '_>, novelty: Novelty) -> Touched {
        let mut touched = Touched::new();
        self.begin(seen.at);
        if novelty == Novelty::CapturedTwice {
            return touched;
        }
        let remote = remote_of(seen);
        if seen.is_request() && seen.kind == MethodKind::Invite && !seen.in_dialog() {
            self.learn_domains(seen);
        }
        let key = self.at(remote, seen.at);
        self.note_message(key, seen.at, &mut touched);
        match (novelty, seen.code) {
            (Novelty::Repeated, None) => self.note_repeat(call, seen, key, &mut touched),
            (Novelty::New, None) => self.note_request(call, seen),
            (Novelty::New, Some(code)) => self.note_response(call, seen, code, key, &mut touched),
            (Novelty::Repeated, Some(_)) | (Novelty::CapturedTwice, _) => {}
        }
        self.note_end(call, &mut touched);
        touched
    }

    /// Takes what the timers of a call ended at `now`.
    pub(crate) fn observe_timers(&mut self, call: &mut Call, now: Timestamp) -> Touched {
        let mut touched = Touched::new();
        let give_up = |letter: TimerLetter| matches!(letter, TimerLetter::B | TimerLetter::F);
        for index in 0..call.transactions.len() {
            let Some(transaction) = call.transactions.get_mut(index) else { continue };
            if transaction.counted || !transaction.timed_out.is_some_and(give_up) {
                continue;
            }
            transaction.counted = true;
            let (method, in_dialog, sent_at, path) =
                (transaction.method, transaction.in_dialog, transaction.sent.first(), transaction.path);
            let Some(view) = call.path(path) else { continue };
            match method {
                MethodKind::Invite if !in_dialog => self.note_silence(call, view, now, &mut touched),
                MethodKind::Options if call.kind == SessionKind::Options && view.direction != Direction::In => {
                    let key = self.at(view.dst, now);
                    if let Some(peer) = self.get_mut(key) {
                        peer.pings.end(sent_at, now, None, PingEnd::Unanswered);
                        touched.push((key, true));
                    }
                }
                MethodKind::Register if view.direction != Direction::In => {
                    let key = self.at(view.dst, now);
                    self.measure(key, now, Measure::RegistrationFailed);
                }
                MethodKind::Bye => {
                    if let (Some(talked), Some(leg)) = (talk_time(call), self.hung_up(call)) {
                        self.measure_leg(leg, now, Measure::HungUpInVain(talked));
                    }
                }
                _ => {}
            }
        }
        self.note_end(call, &mut touched);
        touched
    }

    /// A call is forgotten: it is no longer up anywhere.
    pub(crate) fn forget(&mut self, call: &Call) {
        for leg in call.legs.iter().filter(|leg| leg.is_open) {
            if let Some(peer) = self.get_mut(leg.peer) {
                peer.concurrent = peer.concurrent.saturating_sub(1);
            }
        }
    }

    fn learn_domains(&mut self, seen: &Seen<'_, '_>) {
        if seen.direction != Direction::In {
            self.learn(seen.dst, seen.message.request_uri().unwrap_or_default());
        }
        if seen.direction != Direction::Out
            && let Some(from) = &seen.from
        {
            self.learn(seen.src, from.uri);
        }
    }

    fn note_message(&mut self, key: PeerKey, now: Timestamp, touched: &mut Touched) {
        let Some(peer) = self.get(key) else { return };
        let was_overdue = self.overdue(peer, now).is_some();
        let watched = peer.trunk.is_some() && (was_overdue || peer.last_at.is_none());
        let Some(peer) = self.get_mut(key) else { return };
        peer.last_at = Some(now);
        // What is in force is looked at every ten seconds: it may be over.
        if peer.repeats.message(now) || was_overdue {
            touched.push((key, was_overdue));
        }
        if watched {
            self.plan_after(key, now);
        }
    }

    /// A request that was answered comes again: its answer got lost.
    fn note_repeat(&mut self, call: &Call, seen: &Seen<'_, '_>, key: PeerKey, touched: &mut Touched) {
        let Some(request) = request_of(call, seen.kind, seen.cseq, seen.src, seen.dst) else { return };
        let answered = match request.final_response() {
            Some(last) => last.sent.first(),
            // A provisional response stops an INVITE from being repeated as a final one does (RFC 3261 17.1.1.2).
            None if seen.kind == MethodKind::Invite => match request.responses.first() {
                Some(first) => first.sent.first(),
                None => return,
            },
            None => return,
        };
        let on_the_way = seen.at.since(answered) < Duration::from_millis(100);
        if seen.kind == MethodKind::Ack || on_the_way || request.sent.retransmissions() > REPEATS_COUNTED {
            return;
        }
        if let Some(peer) = self.get_mut(key) {
            peer.repeats.repeated(seen.at, 1, RepeatCause::ResponseLost);
            touched.push((key, true));
        }
    }

    fn note_request(&mut self, call: &mut Call, seen: &Seen<'_, '_>) {
        if seen.kind != MethodKind::Invite || seen.in_dialog() || call.kind != SessionKind::Invite {
            return;
        }
        self.start_leg(call, seen, seen.dst, LegRole::Called);
        if seen.direction != Direction::Out {
            self.start_leg(call, seen, seen.src, LegRole::Calling);
        }
    }

    fn start_leg(&mut self, call: &mut Call, seen: &Seen<'_, '_>, addr: SocketAddr, role: LegRole) {
        let key = self.at(addr, seen.at);
        let is_open_elsewhere = call.legs.iter().any(|leg| leg.peer == key && leg.is_open);
        let Some(peer) = self.get_mut(key) else { return };
        if let Some(leg) = call.legs.iter_mut().find(|leg| leg.peer == key && leg.role == role) {
            // The attempt goes on, with credentials or to another of the peer's addresses.
            if !leg.is_open && !is_open_elsewhere && leg.outcome.is_none() {
                leg.is_open = true;
                peer.concurrent += 1;
            }
            return;
        }
        if call.legs.len() >= LEGS_KEPT {
            return;
        }
        let measure = match role {
            LegRole::Called => {
                peer.meter.add(seen.at);
                Measure::Attempt
            }
            LegRole::Calling => {
                peer.attempts_from = peer.attempts_from.saturating_add(1);
                Measure::Incoming
            }
        };
        if !is_open_elsewhere {
            peer.concurrent += 1;
            peer.concurrent_peak = peer.concurrent_peak.max(peer.concurrent);
        }
        call.legs.push(Leg {
            peer: key,
            ledger: peer.ledger,
            role,
            started_at: seen.at,
            progress_at: None,
            rang: false,
            passed_on: false,
            hung_up: false,
            outcome: None,
            is_open: !is_open_elsewhere,
            per_second: peer.meter.per_second(seen.at),
            concurrent: peer.concurrent,
        });
        self.measure(key, seen.at, measure);
    }

    fn note_response(&mut self, call: &mut Call, seen: &Seen<'_, '_>, code: u16, key: PeerKey, touched: &mut Touched) {
        let Some(request) = request_of(call, seen.kind, seen.cseq, seen.dst, seen.src) else { return };
        let (first_at, last_at, times) = (request.sent.first(), request.sent.last(), request.sent.retransmissions());
        let round_trip = seen.at.since(first_at);
        let is_first_answer = request.responses.len() == 1;
        let (in_dialog, path) = (request.in_dialog, request.path);
        let direction = call.path(path).map_or(seen.direction, |view| view.direction);
        if is_first_answer
            && direction != Direction::In
            && (1..=REPEATS_COUNTED).contains(&times)
            && let Some(peer) = self.get_mut(key).filter(|peer| !peer.pings.was_down(first_at))
        {
            let usual = peer.pings.round_trip.percentile(50).unwrap_or(Duration::from_millis(100));
            peer.repeats.repeated(seen.at, times, cause_of_repeats(first_at, last_at, seen.at, usual));
            touched.push((key, true));
        }
        let is_let_in = matches!(seen.kind, MethodKind::Invite | MethodKind::Register) && (200..300).contains(&code);
        if is_let_in
            && direction == Direction::In
            && let Some(peer) = self.get_mut(key)
        {
            peer.let_in = true;
        }
        match seen.kind {
            MethodKind::Invite if !in_dialog => self.note_invite_response(call, seen, code, touched),
            MethodKind::Options if code >= 200 && call.kind == SessionKind::Options && direction != Direction::In => {
                let end = if (500..600).contains(&code) { PingEnd::Refused(code) } else { PingEnd::Alive(code) };
                let Some(peer) = self.get_mut(key) else { return };
                peer.pings.end(first_at, seen.at, (times == 0).then_some(round_trip), end);
                touched.push((key, true));
            }
            // A challenge is no end (RFC 6076 4.1, 4.2).
            MethodKind::Register
                if code >= 200 && direction != Direction::In && !matches!(code, 300..=399 | 401 | 402 | 407 | 423) =>
            {
                let ended = if code < 300 { Measure::Registered(round_trip) } else { Measure::RegistrationFailed };
                self.measure(key, seen.at, ended);
            }
            MethodKind::Bye if (200..300).contains(&code) => {
                let talked = talk_time(call);
                let Some(leg) = self.hung_up(call) else { return };
                self.measure_leg(leg, seen.at, Measure::Completed { disconnect: round_trip, talked });
            }
            _ => {}
        }
    }

    /// A response to an initial INVITE that was not seen before.
    fn note_invite_response(&mut self, call: &mut Call, seen: &Seen<'_, '_>, code: u16, touched: &mut Touched) {
        let key = self.at(seen.src, seen.at);
        let Some(position) = self.called_leg(&call.legs, key) else { return };
        // A relay passes on what happened behind it: that is counted there.
        if is_relayed(call, seen.src) {
            if let Some(leg) = call.legs.get_mut(position) {
                leg.passed_on = true;
            }
            return;
        }
        let progress_at = call.legs.get(position).and_then(|leg| leg.progress_at).unwrap_or(seen.at);
        let by = setup_delay(call, seen.src, progress_at);
        let Some(leg) = call.legs.get_mut(position) else { return };
        let (key, counts_at) = (leg.peer, (leg.peer, leg.ledger));
        let progressed = matches!(code, 180..190 | 200..300);
        let progress_at = if progressed { *leg.progress_at.get_or_insert(seen.at) } else { seen.at };
        // A 183 may come before a refusal, and then it never rang: a caller who was slow itself waited for nothing.
        let rings = progressed && (code != 183 || by == SetupDelay::Peer);
        if rings && !leg.rang && leg.outcome.is_none() {
            leg.rang = true;
            let delay = progress_at.since(leg.started_at);
            self.measure_leg(counts_at, seen.at, Measure::Rang(delay));
            let since_invited = call.invited_at.map(|at| progress_at.since(at));
            if let Some(delay) = since_invited.filter(|_| !call.adopted)
                && let Some(peer) = self.get_mut(key)
            {
                let is_slow = delay > SLOW;
                let call_id = is_slow.then(|| call.call_id.clone());
                peer.setups.add(Setup { at: seen.at, delay, by, call_id });
                touched.push((key, is_slow));
            }
        }
        // Challenges and refused intervals are answered by a further INVITE of the same attempt.
        if code < 200 || matches!(code, 401 | 402 | 407 | 422 | 494) || leg.outcome.is_some() {
            return;
        }
        // A redirection is answered by a further INVITE too, here or elsewhere. A branch that was cancelled since another one
        // answered did its work, too.
        let answered_elsewhere = code == 487 && call.answered_at.is_some();
        if (300..400).contains(&code) || answered_elsewhere {
            leg.passed_on = true;
            let was_open = core::mem::take(&mut leg.is_open);
            if let Some(peer) = self.get_mut(key) {
                peer.concurrent = peer.concurrent.saturating_sub(u32::from(was_open));
            }
            self.measure_leg(counts_at, seen.at, Measure::Outcome(code));
            return;
        }
        let (per_second, concurrent) = (leg.per_second, leg.concurrent);
        let failed_after = (code >= 400).then(|| seen.at.since(leg.started_at));
        let limit = limit_named(seen.message, code);
        self.end_leg(call, position, seen.at, code, limit.is_some(), touched);
        if let Some(delay) = failed_after {
            self.measure_leg(counts_at, seen.at, Measure::Failed(delay));
        }
        if let Some((kind, text)) = limit {
            call.limit = Some(Box::new(LimitSeen {
                kind,
                by: seen.src,
                to: seen.dst,
                is_local: seen.direction == Direction::Out,
                code,
                text,
                retry_after_s: seen.message.retry_after(),
                per_second,
                concurrent,
            }));
        }
    }

    /// An INVITE got no answer at all.
    fn note_silence(&mut self, call: &mut Call, view: HopView, now: Timestamp, touched: &mut Touched) {
        let key = self.at(view.dst, now);
        // What this host does not answer may be meant to be dropped, and may have gone on where nobody looks.
        if view.direction == Direction::In || is_relayed(call, view.dst) {
            return;
        }
        let Some(position) =
            self.called_leg(&call.legs, key).filter(|at| call.legs.get(*at).is_some_and(|leg| leg.outcome.is_none()))
        else {
            return;
        };
        // Another of its addresses may have answered the same attempt, or may still do so.
        let pending =
            call.invites().any(|t| t.timed_out.is_none() && call.path(t.path).is_some_and(|v| v.dst == view.dst));
        if !pending {
            self.end_leg(call, position, now, 0, false, touched);
        }
    }

    fn end_leg(
        &mut self,
        call: &mut Call,
        position: usize,
        now: Timestamp,
        code: u16,
        limited: bool,
        touched: &mut Touched,
    ) {
        let Some(leg) = call.legs.get_mut(position) else { return };
        leg.outcome = Some(code);
        let rang = leg.rang;
        let was_open = leg.is_open && !(200..300).contains(&code);
        if was_open {
            leg.is_open = false;
        }
        let (key, ledger) = (leg.peer, leg.ledger);
        self.measure_leg((key, ledger), now, Measure::Outcome(code));
        let Some(peer) = self.get_mut(key) else { return };
        if was_open {
            peer.concurrent = peer.concurrent.saturating_sub(1);
        }
        // A call that rang was served: after that 408 and 480 say that nobody picked up.
        let by_user = matches!(code, 486 | 487 | 600 | 603) || (rang && matches!(code, 408 | 480));
        let end = End { code, is_bad: is_unserved(code) && !by_user, limited, by_user };
        peer.availability.add(now, end, &call.call_id);
        if peer.availability.good_in_a_row() >= GOOD_IN_A_ROW {
            peer.availability.begin_anew();
            peer.success.forget(is_unserved);
        }
        if !peer.is_local {
            let (called, caller) = (user_of(call.to.as_str()), user_of(call.from.as_str()));
            let patterns = peer.patterns.get_or_insert_default();
            patterns.add(now, called, caller, code, code >= 400 && !by_user || code == 0);
        }
        peer.success.add(now, End { is_bad: !(200..300).contains(&code), ..end }, &call.call_id);
        if peer.success.good_in_a_row() >= ANSWERED_IN_A_ROW {
            peer.success.begin_anew();
        }
        touched.push((key, code >= 300 || code == 0));
    }

    /// The call is over: it is up nowhere, and its length is known.
    fn note_end(&mut self, call: &mut Call, touched: &mut Touched) {
        let Some(ended_at) = call.ended_at else { return };
        if call.legs.iter().all(|leg| !leg.is_open) {
            return;
        }
        let talk = talk_time(call).map(|time| Talk {
            duration_ms: u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
            by: call.hangup.as_ref().and_then(|hangup| hangup.side),
            session_interval_s: call.session_interval_s,
            call_id: call.call_id.clone(),
        });
        let was_called = |leg: &Leg| leg.role == LegRole::Called;
        let has_remote_callee =
            call.legs.iter().any(|leg| was_called(leg) && self.get(leg.peer).is_some_and(|peer| !peer.is_local));
        for leg in &mut call.legs {
            if !core::mem::take(&mut leg.is_open) {
                continue;
            }
            let Some(peer) = self.get_mut(leg.peer) else { continue };
            peer.concurrent = peer.concurrent.saturating_sub(1);
            // Nobody answered its challenge, or whoever answered did so elsewhere.
            if was_called(leg) && leg.outcome.is_none() && !leg.passed_on && call.answered_at.is_none() {
                leg.outcome = Some(ABANDONED);
                let end = End { code: ABANDONED, is_bad: true, limited: false, by_user: false };
                peer.success.add(ended_at, end, &call.call_id);
                touched.push((leg.peer, true));
            }
            // A call through here lasted as long on either side: it counts where it went.
            if has_remote_callee && !was_called(leg) {
                continue;
            }
            let Some(talk) = talk.as_ref().filter(|_| !peer.is_local && ended_at >= leg.started_at) else { continue };
            peer.talks.add(talk.clone());
            if peer.talks.last_has_likes() {
                touched.push((leg.peer, true));
            }
        }
    }

    /// The peer that answered the call and its ledger, where the end of its BYE was not counted before.
    fn hung_up(&mut self, call: &mut Call) -> Option<(PeerKey, u16)> {
        let answered = |leg: &&mut Leg| leg.outcome.is_some_and(|code| (200..300).contains(&code));
        let leg = call.legs.iter_mut().find(answered).filter(|leg| !leg.hung_up)?;
        leg.hung_up = true;
        Some((leg.peer, leg.ledger))
    }
}

/// The end of a packet that is not this host; between two others, the one that is asked.
fn remote_of(seen: &Seen<'_, '_>) -> SocketAddr {
    match seen.direction {
        Direction::Out => seen.dst,
        Direction::In => seen.src,
        Direction::Transit if seen.is_request() => seen.dst,
        Direction::Transit => seen.src,
    }
}

/// The user part of a URI as it stands: the number.
fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split(['@', ';', ':']).next().filter(|_| rest.contains('@') || uri.starts_with("tel:")).unwrap_or_default()
}

/// Codes of a peer that could not serve the call; 0 is no answer.
fn is_unserved(code: u16) -> bool {
    matches!(code, 0 | 408 | 480 | 500..=504)
}

/// The last request of that method and number that went from `src` to `dst`.
fn request_of(call: &Call, method: MethodKind, cseq: u32, src: SocketAddr, dst: SocketAddr) -> Option<&Transaction> {
    call.transactions.iter().rfind(|t| {
        t.method == method && t.cseq == cseq && call.path(t.path).is_some_and(|view| (view.src, view.dst) == (src, dst))
    })
}

/// Whether the INVITE went on from that address.
fn is_relayed(call: &Call, addr: SocketAddr) -> bool {
    call.invites().any(|t| call.path(t.path).is_some_and(|view| view.src.ip() == addr.ip()))
}

/// From the answer to the hang-up.
fn talk_time(call: &Call) -> Option<Duration> {
    call.hangup.as_ref().filter(|hangup| hangup.method == MethodKind::Bye)?;
    Some(call.ended_at?.since(call.answered_at?))
}

/// What took the longest part of the time to a first sign of ringing.
fn setup_delay(call: &Call, peer: core::net::SocketAddr, progress_at: Timestamp) -> SetupDelay {
    let (Some(start), Some(last)) = (
        call.invited_at,
        call.invites().filter(|t| call.path(t.path).is_some_and(|v| v.dst == peer)).map(|t| t.sent.first()).max(),
    ) else {
        return SetupDelay::Peer;
    };
    let before = last.since(start);
    if before <= progress_at.since(last) {
        return SetupDelay::Peer;
    }
    let challenged = |t: &Transaction| t.final_response().is_some_and(|r| matches!(r.code, 401 | 407));
    if call.invites().any(challenged) { SetupDelay::Authentication } else { SetupDelay::Failover }
}
