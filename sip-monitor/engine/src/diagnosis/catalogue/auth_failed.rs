//! A call is refused for its credentials, or for the address it comes from.
//!
//! The caller hears that the call cannot be made. A challenge (401, 407) that is answered and accepted is the normal course
//! and no failure; so is one more round for a nonce that was too old.
//!
//! **Evidence.** `credentials`: an INVITE with a digest is refused: challenged again for the nonce it has just answered, or 403.
//! `acl`: 403 to an INVITE without digest, with words that say nothing else, from a peer that has answered no call since
//! start. `realm-mismatch`: the digest is for another realm than the one challenged for. `stale-loop`: three challenges in a
//! row. `no-answer-to-challenge`: nothing for 64*T1 (32 s) after the challenge, neither here nor in a new call with its nonce.
//!
//! **Usual causes.** A wrong password or user name; an address that is not on the provider's list, often after a change of the
//! public address (see `received`, the address the far end saw); a realm configured by hand; two clients that share a nonce
//! counter, or a proxy that loses the header; a peer that has no credentials configured.
//!
//! **Remedy.** The password or the address list, with the user name and the address that the far end saw.

use crate::call::{Refusal, STRANGER_WAITS, Shown};
use crate::diagnosis::phrase::Topic;
use crate::diagnosis::refused::Refused;
use crate::diagnosis::requests::fault_of_sender;
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, UNKNOWN, Value};
use crate::packet::Direction;
use crate::record::CallState;

/// Challenges in a row that are no normal course.
const LOOP_CHALLENGES: usize = 3;

/// An INVITE refused for its credentials.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "auth-failed",
    layer: Layer::Call,
    title: "Call refused for its credentials or its source address",
    causes: &[
        Cause {
            name: "credentials",
            evidence: "the INVITE carried a digest for the realm challenged for, and was refused",
            remedy: "Correct user name and password on the calling side",
        },
        Cause {
            name: "acl",
            evidence: "403 without a challenge to an INVITE without digest, and no call to that peer has succeeded",
            remedy: "Put the address that the far end sees on its address list",
        },
        Cause {
            name: "realm-mismatch",
            evidence: "the digest is for another realm than the challenge",
            remedy: "Let the caller answer with the realm of the challenge",
        },
        Cause {
            name: "stale-loop",
            evidence: "three challenges or more in a row, each after a digest",
            remedy: "Find why the challenger does not know its own nonce: several servers, a too short life, a lost header",
        },
        Cause {
            name: "no-answer-to-challenge",
            evidence: "no credentials within 64*T1 after the challenge, neither in this call nor in one with its nonce",
            remedy: "Configure credentials on the calling side, or list its address at the challenger",
        },
    ],
    refs: &["RFC 3261 22", "RFC 3261 21.4.4", "RFC 8760"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let refused = Refused::of(facts)?;
    if refused.refusal.is_challenge() {
        return challenged(&refused);
    }
    let refused = Refused::ended(facts).filter(|refused| refused.refusal.code == 403)?;
    forbidden(&refused)
}

/// The last word is a challenge.
fn challenged(refused: &Refused<'_>) -> Option<Finding> {
    let (call, last) = (refused.facts.call, refused.refusal);
    let rounds = call.refusals.iter().filter(|r| r.is_challenge() && !r.credentials.is_empty()).count();
    let given_up = call.state == CallState::Failed && !call.challenge_answered_elsewhere;
    if last.credentials.is_empty() {
        return given_up.then(|| no_answer(refused)).flatten();
    }
    let is_stale = last.challenges.iter().any(|c| c.stale) || refused.is_about(Topic::StaleNonce);
    let again = last.challenges.iter().any(|c| last.credentials.iter().any(|own| own.realm == c.realm));
    if !is_stale && !again && wrong_realm(refused).is_some() {
        return realm_mismatch(refused);
    }
    if !is_stale && again && (answers_this_call(refused) || given_up) {
        return Some(credentials(refused, Confidence::Certain));
    }
    (rounds + 1 >= LOOP_CHALLENGES).then(|| stale_loop(refused, rounds + 1))
}

/// The digest refused answers a nonce that this very call was challenged with: it was not too old.
fn answers_this_call(refused: &Refused<'_>) -> bool {
    let before = refused.facts.call.refusals.iter().filter(|r| r.cseq < refused.refusal.cseq);
    let nonces: Vec<u64> = before.flat_map(|r| &r.challenges).map(|c| c.nonce).collect();
    refused.refusal.credentials.iter().any(|own| nonces.contains(&own.nonce))
}

/// The challenge that the refused INVITE should have answered.
fn challenge_before<'a>(refused: &Refused<'a>) -> Option<&'a Refusal> {
    refused.facts.call.refusals.iter().rev().find(|r| r.is_challenge() && r.cseq < refused.refusal.cseq)
}

/// The realm asked for and the realm answered, where they differ: the same realm is asked for again, or the call is refused.
fn wrong_realm(refused: &Refused<'_>) -> Option<(String, String)> {
    let asked = challenge_before(refused)?;
    let (wanted, own) = (asked.challenges.first()?, refused.refusal.credentials.first()?);
    let answered = asked.challenges.iter().any(|c| refused.refusal.credentials.iter().any(|own| own.realm == c.realm));
    let same_again = !refused.refusal.is_challenge()
        || refused.refusal.challenges.iter().any(|c| asked.challenges.iter().any(|a| a.realm == c.realm));
    (!answered && same_again).then(|| (wanted.realm.to_string(), own.realm.to_string()))
}

/// 403: what the INVITE carried decides.
fn forbidden(refused: &Refused<'_>) -> Option<Finding> {
    let facts = refused.facts;
    let with_digest = !refused.refusal.credentials.is_empty();
    match refused.topic.map(|(topic, _)| topic) {
        Some(Topic::SourceAddress) => (!may_be_a_scan(refused)).then(|| acl(refused, Confidence::Certain)),
        Some(Topic::Credentials) if with_digest => {
            realm_mismatch(refused).or_else(|| Some(credentials(refused, Confidence::Certain)))
        }
        Some(Topic::Credentials) => Some(unknown(refused)),
        Some(_) => None,
        None if refused.caller_flaw().is_some() => None,
        None if with_digest => {
            let user = refused.refusal.credentials.first().map_or("", |own| own.username.as_str());
            let is_good = facts.answered.is_known(refused.refuser(), Shown::User(user));
            (!is_good).then(|| realm_mismatch(refused).unwrap_or_else(|| credentials(refused, Confidence::Likely)))
        }
        None => {
            let is_challenged = facts.call.refusals.iter().any(Refusal::is_challenge);
            let anywhere = facts.call.invites().any(|invite| invite.credentials);
            let answers = facts.answered.is_known(refused.refuser(), Shown::Peer);
            let is_stranger = !is_challenged && !anywhere && !answers;
            (is_stranger && !may_be_a_scan(refused)).then(|| acl(refused, Confidence::Likely))
        }
    }
}

fn credentials(refused: &Refused<'_>, confidence: Confidence) -> Finding {
    let own = refused.refusal.credentials.first();
    let (user, realm) = own.map_or(("", ""), |own| (own.username.as_str(), own.realm.as_str()));
    let (by, from) = (refused.way.dst, refused.from_caller.src.ip());
    Finding {
        summary: format!(
            "{by} refused the INVITE with {} though it carried a digest of sip:{user}@{realm}",
            refused.words()
        ),
        remedy: format!(
            "Check user name and password for realm \"{realm}\" on {from} against those that {} knows",
            by.ip()
        ),
        peer: Some(refused.calling_peer()),
        ..refused.finding("credentials", confidence, digest(refused))
    }
}

fn realm_mismatch(refused: &Refused<'_>) -> Option<Finding> {
    let (wanted, sent) = wrong_realm(refused)?;
    let (by, from) = (refused.way.dst, refused.from_caller.src.ip());
    let mut evidence = digest(refused);
    evidence.push(("challenge_realm", wanted.clone().into()));
    Some(Finding {
        summary: format!(
            "{by} asked for realm \"{wanted}\", the INVITE came with a digest for realm \"{sent}\" and was refused with {}",
            refused.words()
        ),
        remedy: format!(
            "Let {from} answer with realm \"{wanted}\": take the realm from the challenge, not from its configuration"
        ),
        peer: Some(refused.calling_peer()),
        ..refused.finding("realm-mismatch", Confidence::Certain, evidence)
    })
}

fn stale_loop(refused: &Refused<'_>, challenges: usize) -> Finding {
    let (by, from) = (refused.way.dst, refused.from_caller.src.ip());
    let mut evidence = digest(refused);
    evidence.push(("challenges", (challenges as u64).into()));
    Finding {
        summary: format!(
            "{by} challenged the call {challenges} times in a row, after each digest anew: last {}",
            refused.words()
        ),
        remedy: format!(
            "See why {} does not accept nonces it has just given: servers behind one address that do not share them, or a life shorter than the round trip to {from}",
            by.ip()
        ),
        fault: match refused.fault() {
            Some(Fault::Local) => Some(Fault::Remote),
            Some(Fault::Remote) => Some(Fault::Local),
            other => other,
        },
        peer: Some(refused.calling_peer()),
        ..refused.finding("stale-loop", Confidence::Certain, evidence)
    }
}

/// Whether a caller whom this host forbids to call may yet turn out to be a scanner. A trunk that is known by name does not.
fn may_be_a_scan(refused: &Refused<'_>) -> bool {
    let facts = refused.facts;
    let Some(at) = facts.call.stranger_refused_at().filter(|_| !facts.over) else { return false };
    let [alone, among_others] = STRANGER_WAITS;
    let waits = if facts.caller_probes { among_others } else { alone };
    let is_here = refused.way.direction != Direction::Out;
    is_here && facts.now < at + waits && facts.peers.trunk_of(refused.from_caller.src).is_none()
}

fn acl(refused: &Refused<'_>, confidence: Confidence) -> Finding {
    let (by, from) = (refused.way.dst, refused.way.src.ip());
    let seen = refused.received().unwrap_or(from);
    let mut evidence: Vec<(&'static str, Value)> = Vec::new();
    evidence.extend(refused.received().map(|ip| ("received", ip.to_string().into())));
    Finding {
        summary: format!(
            "{by} refused the INVITE with {} and asked for no credentials: it does not accept calls from {seen}",
            refused.words()
        ),
        remedy: format!("Have {seen} put on the address list of {}, or give {from} credentials for it", by.ip()),
        fault: fault_of_sender(&refused.way),
        ..refused.finding("acl", confidence, evidence)
    }
}

fn no_answer(refused: &Refused<'_>) -> Option<Finding> {
    let (by, from) = (refused.way.dst, refused.from_caller.src.ip());
    let call = refused.facts.call;
    let invite = call.invites().find(|t| t.cseq == refused.refusal.cseq && t.path == refused.refusal.path)?;
    let repeated = invite.final_response().is_some_and(|r| r.sent.retransmissions() > 0);
    if invite.ack.is_none() && repeated {
        // The challenge itself does not arrive: no question of credentials.
        return None;
    }
    let realm = refused.refusal.challenges.first().map(|c| c.realm.to_string()).unwrap_or_default();
    let seconds = refused.facts.config.timers.give_up().as_secs();
    Some(Finding {
        rests_on_absence_since: Some(refused.refusal.at),
        summary: format!(
            "{by} asked for credentials with {} for realm \"{realm}\"; {from} sent none within {seconds} s",
            refused.status()
        ),
        remedy: format!(
            "Configure user name and password for realm \"{realm}\" on {from}, or list its address at {}",
            by.ip()
        ),
        peer: Some(refused.calling_peer()),
        ..refused.finding("no-answer-to-challenge", Confidence::Likely, vec![("challenge_realm", realm.clone().into())])
    })
}

fn unknown(refused: &Refused<'_>) -> Finding {
    let (by, from) = (refused.way.dst, refused.way.src.ip());
    Finding {
        summary: format!("{by} refused the INVITE with {} and asked for no credentials", refused.words()),
        remedy: format!("Ask the operator of {} which credentials or which address it expects of {from}", by.ip()),
        ..refused.finding(UNKNOWN, Confidence::Likely, Vec::new())
    }
}

fn digest(refused: &Refused<'_>) -> Vec<(&'static str, Value)> {
    let own = refused.refusal.credentials.first();
    let mut evidence: Vec<(&'static str, Value)> = Vec::new();
    evidence.extend(own.map(|own| ("realm", own.realm.to_string().into())));
    evidence.extend(refused.received().map(|ip| ("received", ip.to_string().into())));
    evidence
}
