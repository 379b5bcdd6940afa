//! Audio that is due and does not flow: which direction, since when, and why. What `blocked-rtp` (both directions) and
//! `one-way-audio` (one) have in common.

mod cause;
mod early;
mod passed_on;
mod purpose;
mod silence;

use core::cmp::Reverse;
use core::time::Duration;

pub use cause::CAUSES;
pub use early::{EARLY_CAUSES, find_early};
use passed_on::{has_nothing_to_send, is_told_on_another_leg};
pub use silence::{Silence, silence};

use crate::diagnosis::{CallFacts, Confidence, Finding, Severity, Value};
use crate::media::flow::{AudioFlows, Flow, FlowState, Sight, Travel};
use crate::packet::IcmpKind;
use crate::record::Side;
use crate::time::Timestamp;

/// Positive proof is told this early, as information: ICMP errors that refuse the media again and again.
const EARLY: Duration = Duration::from_secs(1);
/// The other direction counts as flowing, and as going on after this one stopped, when it has done so for this long.
const STEADY: Duration = Duration::from_secs(2);

/// How much of the audio is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Both directions.
    Both,
    /// Exactly one.
    One,
}

/// The finding about a call whose audio is missing to that extent.
pub fn find(facts: &CallFacts<'_>, extent: Extent) -> Option<Finding> {
    let now = facts.call.media.ended_at().map_or(facts.now, |ended| ended.min(facts.now));
    let cases = facts.unsteady_audio().iter().filter_map(|audio| {
        let mut case = Case::of(audio, extent)?;
        let waits = case
            .missing_flows()
            .find(|flow| has_nothing_to_send(facts, flow, now, |other| other.flows(facts.media, facts.config, now)));
        case.waits = waits;
        case.purpose = purpose::of(facts, &case);
        if (extent == Extent::One && case.waits.is_some()) || is_told_on_another_leg(facts, &case, now) {
            return None;
        }
        let severity = case.severity(facts, now)?;
        Some((case, severity))
    });
    // Where this host relays, what one hop lacks is what another one did not give: that one tells why.
    let (case, severity) = cases.min_by_key(|(case, severity)| (Reverse(*severity), case.rank()))?;
    Some(case.finding(facts, now, severity))
}

/// What is missing on one hop.
struct Case<'a> {
    audio: &'a AudioFlows,
    /// The direction that is missing; of two the one that tells more.
    missing: &'a Flow,
    /// The opposite direction.
    other: &'a Flow,
    extent: Extent,
    /// The direction that is missing since what this host should send does not arrive on the other leg.
    waits: Option<&'a Flow>,
    /// What speaks for it that who should send is silent on purpose.
    purpose: Option<&'static str>,
}

impl<'a> Case<'a> {
    fn of(audio: &'a AudioFlows, extent: Extent) -> Option<Self> {
        let (a, b) = (&audio.to_caller, &audio.to_callee);
        let (missing, other) = match (extent, a.is_missing(), b.is_missing()) {
            (Extent::Both, true, true) => {
                if rank(b) < rank(a) {
                    (b, a)
                } else {
                    (a, b)
                }
            }
            (Extent::One, true, false) => (a, b),
            (Extent::One, false, true) => (b, a),
            (Extent::Both, ..) | (Extent::One, ..) => return None,
        };
        let case = Self { audio, missing, other, extent, waits: None, purpose: None };
        (case.is_seen() && (extent == Extent::Both || case.other_flows())).then_some(case)
    }

    /// Of several hops the one that tells more stands first, then the one that was answered first.
    fn rank(&self) -> (bool, u8, bool, Timestamp) {
        let is_proven = self.missing_flows().any(Flow::has_positive_evidence);
        (!is_proven, rank(self.missing), self.missing_flows().any(|flow| flow.is_starved), self.missing.due_since)
    }

    /// Whether what is missing would have been seen. ICMP that refuses it is seen as it is.
    fn is_seen(&self) -> bool {
        let seen = |flow: &Flow| flow.sight > Sight::None || is_proven(flow);
        seen(self.missing) && (self.extent == Extent::One || seen(self.other))
    }

    fn is_sure(&self) -> bool {
        self.missing_flows().all(|f| f.sight == Sight::Full || is_proven(f))
    }

    /// Whether the other direction really flows: steadily, and on after this one stopped.
    fn other_flows(&self) -> bool {
        let (Some(burst_at), Some(last_at)) = (self.other.burst_at, self.other.last_at) else { return false };
        let steady = last_at.since(burst_at.max(self.other.due_since)) >= STEADY;
        let goes_on = self.missing.state.stopped_at().is_none_or(|at| last_at.since(at) >= STEADY);
        steady && goes_on && self.other.state == FlowState::Flowing
    }

    fn missing_flows(&self) -> impl Iterator<Item = &'a Flow> + use<'a> {
        let other = (self.extent == Extent::Both).then_some(self.other);
        core::iter::once(self.missing).chain(other)
    }

    /// Since when all of what is missing has been due, or has been gone.
    fn since(&self) -> Timestamp {
        let since = |flow: &Flow| flow.state.stopped_at().unwrap_or(flow.due_since);
        self.missing_flows().map(since).fold(since(self.missing), Timestamp::max)
    }

    /// The severity where a threshold has passed.
    fn severity(&self, facts: &CallFacts<'_>, now: Timestamp) -> Option<Severity> {
        let thresholds = &facts.config.thresholds;
        let positive = self.missing_flows().any(Flow::has_positive_evidence);
        let threshold = if positive { thresholds.media_refused } else { thresholds.media_absent };
        // The time of a stop was waited for where the fact was made.
        let is_over = |flow: &Flow| flow.state.stopped_at().is_some() || now.since(flow.due_since) >= threshold;
        if self.missing_flows().all(is_over) {
            return Some(Severity::Critical);
        }
        let refused = self.missing_flows().any(|f| f.state == FlowState::Refused);
        let waited = self.missing_flows().all(|f| now.since(f.due_since) >= EARLY);
        (refused && waited).then_some(Severity::Info)
    }

    fn finding(&self, facts: &CallFacts<'_>, now: Timestamp, severity: Severity) -> Finding {
        let verdict = self.verdict();
        let confidence = if facts.call.adopted || !self.is_sure() { Confidence::Possible } else { verdict.confidence };
        let proven = is_proven(verdict.flow);
        // What this host seems not to send may be dropped before it can be counted.
        let is_ours = matches!(verdict.flow.travel, Travel::Out | Travel::Within);
        let who = match self.extent {
            Extent::Both => "No audio in either direction".to_owned(),
            Extent::One => format!("The {} cannot hear the {}", name(self.missing.to), name(self.missing.from())),
        };
        Finding {
            rests_on_absence_since: (!proven).then(|| self.since()),
            rests_on_no_drop_since: (!proven && is_ours).then(|| self.since()),
            fault: verdict.fault,
            summary: format!("{who}: {}", verdict.why),
            remedy: verdict.remedy,
            evidence: self.evidence(verdict.flow, now),
            peer: Some(self.audio.peer),
            deaf: (self.extent == Extent::One).then_some(self.missing.to),
            ..Finding::new(verdict.cause, severity, confidence)
        }
    }

    fn evidence(&self, flow: &Flow, now: Timestamp) -> Vec<(&'static str, Value)> {
        let mut evidence: Vec<(&'static str, Value)> = vec![
            ("expected_at", flow.endpoint.into()),
            ("expected_by", name(flow.to).into()),
            ("packets_to_caller", self.audio.to_caller.packets.into()),
            ("packets_to_callee", self.audio.to_callee.packets.into()),
            ("due_for_ms", millis(now.since(flow.due_since)).into()),
        ];
        let mut add = |key, value: Option<Value>| evidence.extend(value.map(|v| (key, v)));
        add("stray_packets", (flow.strays > 0).then(|| flow.strays.into()));
        add("last_packet_at", flow.last_at.map(|at| at.to_string().into()));
        add("sdp_address", flow.private_address.map(|a| a.to_string().into()));
        if let Some((refusal, drop)) = flow.refusal.as_ref().and_then(|r| Some((r, r.dropped?))) {
            add("drop_reason", Some(drop.name.into()));
            add("dropped_packets", Some(refusal.count.into()));
            add("dropped_flow", Some(format!("{} -> {}", refusal.src, refusal.dst).into()));
            add("dropped_since", Some(refusal.first_at.to_string().into()));
        } else if let Some(refusal) = &flow.refusal {
            let (icmp_type, icmp_code) = refusal.icmp;
            add("icmp", Some(icmp_name(refusal.kind).into()));
            add("icmp_type_code", Some(format!("{icmp_type}/{icmp_code}").into()));
            add("icmp_from", Some(refusal.reporter.ip().to_string().into()));
            add("icmp_count", Some(refusal.count.into()));
            add("icmp_quotes", Some(format!("{} -> {}", refusal.src, refusal.dst).into()));
        }
        if let Some(elsewhere) = &flow.elsewhere {
            add("seen_from", Some(elsewhere.src.into()));
            add("seen_at", Some(elsewhere.dst.into()));
            add("seen_packets", Some(elsewhere.packets.into()));
        }
        if let Some(block) = flow.reception.as_ref().filter(|_| flow.state == FlowState::Unheard) {
            add("rtcp_fraction_lost_percent", Some(share(block.fraction_lost).into()));
            add("rtcp_highest_sequence", Some(block.highest_sequence.into()));
            add("rtcp_reported_ssrc", Some(format!("0x{:08x}", block.ssrc).into()));
            add("sent_since_frozen", (flow.sent_in_vain > 0).then(|| flow.sent_in_vain.into()));
        }
        add("ttl_min", self.peer_ttl(flow).map(|ttl| u64::from(ttl).into()));
        let claimed = flow.sender_rtcp.as_ref().and_then(|r| r.sent_packets);
        add("rtcp_sent_packets", claimed.map(Value::from));
        evidence
    }
}

/// A fraction in 1/256 as percent.
fn share(fraction: u8) -> f64 {
    (f64::from(fraction) * 1_000.0 / 256.0).round() / 10.0
}

/// Of two missing directions the one that tells more stands first.
fn rank(flow: &Flow) -> u8 {
    match flow.state {
        FlowState::Refused => 0,
        FlowState::Unheard => 1,
        FlowState::Undeliverable => 2,
        FlowState::Absent => 3,
        FlowState::Stopped(_) => 4,
        FlowState::Flowing | FlowState::Starting => 5,
    }
}

/// Whether somebody said that it does not arrive: an ICMP error, or its receiver by RTCP.
fn is_proven(flow: &Flow) -> bool {
    matches!(flow.state, FlowState::Refused | FlowState::Unheard)
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Callee => "callee",
    }
}

const fn icmp_name(kind: IcmpKind) -> &'static str {
    match kind {
        IcmpKind::PortUnreachable => "port unreachable",
        IcmpKind::HostUnreachable => "host unreachable",
        IcmpKind::NetUnreachable => "network unreachable",
        IcmpKind::Prohibited => "administratively prohibited",
        IcmpKind::TimeExceeded => "time exceeded",
        IcmpKind::TooBig => "packet too big",
        IcmpKind::Other => "error",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
