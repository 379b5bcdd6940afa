//! What one Alertmanager knows and is to be told: one alert for one diagnosis, cause and trunk, and for one severity at a time,
//! since routes go by that. Pure: time comes in, messages go out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use sip_monitor_engine::Timestamp;
use sip_monitor_engine::diagnosis::{Confidence, Fault, Severity};

use crate::metrics::alerts::severity_name;
use crate::sink::board::Standing;

/// Call-IDs, peers and alert ids named in one annotation.
const SAMPLES: usize = 5;
/// Name of whoever is no configured trunk.
const OTHER: &str = "other";

/// What makes an alert the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    code: String,
    cause: String,
    /// None of what is about this host.
    trunk: Option<String>,
    severity: Severity,
}

/// One alert as Alertmanager takes it (`/api/v2/alerts`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Identity.
    pub labels: BTreeMap<&'static str, String>,
    /// What is said of it.
    pub annotations: BTreeMap<&'static str, String>,
    /// When it began.
    pub starts_at: String,
    /// When it ended; of one that fires, until when it counts as firing if nothing more is heard.
    pub ends_at: String,
}

/// What is known of one alert.
#[derive(Debug)]
struct Known {
    annotations: BTreeMap<&'static str, String>,
    since: Timestamp,
    /// When it ended, where it has.
    until: Option<Timestamp>,
    /// When it was last told as it stands here.
    told_at: Option<Timestamp>,
    is_news: bool,
}

/// See the module. Bounded by how many diagnoses, causes and trunks there are.
#[derive(Debug)]
pub struct Groups {
    known: BTreeMap<Identity, Known>,
    host: String,
    least: Severity,
    resend: Duration,
}

impl Groups {
    /// Of alerts of this host that weigh so much at least.
    #[must_use]
    pub fn new(host: &str, least: Severity, resend: Duration) -> Self {
        Self { known: BTreeMap::new(), host: host.to_owned(), least, resend }
    }

    /// Takes all that fires at `now`, and what ended since this was called last.
    pub fn update(&mut self, now: Timestamp, firing: &[Standing], ended: &[Standing]) {
        let least = self.least;
        let weighs = |standing: &&Standing| standing.alert.severity >= least;
        let mut groups: BTreeMap<(String, String, Option<String>), Vec<&Standing>> = BTreeMap::new();
        for standing in firing.iter().filter(weighs) {
            groups.entry(key(standing)).or_default().push(standing);
        }
        let mut fires = BTreeSet::new();
        for ((code, cause, trunk), members) in &groups {
            let Some(worst) = members.iter().map(|member| member.alert.severity).max() else { continue };
            let identity = Identity { code: code.clone(), cause: cause.clone(), trunk: trunk.clone(), severity: worst };
            let since = members.iter().map(|member| member.since).min().unwrap_or(now);
            self.fires(&identity, annotations(members, worst), since);
            fires.insert(identity);
        }
        for standing in ended.iter().filter(weighs) {
            let key = key(standing);
            let still_fires = groups.contains_key(&key);
            let (code, cause, trunk) = key;
            let identity = Identity { code, cause, trunk, severity: standing.alert.severity };
            // One that weighed less than those it was told together with never had an identity of its own.
            if !fires.contains(&identity) && (self.known.contains_key(&identity) || !still_fires) {
                self.ended(&identity, standing, now);
            }
        }
        // Whatever else fired before and does not now has ended, or has another severity.
        for (_, known) in self.known.iter_mut().filter(|(identity, _)| !fires.contains(*identity)) {
            if known.until.is_none() {
                known.until = Some(now);
                known.is_news = true;
            }
        }
    }

    fn fires(&mut self, identity: &Identity, annotations: BTreeMap<&'static str, String>, since: Timestamp) {
        match self.known.get_mut(identity).filter(|known| known.until.is_none()) {
            Some(known) => {
                known.is_news |= known.annotations != annotations;
                known.annotations = annotations;
                known.since = known.since.min(since);
            }
            None => {
                let known = Known { annotations, since, until: None, told_at: None, is_news: true };
                self.known.insert(identity.clone(), known);
            }
        }
    }

    /// The last of them ended; one that began and ended since the last time is told all the same.
    fn ended(&mut self, identity: &Identity, standing: &Standing, now: Timestamp) {
        let known = self.known.entry(identity.clone()).or_insert_with(|| Known {
            annotations: BTreeMap::new(),
            since: standing.since,
            until: None,
            told_at: None,
            is_news: true,
        });
        let until = standing.until.unwrap_or(now).min(now);
        known.annotations = annotations(&[standing], identity.severity);
        known.until = known.until.max(Some(until));
        known.is_news = true;
    }

    /// What is to be told at `now`.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<(Identity, Message)> {
        let is_due = |known: &Known| known.is_news || self.resend_at(known).is_some_and(|at| at <= now);
        let due = self.known.iter().filter(|(_, known)| is_due(known));
        due.map(|(identity, known)| (identity.clone(), self.message(identity, known, now))).collect()
    }

    /// When something is to be told next, if nothing changes.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let next = |known: &Known| if known.is_news { Some(Timestamp::ZERO) } else { self.resend_at(known) };
        self.known.values().filter_map(next).min()
    }

    /// It was told at `now`.
    pub fn told(&mut self, now: Timestamp, identities: &[Identity]) {
        for identity in identities {
            if self.known.get(identity).is_some_and(|known| known.until.is_some()) {
                self.known.remove(identity);
            } else if let Some(known) = self.known.get_mut(identity) {
                known.told_at = Some(now);
                known.is_news = false;
            }
        }
    }

    fn resend_at(&self, known: &Known) -> Option<Timestamp> {
        known.told_at.filter(|_| known.until.is_none()).map(|at| at + self.resend)
    }

    fn message(&self, identity: &Identity, known: &Known, now: Timestamp) -> Message {
        let mut labels = BTreeMap::from([
            ("alertname", identity.code.clone()),
            ("diagnosis", identity.code.clone()),
            ("cause", identity.cause.clone()),
            ("severity", severity_name(identity.severity).to_owned()),
            ("job", "sip-monitor".to_owned()),
        ]);
        labels.extend(identity.trunk.clone().map(|trunk| ("trunk", trunk)));
        labels.extend((!self.host.is_empty()).then(|| ("instance", self.host.clone())));
        // Four times, as Prometheus does: an alert outlives three that get lost, and not the monitor's end by much.
        // A clock that was set back must not have it end before it began, nor begin later than now: either is refused.
        let starts_at = known.since.min(now);
        let ends_at = known.until.map_or(now + self.resend * 4, |until| until.min(now)).max(starts_at);
        Message {
            labels,
            annotations: known.annotations.clone(),
            starts_at: starts_at.to_string(),
            ends_at: ends_at.to_string(),
        }
    }
}

fn key(standing: &Standing) -> (String, String, Option<String>) {
    let alert = &standing.alert;
    let trunk = alert.peer.as_ref().map(|peer| peer.name.clone().unwrap_or_else(|| OTHER.to_owned()));
    (alert.code.clone(), alert.cause.clone(), trunk)
}

/// What is said of all members, in the words of the worst and latest of them.
fn annotations(members: &[&Standing], worst: Severity) -> BTreeMap<&'static str, String> {
    let mut said = BTreeMap::new();
    let of_worst = members.iter().filter(|member| member.alert.severity == worst);
    let Some(latest) = of_worst.max_by_key(|member| (member.alert.ts, &member.alert.id)) else { return said };
    let alert = &latest.alert;
    said.insert("summary", alert.summary.clone());
    said.insert("description", alert.remedy.clone());
    said.insert("confidence", confidence(alert.confidence).to_owned());
    if let Some(fault) = alert.fault {
        said.insert("fault", fault_name(fault).to_owned());
    }
    let mut calls = 0;
    let (mut ids, mut call_ids, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        let alert = &member.alert;
        calls += member.calls;
        let of_call = alert.call.iter().map(|call| &call.call_id);
        let samples = alert.calls.iter().flat_map(|calls| &calls.sample_call_ids).chain(of_call);
        samples.for_each(|id| sample(&mut call_ids, id));
        sample(&mut ids, &alert.id);
        if let Some(peer) = &alert.peer {
            sample(&mut peers, &peer.addr);
        }
    }
    if calls > 0 {
        said.insert("calls", calls.to_string());
    }
    for (name, values) in [("alert_ids", ids), ("sample_call_ids", call_ids), ("peers", peers)] {
        if !values.is_empty() {
            said.insert(name, values.join(" "));
        }
    }
    said
}

fn sample<'a>(samples: &mut Vec<&'a str>, value: &'a str) {
    if samples.len() < SAMPLES && !samples.contains(&value) {
        samples.push(value);
    }
}

const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Certain => "certain",
        Confidence::Likely => "likely",
        Confidence::Possible => "possible",
    }
}

const fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Local => "local",
        Fault::Remote => "remote",
        Fault::Network => "network",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sip_monitor_engine::alert::{Alert, AlertCalls, AlertPeer, Status};
    use sip_monitor_engine::diagnosis::Layer;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ns(s * 1_000_000_000)
    }

    fn standing(id: &str, trunk: Option<&str>, severity: Severity, calls: u64, since: i64) -> Standing {
        let alert = Alert {
            schema: 1,
            id: id.to_owned(),
            ts: at(since),
            status: Status::Firing,
            code: "no-ack".to_owned(),
            cause: "never-seen".to_owned(),
            severity,
            confidence: Confidence::Likely,
            layer: Layer::Dialog,
            fault: None,
            summary: format!("summary of {id}"),
            remedy: "remedy".to_owned(),
            direction: None,
            call: None,
            calls: Some(AlertCalls { count: calls, sample_call_ids: vec![format!("call-{id}")] }),
            legs: vec![],
            peer: Some(AlertPeer {
                addr: format!("192.0.2.{since}"),
                port: None,
                transport: None,
                name: trunk.map(str::to_owned),
            }),
            evidence: BTreeMap::new(),
            links: vec![],
            refs: vec![],
            host: None,
            iface: None,
        };
        Standing { since: at(since), until: None, calls, alert: Arc::new(alert) }
    }

    fn groups() -> Groups {
        Groups::new("pbx-1", Severity::Warning, Duration::from_secs(60))
    }

    /// Tells all that is due and gives it.
    fn tell(groups: &mut Groups, now: Timestamp) -> Vec<Message> {
        let due = groups.due(now);
        let (identities, messages): (Vec<_>, Vec<_>) = due.into_iter().unzip();
        groups.told(now, &identities);
        messages
    }

    #[test]
    fn peers_of_one_trunk_are_one_alert_with_a_count_and_samples() {
        let mut groups = groups();
        let all = [
            standing("a", Some("carrier"), Severity::Warning, 3, 1),
            standing("b", Some("carrier"), Severity::Warning, 4, 2),
            standing("c", None, Severity::Warning, 1, 3),
        ];
        groups.update(at(5), &all, &[]);
        let messages = tell(&mut groups, at(5));
        assert_eq!(messages.len(), 2, "{messages:?}");
        let carrier = &messages[0];
        let label = |name: &str| carrier.labels.get(name).map(String::as_str);
        assert_eq!(
            (label("trunk"), label("alertname"), label("severity")),
            (Some("carrier"), Some("no-ack"), Some("warning"))
        );
        assert_eq!(label("instance"), Some("pbx-1"));
        assert_eq!(carrier.annotations["calls"], "7");
        assert_eq!(carrier.annotations["sample_call_ids"], "call-a call-b");
        assert_eq!(carrier.annotations["summary"], "summary of b", "the latest");
        assert_eq!(carrier.starts_at, at(1).to_string());
        assert_eq!(messages[1].labels["trunk"], "other");
        for message in &messages {
            let in_labels: Vec<_> =
                message.labels.values().filter(|v| v.contains("call-") || v.contains("192.")).collect();
            assert!(in_labels.is_empty(), "identity only: {in_labels:?}");
        }
    }

    #[test]
    fn what_fires_is_sent_again_and_again_and_ends_by_itself_if_nothing_is_heard() {
        let mut groups = groups();
        let all = [standing("a", None, Severity::Critical, 1, 1)];
        groups.update(at(5), &all, &[]);
        assert_eq!(tell(&mut groups, at(5))[0].ends_at, at(5 + 240).to_string());
        groups.update(at(30), &all, &[]);
        assert!(groups.due(at(30)).is_empty(), "nothing new");
        assert_eq!(groups.next_due(), Some(at(65)));
        assert_eq!(tell(&mut groups, at(65))[0].ends_at, at(65 + 240).to_string());
    }

    #[test]
    fn the_end_is_told_once_it_was_taken() {
        let mut groups = groups();
        let one = standing("a", None, Severity::Critical, 1, 1);
        groups.update(at(5), core::slice::from_ref(&one), &[]);
        tell(&mut groups, at(5));
        let over = Standing { until: Some(at(20)), ..one };
        groups.update(at(21), &[], &[over]);
        for _ in 0..2 {
            let due = groups.due(at(22));
            assert_eq!(due[0].1.ends_at, at(20).to_string(), "again until it was taken");
        }
        tell(&mut groups, at(22));
        assert!(groups.due(at(500)).is_empty() && groups.next_due().is_none(), "and then no more");
    }

    #[test]
    fn an_end_that_was_not_heard_of_is_an_end() {
        let mut groups = groups();
        groups.update(at(5), &[standing("a", None, Severity::Critical, 1, 1)], &[]);
        tell(&mut groups, at(5));
        groups.update(at(9), &[], &[]);
        assert_eq!(tell(&mut groups, at(9))[0].ends_at, at(9).to_string());
    }

    #[test]
    fn one_that_became_worse_is_another_alert_and_the_old_one_ends() {
        let mut groups = groups();
        groups.update(at(5), &[standing("a", None, Severity::Warning, 1, 1)], &[]);
        tell(&mut groups, at(5));
        groups.update(at(7), &[standing("a", None, Severity::Critical, 9, 1)], &[]);
        let messages = tell(&mut groups, at(7));
        let ends = |severity: &str| {
            let found = messages.iter().find(|m| m.labels["severity"] == severity);
            found.map(|m| m.ends_at.clone())
        };
        assert_eq!(ends("warning"), Some(at(7).to_string()));
        assert_eq!(ends("critical"), Some(at(7 + 240).to_string()));
    }

    #[test]
    fn one_member_that_ends_does_not_end_the_group() {
        let mut groups = groups();
        let (a, b) = (standing("a", None, Severity::Warning, 1, 1), standing("b", None, Severity::Warning, 1, 2));
        groups.update(at(5), &[a.clone(), b.clone()], &[]);
        tell(&mut groups, at(5));
        groups.update(at(8), &[b], &[Standing { until: Some(at(7)), ..a }]);
        let messages = tell(&mut groups, at(8));
        assert_eq!((messages.len(), messages[0].annotations["calls"].as_str()), (1, "1"));
        assert_eq!(
            (messages[0].starts_at.clone(), messages[0].ends_at.clone()),
            (at(1).to_string(), at(248).to_string())
        );
    }

    #[test]
    fn one_that_comes_back_before_its_end_was_told_fires() {
        let mut groups = groups();
        let one = standing("a", None, Severity::Warning, 1, 1);
        groups.update(at(5), core::slice::from_ref(&one), &[]);
        tell(&mut groups, at(5));
        groups.update(at(6), &[], &[Standing { until: Some(at(6)), ..one }]);
        groups.update(at(7), &[standing("b", None, Severity::Warning, 1, 7)], &[]);
        let messages = tell(&mut groups, at(7));
        assert_eq!((messages.len(), messages[0].starts_at.clone()), (1, at(7).to_string()));
        assert_eq!(messages[0].ends_at, at(247).to_string());
    }

    #[test]
    fn one_that_ends_while_a_worse_one_of_its_kind_fires_is_not_told_as_an_end() {
        let mut groups = groups();
        let (mild, worse) =
            (standing("a", None, Severity::Warning, 1, 1), standing("b", None, Severity::Critical, 1, 2));
        groups.update(at(5), &[mild.clone(), worse.clone()], &[]);
        tell(&mut groups, at(5));
        groups.update(at(8), &[worse], &[Standing { until: Some(at(7)), ..mild }]);
        let severities: Vec<_> = tell(&mut groups, at(8)).iter().map(|m| m.labels["severity"].clone()).collect();
        assert_eq!(severities, ["critical"]);
    }

    #[test]
    fn an_alert_neither_begins_after_now_nor_ends_before_it_began_where_the_clock_is_set_back() {
        let mut groups = groups();
        let one = standing("a", None, Severity::Warning, 1, 1_000);
        groups.update(at(1_000), core::slice::from_ref(&one), &[]);
        let told = |groups: &mut Groups, now| {
            tell(groups, now).into_iter().map(|m| (m.starts_at, m.ends_at)).collect::<Vec<_>>()
        };
        groups.update(at(400), core::slice::from_ref(&one), &[]);
        assert_eq!(told(&mut groups, at(400)), [(at(400).to_string(), at(640).to_string())]);
        groups.update(at(410), &[], &[Standing { until: Some(at(1_200)), ..one.clone() }]);
        assert_eq!(told(&mut groups, at(410)), [(at(410).to_string(), at(410).to_string())]);
        // It ends by the clock that was set back, and the clock is set right before that is told.
        groups.update(at(1_001), core::slice::from_ref(&one), &[]);
        groups.update(at(420), &[], &[Standing { until: Some(at(420)), ..one }]);
        assert_eq!(told(&mut groups, at(1_002)), [(at(1_000).to_string(), at(1_000).to_string())]);
    }

    #[test]
    fn what_weighs_less_than_asked_for_is_not_told() {
        let mut groups = groups();
        groups.update(at(5), &[standing("a", None, Severity::Info, 1, 1)], &[]);
        assert!(groups.due(at(5)).is_empty());
    }
}
