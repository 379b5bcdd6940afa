//! What a call does when nothing happens: transactions that end by their timers, answers that are given up, media that
//! comes due, and the end of the facts themselves.

use core::time::Duration;

use crate::call::{Call, Context, SessionKind};
use crate::config::{EngineConfig, SipTimers};
use crate::dialog::Answer;
use crate::event::Event;
use crate::media::MediaTable;
use crate::media::flow::AudioFlows;
use crate::record::CallState;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, TimerLetter, Transaction};

/// How long a call may ring without a word. Timer C of a proxy is above 3 minutes (RFC 3261 16.6).
const RINGING_IDLE: Duration = Duration::from_secs(600);
/// How long a caller may take to answer a challenge: phones ask their user for a password.
const CHALLENGE_IDLE: Duration = Duration::from_secs(180);
/// How long a call that is up may be without a word of signalling.
const CONFIRMED_IDLE: Duration = Duration::from_secs(24 * 3600);

impl Call {
    /// When there is something to do next. `audio` is what [`MediaSession::flows`](crate::media::MediaSession::flows) says at
    /// `now`, empty where that was not asked.
    pub(crate) fn next_due(
        &mut self,
        now: Timestamp,
        config: &EngineConfig,
        media: &MediaTable,
        audio: &[AudioFlows],
    ) -> Timestamp {
        let timers = &config.timers;
        let media = Some(self.media_due(now, config, media, audio));
        let transactions = self.transactions.iter().filter_map(|t| t.due(timers)).map(|(at, _)| at);
        let answers = self.answers.iter().filter_map(|a| a.due(config));
        let challenge = self.unanswered_challenge().map(|at| at + timers.give_up());
        let look = self.next_look(config, now);
        transactions.chain(answers).chain(challenge).chain(media).chain(look).fold(self.free_at(timers), Timestamp::min)
    }

    /// Runs what is due at `now`. Returns whether the call is to be freed.
    pub(crate) fn run_timers(&mut self, ctx: &mut Context<'_>, now: Timestamp) -> bool {
        let config = ctx.config;
        let timers = &config.timers;
        for transaction in &mut self.transactions {
            if let Some((_, letter)) = transaction.due(timers).filter(|(at, _)| *at <= now) {
                transaction.timed_out = Some(letter);
                ctx.events.push(Event::TimedOut(letter));
            }
        }
        if self.nobody_answered() {
            let at =
                self.transactions.iter().filter(|t| t.timed_out == Some(TimerLetter::B)).map(|t| t.sent.first()).max();
            self.end(ctx, at.map_or(now, |at| at + timers.give_up()), CallState::Timeout, None);
        }
        for answer in &mut self.answers {
            if answer.due(config).is_none_or(|at| at > now) {
                continue;
            }
            if answer.silent_until(config).is_some_and(|at| at <= now) {
                answer.settled = true;
                ctx.events.push(Event::AnswerSettled);
            } else {
                answer.given_up_at = Some(now);
                ctx.events.push(Event::AnswerGivenUp);
            }
        }
        if let Some(at) = self.unanswered_challenge().filter(|at| *at + timers.give_up() <= now) {
            self.end(ctx, at, CallState::Failed, None);
        }
        if self.clock.media.is_some_and(|at| at <= now) {
            // Reports that came since may have pushed it away; then this was only a look at the clock.
            self.clock.media = None;
            if self.media_due(now - Duration::from_nanos(1), config, ctx.media, &[]) <= now {
                self.clock.media = None;
                ctx.events.push(Event::Media);
            }
            self.clock.watched = now;
        }
        // A call is woken up to a millisecond after what it asked for.
        if self.next_look(config, now - Duration::from_millis(2)).is_some_and(|at| at <= now) {
            ctx.events.push(Event::Noted);
        }
        self.free_at(timers) <= now
    }

    /// When media comes to a threshold by time alone. Asked of it once, then kept: streams are not looked at for each message.
    fn media_due(
        &mut self,
        now: Timestamp,
        config: &EngineConfig,
        media: &MediaTable,
        audio: &[AudioFlows],
    ) -> Timestamp {
        if let Some(kept) = self.clock.media.filter(|at| *at > now) {
            return kept;
        }
        let is_due = (self.answered_at.is_some() || self.adopted) && self.ended_at.is_none();
        let next = if is_due { self.media.next_check(media, config, now, audio) } else { None };
        let watch = if self.ended_at.is_none() { self.media.next_watch(media, self.clock.watched) } else { None };
        *self.clock.media.insert(next.into_iter().chain(watch).min().unwrap_or(Timestamp::MAX))
    }

    /// Every INVITE that is left ended by timer B.
    fn nobody_answered(&self) -> bool {
        self.answered_at.is_none()
            && self.ended_at.is_none()
            && self.invites().next().is_some()
            && self.invites().filter(|t| Some(t.cseq) == self.invite_cseq).all(|t| t.timed_out == Some(TimerLetter::B))
    }

    /// When the INVITE was refused in a way that the caller may answer (401, 407, 422, 3xx), and it has not so far.
    pub(crate) fn unanswered_challenge(&self) -> Option<Timestamp> {
        if self.answered_at.is_some() || self.ended_at.is_some() {
            return None;
        }
        let invite = self.invites().find(|t| Some(t.cseq) == self.invite_cseq)?;
        invite.final_response().filter(|r| r.code >= 300).map(|r| r.sent.first())
    }

    /// When nothing more can come that belongs here: a late message must find its call, not make a new one.
    fn free_at(&self, timers: &SipTimers) -> Timestamp {
        let late = timers.give_up() + timers.t4;
        let keep = match self.kind {
            SessionKind::Invite if self.ended_at.is_some() && matches!(self.final_code, Some(401 | 407)) => {
                CHALLENGE_IDLE
            }
            SessionKind::Invite if self.ended_at.is_some() => late,
            SessionKind::Invite if self.answered_at.is_some() || (self.adopted && self.final_code.is_none()) => {
                CONFIRMED_IDLE
            }
            SessionKind::Invite => RINGING_IDLE,
            // What is bound is kept by address of record, not by Call-ID.
            SessionKind::Register | SessionKind::Options | SessionKind::Other => late,
        };
        self.last_at.max(self.ended_at.unwrap_or(self.last_at)) + keep
    }

    /// Whether it is freed since nothing was heard for too long, not since it was over.
    pub(crate) fn is_idle(&self) -> bool {
        self.kind == SessionKind::Invite && self.ended_at.is_none()
    }
}

impl Transaction {
    /// When its timer ends it, and which.
    pub(crate) fn due(&self, timers: &SipTimers) -> Option<(Timestamp, TimerLetter)> {
        if self.timed_out.is_some() {
            return None;
        }
        match (self.method, self.final_response()) {
            (MethodKind::Ack, _) => None,
            (MethodKind::Invite, None) if self.responses.is_empty() => {
                Some((self.sent.first() + timers.give_up(), TimerLetter::B))
            }
            (MethodKind::Invite, None) => None,
            (MethodKind::Invite, Some(last)) if last.code >= 300 && self.ack.is_none() => {
                Some((last.sent.first() + timers.give_up(), TimerLetter::H))
            }
            (MethodKind::Invite, Some(_)) => None,
            (_, None) => Some((self.sent.first() + timers.give_up(), TimerLetter::F)),
            (_, Some(_)) => None,
        }
    }
}

impl Answer {
    /// When time alone changes what is to be said of it.
    fn due(&self, config: &EngineConfig) -> Option<Timestamp> {
        let timers = &config.timers;
        if self.given_up_at.is_some() || self.settled {
            return None;
        }
        let give_up = self.first_at() + timers.give_up();
        if let Some(silent_until) = self.silent_until(config) {
            // A repetition that ran to its natural end was given up: its silence says nothing of the ACK.
            return Some(silent_until.min(give_up));
        }
        let ends_well = self.is_acknowledged() && !self.repeated_despite_ack(timers.t1);
        (!ends_well).then_some(give_up)
    }

    /// It was repeated though ACKs came; whether the last one ended it, only silence up to then tells.
    fn silent_until(&self, config: &EngineConfig) -> Option<Timestamp> {
        let timers = &config.timers;
        let ack = self.last_ack_at().filter(|ack| *ack > self.last_at())?;
        (self.repeated_despite_ack(timers.t1) && !self.settled).then(|| ack + timers.t2 + timers.t1)
    }
}
