//! The logic of sip-monitor: packets in, alerts and records out.
//!
//! No I/O, no clock, no async, no thread: time comes in with each call and the same input gives the same output, byte for
//! byte. The contract is that of a sans-I/O protocol: [`Engine::handle_packet`], [`Engine::handle_timeout`],
//! [`Engine::poll_timeout`], [`Engine::poll_output`].
#![forbid(unsafe_code)]

pub mod alert;
pub mod call;
pub mod config;
pub mod diagnosis;
pub mod dialog;
pub mod media;
pub mod packet;
pub mod record;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod time;
pub mod transaction;

use std::collections::VecDeque;

pub use config::EngineConfig;
pub use packet::Packet;
pub use record::Output;
pub use time::Timestamp;

/// All state, for one owner.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self { config, outputs: VecDeque::new() }
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Takes one packet. Timers due before `now` run first; time does not go backwards here: an earlier `now` counts as the latest seen.
    pub fn handle_packet(&mut self, _now: Timestamp, _packet: &Packet<'_>) {}

    /// Runs the timers due at `now`.
    pub fn handle_timeout(&mut self, _now: Timestamp) {}

    /// When [`Engine::handle_timeout`] should be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// The next thing to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The capture is over at `now`: writes the records of what is still up. Judges nothing that the capture did not show.
    pub fn finish(&mut self, _now: Timestamp) {}
}
