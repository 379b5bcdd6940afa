//! Families of alerts and of the outputs that carry them.

use sip_monitor_engine::diagnosis::Severity;

use super::Snapshot;
use super::exposition::{Exposition, Family, Kind};

const VERDICT: &[&str] = &["diagnosis", "cause", "severity"];

static FIRED: Family = Family {
    name: "sipmonitor_alerts_fired_total",
    kind: Kind::Counter,
    labels: VERDICT,
    help: "Alerts that began, as they were told first.",
};
static FIRING: Family =
    Family { name: "sipmonitor_alerts_firing", kind: Kind::Gauge, labels: VERDICT, help: "Alerts that fire now." };
static RESOLVED: Family =
    Family { name: "sipmonitor_alerts_resolved_total", kind: Kind::Counter, labels: &[], help: "Alerts that ended." };
static FOLDED: Family = Family {
    name: "sipmonitor_alerts_cases_folded_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Further cases that were counted in an open alert without a line of their own.",
};
static WEAKENED: Family = Family {
    name: "sipmonitor_alerts_weakened_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Verdicts that weigh less since the monitor lost packets, the capture holds too little, or drops of the kernel could not be read or reported.",
};
static WRITTEN: Family = Family {
    name: "sipmonitor_sink_written_total",
    kind: Kind::Counter,
    labels: &["sink"],
    help: "What an output wrote or sent: lines, or alerts.",
};
static DROPPED: Family = Family {
    name: "sipmonitor_sink_dropped_total",
    kind: Kind::Counter,
    labels: &["sink"],
    help: "What it had no room for, and alerts that an Alertmanager refused for good (400).",
};
static NOT_WRITTEN: Family = Family {
    name: "sipmonitor_sink_failures_total",
    kind: Kind::Counter,
    labels: &["sink"],
    help: "Attempts to write or send that failed.",
};

/// All of them.
pub const FAMILIES: &[&Family] = &[&FIRED, &FIRING, &RESOLVED, &FOLDED, &WEAKENED, &WRITTEN, &DROPPED, &NOT_WRITTEN];

/// A severity as a label.
#[must_use]
pub const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// Writes them.
pub fn write(to: &mut Exposition, now: &Snapshot) {
    let mut fired = to.family(&FIRED);
    for ((diagnosis, cause, severity), (count, last)) in &now.fired {
        fired.count_of(&[diagnosis, cause, severity_name(*severity)], *count, last.as_ref());
    }
    let mut firing = to.family(&FIRING);
    for ((diagnosis, cause, severity), count) in &now.firing {
        firing.count(&[diagnosis, cause, severity_name(*severity)], *count);
    }
    to.family(&RESOLVED).count(&[], now.alerts.resolved);
    to.family(&FOLDED).count(&[], now.alerts.folded);
    to.family(&WEAKENED).count(&[], now.alerts.weakened);
    let mut written = to.family(&WRITTEN);
    now.outputs.iter().for_each(|output| written.count(&[output.name], output.written));
    let mut dropped = to.family(&DROPPED);
    now.outputs.iter().for_each(|output| dropped.count(&[output.name], output.dropped));
    let mut failed = to.family(&NOT_WRITTEN);
    now.outputs.iter().for_each(|output| failed.count(&[output.name], output.failed));
}
