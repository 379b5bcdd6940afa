//! What a finding weighs, and which alert it belongs to.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::id::ulid;
use crate::diagnosis::{CaptureFacts, Confidence, Diagnosis, Fault, Finding, Severity};
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
pub fn weigh(findings: Findings, capture: &CaptureFacts) -> (SmallVec<[Verdict; 2]>, TakenOver) {
    let mut taken_over = TakenOver::new();
    for (diagnosis, _) in &findings {
        taken_over.extend(diagnosis.takes_over.iter().map(|&code| (code, diagnosis.code)));
    }
    let kept = findings.into_iter().filter(|(d, _)| !taken_over.iter().any(|(code, _)| *code == d.code));
    let verdicts = kept.map(|(diagnosis, finding)| {
        let weakened = finding.confidence > Confidence::Possible
            && finding.rests_on_absence_since.is_some_and(|since| capture.lost_since(since));
        let confidence = if weakened { Confidence::Possible } else { finding.confidence };
        let severity = if confidence == Confidence::Possible { Severity::Info } else { finding.severity };
        let condition = Condition {
            code: diagnosis.code,
            cause: finding.cause,
            peer: finding.peer.map(|p| p.ip()),
            fault: finding.fault,
            deaf: finding.deaf,
        };
        Verdict { diagnosis, finding, condition, strength: Strength { severity, confidence }, weakened }
    });
    (verdicts.collect(), taken_over)
}

impl Condition {
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
        ulid(now, &[self.code, self.cause, &peer, fault, deaf])
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
