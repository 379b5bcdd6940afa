//! The monitor gets no CPU for a while and its ring is too small for what piles up: what it missed is its own loss, and nobody
//! else is blamed for it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::alerts::Alerts;
use crate::media_scene::{SIPP_RTP, Scene, UP};
use crate::sipp::Sipp;
use crate::world::{Turn, turn};

/// Calls at a time; each has two streams, and each stream is reported once a second in some 300 bytes.
const CALLS: usize = 16;
const SMALL_RING: &str = "[capture]\nmedia_ring = \"4KiB\"\n";

#[test]
fn what_the_monitor_itself_missed_is_blamed_on_nobody() -> Result<()> {
    let Some(_turn) = turn(Turn::Shared) else { return Ok(()) };
    let mut scene = Scene::build("blind", 1 + CALLS)?;
    let daemon = scene.daemon_configured("tc", SMALL_RING)?;
    let (mut phones, mut calls) = (Vec::new(), Vec::new());
    let numbers: Vec<usize> = (0..CALLS).map(|_| scene.number()).collect();
    for &n in &numbers {
        scene.talk_from(n, scene.world.peer(n).ip())?;
        phones.push(scene.phone(n).start()?);
    }
    for (index, &n) in numbers.iter().enumerate() {
        let peer = scene.world.peer(n).ip().to_string();
        let keys = [("user", "pbx".to_owned()), ("audio_ip", peer), ("audio_port", SIPP_RTP.to_string())];
        let (name, switches): (_, &[&str]) = if index == 0 { ("silent", &["silent"]) } else { ("talks", &[]) };
        let caller = Sipp::caller(&scene.world, n, name).scenario("media_uac.xml").set(switches).keys(&keys);
        calls.push(caller.talk_ms(9_000).start()?);
    }
    std::thread::sleep(Duration::from_secs(2));
    signal(daemon.pid(), libc::SIGSTOP)?;
    std::thread::sleep(Duration::from_millis(2_500));
    signal(daemon.pid(), libc::SIGCONT)?;
    for call in calls {
        call.wait(UP)?;
    }
    std::thread::sleep(Duration::from_millis(500));
    let alerts = Alerts::of(daemon.stop()?.0);

    ensure!(
        alerts.about_others(&["silent", "talks"]).contains(&("capture-loss".into(), "ring-full".into())),
        "{alerts}"
    );
    ensure!(alerts.about("silent").contains(&("one-way-audio".into(), "never-arrived".into())), "{alerts}");
    for line in alerts.lines_about("silent").iter().filter(|line| line["code"] == "one-way-audio") {
        ensure!(line["confidence"] == "possible" && line["severity"] == "info", "not weakened: {line}");
    }
    // Nothing but information about calls in which all was well, and no loss where none was.
    let blamed = alerts.lines_about("talks");
    let blamed = blamed.iter().find(|line| line["severity"] != "info" || line["code"] == "rtp-loss");
    ensure!(blamed.is_none(), "{}", blamed.context("the alert")?);
    let streams = alerts.records("stream");
    ensure!(streams.len() == 2 * CALLS - 1, "{} streams", streams.len());
    let lossy = streams.iter().find(|stream| stream["lost"] != 0 || stream["lossy_intervals"].as_u64() > Some(0));
    ensure!(lossy.is_none(), "{}", lossy.context("the stream")?);
    Ok(())
}

fn signal(process: u32, signal: libc::c_int) -> Result<()> {
    // SAFETY: a signal to our own child, which lives until it is stopped below.
    let result = unsafe { libc::kill(libc::pid_t::try_from(process)?, signal) };
    ensure!(result == 0, "signalling the daemon: {}", std::io::Error::last_os_error());
    Ok(())
}
