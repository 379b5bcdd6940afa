//! Metrics as an operator has them: the daemon watches real calls, a real Prometheus scrapes it, and what it knows afterwards is
//! what SIPp counted.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sip_monitor::demo::daemon::Daemon;

use crate::programs::prometheus::{Prometheus, get};
use crate::sipp::Sipp;
use crate::world::{self, Family, INTERFACE, Turn, World};

const METRICS: &str = "127.0.0.1:19060";

#[test]
fn prometheus_knows_of_calls_what_sipp_counted() -> Result<()> {
    let Some(_turn) = world::turn_with(Turn::Shared, &["sipp", "prometheus", "promtool"]) else { return Ok(()) };
    let world = World::build("metrics", Family::V4, 4)?;
    let config = world.folder.join("sip-monitor.toml");
    let mut text = format!("privacy = \"plain\"\n[prometheus]\nlisten = \"{METRICS}\"\n");
    for (name, peer) in [("inbound", 0), ("carrier-a", 1), ("carrier-b", 2)] {
        text.push_str(&format!("[[trunk]]\nname = \"{name}\"\naddresses = [\"{}\"]\n", world.peer(peer).ip()));
    }
    std::fs::write(&config, text)?;
    let program = env!("CARGO_BIN_EXE_sip-monitor").as_ref();
    let args = ["--ingress", "tc", "--emit", "alerts,calls"];
    let daemon = Daemon::start_configured(&world.pair.monitored, program, INTERFACE, &config, &args)?;
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/prometheus/sip-monitor.rules.yml");
    let mut prometheus = Prometheus::start(&world, METRICS, &[rules])?;

    let (host, peer) = (|n| world.host(n), |n| world.peer(n));
    let mut callees = Vec::new();
    let mut callers = Vec::new();
    // Calls that are answered, in and out; calls that are refused, by a trunk and by a peer that is none.
    for (n, outgoing, calls) in [(0, false, 12), (1, true, 10)] {
        let at = if outgoing { peer(n) } else { host(n) };
        let keys = [("contact", at.to_string()), ("peer", "unused".to_owned()), ("audio_port", "6000".to_owned())];
        let callee = Sipp::callee(&world, n).outgoing(outgoing).keys(&keys).calls(calls);
        callees.push(callee.start()?);
        let caller = Sipp::caller(&world, n, "good").outgoing(outgoing).keys(&keys).calls(calls).talk_ms(11_500);
        callers.push(caller.start()?);
    }
    for (n, status, calls) in [(2, "486 Busy Here", 7), (3, "503 Service Unavailable", 5)] {
        let scenario = include_str!("../sipp/refused_callee.xml").replace("STATUS", status);
        let refuses = world.folder.join(format!("refuses-{n}.xml"));
        std::fs::write(&refuses, scenario)?;
        callees.push(Sipp::answers(&world, refuses, peer(n)).calls(calls).start()?);
        callers.push(Sipp::calls_to(&world, "refused_caller.xml", host(n), peer(n), "refused").calls(calls).start()?);
    }
    let mut went = Vec::new();
    for caller in callers {
        went.push(caller.wait(Duration::from_secs(60)).context("callers")?);
    }
    for callee in callees {
        callee.wait(Duration::from_secs(10)).context("callees")?;
    }
    let counted = |n: usize| went.get(n).copied().unwrap_or_default() as f64;
    ensure!(went.iter().sum::<usize>() == 34, "SIPp counted {went:?}");

    // What comes last of a call: once Prometheus has that, it has all.
    prometheus.wait_for("sum(sipmonitor_calls_completed_total)", counted(0) + counted(1))?;
    for (query, wanted) in [
        ("up{job=\"sip-monitor\"}", 1.0),
        ("sipmonitor_calls_attempts_total{direction=\"in\"}", counted(0)),
        ("sipmonitor_calls_attempts_total{direction=\"out\"}", counted(1) + counted(2) + counted(3)),
        ("sipmonitor_calls_answered_total{direction=\"in\"}", counted(0)),
        ("sipmonitor_calls_answered_total{direction=\"out\"}", counted(1)),
        ("sipmonitor_calls_failed_total{direction=\"out\",code=\"486\"}", counted(2)),
        ("sipmonitor_calls_failed_total{direction=\"out\",code=\"503\"}", counted(3)),
        ("sum(sipmonitor_calls_failed_total)", counted(2) + counted(3)),
        ("sum(sipmonitor_calls)", 0.0),
        ("sipmonitor_call_duration_seconds_count{direction=\"in\"}", counted(0)),
        // 11.5 s each.
        ("sipmonitor_call_duration_seconds_bucket{direction=\"out\",le=\"10.0\"}", 0.0),
        ("sipmonitor_call_duration_seconds_bucket{direction=\"out\",le=\"20.0\"}", counted(1)),
        ("sipmonitor_call_setup_seconds_count{direction=\"out\"}", counted(1)),
        // Messages, less those that a busy machine had SIPp send again.
        (
            "sum(sipmonitor_sip_requests_total{method=\"INVITE\"}) - sum(sipmonitor_sip_retransmissions_total{kind=\"request\",method=\"INVITE\"})",
            34.0,
        ),
        (
            "sum(sipmonitor_sip_requests_total{method=\"BYE\"}) - sum(sipmonitor_sip_retransmissions_total{kind=\"request\",method=\"BYE\"})",
            22.0,
        ),
        ("sum(sipmonitor_sip_responses_total{method=\"INVITE\",code=\"486\",direction=\"in\"})", counted(2)),
        ("sipmonitor_trunk_incoming_calls_total{trunk=\"inbound\"}", counted(0)),
        ("sipmonitor_trunk_attempts_total{trunk=\"carrier-a\"}", counted(1)),
        ("sipmonitor_trunk_answered_total{trunk=\"carrier-a\"}", counted(1)),
        ("sipmonitor_trunk_completed_total{trunk=\"carrier-a\"}", counted(1)),
        ("sipmonitor_trunk_outcomes_total{trunk=\"carrier-b\",code=\"486\"}", counted(2)),
        ("sipmonitor_trunk_effective_total{trunk=\"carrier-b\"}", counted(2)),
        ("sipmonitor_trunk_ineffective_total{trunk=\"other\"}", counted(3)),
        ("sipmonitor_trunk_session_request_delay_seconds_count{trunk=\"carrier-b\",outcome=\"failed\"}", counted(2)),
        ("sipmonitor_trunk_calls{trunk=\"carrier-a\"}", 0.0),
        ("sum(sipmonitor_capture_lost_total)", 0.0),
        ("sum(sipmonitor_sink_dropped_total)", 0.0),
        ("sipmonitor_capture_interface_info{ingress=\"tcx\",egress=\"tcx\"}", 1.0),
        // All packets are accounted for.
        ("sipmonitor_capture_packets_received_total - sum(sipmonitor_capture_packets_total)", 0.0),
    ] {
        let found = prometheus.value(query)?;
        ensure!(found == wanted, "{query}: {wanted} wanted, {found} found");
    }
    // 50 packets a second each way of each call, for 10 s at least: counted by the trunk they come from.
    let heard =
        prometheus.query("sum by (trunk, codec) (sipmonitor_audio_packets_expected_total{direction=\"in\"})")?;
    let of_inbound = heard.get("codec=PCMU,trunk=inbound").copied().unwrap_or_default();
    ensure!((12.0 * 480.0..12.0 * 600.0).contains(&of_inbound), "{heard:?}");
    ensure!(prometheus.value("sum(sipmonitor_audio_mos_count{trunk=\"carrier-a\",direction=\"in\"})")? >= 10.0);

    let namespace = &world.pair.monitored;
    for path in ["/-/healthy", "/-/ready"] {
        let answer = get(namespace, METRICS, path, "")?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    check(&get(namespace, METRICS, "/metrics", "")?)?;
    let open = get(namespace, METRICS, "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n")?;
    ensure!(open.contains("# {call_id=\"refused@"), "no Call-ID of a refused call is an exemplar");

    let (lines, log) = daemon.stop()?;
    let fired = lines.iter().filter(|line| line.text.contains("\"status\":\"firing\"")).count();
    let told: f64 = prometheus.query("sipmonitor_alerts_fired_total")?.values().sum();
    ensure!(told as usize == fired, "{fired} alerts were printed and {told} counted");
    ensure!(!log.contains("no metrics"), "{log}");
    Ok(())
}

/// Has promtool look at an answer.
fn check(answer: &str) -> Result<()> {
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer with metrics")?;
    ensure!(head.contains("text/plain; version=0.0.4"), "{head}");
    let mut command = std::process::Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("starting promtool")?;
    child.stdin.take().context("promtool's input")?.write_all(body.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.is_empty(), "promtool: {said}");
    Ok(())
}
