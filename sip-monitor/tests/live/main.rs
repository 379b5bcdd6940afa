//! The daemon with its real programs on a veth pair, and real SIPp on both ends: IPv4 and IPv6, under XDP and under tc.
//! In `calls_good` and `calls_faults` the monitored host is a Kamailio, with SIPp around it. Needs root and these programs; where they are missing the
//! tests are skipped loudly, and with `CI=true` they fail.

mod accuracy;
mod alertmanager;
mod alerts;
mod calls_faults;
mod calls_good;
mod calls_phones;
mod drops;
mod drops_tcp;
mod load;
mod media_accuracy;
mod media_blind;
mod media_call;
mod media_faults;
mod media_good;
mod media_recording;
mod media_scene;
mod programs;
mod prometheus;
mod sipp;
mod tls;
mod world;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use alerts::Alerts;
use sipp::{Audio, Sipp};
use world::{Family, World};

/// What goes wrong in one call, and what must be said about it.
struct Fault {
    /// Its Call-IDs begin with this.
    name: &'static str,
    /// Switches of `uac.xml`.
    caller: &'static [&'static str],
    /// Switches of `uas.xml`, which plays the host that is monitored.
    callee: &'static [&'static str],
    /// The callee's Contact is a private address.
    private_contact: bool,
    /// Nothing listens where the caller wants its audio.
    closed_port: bool,
    /// Who has the port that the host announces.
    host_port: HostPort,
    /// A chain of this host's nftables that drops the call's RTP.
    drops: &'static str,
    /// Code and cause of every alert.
    expected: &'static [(&'static str, &'static str)],
}

/// Who has the media port that the monitored host announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostPort {
    /// SIPp.
    Sipp,
    /// Nobody.
    Nobody,
    /// A process that takes what comes and sends nothing. (SIPp that sends nothing does not read, either.)
    Listener,
    /// A talker that goes on where a firewall drops what it sends; SIPp gives up its socket then.
    Talker,
}

const FAULT: Fault = Fault {
    name: "",
    caller: &[],
    callee: &[],
    private_contact: false,
    closed_port: false,
    host_port: HostPort::Sipp,
    drops: "",
    expected: &[],
};

const FAULTS: [Fault; 12] = [
    Fault {
        name: "never-acked",
        caller: &["no_ack", "waits"],
        callee: &["deaf"],
        expected: &[("no-ack", "never-seen")],
        ..FAULT
    },
    Fault {
        name: "private-contact",
        caller: &["no_ack", "waits"],
        callee: &["deaf"],
        private_contact: true,
        expected: &[("no-ack", "contact-private")],
        ..FAULT
    },
    Fault {
        name: "wrong-tag",
        caller: &["wrong_tag", "waits"],
        callee: &["deaf"],
        expected: &[("no-ack", "ack-mismatch")],
        ..FAULT
    },
    Fault {
        name: "dropped",
        caller: &["no_ack", "waits"],
        callee: &["deaf", "patient"],
        expected: &[("no-ack", "never-seen"), ("dropped-after-30s", "no-ack")],
        ..FAULT
    },
    Fault {
        name: "nobody-sends",
        caller: &["silent"],
        callee: &["silent"],
        expected: &[("blocked-rtp", "never-sent")],
        ..FAULT
    },
    Fault {
        name: "refused",
        caller: &["silent"],
        closed_port: true,
        expected: &[("blocked-rtp", "remote-unreachable")],
        ..FAULT
    },
    Fault { name: "caller-mute", caller: &["silent"], expected: &[("one-way-audio", "never-arrived")], ..FAULT },
    Fault {
        name: "host-mute",
        callee: &["silent"],
        host_port: HostPort::Listener,
        expected: &[("one-way-audio", "never-sent")],
        ..FAULT
    },
    Fault {
        name: "no-listener",
        callee: &["silent"],
        host_port: HostPort::Nobody,
        expected: &[("blocked-rtp", "no-listener")],
        ..FAULT
    },
    Fault {
        name: "output-rule",
        callee: &["silent"],
        host_port: HostPort::Talker,
        drops: "output",
        expected: &[("one-way-audio", "local-firewall")],
        ..FAULT
    },
    Fault { name: "input-rule", drops: "input", expected: &[("one-way-audio", "local-firewall")], ..FAULT },
    Fault { name: "prerouting-rule", drops: "prerouting", expected: &[("one-way-audio", "local-firewall")], ..FAULT },
];

#[test]
fn each_fault_raises_its_alert_and_no_other_over_ipv4_under_xdp() -> Result<()> {
    faults(Family::V4, "xdp")
}

#[test]
fn each_fault_raises_its_alert_and_no_other_over_ipv4_under_tc() -> Result<()> {
    faults(Family::V4, "tc")
}

#[test]
fn each_fault_raises_its_alert_and_no_other_over_ipv6_under_xdp() -> Result<()> {
    faults(Family::V6, "xdp")
}

#[test]
fn each_fault_raises_its_alert_and_no_other_over_ipv6_under_tc() -> Result<()> {
    faults(Family::V6, "tc")
}

#[test]
fn two_hundred_good_calls_raise_nothing_over_ipv4_under_xdp() -> Result<()> {
    good_calls(Family::V4, "xdp")
}

#[test]
fn two_hundred_good_calls_raise_nothing_over_ipv4_under_tc() -> Result<()> {
    good_calls(Family::V4, "tc")
}

#[test]
fn two_hundred_good_calls_raise_nothing_over_ipv6_under_xdp() -> Result<()> {
    good_calls(Family::V6, "xdp")
}

#[test]
fn two_hundred_good_calls_raise_nothing_over_ipv6_under_tc() -> Result<()> {
    good_calls(Family::V6, "tc")
}

/// How long the calls last.
const TALK: Duration = Duration::from_secs(8);

/// Plays all faults at once, each between addresses of its own.
fn faults(family: Family, ingress: &str) -> Result<()> {
    let Some(_turn) = world::turn(world::Turn::Shared) else { return Ok(()) };
    let world = World::build(&format!("faults-{}-{ingress}", family.name()), family, FAULTS.len())?;
    for (n, fault) in FAULTS.iter().enumerate().filter(|(_, fault)| !fault.drops.is_empty()) {
        world.drop_media(n, fault.drops)?;
    }
    let daemon = world.daemon(ingress, "alerts")?;
    let began = Instant::now();
    let (mut calls, mut talkers) = (Vec::new(), Vec::new());
    for (n, fault) in FAULTS.iter().enumerate() {
        let contact = if fault.private_contact { family.private_contact() } else { world.host(n) };
        let keys = [("contact", contact.to_string()), ("peer", world.peer(n).to_string())];
        match fault.host_port {
            HostPort::Sipp | HostPort::Nobody => {}
            HostPort::Listener => talkers.push(world.talker(n, Duration::ZERO)?),
            HostPort::Talker => talkers.push(world.talker(n, TALK)?),
        }
        let host_port = if fault.host_port == HostPort::Sipp { "6000" } else { "7000" };
        let callee = Sipp::callee(&world, n).set(fault.callee).keys(&keys).key("audio_port", host_port).start()?;
        let audio_port = if fault.closed_port { "7000" } else { "6000" };
        let caller = Sipp::caller(&world, n, fault.name).set(fault.caller).keys(&keys).key("audio_port", audio_port);
        calls.push((fault.name, caller.talk_ms(u32::try_from(TALK.as_millis())?).start()?, callee));
    }
    for (name, caller, callee) in calls {
        caller.wait(Duration::from_secs(60)).with_context(|| format!("the caller of {name}"))?;
        callee.wait(Duration::from_secs(10)).with_context(|| format!("the callee of {name}"))?;
    }
    talkers.into_iter().for_each(|talker| drop(talker.join().expect("no panic")));
    std::thread::sleep(Duration::from_millis(500));
    let alerts = Alerts::of(daemon.stop()?.0);
    let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    for fault in &FAULTS {
        let expected: BTreeSet<_> =
            fault.expected.iter().map(|(code, cause)| ((*code).to_owned(), (*cause).to_owned())).collect();
        ensure!(alerts.about(fault.name) == expected, "{}: expected {expected:?}\n{alerts}", fault.name);
    }
    ensure!(alerts.about_others(&names).is_empty(), "alerts about no call of ours:\n{alerts}");
    // 3.5 s after the answer it is clear that the 200 is not acknowledged; nobody waits for 32 s.
    let first = alerts.first("never-acked").context("when it fired")?;
    ensure!(
        first.duration_since(began) < Duration::from_secs(12),
        "no-ack fired {:?} after the call began",
        first.duration_since(began)
    );
    Ok(())
}

/// 100 calls with streamed audio, where SIPp takes one media port for all its calls, and 100 that play a recording, each from
/// a port of its own; half of each begin on the host that is monitored.
fn good_calls(family: Family, ingress: &str) -> Result<()> {
    let Some(_turn) = world::turn(world::Turn::Alone) else { return Ok(()) };
    let world = World::build(&format!("good-{}-{ingress}", family.name()), family, 4)?;
    let _ears = world.open_ears(6_000, 50)?;
    let daemon = world.daemon(ingress, "alerts,calls,streams")?;
    let mut calls = Vec::new();
    for (n, (audio, outgoing)) in
        [(Audio::Streamed, false), (Audio::Streamed, true), (Audio::Recorded, false), (Audio::Recorded, true)]
            .into_iter()
            .enumerate()
    {
        let at = if outgoing { world.peer(n) } else { world.host(n) };
        let callee = Sipp::callee(&world, n).audio(audio).outgoing(outgoing).key("contact", &at.to_string()).calls(50);
        let callee = callee.key("audio_port", "6000").key("peer", "unused").start()?;
        let caller =
            Sipp::caller(&world, n, "good").audio(audio).outgoing(outgoing).key("contact", &at.to_string()).calls(50);
        calls.push((caller.key("audio_port", "6000").talk_ms(7_500).start()?, callee));
    }
    for (caller, callee) in calls {
        caller.wait(Duration::from_secs(60)).context("callers")?;
        callee.wait(Duration::from_secs(10)).context("callees")?;
    }
    std::thread::sleep(Duration::from_millis(500));
    let (lines, _) = daemon.stop()?;
    let alerts = Alerts::of(lines);
    ensure!(alerts.is_empty(), "200 good calls raised\n{alerts}");
    let calls = alerts.records("call");
    ensure!(calls.len() == 200, "{} records of 200 calls", calls.len());
    let wrong: Vec<_> =
        calls.iter().filter(|call| call["state"] != "disconnected" || call["final_code"] != 200).collect();
    ensure!(wrong.is_empty(), "{} calls were not seen to their end, such as {}", wrong.len(), wrong[0]);
    Ok(())
}
