//! A call that was refused, as the diagnoses of refusals look at it: which refusal, between whom, and in whose words.

use core::net::{IpAddr, SocketAddr};

use crate::call::number::{Form, Number};
use crate::call::{Call, HopView, Refusal, Shown};
use crate::diagnosis::phrase::Topic;
use crate::diagnosis::{CallFacts, Confidence, Fault, Finding, RequestName, Severity, Value};
use crate::packet::Direction;
use crate::record::CallState;

/// The refusal that ended a call, or the challenge it stands at.
pub struct Refused<'a> {
    /// Everything known.
    pub facts: &'a CallFacts<'a>,
    /// What was said.
    pub refusal: &'a Refusal,
    /// The way of the INVITE to who refused it: behind a relay, the hop that the refusal came from.
    pub way: HopView,
    /// The way of the INVITE on the hop nearest to the caller.
    pub from_caller: HopView,
    /// What the words are about, and the words.
    pub topic: Option<(Topic, &'a str)>,
}

impl<'a> Refused<'a> {
    /// The last refusal of a call that was not answered and that its caller has not taken up again.
    pub fn of(facts: &'a CallFacts<'a>) -> Option<Self> {
        let call = facts.call;
        let refusal = call.refusals.last()?;
        let is_last = call.invite_cseq == Some(refusal.cseq) && call.answered_at.is_none();
        let from_caller = call.path(refusal.path)?;
        let way = origin(call, refusal, from_caller);
        is_last.then(|| Self { facts, refusal, way, from_caller, topic: Topic::of(refusal) })
    }

    /// Address that the refuser saw the INVITE come from, where its own response says so.
    pub fn received(&self) -> Option<IpAddr> {
        self.refusal.received.filter(|_| self.way == self.from_caller)
    }

    /// The same, where the call is over.
    pub fn ended(facts: &'a CallFacts<'a>) -> Option<Self> {
        Self::of(facts).filter(|refused| facts.call.state == CallState::Failed && !refused.refusal.is_challenge())
    }

    /// What the words are about.
    pub fn is_about(&self, topic: Topic) -> bool {
        self.topic.is_some_and(|(found, _)| found == topic)
    }

    /// Who refused.
    pub fn refuser(&self) -> IpAddr {
        self.way.dst.ip()
    }

    /// Status line as sent.
    pub fn status(&self) -> String {
        format!("{} {}", self.refusal.code, self.refusal.phrase).trim_end().to_owned()
    }

    /// The status line with the words that decide, where those stand elsewhere.
    pub fn words(&self) -> String {
        match self.topic {
            Some((_, text)) if text != self.refusal.phrase.as_str() => format!("{} ({text})", self.status()),
            Some(_) | None => self.status(),
        }
    }

    /// The fault is with who made the call.
    pub const fn fault(&self) -> Option<Fault> {
        match self.from_caller.direction {
            Direction::Out => Some(Fault::Local),
            Direction::In => Some(Fault::Remote),
            Direction::Transit => None,
        }
    }

    /// The other side, as seen from this host.
    pub const fn peer(&self) -> SocketAddr {
        match self.way.direction {
            Direction::In => self.way.src,
            Direction::Out | Direction::Transit => self.way.dst,
        }
    }

    /// The side that made the call, as seen from this host; where that is this host, the other one.
    pub const fn calling_peer(&self) -> SocketAddr {
        match self.from_caller.direction {
            Direction::In => self.from_caller.src,
            Direction::Out | Direction::Transit => self.from_caller.dst,
        }
    }

    /// A finding that has what all refusals have; `more` goes behind it.
    pub fn finding(&self, cause: &'static str, confidence: Confidence, more: Vec<(&'static str, Value)>) -> Finding {
        let mut evidence: Vec<(&'static str, Value)> =
            vec![("code", u32::from(self.refusal.code).into()), ("phrase", self.refusal.phrase.to_string().into())];
        evidence.extend(
            self.refusal.warnings.iter().take(1).map(|(code, text)| ("warning", format!("{code} {text}").into())),
        );
        if let Some(reason) = self.refusal.reasons.first() {
            let cause = reason.cause.map(|c| format!(";cause={c}")).unwrap_or_default();
            let text = reason.text.as_ref().map(|t| format!(";text=\"{t}\"")).unwrap_or_default();
            evidence.push(("reason", format!("{}{cause}{text}", reason.protocol).into()));
        }
        evidence.extend(more);
        evidence.push(("source", self.way.src.into()));
        evidence.push(("destination", self.way.dst.into()));
        Finding {
            fault: self.fault(),
            evidence,
            peer: Some(self.peer()),
            request: Some(RequestName { cseq: self.refusal.cseq, method: "INVITE".into() }),
            ..Finding::new(cause, Severity::Warning, confidence)
        }
    }
}

/// The hop behind all relays that a refusal was passed on by: each has refused with the same code before.
fn origin(call: &Call, refusal: &Refusal, from_caller: HopView) -> HopView {
    let mut way = from_caller;
    let mut until = refusal.at;
    // A refusal comes from nearer to its origin at an earlier time, or at the same: more steps than hops are a loop.
    for _ in 0..call.hops.len() {
        let came_from = call.invites().filter(|t| t.cseq == refusal.cseq).find_map(|t| {
            let view = call.path(t.path).filter(|view| *view != way && view.src.ip() == way.dst.ip())?;
            let last = t.final_response().filter(|last| last.code == refusal.code && last.sent.first() <= until)?;
            Some((view, last.sent.first()))
        });
        let Some((view, at)) = came_from else { break };
        (way, until) = (view, at);
    }
    way
}

/// Who the call says it comes from, and what is wrong with that.
pub enum CallerFlaw {
    /// A header names a number that is not E.164: header, value as a `tel:` URI, and the rule it breaks.
    NotE164(&'static str, String, &'static str),
    /// Two headers name different subscribers.
    Conflict([(&'static str, String); 2]),
}

impl Refused<'_> {
    /// What is wrong with the caller's numbers, where the call goes to a telephone number.
    ///
    /// A plain missing `+` counts only where this peer has answered calls: one that has not refuses more likely for another
    /// reason than for a form that most carriers take.
    pub fn caller_flaw(&self) -> Option<CallerFlaw> {
        let call = self.facts.call;
        let called = call.called_number().filter(|number| !matches!(number.form(), Form::Short))?;
        if self.refusal.code == 400 && called.form().breaks().is_some() {
            return None;
        }
        let attempt = call.attempt.as_ref();
        let asserted = attempt.and_then(|a| a.asserted.as_ref()).map(|user| user.as_str());
        let remote = attempt.and_then(|a| a.remote_party.as_ref()).map(|user| user.as_str());
        let from = crate::sip::Uri::parse(call.from.as_str().as_bytes()).ok().and_then(|uri| uri.user);
        let from = from.and_then(|user| core::str::from_utf8(user).ok()).unwrap_or_default();
        let named = [("From", Some(from)), ("P-Asserted-Identity", asserted), ("Remote-Party-ID", remote)];
        let numbers: Vec<(&'static str, &str, Number)> =
            named.iter().filter_map(|(header, user)| Some((*header, (*user)?, Number::of_user((*user)?)?))).collect();
        for (index, (header, value, number)) in numbers.iter().enumerate() {
            if let Some((other, second, _)) = numbers.iter().skip(index + 1).find(|(_, _, n)| !n.may_be(number)) {
                return Some(CallerFlaw::Conflict([
                    (header, format!("tel:{value}")),
                    (other, format!("tel:{second}")),
                ]));
            }
        }
        // The asserted identity goes before From: a carrier that takes it does not look at the other.
        let (header, value) = match (asserted, remote) {
            (Some(user), _) => ("P-Asserted-Identity", user),
            (None, Some(user)) => ("Remote-Party-ID", user),
            (None, None) => ("From", from),
        };
        let is_extension = value.len() < 5 && !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        if is_extension {
            let rule = "an extension is no telephone number";
            return Some(CallerFlaw::NotE164(header, format!("tel:{value}"), rule));
        }
        let form = Number::of_user(value)?.form();
        let answers = self.facts.answered.is_known(self.refuser(), Shown::Peer);
        let accepted = self.facts.answered.is_known(self.refuser(), Shown::Calling(form.name()));
        let tolerated = form == Form::NoPlus && self.refusal.code == 403 && !answers;
        let rule = form.breaks().filter(|_| !tolerated && !accepted)?;
        Some(CallerFlaw::NotE164(header, format!("tel:{value}"), rule))
    }
}
