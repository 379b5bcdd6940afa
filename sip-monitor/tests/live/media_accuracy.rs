//! rtpengine as a second opinion: the same calls, counted by it and by us, with losses that nftables make and count on the way
//! before this host.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::alerts::Alerts;
use crate::media_scene::{PROGRAMS, SIPP_RTP, Scene, UP, call, nft_counter};
use crate::programs::relay::User;
use crate::programs::rtpengine::rtp_ports;
use crate::sipp::Sipp;
use crate::world::{Turn, turn_with};

/// Of each call's media from the caller every so manyeth packet is lost; 0: none.
const LOST_EVERY: [u64; 4] = [0, 100, 20, 7];

#[test]
fn rtpengine_counts_the_same_packets_and_the_same_loss() -> Result<()> {
    let Some(_turn) = turn_with(Turn::Shared, &PROGRAMS) else { return Ok(()) };
    let mut scene = Scene::build("accuracy", 2 + 2 * LOST_EVERY.len())?;
    let relay_at = scene.number();
    let engine = scene.rtpengine(relay_at)?;
    let numbers: Vec<(usize, usize)> = LOST_EVERY.iter().map(|_| (scene.number(), scene.number())).collect();
    let user = |n: usize| format!("user{n}");
    let users: Vec<User> = numbers
        .iter()
        .map(|&(n, callee)| User { name: user(n), at: scene.world.peer(callee), rtpengine: engine.socket_name() })
        .collect();
    let _proxy = scene.relay(&users)?;
    for (&(n, _), every) in numbers.iter().zip(LOST_EVERY).filter(|(_, every)| *every > 0) {
        let caller = scene.world.peer(n).ip();
        // At the outgoing interface: no sender is told.
        let rule =
            format!("ip saddr {caller} udp sport {SIPP_RTP} numgen inc mod {every} == {} counter drop", every - 1);
        scene.egress_rule(&scene.world.pair.outside, "trunk0", &format!("lost_{n}"), &rule)?;
    }
    let daemon = scene.daemon("tc")?;
    let mut callees = Vec::new();
    for &(_, callee) in &numbers {
        let sipp = Sipp::answers(&scene.world, "media_uas.xml", scene.world.peer(callee)).set(&["stops"]);
        callees.push(sipp.key("audio_port", &SIPP_RTP.to_string()).start()?);
    }
    let mut callers = Vec::new();
    for &(n, _) in &numbers {
        let peer = scene.world.peer(n).ip().to_string();
        let keys = [("user", user(n)), ("audio_ip", peer), ("audio_port", SIPP_RTP.to_string())];
        let (from, to) = (scene.world.peer(n), scene.world.host(0));
        let sipp = Sipp::calls_to(&scene.world, "media_uac.xml", from, to, &user(n)).set(&["stops"]).keys(&keys);
        callers.push(sipp.talk_ms(4_000).start()?);
    }
    // Both sides talk for 4 s and hang up 4 s later.
    std::thread::sleep(Duration::from_millis(6_000));
    let mut counted = Vec::new();
    for (&(n, _), caller) in numbers.iter().zip(&callers) {
        counted.push(rtp_ports(&engine.query(&format!("{}@1-{}", user(n), caller.id()))?)?);
    }
    for sipp in callers.into_iter().chain(callees) {
        sipp.wait(UP)?;
    }
    std::thread::sleep(Duration::from_millis(500));
    let alerts = Alerts::of(daemon.stop()?.0);
    let streams = alerts.records("stream");
    let host = scene.world.host(relay_at).ip();
    for ((&(n, _), every), ports) in numbers.iter().zip(LOST_EVERY).zip(counted) {
        ensure!(ports.len() == 2, "{ports:?}");
        for port in ports {
            let (src, dst) = (port.endpoint.to_string(), format!("{host}:{}", port.local));
            let stream = streams.iter().find(|s| s["src"] == src.as_str() && s["dst"] == dst.as_str());
            let stream = stream.with_context(|| format!("no record of {src} -> {dst}"))?;
            let number = |key: &str| stream[key].as_u64().with_context(|| format!("no {key} in {stream}"));
            let ours = (number("packets")?, number("bytes")?);
            ensure!(ours == (port.packets, port.bytes), "rtpengine counted {port:?}: {stream}");
            let is_caller = port.endpoint == std::net::SocketAddr::new(scene.world.peer(n).ip(), SIPP_RTP);
            let dropped =
                if is_caller && every > 0 { nft_counter(&scene.world.pair.outside, &format!("lost_{n}"))? } else { 0 };
            // The last one of all is missed by nobody.
            let at_the_end = u64::from(dropped > 0 && (port.packets + dropped) % every == 0);
            ensure!(
                number("lost")? == dropped - at_the_end,
                "nftables dropped {dropped}, {at_the_end} at the end: {stream}"
            );
            println!("{src}: {} packets, {} lost, {dropped} dropped", port.packets, number("lost")?);
            ensure!(port.packets > 150 && (every == 0 || !is_caller || dropped > 0), "{port:?}, {dropped} dropped");
        }
    }
    Ok(())
}

#[test]
fn rtpengine_and_the_receivers_rtcp_tell_the_same_loss() -> Result<()> {
    let Some(_turn) = turn_with(Turn::Shared, &PROGRAMS) else { return Ok(()) };
    let mut scene = Scene::build("rtcp", 3)?;
    let (relay_at, callee) = (scene.number(), scene.number());
    let engine = scene.rtpengine(relay_at)?;
    let user = User { name: "peer".to_owned(), at: scene.world.peer(callee), rtpengine: engine.socket_name() };
    let _proxy = scene.relay(&[user])?;
    scene.talk_from(relay_at, scene.world.peer(callee).ip())?;
    let (mut caller, _callee) = (scene.far_phone(0, relay_at)?.start()?, scene.peer_phone(callee).start()?);
    let outside = &scene.world.pair.outside;
    let rule = format!("udp sport {} numgen inc mod 10 == 5 counter drop", Scene::rtp_port(0));
    scene.egress_rule(outside, "trunk0", "lost", &rule)?;
    let daemon = scene.daemon("tc")?;
    let call_id = call(&mut caller, &format!("sip:peer@{}", scene.world.host(0)))?;
    // Reports come every 5 s, and rtpengine keeps them once it knows the round trip: those at 15 s know of all that was lost
    // until 7 s.
    std::thread::sleep(Duration::from_millis(7_000));
    scene.end_egress_rule(outside, "lost")?;
    let dropped = nft_counter(outside, "lost")?;
    std::thread::sleep(Duration::from_millis(13_000));
    let told = engine.query(&call_id)?;
    caller.hang_up()?;
    caller.wait_closed()?;
    std::thread::sleep(Duration::from_millis(500));
    let alerts = Alerts::of(daemon.stop()?.0);
    ensure!(dropped > 20, "{dropped} dropped");
    let told = told["SSRC"].as_object().context("no SSRC in rtpengine's answer")?;
    // One entry a reporter, where rtpengine knows its round trip by now; the callee is the one that missed packets.
    let lost: Vec<Option<u64>> = told.values().map(|of| of["cumulative loss"].as_u64()).collect();
    let fits = lost.contains(&Some(dropped)) && lost.iter().all(|n| *n == Some(dropped) || *n == Some(0));
    ensure!(fits, "{dropped} were dropped, rtpengine says {told:?}");
    let streams = alerts.records("stream");
    ensure!(streams.len() == 4, "{streams:?}");
    for stream in streams {
        let is_lossy = stream["from_side"] == "caller";
        let lost = if is_lossy { dropped } else { 0 };
        ensure!(stream["lost"] == lost, "{dropped} were dropped: {stream}");
        // What leaves is lost in the numbers of the sequence already, and so its receiver says.
        ensure!(stream["direction"] == "in" || stream["remote_lost"] == lost, "{dropped} were dropped: {stream}");
    }
    Ok(())
}
