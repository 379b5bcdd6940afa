//! The monitor gets no CPU for a while and its ring is too small for what piles up: what it missed is its own loss, and nobody
//! else is blamed for it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::alerts::Alerts;
use crate::media_scene::{SIPP_RTP, Scene, UP};
use crate::sipp::{Audio, Sipp};
use crate::world::{Turn, turn_with};

/// Calls at a time; each has two streams, and each stream is reported once a second in some 300 bytes.
const CALLS: usize = 60;
/// The smallest that the configuration allows.
const SMALL_RING: &str = "[capture]\nmedia_ring = \"64KiB\"\n";

#[test]
fn what_the_monitor_itself_missed_is_blamed_on_nobody() -> Result<()> {
    let Some(_turn) = turn_with(Turn::Shared, &["sipp", "baresip"]) else { return Ok(()) };
    let mut scene = Scene::build("blind", 3)?;
    let (many, silent) = (scene.number(), scene.number());
    scene.talk_from(silent, scene.world.peer(silent).ip())?;
    let _phone = scene.phone(silent).start()?;
    let daemon = scene.daemon_configured("tc", SMALL_RING)?;
    let keys = |n: usize| {
        let peer = scene.world.peer(n).ip().to_string();
        let contact = scene.world.host(n).to_string();
        let audio = [("audio_ip", peer), ("audio_port", SIPP_RTP.to_string())].into_iter();
        audio.chain([("user", "pbx".to_owned()), ("contact", contact)]).collect::<Vec<_>>()
    };
    // Recordings, each from a port of its own; the ports are open, and what comes there is taken.
    let _ears = scene.world.open_ears(SIPP_RTP, u16::try_from(CALLS)? + 5)?;
    let recorded = |sipp: Sipp<'_>| sipp.audio(Audio::Recorded).calls(CALLS).keys(&keys(many)).talk_ms(7_500).start();
    let callee = recorded(Sipp::callee(&scene.world, many))?;
    let callers = recorded(Sipp::caller(&scene.world, many, "talks"))?;
    let (from, to) = (scene.world.peer(silent), scene.world.host(silent));
    let caller = Sipp::calls_to(&scene.world, "media_uac.xml", from, to, "silent").set(&["silent"]);
    let caller = caller.keys(&keys(silent)).talk_ms(10_000).start()?;
    // 25 new calls a second.
    std::thread::sleep(Duration::from_secs(3));
    signal(daemon.pid(), libc::SIGSTOP)?;
    std::thread::sleep(Duration::from_millis(4_500));
    signal(daemon.pid(), libc::SIGCONT)?;
    for sipp in [caller, callers, callee] {
        sipp.wait(UP)?;
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
    ensure!(streams.len() == 2 * CALLS + 1, "{} streams", streams.len());
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
