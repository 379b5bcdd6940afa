//! Fewer than half of the calls sent to a peer are answered.
//!
//! What people notice: many calls through one trunk do not come up, though each for another reason: not found, forbidden,
//! not acceptable, busy.
//!
//! How it is seen: at least twenty calls sent to the peer within five minutes, or the last twenty where there were fewer.
//! A redirected call is no failure, an INVITE sent again with credentials is the same call. Also where the share falls below
//! half of what was usual for that peer since start (fifty calls over ten minutes at least). Calls that arrive here and that
//! this host refuses are not counted.
//!
//! Where most of them were busy, declined, cancelled or not picked up, it is told as `info`: that is what users do.
//!
//! - `ser`: the Session Establishment Ratio is low: of the calls that got a final response too few got a 2xx.
//! - `asr`: those that got a final response were answered well enough, but so many were given up without one (a challenge
//!   that nobody answered) that the Answer Seizure Ratio is low.
//!
//! Usual causes: a wrong route or number format towards the peer, expired credentials, a list of bad numbers in a dialler.
//!
//! Remedy: look at the codes by their counts; the most frequent one names what to correct first.
//!
//! References: RFC 6076 4.6; ITU-T E.411 (ASR).

use crate::diagnosis::peer_view::{percent, proven_by};
use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Finding, Layer, PeerFacts, Severity};
use crate::peer::ABANDONED;

/// A peer that answers few of its calls.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "low-success-rate",
    layer: Layer::Call,
    title: "Few of the calls sent to a peer are answered",
    causes: &[
        Cause {
            name: "ser",
            evidence: "of the calls that got a final response fewer than half got a 2xx",
            remedy: "Correct what the most frequent code names: number format, route, credentials",
        },
        Cause {
            name: "asr",
            evidence: "so many calls were given up without a final response that fewer than half were answered",
            remedy: "See why calls are given up: a challenge that this side cannot answer, or callers who do not wait",
        },
    ],
    refs: &["RFC 6076 4.6"],
    takes_over: &[],
    asks: Asks::Peer(judge),
};

/// Fewer calls say nothing.
const CALLS: u32 = 20;
/// Share below which it fires, per cent.
const PERCENT: u32 = 50;
/// A baseline is one of so many calls.
const BASELINE_CALLS: u32 = 50;
/// And of so long, seconds.
const BASELINE_S: u64 = 600;

fn judge(facts: &PeerFacts<'_>) -> Option<Finding> {
    let peer = facts.peer;
    let ends = peer.success.ends(facts.now, CALLS);
    if peer.is_local || ends.total < CALLS || ends.limited > 0 {
        return None;
    }
    let fixed = facts.peers.trunk(peer).and_then(|trunk| trunk.success_percent).unwrap_or(PERCENT);
    let usual = usual_percent(facts);
    let least = f64::from(fixed).max(usual.map_or(0.0, |usual| usual / 2.0));
    let answered = ends.total - ends.bad;
    let abandoned = ends.with(|code| code == ABANDONED);
    let share = |of: u32| f64::from(answered) * 100.0 / f64::from(of.max(1));
    let finals = ends.total - abandoned;
    let (cause, of, rate) = if finals >= CALLS && share(finals) < least {
        ("ser", finals, share(finals))
    } else if abandoned > 0 && share(ends.total) < least {
        ("asr", ends.total, share(ends.total))
    } else {
        return None;
    };
    let (name, codes) = (facts.peers.name(peer), ends.codes_text());
    // Where users would not talk the peer did its work: worth knowing, no more.
    let served = f64::from(answered + ends.by_users) * 100.0 / f64::from(ends.total);
    let severity = if served >= least { Severity::Info } else { Severity::Warning };
    let mut evidence = vec![
        (cause, percent(rate)),
        ("answered", answered.into()),
        ("attempts", of.into()),
        ("codes", codes.clone().into()),
        ("ended_by_users", ends.by_users.into()),
        ("since", ends.since.to_string().into()),
    ];
    evidence.extend(usual.map(|usual| ("usual_percent", percent(usual))));
    Some(Finding {
        summary: format!("Only {answered} of the last {of} calls to {name} were answered ({rate:.0} %): {codes}"),
        remedy: match ends.codes.first() {
            Some((ABANDONED, _)) => {
                format!(
                    "See why calls to {name} are given up before a final response: a challenge that is not answered?"
                )
            }
            Some((code, _)) if *code > 0 => {
                format!("Begin with the calls that {name} answers with {code}; its reason phrase names what to correct")
            }
            _ => format!("Check the route to {name}: most of the failed calls got no answer"),
        },
        evidence,
        peer: Some(peer.addr),
        calls: Some(proven_by(ends.bad, &peer.success)),
        ..Finding::new(cause, severity, Confidence::Certain)
    })
}

/// What was usual before the window.
fn usual_percent(facts: &PeerFacts<'_>) -> Option<f64> {
    let peer = facts.peer;
    let total = &peer.measured.total;
    let long_enough = facts.now.since(peer.first_at).as_secs() >= BASELINE_S;
    if !long_enough || total.ended() < BASELINE_CALLS {
        return None;
    }
    let recent = peer.measured.recent();
    let ended = total.ended().checked_sub(recent.ended())?.checked_sub(total.redirected - recent.redirected)?;
    let answered = total.answered.checked_sub(recent.answered)?;
    (ended >= BASELINE_CALLS).then(|| f64::from(answered) * 100.0 / f64::from(ended))
}
