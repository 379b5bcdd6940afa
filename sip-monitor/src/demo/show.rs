//! What a person sees: each alert as it comes, and at the end what was expected beside what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use sip_monitor_engine::diagnosis::Severity;

use super::stage::call_id;
use super::stories::{Expected, Story};
use crate::sink::{style, text};

/// Columns: the demonstration is read in a window or in a log.
const WIDTH: usize = 110;

/// Everything the daemon said, by story.
#[derive(Default)]
pub struct Seen {
    /// Call, code, cause and fault by alert id: an update may have made the cause clearer, and the last word counts.
    alerts: BTreeMap<String, [String; 4]>,
    /// Lines that are no alert.
    noise: Vec<String>,
}

impl Seen {
    /// Takes a line of the daemon and gives it as a person reads it.
    pub fn take(&mut self, line: &str, stories: &[&Story], since_start: Duration) -> String {
        let Some(alert) = serde_json::from_str::<Value>(line).ok().filter(|v| v["type"] == "alert") else {
            self.noise.push(line.to_owned());
            return format!("  unexpected output: {line}");
        };
        let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        let story = story_of(&alert, stories).map_or("", |story| story.name);
        let verdict = [story.to_owned(), text("code"), text("cause"), text("fault")];
        let repeated = self.alerts.insert(text("id"), verdict.clone()) == Some(verdict);
        readable(&alert, story, since_start, repeated)
    }

    /// The table, and whether every story raised exactly what it must.
    pub fn verdict(&self, stories: &[&Story]) -> (String, bool) {
        let mut table = format!("{:<20}{:<44}{:<44}\n", "call", "expected", "seen");
        let mut all_good = self.noise.is_empty();
        for story in stories {
            let expected: BTreeSet<Expected> = story.expected.iter().copied().collect();
            let seen = self.of(story.name);
            let good = expected == seen;
            all_good &= good;
            table.push_str(&format!(
                "{:<20}{:<44}{:<44}{}\n",
                story.name,
                list(&expected),
                list(&seen),
                if good { "ok" } else { "WRONG" }
            ));
        }
        let others = self.of("");
        if !others.is_empty() {
            all_good = false;
            table.push_str(&format!("{:<20}{:<44}{:<44}WRONG\n", "(no call of ours)", "none", list(&others)));
        }
        (table, all_good)
    }

    fn of(&self, story: &str) -> BTreeSet<Expected<'_>> {
        self.alerts
            .values()
            .filter(|[name, ..]| name == story)
            .map(|[_, code, cause, fault]| (code.as_str(), cause.as_str(), fault.as_str()))
            .collect()
    }
}

/// The story whose call an alert is about, by its Call-ID.
fn story_of<'a>(alert: &Value, stories: &[&'a Story]) -> Option<&'a Story> {
    let id = alert["call"]["call_id"].as_str().or_else(|| alert["calls"]["sample_call_ids"][0].as_str())?;
    stories.iter().copied().find(|story| call_id(story.name) == id)
}

fn list(alerts: &BTreeSet<Expected>) -> String {
    if alerts.is_empty() {
        return "none".to_owned();
    }
    let name = |(code, cause, fault): &Expected| match *fault {
        "" => format!("{code}/{cause}"),
        fault => format!("{code}/{cause} ({fault})"),
    };
    alerts.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// An alert in sentences: what, how we know, what to do. An update that says the same again is one line.
fn readable(alert: &Value, story: &str, since_start: Duration, repeated: bool) -> String {
    let text = |key: &str| alert[key].as_str().unwrap_or_default();
    let severity = match text("severity") {
        "critical" => Severity::Critical,
        "warning" => Severity::Warning,
        _ => Severity::Info,
    };
    let word = style::paint(style::of_severity(severity), &format!("{:<8}", text::severity(severity)));
    let name = style::paint(style::BOLD, &format!("{} / {}", text("code"), text("cause")));
    let more = if repeated { ", as above" } else { "" };
    let seconds = since_start.as_secs_f64();
    let fault = if text("fault").is_empty() { String::new() } else { format!(", fault {}", text("fault")) };
    let mut out = format!(
        "{seconds:>6.1} s  {word}  {name}  ({}, {}{fault}; call {story}{more})\n",
        text("status"),
        text("confidence"),
    );
    if !repeated {
        let evidence = alert["evidence"].as_object().into_iter().flatten();
        let evidence: Vec<String> =
            evidence.map(|(key, value)| format!("{} {}", key.replace('_', " "), plain(value))).collect();
        out.push_str(&text::paragraph("", text("summary"), WIDTH));
        out.push_str(&text::paragraph("seen: ", &evidence.join(", "), WIDTH));
        out.push_str(&text::paragraph("do: ", text("remedy"), WIDTH));
    }
    out
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stories::STORIES;
    use super::*;

    fn line(id: &str, code: &str, cause: &str, story: &str) -> String {
        serde_json::json!({"type": "alert", "id": id, "code": code, "cause": cause, "severity": "critical", "status": "firing",
                           "confidence": "likely", "fault": "remote", "summary": "s", "remedy": "r", "call": {"call_id": call_id(story)}})
        .to_string()
    }

    fn verdict(lines: &[String]) -> bool {
        let stories: Vec<&Story> =
            STORIES.iter().filter(|story| ["good-call", "no-ack"].contains(&story.name)).collect();
        let mut seen = Seen::default();
        for line in lines {
            seen.take(line, &stories, Duration::ZERO);
        }
        seen.verdict(&stories).1
    }

    #[test]
    fn the_expected_alert_and_no_other_is_good() {
        assert!(verdict(&[line("1", "no-ack", "never-seen", "no-ack")]));
    }

    #[test]
    fn a_cause_that_becomes_clearer_counts_by_its_last_word() {
        assert!(verdict(&[line("1", "no-ack", "unknown", "no-ack"), line("1", "no-ack", "never-seen", "no-ack")]));
    }

    #[test]
    fn a_missing_alert_is_wrong() {
        assert!(!verdict(&[]));
    }

    #[test]
    fn an_alert_about_the_good_call_is_wrong() {
        assert!(!verdict(&[
            line("1", "no-ack", "never-seen", "no-ack"),
            line("2", "no-ack", "never-seen", "good-call")
        ]));
    }

    #[test]
    fn an_alert_about_no_call_is_wrong() {
        assert!(!verdict(&[
            line("1", "no-ack", "never-seen", "no-ack"),
            line("2", "capture-loss", "ring-full", "elsewhere")
        ]));
    }
}
