//! A call that was refused, as the diagnoses of refusals look at it: which refusal, between whom, and in whose words.

use core::net::{IpAddr, SocketAddr};

use crate::call::{HopView, Refusal};
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
    /// The way of the INVITE.
    pub way: HopView,
    /// What the words are about, and the words.
    pub topic: Option<(Topic, &'a str)>,
}

impl<'a> Refused<'a> {
    /// The last refusal of a call that was not answered and that its caller has not taken up again.
    pub fn of(facts: &'a CallFacts<'a>) -> Option<Self> {
        let call = facts.call;
        let refusal = call.refusals.last()?;
        let is_last = call.invite_cseq == Some(refusal.cseq) && call.answered_at.is_none();
        let way = call.path(refusal.path)?;
        is_last.then(|| Self { facts, refusal, way, topic: Topic::of(refusal) })
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

    /// The fault is with who sent the INVITE.
    pub const fn fault(&self) -> Option<Fault> {
        match self.way.direction {
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

    /// A finding that has what all refusals have; `more` goes behind it.
    pub fn finding(&self, cause: &'static str, confidence: Confidence, more: Vec<(&'static str, Value)>) -> Finding {
        let mut evidence: Vec<(&'static str, Value)> =
            vec![("code", u32::from(self.refusal.code).into()), ("phrase", self.refusal.phrase.to_string().into())];
        evidence.extend(self.refusal.warnings.iter().take(1).map(|(code, text)| ("warning", format!("{code} {text}").into())));
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
