//! Good calls through a proxy, as real programs make them: nobody may be woken for one of them, and each is in the records as
//! SIPp says that it went. Every message passes the monitored host twice: in and out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::alerts::Alerts;
use crate::programs::kamailio::Kamailio;
use crate::sipp::{Running, Sipp};
use crate::world::{Family, Turn, World, turn_with};

/// A kind of call that is no fault.
struct Kind {
    /// Its Call-IDs begin with this.
    name: &'static str,
    /// Plays the caller.
    scenario: &'static str,
    /// Who calls whom.
    from: &'static str,
    user: &'static str,
    /// Switches of the caller.
    switches: &'static [&'static str],
    calls: usize,
    talk_ms: u32,
    /// The callees that one call reaches.
    reaches: &'static [Callee],
    /// State and final code of its record, and a state that it went through.
    ends: (&'static str, u64),
    through: &'static str,
}

/// Who is called; each at an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callee {
    Answers,
    Busy,
    Moved,
    Rings,
    Transfers,
}

impl Callee {
    const ALL: [Self; 5] = [Self::Answers, Self::Busy, Self::Moved, Self::Rings, Self::Transfers];

    /// Number of its address on the other side.
    const fn place(self) -> usize {
        self as usize
    }

    const fn scenario(self) -> &'static str {
        match self {
            Self::Answers | Self::Busy | Self::Moved | Self::Rings => "proxy_callee.xml",
            Self::Transfers => "proxy_transferor.xml",
        }
    }

    const fn switches(self) -> &'static [&'static str] {
        match self {
            Self::Answers | Self::Transfers => &[],
            Self::Busy => &["busy"],
            Self::Moved => &["moved"],
            Self::Rings => &["rings"],
        }
    }
}

const PLAIN: Kind = Kind {
    name: "plain",
    scenario: "proxy_caller.xml",
    from: "alice",
    user: "callee",
    switches: &[],
    calls: 20,
    talk_ms: 1_000,
    reaches: &[Callee::Answers],
    ends: ("disconnected", 200),
    through: "confirmed",
};

const KINDS: [Kind; 10] = [
    Kind { calls: 80, ..PLAIN },
    // 407, and again with credentials.
    Kind { name: "authenticated", from: "auth1", calls: 40, ..PLAIN },
    Kind { name: "held", switches: &["hold"], calls: 30, through: "held", ..PLAIN },
    // The proxy follows a 302; the caller follows a 302.
    Kind { name: "forwarded", user: "follow", reaches: &[Callee::Moved, Callee::Answers], ..PLAIN },
    Kind { name: "redirected", user: "moved", reaches: &[Callee::Moved, Callee::Answers], ..PLAIN },
    // Two telephones ring, one answers, the other is cancelled.
    Kind { name: "forked", user: "fork", calls: 30, reaches: &[Callee::Rings, Callee::Answers], ..PLAIN },
    Kind {
        name: "busy",
        user: "busy",
        calls: 30,
        reaches: &[Callee::Busy],
        ends: ("failed", 486),
        through: "calling",
        ..PLAIN
    },
    Kind {
        name: "cancelled",
        scenario: "proxy_cancel.xml",
        user: "rings",
        calls: 30,
        reaches: &[Callee::Rings],
        ends: ("failed", 487),
        through: "ringing",
        ..PLAIN
    },
    // Nobody answers for 2 s: the proxy cancels and connects to the mailbox.
    Kind { name: "no-answer", user: "away", calls: 10, reaches: &[Callee::Rings, Callee::Answers], ..PLAIN },
    Kind {
        name: "transferred",
        scenario: "proxy_transferred.xml",
        user: "transfers",
        reaches: &[Callee::Transfers, Callee::Answers],
        through: "transferred",
        ..PLAIN
    },
];

/// Registrations that are made, refreshed and removed.
const REGISTRATIONS: usize = 30;
/// How long all of it may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn good_calls_through_a_proxy_raise_nothing_over_udp() -> Result<()> {
    good_calls(false)
}

#[test]
fn good_calls_through_a_proxy_raise_nothing_over_tcp() -> Result<()> {
    good_calls(true)
}

fn good_calls(tcp: bool) -> Result<()> {
    let Some(_turn) = turn_with(Turn::Alone, &["sipp", "kamailio"]) else { return Ok(()) };
    let world = World::build(if tcp { "proxy-tcp" } else { "proxy-udp" }, Family::V4, 20)?;
    let proxy = world.host(0);
    let kamailio = Kamailio::new(&world.pair.monitored, &world.folder, proxy).start()?;
    let daemon = world.daemon("auto", "alerts,calls,events,registrations,peers")?;

    let callees = Callee::ALL.map(|callee| -> Result<Running> {
        let calls = KINDS.iter().filter(|kind| kind.reaches.contains(&callee)).map(|kind| kind.calls).sum();
        let target = match callee {
            Callee::Transfers => "callee@sip.example".to_owned(),
            _ if tcp => format!("callee@{};transport=tcp", world.peer(Callee::Answers.place())),
            _ => format!("callee@{}", world.peer(Callee::Answers.place())),
        };
        let sipp = Sipp::answers(&world, callee.scenario(), world.peer(callee.place())).calls(calls).tcp(tcp);
        sipp.set(callee.switches()).key("target", &target).start()
    });
    register(&world, "setup", tcp, &["stays"], &bindings(&world))?;

    let registering: Vec<_> = (0..REGISTRATIONS).map(|n| (format!("phone{n}"), world.peer(6))).collect();
    let registers = start_register(&world, "registered", tcp, &[], &registering)?;
    let mut callers = Vec::new();
    for (n, kind) in KINDS.iter().enumerate() {
        let sipp =
            Sipp::calls_to(&world, kind.scenario, world.peer(7 + n), proxy, kind.name).calls(kind.calls).rate(40);
        let sipp = sipp.tcp(tcp).set(kind.switches).key("from", kind.from).key("user", kind.user);
        let sipp = sipp.args(&["-au", kind.from, "-ap", &format!("pw-{}", kind.from)]).talk_ms(kind.talk_ms);
        callers.push((kind, sipp.start()?));
    }
    let mut went_well = BTreeMap::new();
    for (kind, caller) in callers {
        let calls = caller.wait(PATIENCE).with_context(|| format!("callers of {}; {}", kind.name, kamailio.log()))?;
        went_well.insert(kind.name, calls);
    }
    for callee in callees {
        callee?.wait(Duration::from_secs(10)).context("callees")?;
    }
    ensure!(registers.wait(Duration::from_secs(10))? == REGISTRATIONS, "not all registrations were made");
    std::thread::sleep(Duration::from_millis(500));

    let lines = Alerts::of(daemon.stop()?.0);
    println!("informations: {:?}", lines.counts());
    ensure!(lines.above_info().is_empty(), "good calls raised\n{lines}");
    for kind in &KINDS {
        ensure!(went_well.get(kind.name) == Some(&kind.calls), "{}: by SIPp's count {went_well:?}", kind.name);
        ensure_ends(&lines, kind.name, kind.calls, kind.ends, kind.through)?;
    }
    // Each transfer makes a call of its own.
    let transfers = KINDS.iter().filter(|kind| kind.through == "transferred").map(|kind| kind.calls).sum();
    ensure_ends(&lines, "transfer///transferred", transfers, PLAIN.ends, PLAIN.through)?;
    let calls = KINDS.iter().map(|kind| kind.calls).sum::<usize>() + transfers;
    ensure!(lines.records("call").len() == calls, "{} records of {calls} calls", lines.records("call").len());
    ensure_events(&lines)?;
    ensure_peers(&lines, calls)?;
    let removed = lines.records("registration").into_iter().filter(|record| record["state"] == "removed").count();
    ensure!(removed == REGISTRATIONS, "{removed} registrations removed, of {REGISTRATIONS}");
    Ok(())
}

/// All calls of a name have a record, each with that end.
fn ensure_ends(lines: &Alerts, name: &str, calls: usize, ends: (&str, u64), through: &str) -> Result<()> {
    let records = lines.calls(name);
    let went_through = |record: &Value| {
        record["state_history"].as_array().is_some_and(|states| states.iter().any(|change| change["state"] == through))
    };
    let differs =
        |record: &&&Value| record["state"] != ends.0 || record["final_code"] != ends.1 || !went_through(record);
    ensure!(records.len() == calls, "{name}: {} records of {calls} calls", records.len());
    if let Some(record) = records.iter().find(differs) {
        bail!("{name}: ends otherwise than {ends:?} through {through}: {record}");
    }
    Ok(())
}

/// On a proxy that sees each message twice, each change of state is told once: the events of a call are its history.
fn ensure_events(lines: &Alerts) -> Result<()> {
    let mut told: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in lines.records("event") {
        told.entry(event["call_id"].as_str().unwrap_or_default()).or_default().push(event);
    }
    for call in lines.records("call") {
        let events = told.remove(call["call_id"].as_str().unwrap_or_default()).unwrap_or_default();
        let history = call["state_history"].as_array().context("a call without history")?;
        let same = |(event, state): (&&Value, &Value)| event["state"] == state["state"] && event["by"] == state["by"];
        let in_order = events.iter().zip(1_u64..).all(|(event, number)| event["sequence"] == number);
        ensure!(
            events.len() == history.len() && in_order && events.iter().zip(history).all(same),
            "told {events:?} of {call}"
        );
    }
    ensure!(told.is_empty(), "changes of calls without record: {told:?}");
    Ok(())
}

/// Each call is one attempt of whoever made it, however often it was challenged or relayed.
fn ensure_peers(lines: &Alerts, calls: usize) -> Result<()> {
    // A peer is told once a minute and at the end: the last record counts.
    let last: BTreeMap<String, &Value> =
        lines.records("peer").into_iter().map(|peer| (peer["peer"].to_string(), peer)).collect();
    let remote: Vec<&Value> = last.into_values().filter(|peer| peer["local"] != true).collect();
    let made: u64 = remote.iter().filter_map(|peer| peer["attempts_from"].as_u64()).sum();
    ensure!(made == calls as u64, "{made} attempts of {calls} calls: {remote:?}");
    let up: u64 = remote.iter().filter_map(|peer| peer["concurrent"].as_u64()).sum();
    ensure!(up == 0, "{up} calls are still up: {remote:?}");
    Ok(())
}

/// Where the proxy finds its users.
fn bindings(world: &World) -> Vec<(String, SocketAddr)> {
    let places = [
        ("callee", Callee::Answers),
        ("voicemail", Callee::Answers),
        ("fork", Callee::Answers),
        ("fork", Callee::Rings),
        ("rings", Callee::Rings),
        ("away", Callee::Rings),
        ("busy", Callee::Busy),
        ("moved", Callee::Moved),
        ("follow", Callee::Moved),
        ("transfers", Callee::Transfers),
    ];
    places.map(|(user, callee)| (user.to_owned(), world.peer(callee.place()))).to_vec()
}

fn register(world: &World, name: &str, tcp: bool, switches: &[&str], bindings: &[(String, SocketAddr)]) -> Result<()> {
    let done = start_register(world, name, tcp, switches, bindings)?.wait(PATIENCE)?;
    ensure!(done == bindings.len(), "{done} registrations of {} were made", bindings.len());
    Ok(())
}

/// A SIPp that makes a registration for each user and Contact.
fn start_register(
    world: &World,
    name: &str,
    tcp: bool,
    switches: &[&str],
    bindings: &[(String, SocketAddr)],
) -> Result<Running> {
    let users = world.folder.join(format!("{name}.users"));
    let line = |(user, contact): &(String, SocketAddr)| {
        format!("{user};{contact};[authentication username={user} password=pw-{user}]\n")
    };
    let lines: String = bindings.iter().map(line).collect();
    std::fs::write(&users, format!("SEQUENTIAL\n{lines}")).context("the users to register")?;
    let sipp = Sipp::calls_to(world, "proxy_register.xml", world.peer(6), world.host(0), name).calls(bindings.len());
    let users = users.to_str().context("the temporary folder is no UTF-8")?;
    sipp.tcp(tcp).set(switches).args(&["-inf", users]).rate(40).start()
}
