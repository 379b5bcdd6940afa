//! The programs attached to a veth between two network namespaces made for the test: exact counts, interfaces that come
//! back, nothing left behind.
mod support;

use std::{
    net::UdpSocket,
    os::fd::AsRawFd,
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use aya::programs::{SchedClassifier, TcAttachType};
use sip_monitor::capture::{
    attach::{self, Attachment},
    live::{IngressMode, Live, LiveConfig, LiveError},
    netif,
    object::{self, LoadOptions},
};
use sip_monitor_common::Counter;
use sip_monitor_engine::packet::{Body, Direction};
use support::{frames, may_run};

/// What a thread in another network namespace is asked to do.
type Job = Box<dyn FnOnce() + Send>;

/// A veth: `m0` in the namespace of the calling thread, `p0` in that of a thread of its own.
struct Wire {
    jobs: mpsc::Sender<Job>,
    peer_tid: i32,
}

fn unshare_network() {
    // SAFETY: changes the namespace of this thread only.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", std::io::Error::last_os_error());
}

fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().expect("ip runs");
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Wire {
    fn new() -> Self {
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
        let wire = Self { jobs, peer_tid: told.recv().unwrap() };
        wire.plug();
        wire
    }

    fn plug(&self) {
        ip("link add m0 type veth peer name p0");
        ip(&format!("link set p0 netns {}", self.peer_tid));
        ip("addr add 10.9.0.1/24 dev m0");
        ip("addr add fd09::1/64 dev m0 nodad");
        ip("link set m0 up");
        self.at_peer(|| {
            ip("addr add 10.9.0.2/24 dev p0");
            ip("addr add fd09::2/64 dev p0 nodad");
            ip("link set p0 up");
        });
    }

    fn at_peer<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        self.jobs.send(Box::new(move || drop(tell.send(work())))).unwrap();
        told.recv_timeout(Duration::from_secs(20)).expect("the peer did its work")
    }
}

/// What came out of the capture.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    sip_in: usize,
    sip_out: usize,
    rtp_packets: u64,
    rtcp: usize,
    lost: u64,
}

/// Polls until `enough` or for three seconds.
fn collect(live: &mut Live, seen: &mut Seen, enough: impl Fn(&Seen) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(3);
    let mut last = None;
    while Instant::now() < deadline && !enough(seen) {
        live.poll(&mut |packet| {
            assert!(last.is_none_or(|l| l <= packet.time), "time never goes back");
            last = Some(packet.time);
            match packet.body {
                Body::Udp(_) if packet.direction == Direction::In => seen.sip_in += 1,
                Body::Udp(_) => seen.sip_out += 1,
                Body::Stream(counters) => seen.rtp_packets = counters.packets,
                Body::Rtcp(_) => seen.rtcp += 1,
                Body::CaptureLoss(loss) => seen.lost += loss.total(),
                Body::Tcp(_) | Body::Icmp(_) | Body::Incomplete(_) | Body::Drop(_) | Body::Cut(_) => {}
            }
        })
        .expect("poll");
        thread::sleep(Live::POLL_INTERVAL);
    }
}

/// 20 SIP messages each way and 50 RTP packets and one RTCP to the monitored host.
fn talk(wire: &Wire, host: &str, peer: &str) {
    let sockets: Vec<UdpSocket> =
        [5060, 40_000, 40_001].map(|port| UdpSocket::bind((host, port)).expect("bind")).into_iter().collect();
    let (host, peer_owned) = (host.to_owned(), peer.to_owned());
    let back = wire.at_peer(move || {
        let signalling = UdpSocket::bind((peer_owned.as_str(), 5060)).expect("bind");
        let media = UdpSocket::bind((peer_owned.as_str(), 30_000)).expect("bind");
        for n in 0..50_u16 {
            if n < 20 {
                signalling.send_to(&frames::sip(600), (host.as_str(), 5060)).expect("send");
            }
            media.send_to(&frames::rtp(8, n, u32::from(n) * 160, 7), (host.as_str(), 40_000)).expect("send");
        }
        media.send_to(&frames::rtcp(), (host.as_str(), 40_001)).expect("send");
        signalling
    });
    for _ in 0..20 {
        sockets[0].send_to(&frames::sip(600), (peer, 5060)).expect("send");
    }
    drop(back);
}

fn start(ingress: IngressMode) -> Live {
    Live::start(LiveConfig { interfaces: vec!["m0".into()], ingress, ..LiveConfig::default() }).expect("live capture")
}

fn whole(seen: &Seen) -> bool {
    *seen == Seen { sip_in: 20, sip_out: 20, rtp_packets: 50, rtcp: 1, lost: 0 }
}

fn everything_is_seen(ingress: IngressMode, word: &str) {
    if !may_run() {
        return;
    }
    let wire = Wire::new();
    let mut live = start(ingress);
    let status = &live.interfaces()[0];
    assert_eq!((status.name.as_str(), status.ingress, status.egress), ("m0", word, "tcx"));
    for (round, (host, peer)) in [("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2")].into_iter().enumerate() {
        talk(&wire, host, peer);
        let mut seen = Seen::default();
        collect(&mut live, &mut seen, whole);
        assert!(whole(&seen), "{host}: {seen:?} {:?}", live.counters());
        let counters = live.counters().expect("counters");
        let rounds = round as u64 + 1;
        assert_eq!(counters.get(Counter::ReportedSip), 40 * rounds);
        assert_eq!(counters.get(Counter::AccountedRtp), 50 * rounds);
        assert_eq!(counters.get(Counter::ReportedRtcp), rounds);
        assert_eq!(counters.lost(), 0);
        assert_eq!(counters.unexplained(), 0, "{counters:?}");
    }
    drop(live);
    nothing_is_left();
}

fn nothing_is_left() {
    for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
        let (_, programs) = SchedClassifier::query_tcx("m0", hook).expect("query");
        assert!(programs.is_empty(), "{programs:?}");
    }
    let link = Command::new("ip").args(["-d", "link", "show", "m0"]).output().expect("ip runs");
    assert!(!String::from_utf8_lossy(&link.stdout).contains("xdp"), "an XDP program is left");
    let qdiscs = Command::new("tc").args(["qdisc", "show", "dev", "m0"]).output().expect("tc runs");
    assert!(!String::from_utf8_lossy(&qdiscs.stdout).contains("clsact"), "a qdisc is left");
}

#[test]
fn everything_is_seen_by_tc() {
    everything_is_seen(IngressMode::Tc, "tcx");
}

#[test]
fn everything_is_seen_by_native_xdp() {
    everything_is_seen(IngressMode::Xdp, "xdp");
}

#[test]
fn everything_is_seen_by_generic_xdp() {
    everything_is_seen(IngressMode::XdpGeneric, "xdp-generic");
}

#[test]
fn auto_takes_tc_on_a_veth() {
    everything_is_seen(IngressMode::Auto, "tcx");
}

#[test]
fn datagrams_of_a_super_packet_count_each_for_itself() {
    const SOL_UDP: i32 = 17;
    const UDP_SEGMENT: i32 = 103;
    if !may_run() {
        return;
    }
    let _wire = Wire::new();
    let mut live = start(IngressMode::Auto);
    let socket = UdpSocket::bind(("10.9.0.1", 40_000)).expect("bind");
    let size: libc::c_int = 172;
    // SAFETY: an integer of the length that is said.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), SOL_UDP, UDP_SEGMENT, (&raw const size).cast(), size_of_val(&size) as u32)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    // 30 RTP packets in one buffer; then 9 and a sender report, shorter, behind them.
    let train =
        |from: u16, to: u16| (from..to).flat_map(|n| frames::rtp(8, n, u32::from(n) * 160, 7)).collect::<Vec<u8>>();
    socket.send_to(&train(0, 30), ("10.9.0.2", 40_000)).expect("send");
    socket.send_to(&[train(30, 39), frames::rtcp()].concat(), ("10.9.0.2", 40_000)).expect("send");
    let mut seen = Seen::default();
    let all = Seen { rtp_packets: 39, rtcp: 1, ..Seen::default() };
    collect(&mut live, &mut seen, |seen| *seen == all);
    let counters = live.counters().expect("counters");
    assert_eq!(seen, all, "{counters:?}");
    assert_eq!((counters.get(Counter::AccountedRtp), counters.get(Counter::ReportedRtcp)), (39, 1));
    assert_eq!(counters.unexplained(), 0);
}

#[test]
fn an_interface_that_vanishes_and_comes_back_is_attached_again() {
    if !may_run() {
        return;
    }
    let wire = Wire::new();
    let mut live = start(IngressMode::Auto);
    let before = live.interfaces()[0].ifindex;
    ip("link del m0");
    let mut seen = Seen::default();
    collect(&mut live, &mut seen, |_| false);
    assert_eq!(live.interfaces()[0].ifindex, None);
    wire.plug();
    let deadline = Instant::now() + Duration::from_secs(3);
    while live.interfaces()[0].ifindex.is_none() && Instant::now() < deadline {
        collect(&mut live, &mut seen, |_| true);
        live.poll(&mut |_| {}).expect("poll");
        thread::sleep(Live::POLL_INTERVAL);
    }
    assert_ne!(live.interfaces()[0].ifindex, before, "it has another index");
    talk(&wire, "10.9.0.1", "10.9.0.2");
    let mut seen = Seen::default();
    collect(&mut live, &mut seen, whole);
    assert!(whole(&seen), "{seen:?}");
}

#[test]
fn where_all_interfaces_are_watched_one_that_appears_is_watched_too() {
    if !may_run() {
        return;
    }
    let wire = Wire::new();
    let mut live = Live::start(LiveConfig::default()).expect("live capture");
    assert_eq!(live.names(), ["m0"]);
    ip("link add m1 type veth peer name p1");
    ip("link set m1 up");
    ip("link set p1 up");
    let watched = |live: &Live| live.interfaces().iter().filter(|i| !i.ingress.is_empty()).count();
    let mut seen = Seen::default();
    let deadline = Instant::now() + Duration::from_secs(5);
    while watched(&live) < 3 && Instant::now() < deadline {
        live.poll(&mut |_| ()).expect("poll");
        thread::sleep(Live::POLL_INTERVAL);
    }
    assert_eq!(watched(&live), 3, "{:?}", live.interfaces());
    assert_eq!(live.names()[0], "m0", "those known keep their places");
    talk(&wire, "10.9.0.1", "10.9.0.2");
    collect(&mut live, &mut seen, whole);
    assert!(whole(&seen), "{seen:?}");
}

#[test]
fn named_interfaces_stay_the_only_ones() {
    if !may_run() {
        return;
    }
    let _wire = Wire::new();
    let mut live = start(IngressMode::Tc);
    ip("link add m1 type veth peer name p1");
    ip("link set m1 up");
    let end = Instant::now() + Duration::from_millis(1_300);
    while Instant::now() < end {
        live.poll(&mut |_| ()).expect("poll");
        thread::sleep(Live::POLL_INTERVAL);
    }
    assert_eq!(live.names(), ["m0"]);
}

#[test]
fn streams_that_the_kernel_evicts_are_counted_as_lost_by_this_host_and_by_nobody_else() {
    if !may_run() {
        return;
    }
    let wire = Wire::new();
    let config = LiveConfig { interfaces: vec!["m0".into()], max_streams: 1_024, ..LiveConfig::default() };
    let mut live = Live::start(LiveConfig { ingress: IngressMode::Tc, ..config }).expect("live capture");
    let flood = || {
        let socket = UdpSocket::bind(("10.9.0.2", 30_000)).expect("bind");
        for ssrc in 0..4_000 {
            socket.send_to(&frames::rtp(8, 1, 160, ssrc), ("10.9.0.1", 40_000)).expect("send");
        }
    };
    wire.at_peer(flood);
    let (mut missed, mut lost_packets) = (0, 0);
    let end = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < end {
        live.poll(&mut |packet| match packet.body {
            Body::CaptureLoss(loss) => missed += loss.map_full,
            Body::Stream(counters) => lost_packets += counters.lost,
            _ => {}
        })
        .expect("poll");
        thread::sleep(Live::POLL_INTERVAL);
    }
    assert!(live.evicted() >= 4_000 - 1_024, "{} evicted", live.evicted());
    assert!(live.evicted() < 4_000, "{} evicted", live.evicted());
    assert_eq!(missed, live.evicted(), "each is told once");
    assert_eq!((lost_packets, live.counters().expect("counters").unexplained()), (0, 0));
}

#[test]
fn without_tcx_a_clsact_qdisc_is_made_and_removed() {
    if !may_run() {
        return;
    }
    let _wire = Wire::new();
    let mut ebpf = object::load(&LoadOptions::default()).expect("loads");
    let loaded = attach::load_programs(&mut ebpf, IngressMode::Tc, false).expect("verified");
    let index = netif::index_of("m0").expect("m0 is there");
    let attach =
        |ebpf: &mut aya::Ebpf| Attachment::new(ebpf, loaded, "m0", index, IngressMode::Tc, true).expect("attached");
    let attachment = attach(&mut ebpf);
    assert_eq!((attachment.ingress_mode(), attachment.egress_mode()), ("tc", "tc"));
    drop(attachment);
    nothing_is_left();
    // Somebody else's qdisc stays, and only our filters go.
    let tc = |line: &str| Command::new("tc").args(line.split(' ')).output().expect("tc runs").stdout;
    tc("qdisc add dev m0 clsact");
    drop(attach(&mut ebpf));
    assert!(String::from_utf8_lossy(&tc("qdisc show dev m0")).contains("clsact"));
    assert!(tc("filter show dev m0 ingress").is_empty() && tc("filter show dev m0 egress").is_empty());
}

#[test]
fn a_missing_interface_is_named_and_the_others_are_listed() {
    if !may_run() {
        return;
    }
    let _wire = Wire::new();
    let config = LiveConfig { interfaces: vec!["eth7".into()], ..LiveConfig::default() };
    match Live::start(config) {
        Err(LiveError::NoInterface(name, existing)) => {
            assert_eq!(name, "eth7");
            assert!(existing.contains(&"m0".to_owned()), "{existing:?}");
        }
        other => panic!("{other:?}"),
    }
}
