//! What the daemon says of itself: a line a second where standard error is a terminal, a summary in the log at the end.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::Ordering;
use std::time::Instant;

use sip_monitor_engine::Output;

use crate::capture::counters::Counters;
use crate::sink::SinkCounters;
use crate::sink::report::{Seen, number};

/// Counts for people.
#[derive(Debug)]
pub struct Status {
    watching: Vec<String>,
    seen: Seen,
    last: Counters,
    began: Instant,
    terminal: bool,
}

impl Status {
    /// Of a daemon that watches these interfaces.
    pub fn new(watching: Vec<String>) -> Self {
        Self {
            watching,
            seen: Seen::default(),
            last: Counters::default(),
            began: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// The interfaces in one word.
    pub fn watching(&self) -> String {
        self.watching.join(", ")
    }

    /// Counts an output.
    pub fn count(&mut self, output: &Output) {
        self.seen.count(output);
    }

    /// Rewrites the line on the terminal, if there is one.
    pub fn show(&mut self, counters: &Counters, sinks: &SinkCounters) {
        if self.terminal {
            let line = self.line(counters, sinks);
            // Back to the first column, the line, and nothing of a longer one before.
            let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
        }
        self.last = *counters;
    }

    fn line(&self, counters: &Counters, sinks: &SinkCounters) -> String {
        let rate = |name: &str| {
            let get = |c: &Counters| c.iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| n);
            number(get(counters).saturating_sub(get(&self.last)))
        };
        let mut line = format!(
            "{}: {} SIP/s, {} RTP/s, {} packets/s; {} alerts",
            self.watching(),
            rate("reported_sip"),
            rate("accounted_rtp"),
            rate("received"),
            number(self.seen.alerts)
        );
        let lost = counters.lost() + sinks.dropped.load(Ordering::Relaxed);
        if lost > 0 {
            line.push_str(&format!("; LOST {}", number(lost)));
        }
        line
    }

    /// The summary at the end.
    pub fn summary(&self, counters: &Counters, sinks: &SinkCounters) {
        if self.terminal {
            let _ = writeln!(std::io::stderr());
        }
        let all: Vec<String> = counters.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")).collect();
        tracing::info!(
            "{} after {:.0} s: {}; lost {}, unexplained {}",
            self.watching(),
            self.began.elapsed().as_secs_f64(),
            if all.is_empty() { "no packet".to_owned() } else { all.join(", ") },
            counters.lost(),
            counters.unexplained(),
        );
        let (dropped, failed) = (sinks.dropped.load(Ordering::Relaxed), sinks.failed.load(Ordering::Relaxed));
        if dropped + failed > 0 {
            tracing::warn!("{dropped} lines had no room in the queue (output.queue), {failed} could not be written");
        }
    }
}
