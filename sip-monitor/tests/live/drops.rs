//! Signalling that this host's own kernel drops, each fault made for real: the request that SIPp sends is counted at the
//! interface, and what became of it behind there the kernel says.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::alerts::Alerts;
use crate::sipp::Sipp;
use crate::world::{self, Family, World};

/// Longer than four copies of an INVITE (3.5 s) and than what must settle (5 s).
const LONG_ENOUGH: Duration = Duration::from_secs(9);

/// What is done to the calls to one address of the host, and what must be said of it.
const FAULTS: [(&str, &str); 5] = [
    ("input-rule", "local-firewall"),
    ("output-rule", "local-firewall"),
    ("no-service", "no-listener"),
    ("full-buffer", "socket-overflow"),
    ("mute-service", "local-silent"),
];

#[test]
fn an_unanswered_request_is_explained_by_the_kernel_over_ipv4_under_xdp() -> Result<()> {
    unanswered(Family::V4, "xdp")
}

#[test]
fn an_unanswered_request_is_explained_by_the_kernel_over_ipv6_under_tc() -> Result<()> {
    unanswered(Family::V6, "tc")
}

fn unanswered(family: Family, ingress: &str) -> Result<()> {
    let Some(_turn) = world::turn_with(world::Turn::Shared, &["sipp", "nft"]) else { return Ok(()) };
    let trunk = FAULTS.len();
    let world = World::build(&format!("drops-{}-{ingress}", family.name()), family, trunk + 1)?;
    let ip = if family == Family::V4 { "ip" } else { "ip6" };
    nft(
        &world,
        &format!(
            "table inet sm {{\nchain i {{\ntype filter hook input priority 0;\n{ip} daddr {} udp dport 5060 drop\n\
             {ip} saddr {} udp sport 5060 drop\n}}\nchain o {{\ntype filter hook output priority 0;\n\
             {ip} saddr {} udp sport 5060 drop\n}}\n}}",
            world.host(0).ip(),
            world.peer(trunk).ip(),
            world.host(1).ip(),
        ),
    )?;
    let service = |n: usize| world.pair.monitored.inside(|| bind(world.host(n)));
    let (answers, full, _mute) = (service(1)?, service(3)?, service(4)?);
    fill(&world, &full, world.host(3))?;
    let daemon = world.daemon(ingress, "alerts")?;
    let (client, far_end) = (service(trunk)?, world.pair.outside.inside(|| bind(world.peer(trunk)))?);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(|| respond(&answers, "100 Trying", &is_over));
        scope.spawn(|| respond(&far_end, "200 OK", &is_over));
        let result = call_and_ping(&world, &client, trunk);
        is_over.store(true, Ordering::Relaxed);
        result
    })?;
    let alerts = Alerts::of(daemon.stop()?.0);
    for (name, cause) in FAULTS {
        let expected = BTreeSet::from([("request-unanswered".to_owned(), cause.to_owned())]);
        ensure!(alerts.about(name) == expected, "{name}: expected {cause}\n{alerts}");
    }
    let expected = BTreeSet::from([("packets-dropped-locally".to_owned(), "netfilter".to_owned())]);
    ensure!(alerts.about("ping") == expected, "the pings\n{alerts}");
    let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).chain(["ping"]).collect();
    ensure!(alerts.about_others(&names).is_empty(), "alerts about no call of ours:\n{alerts}");
    Ok(())
}

/// An INVITE of SIPp to each faulty service, and pings from this host to a trunk whose answers a rule keeps out.
fn call_and_ping(world: &World, client: &UdpSocket, trunk: usize) -> Result<()> {
    let mut callers = Vec::new();
    for (n, (name, _)) in FAULTS.iter().enumerate() {
        let keys = [("contact", world.host(n).to_string()), ("peer", world.peer(n).to_string())];
        callers.push(Sipp::caller(world, n, name).keys(&keys).key("audio_port", "6000").talk_ms(100).start()?);
    }
    let (host, peer) = (world.host(trunk), world.peer(trunk));
    let end = Instant::now() + LONG_ENOUGH;
    for n in 0.. {
        ping(client, host, peer, n)?;
        if Instant::now() >= end {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1_300));
    }
    Ok(())
}

/// Sends an OPTIONS request.
pub fn ping(client: &UdpSocket, host: SocketAddr, peer: SocketAddr, n: u32) -> Result<()> {
    let ping = format!(
        "OPTIONS sip:{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bKp{n}\r\nMax-Forwards: 70\r\nFrom: <sip:pbx@{host}>;tag=p{n}\r\n\
         To: <sip:{peer}>\r\nCall-ID: ping@{n}-{}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:{host}>\r\nContent-Length: 0\r\n\r\n",
        peer.ip()
    );
    client.send_to(ping.as_bytes(), peer).context("sending a ping").map(drop)
}

/// Has nftables of the monitored host do that.
pub fn nft(world: &World, rules: &str) -> Result<()> {
    let output = world.pair.monitored.command("nft").arg(rules).output().context("starting nft")?;
    ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

pub fn bind(at: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(at).with_context(|| format!("opening UDP {at}"))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(socket)
}

/// Gives a socket the smallest receive buffer and fills it with keep-alives.
fn fill(world: &World, socket: &UdpSocket, at: SocketAddr) -> Result<()> {
    let least: libc::c_int = 1;
    // SAFETY: the option is an int, and the kernel copies it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const least).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    ensure!(result == 0, "SO_RCVBUF: {}", std::io::Error::last_os_error());
    let sender = world.pair.outside.inside(|| bind(SocketAddr::new(world.peer(3).ip(), 0)))?;
    for _ in 0..16 {
        sender.send_to(b"\r\n\r\n", at)?;
    }
    Ok(())
}

/// Answers every request until told to stop; what cannot be sent is lost, as a service would have it.
pub fn respond(socket: &UdpSocket, status: &str, is_over: &AtomicBool) {
    let mut buffer = [0; 4_096];
    while !is_over.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let _ = socket.send_to(answer_to(&buffer[..len], status).as_bytes(), from);
    }
}

/// A response to a request, without a body.
pub fn answer_to(request: &[u8], status: &str) -> String {
    let request = String::from_utf8_lossy(request);
    let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines = request.split("\r\n").filter(|line| copied.iter().any(|name| line.starts_with(name)));
    let head: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 {status}\r\n{head}Content-Length: 0\r\n\r\n")
}
