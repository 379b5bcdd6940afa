//! Which diagnoses are asked about what.

use super::verdict::Findings;
use crate::diagnosis::{
    Asks, CallFacts, Diagnosis, DropsFacts, Finding, HostFacts, PeerFacts, RegistrationFacts, SourceFacts, WireFacts,
};

/// A diagnosis and its question.
type Question<Q> = (&'static Diagnosis, Q);

type AskCall = fn(&CallFacts<'_>) -> Option<Finding>;
type AskPeer = fn(&PeerFacts<'_>) -> Option<Finding>;
type AskRegistration = fn(&RegistrationFacts<'_>) -> Option<Finding>;
type AskSource = fn(&SourceFacts<'_>) -> Option<Finding>;
type AskWire = fn(&WireFacts<'_>) -> Option<Finding>;
type AskDrops = fn(&DropsFacts<'_>) -> Option<Finding>;
type AskHost = fn(&HostFacts<'_>) -> Option<Finding>;

/// The diagnoses by what they are asked about, each list in the order of the catalogue.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub calls: Vec<Question<AskCall>>,
    pub peers: Vec<Question<AskPeer>>,
    pub registrations: Vec<Question<AskRegistration>>,
    pub sources: Vec<Question<AskSource>>,
    pub wires: Vec<Question<AskWire>>,
    pub drops: Vec<Question<AskDrops>>,
    pub hosts: Vec<Question<AskHost>>,
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
                Asks::Drops(ask) => catalogue.drops.push((diagnosis, ask)),
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
