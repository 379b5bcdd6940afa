//! Records that a scenario expects: every change of state, and what stands in other records.

use serde_json::Value;
use sip_monitor_engine::Output;

use super::Result;
use super::expect::lookup;
use super::field::nanoseconds;
use super::markdown::{Lines, Scenario};
use super::play::outputs;
use super::script::BASE;

/// A record of some kind, as JSON.
pub type Record = (String, Value);

/// What the engine records of a scenario, in order; alerts and messages left out.
pub fn record_lines(scenario: &Scenario) -> Result<Vec<Record>> {
    let records = outputs(scenario)?.into_iter().filter(|o| !matches!(o, Output::Alert(_) | Output::Message(_)));
    let lines = records.map(|output| {
        let line = serde_json::to_value(&output).expect("a record is JSON");
        (line["type"].as_str().unwrap_or_default().to_owned(), line)
    });
    Ok(lines.collect())
}

/// Checks the blocks `events` and `records` of a scenario.
pub fn recorded(scenario: &Scenario) -> Result<()> {
    let lines = record_lines(scenario)?;
    let fault = |e: String| format!("{} {}\n  {e}\n", scenario.place, scenario.title);
    if !scenario.events.is_empty() {
        events(&scenario.events, &lines).map_err(fault)?;
    }
    for (_, wanted) in &scenario.records {
        let (kind, fields) = wanted.trim().split_once(' ').unwrap_or((wanted.trim(), ""));
        let fits = |(of, line): &&Record| of == kind && fields.split_whitespace().all(|field| is(line, field));
        match lines.iter().filter(fits).count() {
            1 => {}
            n => {
                let all: Vec<String> = lines.iter().filter(|(of, _)| of == kind).map(|(_, l)| l.to_string()).collect();
                return Err(fault(format!("{n} records are {wanted:?}; there are\n    {}", all.join("\n    "))));
            }
        }
    }
    Ok(())
}

/// `TIME STATE [path=value] [path~part] [-path]`: exactly those, in that order.
fn events(wanted: &Lines, lines: &[Record]) -> Result<()> {
    let told: Vec<&Value> = lines.iter().filter(|(kind, _)| kind == "event").map(|(_, line)| line).collect();
    let all = || told.iter().map(|line| format!("    {line}\n")).collect::<String>();
    if told.len() != wanted.len() {
        return Err(format!("{} changes instead of {}:\n{}", told.len(), wanted.len(), all()));
    }
    for ((_, wanted), line) in wanted.iter().zip(&told) {
        let mut words = wanted.split_whitespace();
        let at_ns = nanoseconds(words.next().unwrap_or_default())?;
        let time = super::script::at(at_ns).to_string();
        let state = words.next().unwrap_or_default();
        let same = lookup(line, "ts") == time && lookup(line, "state") == state;
        if !same || !words.all(|field| is(line, field)) {
            return Err(format!("not {wanted:?} ({} ns after {BASE}):\n{}", at_ns, all()));
        }
    }
    Ok(())
}

/// `path=value` is so, `path~part` holds it, `-path` is not there.
fn is(line: &Value, field: &str) -> bool {
    if let Some(path) = field.strip_prefix('-') {
        return lookup(line, path).is_empty();
    }
    match field.find(['=', '~']) {
        Some(at) => {
            let (path, wanted) = (&field[..at], field[at + 1..].replace('_', " "));
            let found = lookup(line, path).replace('_', " ");
            if field.as_bytes()[at] == b'~' { found.contains(&wanted) } else { found == wanted }
        }
        None => false,
    }
}
