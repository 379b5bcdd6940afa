//! Which calls the records of a scenario name as legs of each other, against its `legs` block.

use std::collections::BTreeSet;

use sip_monitor_engine::Output;
use sip_monitor_engine::leg::{LegRecord, LegRelation};

use super::markdown::Scenario;
use super::play::outputs;

/// Plays a scenario with a `legs` block: how what the records say differs from it. Each pair stands there once and in the
/// records of both calls: `1 2 session-id certain`, or `1 2 replaces certain transfer`.
pub fn judge_legs(scenario: &Scenario) -> Result<(), String> {
    let Some(lines) = &scenario.legs else { return Ok(()) };
    let fault = |e: &str| format!("{} {}\n  {e}\n", scenario.place, scenario.title);
    let mut expected = BTreeSet::new();
    for (_, line) in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [one, other, rest @ ..] = words.as_slice() else { return Err(fault(line)) };
        let what = rest.join(" ");
        expected.insert(format!("{one} {other} {what}"));
        expected.insert(format!("{other} {one} {what}"));
    }
    let mut found = BTreeSet::new();
    for output in outputs(scenario).map_err(|e| fault(&e))? {
        if let Output::Call(call) = output {
            found.extend(call.legs.iter().map(|leg| name(&call.call_id, leg)));
        }
    }
    let missing: Vec<&String> = expected.difference(&found).collect();
    let surplus: Vec<&String> = found.difference(&expected).collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    Err(fault(&format!("missing {missing:?}, but there is {surplus:?}")))
}

fn name(call_id: &str, leg: &LegRecord) -> String {
    let number =
        |call_id: &str| call_id.strip_prefix("call-").and_then(|rest| rest.split('@').next()).unwrap_or("?").to_owned();
    let word = |value: serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let by = word(serde_json::to_value(leg.by).expect("a word"));
    let confidence = word(serde_json::to_value(leg.confidence).expect("a word"));
    let relation = if leg.relation == LegRelation::Transfer { " transfer" } else { "" };
    format!("{} {} {by} {confidence}{relation}", number(call_id), number(&leg.call_id))
}
