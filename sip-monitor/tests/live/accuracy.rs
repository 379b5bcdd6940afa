//! Accuracy: streams with known gaps, repeats, reorderings and jitter, in both directions at once. The sender's own ledger is the
//! truth for what was counted, the receiving kernel's time stamps are the truth for jitter.

mod script;
mod wire;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use crate::alerts::Alerts;
use crate::world::{Family, Turn, World, turn};
use script::{Clock, Script, Stream};
use wire::{Arrival, drain, endpoint, send};

/// What jitter may be off by.
const JITTER_TOLERANCE: f64 = 0.02;

#[test]
fn every_stream_is_counted_exactly_over_ipv4_under_xdp() -> Result<()> {
    accuracy(Family::V4, "xdp")
}

#[test]
fn every_stream_is_counted_exactly_over_ipv6_under_tc() -> Result<()> {
    accuracy(Family::V6, "tc")
}

fn accuracy(family: Family, ingress: &str) -> Result<()> {
    let Some(_turn) = turn(Turn::Alone) else { return Ok(()) };
    let world = World::build(&format!("exact-{}-{ingress}", family.name()), family, 1)?;
    let daemon = world.daemon(ingress, "streams,calls")?;
    let (host, peer) = (world.host(0), world.peer(0));
    let incoming = script::all(0x1000);
    let outgoing = script::all(0x2000);
    let (host_ends, peer_ends) = (sockets(&world, host, incoming.len())?, sockets(&world, peer, incoming.len())?);

    call(&world)?;
    std::thread::scope(|scope| {
        let senders = [(&peer_ends, host, &incoming), (&host_ends, peer, &outgoing)];
        let threads = senders.map(|(from, to, scripts)| {
            let lines = (0_u16..).zip(from.iter().zip(scripts));
            let lines =
                lines.map(|(n, (socket, script))| (socket, SocketAddr::new(to.ip(), port(n)), script)).collect();
            scope.spawn(move || send(lines))
        });
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a sender panicked"))?)
    })?;
    // The last packets leave the rings at the next poll.
    std::thread::sleep(Duration::from_millis(300));
    let lines = Alerts::of(daemon.stop()?.0);
    let records = lines.records("stream");
    for (direction, scripts, ends) in [("in", &incoming, &host_ends), ("out", &outgoing, &peer_ends)] {
        for (script, socket) in scripts.iter().zip(ends) {
            let arrived = drain(socket)?;
            for stream in &script.streams {
                let record = records.iter().find(|r| r["ssrc"] == format!("0x{:08x}", stream.ssrc));
                let record = record.with_context(|| format!("{}, {direction}: no record", script.name))?;
                compare(script, stream, &arrived, record)
                    .with_context(|| format!("{}, {direction}\n{record:#}", script.name))?;
                ensure!(record["direction"] == direction, "{}: {}", script.name, record["direction"]);
            }
        }
    }
    let expected = 2 * script::all(0).iter().map(|script| script.streams.len()).sum::<usize>();
    ensure!(records.len() == expected, "{} records of {expected} streams", records.len());
    Ok(())
}

/// A call, so that SDP gives the clock rates of dynamic payload types in both directions. Only its packets matter: nobody listens.
fn call(world: &World) -> Result<()> {
    let (host, peer) = (world.host(0), world.peer(0));
    let negotiated = script::all(0).into_iter().zip(0_u16..).filter(|(script, _)| !script.rtpmap.is_empty());
    let media: String = negotiated
        .map(|(script, n)| {
            let types: Vec<String> = script.rtpmap.iter().map(|(number, _)| number.to_string()).collect();
            let maps: String = script.rtpmap.iter().map(|(n, format)| format!("a=rtpmap:{n} {format}\r\n")).collect();
            format!("m=audio {} RTP/AVP {}\r\n{maps}", port(n), types.join(" "))
        })
        .collect();
    let (callee, caller) = (
        world.pair.monitored.inside(|| Ok(UdpSocket::bind(host)?))?,
        world.pair.outside.inside(|| Ok(UdpSocket::bind(peer)?))?,
    );
    let version = if host.is_ipv4() { "IP4" } else { "IP6" };
    let sdp = |at: SocketAddr| {
        format!("v=0\r\no=- 1 1 IN {version} {0}\r\ns=-\r\nc=IN {version} {0}\r\nt=0 0\r\n{media}", at.ip())
    };
    let message = |first: &str, method: &str, tag: &str, body: &str| {
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{first}\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK{method}\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>{tag}\r\nCall-ID: exact@here\r\n\
             CSeq: 1 {method}\r\nContact: <sip:{peer}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    caller.send_to(message(&format!("INVITE sip:b@{host} SIP/2.0"), "INVITE", "", &sdp(peer)).as_bytes(), host)?;
    callee.send_to(message("SIP/2.0 200 OK", "INVITE", ";tag=2", &sdp(host)).as_bytes(), peer)?;
    caller.send_to(message(&format!("ACK sip:b@{host} SIP/2.0"), "ACK", ";tag=2", "").as_bytes(), host)?;
    Ok(())
}

/// The port of script `n`, on both sides.
fn port(n: u16) -> u16 {
    20_000 + 2 * n
}

/// A socket for each script at one end. It sends and receives, as phones do.
fn sockets(world: &World, at: SocketAddr, count: usize) -> Result<Vec<UdpSocket>> {
    let ports = (0_u16..).take(count).map(port);
    world.namespace_of(at).inside(|| ports.map(|port| endpoint(SocketAddr::new(at.ip(), port))).collect())
}

/// Compares one stream's record with what was sent, and its jitter with what arrived.
fn compare(script: &Script, stream: &Stream, arrived: &[Arrival], record: &Value) -> Result<()> {
    let sent: Vec<_> = script.packets.iter().filter(|packet| packet.ssrc == stream.ssrc).collect();
    let arrived: Vec<_> = arrived.iter().filter(|arrival| arrival.ssrc == stream.ssrc).collect();
    ensure!(
        sent.iter().map(|packet| packet.sequence).eq(arrived.iter().map(|arrival| arrival.sequence)),
        "the path itself lost or reordered packets"
    );
    for (name, truth) in [
        ("packets", sent.len() as u64),
        ("bytes", sent.iter().map(|packet| packet.bytes().len() as u64).sum()),
        ("lost", stream.ledger.lost),
        ("duplicates", stream.ledger.duplicates),
        ("late", stream.ledger.late),
        ("expected", sent.len() as u64 + stream.ledger.lost - stream.ledger.duplicates - stream.ledger.strays),
        ("clock_rate_hz", u64::from(script.clock_rate_hz)),
    ] {
        ensure!(record[name] == truth, "{name}: {} instead of {truth}", record[name]);
    }
    let types: std::collections::BTreeSet<u8> = sent.iter().map(|packet| packet.payload_type).collect();
    ensure!(
        record["payload_types"] == serde_json::json!(types),
        "payload types {} of {types:?}",
        record["payload_types"]
    );

    let times = sent.iter().zip(&arrived).map(|(packet, arrival)| (packet.clock, arrival.time_ns, packet.timestamp));
    let truth_ms = mean_jitter_ms(times, script.clock_rate_hz);
    let counted_ms = record["jitter_mean_ms"].as_f64().context("jitter_mean_ms")?;
    println!(
        "{:<28} {:>5} packets, jitter {counted_ms:.3} ms, by the receiver's times {truth_ms:.3} ms",
        script.name,
        sent.len()
    );
    ensure!(
        (counted_ms - truth_ms).abs() <= JITTER_TOLERANCE * truth_ms,
        "jitter: {counted_ms:.3} ms instead of {truth_ms:.3} ms"
    );
    Ok(())
}

/// Mean of the estimate of RFC 3550 A.8 after each packet, over (what the packet says of the clock, arrival, timestamp).
fn mean_jitter_ms(times: impl Iterator<Item = (Clock, i64, u32)>, rate_hz: u32) -> f64 {
    let (mut estimate, mut sum, mut samples) = (0.0, 0.0, 0_u32);
    let mut last = None;
    for (clock, time_ns, timestamp) in times.filter(|(clock, ..)| *clock != Clock::Silent) {
        if let (Clock::Runs, Some((last_ns, last_timestamp))) = (clock, last) {
            let units = timestamp.wrapping_sub(last_timestamp).cast_signed();
            let difference_ms = (time_ns - last_ns) as f64 / 1e6 - f64::from(units) * 1e3 / f64::from(rate_hz);
            estimate += (f64::abs(difference_ms) - estimate) / 16.0;
            sum += estimate;
            samples += 1;
        }
        last = Some((time_ns, timestamp));
    }
    sum / f64::from(samples.max(1))
}
