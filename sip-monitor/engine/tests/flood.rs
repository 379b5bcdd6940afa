//! A million REGISTERs of a million users from one source: what is kept stays bounded, what is let go is counted, and it is
//! told as what it is.

mod monitor;

use std::time::Duration;

use sip_monitor_engine::EngineConfig;

use monitor::{HOST, Monitor, at};

const SOURCE: &str = "198.51.100.10:5060";
const REGISTRATIONS: u32 = 1_000_000;
/// Calls and registrations that the engine may hold here.
const KEPT: usize = 2_000;

#[test]
fn a_million_registrations_from_one_source_are_bounded_counted_and_told() {
    let mut config = EngineConfig::default();
    (config.limits.calls, config.limits.registrations) = (KEPT, KEPT);
    let mut monitor = Monitor::new(config);
    let mut time = at(0);
    for n in 0..REGISTRATIONS {
        let headers = format!(
            "Via: SIP/2.0/UDP {SOURCE};branch=z9hG4bK{n}\r\nFrom: <sip:{n}@pbx.example>;tag={n}\r\nTo: <sip:{n}@pbx.example>\r\n\
             Call-ID: {n}@flood\r\nCSeq: 1 REGISTER\r\n"
        );
        let request = format!(
            "REGISTER sip:pbx.example SIP/2.0\r\n{headers}Max-Forwards: 70\r\nContact: <sip:{n}@198.51.100.10>\r\nExpires: 3600\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let refusal = format!("SIP/2.0 403 Forbidden\r\n{headers}Content-Length: 0\r\n\r\n");
        for (text, src, dst) in [(&request, SOURCE, HOST), (&refusal, HOST, SOURCE)] {
            time = time + Duration::from_micros(50);
            monitor.see(time, src, dst, text);
        }
    }
    let engine = &monitor.engine;
    assert!(engine.calls().len() <= KEPT, "{} sessions are held", engine.calls().len());
    let counters = engine.counters();
    assert!(counters.evicted >= u64::from(REGISTRATIONS) - 2 * KEPT as u64, "{counters:?}");
    // The first users are refused one by one, until it is plain that this is a scan: then nothing else is said.
    let told: Vec<&str> = monitor.alerts.iter().map(|alert| alert.code.as_str()).collect();
    let scan = told.iter().position(|code| *code == "scan").expect("a scan is told");
    assert!(scan < 20, "{told:?}");
    assert!(told.iter().skip(scan).all(|code| *code == "scan") && told.len() <= 25, "{told:?}");
}
