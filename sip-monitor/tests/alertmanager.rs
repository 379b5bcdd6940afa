//! What Alertmanagers get, and what becomes of it where they hang, refuse, fail or come back. Stand-ins with sockets of their own
//! take the requests; a loop of the test's own stands where the daemon's would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use sip_monitor::config::{self, Alertmanager};
use sip_monitor::sink::alertmanager::{PushCounters, Pusher};
use sip_monitor::sink::board::Board;
use sip_monitor::web::{Ask, Asker, Web};
use sip_monitor_engine::Timestamp;
use sip_monitor_engine::alert::{Alert, AlertCall, AlertPeer, Status};
use sip_monitor_engine::diagnosis::{Confidence, Layer, Severity};
use sip_monitor_engine::record::CallState;
use tokio::sync::watch;

/// How a stand-in answers.
#[derive(Clone, Copy)]
enum Manner {
    /// 200.
    Takes,
    /// 500, until told otherwise.
    Fails,
    /// 400 to whatever holds an alert of cause `malformed`.
    Refuses,
    /// 404.
    IsElsewhere,
    /// Takes connections and says nothing.
    Hangs,
}

/// An Alertmanager that is none.
struct StandIn {
    at: SocketAddr,
    requests: Receiver<Value>,
    fails: Arc<AtomicBool>,
    tries: Arc<AtomicU64>,
}

impl StandIn {
    fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let fails = Arc::new(AtomicBool::new(matches!(manner, Manner::Fails)));
        let tries = Arc::new(AtomicU64::new(0));
        let (is_failing, tried) = (Arc::clone(&fails), Arc::clone(&tries));
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                tried.fetch_add(1, Ordering::SeqCst);
                if matches!(manner, Manner::Hangs) {
                    held.push(stream);
                    continue;
                }
                let mut stream = stream;
                let Some(body) = read_request(&mut stream) else { continue };
                let is_malformed = body.to_string().contains("malformed");
                let status = match manner {
                    Manner::IsElsewhere => "404 Not Found",
                    Manner::Refuses if is_malformed => "400 Bad Request",
                    _ if is_failing.load(Ordering::SeqCst) => "500 Internal Server Error",
                    _ => "200 OK",
                };
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nsaid");
                if status.starts_with("200") && sender.send(body).is_err() {
                    return;
                }
            }
        });
        Self { at, requests, fails, tries }
    }

    fn next(&self) -> Value {
        self.requests.recv_timeout(Duration::from_secs(10)).expect("a request within 10 s")
    }
}

/// The JSON of one request.
fn read_request(stream: &mut TcpStream) -> Option<Value> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase().split_once("content-length: ")?.1.lines().next()?.trim().parse().ok()?;
        if body.len() >= length {
            assert!(head.starts_with("POST /api/v2/alerts HTTP/1.1"), "{head}");
            return serde_json::from_str(body).ok();
        }
    }
}

/// The pushing thread, and the loop it asks.
struct Scene {
    board: Arc<Mutex<Board>>,
    changes: watch::Sender<u64>,
    counters: Arc<PushCounters>,
    _web: Web,
}

impl Scene {
    fn new(targets: &[SocketAddr], resend: &str) -> Self {
        let urls: Vec<String> = targets.iter().map(|at| format!("\"http://{at}\"")).collect();
        let text = format!("[alertmanager]\nurls = [{}]\nresend = \"{resend}\"\ntimeout = \"1s\"\n", urls.join(", "));
        let config: Alertmanager = config::from_str(&text).unwrap().alertmanager;
        let (asker, mut asked) = Asker::new();
        let (changes, changed) = watch::channel(0);
        let counters = Arc::new(PushCounters::default());
        let board = Arc::new(Mutex::new(Board::default()));
        let shown = Arc::clone(&board);
        std::thread::spawn(move || {
            while let Some(ask) = asked.blocking_recv() {
                if let Ask::Alerts(heard, reply) = ask {
                    let _ = reply.send(shown.lock().unwrap().news(heard));
                }
            }
        });
        let pushers = Pusher::all(&config, "pbx-1", &asker, &changed, &counters);
        Self { board, changes, counters, _web: Web::start(None, pushers, asker).unwrap() }
    }

    /// What the capture loop does with a line: never waits.
    fn tell(&self, alert: &Alert) {
        self.board.lock().unwrap().take(alert);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

fn alert(id: &str, status: Status, cause: &str) -> Alert {
    let now = sip_monitor::clock::now();
    Alert {
        schema: 1,
        id: id.to_owned(),
        ts: now,
        status,
        code: "no-ack".to_owned(),
        cause: cause.to_owned(),
        severity: Severity::Critical,
        confidence: Confidence::Likely,
        layer: Layer::Dialog,
        fault: None,
        summary: "no ACK came".to_owned(),
        remedy: "do something".to_owned(),
        direction: None,
        call: Some(AlertCall {
            call_id: format!("call-{id}"),
            from: "sip:a@b".to_owned(),
            to: "sip:c@d".to_owned(),
            from_tag: None,
            to_tag: None,
            cseq: None,
            method: None,
            state: CallState::Confirmed,
            duration_ms: None,
        }),
        calls: None,
        legs: vec![],
        peer: Some(AlertPeer {
            addr: "203.0.113.7".to_owned(),
            port: Some(5060),
            transport: None,
            name: Some("carrier-a".to_owned()),
        }),
        evidence: Default::default(),
        links: vec![],
        refs: vec![],
        host: None,
        iface: None,
    }
}

fn time(value: &Value) -> Timestamp {
    let at: jiff::Timestamp = value.as_str().and_then(|text| text.parse().ok()).expect("a time of RFC 3339");
    Timestamp::from_unix_ns(i64::try_from(at.as_nanosecond()).unwrap())
}

#[test]
fn an_alert_arrives_with_its_identity_as_labels_and_ends_when_it_ends() {
    let stand_in = StandIn::new(Manner::Takes);
    let scene = Scene::new(&[stand_in.at], "1min");
    scene.tell(&alert("1", Status::Firing, "never-seen"));
    scene.tell(&alert("2", Status::Firing, "never-seen"));
    let told = stand_in.next();
    assert_eq!(told.as_array().map(Vec::len), Some(1), "one for both: {told}");
    let labels = &told[0]["labels"];
    for (name, value) in [
        ("alertname", "no-ack"),
        ("diagnosis", "no-ack"),
        ("cause", "never-seen"),
        ("trunk", "carrier-a"),
        ("severity", "critical"),
        ("instance", "pbx-1"),
        ("job", "sip-monitor"),
    ] {
        assert_eq!(labels[name], value, "{labels}");
    }
    assert_eq!(labels.as_object().map(serde_json::Map::len), Some(7), "nothing per call: {labels}");
    let annotations = &told[0]["annotations"];
    assert_eq!(
        (annotations["calls"].as_str(), annotations["sample_call_ids"].as_str()),
        (Some("2"), Some("call-1 call-2"))
    );
    assert!(time(&told[0]["endsAt"]) > sip_monitor::clock::now(), "it fires");

    scene.tell(&alert("1", Status::Resolved, "never-seen"));
    scene.tell(&alert("2", Status::Resolved, "never-seen"));
    let over = stand_in.next();
    assert_eq!(over[0]["labels"], told[0]["labels"]);
    assert!(time(&over[0]["endsAt"]) <= sip_monitor::clock::now(), "{over}");
    assert_eq!(scene.counters.failed.load(Ordering::SeqCst), 0);
}

#[test]
fn what_fires_is_sent_again() {
    let stand_in = StandIn::new(Manner::Takes);
    let scene = Scene::new(&[stand_in.at], "1s");
    scene.tell(&alert("1", Status::Firing, "never-seen"));
    let (first, second) = (stand_in.next(), stand_in.next());
    assert_eq!(first[0]["startsAt"], second[0]["startsAt"]);
    assert!(time(&second[0]["endsAt"]) > time(&first[0]["endsAt"]), "it fires for longer");
}

#[test]
fn one_that_fails_is_tried_again_and_then_told_how_things_stand() {
    let stand_in = StandIn::new(Manner::Fails);
    let scene = Scene::new(&[stand_in.at], "1min");
    scene.tell(&alert("1", Status::Firing, "never-seen"));
    scene.tell(&alert("2", Status::Firing, "contact-private"));
    wait_until(|| scene.counters.failed.load(Ordering::SeqCst) >= 2);
    // One ended meanwhile; both are told once it is well.
    scene.tell(&alert("2", Status::Resolved, "contact-private"));
    stand_in.fails.store(false, Ordering::SeqCst);
    let told = stand_in.next();
    let cause =
        |cause: &str| told.as_array().into_iter().flatten().find(|alert| alert["labels"]["cause"] == cause).cloned();
    let now = sip_monitor::clock::now();
    assert!(time(&cause("never-seen").expect("the one that fires")["endsAt"]) > now);
    assert!(time(&cause("contact-private").expect("the one that ended")["endsAt"]) <= now);
}

#[test]
fn what_is_refused_for_good_is_counted_and_stands_in_the_way_of_nothing() {
    let stand_in = StandIn::new(Manner::Refuses);
    let scene = Scene::new(&[stand_in.at], "1min");
    scene.tell(&alert("1", Status::Firing, "malformed"));
    wait_until(|| scene.counters.dropped.load(Ordering::SeqCst) == 1);
    scene.tell(&alert("2", Status::Firing, "never-seen"));
    let told = stand_in.next();
    let causes: Vec<_> = told.as_array().into_iter().flatten().map(|alert| alert["labels"]["cause"].clone()).collect();
    assert_eq!(causes, ["never-seen"], "what was refused is not sent again with it");
    assert_eq!((stand_in.tries.load(Ordering::SeqCst), scene.counters.failed.load(Ordering::SeqCst)), (2, 0));
}

#[test]
fn one_that_is_not_there_under_that_path_is_tried_again() {
    let stand_in = StandIn::new(Manner::IsElsewhere);
    let scene = Scene::new(&[stand_in.at], "1min");
    scene.tell(&alert("1", Status::Firing, "never-seen"));
    wait_until(|| scene.counters.failed.load(Ordering::SeqCst) >= 2);
    let counters = [&scene.counters.sent, &scene.counters.dropped].map(|counter| counter.load(Ordering::SeqCst));
    assert_eq!(counters, [0, 0], "it may be there later");
}

#[test]
fn one_that_hangs_or_refuses_holds_up_neither_the_other_nor_the_loop() {
    let (hanging, well) = (StandIn::new(Manner::Hangs), StandIn::new(Manner::Takes));
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = Scene::new(&[hanging.at, refusing, well.at], "1min");
    let began = Instant::now();
    for n in 0..1_000 {
        scene.tell(&alert(&n.to_string(), Status::Firing, "never-seen"));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "the loop waited {:?}", began.elapsed());
    let told = well.next();
    assert!(told[0]["annotations"]["calls"].as_str().is_some_and(|calls| calls.parse::<u32>().unwrap() > 0), "{told}");
    wait_until(|| scene.counters.failed.load(Ordering::SeqCst) >= 3);
    // It is tried less and less often: after 1 s, 2 s, 4 s beside the second that each try may take.
    assert!(hanging.tries.load(Ordering::SeqCst) <= 4);
}

#[test]
fn nothing_is_sent_where_nothing_fires() {
    let stand_in = StandIn::new(Manner::Takes);
    let scene = Scene::new(&[stand_in.at], "1s");
    let mut quiet = alert("1", Status::Firing, "never-seen");
    quiet.severity = Severity::Info;
    scene.tell(&quiet);
    let heard = stand_in.requests.recv_timeout(Duration::from_secs(2));
    assert_eq!(heard, Err(RecvTimeoutError::Timeout), "what informs wakes nobody");
}

#[test]
fn a_thread_that_pushes_ends_at_once_though_an_alertmanager_hangs() {
    let hanging = StandIn::new(Manner::Hangs);
    let scene = Scene::new(&[hanging.at], "1min");
    scene.tell(&alert("1", Status::Firing, "never-seen"));
    wait_until(|| hanging.tries.load(Ordering::SeqCst) > 0);
    let began = Instant::now();
    drop(scene);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

fn wait_until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < end, "not within 15 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
