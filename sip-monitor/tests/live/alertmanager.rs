//! The real Alertmanager beside the daemon: calls that fail become one alert there, with a count, and it ends when they are over.
//! Where Alertmanager is killed meanwhile the daemon goes on telling, and tells Alertmanager when it is back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sip_monitor::demo::daemon::Daemon;

use crate::alerts::Alerts;
use crate::programs::child::Program;
use crate::programs::prometheus::get;
use crate::sipp::Sipp;
use crate::world::{self, Family, INTERFACE, Turn, World};

const API: &str = "127.0.0.1:9093";

#[test]
fn failed_calls_are_one_alert_at_alertmanager_until_they_are_over() -> Result<()> {
    let Some(_turn) = world::turn_with(Turn::Shared, &["sipp", "prometheus-alertmanager", "amtool"]) else {
        return Ok(());
    };
    let world = World::build("alertmanager", Family::V4, 2)?;
    let config = world.folder.join("sip-monitor.toml");
    let trunk = world.peer(0).ip();
    std::fs::write(
        &config,
        format!(
            "privacy = \"plain\"\n[alertmanager]\nurls = [\"http://{API}\"]\nresend = \"3s\"\n\
             [[trunk]]\nname = \"carrier-a\"\naddresses = [\"{trunk}\"]\n"
        ),
    )?;
    let program = env!("CARGO_BIN_EXE_sip-monitor").as_ref();
    let args = ["--ingress", "tc", "--emit", "alerts"];
    let daemon = Daemon::start_configured(&world.pair.monitored, program, INTERFACE, &config, &args)?;
    let alertmanager = start(&world)?;

    // Three calls through a trunk and one from a peer that is none: their answers are acknowledged after 20 s only.
    let mut running = Vec::new();
    for (n, calls) in [(0, 3), (1, 1)] {
        let callee = Sipp::answers(&world, "late_ack_callee.xml", world.host(n)).args(&["-max_invite_retrans", "30"]);
        running.push(callee.calls(calls).start()?);
        let caller = Sipp::calls_to(&world, "late_ack_caller.xml", world.peer(n), world.host(n), "late");
        running.push(caller.calls(calls).talk_ms(20_000).start()?);
    }
    let fires = |alerts: &[Value]| {
        let count = |trunk: &str| {
            let found = alerts.iter().find(|alert| alert["labels"]["trunk"] == trunk)?;
            found["annotations"]["calls"].as_str()?.parse::<u32>().ok()
        };
        alerts.len() == 2 && count("carrier-a") == Some(3) && count("other") == Some(1)
    };
    for alert in &wait_for(&world, fires)? {
        let labels = &alert["labels"];
        ensure!(labels["diagnosis"] == "no-ack" && labels["cause"] == "never-seen", "{labels}");
        ensure!(labels["severity"] == "warning" && labels["job"] == "sip-monitor", "{labels}");
        ensure!(!labels.to_string().contains("late@") && !labels.to_string().contains("203.0.113."), "{labels}");
        let ids = alert["annotations"]["sample_call_ids"].as_str().context("sample Call-IDs")?;
        ensure!(ids.contains("late@"), "{ids}");
    }

    // One that was restarted knows nothing: it is told what fires, and then that it is over.
    drop(alertmanager);
    let _back = start(&world)?;
    wait_for(&world, fires)?;
    for sipp in running {
        sipp.wait(Duration::from_secs(30))?;
    }
    wait_for(&world, |alerts| alerts.is_empty())?;
    let ready = get(&world.pair.monitored, "127.0.0.1:19060", "/-/healthy", "")?;
    ensure!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    let metrics = get(&world.pair.monitored, "127.0.0.1:19060", "/metrics", "")?;
    let count = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name}{{sink=\"alertmanager\"}}")));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).unwrap_or(0)
    };
    ensure!(count("sipmonitor_sink_written_total") >= 6, "told, told again, told that it is over: {metrics}");

    let (lines, log) = daemon.stop()?;
    let alerts = Alerts::of(lines);
    let verdict = ("no-ack".to_owned(), "never-seen".to_owned());
    ensure!(alerts.about("late").contains(&verdict), "{alerts}");
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

/// Starts it with a folder that it keeps, and waits until it answers.
fn start(world: &World) -> Result<Program> {
    let config = world.folder.join("alertmanager.yml");
    std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n")?;
    let namespace = &world.pair.monitored;
    let mut command = namespace.command("prometheus-alertmanager");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.path={}", world.folder.join("alertmanager").display()));
    command.args([&format!("--web.listen-address={API}"), "--cluster.listen-address="]);
    let mut program = Program::start(command, "alertmanager", &world.folder.join("alertmanager.log"))?;
    program.wait_until(Duration::from_secs(30), || {
        get(namespace, API, "/-/ready", "").ok().filter(|answer| answer.starts_with("HTTP/1.1 200"))
    })?;
    Ok(program)
}

/// Waits until what `amtool alert query` prints is as it should be, and gives it.
fn wait_for(world: &World, is_so: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        let mut amtool = world.pair.monitored.command("amtool");
        amtool.args([&format!("--alertmanager.url=http://{API}"), "alert", "query", "-o", "json"]);
        let output = amtool.output().context("starting amtool")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let alerts: Vec<Value> = serde_json::from_str(&said).unwrap_or_default();
        if output.status.success() && is_so(&alerts) {
            return Ok(alerts);
        }
        if Instant::now() >= end {
            bail!("amtool prints {said}{}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
