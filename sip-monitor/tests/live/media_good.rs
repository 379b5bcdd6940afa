//! Calls with nothing wrong, made by real telephones: talk, hold, mute and the rest of what people do. Nobody is alarmed.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::alerts::Alerts;
use crate::programs::baresip::Baresip;
use crate::world::{Family, Turn, World, turn};

#[test]
fn holding_and_muting_raise_nothing() -> Result<()> {
    let Some(_turn) = turn(Turn::Shared) else { return Ok(()) };
    let world = World::build("hold", Family::V4, 1)?;
    let daemon = world.daemon("tc", "alerts,calls,streams")?;
    let _callee = Baresip::new(&world.pair.monitored, &world.folder, "host", world.host(0)).start()?;
    let mut caller = Baresip::new(&world.pair.outside, &world.folder, "peer", world.peer(0)).start()?;
    caller.dial(&format!("sip:host@{}", world.host(0)))?;
    caller.wait_established()?;
    std::thread::sleep(Duration::from_secs(2));
    caller.mute()?;
    std::thread::sleep(Duration::from_secs(1));
    caller.mute()?;
    caller.hold()?;
    std::thread::sleep(Duration::from_secs(4));
    caller.resume()?;
    std::thread::sleep(Duration::from_secs(2));
    caller.hang_up()?;
    std::thread::sleep(Duration::from_millis(500));
    let alerts = Alerts::of(daemon.stop()?.0);
    ensure!(alerts.is_quiet(), "{alerts}");
    ensure!(alerts.records("call").len() == 1);
    Ok(())
}
