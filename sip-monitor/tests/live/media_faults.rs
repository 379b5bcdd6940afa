//! Each way in which audio goes missing, made for real, and beside each the same call with nothing wrong: one daemon, all calls
//! at once, and exactly the right cause with the fault on the right side.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::alerts::{Alerts, time_of};
use crate::media_scene::{SIPP_RTP, Scene, UP, call, shrink_receive_buffer};
use crate::programs::baresip::Phone;
use crate::programs::relay::User;
use crate::programs::rtpengine::{Rtpengine, rtp_ports};
use crate::sipp::{self, Sipp};
use crate::world::{Turn, turn};

/// How a fault is made. In the words of the host that is monitored: a telephone of it, or its relay between two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Make {
    /// The host's nftables drop what comes for its telephone.
    InputRule,
    /// The same before routing.
    PreroutingRule,
    /// The host's nftables drop what its telephone sends.
    OutputRule,
    /// The same as the first, until the rule is taken away.
    RuleForAWhile,
    /// What comes in by one interface would be answered by another, and reverse path filtering is strict.
    StrictReversePath,
    /// The telephone's process stands still for a while and its receive buffer is small.
    FrozenPhone,
    /// The peer's SDP tells a private address.
    PrivateAddress,
    /// The peer's RTP comes to another port than the telephone's SDP said.
    RewrittenPort,
    /// The peer's firewall rejects by ICMP.
    PeerRejects,
    /// Nothing listens at the peer's port, and the peer is silent.
    PeerListensNowhere,
    /// The peer's firewall lets the first packets pass and drops the rest without a word.
    PeerDrops,
    /// The way of the peer's RTP is longer than its TTL lasts; its RTCP comes by a shorter one.
    LongWay,
    /// The telephone has no microphone.
    NoMicrophone,
    /// The peer sends nothing.
    PeerSilent,
    /// Neither sends anything.
    AllSilent,
    /// The peer sends for 4 s.
    PeerStops,
    /// The host's nftables drop what comes for its relay from the caller.
    RelayCallerRule,
    /// The same from the callee.
    RelayCalleeRule,
    /// The host's nftables drop what its relay sends to the callee.
    RelayOutputRule,
    /// The host's nftables drop all that comes for its relay.
    RelayInputRule,
    /// The callee behind the relay sends nothing.
    RelayCalleeSilent,
    /// Neither of the two that the relay stands between does.
    RelayAllSilent,
    /// The relay has forgotten the call.
    RelayForgets,
    /// The relay stands still, and its receive buffers are small.
    RelayFrozen,
}

/// A fault and what must be said about it.
struct Fault {
    name: &'static str,
    make: Make,
    /// Code and cause.
    expected: (&'static str, &'static str),
    /// Where the fault is.
    side: &'static str,
    /// The alert fires within so many milliseconds of the answer.
    within_ms: i128,
}

/// Positive evidence: 3 s.
const PROVEN: i128 = 3_000;
/// Absence: 6 s.
const ABSENT: i128 = 6_000;
/// Timers run a little behind, so that what waits in a ring is not taken for absent, and the machine may be busy.
const SLACK_MS: i128 = 700;

const fn fault(
    name: &'static str,
    make: Make,
    expected: (&'static str, &'static str),
    side: &'static str,
    within_ms: i128,
) -> Fault {
    Fault { name, make, expected, side, within_ms }
}

const FAULTS: [Fault; 24] = [
    fault("input-rule", Make::InputRule, ("one-way-audio", "local-firewall"), "local", PROVEN),
    fault("prerouting-rule", Make::PreroutingRule, ("one-way-audio", "local-firewall"), "local", PROVEN),
    fault("output-rule", Make::OutputRule, ("one-way-audio", "local-firewall"), "local", PROVEN),
    fault("rule-for-a-while", Make::RuleForAWhile, ("one-way-audio", "local-firewall"), "local", PROVEN),
    fault("strict-reverse-path", Make::StrictReversePath, ("one-way-audio", "rp-filter"), "local", PROVEN),
    // Frozen 3 s after the answer.
    fault("frozen-phone", Make::FrozenPhone, ("blocked-rtp", "socket-overflow"), "local", 3_000 + PROVEN),
    fault("private-address", Make::PrivateAddress, ("one-way-audio", "sdp-private-address"), "remote", PROVEN),
    fault("rewritten-port", Make::RewrittenPort, ("one-way-audio", "wrong-port"), "remote", PROVEN),
    fault("peer-rejects", Make::PeerRejects, ("one-way-audio", "remote-unreachable"), "remote", PROVEN),
    fault("peer-closed", Make::PeerListensNowhere, ("blocked-rtp", "remote-unreachable"), "remote", PROVEN),
    // Its second report since then comes about 10 s after the answer.
    fault("peer-drops", Make::PeerDrops, ("one-way-audio", "remote-not-receiving"), "remote", 10_000 + PROVEN),
    fault("long-way", Make::LongWay, ("one-way-audio", "low-ttl"), "remote", ABSENT),
    fault("no-microphone", Make::NoMicrophone, ("one-way-audio", "never-sent"), "local", ABSENT),
    fault("peer-silent", Make::PeerSilent, ("one-way-audio", "never-arrived"), "remote", ABSENT),
    fault("all-silent", Make::AllSilent, ("blocked-rtp", "never-sent"), "local", ABSENT),
    fault("peer-stops", Make::PeerStops, ("one-way-audio", "stopped"), "remote", 4_000 + 10_000),
    fault("relay-caller-rule", Make::RelayCallerRule, ("one-way-audio", "local-firewall"), "local", PROVEN),
    fault("relay-callee-rule", Make::RelayCalleeRule, ("one-way-audio", "local-firewall"), "local", PROVEN),
    fault("relay-output-rule", Make::RelayOutputRule, ("one-way-audio", "local-firewall"), "local", PROVEN),
    fault("relay-input-rule", Make::RelayInputRule, ("blocked-rtp", "local-firewall"), "local", PROVEN),
    fault("relay-callee-silent", Make::RelayCalleeSilent, ("one-way-audio", "never-arrived"), "remote", ABSENT),
    fault("relay-all-silent", Make::RelayAllSilent, ("blocked-rtp", "never-arrived"), "remote", ABSENT),
    fault("relay-forgets", Make::RelayForgets, ("blocked-rtp", "no-listener"), "local", PROVEN),
    fault("relay-frozen", Make::RelayFrozen, ("blocked-rtp", "socket-overflow"), "local", PROVEN),
];

#[test]
fn each_way_to_lose_audio_is_told_from_the_others_under_xdp() -> Result<()> {
    all_at_once("xdp")
}

#[test]
fn each_way_to_lose_audio_is_told_from_the_others_under_tc() -> Result<()> {
    all_at_once("tc")
}

impl Make {
    fn is_relayed(self) -> bool {
        matches!(
            self,
            Self::RelayCallerRule
                | Self::RelayCalleeRule
                | Self::RelayOutputRule
                | Self::RelayInputRule
                | Self::RelayCalleeSilent
                | Self::RelayAllSilent
                | Self::RelayForgets
                | Self::RelayFrozen
        )
    }

    /// Whether the peer must be a telephone with RTCP.
    fn needs_rtcp(self) -> bool {
        matches!(self, Self::PeerDrops | Self::LongWay)
    }
}

/// One call, with the fault or without.
struct Played {
    fault: &'static Fault,
    broken: bool,
    /// Number of its addresses, and of those of the callee behind the relay or of the peer's media.
    n: usize,
    other: usize,
    /// The part of its Call-ID before the `@`.
    key: String,
    phone: Option<Phone>,
    peer: Option<Phone>,
    relay: Option<Rtpengine>,
    callee: Option<sipp::Running>,
    caller: Option<sipp::Running>,
}

fn all_at_once(ingress: &str) -> Result<()> {
    let Some(_turn) = turn(Turn::Shared) else { return Ok(()) };
    let mut scene = Scene::build(ingress, 1 + 4 * FAULTS.len())?;
    let mut calls = Vec::new();
    for broken in [true, false] {
        for fault in &FAULTS {
            let (n, other) = (scene.number(), scene.number());
            let key = format!("{}-{}", fault.name, if broken { "broken" } else { "good" });
            let (phone, peer, relay, callee, caller) = (None, None, None, None, None);
            calls.push(Played { fault, broken, n, other, key, phone, peer, relay, callee, caller });
        }
    }
    for call in &mut calls {
        call.prepare(&scene).with_context(|| call.key.clone())?;
    }
    let users = calls.iter().filter_map(|call| call.user(&scene)).collect::<Vec<_>>();
    let _proxy = scene.relay(&users)?;
    let daemon = scene.daemon(ingress)?;
    for call in &mut calls {
        call.begin(&scene).with_context(|| call.key.clone())?;
    }
    play(&mut calls, &scene)?;
    let ended: Vec<Result<()>> = calls.iter_mut().map(|call| call.end().with_context(|| call.key.clone())).collect();
    std::thread::sleep(Duration::from_millis(500));
    let (lines, log) = daemon.stop()?;
    let alerts = Alerts::of(lines);
    alerts.dump(&format!("/tmp/l4/lines-{ingress}.jsonl"));
    std::fs::write(format!("/tmp/l4/log-{ingress}"), log)?;
    report(ingress, &calls, &alerts)?;
    ended.into_iter().collect()
}

/// What happens while the calls are up.
fn play(calls: &mut [Played], scene: &Scene) -> Result<()> {
    let at = |make: Make| move |call: &&mut Played| call.broken && call.fault.make == make;
    let host = &scene.world.pair.monitored;
    std::thread::sleep(Duration::from_millis(500));
    for call in calls.iter_mut().filter(at(Make::RelayForgets)) {
        call.relay()?.delete(&call.call_id())?;
    }
    for call in calls.iter_mut().filter(at(Make::RelayFrozen)) {
        let relay = call.relay()?;
        for port in rtp_ports(&relay.query(&call.call_id())?)? {
            shrink_receive_buffer(relay.program.id(), port.local)?;
        }
        relay.program.freeze();
    }
    std::thread::sleep(Duration::from_millis(2_500));
    for call in calls.iter_mut().filter(at(Make::FrozenPhone)) {
        let phone = call.phone.as_ref().context("its telephone")?;
        shrink_receive_buffer(phone.program.id(), Scene::rtp_port(call.n))?;
        phone.program.freeze();
    }
    std::thread::sleep(Duration::from_secs(3));
    for call in calls.iter_mut().filter(at(Make::RuleForAWhile)) {
        scene.remove_rule(host, &call.table())?;
    }
    std::thread::sleep(Duration::from_secs(2));
    for call in calls.iter_mut().filter(at(Make::FrozenPhone)) {
        call.phone.as_ref().context("its telephone")?.program.thaw();
    }
    std::thread::sleep(Duration::from_secs(8));
    for call in calls.iter_mut().filter(at(Make::RelayFrozen)) {
        call.relay()?.program.thaw();
    }
    Ok(())
}

impl Played {
    /// Puts the fault in place and starts who answers.
    fn prepare(&mut self, scene: &Scene) -> Result<()> {
        let make = self.fault.make;
        if make == Make::StrictReversePath {
            scene.talk_from(self.n, scene.world.peer(self.other).ip())?;
        }
        if !make.is_relayed() && make != Make::LongWay {
            scene.talk_from(self.n, scene.world.peer(self.n).ip())?;
        }
        if self.broken {
            self.make_fault(scene)?;
        }
        if make.is_relayed() {
            self.relay = Some(scene.rtpengine(self.n)?);
            let callee = Sipp::callee(&scene.world, self.other).outgoing(true).scenario("media_uas.xml");
            let is_silent = self.broken && matches!(make, Make::RelayCalleeSilent | Make::RelayAllSilent);
            let callee = callee.set(if is_silent { &["silent"] } else { &[] });
            self.callee = Some(callee.key("audio_port", &SIPP_RTP.to_string()).start()?);
            return Ok(());
        }
        let mut phone = scene.phone(self.n);
        if self.broken && matches!(make, Make::NoMicrophone | Make::AllSilent) {
            phone = phone.without_sound();
        }
        self.phone = Some(phone.start()?);
        if make.needs_rtcp() {
            let phone = match make {
                Make::LongWay => scene.far_phone(u8::from(!self.broken), self.n)?,
                _ => scene.peer_phone(self.n),
            };
            self.peer = Some(phone.start()?);
        }
        Ok(())
    }

    fn make_fault(&self, scene: &Scene) -> Result<()> {
        let (world, table) = (&scene.world, self.table());
        let (host, outside) = (&world.pair.monitored, &world.pair.outside);
        let (here, peer, callee) = (world.host(self.n).ip(), world.peer(self.n).ip(), world.peer(self.other).ip());
        let port = Scene::rtp_port(self.n);
        let for_phone = format!("ip daddr {here} udp dport {port} drop");
        match self.fault.make {
            Make::InputRule | Make::RuleForAWhile => scene.rule(host, &table, "input", &for_phone),
            Make::PreroutingRule => scene.rule(host, &table, "prerouting", &for_phone),
            Make::OutputRule => {
                scene.rule(host, &table, "output", &format!("ip saddr {here} udp sport {port} drop"))
            }
            Make::StrictReversePath => scene.reach_by_second_way(self.n, callee),
            Make::RewrittenPort => {
                let rule = format!("ip daddr {here} udp dport {port} udp dport set {}", port + 2_000);
                scene.rule(outside, &table, "output", &rule)
            }
            Make::PeerRejects => {
                let rule = format!("ip daddr {peer} udp dport {SIPP_RTP} reject with icmp type admin-prohibited");
                scene.rule(outside, &table, "input", &rule)
            }
            Make::PeerDrops => {
                let rule = format!("ip daddr {peer} udp dport {port} quota over 20000 bytes drop");
                scene.rule(outside, &table, "input", &rule)
            }
            Make::LongWay => scene.lengthen_way(0, self.n),
            Make::RelayCallerRule => scene.rule(host, &table, "input", &format!("ip saddr {peer} ip daddr {here} drop")),
            Make::RelayCalleeRule => {
                scene.rule(host, &table, "input", &format!("ip saddr {callee} ip daddr {here} drop"))
            }
            Make::RelayOutputRule => {
                scene.rule(host, &table, "output", &format!("ip saddr {here} ip daddr {callee} drop"))
            }
            Make::RelayInputRule => scene.rule(host, &table, "input", &format!("ip daddr {here} drop")),
            Make::FrozenPhone
            | Make::PrivateAddress
            | Make::PeerListensNowhere
            | Make::NoMicrophone
            | Make::PeerSilent
            | Make::AllSilent
            | Make::PeerStops
            | Make::RelayCalleeSilent
            | Make::RelayAllSilent
            | Make::RelayForgets
            | Make::RelayFrozen => Ok(()),
        }
    }

    /// Name of its table in nftables.
    fn table(&self) -> String {
        self.key.replace('-', "_")
    }

    /// The user that the proxy must know.
    fn user(&self, scene: &Scene) -> Option<User> {
        let rtpengine = self.relay.as_ref()?.socket_name();
        Some(User { name: format!("user{}", self.n), at: scene.world.peer(self.other), rtpengine })
    }

    fn begin(&mut self, scene: &Scene) -> Result<()> {
        let make = self.fault.make;
        if let Some(peer) = &mut self.peer {
            let log = || self.phone.as_ref().map(|phone| phone.program.log()).unwrap_or_default();
            self.key = call(peer, &format!("sip:pbx@{}", scene.world.host(self.n))).with_context(log)?;
            return Ok(());
        }
        let mut caller = Sipp::caller(&scene.world, self.n, &self.key).scenario("media_uac.xml");
        let (mut audio_ip, mut audio_port) = (scene.world.peer(self.n).ip().to_string(), SIPP_RTP);
        let mut seconds = 17;
        if make == Make::StrictReversePath {
            let ip = scene.world.peer(self.other).ip();
            (caller, audio_ip) = (caller.media_ip(ip), ip.to_string());
        }
        if self.broken {
            match make {
                Make::PrivateAddress => audio_ip = "192.168.1.20".to_owned(),
                Make::PeerListensNowhere => (caller, audio_port) = (caller.set(&["silent"]), 7_000),
                Make::PeerSilent | Make::AllSilent | Make::RelayAllSilent => caller = caller.set(&["silent"]),
                Make::PeerStops => (caller, seconds) = (caller.set(&["stops"]), 13),
                _ => {}
            }
        }
        let user = if make.is_relayed() { format!("user{}", self.n) } else { "pbx".to_owned() };
        if make.is_relayed() {
            caller = caller.remote(scene.world.host(0));
        }
        let keys = [("user", user), ("audio_ip", audio_ip), ("audio_port", audio_port.to_string())];
        self.caller = Some(caller.keys(&keys).talk_ms(seconds * 1_000).start()?);
        Ok(())
    }

    /// Hangs up and waits until all is done.
    fn end(&mut self) -> Result<()> {
        if let Some(peer) = &mut self.peer {
            peer.hang_up()?;
        }
        if let Some(caller) = self.caller.take() {
            caller.wait(UP)?;
        }
        if let Some(callee) = self.callee.take() {
            callee.wait(UP)?;
        }
        Ok(())
    }

    fn relay(&self) -> Result<&Rtpengine> {
        self.relay.as_ref().context("its relay")
    }

    fn call_id(&self) -> String {
        let process = self.caller.as_ref().map_or(0, sipp::Running::id);
        format!("{}@1-{process}", self.key)
    }
}

/// Prints what was said of each call, and fails where that is not what should have been said.
fn report(ingress: &str, calls: &[Played], alerts: &Alerts) -> Result<()> {
    let mut wrong = Vec::new();
    for call in calls {
        let Some(answered_at) = alerts.answered_at(&call.key) else {
            wrong.push(format!("{}: no record of an answered call", call.key));
            continue;
        };
        let mut lines = alerts.lines_about(&call.key);
        lines.retain(|line| line["severity"] != "info");
        let told = |line: &Value| {
            let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            let ms = time_of(line, "ts").map_or(0, |at| at.duration_since(answered_at).as_millis());
            (text("status"), text("code"), text("cause"), text("fault"), ms)
        };
        let told: Vec<_> = lines.iter().map(|line| told(line)).collect();
        for (status, code, cause, fault, ms) in &told {
            println!("{ingress} {}: {status} {code}/{cause} fault {fault} after {}.{:03} s", call.key, ms / 1000, ms % 1000);
        }
        if !call.broken {
            wrong.extend((!told.is_empty()).then(|| format!("{} is a good call: {told:?}", call.key)));
            continue;
        }
        let fault = call.fault;
        let (code, cause) = fault.expected;
        let is_right = told.iter().all(|(_, a, b, side, _)| (a.as_str(), b.as_str(), side.as_str()) == (code, cause, fault.side));
        let first = told.first().map(|(.., ms)| *ms);
        let in_time = first.is_some_and(|ms| ms <= fault.within_ms + SLACK_MS);
        let resolved = told.iter().any(|(status, ..)| status == "resolved");
        let ends = !matches!(fault.make, Make::RuleForAWhile | Make::FrozenPhone) || resolved;
        if !(is_right && in_time && ends) {
            wrong.push(format!("{}: expected {code}/{cause}, fault {}, got {told:?}", call.key, fault.side));
        }
    }
    let mut infos: BTreeMap<String, u32> = BTreeMap::new();
    for line in alerts.of_severity("info") {
        *infos.entry(format!("{}/{}", line["code"], line["cause"])).or_default() += 1;
    }
    println!("{ingress} infos: {infos:?}");
    ensure!(wrong.is_empty(), "{}\n{alerts}", wrong.join("\n"));
    Ok(())
}
