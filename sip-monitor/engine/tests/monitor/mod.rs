//! An engine at [`HOST`] that is shown messages written by hand, and what it told.

#![allow(dead_code, reason = "each test target uses its part")]

use std::time::Duration;

use sip_monitor_engine::alert::Alert;
use sip_monitor_engine::packet::{Body, Direction, Packet};
use sip_monitor_engine::record::CallRecord;
use sip_monitor_engine::{Engine, EngineConfig, Output, Timestamp};

/// The host that is watched: what it sends goes out, all else comes in.
pub const HOST: &str = "203.0.113.7:5060";

pub struct Monitor {
    pub engine: Engine,
    pub alerts: Vec<Alert>,
    pub calls: Vec<CallRecord>,
    ip_id: u32,
}

impl Monitor {
    /// `config` for the address of [`HOST`]. Any number of calls a second is ordinary here.
    pub fn new(mut config: EngineConfig) -> Self {
        config.local = vec!["203.0.113.7".parse().unwrap()];
        config.thresholds.invite_flood_per_second = u32::MAX;
        Self { engine: Engine::new(config), alerts: Vec::new(), calls: Vec::new(), ip_id: 0 }
    }

    pub fn see(&mut self, time: Timestamp, src: &str, dst: &str, text: &str) {
        self.ip_id += 1;
        let packet = Packet {
            time,
            link: 0,
            direction: if src == HOST { Direction::Out } else { Direction::In },
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            ip_id: self.ip_id,
            ttl: 60,
            dscp: 0,
            body: Body::Udp(text.as_bytes()),
        };
        self.engine.handle_packet(time, &packet);
        self.drain();
    }

    pub fn run_to(&mut self, time: Timestamp) {
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= time) {
            self.engine.handle_timeout(due);
            self.drain();
        }
    }

    pub fn finish(&mut self, time: Timestamp) {
        self.engine.finish(time);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Alert(alert) => self.alerts.push(*alert),
                Output::Call(call) => self.calls.push(*call),
                _ => {}
            }
        }
    }
}

/// `ms` after an hour that has nothing to do with ours.
pub fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ns(1_795_168_800_000_000_000) + Duration::from_millis(ms)
}
