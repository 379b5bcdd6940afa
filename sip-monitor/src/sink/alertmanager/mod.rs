//! Pushes alerts to Alertmanagers. Each has a task of its own that asks the capture loop what fires whenever that has changed,
//! and so cannot miss an end: what is pushed is a state, not a queue of lines. One that hangs, refuses or fails holds up nobody else;
//! it is tried again, less and less often, and then told how things stand by then.

mod groups;
mod post;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;
use crate::config::{Alertmanager, Endpoint};
use crate::web::Asker;
pub use groups::{Groups, Identity, Message};
use post::NotTaken;

/// What a burst of alerts has to settle before it is told.
const GATHER: Duration = Duration::from_millis(500);
/// The first pause after a failure; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Alerts in one request, as Prometheus has it.
const AT_ONCE: usize = 64;

/// What became of alerts, of all Alertmanagers together.
#[derive(Debug, Default)]
pub struct PushCounters {
    /// Alerts that were taken, each time they were sent.
    pub sent: AtomicU64,
    /// Requests that failed.
    pub failed: AtomicU64,
    /// Alerts that were refused for good, each time they were sent, and those that began and ended while nobody could be
    /// told and were forgotten for want of room.
    pub dropped: AtomicU64,
}

/// One Alertmanager and what it was told.
#[derive(Debug)]
pub struct Pusher {
    endpoint: Endpoint,
    timeout: Duration,
    groups: Groups,
    asker: Asker,
    changed: watch::Receiver<u64>,
    counters: Arc<PushCounters>,
    /// Up to which end of an alert this one has heard.
    heard: u64,
    /// The loop did not answer: something may have changed since.
    is_behind: bool,
    not_before: Instant,
    pause: Duration,
    is_well: bool,
    /// It has refused something for good, and that was said.
    has_refused: bool,
}

impl Pusher {
    /// One for each Alertmanager that is configured.
    #[must_use]
    pub fn all(
        config: &Alertmanager,
        host: &str,
        asker: &Asker,
        changed: &watch::Receiver<u64>,
        counters: &Arc<PushCounters>,
    ) -> Vec<Self> {
        let pusher = |endpoint: &Endpoint| Self {
            endpoint: endpoint.clone(),
            timeout: config.timeout.0,
            groups: Groups::new(host, config.least_severity.into(), config.resend.0),
            asker: asker.clone(),
            changed: changed.clone(),
            counters: Arc::clone(counters),
            heard: 0,
            is_behind: false,
            not_before: Instant::now(),
            pause: PAUSE,
            is_well: true,
            has_refused: false,
        };
        config.urls.iter().map(pusher).collect()
    }

    /// Pushes until it is dropped.
    pub async fn run(mut self) {
        loop {
            self.wait().await;
            self.listen().await;
            if Instant::now() >= self.not_before {
                self.push().await;
            }
        }
    }

    /// Until something has changed, or is due.
    async fn wait(&mut self) {
        let now = clock::now();
        let due = self.groups.next_due().map(|at| self.not_before.max(Instant::now() + at.since(now)));
        let due = due.into_iter().chain(self.is_behind.then_some(self.not_before)).min();
        let due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.changed.changed() => match changed {
                Ok(()) => tokio::time::sleep(GATHER).await,
                // The loop is gone, and this thread with it in a moment.
                Err(_) => std::future::pending().await,
            },
            () = due => {}
        }
    }

    /// Asks what fires. A loop that does not answer is asked again in a moment.
    async fn listen(&mut self) {
        let news = self.asker.alerts(self.heard).await;
        self.is_behind = news.is_none();
        let Some(news) = news else {
            self.not_before = self.not_before.max(Instant::now() + PAUSE);
            return;
        };
        self.heard = news.until;
        self.counters.dropped.fetch_add(news.missed, Ordering::Relaxed);
        self.groups.update(clock::now(), &news.firing, &news.ended);
    }

    async fn push(&mut self) {
        let now = clock::now();
        for batch in self.groups.due(now).chunks(AT_ONCE) {
            let messages: Vec<&Message> = batch.iter().map(|(_, message)| message).collect();
            let posting = post::alerts(&self.endpoint, &messages);
            let posted = match tokio::time::timeout(self.timeout, posting).await {
                Ok(posted) => posted,
                Err(_) => Err(NotTaken::Now(format!("no answer within {} s", self.timeout.as_secs_f64()))),
            };
            let counter = match posted {
                Ok(()) => &self.counters.sent,
                Err(NotTaken::Now(why)) => return self.failed(&why),
                // What comes after them may well be taken: they must not stand in its way.
                Err(NotTaken::Ever(why)) => {
                    if !std::mem::replace(&mut self.has_refused, true) {
                        tracing::error!(
                            "Alertmanager {} refuses alerts, which it is not told then: {why}",
                            self.endpoint
                        );
                    } else {
                        tracing::debug!("Alertmanager {} refuses alerts: {why}", self.endpoint);
                    }
                    &self.counters.dropped
                }
            };
            counter.fetch_add(batch.len() as u64, Ordering::Relaxed);
            let identities: Vec<Identity> = batch.iter().map(|(identity, _)| identity.clone()).collect();
            self.groups.told(now, &identities);
            self.pause = PAUSE;
            if !std::mem::replace(&mut self.is_well, true) {
                tracing::info!("Alertmanager {} takes alerts again", self.endpoint);
            }
        }
    }

    fn failed(&mut self, why: &str) {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        if std::mem::replace(&mut self.is_well, false) {
            tracing::warn!("Alertmanager {} takes no alerts: {why}; it is tried again until it does", self.endpoint);
        } else {
            tracing::debug!("Alertmanager {}: {why}", self.endpoint);
        }
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
