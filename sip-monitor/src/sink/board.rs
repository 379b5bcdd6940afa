//! Which alerts fire now, and which ended lately: what metrics and Alertmanager are told. Kept by the capture loop from the very
//! lines that leave it, so that nothing in between can lose one.

use std::collections::{BTreeMap, HashMap, VecDeque};
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
    /// Calls it is about: as its last line told, or as the engine counts by now.
    pub calls: u64,
    /// Its last line.
    pub alert: Arc<Alert>,
}

/// How things stand, and what ended since somebody asked last.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// All that fires.
    pub firing: Vec<Standing>,
    /// What ended since then.
    pub ended: Vec<Standing>,
    /// Ends that are not kept any more.
    pub missed: u64,
    /// What to ask from the next time.
    pub until: u64,
}

impl News {
    /// Takes how many calls each open alert counts by now, by its id: its last line may be of long ago.
    pub fn count<'a>(&mut self, counted: impl Iterator<Item = (&'a str, u64)>) {
        let counted: HashMap<&str, u64> = counted.collect();
        for standing in &mut self.firing {
            if let Some(calls) = counted.get(standing.alert.id.as_str()) {
                standing.calls = *calls;
            }
        }
    }
}

/// See the module. The engine bounds how many alerts are open (`limits.alerts`), and with it this.
#[derive(Debug, Default)]
pub struct Board {
    firing: BTreeMap<String, Standing>,
    ended: VecDeque<Standing>,
    /// Ends since the program began.
    ends: u64,
    fired: BTreeMap<Verdict, (u64, Option<Exemplar>)>,
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
        let calls = alert.calls.as_ref().map_or(u64::from(alert.call.is_some()), |calls| calls.count);
        let standing = Standing { since, until: None, calls, alert: Arc::new(alert.clone()) };
        if alert.status != Status::Resolved {
            self.firing.insert(alert.id.clone(), standing);
            return;
        }
        self.firing.remove(&alert.id);
        if self.ended.len() >= ENDED_KEPT {
            self.ended.pop_front();
        }
        self.ends += 1;
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

    /// How things stand, for who has heard of the first `heard` ends.
    #[must_use]
    pub fn news(&self, heard: u64) -> News {
        let unheard = self.ends.saturating_sub(heard);
        let kept = usize::try_from(unheard).unwrap_or(usize::MAX).min(self.ended.len());
        News {
            firing: self.firing.values().cloned().collect(),
            ended: self.ended.range(self.ended.len() - kept..).cloned().collect(),
            missed: unheard - kept as u64,
            until: self.ends,
        }
    }
}

fn verdict(alert: &Alert) -> Verdict {
    (alert.code.clone(), alert.cause.clone(), alert.severity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_engine::diagnosis::{Confidence, Layer};

    fn line(id: u64, status: Status, severity: Severity, s: i64) -> Alert {
        Alert {
            schema: 1,
            id: id.to_string(),
            ts: Timestamp::from_unix_ns(s * 1_000_000_000),
            status,
            code: "no-ack".to_owned(),
            cause: "never-seen".to_owned(),
            severity,
            confidence: Confidence::Likely,
            layer: Layer::Dialog,
            fault: None,
            summary: String::new(),
            remedy: String::new(),
            direction: None,
            call: None,
            calls: None,
            legs: vec![],
            peer: None,
            evidence: BTreeMap::new(),
            links: vec![],
            refs: vec![],
            host: None,
            iface: None,
        }
    }

    #[test]
    fn an_alert_that_becomes_worse_fires_once_under_its_new_severity() {
        let mut board = Board::default();
        board.take(&line(1, Status::Firing, Severity::Warning, 1));
        board.take(&line(1, Status::Update, Severity::Critical, 2));
        let firing: Vec<_> = board.firing().into_iter().map(|((_, _, severity), n)| (severity, n)).collect();
        assert_eq!(firing, [(Severity::Warning, 0), (Severity::Critical, 1)]);
        assert_eq!(board.fired().values().map(|(n, _)| n).sum::<u64>(), 1);
        assert_eq!(board.news(0).firing[0].since, Timestamp::from_unix_ns(1_000_000_000));
        board.take(&line(1, Status::Resolved, Severity::Critical, 3));
        assert!(board.firing().values().all(|n| *n == 0));
    }

    #[test]
    fn what_fires_counts_as_many_calls_as_there_are_by_now() {
        let mut board = Board::default();
        for id in 1..=2 {
            board.take(&line(id, Status::Firing, Severity::Warning, 1));
        }
        let mut news = board.news(0);
        news.count([("2", 57), ("3", 9)].into_iter());
        assert_eq!(news.firing.iter().map(|standing| standing.calls).collect::<Vec<_>>(), [0, 57]);
    }

    #[test]
    fn who_asks_late_hears_of_the_last_ends_and_how_many_were_missed() {
        let mut board = Board::default();
        let over = ENDED_KEPT as u64 + 5;
        for id in 0..over {
            board.take(&line(id, Status::Firing, Severity::Warning, 1));
            board.take(&line(id, Status::Resolved, Severity::Warning, 2));
        }
        let news = board.news(0);
        assert_eq!((news.ended.len(), news.missed, news.until), (ENDED_KEPT, 5, over));
        assert_eq!(news.ended[0].alert.id, "5");
        let news = board.news(over - 2);
        assert_eq!((news.ended.len(), news.missed), (2, 0));
        assert!(board.news(over).ended.is_empty());
    }
}
