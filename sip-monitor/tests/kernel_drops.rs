//! What the program at `kfree_skb` tells, on a veth between two network namespaces made for the test: each fault is made
//! for real, and exactly its reason comes, with its flow and its count.
mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use sip_monitor::capture::live::{IngressMode, Live, LiveConfig, Tracepoint};
use sip_monitor_engine::packet::{Body, Direction, DropReason};
use support::{frames, may_run};

type Job = Box<dyn FnOnce() + Send>;

fn unshare_network() {
    // SAFETY: changes the namespace of this thread only.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", std::io::Error::last_os_error());
}

fn run(program: &str, line: &str) {
    let output = Command::new(program).args(line.split(' ')).output().expect("it runs");
    assert!(output.status.success(), "{program} {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A veth: `m0` in the namespace of the calling thread, `p0` in that of another thread, to which jobs are given.
fn wire() -> mpsc::Sender<Job> {
    unshare_network();
    let (jobs, todo) = mpsc::channel::<Job>();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        unshare_network();
        // SAFETY: takes nothing.
        tell.send(unsafe { libc::gettid() }).unwrap();
        for job in todo {
            job();
        }
    });
    let peer = told.recv().unwrap();
    run("ip", "link add m0 type veth peer name p0");
    run("ip", &format!("link set p0 netns {peer}"));
    run("ip", "addr add 10.9.0.1/24 dev m0");
    run("ip", "addr add fd09::1/64 dev m0 nodad");
    run("ip", "link set m0 up");
    let (done, is_done) = mpsc::channel();
    jobs.send(Box::new(move || {
        run("ip", "addr add 10.9.0.2/24 dev p0");
        run("ip", "addr add fd09::2/64 dev p0 nodad");
        run("ip", "link set p0 up");
        done.send(()).unwrap();
    }))
    .unwrap();
    is_done.recv_timeout(Duration::from_secs(20)).expect("the peer is there");
    jobs
}

/// What was told about one flow: the reason, the way, the kernel's name, the highest count.
type Told = (DropReason, Direction, &'static str, SocketAddr, SocketAddr, u64);

const PACKETS: u16 = 60;

/// Sends RTP for 1.2 s from the peer to the host, or from the host to the peer, and gives what is told.
fn told(fault: impl FnOnce() -> Option<UdpSocket>, outwards: bool, v6: bool) -> Vec<Told> {
    told_by(Tracepoint::Auto, fault, outwards, v6)
}

fn told_by(tracepoint: Tracepoint, fault: impl FnOnce() -> Option<UdpSocket>, outwards: bool, v6: bool) -> Vec<Told> {
    let jobs = wire();
    let held = fault();
    let mut live = Live::start(LiveConfig {
        interfaces: vec!["m0".into()],
        ingress: if v6 { IngressMode::Xdp } else { IngressMode::Tc },
        tracepoint,
        ..LiveConfig::default()
    })
    .expect("live capture");
    assert_eq!(live.drop_reasons().map(|n| n > 0), Ok(true), "this kernel gives reasons");
    let (host, peer) = if v6 { ("fd09::1", "fd09::2") } else { ("10.9.0.1", "10.9.0.2") };
    let (from, to) = if outwards { (host, peer) } else { (peer, host) };
    let talk = move || {
        let socket = UdpSocket::bind((from, 40_000)).expect("bind");
        let target: SocketAddr = (to.parse::<std::net::IpAddr>().unwrap(), 30_000).into();
        for n in 0..PACKETS {
            // On the way out a rule that drops is told to the sender.
            let _ = socket.send_to(&frames::rtp(8, n, u32::from(n) * 160, 7), target);
            thread::sleep(Duration::from_millis(20));
        }
    };
    let talking = if outwards {
        talk();
        None
    } else {
        let (done, is_done) = mpsc::channel();
        jobs.send(Box::new(move || {
            talk();
            done.send(()).unwrap();
        }))
        .unwrap();
        Some(is_done)
    };
    let mut all: Vec<Told> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        live.poll(&mut |packet| {
            if let Body::Drop(drop) = packet.body {
                all.retain(|t| (t.2, t.3, t.4) != (drop.name, packet.src, packet.dst));
                all.push((drop.reason, packet.direction, drop.name, packet.src, packet.dst, drop.count));
            }
        })
        .expect("poll");
        thread::sleep(Live::POLL_INTERVAL);
    }
    if let Some(is_done) = talking {
        is_done.recv_timeout(Duration::from_secs(20)).expect("all is sent");
    }
    drop(held);
    all
}

fn one_reason(all: &[Told], reason: DropReason, name: &str, direction: Direction) {
    let [(told, way, called, src, dst, count)] = all else { panic!("one flow, one reason: {all:?}") };
    assert_eq!((*told, *way, *called), (reason, direction, name), "{all:?}");
    assert_eq!((src.port(), dst.port()), (40_000, 30_000));
    // Told at the first and a second later: 60 packets in 1.2 s.
    assert!((10..=u64::from(PACKETS)).contains(count), "{count}");
}

fn listener(v6: bool) -> UdpSocket {
    UdpSocket::bind((if v6 { "fd09::1" } else { "10.9.0.1" }, 30_000)).expect("bind")
}

fn nft(hook: &str) {
    run("nft", "add table inet t");
    run("nft", &format!("add chain inet t c {{ type filter hook {hook} priority 0 ; }}"));
    run("nft", "add rule inet t c udp dport 30000 drop");
}

#[test]
fn a_rule_on_input_is_told() {
    for v6 in [false, true] {
        if !may_run() {
            return;
        }
        let all = thread::spawn(move || {
            told(
                || {
                    nft("input");
                    Some(listener(v6))
                },
                false,
                v6,
            )
        });
        one_reason(&all.join().expect("no panic"), DropReason::Netfilter, "NETFILTER_DROP", Direction::In);
    }
}

#[test]
fn a_rule_before_routing_is_told() {
    if !may_run() {
        return;
    }
    let fault = || {
        nft("prerouting");
        Some(listener(false))
    };
    one_reason(&told(fault, false, false), DropReason::Netfilter, "NETFILTER_DROP", Direction::In);
}

#[test]
fn a_rule_on_output_is_told_though_the_packet_reaches_no_interface() {
    if !may_run() {
        return;
    }
    let fault = || {
        nft("output");
        None
    };
    one_reason(&told(fault, true, false), DropReason::Netfilter, "NETFILTER_DROP", Direction::Out);
}

#[test]
fn a_port_without_a_socket_is_told() {
    for v6 in [false, true] {
        if !may_run() {
            return;
        }
        let all = thread::spawn(move || told(|| None, false, v6));
        one_reason(&all.join().expect("no panic"), DropReason::NoSocket, "NO_SOCKET", Direction::In);
    }
}

#[test]
fn a_socket_that_is_read_tells_nothing_and_neither_does_another_namespace() {
    if !may_run() {
        return;
    }
    assert_eq!(told(|| Some(listener(false)), false, false), []);
    // The peer has no socket at that port: its kernel drops, in its own namespace.
    assert_eq!(thread::spawn(|| told(|| None, true, false)).join().expect("no panic"), []);
}

#[test]
fn a_kernel_that_cannot_check_types_tells_the_same_through_a_raw_tracepoint() {
    if !may_run() {
        return;
    }
    one_reason(&told_by(Tracepoint::Raw, || None, false, false), DropReason::NoSocket, "NO_SOCKET", Direction::In);
}

#[test]
fn a_next_hop_that_cannot_be_found_is_told_on_the_way_out() {
    if !may_run() {
        return;
    }
    let fault = || {
        // No ARP request is sent, so none is answered. The file is that of the namespace which the thread is in.
        std::fs::write("/proc/sys/net/ipv4/neigh/m0/mcast_solicit", "0").expect("the interface's setting");
        None
    };
    one_reason(&told(fault, true, false), DropReason::Neighbour, "NEIGH_FAILED", Direction::Out);
}
