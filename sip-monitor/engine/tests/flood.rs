//! A million REGISTERs of a million users from one source: what is kept stays bounded, what is let go is counted, and it is
//! told as what it is.

use std::time::Duration;

use sip_monitor_engine::packet::{Body, Direction, Packet};
use sip_monitor_engine::{Engine, EngineConfig, Output, Timestamp};

const SOURCE: &str = "198.51.100.10:5060";
const HOST: &str = "203.0.113.7:5060";
const REGISTRATIONS: u32 = 1_000_000;
/// Calls and registrations that the engine may hold here.
const KEPT: usize = 2_000;

#[test]
fn a_million_registrations_from_one_source_are_bounded_counted_and_told() {
    let mut config = EngineConfig { local: vec!["203.0.113.7".parse().unwrap()], ..EngineConfig::default() };
    (config.limits.calls, config.limits.registrations) = (KEPT, KEPT);
    let mut engine = Engine::new(config);
    let mut told = Vec::new();
    let start = Timestamp::from_unix_ns(1_795_168_800_000_000_000);
    let mut time = start;
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
        for (text, src, dst, direction) in
            [(&request, SOURCE, HOST, Direction::In), (&refusal, HOST, SOURCE, Direction::Out)]
        {
            time = time + Duration::from_micros(50);
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let body = Body::Udp(text.as_bytes());
            engine
                .handle_packet(time, &Packet { time, link: 0, direction, src, dst, ip_id: n, ttl: 60, dscp: 0, body });
            while let Some(output) = engine.poll_output() {
                if let Output::Alert(alert) = output {
                    told.push((alert.code.to_string(), alert.cause.to_string()));
                }
            }
        }
    }
    assert!(engine.calls().len() <= KEPT, "{} sessions are held", engine.calls().len());
    let counters = engine.counters();
    assert!(counters.evicted >= u64::from(REGISTRATIONS) - 2 * KEPT as u64, "{counters:?}");
    // What it is shows before a single refusal is told of: then nothing else is said.
    assert!(!told.is_empty() && told.len() <= 5, "{told:?}");
    assert!(told.iter().all(|(code, cause)| (code.as_str(), cause.as_str()) == ("scan", "enumeration")), "{told:?}");
}

#[test]
fn a_refusal_that_was_kept_back_is_told_at_the_end_of_the_capture() {
    let mut engine =
        Engine::new(EngineConfig { local: vec!["203.0.113.7".parse().unwrap()], ..EngineConfig::default() });
    let time = Timestamp::from_unix_ns(1_795_168_800_000_000_000);
    let headers = format!(
        "Via: SIP/2.0/UDP {SOURCE};branch=z9hG4bK1\r\nFrom: <sip:1@pbx.example>;tag=1\r\nTo: <sip:1@pbx.example>\r\n\
         Call-ID: 1@phone\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n"
    );
    let request = format!("REGISTER sip:pbx.example SIP/2.0\r\n{headers}Contact: <sip:1@198.51.100.10>\r\n\r\n");
    let refusal = format!("SIP/2.0 404 Not Found\r\n{headers}\r\n");
    for (text, src, dst, direction) in
        [(&request, SOURCE, HOST, Direction::In), (&refusal, HOST, SOURCE, Direction::Out)]
    {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        let body = Body::Udp(text.as_bytes());
        engine.handle_packet(time, &Packet { time, link: 0, direction, src, dst, ip_id: 1, ttl: 60, dscp: 0, body });
    }
    assert!(engine.poll_output().is_none(), "it may yet be a scan");
    engine.finish(time + Duration::from_millis(1));
    let Some(Output::Alert(alert)) = engine.poll_output() else { panic!("nothing is told") };
    assert_eq!((alert.code.as_str(), alert.cause.as_str()), ("registration-failed", "not-found"));
}
