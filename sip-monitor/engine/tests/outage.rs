//! The outage of one trunk: ten thousand calls fail in the same way, and one alert tells it.

mod monitor;

use sip_monitor_engine::EngineConfig;
use sip_monitor_engine::alert::Status;

use monitor::{HOST, Monitor, at};

const TRUNK: &str = "198.51.100.10:5060";

/// Call `n`: an INVITE from the trunk, and its 200 with a private Contact.
fn messages(n: u32) -> [String; 2] {
    let common = format!(
        "Via: SIP/2.0/UDP {TRUNK};branch=z9hG4bK-{n}\r\nFrom: <sip:+15551230001@198.51.100.10>;tag=a{n}\r\n\
         Call-ID: {n}@outage.example\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n"
    );
    let to = "<sip:+15551230002@203.0.113.7>";
    [
        format!(
            "INVITE sip:b@203.0.113.7 SIP/2.0\r\nMax-Forwards: 70\r\nTo: {to}\r\nContact: <sip:a@{TRUNK}>\r\n{common}\r\n"
        ),
        format!("SIP/2.0 200 OK\r\nTo: {to};tag=b{n}\r\nContact: <sip:b@192.168.1.20>\r\n{common}\r\n"),
    ]
}

#[test]
fn ten_thousand_calls_without_ack_are_one_alert_of_a_few_lines() {
    let mut monitor = Monitor::new(EngineConfig::default());
    let calls: Vec<[String; 2]> = (0..10_000).map(messages).collect();
    // In order of time: each call repeats its 200 three times, the calls begin 4 ms apart.
    let mut events: Vec<(u64, usize, usize)> = Vec::new();
    for n in 0..calls.len() {
        let start = n as u64 * 4;
        events.push((start, n, 0));
        events.extend([100, 600, 1_600, 3_600].map(|ms| (start + ms, n, 1)));
    }
    events.sort_unstable();
    for (ms, n, which) in events {
        let (src, dst) = if which == 0 { (TRUNK, HOST) } else { (HOST, TRUNK) };
        monitor.see(at(ms), src, dst, &calls[n][which]);
    }
    let alerts = &monitor.alerts;
    assert!(
        alerts
            .iter()
            .all(|a| (a.code.as_str(), a.cause.as_str()) == ("no-ack", "contact-private") && a.id == alerts[0].id)
    );
    let counts: Vec<u64> = alerts.iter().map(|a| a.calls.as_ref().map_or(1, |c| c.count)).collect();
    // One line more than the counts call for: the first call whose 64*T1 is over makes it critical.
    let told: Vec<u64> =
        counts.iter().copied().filter(|count| [1, 2, 3, 4, 5, 10, 100, 1_000, 10_000].contains(count)).collect();
    assert_eq!(told, [1, 2, 3, 4, 5, 10, 100, 1_000, 10_000]);
    assert_eq!(alerts.len(), 10, "{counts:?}");
    assert_eq!(alerts.iter().filter(|a| a.status == Status::Firing).count(), 1);
    monitor.run_to(at(40_000 + 86_500_000));
    let last = monitor.alerts.last().unwrap();
    assert_eq!((last.status, last.calls.as_ref().unwrap().count), (Status::Resolved, 10_000));
    assert_eq!(monitor.alerts.len(), 11);
}

#[test]
fn calls_that_are_evicted_for_want_of_room_raise_nothing() {
    let mut config = EngineConfig::default();
    config.limits.calls = 100;
    let mut monitor = Monitor::new(config);
    for n in 0..5_000_u32 {
        let [invite, answer] = messages(n);
        let ms = u64::from(n) * 5;
        monitor.see(at(ms), TRUNK, HOST, &invite);
        monitor.see(at(ms + 1), HOST, TRUNK, &answer);
    }
    monitor.run_to(at(200_000));
    assert!(monitor.engine.calls().len() <= 100);
    assert_eq!(monitor.alerts, [], "no 200 was seen twice");
}
