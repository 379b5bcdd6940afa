//! The program as a person or a script meets it: arguments, exit codes, messages, pipes.

mod fixtures;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, without what the environment of whoever runs the tests says.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip-monitor"));
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("SIP_MONITOR_")) {
        command.env_remove(key);
    }
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("NOTIFY_SOCKET");
    command
}

fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

fn golden(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file).to_string_lossy().into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of its own for one test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("sip-monitor-cli-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[track_caller]
fn fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
}

#[test]
fn help_documents_the_exit_codes_and_succeeds() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for word in ["replay", "explain", "66", "77", "78", "SIP_MONITOR_LOG"] {
        assert!(help.contains(word), "no {word} in {help}");
    }
}

#[test]
fn a_wrong_command_line_is_64() {
    fails(&run(&["replay"]), 64, &["FILE"]);
    fails(&run(&["no-such-command"]), 64, &["no-such-command"]);
    fails(&run(&["replay", "x", "-o", "xml"]), 64, &["table", "jsonl"]);
    fails(&run(&["explain", "no-akc"]), 64, &["no alert has the code", "fix:"]);
    let capture = golden("good-call.pcap.gz");
    fails(&run(&["replay", &capture, "--local", "here"]), 64, &["--local `here`", "192.0.2.10"]);
}

#[test]
fn a_capture_that_is_not_there_is_66() {
    fails(&run(&["replay", "/nonexistent.pcap"]), 66, &["/nonexistent.pcap", "fix:"]);
}

#[test]
fn a_file_that_is_no_capture_is_66_and_says_what_it_looks_like() {
    let file = Scratch::new("text", b"hello\nworld\n");
    fails(&run(&["replay", file.path()]), 66, &["not a capture file", "text that begins \"hello\"", "fix:"]);
    let file = Scratch::new("empty", b"");
    fails(&run(&["replay", file.path()]), 66, &["it is empty"]);
}

#[test]
fn one_wrong_file_among_good_ones_is_told_before_any_line() {
    let output = run(&["replay", &golden("good-call.pcap.gz"), "/nonexistent.pcap"]);
    fails(&output, 66, &["/nonexistent.pcap"]);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_truncated_capture_is_read_to_its_last_whole_frame_with_a_warning() {
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(&std::fs::read(golden("good-call.pcap.gz")).unwrap()[..])
        .read_to_end(&mut whole)
        .unwrap();
    let file = Scratch::new("cut.pcap", &whole[..whole.len() - 10]);
    let output = run(&["replay", file.path(), "-o", "jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("cut off in the middle of a frame"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("\"type\":\"call\""));
}

#[test]
fn a_gzip_cut_short_gives_what_it_holds() {
    let packed = std::fs::read(golden("good-call.pcap.gz")).unwrap();
    let file = Scratch::new("cut.pcap.gz", &packed[..packed.len() / 2]);
    let output = run(&["replay", file.path(), "-o", "jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("gzip"), "{}", text(&output.stderr));
}

/// Kinds of lines.
const KINDS: [&str; 7] = ["alert", "call", "event", "stream", "registration", "peer", "message"];

#[test]
fn the_report_shows_changes_of_state_and_peers_where_they_are_asked_for() {
    let capture = golden("good-call.pcap.gz");
    let output = run(&["replay", &capture, "-o", "table", "--emit", "events,peers"]);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("Changes of state (4)") && stdout.contains("Peers (2)"), "{stdout}");
    let plain = text(&run(&["replay", &capture, "-o", "table"]).stdout).to_owned();
    assert!(!plain.contains("Changes of state") && !plain.contains("Peers ("), "{plain}");
}

#[test]
fn every_line_of_a_pipe_is_json_with_a_type_and_no_colour() {
    let output = run(&[
        "replay",
        &golden("good-call.pcap.gz"),
        "--emit",
        "alerts,calls,events,streams,registrations,peers,messages",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(&output.stdout);
    assert!(stdout.lines().count() >= 10);
    for line in stdout.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(KINDS.contains(&value["type"].as_str().unwrap()));
    }
    assert!(!stdout.contains('\x1b') && !text(&output.stderr).contains('\x1b'));
}

#[test]
fn a_report_in_a_pipe_has_no_colour_and_fits_its_width() {
    let output = run(&["replay", &golden("one-way-audio-never-arrived.pcap.gz"), "-o", "table"]);
    let stdout = text(&output.stdout);
    assert!(!stdout.contains('\x1b'));
    for word in ["Problems (1)", "one-way-audio / never-arrived", "do:", "Calls (1)", "RTP streams (1)", "Read "] {
        assert!(stdout.contains(word), "no {word} in {stdout}");
    }
    for line in stdout.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn only_what_was_asked_for_is_printed() {
    let output = run(&["replay", &golden("one-way-audio-never-arrived.pcap.gz"), "--emit", "streams"]);
    let stdout = text(&output.stdout);
    assert!(stdout.lines().count() == 1 && stdout.contains("\"type\":\"stream\""), "{stdout}");
}

#[test]
fn numbers_are_masked_unless_asked_otherwise() {
    let capture = golden("good-call.pcap.gz");
    assert!(!text(&run(&["replay", &capture]).stdout).contains("15551230001"));
    assert!(text(&run(&["replay", &capture, "--privacy", "plain"]).stdout).contains("15551230001"));
    let by_environment = program().args(["replay", &capture]).env("SIP_MONITOR_PRIVACY", "plain").output().unwrap();
    assert!(text(&by_environment.stdout).contains("15551230001"));
}

#[test]
fn several_files_are_merged_in_the_order_of_time() {
    let one = run(&["replay", &golden("good-call.pcap.gz"), &golden("held-call.pcap.gz"), "--emit", "messages"]);
    let times: Vec<String> = text(&one.stdout)
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["ts"].as_str().unwrap().to_owned())
        .collect();
    assert!(times.len() > 10 && times.is_sorted());
}

#[test]
fn nothing_is_concluded_from_the_time_between_two_captures() {
    use fixtures::container::{Link, pcap};
    // A call that is up, with media, when its capture ends; and a capture of a week later.
    let mut scene = fixtures::Scene::default();
    let call = fixtures::call::Call::new("still-up@there", "203.0.113.7", "198.51.100.4");
    call.set_up(&mut scene, 1_000.0);
    call.acknowledge(&mut scene, 1_030.0);
    call.caller_speaks(&mut scene, 1_040.0, 4_000.0);
    call.callee_speaks(&mut scene, 1_040.0, 4_000.0);
    let mut later = fixtures::Scene::default();
    let week_ms = 7.0 * 86_400_000.0;
    later.udp(week_ms, "198.51.100.4:5060".parse().unwrap(), "203.0.113.9:5060".parse().unwrap(), b"\r\n\r\n");
    let (first, second) = (
        Scratch::new("up.pcap", &pcap(&scene.in_order(), Link::Raw)),
        Scratch::new("later.pcap", &pcap(&later.in_order(), Link::Raw)),
    );
    let output = run(&["replay", second.path(), first.path(), "--emit", "alerts,calls", "--local", "198.51.100.4"]);
    let stdout = text(&output.stdout);
    assert!(!stdout.contains("\"type\":\"alert\""), "{stdout}");
    assert!(stdout.contains("\"state\":\"confirmed\""), "{stdout}");
}

#[test]
fn standard_input_is_a_file_too() {
    let mut child = program()
        .args(["replay", "-", "--emit", "calls"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(golden("good-call.pcap.gz")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout).lines().count(), 1);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = program()
        .args(["replay", &golden("no-ack-never-seen.pcap.gz"), "--emit", "alerts,calls,streams,messages"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("panicked"));
}

#[test]
fn a_wrong_key_is_78_and_named_with_the_allowed_ones() {
    let file = Scratch::new("wrong.toml", b"[thresholds]\nmedia_absnt = \"6s\"\n");
    let output = run(&["replay", &golden("good-call.pcap.gz"), "--config", file.path()]);
    fails(&output, 78, &["line 2", "thresholds.media_absnt", "`media_absent`", "fix:"]);
    fails(&run(&["run", "--config", file.path()]), 78, &["thresholds.media_absnt"]);
}

#[test]
fn a_threshold_of_the_file_is_in_force() {
    let capture = golden("one-way-audio-never-arrived.pcap.gz");
    let file = Scratch::new("patient.toml", b"[thresholds]\nmedia_absent = \"60s\"\nmedia_refused = \"60s\"\n");
    assert!(text(&run(&["replay", &capture, "--emit", "alerts"]).stdout).contains("one-way-audio"));
    assert!(run(&["replay", &capture, "--emit", "alerts", "--config", file.path()]).stdout.is_empty());
}

#[test]
fn an_empty_view_says_why() {
    use fixtures::container::{Link, pcap};
    let mut scene = fixtures::Scene::default();
    for n in 0..12 {
        scene.udp(f64::from(n), "192.0.2.1:53".parse().unwrap(), "192.0.2.2:4000".parse().unwrap(), b"no call at all");
    }
    let file = Scratch::new("dns.pcap", &pcap(&scene.in_order(), Link::Raw));
    let output = run(&["replay", file.path(), "--emit", "calls"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("0 calls; 12 UDP packets, none looked like SIP or RTP"),
        "{}",
        text(&output.stderr)
    );
    let table = run(&["replay", file.path(), "-o", "table"]);
    assert!(
        text(&table.stdout).contains("0 calls; 12 UDP packets, none looked like SIP or RTP"),
        "{}",
        text(&table.stdout)
    );
}

#[test]
fn the_guess_of_the_local_address_is_told() {
    let output = run(&["replay", &golden("good-call.pcap.gz")]);
    assert!(text(&output.stderr).contains("local address guessed: 198.51.100.4"), "{}", text(&output.stderr));
    let told = run(&["replay", &golden("good-call.pcap.gz"), "--local", "198.51.100.0/24"]);
    assert!(told.stderr.is_empty(), "{}", text(&told.stderr));
}

#[test]
fn every_code_that_is_listed_is_explained() {
    let list = text(&run(&["explain"]).stdout);
    let codes: Vec<&str> = list.lines().filter_map(|l| l.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert!(codes.len() >= 5, "{list}");
    for code in codes {
        let output = run(&["explain", code]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).starts_with(code));
    }
}

#[test]
fn the_schema_of_every_kind_is_json() {
    for kind in KINDS {
        let schema: serde_json::Value = serde_json::from_slice(&run(&["schema", kind]).stdout).unwrap();
        assert_eq!(schema["properties"]["type"]["const"], kind);
    }
}

#[test]
fn an_interface_that_is_not_there_is_refused_with_those_that_are() {
    let output = run(&["run", "-i", "no-such-if", "--config", "/dev/null"]);
    let stderr = text(&output.stderr);
    // Without privilege or object the refusal names that instead.
    assert!(matches!(output.status.code(), Some(69 | 77)), "{stderr}");
    assert!(stderr.contains("fix:"), "{stderr}");
    if stderr.contains("no-such-if") {
        assert!(stderr.contains("lo"), "{stderr}");
    }
}

#[test]
fn a_port_for_metrics_that_is_taken_is_told_before_anything_is_attached() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    // Were it not told first, there would be nothing to attach to either.
    let nowhere = ["run", "-i", "nosuch0"];
    let output = run(&[&nowhere[..], &["--prometheus", &at]].concat());
    fails(&output, 69, &[&at, "in use", "fix: another program listens there", "--prometheus"]);
    let config = Scratch::new("taken.toml", format!("[prometheus]\nlisten = \"{at}\"\n").as_bytes());
    fails(&run(&[&nowhere[..], &["--config", config.path()]].concat()), 69, &[&at, "prometheus.listen"]);
}

#[test]
fn a_place_for_metrics_that_is_none_is_an_error_of_the_command_line() {
    fails(&run(&["run", "--prometheus", "localhost"]), 64, &["127.0.0.1:19060", "off"]);
}
