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
    // What it is shows before a single refusal is told of: then nothing else is said.
    let told: Vec<(&str, &str)> =
        monitor.alerts.iter().map(|alert| (alert.code.as_str(), alert.cause.as_str())).collect();
    assert!(!told.is_empty() && told.len() <= 5, "{told:?}");
    assert!(told.iter().all(|told| *told == ("scan", "enumeration")), "{told:?}");
}

#[test]
fn a_refusal_that_was_kept_back_is_told_at_the_end_of_the_capture() {
    let mut monitor = Monitor::new(EngineConfig::default());
    let headers = format!(
        "Via: SIP/2.0/UDP {SOURCE};branch=z9hG4bK1\r\nFrom: <sip:1@pbx.example>;tag=1\r\nTo: <sip:1@pbx.example>\r\n\
         Call-ID: 1@phone\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n"
    );
    let request = format!("REGISTER sip:pbx.example SIP/2.0\r\n{headers}Contact: <sip:1@198.51.100.10>\r\n\r\n");
    monitor.see(at(0), SOURCE, HOST, &request);
    monitor.see(at(0), HOST, SOURCE, &format!("SIP/2.0 404 Not Found\r\n{headers}\r\n"));
    assert!(monitor.alerts.is_empty(), "it may yet be a scan");
    monitor.finish(at(1));
    let [alert] = monitor.alerts.as_slice() else { panic!("{:?}", monitor.alerts) };
    assert_eq!((alert.code.as_str(), alert.cause.as_str()), ("registration-failed", "not-found"));
}
