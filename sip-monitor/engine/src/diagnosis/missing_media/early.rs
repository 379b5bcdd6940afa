//! Early media that was promised and does not come.

use super::{Case, Extent, has_nothing_to_send};
use crate::diagnosis::{CallFacts, Cause, Confidence, Finding, Severity, UNKNOWN};
use crate::media::flow::{FlowState, Travel};
use crate::media::{EARLY_MEDIA, MediaSession};
use crate::record::Side;
use crate::time::Timestamp;

/// Causes of missing early media, in the order they are tried: those of `blocked-rtp` that one direction alone can show.
pub const EARLY_CAUSES: &[Cause] = &[
    Cause {
        name: "sdp-private-address",
        evidence: "the caller's SDP asks for media at a private address, the signalling went between public ones",
        remedy: "Advertise a public media address: external media address of the PBX, STUN or ICE on the phone, or a media relay",
    },
    Cause {
        name: "local-firewall",
        evidence: "this host's kernel drops the early media by a netfilter rule, or answers it with ICMP administratively prohibited",
        remedy: "Allow the RTP port range in this host's firewall, inbound UDP",
    },
    Cause {
        name: "no-listener",
        evidence: "this host's kernel drops the arriving early media or answers ICMP port unreachable: no process has the port open",
        remedy: "Open the RTP port before the INVITE is sent, not at the answer",
    },
    Cause {
        name: "socket-overflow",
        evidence: "this host's kernel drops the arriving early media: the receive buffer of its socket is full",
        remedy: "Let the media process read its socket from the 183 on, not from the answer on",
    },
    Cause {
        name: "rp-filter",
        evidence: "this host's kernel drops the arriving early media: its source is not reached by the interface it came in by",
        remedy: "Set net.ipv4.conf.INTERFACE.rp_filter to 2 (loose) or mend the routes",
    },
    Cause {
        name: "neighbour",
        evidence: "this host's kernel drops the early media that it sends: the next hop does not answer ARP or neighbour discovery",
        remedy: "See `ip neigh show` and whether the next hop is up",
    },
    Cause {
        name: "checksum",
        evidence: "this host's kernel drops the arriving early media: its checksum is wrong",
        remedy: "Look for a device, driver or tunnel on the way that damages packets",
    },
    Cause {
        name: "wrong-port",
        evidence: "RTP of the callee goes to another port or address than the caller's SDP announced",
        remedy: "Look for a middlebox or SIP ALG that rewrites SDP",
    },
    Cause {
        name: "remote-unreachable",
        evidence: "ICMP errors refuse the early media sent, again and again",
        remedy: "Ask the caller's side to open its RTP port range before the answer",
    },
    Cause {
        name: "never-sent",
        evidence: "this host sent the 183 with SDP and sends no RTP",
        remedy: "Play the ringback tone that the 183 promised, or send 180 without SDP",
    },
    Cause {
        name: "never-arrived",
        evidence: "the 183 with SDP came in, and no RTP does",
        remedy: "Let the caller's phone play its own ringback while no early media comes, and open its RTP port range",
    },
];

/// The finding about a caller that rings and hears nothing, though a 183 with SDP promised it early media.
pub fn find_early(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let promised_at = promised_at(facts).filter(|_| call.setup_seen())?;
    let now = call.media.ended_at().map_or(facts.now, |ended| ended.min(facts.now));
    let later = call.media.agreed_audio().any(|a| a.callee.preconditions || a.has_ice());
    if later || now.since(promised_at) < EARLY_MEDIA {
        return None;
    }
    let flows = call.media.early_flows(facts.media, facts.config, now);
    let audio = flows.iter().find(|audio| {
        let flow = &audio.to_caller;
        matches!(flow.state, FlowState::Absent | FlowState::Refused | FlowState::Undeliverable)
            && now.since(flow.due_since) >= EARLY_MEDIA
    })?;
    let case = Case {
        audio,
        missing: &audio.to_caller,
        other: &audio.to_callee,
        extent: Extent::One,
        waits: None,
        purpose: None,
    };
    let early_of = |other: &MediaSession| other.early_flows(facts.media, facts.config, now);
    if !case.is_seen() || has_nothing_to_send(facts, case.missing, now, early_of) {
        return None;
    }
    let verdict = case.verdict();
    let cause = if EARLY_CAUSES.iter().any(|c| c.name == verdict.cause) { verdict.cause } else { UNKNOWN };
    let (why, remedy) = match (cause, verdict.flow.travel) {
        ("never-sent", _) => (
            format!("this host (callee) sends no RTP to {}", verdict.flow.endpoint),
            "Play the ringback tone that the 183 with SDP promised, or send 180 without SDP so that the caller's phone \
             plays its own"
                .to_owned(),
        ),
        ("never-arrived", Travel::In) => (
            format!("no RTP arrives at {}", verdict.flow.endpoint),
            format!(
                "Ask the callee's side for the early media that its 183 promised, open UDP {} towards this host, and let \
                 the phone play local ringback while none comes",
                verdict.flow.endpoint.port()
            ),
        ),
        _ => (verdict.why, verdict.remedy),
    };
    let sure = verdict.flow.state == FlowState::Refused;
    Some(Finding {
        rests_on_absence_since: (!sure).then_some(promised_at),
        fault: verdict.fault,
        summary: format!("The caller hears no ringback: a 183 with SDP promised early media, and {why}"),
        remedy,
        evidence: case.evidence(verdict.flow, now),
        peer: Some(audio.peer),
        deaf: Some(Side::Caller),
        ..Finding::new(cause, Severity::Warning, if case.is_sure() { verdict.confidence } else { Confidence::Possible })
    })
}

/// When a 183 with SDP promised early media, unless a later 180 without SDP has the caller's phone play its own ringback.
fn promised_at(facts: &CallFacts<'_>) -> Option<Timestamp> {
    let provisional = || facts.call.invites().flat_map(|t| &t.responses).filter(|r| (180..190).contains(&r.code));
    let at = provisional().filter(|r| r.code == 183 && r.has_sdp).map(|r| r.sent.first()).min()?;
    let rings_itself = provisional().any(|r| r.code == 180 && !r.has_sdp && r.sent.last() > at);
    (!rings_itself).then_some(at)
}
