//! What a finding weighs, and which alert it belongs to.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::id::{name_hash, ulid};
use crate::diagnosis::{CaptureFacts, Confidence, Crowd, Diagnosis, Fault, Finding, Severity};
use crate::peer::PeerTable;
use crate::record::Side;
use crate::time::Timestamp;

/// Diagnoses that fire, with what they found.
pub type Findings = SmallVec<[(&'static Diagnosis, Finding); 2]>;

/// Codes that were silenced, each with the code that silenced it.
pub type TakenOver = SmallVec<[(&'static str, &'static str); 2]>;

/// What makes two cases the same alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    pub code: &'static str,
    pub cause: &'static str,
    pub peer: Option<IpAddr>,
    /// Hash of the trunk's name, where the peer belongs to one, and of the finding's own identity, where it has one.
    pub named: u64,
    pub fault: Option<Fault>,
    pub deaf: Option<Side>,
}

/// How much a verdict weighs after weakening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strength {
    pub severity: Severity,
    pub confidence: Confidence,
}

/// A verdict on its way into the book.
pub struct Verdict {
    pub diagnosis: &'static Diagnosis,
    pub finding: Finding,
    pub condition: Condition,
    pub strength: Strength,
    pub weakened: bool,
}

/// Drops what a more specific verdict takes over, and weakens what rests on an absence the monitor could have missed.
pub fn weigh(findings: Findings, capture: &CaptureFacts, peers: &PeerTable) -> (SmallVec<[Verdict; 2]>, TakenOver) {
    let mut taken_over = TakenOver::new();
    for (diagnosis, _) in &findings {
        taken_over.extend(diagnosis.takes_over.iter().map(|&code| (code, diagnosis.code)));
    }
    let kept = findings.into_iter().filter(|(d, _)| !taken_over.iter().any(|(code, _)| *code == d.code));
    let verdicts = kept.map(|(diagnosis, finding)| {
        let is_doubtful = finding.rests_on_absence_since.is_some_and(|since| capture.missed_since(since))
            || finding.rests_on_no_drop_since.is_some_and(|since| capture.drops_untold_since(since));
        let weakened = finding.confidence > Confidence::Possible && is_doubtful;
        let confidence = if weakened { Confidence::Possible } else { finding.confidence };
        let severity = if confidence == Confidence::Possible { Severity::Info } else { finding.severity };
        // All addresses of one trunk are one peer.
        let trunk = finding.peer.and_then(|peer| peers.trunk_of(peer)).map(|trunk| trunk.name.as_str());
        let condition = Condition {
            code: diagnosis.code,
            cause: finding.cause,
            peer: finding.peer.filter(|_| trunk.is_none()).map(|p| p.ip()),
            named: name_hash(trunk, finding.identity.as_deref()),
            fault: finding.fault,
            deaf: finding.deaf,
        };
        Verdict { diagnosis, finding, condition, strength: Strength { severity, confidence }, weakened }
    });
    (verdicts.collect(), taken_over)
}

impl Condition {
    /// That of all who gather at one place with the same code and cause.
    pub fn of_crowd(&self, at: Crowd) -> Self {
        let (name, at) = match at {
            Crowd::From(at) => ("crowd from", at),
            Crowd::To(at) => ("crowd to", at),
        };
        Self { peer: Some(at), named: name_hash(Some(name), None), deaf: None, ..*self }
    }

    /// The least condition of this code and cause.
    pub const fn first_of_its_kind(&self) -> Self {
        Self { peer: None, named: 0, fault: None, deaf: None, ..*self }
    }

    /// Whether code and cause are the same.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.code, self.cause) == (other.code, other.cause)
    }

    /// Identity of an alert that begins now.
    pub fn id(&self, now: Timestamp) -> String {
        let peer = self.peer.map(|p| p.to_string()).unwrap_or_default();
        let fault = match self.fault {
            None => "",
            Some(Fault::Local) => "local",
            Some(Fault::Remote) => "remote",
            Some(Fault::Network) => "network",
        };
        let deaf = match self.deaf {
            None => "",
            Some(Side::Caller) => "caller",
            Some(Side::Callee) => "callee",
        };
        // What has no name keeps the id it would have had without names.
        let named = if self.named == 0 { String::new() } else { format!("{:016x}", self.named) };
        let parts = [self.code, self.cause, &peer, fault, deaf, &named];
        ulid(now, if named.is_empty() { &parts[..5] } else { &parts })
    }
}

impl Strength {
    /// Takes the higher of each; says whether that changed anything.
    pub fn raise(&mut self, other: Self) -> bool {
        let before = *self;
        self.severity = self.severity.max(other.severity);
        self.confidence = self.confidence.max(other.confidence);
        *self != before
    }
}
