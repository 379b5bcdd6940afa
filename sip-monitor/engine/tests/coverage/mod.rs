//! What shows each code and cause, as a table: the scenarios that fire, the look-alikes that stay quiet, a capture file,
//! and the live tests that make the fault for real.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sip_monitor_engine::diagnosis::{Diagnosis, UNKNOWN, catalogue};

use crate::ladder::{self, Kind, Scenario, shown};

/// The text of `docs/coverage.md`.
pub fn document(scenarios: &[Scenario], live: &Path) -> String {
    let live = live_tests(live);
    let mut text = String::from(
        "# What shows what\n\n\
         Each code and cause, the scenarios of `sip-monitor/engine/tests/scenarios/` that make it fire (the first, and how\n\
         many more) and that look like it and stay quiet, whether it comes as a capture file, and the live tests that make the\n\
         fault with real programs. Written by `cargo xtask codegen`: do not edit.\n\n\
         `cargo xtask fixture CODE CAUSE > FILE.pcap` writes the capture file; `sip-monitor replay FILE.pcap` says so. Every\n\
         scenario that a capture file can hold is replayed as one by `cargo test -p sip-monitor --test scenario_captures`.\n\n\
         | code | cause | fires | quiet | capture file | live tests |\n|---|---|---|---|---|---|\n",
    );
    for diagnosis in catalogue::ALL {
        for cause in causes(diagnosis, scenarios) {
            row(&mut text, diagnosis.code, cause, scenarios, &live);
        }
    }
    text
}

/// The causes of a diagnosis, and `unknown` where it has none or a scenario shows that.
fn causes(diagnosis: &Diagnosis, scenarios: &[Scenario]) -> Vec<&'static str> {
    let mut causes: Vec<&str> = diagnosis.causes.iter().map(|c| c.name).collect();
    if causes.is_empty() || !firing(scenarios, diagnosis.code, UNKNOWN).is_empty() {
        causes.push(UNKNOWN);
    }
    causes
}

fn row(text: &mut String, code: &str, cause: &str, scenarios: &[Scenario], live: &LiveTests) {
    let fires = firing(scenarios, code, cause);
    let of_code = scenarios.iter().filter(|s| s.kind == Kind::Quiet && s.code == code);
    let quiet: Vec<&Scenario> = match cause {
        UNKNOWN => of_code.collect(),
        _ => of_code.filter(|s| s.likes.iter().any(|like| like == cause)).collect(),
    };
    let live: Vec<&str> =
        live.get(&(code.to_owned(), cause.to_owned())).into_iter().flatten().map(String::as_str).collect();
    let _ = writeln!(
        text,
        "| `{code}` | `{cause}` | {} | {} | {} | {} |",
        titles(&fires),
        titles(&quiet),
        capture(&fires),
        live.join(", ")
    );
}

/// The scenarios of a code's own files that show a cause of it.
fn firing<'a>(scenarios: &'a [Scenario], code: &str, cause: &str) -> Vec<&'a Scenario> {
    let shows = |s: &&Scenario| s.code == code && shown(s).iter().any(|(c, w)| c == code && w == cause);
    scenarios.iter().filter(|s| s.kind == Kind::Fires).filter(shows).collect()
}

fn titles(scenarios: &[&Scenario]) -> String {
    let Some((first, others)) = scenarios.split_first() else { return String::new() };
    let title = first.title.trim_start_matches("fires ").trim_start_matches("quiet: ").replace('|', "\\|");
    if others.is_empty() { title } else { format!("{title} (+{})", others.len()) }
}

/// Whether a capture file shows it, and why not.
fn capture(fires: &[&Scenario]) -> &'static str {
    let mut why = "";
    for scenario in fires {
        let script = ladder::compile(scenario).unwrap_or_else(|e| panic!("{}: {e}", scenario.place));
        match script.beyond_a_capture() {
            None => return "yes",
            Some(reason) => why = reason,
        }
    }
    why
}

/// Names of live tests by the code and cause that they expect.
type LiveTests = BTreeMap<(String, String), Vec<String>>;

/// Two string literals beside each other, a code and a cause of it, are what a live test expects: `("no-ack", "never-seen")`.
fn live_tests(folder: &Path) -> LiveTests {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    paths.sort();
    let mut tests = LiveTests::new();
    for path in paths {
        let source = std::fs::read_to_string(&path).unwrap();
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        for (at, code, cause) in pairs(&source) {
            let known = catalogue::find(code).is_some_and(|d| cause == UNKNOWN || d.cause(cause).is_some());
            if known {
                let names = tests.entry((code.to_owned(), cause.to_owned())).or_default();
                let name = format!("{file}: {}", name_before(&source[..at]));
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    tests
}

/// Each `"a", "b"` and where it stands.
fn pairs(source: &str) -> Vec<(usize, &str, &str)> {
    let quotes: Vec<usize> = source.match_indices('"').map(|(at, _)| at).collect();
    let between = |from: usize, to: usize| source.get(from + 1..to).unwrap_or_default();
    let windows = quotes.windows(4).filter(|w| between(w[1], w[2]).trim() == ",");
    windows.map(|w| (w[0], between(w[0], w[1]), between(w[2], w[3]))).collect()
}

/// The name of the test or of the fault in a table that stands nearest before.
fn name_before(source: &str) -> &str {
    let marks = [("fn ", '('), ("const ", ':'), ("name: \"", '"'), ("fault(\"", '"')];
    let found = marks.iter().filter_map(|(mark, end)| {
        let at = source.rfind(mark)?;
        Some((at, source[at + mark.len()..].split(*end).next()?))
    });
    found.max_by_key(|(at, _)| *at).map_or("", |(_, name)| name)
}

#[test]
fn what_a_live_test_expects_is_read_from_its_source() {
    let table = "Fault { name: \"deaf\", expected: &[(\"no-ack\", \"never-seen\")], ..F }";
    assert_eq!(pairs(table).last().map(|(_, a, b)| (*a, *b)), Some(("no-ack", "never-seen")));
    assert_eq!(name_before(&table[..30]), "deaf");
    assert_eq!(name_before("const X: u8 = 1;\nfn a_call_drops() { expect("), "a_call_drops");
}
