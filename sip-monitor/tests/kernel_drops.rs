//! What the program at `kfree_skb` tells, on a veth between two network namespaces made for the test: each fault is made
//! for real, and exactly its reason comes, with its flow and its count.
mod support;

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use sip_monitor::capture::{
    drops,
    live::{IngressMode, Live, LiveConfig, Tracepoint},
    object::{self, LoadOptions},
};
use sip_monitor_common::limits::{PROGRAM_DROPS, PROGRAM_DROPS_RAW};
use sip_monitor_engine::packet::{Body, CaptureLoss, Direction, DropReason, DroppedSegment, DroppedTraffic};
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
/// The same with what was dropped.
type Carried = (DroppedTraffic, Option<DroppedSegment>, Told);

const PACKETS: u16 = 60;

/// Sends RTP for 1.2 s from the peer to the host, or from the host to the peer, and gives what is told.
fn told(fault: impl FnOnce() -> Option<UdpSocket>, outwards: bool, v6: bool) -> Vec<Told> {
    told_by(Tracepoint::Auto, fault, outwards, v6)
}

fn told_by(tracepoint: Tracepoint, fault: impl FnOnce() -> Option<UdpSocket>, outwards: bool, v6: bool) -> Vec<Told> {
    let all = carried(tracepoint, fault, outwards, v6, say_rtp);
    assert!(all.iter().all(|(traffic, segment, _)| (*traffic, *segment) == (DroppedTraffic::Media, None)), "{all:?}");
    all.into_iter().map(|(_, _, told)| told).collect()
}

fn say_rtp(from: IpAddr, to: IpAddr) {
    let socket = UdpSocket::bind((from, 40_000)).expect("bind");
    for n in 0..PACKETS {
        // On the way out a rule that drops is told to the sender.
        let _ = socket.send_to(&frames::rtp(8, n, u32::from(n) * 160, 7), (to, 30_000));
        thread::sleep(Duration::from_millis(20));
    }
}

/// Has the peer talk to the host, or the host to the peer, and gives what is told within 3 s. What `fault` gives lives as long.
fn carried<H>(
    tracepoint: Tracepoint,
    fault: impl FnOnce() -> H,
    outwards: bool,
    v6: bool,
    talk: fn(IpAddr, IpAddr),
) -> Vec<Carried> {
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
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let (host, peer) =
        if v6 { (address("fd09::1"), address("fd09::2")) } else { (address("10.9.0.1"), address("10.9.0.2")) };
    let (from, to) = if outwards { (host, peer) } else { (peer, host) };
    let talking = if outwards {
        talk(from, to);
        None
    } else {
        let (done, is_done) = mpsc::channel();
        jobs.send(Box::new(move || {
            talk(from, to);
            done.send(()).unwrap();
        }))
        .unwrap();
        Some(is_done)
    };
    let mut all: Vec<Carried> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        live.poll(&mut |packet| {
            if let Body::Drop(drop) = packet.body {
                let id = (drop.name, packet.src, packet.dst, drop.segment);
                all.retain(|(_, segment, t)| (t.2, t.3, t.4, *segment) != id);
                let told = (drop.reason, packet.direction, drop.name, packet.src, packet.dst, drop.count);
                all.push((drop.traffic, drop.segment, told));
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

fn nft_rule(hook: &str, rule: &str) {
    run("nft", "add table inet t");
    run("nft", &format!("add chain inet t c {{ type filter hook {hook} priority 0 ; }}"));
    run("nft", &format!("add rule inet t c {rule}"));
}

fn say_rtcp(from: IpAddr, to: IpAddr) {
    // An empty receiver report (RFC 3550 6.4.2): 8 bytes.
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let socket = UdpSocket::bind((from, 40_001)).expect("bind");
    for _ in 0..3 {
        let _ = socket.send_to(&report, (to, 30_001));
        thread::sleep(Duration::from_millis(20));
    }
}

/// Opens a connection to the SIP port for up to 1.5 s, which is two SYNs, says something on it and ends it.
fn say_over_tcp(_: IpAddr, to: IpAddr) {
    let Ok(mut stream) = TcpStream::connect_timeout(&(to, 5060).into(), Duration::from_millis(1_500)) else { return };
    for _ in 0..3 {
        let _ = stream.write_all(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n");
        thread::sleep(Duration::from_millis(200));
    }
    drop(stream);
    // What still comes for it finds it closed.
    thread::sleep(Duration::from_millis(300));
}

fn sip_listener(at: &str) -> TcpListener {
    TcpListener::bind((at, 5060)).expect("bind")
}

#[test]
fn rtcp_that_a_rule_drops_is_told_as_rtcp() {
    if !may_run() {
        return;
    }
    for (hook, outwards, direction) in [("input", false, Direction::In), ("output", true, Direction::Out)] {
        let fault = move || nft_rule(hook, "udp dport 30001 drop");
        let all = thread::spawn(move || carried(Tracepoint::Auto, fault, outwards, true, say_rtcp));
        let all = all.join().expect("no panic");
        let [(DroppedTraffic::Rtcp, None, (reason, way, ..))] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((*reason, *way), (DropReason::Netfilter, direction));
    }
}

#[test]
fn a_connection_that_a_rule_lets_nobody_open_is_told_by_its_syn() {
    if !may_run() {
        return;
    }
    for (hook, outwards, direction) in [("input", false, Direction::In), ("output", true, Direction::Out)] {
        for v6 in [false, true] {
            let fault = move || nft_rule(hook, "tcp dport 5060 drop");
            let all = thread::spawn(move || carried(Tracepoint::Auto, fault, outwards, v6, say_over_tcp));
            let all = all.join().expect("no panic");
            let [(DroppedTraffic::ToSipPort, Some(DroppedSegment::Syn), told)] = all.as_slice() else {
                panic!("{hook}: {all:?}")
            };
            assert_eq!((told.0, told.1, told.4.port()), (DropReason::Netfilter, direction, 5060));
            assert!(told.5 >= 2, "two SYNs in 1.5 s: {all:?}");
        }
    }
}

#[test]
fn answers_and_bytes_of_tcp_are_told_apart_also_by_a_raw_tracepoint() {
    if !may_run() {
        return;
    }
    for (hook, rule, segment) in [
        ("output", "tcp sport 5060 tcp flags & (syn|ack) == syn|ack drop", DroppedSegment::SynAck),
        ("input", "tcp dport 5060 tcp flags & psh == psh drop", DroppedSegment::Data),
        ("output", "tcp sport 5060 tcp flags & (syn|ack|fin|rst|psh) == ack drop", DroppedSegment::Ack),
    ] {
        let fault = move || {
            nft_rule(hook, rule);
            sip_listener("10.9.0.1")
        };
        let all = thread::spawn(move || carried(Tracepoint::Raw, fault, false, false, say_over_tcp));
        let all = all.join().expect("no panic");
        let segments: Vec<_> = all.iter().filter_map(|(_, segment, _)| *segment).collect();
        assert_eq!(segments, [segment], "{all:?}");
    }
}

#[test]
fn of_tcp_nothing_is_told_that_is_the_way_of_tcp() {
    if !may_run() {
        return;
    }
    // A port without a socket answers with a reset; the listener that never accepts and is closed resets, and what still comes
    // for it finds nobody.
    assert_eq!(
        thread::spawn(|| carried(Tracepoint::Auto, || (), false, false, say_over_tcp)).join().expect("no panic"),
        []
    );
    let listens = || sip_listener("10.9.0.1");
    assert_eq!(carried(Tracepoint::Auto, listens, false, false, say_over_tcp), []);
}

#[test]
fn reports_that_find_no_room_are_counted_and_told() {
    if !may_run() {
        return;
    }
    let jobs = wire();
    // One page: it holds some thirty reports.
    let config = LiveConfig { interfaces: vec!["m0".into()], media_ring_bytes: 4_096, ..LiveConfig::default() };
    let mut live = Live::start(config).expect("live capture");
    let (done, is_done) = mpsc::channel();
    jobs.send(Box::new(move || {
        let socket = UdpSocket::bind("10.9.0.2:40000").expect("bind");
        for port in 30_000..30_400_u16 {
            let _ = socket.send_to(&frames::rtp(8, 1, 160, u32::from(port)), ("10.9.0.1", port));
        }
        done.send(()).unwrap();
    }))
    .unwrap();
    is_done.recv_timeout(Duration::from_secs(20)).expect("all is sent");
    let (mut told, mut lost) = (0, CaptureLoss::default());
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        live.poll(&mut |packet| match packet.body {
            Body::Drop(_) => told += 1,
            Body::CaptureLoss(loss) => lost.drop_reports += loss.drop_reports,
            _ => {}
        })
        .expect("poll");
        thread::sleep(Live::POLL_INTERVAL);
    }
    assert!(told > 0 && lost.drop_reports > 0, "{told} told, {} lost", lost.drop_reports);
    assert_eq!(told + lost.drop_reports, 400, "each report is told or counted");
}

#[test]
fn this_kernel_checks_the_types_of_what_the_program_reads() {
    if !may_run() {
        return;
    }
    unshare_network();
    let mut ebpf = object::load(&LoadOptions::default()).expect("loads");
    drops::watch(&mut ebpf, Tracepoint::Auto).expect("watched");
    let is_loaded = |name: &str| ebpf.program(name).expect("it is in the object").fd().is_ok();
    // Linux 5.17 has both, and the typed one is the faster.
    assert_eq!((is_loaded(PROGRAM_DROPS), is_loaded(PROGRAM_DROPS_RAW)), (true, false));
}
