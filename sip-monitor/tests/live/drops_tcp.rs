//! SIP over TCP that this host's own firewall drops, each way and at each stage, and what it drops for good reason.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::alerts::Alerts;
use crate::drops::{answer_to, bind, nft, ping, respond};
use crate::world::{self, Family, World};

/// Four SYNs and more: one a second, or 0, 1, 3 and 7 s.
const PATIENCE: Duration = Duration::from_millis(8_500);
/// What the kernel dropped must settle for 5 s before it is told apart.
const SETTLED: Duration = Duration::from_millis(1_500);

/// Who connects, and what one address of the host and one of the other side go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    Peer,
    Host,
}

struct Case {
    name: &'static str,
    opens: Opens,
    /// The host has pinged the peer before, which answered: it is no stranger.
    known: bool,
    /// Hook and rule; `{host}` and `{peer}` are the addresses.
    rule: Option<(&'static str, &'static str)>,
    /// Code, cause and severity.
    expected: Option<(&'static str, &'static str, &'static str)>,
}

const UNOPENED: Option<(&str, &str, &str)> = Some(("tcp-failed", "local-firewall", "warning"));
const UNANSWERED: Option<(&str, &str, &str)> = Some(("request-unanswered", "local-firewall", "critical"));

const CASES: [Case; 8] = [
    Case {
        name: "trunk-kept-out",
        opens: Opens::Peer,
        known: true,
        rule: Some(("i", "saddr {peer} tcp dport 5060 drop")),
        expected: UNOPENED,
    },
    Case {
        name: "trunk-not-answered",
        opens: Opens::Peer,
        known: true,
        rule: Some(("o", "daddr {peer} tcp sport 5060 drop")),
        expected: UNOPENED,
    },
    Case {
        name: "kept-in",
        opens: Opens::Host,
        known: false,
        rule: Some(("o", "daddr {peer} tcp dport 5060 drop")),
        expected: UNOPENED,
    },
    Case {
        name: "answers-kept-out",
        opens: Opens::Host,
        known: false,
        rule: Some(("i", "saddr {peer} tcp sport 5060 drop")),
        expected: UNOPENED,
    },
    Case {
        name: "invite-dropped",
        opens: Opens::Peer,
        known: false,
        rule: Some(("i", "saddr {peer} tcp flags & psh == psh drop")),
        expected: UNANSWERED,
    },
    Case {
        name: "answer-dropped",
        opens: Opens::Peer,
        known: false,
        rule: Some(("o", "daddr {peer} tcp flags & psh == psh drop")),
        expected: UNANSWERED,
    },
    Case {
        name: "stranger-kept-out",
        opens: Opens::Peer,
        known: false,
        rule: Some(("i", "saddr {peer} tcp dport 5060 drop")),
        expected: None,
    },
    Case { name: "good", opens: Opens::Peer, known: true, rule: None, expected: None },
];

#[test]
fn sip_over_tcp_that_the_firewall_drops_is_explained_over_ipv4_under_xdp() -> Result<()> {
    explained(Family::V4, "xdp")
}

#[test]
fn sip_over_tcp_that_the_firewall_drops_is_explained_over_ipv6_under_tc() -> Result<()> {
    explained(Family::V6, "tc")
}

fn explained(family: Family, ingress: &str) -> Result<()> {
    let Some(_turn) = world::turn_with(world::Turn::Shared, &["nft"]) else { return Ok(()) };
    let world = World::build(&format!("tcp-{}-{ingress}", family.name()), family, CASES.len())?;
    nft(&world, &rules(&world, family))?;
    let daemon = world.daemon(ingress, "alerts")?;
    for n in (0..CASES.len()).filter(|n| CASES[*n].known) {
        let (host, peer) = (world.host(n), world.peer(n));
        let client = world.pair.monitored.inside(|| bind(host))?;
        let far_end = world.pair.outside.inside(|| bind(peer))?;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| -> Result<()> {
            scope.spawn(|| respond(&far_end, "200 OK", &is_over));
            let answered = ping(&client, host, peer, 0).and_then(|()| Ok(client.recv_from(&mut [0; 2_048])?));
            is_over.store(true, Ordering::Relaxed);
            answered.map(drop)
        })?;
    }
    thread::scope(|scope| -> Result<()> {
        let world = &world;
        let talking: Vec<_> = (0..CASES.len()).map(|n| scope.spawn(move || talk(world, n))).collect();
        talking.into_iter().try_for_each(|talk| talk.join().expect("no panic"))
    })?;
    thread::sleep(SETTLED);
    let alerts = Alerts::of(daemon.stop()?.0);
    let mut told: BTreeMap<String, BTreeSet<(String, String, String)>> = BTreeMap::new();
    for alert in alerts.last_of_each() {
        let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        let peer = alert["peer"]["addr"].as_str().unwrap_or_default().to_owned();
        told.entry(peer).or_default().insert((text("code"), text("cause"), text("severity")));
        ensure!(alert["fault"] == "local", "it is this host's fault\n{alert}");
    }
    for (n, case) in CASES.iter().enumerate() {
        let own =
            |(code, cause, severity): (&str, &str, &str)| (code.to_owned(), cause.to_owned(), severity.to_owned());
        let expected: BTreeSet<_> = case.expected.into_iter().map(own).collect();
        let told = told.remove(&world.peer(n).ip().to_string()).unwrap_or_default();
        ensure!(told == expected, "{}: expected {expected:?}, told {told:?}\n{alerts}", case.name);
    }
    ensure!(told.is_empty(), "alerts about nobody of ours: {told:?}\n{alerts}");
    Ok(())
}

fn rules(world: &World, family: Family) -> String {
    let ip = if family == Family::V4 { "ip" } else { "ip6" };
    let chain = |chain: &str, hook: &str| {
        let rules = CASES.iter().enumerate().filter_map(|(n, case)| Some((n, case.rule?)));
        let of_chain = rules.filter(|(_, (name, _))| *name == chain).map(|(n, (_, rule))| {
            let rule = rule.replace("{host}", &world.host(n).ip().to_string());
            format!("{ip} {}\n", rule.replace("{peer}", &world.peer(n).ip().to_string()))
        });
        format!("chain {chain} {{\ntype filter hook {hook} priority 0;\n{}}}\n", of_chain.collect::<String>())
    };
    format!("table inet sm {{\n{}{}}}", chain("i", "input"), chain("o", "output"))
}

/// One side opens a connection and sends a MESSAGE on it as soon as it is up; the other answers.
fn talk(world: &World, n: usize) -> Result<()> {
    let (host, peer) = (world.host(n), world.peer(n));
    let (client, server) = if CASES[n].opens == Opens::Peer { (peer, host) } else { (host, peer) };
    let listener = world.namespace_of(server).inside(|| listen(server))?;
    let end = Instant::now() + PATIENCE;
    thread::scope(|scope| {
        scope.spawn(|| serve(&listener, end));
        world.namespace_of(client).inside(|| -> Result<()> {
            let Some(mut stream) = connect(client, server)? else { return Ok(()) };
            let (name, via) = (CASES[n].name, stream.local_addr()?);
            let message = format!(
                "MESSAGE sip:{server} SIP/2.0\r\nVia: SIP/2.0/TCP {via};branch=z9hG4bK{name}\r\nMax-Forwards: 70\r\n\
                 From: <sip:a@{client}>;tag={name}\r\nTo: <sip:b@{server}>\r\nCall-ID: {name}@test\r\nCSeq: 1 MESSAGE\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            stream.write_all(message.as_bytes())?;
            stream.set_read_timeout(Some(end.saturating_duration_since(Instant::now()).max(SETTLED)))?;
            // What comes, if anything, is the answer.
            let _ = stream.read(&mut [0; 2_048]);
            Ok(())
        })
    })
}

/// Connects from the address of `client`, any port; `None` where that takes too long.
fn connect(client: SocketAddr, server: SocketAddr) -> Result<Option<TcpStream>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = if server.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(client.ip(), 0))?;
        let Ok(connected) = tokio::time::timeout(PATIENCE, socket.connect(server)).await else { return Ok(None) };
        let stream = connected?.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(Some(stream))
    })
}

fn listen(at: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(at).with_context(|| format!("opening TCP {at}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers the first request of the first connection, and keeps the connection until the end.
fn serve(listener: &TcpListener, end: Instant) {
    let mut held = None;
    while Instant::now() < end {
        if held.is_none()
            && let Ok((mut stream, _)) = listener.accept()
            && stream.set_nonblocking(false).is_ok()
            && stream.set_read_timeout(Some(end.saturating_duration_since(Instant::now()).max(SETTLED))).is_ok()
        {
            let mut request = [0; 2_048];
            let len = stream.read(&mut request).unwrap_or(0);
            if len > 0 {
                let _ = stream.write_all(answer_to(&request[..len], "200 OK").as_bytes());
            }
            held = Some(stream);
        }
        thread::sleep(Duration::from_millis(50));
    }
}
