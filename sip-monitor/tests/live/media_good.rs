//! Calls with nothing wrong, made by real telephones, in which media is silent, moves or begins early as it should: nobody is
//! alarmed.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::alerts::{Alerts, time_of};
use crate::media_recording;
use crate::media_scene::{SIPP_RTP, Scene, UP, call};
use crate::programs::baresip::Answer;
use crate::sipp::Sipp;
use crate::world::{Turn, turn_with};

/// Longer than what counts as media that stopped.
const LONG: Duration = Duration::from_secs(13);

#[test]
fn hold_music_mute_transfer_fax_pauses_early_media_and_ice_alarm_nobody_under_xdp() -> Result<()> {
    what_people_do("xdp")
}

#[test]
fn hold_music_mute_transfer_fax_pauses_early_media_and_ice_alarm_nobody_under_tc() -> Result<()> {
    what_people_do("tc")
}

fn what_people_do(ingress: &str) -> Result<()> {
    let Some(_turn) = turn_with(Turn::Shared, &["sipp", "baresip"]) else { return Ok(()) };
    let mut scene = Scene::build(&format!("good-{ingress}"), 14)?;
    let [hold, mute, transfer, target, music, early, ice, ringing, fax, pausing] =
        std::array::from_fn(|_| scene.number());
    for n in [hold, mute, transfer, music, early, ice, ringing] {
        scene.talk_from(n, scene.world.peer(n).ip())?;
    }
    let uri = |n: usize| format!("sip:pbx@{}", scene.world.host(n));
    let (mut holding, mut muting) = (scene.peer_phone(hold).start()?, scene.peer_phone(mute).start()?);
    let mut transferring = scene.phone(transfer).start()?;
    let mut transferred = scene.peer_phone(transfer).two_rtp_ports(Scene::rtp_port(transfer)).start()?;
    let (target, target_at) = scene.second_phone(transfer, target);
    let mut target = target.start()?;
    let mut connecting = scene.peer_phone(ice).config("module ice.so").account(";medianat=ice").start()?;
    let _ice = scene.phone(ice).config("module ice.so").account(";medianat=ice").start()?;
    let _answering = [scene.phone(hold).start()?, scene.phone(mute).start()?, scene.phone(music).start()?];
    let mut dialling = scene.phone(early).start()?;
    let mut alerting = scene.phone(ringing).answers(Answer::Manual).start()?;
    let mut waiting = scene.peer_phone(ringing).start()?;
    let trunk = Sipp::answers(&scene.world, "media_uas.xml", scene.world.peer(early)).set(&["early"]);
    let trunk = trunk.key("audio_port", &SIPP_RTP.to_string()).start()?;
    media_recording::write(&scene.world.folder)?;
    let _ears = scene.world.open_ears(SIPP_RTP, 3)?;
    let faxes = Sipp::answers(&scene.world, "media_fax_uas.xml", scene.world.host(fax));
    let faxes = faxes.key("audio_port", &SIPP_RTP.to_string()).start()?;
    let talks = Sipp::answers(&scene.world, "media_pauses_uas.xml", scene.world.host(pausing));
    let talks = talks.key("contact", &scene.world.host(pausing).to_string()).start()?;
    let daemon = scene.daemon(ingress)?;

    let mut players = Vec::new();
    for (n, name, scenario) in [
        (music, "music", "media_moh.xml"),
        (fax, "fax", "media_fax_uac.xml"),
        (pausing, "pauses", "media_pauses_uac.xml"),
    ] {
        let (from, to) = (scene.world.peer(n), scene.world.host(n));
        let audio = [("audio_ip", from.ip().to_string()), ("audio_port", SIPP_RTP.to_string())];
        let sipp = Sipp::calls_to(&scene.world, scenario, from, to, name).keys(&audio);
        let sipp = sipp.key("user", "pbx").key("contact", &to.to_string());
        // A recording is played for 16 s; the others talk before and after this time.
        let ms = if n == pausing { 15_800 } else { u32::try_from(LONG.as_millis())? };
        players.push(sipp.talk_ms(ms).start()?);
    }
    call(&mut holding, &uri(hold))?;
    call(&mut muting, &uri(mute))?;
    call(&mut transferred, &uri(transfer))?;
    call(&mut connecting, &uri(ice))?;
    dialling.dial(&format!("sip:trunk@{}", scene.world.peer(early)))?;
    waiting.dial(&uri(ringing))?;
    alerting.wait_incoming()?;

    std::thread::sleep(Duration::from_secs(3));
    holding.hold()?;
    muting.mute()?;
    transferring.transfer(&format!("sip:pbx@{target_at}"))?;
    target.wait_established()?;
    std::thread::sleep(Duration::from_secs(3));
    alerting.accept()?;
    std::thread::sleep(Duration::from_secs(3));
    muting.mute()?;
    std::thread::sleep(LONG - Duration::from_secs(6));
    holding.resume()?;
    std::thread::sleep(Duration::from_secs(3));
    let callers = [&mut holding, &mut muting, &mut transferred, &mut connecting, &mut dialling];
    for phone in callers.into_iter().chain([&mut waiting]) {
        phone.hang_up()?;
        phone.wait_closed()?;
    }
    for sipp in players.into_iter().chain([trunk, faxes, talks]) {
        sipp.wait(UP)?;
    }
    std::thread::sleep(Duration::from_millis(500));
    let alerts = Alerts::of(daemon.stop()?.0);
    ensure!(alerts.of_severity("warning").is_empty() && alerts.of_severity("critical").is_empty(), "{alerts}");
    let calls = alerts.records("call");
    let ended = calls.iter().filter(|call| call["final_code"] == 200 && call["ended_at"].is_string());
    ensure!(ended.count() == 10, "{calls:?}");
    // The silence was there: a pause behind comfort noise, and no RTP beside the fax.
    let streams = alerts.records("stream");
    let of = |name: &str| {
        let is_it = |id: &str| id.split('@').next() == Some(name);
        streams.iter().filter(|s| s["call_id"].as_str().is_some_and(is_it)).copied().collect::<Vec<_>>()
    };
    let paused = of("pauses").iter().any(|s| {
        let types = s["payload_types"].as_array().map_or(0, Vec::len);
        types == 2 && s["gap_max_ms"].as_f64() > Some(LONG.as_secs_f64() * 750.0)
    });
    ensure!(paused, "{:?}", of("pauses"));
    let talked_s = |s: &Value| Some(time_of(s, "last_at")?.duration_since(time_of(s, "first_at")?).as_secs());
    let faxed = of("fax");
    ensure!(faxed.len() == 2 && faxed.iter().all(|s| talked_s(s).is_some_and(|n| n <= 5)), "{faxed:?}");
    Ok(())
}
