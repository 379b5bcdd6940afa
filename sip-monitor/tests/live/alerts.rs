//! What the daemon printed, sorted by the call it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use sip_monitor::demo::daemon::Line;

/// Code and cause.
pub type Verdict = (String, String);

/// Every line of one run.
pub struct Alerts {
    lines: Vec<(Instant, Value)>,
}

impl Alerts {
    pub fn of(lines: Vec<Line>) -> Self {
        let parse = |line: Line| {
            (line.at, serde_json::from_str(&line.text).unwrap_or_else(|e| panic!("not JSON ({e}): {}", line.text)))
        };
        Self { lines: lines.into_iter().map(parse).collect() }
    }

    fn alerts(&self) -> impl Iterator<Item = &(Instant, Value)> {
        self.lines.iter().filter(|(_, line)| line["type"] == "alert")
    }

    pub fn is_empty(&self) -> bool {
        self.alerts().next().is_none()
    }

    /// Whether nobody has to look at anything, but for what a load generator is: calls alike to the millisecond, which is
    /// worth an information, and many of them a second.
    pub fn is_quiet(&self) -> bool {
        self.alerts().all(|(_, line)| line["severity"] == "info" || line["code"] == "invite-flood")
    }

    /// Alerts that somebody has to look at.
    pub fn above_info(&self) -> Vec<&Value> {
        self.alerts().map(|(_, line)| line).filter(|line| line["severity"] != "info").collect()
    }

    /// Alerts as they stood at the end: the last line of each.
    pub fn last_of_each(&self) -> Vec<&Value> {
        let mut by_id: BTreeMap<&str, &Value> = BTreeMap::new();
        for (_, alert) in self.alerts() {
            by_id.insert(alert["id"].as_str().unwrap_or_default(), alert);
        }
        by_id.into_values().collect()
    }

    /// When the alert of this id was printed first.
    pub fn first_of(&self, id: &Value) -> Option<Instant> {
        self.alerts().find(|(_, alert)| alert["id"] == *id).map(|(at, _)| *at)
    }

    /// How often each code and cause was told.
    pub fn counts(&self) -> BTreeMap<Verdict, usize> {
        let mut counts = BTreeMap::new();
        for (_, alert) in self.alerts() {
            *counts.entry(verdict_of(alert)).or_default() += 1;
        }
        counts
    }

    /// Records of one type.
    pub fn records(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().map(|(_, line)| line).filter(|line| line["type"] == kind).collect()
    }

    /// Records of the calls whose Call-ID begins with `name`.
    pub fn calls(&self, name: &str) -> Vec<&Value> {
        let is_of = |record: &&Value| record["call_id"].as_str().and_then(|id| id.split('@').next()) == Some(name);
        self.records("call").into_iter().filter(is_of).collect()
    }

    /// The verdicts about calls whose Call-ID begins with `name`. A later line of one alert replaces the earlier.
    pub fn about(&self, name: &str) -> BTreeSet<Verdict> {
        self.verdicts(|call| call == name)
    }

    /// The verdicts about anything else than these calls.
    pub fn about_others(&self, names: &[&str]) -> BTreeSet<Verdict> {
        self.verdicts(|call| !names.contains(&call))
    }

    /// When the first alert about a call was printed.
    pub fn first(&self, name: &str) -> Option<Instant> {
        self.alerts().find(|(_, alert)| call_of(alert) == name).map(|(at, _)| *at)
    }

    /// Alert lines about one call, in the order they came.
    pub fn lines_about(&self, name: &str) -> Vec<&Value> {
        self.alerts().map(|(_, line)| line).filter(|line| call_of(line) == name).collect()
    }

    /// Alert lines about anything else than these calls.
    pub fn lines_about_none_of(&self, names: &[&str]) -> Vec<&Value> {
        self.alerts().map(|(_, line)| line).filter(|line| !names.contains(&call_of(line))).collect()
    }

    /// Alert lines of that severity.
    pub fn of_severity(&self, severity: &str) -> Vec<&Value> {
        self.alerts().map(|(_, line)| line).filter(|line| line["severity"] == severity).collect()
    }

    /// When a call was answered, by its record.
    pub fn answered_at(&self, name: &str) -> Option<Timestamp> {
        let is_it = |call: &&&Value| call["call_id"].as_str().is_some_and(|id| id.split('@').next() == Some(name));
        let records = self.records("call");
        time_of(records.iter().find(is_it)?, "answered_at")
    }

    fn verdicts(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<Verdict> {
        let mut by_id: BTreeMap<String, Verdict> = BTreeMap::new();
        for (_, alert) in self.alerts().filter(|(_, alert)| wanted(call_of(alert))) {
            by_id.insert(alert["id"].to_string(), verdict_of(alert));
        }
        by_id.into_values().collect()
    }
}

/// A time in a line.
pub fn time_of(line: &Value, key: &str) -> Option<Timestamp> {
    line[key].as_str()?.parse().ok()
}

fn verdict_of(alert: &Value) -> Verdict {
    let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("cause"))
}

/// The part of the Call-ID before the `@`, as the tests give it.
pub fn call_of(alert: &Value) -> &str {
    let id = alert["call"]["call_id"].as_str().or_else(|| alert["calls"]["sample_call_ids"][0].as_str());
    id.and_then(|id| id.split('@').next()).unwrap_or_default()
}

impl fmt::Display for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, alert) in self.alerts() {
            writeln!(f, "  {alert}")?;
        }
        Ok(())
    }
}
