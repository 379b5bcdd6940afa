//! Records against what scenarios say of them: exactly the changes of state listed, and what stands in other records.

mod ladder;

use std::collections::BTreeMap;

use serde_json::Value;

#[test]
fn every_scenario_gives_the_records_it_lists() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let all = ladder::scenarios();
    let listing = all.iter().filter(|s| !s.events.is_empty() || !s.records.is_empty());
    let picked: Vec<_> = listing.filter(|s| s.place.contains(&wanted) || s.title.contains(&wanted)).collect();
    let failures: Vec<String> = picked.iter().filter_map(|scenario| ladder::recorded(scenario).err()).collect();
    assert!(failures.is_empty(), "{} of {} scenarios fail:\n\n{}", failures.len(), picked.len(), failures.join("\n"));
}

/// Whatever is thrown at it: changes are numbered from 1 on, each begins where the one before ended, none repeats the state,
/// and the last one is the state of the call's record.
#[test]
fn changes_of_a_call_form_a_chain() {
    for scenario in ladder::scenarios() {
        let mut last: BTreeMap<String, (u64, Value)> = BTreeMap::new();
        for (kind, line) in ladder::record_lines(&scenario).unwrap() {
            let call_id = line["call_id"].as_str().unwrap_or_default().to_owned();
            if kind == "call" {
                // A call that comes again under its Call-ID after it was forgotten is another one.
                let Some((changes, state)) = last.remove(&call_id) else { continue };
                let unanswered = line["state"] == "failed" && state == "calling";
                assert!(line["state"] == state || unanswered, "{}: {state} but {line}", scenario.place);
                let told = line["state_history"].as_array().map_or(0, Vec::len) as u64;
                assert!(told == changes.min(16), "{}: {changes} changes but {line}", scenario.place);
            }
            if kind != "event" {
                continue;
            }
            let (sequence, state) = (line["sequence"].as_u64().unwrap(), line["state"].clone());
            match last.insert(call_id, (sequence, state.clone())) {
                None => assert_eq!(sequence, 1, "{}: {line}", scenario.place),
                Some((before, previous)) => {
                    assert_eq!(sequence, before + 1, "{}: {line}", scenario.place);
                    assert_eq!(line["previous"], previous, "{}: {line}", scenario.place);
                    assert_ne!(state, previous, "{}: {line}", scenario.place);
                }
            }
        }
    }
}
