//! Legs under traffic that nobody has in good faith: what is kept stays bounded, what was linked is the same at each run, and
//! nothing is left of calls that are over.

mod ladder;
mod monitor;

use sip_monitor_engine::EngineConfig;
use sip_monitor_engine::leg::LegBy;

use monitor::{HOST, Monitor, at};

const CARRIER: &str = "192.0.2.20:5060";

fn recording_calls() -> Monitor {
    let mut config = EngineConfig::default();
    config.emit.calls = true;
    Monitor::new(config)
}

fn invite(call_id: &str, to: &str, headers: &str) -> String {
    format!(
        "INVITE sip:bob@{to} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-{call_id}\r\nFrom: <sip:alice@a.example>;tag=f\r\n\
         To: <sip:bob@b.example>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_value_that_a_flood_shares_is_forgotten_as_an_identity_and_keeps_no_room() {
    let mut monitor = recording_calls();
    for n in 0..2_000_u32 {
        let source = format!("198.51.{}.{}:5060", n >> 8, n & 0xff);
        monitor.see(at(u64::from(n)), &source, HOST, &invite(&format!("in-{n}"), HOST, "X-CID: shared-by-all\r\n"));
        monitor.see(at(u64::from(n)), HOST, CARRIER, &invite(&format!("out-{n}"), CARRIER, "X-CID: shared-by-all\r\n"));
    }
    let table = monitor.engine.leg_table();
    assert_eq!(table.counters().marks_common, 1);
    assert!(table.marks() <= 32, "{}", table.marks());
    monitor.finish(at(3_000));
    assert!(monitor.calls.iter().all(|call| call.legs.iter().all(|leg| leg.by != LegBy::Header)));
    assert_eq!(monitor.engine.leg_table().marks(), 0, "nothing is left of calls that are over");
}

#[test]
fn a_header_of_60_kb_and_a_hundred_headers_leave_little() {
    let mut monitor = recording_calls();
    let garbage = format!("X-CID: {}\r\n", "a1b2c3".repeat(10_000));
    monitor.see(at(0), "198.51.100.10:5060", HOST, &invite("in", HOST, &garbage));
    monitor.see(at(5), HOST, CARRIER, &invite("out", CARRIER, &garbage));
    let counters = *monitor.engine.leg_table().counters();
    assert_eq!((counters.values_unfit, counters.refused), (2, 0));
    let many: String = (0..100).map(|n| format!("X-CID: value-{n:04}\r\n")).collect();
    monitor.see(at(10), "198.51.100.11:5060", HOST, &invite("many", HOST, &many));
    assert!(monitor.engine.leg_table().marks() <= 12, "{}", monitor.engine.leg_table().marks());
    assert!(monitor.engine.leg_table().counters().refused >= 88);
    monitor.run_to(at(3_600_000));
    assert_eq!(monitor.engine.leg_table().marks(), 0);
    assert!(monitor.calls.iter().all(|call| call.legs.iter().all(|leg| leg.by != LegBy::Header)));
}

#[test]
fn a_call_that_ends_first_is_named_by_the_one_that_goes_on() {
    let mut monitor = recording_calls();
    monitor.see(at(0), "198.51.100.10:5060", HOST, &invite("in", HOST, "X-CID: 7f6941530b31d715\r\n"));
    monitor.see(at(5), HOST, CARRIER, &invite("out", CARRIER, "X-CID: 7f6941530b31d715\r\n"));
    let refused =
        invite("out", CARRIER, "").replacen(&format!("INVITE sip:bob@{CARRIER} SIP/2.0"), "SIP/2.0 486 Busy", 1);
    monitor.see(at(100), CARRIER, HOST, &refused.replace("<sip:bob@b.example>", "<sip:bob@b.example>;tag=t"));
    let ringing = invite("in", HOST, "").replacen(&format!("INVITE sip:bob@{HOST} SIP/2.0"), "SIP/2.0 180 Ringing", 1);
    for second in 1..120 {
        monitor.run_to(at(second * 1_000));
        let line = ringing.replace("<sip:bob@b.example>", &format!("<sip:bob@b.example>;tag=t{second}"));
        monitor.see(at(second * 1_000), HOST, "198.51.100.10:5060", &line);
    }
    assert_eq!(monitor.calls.len(), 1, "the refused one is written");
    monitor.finish(at(121_000));
    let names: Vec<(&str, &str)> = monitor
        .calls
        .iter()
        .flat_map(|call| call.legs.iter().map(move |leg| (call.call_id.as_str(), leg.call_id.as_str())))
        .collect();
    assert_eq!(names, [("out", "in"), ("in", "out")]);
}

#[test]
fn the_same_packets_give_the_same_legs_in_the_same_order() {
    let of_legs = |scenario: &&ladder::Scenario| scenario.legs.as_ref().is_some_and(|lines| lines.len() > 1);
    let scenarios = ladder::scenarios();
    let mut compared = 0;
    for scenario in scenarios.iter().filter(of_legs) {
        let run = || serde_json::to_string(&ladder::outputs(scenario).unwrap()).unwrap();
        let first = run();
        assert!((0..8).all(|_| run() == first), "{}", scenario.title);
        compared += 1;
    }
    assert!(compared >= 3, "{compared}");
}
