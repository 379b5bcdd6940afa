//! Every scenario against all diagnoses: exactly the alerts it lists, and no other. `SCENARIO=text` picks those whose
//! file or heading holds the text; `DUMP=1` prints their datagrams.

mod ladder;

use sip_monitor_engine::sip::Message;

#[test]
fn every_scenario_gives_exactly_its_alerts() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let all = ladder::scenarios();
    let picked = all.iter().filter(|s| s.place.contains(&wanted) || s.title.contains(&wanted));
    let picked: Vec<_> = picked.collect();
    if std::env::var_os("DUMP").is_some() {
        for datagram in picked.iter().flat_map(|scenario| ladder::datagrams(scenario)) {
            println!("{}\n", String::from_utf8_lossy(&datagram));
        }
    }
    let failures: Vec<String> = picked.into_iter().filter_map(|scenario| ladder::judge(scenario).err()).collect();
    assert!(failures.is_empty(), "{} of {} scenarios fail:\n\n{}", failures.len(), all.len(), failures.join("\n"));
}

#[test]
fn calls_are_legs_of_each_other_exactly_where_a_scenario_says_so() {
    let all = ladder::scenarios();
    let failures: Vec<String> = all.iter().filter_map(|scenario| ladder::judge_legs(scenario).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(all.iter().filter(|scenario| scenario.legs.is_some()).count() > 20);
}

#[test]
fn what_a_ladder_leaves_out_is_what_a_correct_user_agent_sends() {
    let scenarios = ladder::scenarios();
    let healthy: Vec<_> = scenarios.iter().filter(|s| s.code == "healthy").collect();
    let mut messages = 0;
    for scenario in healthy {
        for datagram in ladder::datagrams(scenario) {
            let Ok(message) = Message::parse(&datagram) else { continue };
            let faults: Vec<_> = message.faults().iter().collect();
            assert!(faults.is_empty(), "{}: {faults:?} in\n{}", scenario.place, String::from_utf8_lossy(&datagram));
            messages += 1;
        }
    }
    assert!(messages > 50, "{messages}");
}
