//! What Prometheus finds: the formats, whatever the wire holds, and what is told where the capture loop does not answer. A
//! loop of the test's own stands where the daemon's would.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip_monitor::capture::counters::Counters;
use sip_monitor::capture::live::InterfaceStatus;
use sip_monitor::config;
use sip_monitor::metrics::exposition::Dialect;
use sip_monitor::metrics::{ALL, Recorded, Snapshot, write};
use sip_monitor::sink::board::Board;
use sip_monitor::web::{Ask, Asker, Web};
use sip_monitor_engine::packet::{Body, Direction, Packet};
use sip_monitor_engine::{Engine, Output, Timestamp};

/// Thousands of messages that name everything a label must not be named by.
struct Wire {
    engine: Engine,
    recorded: Recorded,
    board: Board,
    ms: i64,
}

impl Wire {
    fn new(config: &str) -> Self {
        let engine = Engine::new(config::from_str(config).unwrap().to_engine());
        Self { engine, recorded: Recorded::default(), board: Board::default(), ms: 1_700_000_000_000 }
    }

    fn udp(&mut self, src: SocketAddr, dst: SocketAddr, direction: Direction, message: &str) {
        self.ms += 1;
        let payload = message.replace('\n', "\r\n");
        let packet = Packet {
            time: Timestamp::from_unix_ns(self.ms * 1_000_000),
            link: 0,
            direction,
            src,
            dst,
            ip_id: u32::try_from(self.ms & 0xffff).unwrap(),
            ttl: 64,
            dscp: 0,
            body: Body::Udp(payload.as_bytes()),
        };
        self.recorded.count(&packet);
        self.engine.handle_packet(packet.time, &packet);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Alert(alert) = &output {
                self.board.take(alert);
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let interface = InterfaceStatus {
            name: "eth0".to_owned(),
            link: 0,
            ifindex: Some(2),
            ingress: "xdp",
            egress: "tcx",
            note: None,
            is_expected: true,
        };
        Snapshot {
            interfaces: vec![interface],
            kernel: Some(Counters::default()),
            recorded: self.recorded.clone(),
            fired: self.board.fired().clone(),
            firing: self.board.firing(),
            ..Snapshot::of_engine(&self.engine)
        }
    }
}

fn request(method: &str, n: usize, host: &str) -> String {
    format!(
        "{method} sip:secret-{n}@{host} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{n}\nFrom: <sip:secret-{n}@a>;tag=f{n}\n\
         To: <sip:secret-{n}@b>\nCall-ID: secret-{n}@call\nCSeq: 1 {method}\nUser-Agent: secret-{n}\nContact: <sip:secret-{n}@c>\n\
         Content-Length: 0\n\n"
    )
}

fn response(method: &str, n: usize, code: usize) -> String {
    format!(
        "SIP/2.0 {code} secret-{n}\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{n}\nFrom: <sip:secret-{n}@a>;tag=f{n}\n\
         To: <sip:secret-{n}@b>;tag=t{n}\nCall-ID: secret-{n}@call\nCSeq: 1 {method}\nContent-Length: 0\n\n"
    )
}

/// Metric lines by family of the text format, without comments.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap())
        .collect()
}

/// Plays calls of 3,000 hosts whose every word is new, through 3 trunks and past them.
fn hostile() -> Wire {
    let mut config = "[prometheus]\nmax_trunks = 2\n".to_owned();
    for n in 1..=3 {
        config.push_str(&format!("[[trunk]]\nname = \"trunk-{n}\"\naddresses = [\"198.51.100.{n}\"]\n"));
    }
    let mut wire = Wire::new(&config);
    let host: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    for n in 0..3_000_usize {
        let peer = SocketAddr::from(([198, 51, 100, u8::try_from(n % 250 + 1).unwrap()], 5060));
        let method = match n % 3 {
            0 => "INVITE".to_owned(),
            1 => "REGISTER".to_owned(),
            _ => format!("SECRET{n}"),
        };
        wire.udp(host, peer, Direction::Out, &request(&method, n, "b"));
        wire.udp(peer, host, Direction::In, &response(&method, n, 100 + n % 600));
    }
    wire
}

#[test]
fn no_label_is_named_by_what_the_wire_holds() {
    let text = write(&hostile().snapshot(), Dialect::Text);
    assert!(!text.to_lowercase().contains("secret"), "{text}");
    for address in ["192.0.2.", "198.51.100."] {
        assert!(!text.contains(address), "{address}");
    }
    let allowed = BTreeSet::from([
        "method",
        "code",
        "direction",
        "codec",
        "trunk",
        "diagnosis",
        "cause",
        "severity",
        "iface",
        "reason",
        "fate",
        "kind",
        "state",
        "outcome",
        "table",
        "sink",
        "ring",
        "ingress",
        "egress",
        "version",
    ]);
    for family in ALL.iter().flat_map(|(_, families)| *families) {
        assert!(family.labels.iter().all(|label| allowed.contains(label)), "{}: {:?}", family.name, family.labels);
    }
    let trunks: BTreeSet<&str> =
        text.split("trunk=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect();
    assert_eq!(trunks, BTreeSet::from(["other", "local", "trunk-1", "trunk-2"]), "the third is beyond max_trunks");
}

#[test]
fn the_number_of_series_is_bounded_whatever_is_sent() {
    let few = samples(&write(&hostile().snapshot(), Dialect::Text)).len();
    let mut wire = hostile();
    let (host, peer): (SocketAddr, SocketAddr) =
        ("192.0.2.1:5060".parse().unwrap(), "203.0.113.9:5060".parse().unwrap());
    for n in 3_000..6_000_usize {
        wire.udp(host, peer, Direction::Out, &request("INVITE", n, "b"));
        wire.udp(peer, host, Direction::In, &response("INVITE", n, 200 + n % 500));
    }
    let many = samples(&write(&wire.snapshot(), Dialect::Text)).len();
    // 15 methods by 82 codes by 3 directions is what there can be of responses; of calls 82 codes by 3 directions.
    assert!(few < 4_000 && many < 4_500, "{few} series, then {many}");
}

#[test]
fn counters_never_go_down_while_calls_are_evicted_and_trunks_reloaded() {
    let mut wire = hostile();
    let before = samples(&write(&wire.snapshot(), Dialect::Text));
    let reloaded = config::from_str("[[trunk]]\nname = \"trunk-9\"\naddresses = [\"198.51.100.0/24\"]\n").unwrap();
    wire.engine.set_config(reloaded.to_engine());
    wire.engine.handle_timeout(Timestamp::from_unix_ns((wire.ms + 100_000_000) * 1_000_000));
    wire.drain();
    let after = samples(&write(&wire.snapshot(), Dialect::Text));
    let is_counter = |name: &str| {
        ["_total", "_bucket", "_count", "_sum"]
            .iter()
            .any(|end| name.split('{').next().is_some_and(|family| family.ends_with(end)))
    };
    for (name, value) in before.iter().filter(|(name, _)| is_counter(name)) {
        assert!(after.get(name).is_some_and(|now| now >= value), "{name}: {value}, then {:?}", after.get(name));
    }
    assert_eq!(after["sipmonitor_calls{state=\"calling\"}"], 0.0, "none is up after a day");
}

#[test]
fn a_count_that_could_not_be_read_is_not_told_as_0() {
    let mut snapshot = hostile().snapshot();
    let count = |snapshot: &Snapshot, family: &str| {
        samples(&write(snapshot, Dialect::Text)).keys().filter(|name| name.starts_with(family)).count()
    };
    let families = [
        "sipmonitor_capture_packets_received_total",
        "sipmonitor_capture_packets_total",
        "sipmonitor_capture_streams_opened_total",
        "sipmonitor_kernel_drops_total",
        "sipmonitor_kernel_drops_unread_total",
        "sipmonitor_rtp_packets_total",
    ];
    assert!(families.iter().all(|family| count(&snapshot, family) > 0));
    snapshot.kernel = None;
    assert_eq!(families.map(|family| count(&snapshot, family)), [0; 6]);
}

#[test]
fn an_interface_that_is_gone_is_told_of_only_where_it_was_named() {
    let told = |is_expected| {
        let mut snapshot = hostile().snapshot();
        for interface in &mut snapshot.interfaces {
            (interface.ingress, interface.egress, interface.is_expected) = ("", "", is_expected);
        }
        let text = samples(&write(&snapshot, Dialect::Text));
        text.into_iter().find(|(name, _)| name.starts_with("sipmonitor_capture_interface_info")).map(|(_, value)| value)
    };
    assert_eq!((told(true), told(false)), (Some(0.0), None));
}

#[test]
fn every_family_is_written_once_and_documented() {
    let text = write(&hostile().snapshot(), Dialect::Text);
    let mut names = BTreeSet::new();
    for family in ALL.iter().flat_map(|(_, families)| *families) {
        assert!(names.insert(family.name), "{} stands there twice", family.name);
        let head = format!("# TYPE {} {}\n", family.name, family.kind.name());
        assert_eq!(text.matches(&head).count(), 1, "{}", family.name);
    }
    assert_eq!(text.matches("# TYPE ").count(), names.len());
}

#[test]
fn the_documentation_lists_every_family() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let wanted = sip_monitor::metrics::documentation();
    if std::env::var_os("SIP_MONITOR_WRITE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "docs/metrics.md is stale: run this test with SIP_MONITOR_WRITE_DOCS=1");
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Some(promtool) = program("promtool") else { return };
    let text = write(&hostile().snapshot(), Dialect::Text);
    let mut child = promtool_check(&promtool);
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

fn promtool_check(promtool: &str) -> std::process::Child {
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// A program of the tests; `None` where it is missing, which is said.
///
/// # Panics
/// With `CI=true`, where it must be there.
fn program(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(name).is_file()) {
        return Some(name.to_owned());
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{name} is missing (cargo xtask setup --tests)");
    println!("skipped: {name} is missing (cargo xtask setup --tests)");
    None
}

/// The server, with a loop that answers each question with that snapshot; none: it never answers.
struct Scene {
    at: SocketAddr,
    _web: Web,
}

impl Scene {
    fn new(snapshot: Option<Snapshot>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        let (asker, mut asked) = Asker::new();
        std::thread::spawn(move || {
            let snapshot = snapshot.map(Arc::new);
            let mut waiting = Vec::new();
            while let Some(ask) = asked.blocking_recv() {
                match (ask, &snapshot) {
                    (Ask::Snapshot(reply), Some(snapshot)) => _ = reply.send(Arc::clone(snapshot)),
                    // Not dropped: a loop that hangs drops nothing.
                    (ask, _) => waiting.push(ask),
                }
            }
        });
        Self { at, _web: Web::start(Some(listener), vec![], asker).unwrap() }
    }

    fn get(&self, request: &str, header: &str) -> String {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn metrics_are_answered_in_the_form_that_is_asked_for() {
    let scene = Scene::new(Some(hostile().snapshot()));
    let text = scene.get("GET /metrics", "");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("content-type: text/plain; version=0.0.4") && !text.contains("# EOF"));
    let open = scene.get("GET /metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.contains("content-type: application/openmetrics-text") && open.ends_with("# EOF\n"));
    assert!(open.contains("# {call_id=\"secret-"), "Call-IDs ride as exemplars");
}

#[test]
fn other_paths_and_methods_are_told_what_there_is() {
    let scene = Scene::new(Some(Snapshot::default()));
    assert!(scene.get("GET /nowhere", "").starts_with("HTTP/1.1 404 "));
    let refused = scene.get("POST /metrics", "Content-Length: 0\r\n");
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD"), "{refused}");
    let head = scene.get("HEAD /metrics", "");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_loop_that_turns_is_healthy_and_ready_only_with_an_interface() {
    let scene = Scene::new(Some(hostile().snapshot()));
    assert!(scene.get("GET /-/healthy", "").starts_with("HTTP/1.1 200 "));
    let ready = scene.get("GET /-/ready", "");
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("eth0: xdp in, tcx out"), "{ready}");
    let mut snapshot = hostile().snapshot();
    for interface in &mut snapshot.interfaces {
        (interface.ingress, interface.egress) = ("", "");
        interface.note = Some("the interface is gone".to_owned());
    }
    let blind = Scene::new(Some(snapshot));
    assert!(blind.get("GET /-/healthy", "").starts_with("HTTP/1.1 200 "));
    let told = blind.get("GET /-/ready", "");
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("eth0: not watched: the interface is gone"), "{told}");
}

#[test]
fn a_loop_that_does_not_answer_is_told_as_not_healthy() {
    let scene = Scene::new(None);
    let began = Instant::now();
    let told = scene.get("GET /-/healthy", "");
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("has not answered within 5 s"), "{told}");
    assert!((Duration::from_secs(4)..Duration::from_secs(15)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn all_who_ask_a_loop_that_does_not_answer_are_told_so_in_the_same_time() {
    let scene = Scene::new(None);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let ask = || assert!(scene.get("GET /-/healthy", "").starts_with("HTTP/1.1 503 "));
        (0..3).for_each(|_| _ = scope.spawn(ask));
    });
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[test]
fn readers_that_are_slow_or_silent_keep_nobody_from_being_answered() {
    let scene = Scene::new(Some(hostile().snapshot()));
    let mut idle: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(scene.at).unwrap()).collect();
    for stream in &mut idle {
        // Half a request, and never a byte read.
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
    }
    let began = Instant::now();
    assert!(scene.get("GET /metrics", "").starts_with("HTTP/1.1 200 "));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn the_rules_fire_where_they_must_and_nowhere_else() {
    let Some(promtool) = program("promtool") else { return };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/prometheus");
    for arguments in [
        ["check", "rules", "sip-monitor.rules.yml"].as_slice(),
        &["test", "rules", "sip-monitor.rules.test.yml"],
        &["check", "config", "--syntax-only", "scrape.yml"],
    ] {
        let output = Command::new(&promtool).args(arguments).current_dir(folder).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
    }
}

#[test]
fn the_rules_name_no_metric_that_there_is_not() {
    let rules = include_str!("../etc/prometheus/sip-monitor.rules.yml");
    let expressions: Vec<&str> = rules.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let expressions = expressions.join("\n");
    let named = named_families(&expressions);
    assert!(named.len() > 15, "{named:?}");
    assert!(named_labels(&expressions) > 60);
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../etc/prometheus/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(expressions.len() > 20);
    let rules = include_str!("../etc/prometheus/sip-monitor.rules.yml");
    let recorded: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    for expression in &expressions {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let asks_for = expression.split(|c| !is_name(c)).filter(|word| word.contains(':'));
        asks_for.for_each(|word| assert!(recorded.contains(word), "{word} is recorded by no rule"));
    }
    assert!(named_families(&expressions.join("\n")).len() > 15);
    assert!(named_labels(&expressions.join("\n")) > 20);
    let Some(promtool) = program("promtool") else { return };
    // promtool reads expressions as rules; Grafana fills in its variables.
    let mut text = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (n, expression) in expressions.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "1m");
        text.push_str(&format!("  - record: panel:{n}\n    expr: {}\n", serde_json::to_string(&expression).unwrap()));
    }
    let path = std::env::temp_dir().join(format!("sip-monitor-dashboard-{}.yml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let output = Command::new(promtool).args(["check", "rules"]).arg(&path).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

/// Our families that stand in expressions; what rules record has a colon in its name.
///
/// # Panics
/// Where one is named that there is not.
fn named_families(expressions: &str) -> BTreeSet<&str> {
    let families: BTreeSet<&str> = ALL.iter().flat_map(|(_, families)| *families).map(|family| family.name).collect();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expressions.split(move |c| !is_name(c));
    let ours = words.filter(|word| word.starts_with("sipmonitor_") && !word.contains(':'));
    ours.map(|word| {
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        assert!(families.contains(family), "{word} is no family");
        family
    })
    .collect()
}

/// How many labels stand in selectors and groupings of expressions.
///
/// # Panics
/// Where a selector names one that its family has not, or a grouping one that no family has.
fn named_labels(expressions: &str) -> usize {
    let families: BTreeMap<&str, &[&str]> =
        ALL.iter().flat_map(|(_, families)| *families).map(|family| (family.name, family.labels)).collect();
    let is_added = |label: &str| matches!(label, "job" | "instance" | "le" | "__name__");
    let is_any = |label: &str| families.values().any(|labels| labels.contains(&label)) || is_added(label);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut seen = 0;
    for (at, _) in expressions.match_indices('{') {
        let (before, after) = (&expressions[..at], &expressions[at + 1..]);
        let name = before.rsplit(|c| !is_name(c)).next().unwrap_or_default();
        let Some(selector) = after.split('}').next().filter(|_| !name.is_empty()) else { continue };
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        for label in selector.split(',').filter_map(|matcher| matcher.split(['=', '!']).next()).map(str::trim) {
            let is_there = families.get(family).map_or_else(|| is_any(label), |labels| labels.contains(&label));
            assert!(is_there || is_added(label), "{name} has no label {label}");
            seen += 1;
        }
    }
    for start in ["by (", "on ("] {
        for grouping in expressions.split(start).skip(1) {
            let labels = grouping.split(')').next().unwrap_or_default().split(',').map(str::trim);
            labels.for_each(|label| assert!(is_any(label), "no family has a label {label}"));
            seen += grouping.split(')').next().unwrap_or_default().split(',').count();
        }
    }
    seen
}

#[test]
fn every_alert_has_a_test_that_has_it_fire() {
    let rules = include_str!("../etc/prometheus/sip-monitor.rules.yml");
    let tests = include_str!("../etc/prometheus/sip-monitor.rules.test.yml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts {
        let name = format!("alertname: {alert}\n");
        let cases = tests.split(&name).skip(1);
        let fires = cases.filter(|case| case.trim_start().starts_with("exp_alerts:\n")).count();
        assert!(fires > 0, "{alert} is never seen to fire");
    }
}
