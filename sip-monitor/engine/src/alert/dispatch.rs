//! Which diagnoses are asked about what.

use super::verdict::Findings;
use crate::diagnosis::{
    Asks, CallFacts, Diagnosis, Finding, HostFacts, PeerFacts, RegistrationFacts, SourceFacts, WireFacts,
};

/// A diagnosis and its question.
type Question<F> = (&'static Diagnosis, F);

/// The diagnoses by what they are asked about, each list in the order of the catalogue.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub calls: Vec<Question<fn(&CallFacts<'_>) -> Option<Finding>>>,
    pub peers: Vec<Question<fn(&PeerFacts<'_>) -> Option<Finding>>>,
    pub registrations: Vec<Question<fn(&RegistrationFacts<'_>) -> Option<Finding>>>,
    pub sources: Vec<Question<fn(&SourceFacts<'_>) -> Option<Finding>>>,
    pub wires: Vec<Question<fn(&WireFacts<'_>) -> Option<Finding>>>,
    pub hosts: Vec<Question<fn(&HostFacts<'_>) -> Option<Finding>>>,
}

impl Catalogue {
    pub fn new(diagnoses: &[&'static Diagnosis]) -> Self {
        let mut catalogue = Self::default();
        for &diagnosis in diagnoses {
            match diagnosis.asks {
                Asks::Call(ask) => catalogue.calls.push((diagnosis, ask)),
                Asks::Peer(ask) => catalogue.peers.push((diagnosis, ask)),
                Asks::Registration(ask) => catalogue.registrations.push((diagnosis, ask)),
                Asks::Source(ask) => catalogue.sources.push((diagnosis, ask)),
                Asks::Wire(ask) => catalogue.wires.push((diagnosis, ask)),
                Asks::Host(ask) => catalogue.hosts.push((diagnosis, ask)),
            }
        }
        catalogue
    }
}

/// What these diagnoses find, asked one by one.
pub fn found<Q: Copy>(questions: &[Question<Q>], ask: impl Fn(Q) -> Option<Finding>) -> Findings {
    questions.iter().filter_map(|(diagnosis, question)| Some((*diagnosis, ask(*question)?))).collect()
}
