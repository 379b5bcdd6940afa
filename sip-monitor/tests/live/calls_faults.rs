//! Faults of signalling made for real, all at once, each between addresses of its own, most of them through a proxy: each gives
//! exactly its alert and no other that anybody has to look at. Prints the table of what was made and what was said.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::alerts::{Alerts, call_of};
use crate::programs::child::Program;
use crate::programs::kamailio::Kamailio;
use crate::sipp::{Running, Sipp};
use crate::world::{Family, Turn, World, turn_with};

/// One fault, and what must be said of it.
struct Fault {
    /// Its Call-IDs begin with this.
    name: &'static str,
    /// How it is made, for the table.
    made: &'static str,
    caller: Caller,
    callee: Callee,
    /// Code, cause, severity and the side that is at fault; empty where that is not told.
    alert: (&'static str, &'static str, &'static str, &'static str),
}

/// Who begins.
#[derive(Clone, Copy)]
enum Caller {
    /// This scenario calls through the proxy.
    Calls(&'static str),
    /// The same, with this user's name and a wrong password.
    WrongPassword,
    /// Calls this number instead of its own.
    Dials(&'static str),
    /// So many calls within a second.
    Many(usize),
    /// Registers with this password.
    Registers(&'static str),
    /// Tries so many users without a password.
    Scans(usize),
    /// The monitored host asks the callee every second whether it is there.
    Pings,
}

/// Who is called, and what is wrong there.
#[derive(Clone, Copy)]
enum Callee {
    /// Nobody: the port is closed.
    Nobody,
    /// A socket that takes everything and says nothing.
    Silent,
    /// Refuses with this code, phrase and header.
    Refuses(&'static str, &'static str, &'static str),
    /// `fault_callee.xml` with these switches.
    Plays(&'static [&'static str]),
    /// Answers and hangs up as it should.
    Answers,
    /// A second proxy that sends everything back.
    SendsBack,
    /// Answers pings, stands still for a time, and answers again.
    Pauses,
}

const NO_HEADER: &str = "Server: gateway";

/// Seventeen that the specification asks for, and what a relay keeps for itself.
const FAULTS: [Fault; 21] = [
    Fault {
        name: "wrong-password",
        made: "INVITE with a wrong digest, refused by Kamailio with 407 again",
        caller: Caller::WrongPassword,
        callee: Callee::Nobody,
        alert: ("auth-failed", "credentials", "warning", "remote"),
    },
    Fault {
        name: "wrong-registration",
        made: "REGISTER with a wrong digest, refused by Kamailio with 401 again",
        caller: Caller::Registers("wrong"),
        callee: Callee::Nobody,
        alert: ("registration-failed", "credentials", "warning", "remote"),
    },
    Fault {
        name: "not-allowed",
        made: "gateway answers 403 without a challenge",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Refuses("403", "Forbidden", NO_HEADER),
        alert: ("auth-failed", "acl", "warning", "local"),
    },
    Fault {
        name: "not-e164",
        made: "gateway answers 484 to 0301234567",
        caller: Caller::Dials("0301234567"),
        callee: Callee::Refuses("484", "Address Incomplete", NO_HEADER),
        alert: ("invalid-number", "not-e164", "warning", "remote"),
    },
    Fault {
        name: "codec-488",
        made: "gateway answers 488 with Warning 304",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Refuses("488", "Not Acceptable Here", "Warning: 304 gateway \"Media type not available\""),
        alert: ("codec-mismatch", "refused", "warning", "remote"),
    },
    Fault {
        name: "codec-415",
        made: "gateway answers 415 with Accept",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Refuses("415", "Unsupported Media Type", "Accept: application/isup"),
        alert: ("codec-mismatch", "refused", "warning", "remote"),
    },
    Fault {
        name: "interval",
        made: "caller asks for Session-Expires: 60 three times, gateway answers 422 with Min-SE: 90",
        caller: Caller::Calls("fault_interval.xml"),
        callee: Callee::Refuses("422", "Session Interval Too Small", "Min-SE: 90"),
        alert: ("session-interval-too-small", "caller-insists", "warning", "remote"),
    },
    Fault {
        name: "rate-limit",
        made: "30 calls in a second, gateway answers 503 with Retry-After",
        caller: Caller::Many(30),
        callee: Callee::Refuses("503", "Calls per second limit exceeded", "Retry-After: 5"),
        alert: ("trunk-limit", "cps-limit", "warning", "remote"),
    },
    Fault {
        name: "silent-peer",
        made: "gateway takes the INVITE and says nothing",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Silent,
        alert: ("request-unanswered", "remote-silent", "critical", "remote"),
    },
    Fault {
        name: "closed-port",
        made: "nobody listens at the gateway: ICMP port unreachable",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Nobody,
        alert: ("request-unanswered", "icmp-unreachable", "critical", "remote"),
    },
    Fault {
        name: "cancel",
        made: "gateway rings and does not answer CANCEL",
        caller: Caller::Calls("fault_cancel.xml"),
        callee: Callee::Plays(&["deaf"]),
        alert: ("cancel-ignored", "cancel-unanswered", "warning", "remote"),
    },
    Fault {
        name: "bye-unanswered",
        made: "gateway answers the call and does not answer BYE",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Plays(&["answers", "deaf"]),
        alert: ("teardown-failed", "bye-unanswered", "warning", "remote"),
    },
    Fault {
        name: "bye-481",
        made: "gateway answers BYE with 481",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Plays(&["answers", "gone"]),
        alert: ("teardown-failed", "bye-481", "warning", "remote"),
    },
    Fault {
        name: "loop",
        made: "two Kamailios send the call to each other until Max-Forwards is used up (483)",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::SendsBack,
        alert: ("routing-loop", "loop", "critical", "local"),
    },
    Fault {
        name: "phone-gone",
        made: "registered for 5 s, and never seen again",
        caller: Caller::Registers("pw-user14"),
        callee: Callee::Nobody,
        alert: ("registration-expired", "silent", "warning", "remote"),
    },
    Fault {
        name: "trunk",
        made: "trunk stands still for 40 s while it is pinged, and goes on",
        caller: Caller::Pings,
        callee: Callee::Pauses,
        alert: ("trunk-down", "unanswered", "critical", "remote"),
    },
    Fault {
        name: "scan",
        made: "REGISTER of 50 users from one address, none with a digest",
        caller: Caller::Scans(50),
        callee: Callee::Nobody,
        alert: ("scan", "enumeration", "warning", "remote"),
    },
    Fault {
        name: "invite-kept",
        made: "Kamailio takes INVITEs for this number and drops them",
        caller: Caller::Calls("fault_cancel.xml"),
        callee: Callee::Nobody,
        alert: ("request-unanswered", "not-relayed", "critical", "local"),
    },
    Fault {
        name: "hold-kept",
        made: "Kamailio takes the re-INVITE of this call and does not send it on",
        caller: Caller::Calls("fault_hold.xml"),
        callee: Callee::Answers,
        alert: ("request-unanswered", "not-relayed", "critical", "local"),
    },
    Fault {
        name: "ack-kept",
        made: "Kamailio takes the ACK of this call and does not send it on",
        caller: Caller::Calls("fault_caller.xml"),
        callee: Callee::Plays(&["answers", "unacknowledged"]),
        alert: ("no-ack", "ack-not-relayed", "critical", "local"),
    },
    Fault {
        name: "no-digest",
        made: "caller does not answer the challenge of Kamailio",
        caller: Caller::Calls("fault_mute.xml"),
        callee: Callee::Nobody,
        alert: ("auth-failed", "no-answer-to-challenge", "warning", "remote"),
    },
];

/// From the first fault to the end: 64*T1 and what comes before it.
const LASTS: Duration = Duration::from_secs(48);
/// When the trunk stands still, and when it goes on.
const TRUNK_PAUSES: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(43));

impl Fault {
    /// The number it calls: one of its own, so that the proxy finds the gateway by it.
    fn user(&self, n: usize) -> String {
        match self.caller {
            Caller::Dials(number) => number.to_owned(),
            _ => format!("+12025550{n:03}"),
        }
    }

    /// How long it talks or rings: a 2xx without ACK must have been repeated three times.
    fn talk_ms(&self) -> u32 {
        if self.name == "ack-kept" { 6_000 } else { 3_000 }
    }

    /// Who it calls as; the proxy challenges those that begin with `auth`.
    fn from(&self) -> &'static str {
        match self.caller {
            Caller::WrongPassword | Caller::Calls("fault_mute.xml") => "auth1",
            _ => "+12025559999",
        }
    }
}

/// Addresses of a fault.
fn caller_at(world: &World, n: usize) -> SocketAddr {
    world.peer(2 * n)
}

fn callee_at(world: &World, n: usize) -> SocketAddr {
    world.peer(2 * n + 1)
}

#[test]
fn each_fault_through_a_proxy_raises_its_alert_and_no_other() -> Result<()> {
    let Some(_turn) = turn_with(Turn::Shared, &["sipp", "kamailio"]) else { return Ok(()) };
    let world = World::build("proxy-faults", Family::V4, 2 * FAULTS.len())?;
    let proxy = world.host(0);
    let _kamailio = proxy_with_faults(&world).start()?;
    let daemon = world.daemon("auto", "alerts")?;

    let mut held = Held::default();
    for (n, fault) in FAULTS.iter().enumerate() {
        held.start_callee(&world, n, fault)?;
    }
    let began = Instant::now();
    for (n, fault) in FAULTS.iter().enumerate() {
        held.start_caller(&world, n, fault, proxy)?;
    }
    for (after, freeze) in [(TRUNK_PAUSES.0, true), (TRUNK_PAUSES.1, false)] {
        std::thread::sleep(after.saturating_sub(began.elapsed()));
        held.trunks.iter().for_each(|trunk| if freeze { trunk.freeze() } else { trunk.thaw() });
    }
    std::thread::sleep(LASTS.saturating_sub(began.elapsed()));

    let alerts = Alerts::of(daemon.stop()?.0);
    drop(held);
    let mut wrong = Vec::new();
    println!("| fault | how it is made | alert | after |\n|---|---|---|---|");
    for (n, fault) in FAULTS.iter().enumerate() {
        let about: Vec<&Value> =
            alerts.last_of_each().into_iter().filter(|alert| is_about(alert, &world, n, fault)).collect();
        for alert in &about {
            let at = alerts.first_of(&alert["id"]).map_or(0.0, |at| at.duration_since(began).as_secs_f64());
            println!("| {} | {} | {} | {at:.1} s |", fault.name, fault.made, shown(alert));
        }
        let told: Vec<_> =
            about.iter().filter(|alert| alert["severity"] != "info").map(|alert| verdict(alert)).collect();
        if told != [fault.alert] {
            wrong.push(format!("{}: expected {:?}, told {told:?}", fault.name, fault.alert));
        }
        // The rate is measured, not read from the phrase: it grows until the last call.
        let rate = about.iter().find_map(|alert| alert["evidence"]["calls_per_second"].as_u64());
        if let Caller::Many(calls) = fault.caller
            && !rate.is_some_and(|rate| (5..=calls as u64).contains(&rate))
        {
            wrong.push(format!("{}: a rate of {rate:?} calls a second was measured", fault.name));
        }
        let resolved = about.iter().any(|alert| alert["status"] == "resolved");
        if fault.name == "trunk" && !resolved {
            wrong.push("trunk: not resolved when it answered again".to_owned());
        }
    }
    let others: Vec<&Value> = alerts
        .last_of_each()
        .into_iter()
        .filter(|alert| !FAULTS.iter().enumerate().any(|(n, fault)| is_about(alert, &world, n, fault)))
        .collect();
    for alert in &others {
        println!("| other | | {} | |", shown(alert));
    }
    ensure!(others.iter().all(|alert| alert["severity"] == "info"), "alerts about no fault of ours:\n{alerts}");
    ensure!(wrong.is_empty(), "{}\n{alerts}", wrong.join("\n"));
    Ok(())
}

/// The proxy, with a gateway for each number and what it does wrong itself.
fn proxy_with_faults(world: &World) -> Kamailio<'_> {
    let mut kamailio = Kamailio::new(&world.pair.monitored, &world.folder, world.host(0));
    for (n, fault) in FAULTS.iter().enumerate() {
        let called = format!("$rU == \"{}\"", fault.user(n));
        let to_gateway = format!("$du = \"sip:{}\"; t_relay(); exit;", callee_at(world, n));
        let from_caller = format!("$si == \"{}\"", caller_at(world, n).ip());
        kamailio = match fault.name {
            "invite-kept" => kamailio.route(&called, "exit;"),
            "hold-kept" => kamailio
                .route(&called, &to_gateway)
                .in_dialog(&format!("is_method(\"INVITE\") && {from_caller}"), "exit;"),
            "ack-kept" => {
                kamailio.route(&called, &to_gateway).in_dialog(&format!("is_method(\"ACK\") && {from_caller}"), "exit;")
            }
            _ => kamailio.route(&called, &to_gateway),
        };
    }
    kamailio
}

/// What runs while the faults last.
#[derive(Default)]
struct Held {
    programs: Vec<Program>,
    sipps: Vec<Running>,
    trunks: Vec<Running>,
    sockets: Vec<UdpSocket>,
}

impl Held {
    fn start_callee(&mut self, world: &World, n: usize, fault: &Fault) -> Result<()> {
        let at = callee_at(world, n);
        let calls = if let Caller::Many(calls) = fault.caller { calls } else { 1 };
        let sipp = |scenario: &'static str| Sipp::answers(world, scenario, at).calls(calls);
        match fault.callee {
            Callee::Nobody => {}
            Callee::Silent => self.sockets.push(world.silent(at)?),
            Callee::Refuses(code, phrase, header) => {
                let scenario = refusing(world, n, &format!("{code} {phrase}"), header)?;
                let again: &[&str] = if fault.name == "interval" { &["again"] } else { &[] };
                self.sipps.push(Sipp::answers(world, scenario, at).calls(calls).set(again).start()?);
            }
            Callee::Plays(switches) => {
                let scenario = refusing(world, n, "500 Not Used", NO_HEADER)?;
                let sipp = Sipp::answers(world, scenario, at).set(switches);
                self.sipps.push(sipp.args(&["-default_behaviors", "none"]).start()?);
            }
            Callee::Answers => self.sipps.push(sipp("proxy_callee.xml").key("target", "unused").start()?),
            Callee::SendsBack => {
                let back = format!("$du = \"sip:{}\"; t_relay(); exit;", world.host(0));
                let kamailio =
                    Kamailio::new(&world.pair.outside, &world.folder, at).route("is_method(\"INVITE\")", &back);
                self.programs.push(kamailio.start()?);
            }
            Callee::Pauses => self.trunks.push(sipp("pong.xml").calls(1_000).start()?),
        }
        Ok(())
    }

    fn start_caller(&mut self, world: &World, n: usize, fault: &Fault, proxy: SocketAddr) -> Result<()> {
        let (at, user) = (caller_at(world, n), fault.user(n));
        let calls = |scenario: &'static str| {
            let sipp =
                Sipp::calls_to(world, scenario, at, proxy, fault.name).key("from", fault.from()).key("user", &user);
            sipp.args(&["-au", fault.from(), "-ap", "wrong"]).talk_ms(fault.talk_ms())
        };
        let sipp = match fault.caller {
            Caller::Calls(scenario) => calls(scenario),
            Caller::WrongPassword | Caller::Dials(_) => calls("fault_caller.xml"),
            Caller::Many(many) => calls("fault_caller.xml").calls(many).rate(u32::try_from(many)?),
            Caller::Registers(password) => {
                let user = format!("user{n};{at};[authentication username=user{n} password={password}]\n");
                registers(world, n, at, proxy, fault.name, &user)?
            }
            Caller::Scans(users) => {
                let users_text: String = (0..users).map(|user| format!("{};{at};\n", 100 + user)).collect();
                let sipp = registers(world, n, at, proxy, fault.name, &users_text)?;
                sipp.calls(users).set(&["probes"])
            }
            Caller::Pings => {
                let from = world.host(2 * n);
                Sipp::calls_to(world, "ping.xml", from, callee_at(world, n), fault.name)
                    .calls(LASTS.as_secs() as usize)
                    .rate(1)
            }
        };
        self.sipps.push(sipp.start()?);
        Ok(())
    }
}

/// `fault_callee.xml` with the refusal of this fault: SIPp takes no variable for a status code.
fn refusing(world: &World, n: usize, status: &str, header: &str) -> Result<PathBuf> {
    let template = include_str!("../sipp/fault_callee.xml");
    let path = world.folder.join(format!("{n}-callee.xml"));
    let text = template
        .replace("SIP/2.0 STATUS", &format!("SIP/2.0 {status}"))
        .replace("\nHEADER\n", &format!("\n{header}\n"));
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// A SIPp that registers these users.
fn registers<'a>(
    world: &'a World,
    n: usize,
    at: SocketAddr,
    proxy: SocketAddr,
    name: &str,
    users: &str,
) -> Result<Sipp<'a>> {
    let file = world.folder.join(format!("{n}.users"));
    std::fs::write(&file, format!("SEQUENTIAL\n{users}")).context("the users to register")?;
    let file = file.to_str().context("the temporary folder is no UTF-8")?;
    Ok(Sipp::calls_to(world, "fault_register.xml", at, proxy, name).args(&["-inf", file]))
}

/// By its call, else by the peer it names.
fn is_about(alert: &Value, world: &World, n: usize, fault: &Fault) -> bool {
    let call = call_of(alert);
    if !call.is_empty() {
        return call == fault.name;
    }
    let peer = alert["peer"]["addr"].as_str().unwrap_or_default();
    [caller_at(world, n), callee_at(world, n)].iter().any(|at| at.ip().to_string() == peer)
}

/// As [`Fault::alert`].
fn verdict(alert: &Value) -> (&str, &str, &str, &str) {
    let text = |key: &str| alert[key].as_str().unwrap_or_default();
    (text("code"), text("cause"), text("severity"), text("fault"))
}

fn shown(alert: &Value) -> String {
    let (code, cause, severity, fault) = verdict(alert);
    let status = alert["status"].as_str().unwrap_or_default();
    format!("`{code}` / `{cause}`, {severity}, fault {fault}, {status}")
}
