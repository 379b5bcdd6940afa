//! Telephones behind a proxy: baresip registers at Kamailio with a digest, and calls through it with Record-Route. Every message
//! passes the monitored host twice, the media passes by it; nobody is alarmed.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::alerts::Alerts;
use crate::programs::baresip::{Baresip, Phone};
use crate::programs::kamailio::Kamailio;
use crate::world::{Family, Turn, World, turn_with};

const DOMAIN: &str = "sip.example";

#[test]
fn telephones_behind_a_proxy_raise_nothing_over_udp() -> Result<()> {
    telephones("udp")
}

#[test]
fn telephones_behind_a_proxy_raise_nothing_over_tcp() -> Result<()> {
    telephones("tcp")
}

fn telephones(transport: &str) -> Result<()> {
    let Some(_turn) = turn_with(Turn::Shared, &["kamailio", "baresip"]) else { return Ok(()) };
    let world = World::build(&format!("phones-{transport}"), Family::V4, 4)?;
    let proxy = world.host(0);
    let _kamailio = Kamailio::new(&world.pair.monitored, &world.folder, proxy).start()?;
    let daemon = world.daemon("auto", "alerts,calls,registrations")?;

    let outbound = format!("sip:{proxy};transport={transport}");
    let phone = |number: usize, user: &str| -> Result<Phone> {
        let ports = 10_000 + 100 * u16::try_from(number)?;
        let phone = Baresip::new(&world.pair.outside, &world.folder, user, world.peer(number)).two_rtp_ports(ports);
        phone.registers(DOMAIN, &outbound, &format!("pw-{user}")).start()
    };
    // Of users whose name begins with "auth" the proxy also wants a digest with each INVITE.
    let mut phones = [phone(1, "auth1")?, phone(2, "bob")?, phone(3, "carol")?];
    for phone in &mut phones {
        phone.wait_registered()?;
    }
    let [caller, callee, target] = &mut phones;

    caller.dial(&format!("sip:bob@{DOMAIN}"))?;
    let held = caller.wait_established()?;
    callee.wait_established()?;
    caller.hold()?;
    std::thread::sleep(Duration::from_secs(1));
    caller.resume()?;
    std::thread::sleep(Duration::from_millis(500));
    caller.hang_up()?;
    callee.wait_closed()?;

    caller.dial(&format!("sip:bob@{DOMAIN}"))?;
    let transferred = caller.wait_established()?;
    callee.wait_established()?;
    caller.transfer(&format!("sip:carol@{DOMAIN}"))?;
    target.wait_established()?;
    std::thread::sleep(Duration::from_secs(1));
    target.hang_up()?;
    target.wait_closed()?;
    std::thread::sleep(Duration::from_secs(1));

    let alerts = Alerts::of(daemon.stop()?.0);
    ensure!(alerts.above_info().is_empty(), "{alerts}");
    let calls = alerts.records("call");
    ensure!(calls.len() == 3 && calls.iter().all(|call| call["final_code"] == 200), "{calls:?}");
    let went_through = |id: &str, state: &str| {
        let history =
            calls.iter().filter(|call| call["call_id"] == id).filter_map(|call| call["state_history"].as_array());
        history.flatten().any(|change| change["state"] == state)
    };
    ensure!(went_through(&held, "held"), "{calls:?}");
    ensure!(went_through(&transferred, "transferred"), "{calls:?}");
    let registrations = alerts.records("registration");
    let challenged =
        registrations.iter().filter(|r| r["state"] == "registered" && r["challenges"].as_u64() > Some(0)).count();
    ensure!(registrations.len() == 3 && challenged == 3, "{registrations:?}");
    Ok(())
}
