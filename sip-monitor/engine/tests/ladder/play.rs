//! Plays a scenario through the whole engine, in virtual time.

use sip_monitor_engine::alert::Alert;
use sip_monitor_engine::{Engine, Output, Timestamp};

use super::Result;
use super::markdown::{Kind, Scenario};
use super::script::{Event, at, compile, config};

/// More timers than any scenario can need: a timer that never moves forward is a fault, not a hang.
const MAX_TIMEOUTS: usize = 1_000_000;

/// The alerts of a scenario, in the order the engine told them. `last_alert_ns` is when the last one is expected.
pub fn play(scenario: &Scenario, last_alert_ns: i64) -> Result<Vec<Alert>> {
    let script = compile(scenario)?;
    if scenario.kind == Kind::Quiet && script.end_ns.is_none() {
        return Err("a quiet scenario says how long it stays quiet: `end SECONDS`".to_owned());
    }
    let mut player = Player { engine: Engine::new(config(scenario)?), alerts: Vec::new(), timeouts: 0 };
    let mut last_ns = last_alert_ns;
    for event in &script.events {
        player.packet(event)?;
        last_ns = last_ns.max(event.at_ns);
    }
    let end = at(script.end_ns.unwrap_or(last_ns));
    player.run_to(end)?;
    let before = player.alerts.len();
    player.engine.finish(end);
    player.drain();
    if player.alerts.len() > before {
        return Err(format!("the end of the capture judged: {:#?}", &player.alerts[before..]));
    }
    Ok(player.alerts)
}

struct Player {
    engine: Engine,
    alerts: Vec<Alert>,
    timeouts: usize,
}

impl Player {
    fn packet(&mut self, event: &Event) -> Result<()> {
        let packet = event.packet();
        self.run_to(packet.time)?;
        self.engine.handle_packet(packet.time, &packet);
        self.drain();
        Ok(())
    }

    fn run_to(&mut self, now: Timestamp) -> Result<()> {
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= now) {
            self.engine.handle_timeout(due);
            self.drain();
            self.timeouts += 1;
            if self.timeouts > MAX_TIMEOUTS {
                return Err(format!("a timer fires for ever at {due}"));
            }
        }
        Ok(())
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Alert(alert) = output {
                self.alerts.push(*alert);
            }
        }
    }
}
