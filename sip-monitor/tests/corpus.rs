//! Captures nobody here made: every capture of the corpus goes through replay, and what comes out is compared with what
//! tshark says of it (`oracle/`) and with what an expert says of some. All disagreements are told in one table.
//!
//! The corpus is not part of the project: where it is absent the tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sip_monitor::capture::replay::{Options, file, replay};
use sip_monitor_engine::config::{Emit, EngineConfig, Privacy};
use sip_monitor_engine::record::{CallRecord, StreamRecord};
use sip_monitor_engine::{Output, Timestamp};

/// What one capture gave.
#[derive(Default)]
struct Replayed {
    calls: Vec<CallRecord>,
    streams: Vec<StreamRecord>,
    alerts: Vec<(String, String)>,
    messages: usize,
}

/// The corpus, or `None` with a word about it.
fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("SIP_MONITOR_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    if root.join("pcaps").is_dir() {
        return Some(root);
    }
    println!("skipped: no corpus");
    None
}

fn captures(root: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root.join("pcaps")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn run(path: &Path) -> Replayed {
    let engine = EngineConfig {
        emit: Emit { calls: true, events: true, streams: true, registrations: true, peers: true, messages: true },
        privacy: Privacy::Plain,
        ..EngineConfig::default()
    };
    let options = Options { engine, local: vec![], sip_ports: vec![5060, 5061], max_streams: 65_536 };
    let mut out = Replayed::default();
    let file = file::read(path).unwrap();
    replay(vec![file], &options, |output| {
        match output {
            Output::Alert(a) => out.alerts.push((a.code, a.cause)),
            Output::Call(c) => out.calls.push(*c),
            Output::Stream(s) => out.streams.push(*s),
            Output::Message(_) => out.messages += 1,
            Output::Event(_) | Output::Registration(_) | Output::Peer(_) => {}
        }
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap();
    out
}

fn oracle(root: &Path, capture: &Path) -> Value {
    let name = capture.file_stem().unwrap().to_string_lossy().into_owned();
    let path = root.join("oracle").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Fails with a table of `(capture, what, ours, theirs)`.
fn no_disagreement(rows: &[[String; 4]]) {
    if rows.is_empty() {
        return;
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(["capture", "what", "ours", "theirs"]);
    for row in rows {
        table.add_row(row);
    }
    panic!("{} disagreements\n{table}", rows.len());
}

/// Captures in tunnels, where one packet has several addresses.
fn is_tunnelled(oracle: &Value) -> bool {
    let layers: Vec<&str> =
        texts(&oracle["capture"]["phs"]).map(|l| l.split_whitespace().next().unwrap_or("")).collect();
    layers.contains(&"gtp") || layers.iter().filter(|l| **l == "ip").count() > 1
}

fn texts_of<'v>(list: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    list.as_array().into_iter().flatten().filter_map(move |item| item[key].as_str())
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn every_capture_is_read_to_its_end() {
    let Some(root) = corpus() else { return };
    for path in captures(&root) {
        let replayed = run(&path);
        println!(
            "{:<55} {:>3} calls {:>3} streams {:>4} messages {:?}",
            path.file_name().unwrap().to_string_lossy(),
            replayed.calls.len(),
            replayed.streams.len(),
            replayed.messages,
            replayed.alerts,
        );
    }
}

/// Name and path of the captures without random byte errors: those tshark and we mend differently.
fn comparable(root: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let named = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), path);
    captures(root).into_iter().map(named).filter(|(name, _)| !name.contains("fuzz"))
}

#[test]
fn calls_agree_with_tshark() {
    let Some(root) = corpus() else { return };
    let mut rows = Vec::new();
    for (name, path) in comparable(&root) {
        let (oracle, replayed) = (oracle(&root, &path), run(&path));
        let t0 = oracle["capture"]["t0"].as_f64().unwrap_or(0.0);
        let seconds = |at: Option<Timestamp>| at.map(|t| t.unix_ns() as f64 / 1e9 - t0);
        let mut row = |what: String, ours: String, theirs: String| rows.push([name.clone(), what, ours, theirs]);
        let theirs: BTreeMap<&str, &Value> = oracle["calls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|c| c["kind"] == "INVITE")
            .filter_map(|c| Some((c["call_id"].as_str()?, c)))
            .collect();
        let known = |call: &CallRecord| texts_of(&oracle["calls"], "call_id").any(|call_id| call_id == call.call_id);
        for call in &replayed.calls {
            if !known(call) {
                row("call that tshark has not".into(), call.call_id.clone(), String::new());
            }
        }
        for (call_id, expected) in theirs {
            let Some(call) = replayed.calls.iter().find(|c| c.call_id == call_id) else {
                row("call".into(), "absent".into(), call_id.into());
                continue;
            };
            for (what, ours, theirs) in
                differences(call, expected, &seconds, &|kind| earliest(&oracle, call_id, kind, t0))
            {
                row(format!("{what} of {call_id}"), ours, theirs);
            }
        }
    }
    no_disagreement(&rows);
}

/// When the first message of a call of that kind was captured: `calls[]` has the first of the file, which is another one
/// where the file is not in the order of time (rule 5).
fn earliest(oracle: &Value, call_id: &str, kind: &str, t0: f64) -> Option<f64> {
    let is_kind = |m: &Value| match kind {
        "t_200" => m["code"] == 200 && m["cseq_method"] == "INVITE",
        "t_invite" => m["method"] == "INVITE",
        _ => m["method"] == "BYE",
    };
    let messages = oracle["messages"].as_array().into_iter().flatten();
    messages
        .filter(|m| m["call_id"] == call_id && is_kind(m))
        .filter_map(|m| Some(m["t"].as_f64()? - t0))
        .reduce(f64::min)
}

fn differences(
    call: &CallRecord,
    expected: &Value,
    seconds: &dyn Fn(Option<Timestamp>) -> Option<f64>,
    earliest: &dyn Fn(&str) -> Option<f64>,
) -> Vec<(&'static str, String, String)> {
    let mut out = Vec::new();
    let methods: BTreeSet<&str> = call.methods.keys().map(String::as_str).collect();
    let their_methods: BTreeSet<&str> =
        expected["methods"].as_object().into_iter().flat_map(|m| m.keys()).map(String::as_str).collect();
    if methods != their_methods {
        out.push(("methods", format!("{methods:?}"), format!("{their_methods:?}")));
    }
    let codes: BTreeSet<String> =
        call.transactions.iter().flat_map(|t| t.responses.iter().map(|r| format!("{} {}", r.code, t.method))).collect();
    // A transaction begins with its request. Of one that was never captured, only the final code and the times are told.
    let of_seen_requests = |code: &&String| code.split(' ').nth(1).is_some_and(|method| their_methods.contains(method));
    let their_codes: BTreeSet<String> =
        expected["codes"].as_object().into_iter().flat_map(|m| m.keys()).filter(of_seen_requests).cloned().collect();
    if codes != their_codes {
        out.push(("codes", format!("{codes:?}"), format!("{their_codes:?}")));
    }
    let final_code = expected["final_code"].as_u64();
    if call.final_code.map(u64::from) != final_code {
        out.push(("final code", format!("{:?}", call.final_code), format!("{final_code:?}")));
    }
    let ended_by_bye = call.methods.contains_key("BYE").then_some(call.ended_at).flatten();
    for (what, ours, key) in [
        ("time of the INVITE", call.invited_at, "t_invite"),
        ("time of the 200", call.answered_at, "t_200"),
        ("time of the BYE", ended_by_bye, "t_bye"),
    ] {
        let (ours, theirs) = (seconds(ours), earliest(key));
        let same = match (ours, theirs) {
            // Microseconds, and what a double loses of a time since 1970.
            (Some(a), Some(b)) => (a - b).abs() < 2e-6,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            out.push((what, format!("{ours:?}"), format!("{theirs:?}")));
        }
    }
    out
}

#[test]
fn streams_agree_with_tshark() {
    let Some(root) = corpus() else { return };
    let mut rows = Vec::new();
    for (name, path) in comparable(&root) {
        let (oracle, replayed) = (oracle(&root, &path), run(&path));
        let bound = oracle["rtp_streams"].as_array().into_iter().flatten();
        for expected in bound {
            let packets = expected["packets"].as_u64().unwrap_or(0);
            let end = |a: &str, p: &str| {
                let addr: std::net::IpAddr = expected[a].as_str().unwrap().parse().unwrap();
                std::net::SocketAddr::new(addr, expected[p].as_u64().unwrap() as u16).to_string()
            };
            let (src, dst) = (end("src", "sport"), end("dst", "dport"));
            let ssrc = expected["ssrc"].as_str().unwrap_or_default();
            let label = format!("{src} > {dst} {ssrc}");
            // The oracle names the outer addresses of some tunnels.
            let same = |s: &&StreamRecord| is_tunnelled(&oracle) || (s.src == src && s.dst == dst);
            let ours = replayed.streams.iter().find(|s| same(s) && s.ssrc == ssrc);
            let Some(ours) = ours else {
                // One packet is no stream yet: two in sequence are (RFC 3550 A.1).
                if packets >= 2 {
                    rows.push([name.clone(), label, "absent".into(), format!("{packets} packets")]);
                }
                continue;
            };
            for (what, ours, theirs) in stream_differences(ours, expected, &oracle) {
                rows.push([name.clone(), format!("{what} of {label}"), ours, theirs]);
            }
        }
    }
    no_disagreement(&rows);
}

fn stream_differences(ours: &StreamRecord, expected: &Value, oracle: &Value) -> Vec<(&'static str, String, String)> {
    let mut out = Vec::new();
    let row = |list: &str| {
        let same = |t: &&Value| ["src", "dst", "sport", "dport", "ssrc"].iter().all(|key| t[*key] == expected[*key]);
        oracle[list].as_array().into_iter().flatten().find(same)
    };
    // Where the file is not in the order of time, tshark reads RTP only from the SDP on that stands in an earlier frame;
    // its heuristic reading has the packets before, too.
    let packets = expected["packets"].as_u64().unwrap_or(0);
    let by_heuristic = row("tshark_rtp_streams_heuristic").filter(|t| t["packets"].as_u64() > Some(packets));
    if let Some(all) = by_heuristic
        && all["packets"].as_u64() == Some(ours.packets)
        && all["lost"].as_u64() == Some(ours.lost)
    {
        return out;
    }
    let tshark = row("tshark_rtp_streams");
    if ours.packets != packets {
        out.push(("packets", ours.packets.to_string(), packets.to_string()));
    }
    // `lost` is what was never seen; tshark's is expected minus received, which duplicates make smaller (rule 1).
    let lost = expected["lost"].as_i64().unwrap_or(0);
    if i64::try_from(ours.lost) != Ok(lost) {
        out.push(("lost", format!("{} ({} duplicates)", ours.lost, ours.duplicates), lost.to_string()));
    }
    let duplicates = expected["dup"].as_u64().unwrap_or(0);
    if ours.duplicates != duplicates {
        out.push(("duplicates", ours.duplicates.to_string(), duplicates.to_string()));
    }
    let within = |theirs: Option<f64>| theirs.is_some_and(|t| (ours.jitter_mean_ms - t).abs() <= (t * 0.05).max(0.005));
    // Where each packet was captured several times, in its tunnel and out of it, tshark takes the copies into the mean.
    let captured_twice = is_tunnelled(oracle) && ours.duplicates > 0;
    let (own, theirs) = (expected["jitter_mean_ms"].as_f64(), tshark.and_then(|t| t["mean_jitter"].as_f64()));
    if !captured_twice && (own.is_some() || theirs.is_some()) && !within(own) && !within(theirs) {
        out.push((
            "mean jitter",
            format!("{:.3} ms at {} Hz", ours.jitter_mean_ms, ours.clock_rate_hz),
            format!("{own:?}, tshark {theirs:?}"),
        ));
    }
    out
}

/// What must be said of a capture, and what must not.
struct Verdict {
    capture: &'static str,
    /// One of these alerts, as `(code, cause)`; no alert is asked for where empty.
    one_of: &'static [(&'static str, &'static str)],
}

/// The expert's table, in the catalogue's words. What is not in `one_of` must not be reported.
const VERDICTS: &[Verdict] = &[
    Verdict { capture: "cesnet-sip.pcap", one_of: &[("scan", "known-tool"), ("scan", "brute-force")] },
    Verdict {
        capture: "mtaa-magum23-call.pcapng",
        one_of: &[("one-way-audio", "remote-unreachable"), ("blocked-rtp", "remote-unreachable")],
    },
    Verdict {
        capture: "mtaa-magum23-call-end-and-cancel.pcapng",
        one_of: &[("one-way-audio", "remote-unreachable"), ("blocked-rtp", "remote-unreachable")],
    },
    Verdict { capture: "yeastar-missed-clean.pcapng", one_of: &[] },
    Verdict { capture: "zeek-junk-before-request.pcap", one_of: &[] },
    Verdict { capture: "sngrep-ipv6frag.pcap", one_of: &[] },
    Verdict { capture: "ndpi-http-on-sip-port.pcapng", one_of: &[] },
    Verdict { capture: "gof-rtp-protocol.pcap", one_of: &[] },
    // As information: RTP arrives marked EF and leaves with DSCP 0.
    Verdict { capture: "isa-sip.pcap", one_of: &[("qos-unmarked", "local")] },
    Verdict { capture: "yeastar-answered-clean.pcapng", one_of: &[] },
    Verdict {
        capture: "gof-sip-2phones-b2bua-asterisk.pcapng",
        one_of: &[("one-way-audio", "never-sent"), ("one-way-audio", "stopped"), ("one-way-audio", "unknown")],
    },
    Verdict {
        capture: "gof-sip-register-wrong-password-401-403-401-403.pcapng",
        one_of: &[("registration-failed", "credentials")],
    },
    Verdict { capture: "gof-sip-488-not-acceptable-here-codec-null.pcapng", one_of: &[("codec-mismatch", "refused")] },
    Verdict { capture: "gof-sip-routing-error-wireshark.pcapng", one_of: &[] },
    Verdict { capture: "gof-sip-call-flow-over-tcp.pcap", one_of: &[] },
    Verdict { capture: "nextcaller-sip-tcp.pcap", one_of: &[] },
    Verdict { capture: "suri-body-large.pcap", one_of: &[] },
    Verdict { capture: "sngrep-ipip.pcap", one_of: &[("dropped-after-30s", "no-ack"), ("no-ack", "never-seen")] },
    // The donor thinned its media out: 10.2 s without a packet in either direction.
    Verdict { capture: "arkime-gtp-iphone.pcap", one_of: &[] },
    Verdict { capture: "o5gs-volte.pcapng", one_of: &[] },
    // Kinds "ok-media" and "ok-signalling" of the table without a reviewed verdict.
    Verdict { capture: "eim-sip.pcap", one_of: &[] },
    Verdict { capture: "sipnab-codec-negotiation.pcap", one_of: &[] },
    Verdict { capture: "sipnab-invite-opus-bye.pcap", one_of: &[] },
    Verdict { capture: "sipnab-register-invite-reinvite-bye.pcap", one_of: &[] },
    Verdict { capture: "ws-sip-call-rtp-g711.pcap", one_of: &[] },
    Verdict { capture: "wst-sip-rtp.pcapng", one_of: &[] },
    Verdict { capture: "gof-sip-call-with-proxy-server.pcap", one_of: &[] },
    Verdict { capture: "gof-sip-sdp-example.pcap", one_of: &[] },
    Verdict { capture: "mtaa-magum23-ringing.pcapng", one_of: &[] },
    Verdict { capture: "pcpp-sip-resp.pcap", one_of: &[] },
    Verdict { capture: "sipnab-fixture-call.pcap", one_of: &[] },
    Verdict { capture: "suri-body-frames.pcap", one_of: &[] },
];

#[test]
fn verdicts_agree_with_the_expert() {
    let Some(root) = corpus() else { return };
    let mut rows = Vec::new();
    for verdict in VERDICTS {
        let replayed = run(&root.join("pcaps").join(verdict.capture));
        let alerts: BTreeSet<(&str, &str)> = replayed.alerts.iter().map(|(c, w)| (c.as_str(), w.as_str())).collect();
        let expected: BTreeSet<(&str, &str)> = verdict.one_of.iter().copied().collect();
        if !expected.is_empty() && alerts.is_disjoint(&expected) {
            rows.push([verdict.capture.into(), "alert".into(), format!("{alerts:?}"), format!("one of {expected:?}")]);
        }
        // What a message is by its bytes, told as information, is no verdict on the call.
        let is_verdict = |alert: &&(&str, &str)| !matches!(alert.0, "oversized-udp" | "malformed-sip");
        for wrong in alerts.difference(&expected).filter(is_verdict) {
            rows.push([verdict.capture.into(), "must not be reported".into(), format!("{wrong:?}"), "nothing".into()]);
        }
    }
    no_disagreement(&rows);
}
