//! Plays a scenario through the whole engine, in virtual time.

use sip_monitor_engine::alert::Alert;
use sip_monitor_engine::config::Emit;
use sip_monitor_engine::{Engine, EngineConfig, Output, Timestamp};

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
    let mut player = Player::new(config(scenario)?);
    let mut last_ns = last_alert_ns;
    for event in &script.events {
        player.packet(event)?;
        last_ns = last_ns.max(event.at_ns);
    }
    let end = at(script.end_ns.unwrap_or(last_ns));
    player.run_to(end)?;
    let alerts = player.alerts();
    player.engine.finish(end);
    player.drain();
    let late = player.alerts().split_off(alerts.len());
    if !late.is_empty() {
        return Err(format!("the end of the capture judged: {late:#?}"));
    }
    Ok(alerts)
}

/// Everything the engine says about a scenario, records of each kind included.
pub fn outputs(scenario: &Scenario) -> Result<Vec<Output>> {
    let script = compile(scenario)?;
    let emit = Emit { calls: true, events: true, streams: true, registrations: true, peers: true, messages: true };
    let mut player = Player::new(EngineConfig { emit, ..config(scenario)? });
    for event in &script.events {
        player.packet(event)?;
    }
    let end = at(script.last_ns());
    player.run_to(end)?;
    player.engine.finish(end);
    player.drain();
    Ok(player.outputs)
}

struct Player {
    engine: Engine,
    outputs: Vec<Output>,
    timeouts: usize,
}

impl Player {
    fn new(config: EngineConfig) -> Self {
        Self { engine: Engine::new(config), outputs: Vec::new(), timeouts: 0 }
    }

    fn alerts(&self) -> Vec<Alert> {
        let alerts = self.outputs.iter().filter_map(|output| match output {
            Output::Alert(alert) => Some((**alert).clone()),
            Output::Call(_)
            | Output::Event(_)
            | Output::Stream(_)
            | Output::Registration(_)
            | Output::Peer(_)
            | Output::Message(_) => None,
        });
        alerts.collect()
    }

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
            self.outputs.push(output);
        }
    }
}
