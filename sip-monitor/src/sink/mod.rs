//! From alerts and records to the world. The capture loop never waits here: what it tells goes into a bounded queue, a
//! thread of its own writes, and what the queue has no room for is dropped and counted.

pub mod alertmanager;
pub mod board;
mod file;
pub mod jsonl;
mod ladder;
pub mod report;
pub mod style;
pub mod text;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sip_monitor_engine::Output;

use crate::cli::Format;
use crate::cli::exit::Failure;
use file::AlertsFile;

/// What is written where.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// Format of standard output.
    pub format: Format,
    /// Whether alerts are among what standard output shows.
    pub alerts: bool,
    /// File that alerts are appended to.
    pub alerts_file: Option<PathBuf>,
    /// Lines that may wait.
    pub queue: usize,
}

/// What the loop asks of the writer besides lines; beside the queue, so that it arrives though that is full.
#[derive(Debug, Default)]
struct Requests {
    reopen: AtomicBool,
    change: Mutex<Option<SinkConfig>>,
}

/// What happened to lines.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Lines that were written, to standard output or to the file.
    pub written: AtomicU64,
    /// Lines that had no room in the queue.
    pub dropped: AtomicU64,
    /// Lines that could not be written.
    pub failed: AtomicU64,
    /// Standard output is closed: nobody reads any more.
    pub stdout_closed: AtomicBool,
}

/// The writing thread, seen from the loop.
#[derive(Debug)]
pub struct Sinks {
    sender: Option<SyncSender<Box<Output>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<SinkCounters>,
    requests: Arc<Requests>,
}

impl Sinks {
    /// How long the end waits for what is still in the queue.
    const FLUSH: Duration = Duration::from_secs(3);
    /// How long a request may wait where no line comes.
    const GLANCE: Duration = Duration::from_millis(200);

    /// Opens the alerts file and starts the thread.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn start(config: SinkConfig) -> Result<Self, Failure> {
        let alerts_file = config.alerts_file.as_deref().map(AlertsFile::open).transpose()?;
        let (sender, receiver) = sync_channel(config.queue.max(1));
        let counters = Arc::new(SinkCounters::default());
        let beside_status = io::stdout().is_terminal() && io::stderr().is_terminal();
        let requests = Arc::new(Requests::default());
        let writer = Writer {
            config,
            beside_status,
            alerts_file,
            counters: Arc::clone(&counters),
            requests: Arc::clone(&requests),
        };
        let thread = std::thread::Builder::new()
            .name("sinks".into())
            .spawn(move || writer.run(&receiver))
            .map_err(|e| anyhow::Error::from(e).context("starting the thread that writes alerts"))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), counters, requests })
    }

    /// Queues one output. Never waits.
    pub fn write(&self, output: Output) {
        let Some(sender) = &self.sender else { return };
        if sender.try_send(Box::new(output)).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the alerts file anew: it was renamed.
    pub fn reopen(&self) {
        self.requests.reopen.store(true, Ordering::Release);
    }

    /// Writes to other places from here on.
    pub fn change(&self, config: SinkConfig) {
        *self.requests.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    /// What happened to lines so far.
    #[must_use]
    pub fn counters(&self) -> &SinkCounters {
        &self.counters
    }

    /// Writes what is still in the queue, within a bound.
    pub fn finish(&mut self) {
        self.sender = None;
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + Self::FLUSH;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() {
            let _ = thread.join();
        } else {
            tracing::warn!("standard output or the alerts file does not take more lines: the last ones are lost");
        }
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Writer {
    config: SinkConfig,
    /// The status line is on the same terminal.
    beside_status: bool,
    alerts_file: Option<AlertsFile>,
    counters: Arc<SinkCounters>,
    requests: Arc<Requests>,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Box<Output>>) {
        loop {
            let line = lines.recv_timeout(Sinks::GLANCE);
            let change = self.requests.change.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(config) = change {
                self.change(config);
            }
            if self.requests.reopen.swap(false, Ordering::Acquire) {
                self.reopen();
            }
            match line {
                Ok(output) => self.write(&output),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, output: &Output) {
        let is_alert = matches!(output, Output::Alert(_));
        if is_alert && let Some(file) = &mut self.alerts_file {
            let result = file.write(output);
            self.note(result);
        }
        if (is_alert && !self.config.alerts) || self.counters.stdout_closed.load(Ordering::Relaxed) {
            return;
        }
        match self.to_stdout(output) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.counters.stdout_closed.store(true, Ordering::Relaxed)
            }
            result => self.note(result),
        }
    }

    fn to_stdout(&self, output: &Output) -> io::Result<()> {
        match self.config.format {
            Format::Jsonl => {
                let mut out = io::stdout().lock();
                jsonl::write(&mut out, output)?;
                out.flush()
            }
            Format::Table => {
                let mut lines = text::lines(output, crate::cli::width());
                lines.push('\n');
                if self.beside_status {
                    // The status line stands there: back to its first column, and away with it.
                    lines.insert_str(0, "\r\x1b[K");
                }
                let mut out = anstream::stdout().lock();
                out.write_all(lines.as_bytes())?;
                out.flush()
            }
        }
    }

    fn note(&self, result: io::Result<()>) {
        match result {
            Ok(()) => _ = self.counters.written.fetch_add(1, Ordering::Relaxed),
            Err(e) => {
                if self.counters.failed.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!("a line could not be written: {e}; further ones are only counted");
                }
            }
        }
    }

    fn reopen(&mut self) {
        if let Some(file) = &mut self.alerts_file
            && let Err(e) = file.reopen()
        {
            tracing::warn!("{e}; alerts go on into the old file");
        }
    }

    fn change(&mut self, config: SinkConfig) {
        if config.alerts_file != self.config.alerts_file {
            match config.alerts_file.as_deref().map(AlertsFile::open).transpose() {
                Ok(file) => self.alerts_file = file,
                Err(e) => tracing::warn!("{e}; alerts go on into the old file"),
            }
        }
        self.config = config;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_engine::record::MessageRecord;
    use sip_monitor_engine::time::Timestamp;

    fn message() -> Output {
        Output::Message(Box::new(MessageRecord {
            schema: 1,
            ts: Timestamp::ZERO,
            src: "192.0.2.1:5060".into(),
            dst: "192.0.2.2:5060".into(),
            transport: "udp".into(),
            method: Some("INVITE".into()),
            code: None,
            call_id: None,
            cseq: None,
            faults: vec![],
            retransmission: false,
        }))
    }

    #[test]
    fn a_file_of_another_name_is_taken_up_without_a_line_lost() {
        let dir = std::env::temp_dir().join(format!("sip-monitor-sinks-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = |name: &str| SinkConfig {
            format: Format::Jsonl,
            alerts: false,
            alerts_file: Some(dir.join(name)),
            queue: 10,
        };
        let mut sinks = Sinks::start(config("a")).unwrap();
        sinks.change(config("b"));
        sinks.reopen();
        sinks.finish();
        assert!(dir.join("a").exists() && dir.join("b").exists());
        assert_eq!(sinks.counters().dropped.load(Ordering::Relaxed), 0);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_does_not_wait() {
        let (sender, receiver) = sync_channel(2);
        let sinks = Sinks { sender: Some(sender), thread: None, counters: Arc::default(), requests: Arc::default() };
        for _ in 0..5 {
            sinks.write(message());
        }
        assert_eq!(sinks.counters().dropped.load(Ordering::Relaxed), 3);
        assert_eq!(receiver.try_iter().count(), 2);
    }
}
