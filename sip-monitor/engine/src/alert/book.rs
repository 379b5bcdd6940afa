//! Which conditions are open, on which calls, and when a line is due.

use std::collections::VecDeque;

use crate::call::CallKey;
use crate::config::EngineConfig;
use crate::diagnosis::{CallFacts, HostFacts};
use crate::record::Output;
use crate::time::Timestamp;

/// All open alerts, for one engine.
#[derive(Debug)]
pub struct AlertBook {}

impl AlertBook {
    /// A book with nothing open.
    #[must_use]
    pub fn new(_config: &EngineConfig) -> Self {
        Self {}
    }

    /// Asks every diagnosis about a call that changed in a way that can matter, and tells what is new.
    pub fn judge_call(&mut self, _key: CallKey, _facts: &CallFacts<'_>, _out: &mut VecDeque<Output>) {}

    /// Asks every diagnosis about the host, and tells what is new.
    pub fn judge_host(&mut self, _facts: &HostFacts<'_>, _out: &mut VecDeque<Output>) {}

    /// A call is freed: its conditions can no longer end, so its alerts stay open until their window passes.
    pub fn forget_call(&mut self, _key: CallKey) {}

    /// Resolves what has seen no further case for a window.
    pub fn handle_timeout(&mut self, _now: Timestamp, _out: &mut VecDeque<Output>) {}

    /// When [`AlertBook::handle_timeout`] should be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// What was told so far.
    #[must_use]
    pub fn counters(&self) -> &AlertCounters {
        const NONE: &AlertCounters = &AlertCounters {
            fired: std::collections::BTreeMap::new(),
            updated: 0,
            resolved: 0,
            folded: 0,
            weakened: 0,
            evicted: 0,
        };
        NONE
    }
}

/// How many lines of which kind left, and why others did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertCounters {
    /// Alerts that began, by code and cause.
    pub fired: std::collections::BTreeMap<(&'static str, &'static str), u64>,
    /// Update lines.
    pub updated: u64,
    /// Alerts that ended.
    pub resolved: u64,
    /// Cases counted in an open alert without a line of their own.
    pub folded: u64,
    /// Findings made `possible` since the monitor itself lost packets.
    pub weakened: u64,
    /// Alerts closed since the table was full.
    pub evicted: u64,
}
