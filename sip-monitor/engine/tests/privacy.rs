//! With `privacy = "mask"`, the default, no user part leaves the engine, in whatever field: every scenario is played once more
//! with users that are told apart from everything else, and no line may hold one of them.

mod ladder;

use sip_monitor_engine::config::Emit;
use sip_monitor_engine::packet::{Body, Packet};
use sip_monitor_engine::{Engine, EngineConfig, Output};

/// Puts another user for each of the numbers that a ladder gives to its hosts (`+1555`, three digits of the call, `000`, the
/// side).
fn with_other_users(bytes: &[u8], user: impl Fn(&[u8]) -> String) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        let number =
            rest.strip_prefix(b"+1555").and_then(|tail| tail.get(..7)).filter(|n| n.iter().all(u8::is_ascii_digit));
        if let Some(number) = number {
            out.extend_from_slice(user(number).as_bytes());
            rest = rest.get(12..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    out
}

/// Everything said of a scenario whose users are others, as JSON lines.
fn lines(scenario: &ladder::Scenario, user: impl Fn(&[u8]) -> String + Copy) -> Vec<String> {
    let script = ladder::compile(scenario).expect("a scenario that is played elsewhere");
    let emit = Emit { calls: true, events: true, streams: true, registrations: true, peers: true, messages: true };
    let mut engine = Engine::new(EngineConfig { emit, ..ladder::config(scenario).expect("its configuration") });
    let mut lines = Vec::new();
    let mut drain = |engine: &mut Engine| {
        while let Some(output) = engine.poll_output() {
            // What a message is called is its Call-ID and nothing of its users.
            if !matches!(output, Output::Message(_)) || user(b"0000000").contains("zqv") {
                lines.push(serde_json::to_string(&output).expect("an output is JSON"));
            }
        }
    };
    let mut last = None;
    for event in &script.events {
        let packet = event.packet();
        let other = match packet.body {
            Body::Udp(bytes) => Some(with_other_users(bytes, user)),
            _ => None,
        };
        let body = other.as_deref().map_or(packet.body, Body::Udp);
        engine.handle_packet(packet.time, &Packet { body, ..packet });
        drain(&mut engine);
        last = Some(packet.time);
    }
    if let Some(last) = last {
        let end = last + core::time::Duration::from_secs(120);
        engine.handle_timeout(end);
        drain(&mut engine);
        engine.finish(end);
        drain(&mut engine);
    }
    lines
}

fn leaks(user: impl Fn(&[u8]) -> String + Copy, shows: impl Fn(&str) -> bool) -> Vec<String> {
    let mut leaks = Vec::new();
    for scenario in ladder::scenarios() {
        for line in lines(&scenario, user).into_iter().filter(|line| shows(line)) {
            leaks.push(format!("{} {}\n{line}", scenario.place, scenario.title));
        }
    }
    leaks
}

#[test]
fn no_name_leaves_in_any_kind_of_line() {
    let name = |number: &[u8]| -> String {
        let letters: String = number.iter().map(|digit| char::from(digit - b'0' + b'a')).collect();
        format!("zqv{letters}")
    };
    let leaks = leaks(name, |line| line.contains("zqv"));
    assert!(leaks.is_empty(), "{} lines name a user:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn no_short_extension_leaves_in_any_kind_of_line() {
    let extension = |number: &[u8]| format!("97{}", String::from_utf8_lossy(&[number[1], number[2], number[6]]));
    let shows = |line: &str| {
        line.match_indices("97").any(|(at, _)| {
            let stands_alone = !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
            let rest = &line[at + 2..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            stands_alone && digits == 3 && !rest[3..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        })
    };
    let leaks = leaks(extension, shows);
    assert!(leaks.is_empty(), "{} lines hold an extension:\n{}", leaks.len(), leaks.join("\n"));
}
