//! Every scenario against all diagnoses: exactly the alerts it lists, and no other. `SCENARIO=text` picks those whose
//! file or heading holds the text.

mod ladder;

#[test]
fn every_scenario_gives_exactly_its_alerts() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let all = ladder::scenarios();
    let picked = all.iter().filter(|s| s.place.contains(&wanted) || s.title.contains(&wanted));
    let failures: Vec<String> = picked.filter_map(|scenario| ladder::judge(scenario).err()).collect();
    assert!(failures.is_empty(), "{} of {} scenarios fail:\n\n{}", failures.len(), all.len(), failures.join("\n"));
}
