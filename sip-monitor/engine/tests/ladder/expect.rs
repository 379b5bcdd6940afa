//! What a scenario expects, and how what came differs from it.

use std::fmt::Write as _;

use serde_json::Value;

use super::Result;
use super::field::nanoseconds;
use super::markdown::{Kind, Scenario};
use super::play::play;
use super::script::BASE;

/// How far a time may be off: it is written in milliseconds.
const EXACT_NS: i64 = 1_000_000;
/// How far a time after `~` may be off.
const ABOUT_NS: i64 = 600_000_000;

/// A line of an `alerts` block: `time code cause [severity] [confidence] [status] [key=value] [key~part]`.
#[derive(Clone, Debug)]
pub struct Expected {
    text: String,
    /// From the start of the ladder.
    pub at_ns: i64,
    tolerance_ns: i64,
    /// Which condition.
    pub code: String,
    /// Why.
    pub cause: String,
    status: String,
    severity: Option<String>,
    confidence: Option<String>,
    /// Paths into the line and what stands there; `true` where a part of it is enough.
    fields: Vec<(String, String, bool)>,
}

impl Expected {
    /// Reads a line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let mut word = |what| words.next().ok_or_else(|| format!("{text:?}: no {what}"));
        let (time, code, cause) = (word("time")?, word("code")?, word("cause")?);
        let (time, tolerance_ns) = time.strip_prefix('~').map_or((time, EXACT_NS), |time| (time, ABOUT_NS));
        let mut expected = Self {
            text: text.trim().to_owned(),
            at_ns: nanoseconds(time)?,
            tolerance_ns,
            code: code.to_owned(),
            cause: cause.to_owned(),
            status: "firing".to_owned(),
            severity: None,
            confidence: None,
            fields: Vec::new(),
        };
        for word in words {
            match word {
                "firing" | "update" | "resolved" => expected.status = word.to_owned(),
                "info" | "warning" | "critical" => expected.severity = Some(word.to_owned()),
                "possible" | "likely" | "certain" => expected.confidence = Some(word.to_owned()),
                _ => {
                    let at = word.find(['=', '~']).ok_or_else(|| format!("{text:?}: what is {word:?}?"))?;
                    expected.fields.push((
                        word[..at].to_owned(),
                        word[at + 1..].to_owned(),
                        word.as_bytes()[at] == b'~',
                    ));
                }
            }
        }
        Ok(expected)
    }

    /// Whether a line of JSON is this alert; its time may be off by `slack_ns` more than the scenario allows.
    fn matches(&self, line: &Value, slack_ns: i64) -> bool {
        let is = |key: &str, wanted: &str| line[key].as_str() == Some(wanted);
        (told_ns(line) - self.at_ns).abs() < self.tolerance_ns + slack_ns
            && is("code", &self.code)
            && is("cause", &self.cause)
            && is("status", &self.status)
            && self.severity.as_deref().is_none_or(|severity| is("severity", severity))
            && self.confidence.as_deref().is_none_or(|confidence| is("confidence", confidence))
            && self.fields.iter().all(|(path, wanted, is_part)| {
                let found = lookup(line, path);
                if *is_part { found.contains(wanted.as_str()) } else { found == *wanted }
            })
    }
}

/// When a line was told, from the start of the ladder.
fn told_ns(line: &Value) -> i64 {
    let ts: Option<jiff::Timestamp> = line["ts"].as_str().and_then(|ts| ts.parse().ok());
    let ns = ts.and_then(|ts| i64::try_from(ts.as_nanosecond()).ok());
    ns.expect("an alert has a time") - BASE.unix_ns()
}

/// What stands at `peer.addr`, `evidence.sent` or `transfers.0.kind`, as text; empty where there is nothing.
pub fn lookup(line: &Value, path: &str) -> String {
    let step = |value, key: &str| match key.parse::<usize>() {
        Ok(index) if Value::is_array(value) => value.get(index),
        _ => value.get(key),
    };
    let value = path.split('.').try_fold(line, step);
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Code and cause of each alert that a scenario expects.
pub fn shown(scenario: &Scenario) -> Vec<(String, String)> {
    let words = scenario.alerts.iter().map(|(_, line)| line.split_whitespace().skip(1).take(2).map(str::to_owned));
    words.filter_map(|mut pair| Some((pair.next()?, pair.next()?))).collect()
}

/// What a scenario expects.
pub fn expected(scenario: &Scenario) -> Result<Vec<Expected>> {
    let lines = scenario.alerts.iter();
    let expected: Vec<Expected> = lines
        .map(|(number, text)| Expected::parse(text).map_err(|e| format!("line {number}: {e}")))
        .collect::<Result<_>>()?;
    let is_own = |e: &Expected| e.code == scenario.code || e.severity.as_deref() != Some("info");
    match (scenario.kind, expected.is_empty()) {
        (Kind::Fires, true) => Err("it fires, but no `alerts` block says what".to_owned()),
        // What it looks like stays quiet; that something else is told as information is no contradiction.
        (Kind::Quiet, false) if expected.iter().any(is_own) => {
            Err("it is quiet, but an `alerts` block says what fires".to_owned())
        }
        _ => Ok(expected),
    }
}

/// Plays a scenario: what it expects of each diagnosis, or how what came differs.
pub fn judge(scenario: &Scenario) -> std::result::Result<Vec<Expected>, String> {
    let fault = |e: String| format!("{} {}\n  {e}\n", scenario.place, scenario.title);
    let expected = expected(scenario).map_err(fault)?;
    let last_ns = expected.iter().map(|e| e.at_ns).max().unwrap_or(0);
    let alerts = play(scenario, last_ns).map_err(fault)?;
    let lines: Vec<Value> = alerts.iter().map(|a| serde_json::to_value(a).expect("an alert is JSON")).collect();
    compare(scenario, &expected, &lines, 0)?;
    Ok(expected)
}

/// Compares the alerts told, as JSON lines, with those expected: exactly these, no other. Each time may be off by
/// `slack_ns` more than the scenario says.
pub fn compare(
    scenario: &Scenario,
    expected: &[Expected],
    lines: &[Value],
    slack_ns: i64,
) -> std::result::Result<(), String> {
    let mut unmet: Vec<&Expected> = expected.iter().collect();
    let mut surplus: Vec<&Value> = Vec::new();
    for line in lines {
        match unmet.iter().position(|e| e.matches(line, slack_ns)) {
            Some(at) => drop(unmet.remove(at)),
            None => surplus.push(line),
        }
    }
    if unmet.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    Err(difference(scenario, &unmet, &surplus, lines))
}

/// What is missing (-) and what came instead (+), beside the ladder.
fn difference(scenario: &Scenario, unmet: &[&Expected], surplus: &[&Value], lines: &[Value]) -> String {
    let mut text = format!("{} {}\n", scenario.place, scenario.title);
    for (_, line) in &scenario.ladder {
        let _ = writeln!(text, "    {line}");
    }
    for expected in unmet {
        let _ = writeln!(text, "  - {}", expected.text);
    }
    for line in lines {
        let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        let sign = if surplus.iter().any(|s| std::ptr::eq(*s, line)) { '+' } else { ' ' };
        let ms = told_ns(line) / 1_000_000;
        let (code, cause, severity, confidence) = (word("code"), word("cause"), word("severity"), word("confidence"));
        let _ = writeln!(
            text,
            "  {sign} {}.{:03} {code} {cause} {severity} {confidence} {}",
            ms / 1_000,
            ms % 1_000,
            word("status")
        );
        if sign == '+' {
            let _ = writeln!(text, "      {}", word("summary"));
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}
