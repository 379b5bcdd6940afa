//! Which alerts fire now, and which ended lately: what metrics and Alertmanager are told. Kept by the capture loop from the very
//! lines that leave it, so that nothing in between can lose one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sip_monitor_engine::Timestamp;
use sip_monitor_engine::alert::{Alert, Status};
use sip_monitor_engine::diagnosis::Severity;
use sip_monitor_engine::metrics::Exemplar;

/// Alerts that ended, kept for whoever could not be told yet.
const ENDED_KEPT: usize = 1_000;

/// What an alert counts under: diagnosis, cause, severity.
pub type Verdict = (String, String, Severity);

/// An alert as it stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// When it began.
    pub since: Timestamp,
    /// When it ended, where it has.
    pub until: Option<Timestamp>,
    /// Its last line.
    pub alert: Arc<Alert>,
}

/// See the module. The engine bounds how many alerts are open (`limits.alerts`), and with it this.
#[derive(Debug, Default)]
pub struct Board {
    firing: BTreeMap<String, Standing>,
    ended: VecDeque<Standing>,
    fired: BTreeMap<Verdict, (u64, Option<Exemplar>)>,
    lost: u64,
}

impl Board {
    /// Takes a line.
    pub fn take(&mut self, alert: &Alert) {
        if alert.status == Status::Firing {
            let (count, last) = self.fired.entry(verdict(alert)).or_default();
            *count += 1;
            let call_id = alert.call.as_ref().map(|call| call.call_id.as_str().into());
            *last = call_id.map(|call_id| Exemplar { call_id, value: 1.0, at: alert.ts }).or(last.take());
        }
        let since = self.firing.get(&alert.id).map_or(alert.ts, |known| known.since);
        let standing = Standing { since, until: None, alert: Arc::new(alert.clone()) };
        if alert.status != Status::Resolved {
            self.firing.insert(alert.id.clone(), standing);
            return;
        }
        self.firing.remove(&alert.id);
        if self.ended.len() >= ENDED_KEPT {
            self.ended.pop_front();
            self.lost += 1;
        }
        self.ended.push_back(Standing { until: Some(alert.ts), ..standing });
    }

    /// Alerts that fire now, by verdict.
    #[must_use]
    pub fn firing(&self) -> BTreeMap<Verdict, u64> {
        let mut counts = BTreeMap::new();
        // What fired once and does not any more is 0, not gone: a graph would otherwise have a hole.
        self.fired.keys().for_each(|key| _ = counts.insert(key.clone(), 0));
        for standing in self.firing.values() {
            *counts.entry(verdict(&standing.alert)).or_default() += 1;
        }
        counts
    }

    /// Alerts that fired since the program began, by verdict as they fired, and the last call of each.
    #[must_use]
    pub const fn fired(&self) -> &BTreeMap<Verdict, (u64, Option<Exemplar>)> {
        &self.fired
    }

    /// Alerts that fire now, and those that ended after they were asked for last.
    pub fn take_news(&mut self) -> Vec<Standing> {
        self.firing.values().cloned().chain(self.ended.drain(..)).collect()
    }

    /// Alerts that ended and that nobody asked for in time.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

fn verdict(alert: &Alert) -> Verdict {
    (alert.code.clone(), alert.cause.clone(), alert.severity)
}
