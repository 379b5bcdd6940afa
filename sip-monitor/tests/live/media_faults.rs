//! Each way in which audio goes missing, made for real, and beside each the same call with nothing wrong: one daemon, all calls
//! at once, and exactly the right cause with the fault on the right side.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::alerts::{Alerts, time_of};
use crate::media_call::Played;
use crate::media_scene::{PROGRAMS, Scene, shrink_receive_buffer};
use crate::programs::rtpengine::rtp_ports;
use crate::world::{Turn, turn_with};

/// How a fault is made. In the words of the host that is monitored: a telephone of it, or its relay between two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
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
pub struct Fault {
    pub name: &'static str,
    pub make: Make,
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
const SLACK_MS: i128 = 1_500;

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
    // Frozen some 3 s after the answer, when all calls have begun; its last report may be a second late.
    fault("frozen-phone", Make::FrozenPhone, ("blocked-rtp", "socket-overflow"), "local", 6_000 + PROVEN),
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
    // Made some 0.5 s after the answer, when all calls have begun; the last report may be a second late.
    fault("relay-forgets", Make::RelayForgets, ("blocked-rtp", "no-listener"), "local", 3_500 + PROVEN),
    fault("relay-frozen", Make::RelayFrozen, ("blocked-rtp", "socket-overflow"), "local", 3_500 + PROVEN),
];

#[test]
fn each_way_to_lose_audio_is_told_from_the_others_under_xdp() -> Result<()> {
    all_at_once("xdp")
}

#[test]
fn each_way_to_lose_audio_is_told_from_the_others_under_tc() -> Result<()> {
    all_at_once("tc")
}

fn all_at_once(ingress: &str) -> Result<()> {
    let Some(_turn) = turn_with(Turn::Alone, &PROGRAMS) else { return Ok(()) };
    let mut scene = Scene::build(ingress, 1 + 4 * FAULTS.len())?;
    let mut calls = Vec::new();
    for broken in [true, false] {
        for fault in &FAULTS {
            calls.push(Played::new(&mut scene, fault, broken));
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
    let alerts = Alerts::of(daemon.stop()?.0);
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

/// One alert line about a call.
struct Told {
    status: String,
    what: (String, String),
    side: String,
    is_info: bool,
    /// After the answer.
    ms: i128,
}

impl Told {
    fn of(line: &Value, answered_at: Timestamp) -> Self {
        let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        Self {
            status: text("status"),
            what: (text("code"), text("cause")),
            side: text("fault"),
            is_info: line["severity"] == "info",
            ms: time_of(line, "ts").map_or(0, |at| at.duration_since(answered_at).as_millis()),
        }
    }

    /// Whether it is of the diagnoses under test, or more than an information.
    fn matters(&self) -> bool {
        !self.is_info || matches!(self.what.0.as_str(), "blocked-rtp" | "one-way-audio")
    }

    /// Whether it is the host's own account of what it dropped, which may stand beside the verdict about the call.
    fn is_of_host(&self) -> bool {
        self.what.0 == "packets-dropped-locally"
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, cause) = &self.what;
        let info = if self.is_info { " (info)" } else { "" };
        write!(f, "{} {code}/{cause}{info}, fault {}, {:.2} s", self.status, self.side, self.ms as f64 / 1e3)
    }
}

/// Prints what was said of each call, and fails where that is not what should have been said.
fn report(ingress: &str, calls: &[Played], alerts: &Alerts) -> Result<()> {
    let mut wrong = Vec::new();
    for call in calls {
        let title = format!("{ingress} {} {}", call.fault.name, if call.broken { "broken" } else { "good" });
        let Some(answered_at) = alerts.answered_at(&call.key) else {
            wrong.push(format!("{title}: no record of an answered call"));
            continue;
        };
        let lines = alerts.lines_about(&call.key);
        let told: Vec<Told> = lines.iter().map(|line| Told::of(line, answered_at)).filter(Told::matters).collect();
        let text: Vec<String> = told.iter().map(Told::to_string).collect();
        println!("{title}: {}", text.join("; "));
        let is_right = if call.broken { call.fault.is_told_by(&told) } else { told.is_empty() };
        if !is_right {
            wrong.push(format!("{title}: {}", text.join("; ")));
        }
    }
    let keys: Vec<&str> = calls.iter().map(|call| call.key.as_str()).collect();
    let alarming = |line: &&Value| line["severity"] != "info" && line["code"] != "packets-dropped-locally";
    wrong.extend(alerts.lines_about_none_of(&keys).into_iter().find(alarming).map(|line| format!("beside: {line}")));
    let mut infos: BTreeMap<String, u32> = BTreeMap::new();
    for line in alerts.of_severity("info") {
        *infos.entry(format!("{}/{}", line["code"], line["cause"])).or_default() += 1;
    }
    println!("{ingress} informations: {infos:?}");
    ensure!(wrong.is_empty(), "{}\n{alerts}", wrong.join("\n"));
    Ok(())
}

impl Fault {
    /// Whether that is exactly its cause, on the right side, in time, and its end where it ends.
    fn is_told_by(&self, told: &[Told]) -> bool {
        let (code, cause) = self.expected;
        let is_it = |t: &Told| (t.what.0.as_str(), t.what.1.as_str(), t.side.as_str()) == (code, cause, self.side);
        let first = told.iter().find(|t| !t.is_info && t.status != "resolved" && !t.is_of_host());
        let in_time = first.is_some_and(|t| t.ms <= self.within_ms + SLACK_MS);
        let ends = matches!(self.make, Make::RuleForAWhile | Make::FrozenPhone | Make::RelayFrozen);
        let has_ended = told.iter().rfind(|t| !t.is_of_host()).is_some_and(|t| t.status == "resolved");
        in_time && told.iter().all(|t| is_it(t) || t.is_of_host()) && ends == has_ended
    }
}
