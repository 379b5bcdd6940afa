//! Families of signalling: messages, calls and registrations.

use sip_monitor_engine::metrics::{Buckets, Outcomes};
use sip_monitor_engine::record::CallState;

use super::Snapshot;
use super::capture::direction;
use super::exposition::{Exposition, Family, Kind};

static REQUESTS: Family = Family {
    name: "sipmonitor_sip_requests_total",
    kind: Kind::Counter,
    labels: &["method", "direction"],
    help: "SIP requests seen, retransmissions and copies on other hops included.",
};
static RESPONSES: Family = Family {
    name: "sipmonitor_sip_responses_total",
    kind: Kind::Counter,
    labels: &["method", "code", "direction"],
    help: "SIP responses seen, by the method of their request; a code that is not registered counts under its class, such as 4xx.",
};
static REPEATED: Family = Family {
    name: "sipmonitor_sip_retransmissions_total",
    kind: Kind::Counter,
    labels: &["kind", "method"],
    help: "Of these, messages that had been seen before.",
};
static UNUSABLE: Family = Family {
    name: "sipmonitor_sip_unusable_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Messages and datagrams on SIP ports that were not or not wholly usable, and why.",
};
static NOT_SIP_BYTES: Family = Family {
    name: "sipmonitor_sip_stream_not_sip_bytes_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Bytes of TCP streams on SIP ports that were no SIP.",
};
static TWICE: Family = Family {
    name: "sipmonitor_sip_captured_twice_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Packets captured twice (a mirror port, a VLAN trunk); they count once.",
};
static STRAY: Family = Family {
    name: "sipmonitor_sip_stray_responses_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Responses to requests that were not seen.",
};
static CALLS: Family = Family {
    name: "sipmonitor_calls",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Calls that are not over, by state.",
};
static ATTEMPTS: Family = Family {
    name: "sipmonitor_calls_attempts_total",
    kind: Kind::Counter,
    labels: &["direction"],
    help: "Calls (Call-IDs) whose first INVITE was seen.",
};
static ANSWERED: Family = Family {
    name: "sipmonitor_calls_answered_total",
    kind: Kind::Counter,
    labels: &["direction"],
    help: "Calls answered with a 2xx.",
};
static FAILED: Family = Family {
    name: "sipmonitor_calls_failed_total",
    kind: Kind::Counter,
    labels: &["direction", "code"],
    help: "Calls refused or given up, by the code of the final response; none where there was none.",
};
static COMPLETED: Family = Family {
    name: "sipmonitor_calls_completed_total",
    kind: Kind::Counter,
    labels: &["direction"],
    help: "Answered calls that are over.",
};
static POST_DIAL: Family = Family {
    name: "sipmonitor_call_post_dial_delay_seconds",
    kind: Kind::Histogram,
    labels: &["direction"],
    help: "From the first INVITE of a call to ringing, or to the answer where it did not ring.",
};
static SETUP: Family = Family {
    name: "sipmonitor_call_setup_seconds",
    kind: Kind::Histogram,
    labels: &["direction"],
    help: "From the first INVITE of a call to the 2xx.",
};
static TALK: Family = Family {
    name: "sipmonitor_call_duration_seconds",
    kind: Kind::Histogram,
    labels: &["direction"],
    help: "From the 2xx to the end of the call.",
};
static REGISTERED: Family = Family {
    name: "sipmonitor_registrations",
    kind: Kind::Gauge,
    labels: &[],
    help: "Contacts that are registered now.",
};
static NOT_REGISTERED: Family = Family {
    name: "sipmonitor_registration_failures_total",
    kind: Kind::Counter,
    labels: &["code"],
    help: "REGISTERs that failed, by the code of the response; none where nobody answered. A challenge that is answered is no failure.",
};

/// All of them.
pub const FAMILIES: &[&Family] = &[
    &REQUESTS,
    &RESPONSES,
    &REPEATED,
    &UNUSABLE,
    &NOT_SIP_BYTES,
    &TWICE,
    &STRAY,
    &CALLS,
    &ATTEMPTS,
    &ANSWERED,
    &FAILED,
    &COMPLETED,
    &POST_DIAL,
    &SETUP,
    &TALK,
    &REGISTERED,
    &NOT_REGISTERED,
];

/// Label of what never got a code.
pub const NO_CODE: &str = "none";

/// Writes them.
pub fn write(to: &mut Exposition, now: &Snapshot) {
    write_messages(to, now);
    let mut calls = to.family(&CALLS);
    for (state, count) in now.metrics.calls.up() {
        calls.count(&[state_name(state)], count);
    }
    let outcomes = &now.metrics.calls.outcomes;
    for (family, count) in [
        (&ATTEMPTS, (|o| o.attempts) as fn(&Outcomes) -> u64),
        (&ANSWERED, |o| o.answered),
        (&COMPLETED, |o| o.completed),
    ] {
        let mut samples = to.family(family);
        outcomes.iter().for_each(|o| samples.count(&[direction(o.direction)], count(o)));
    }
    let mut failed = to.family(&FAILED);
    for o in outcomes {
        for (code, (count, last)) in &o.failed {
            failed.count_of(&[direction(o.direction), &code.name()], *count, Some(last));
        }
        let (count, last) = &o.failed_without_code;
        failed.count_of(&[direction(o.direction), NO_CODE], *count, last.as_ref());
    }
    for (family, buckets) in
        [(&POST_DIAL, (|o| &o.post_dial) as fn(&Outcomes) -> &Buckets), (&SETUP, |o| &o.setup), (&TALK, |o| &o.talk)]
    {
        let mut samples = to.family(family);
        outcomes.iter().for_each(|o| samples.histogram(&[direction(o.direction)], buckets(o)));
    }
    let (registered, failures, unanswered) = &now.registrations;
    to.family(&REGISTERED).count(&[], *registered);
    let mut failed = to.family(&NOT_REGISTERED);
    failures.iter().for_each(|(code, count)| failed.count(&[&code.name()], *count));
    failed.count(&[NO_CODE], *unanswered);
}

fn write_messages(to: &mut Exposition, now: &Snapshot) {
    let messages = &now.metrics.messages;
    let mut requests = to.family(&REQUESTS);
    messages.requests().for_each(|(way, method, n)| requests.count(&[method.name(), direction(way)], n));
    let mut responses = to.family(&RESPONSES);
    messages.responses().for_each(|(way, method, code, n)| {
        responses.count(&[method.name(), &code.name(), direction(way)], n);
    });
    let mut repeated = to.family(&REPEATED);
    messages.repeated().for_each(|(is_response, method, n)| {
        repeated.count(&[if is_response { "response" } else { "request" }, method.name()], n);
    });
    let engine = &now.engine;
    let mut unusable = to.family(&UNUSABLE);
    for (reason, count) in [
        ("not_sip", engine.not_sip),
        ("without_call_id", engine.without_call_id),
        ("without_method", engine.without_method),
        ("fragments_missing", engine.incomplete),
        ("stream_cut", engine.stream_messages_cut),
        ("no_room", engine.refused),
    ] {
        unusable.count(&[reason], count);
    }
    for (family, count) in [
        (&NOT_SIP_BYTES, engine.stream_garbage_bytes),
        (&TWICE, engine.captured_twice),
        (&STRAY, engine.stray_responses),
    ] {
        to.family(family).count(&[], count);
    }
}

const fn state_name(state: CallState) -> &'static str {
    match state {
        CallState::Calling => "calling",
        CallState::Ringing => "ringing",
        CallState::EarlyMedia => "early-media",
        CallState::Confirmed => "confirmed",
        CallState::Held => "held",
        CallState::Transferred => "transferred",
        CallState::Disconnected => "disconnected",
        CallState::Failed => "failed",
        CallState::Timeout => "timeout",
    }
}
