//! Every scenario of the engine as a capture file, replayed by the program as its users run it: exactly the alerts of the
//! scenario, no other. What stands between the two worlds, from Ethernet frames to reports of RTP streams, is tested by it.
//!
//! `cargo xtask fixture CODE CAUSE` has `a_fixture_is_written_where_one_is_asked_for` write such a capture for a reader.

#[path = "../fixtures/mod.rs"]
mod fixtures;
#[path = "../../engine/tests/ladder/mod.rs"]
mod ladder;
mod wire;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ladder::{Kind, Scenario};
use serde_json::Value;

/// Replay sweeps its streams and fragments once a second of the capture, counted from its first frame; a ladder does so at
/// full seconds. What rests on a sweep may be told so much earlier or later.
const SLACK_NS: i64 = 1_100_000_000;

/// A folder of this test run, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sip-monitor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The alerts that `sip-monitor replay` prints of a scenario's capture.
fn replayed(folder: &Path, name: &str, scenario: &Scenario, capture: &[u8]) -> Result<Vec<Value>, String> {
    let path = folder.join(format!("{name}.pcap"));
    std::fs::write(&path, capture).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip-monitor"));
    command.args(["replay", "--output", "jsonl", "--emit", "alerts"]).arg(&path);
    command.arg("--local").arg(wire::local(scenario).to_string());
    for other in scenario.hosts.local() {
        command.arg("--local").arg(other.to_string());
    }
    if !scenario.settings.is_empty() {
        let settings = folder.join(format!("{name}.toml"));
        std::fs::write(&settings, toml(scenario)).unwrap();
        command.arg("--config").arg(settings);
    }
    let output = command.output().unwrap();
    std::fs::remove_file(path).unwrap();
    if !output.status.success() {
        return Err(format!("{}: {}", scenario.place, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The settings of a scenario as a configuration file.
fn toml(scenario: &Scenario) -> String {
    let (mut tables, mut trunks) = ([const { String::new() }; 4], String::new());
    for (key, value) in &scenario.settings {
        let mut key = key.as_str();
        let (table, value) = match key {
            // Seen in the capture itself, or never.
            "half_seen" | "drops_watched" => continue,
            "leg_headers" => {
                key = "headers";
                (3, format!("{:?}", value.split_whitespace().collect::<Vec<_>>()))
            }
            "leg_numbers_within" => {
                key = "numbers_within";
                (3, format!("\"{value}s\""))
            }
            "t1" | "t2" | "t4" => (0, format!("\"{value}s\"")),
            "calls" => (2, value.clone()),
            "no_ack_retransmissions" | "unanswered_retransmissions" => (1, value.clone()),
            "trunk" => {
                let _ = writeln!(trunks, "[[trunk]]\n{}", trunk(value));
                continue;
            }
            _ => (1, format!("\"{value}s\"")),
        };
        let _ = writeln!(tables[table], "{key} = {value}");
    }
    let [timers, thresholds, limits, legs] = tables;
    format!("[timers]\n{timers}[thresholds]\n{thresholds}[limits]\n{limits}[legs]\n{legs}{trunks}")
}

/// `NAME ADDRESS... [port=N] [domain=D] [expect=SECONDS]` as the keys of a `[[trunk]]`.
fn trunk(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut lines = format!("name = \"{}\"\n", words.next().unwrap_or_default());
    let words: Vec<&str> = words.collect();
    let all = |key: &str| -> Vec<&str> { words.iter().filter_map(|w| w.strip_prefix(key)).collect() };
    let addresses: Vec<&str> = words.iter().copied().filter(|w| !w.contains('=')).collect();
    let _ = writeln!(
        lines,
        "addresses = {addresses:?}\ndomains = {:?}\nports = [{}]",
        all("domain="),
        all("port=").join(",")
    );
    for seconds in all("expect=") {
        let _ = writeln!(lines, "expect_traffic_within = \"{seconds}s\"");
    }
    lines
}

#[test]
fn replay_of_each_scenario_as_a_capture_gives_exactly_its_alerts() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let folder = Folder::new("scenarios");
    let all = ladder::scenarios();
    let picked: Vec<(usize, &Scenario)> =
        all.iter().enumerate().filter(|(_, s)| s.place.contains(&wanted) || s.title.contains(&wanted)).collect();
    let (mut failures, mut beyond) = (Vec::new(), Vec::new());
    let judged = std::thread::scope(|scope| {
        let workers: Vec<_> = picked
            .chunks(picked.len().div_ceil(2).max(1))
            .map(|share| scope.spawn(|| share.iter().map(|(n, s)| judge(&folder.0, *n, s)).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    for verdict in judged {
        match verdict {
            Verdict::Same => {}
            Verdict::Different(text) => failures.push(text),
            Verdict::Beyond(text) => beyond.push(text),
        }
    }
    println!("{} scenarios are no captures:\n{}", beyond.len(), beyond.join("\n"));
    assert!(failures.is_empty(), "{} of {} captures differ:\n\n{}", failures.len(), picked.len(), failures.join("\n"));
}

enum Verdict {
    Same,
    Different(String),
    Beyond(String),
}

fn judge(folder: &Path, number: usize, scenario: &Scenario) -> Verdict {
    let place = |e: String| format!("{} {}\n  {e}\n", scenario.place, scenario.title);
    let script = match ladder::compile(scenario) {
        Ok(script) => script,
        Err(e) => return Verdict::Different(place(e)),
    };
    if let Some(why) = script.beyond_a_capture() {
        return Verdict::Beyond(format!("  {} {}: {why}", scenario.place, scenario.title));
    }
    let capture = wire::capture(scenario, &script);
    let judged = ladder::expected(scenario).map_err(place).and_then(|expected| {
        let lines = replayed(folder, &number.to_string(), scenario, &capture)?;
        ladder::compare(scenario, &expected, &lines, SLACK_NS)
    });
    judged.map_or_else(Verdict::Different, |()| Verdict::Same)
}

/// `SIP_MONITOR_FIXTURE_DIR` says where to, `SIP_MONITOR_FIXTURE` (`CODE`, `CODE CAUSE` or nothing) which.
#[test]
fn a_fixture_is_written_where_one_is_asked_for() {
    let Some(folder) = std::env::var_os("SIP_MONITOR_FIXTURE_DIR") else { return };
    let wanted = std::env::var("SIP_MONITOR_FIXTURE").unwrap_or_default();
    let (code, cause) = wanted.split_once(' ').unwrap_or((&wanted, ""));
    let mut written = BTreeSet::new();
    for scenario in ladder::scenarios().iter().filter(|s| s.kind == Kind::Fires && (code.is_empty() || s.code == code))
    {
        let script = ladder::compile(scenario).unwrap();
        if script.beyond_a_capture().is_some() {
            continue;
        }
        for (fired, why) in ladder::shown(scenario) {
            if fired != scenario.code
                || !(cause.is_empty() || cause == why)
                || !written.insert(format!("{fired}.{why}"))
            {
                continue;
            }
            let path = Path::new(&folder).join(format!("{fired}.{why}.pcap"));
            std::fs::write(&path, wire::capture(scenario, &script)).unwrap();
        }
    }
    assert!(!written.is_empty(), "no scenario that a capture can hold shows {wanted:?}");
}
