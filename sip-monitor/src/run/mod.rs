//! `run`: the daemon. One thread owns capture and engine and turns every few milliseconds: packets from the kernel into the
//! engine, its outputs into the sinks' queue, signals and the service manager in between. Nothing in the loop waits for
//! a file, a terminal or a lock.

pub mod notify;
pub mod settings;
mod status;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip_monitor_engine::{Engine, EngineConfig, Output, Timestamp};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::capture::live::{Live, LiveError};
use crate::capture::ring::HOLD_BACK_NS;
use crate::cli::RunArgs;
use crate::cli::exit::{Code, Failure};
use crate::clock;
use crate::config::Config;
use crate::metrics::{self, Recorded, Snapshot};
use crate::sink::Sinks;
use crate::sink::alertmanager::{PushCounters, Pusher};
use crate::sink::board::Board;
use crate::web::{self, Ask, Asker, Web};
use notify::Notify;
use status::Status;

/// Timers run as far behind real time as records are held back to be put in order: the absence of a packet that waits in a
/// ring is no absence.
const LAG: Duration = Duration::from_nanos(HOLD_BACK_NS);
/// How often local addresses are looked at again.
const ADDRESSES: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Where capture cannot begin, or the kernel refuses to go on.
pub fn run(args: &RunArgs, log: Option<&str>) -> Result<(), Failure> {
    let config = settings::load(args)?;
    crate::cli::log::init(log.unwrap_or(&config.log.0))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| anyhow::Error::from(e).context("starting the event loop"))?;
    runtime.block_on(async {
        // Before the programs are attached: a signal from here on ends the loop, not the process.
        let signals = Signals::new()?;
        Daemon::start(args, config)?.turn(signals).await
    })
}

/// Tells what live capture refuses as a failure with its exit code.
#[must_use]
pub fn refusal(error: LiveError) -> Failure {
    match error {
        LiveError::NoObject => {
            Failure::new(Code::Unavailable, "this sip-monitor was built without its kernel programs")
                .fix("install what the build names (`cargo xtask setup`) and build again; `replay` works without")
        }
        LiveError::Permission(missing) => Failure::new(
            Code::NoPermission,
            format!("not permitted: {} missing", missing.join(", ")),
        )
        .fix("run it as root, or as a service with these capabilities: CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_NET_RAW"),
        LiveError::Kernel(what) => Failure::new(Code::Unavailable, format!("this kernel cannot do it: {what}"))
            .fix("Linux 5.15 or newer with BTF is needed; `sip-monitor check` tells what this one has"),
        LiveError::NoInterface(name, existing) => {
            let existing = if existing.is_empty() { "none".to_owned() } else { existing.join(", ") };
            if name.is_empty() {
                Failure::new(Code::Unavailable, format!("no interface is up besides loopback; there are: {existing}"))
                    .fix("bring one up, or name one with -i")
            } else {
                Failure::new(Code::Unavailable, format!("no interface {name}; there are: {existing}"))
                    .fix("name one of them with -i")
            }
        }
        LiveError::Failed(what) => {
            Failure::new(Code::Unavailable, what).fix("`sip-monitor check` tells what this machine has")
        }
    }
}

/// The signals the daemon answers.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    reopen: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|e| Failure::from(anyhow::Error::from(e).context("listening for signals")));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            reload: listen(SignalKind::hangup())?,
            reopen: listen(SignalKind::user_defined1())?,
        })
    }
}

struct Daemon<'a> {
    args: &'a RunArgs,
    config: Config,
    live: Live,
    engine: Engine,
    told: Told,
    notify: Notify,
    recorded: Recorded,
    /// Questions of other threads, where there is one that asks.
    asked: mpsc::Receiver<Ask>,
    web: Option<Web>,
    addresses_due: Instant,
}

/// Whoever is told what the engine tells.
struct Told {
    sinks: Sinks,
    status: Status,
    board: Board,
    /// Wakes who pushes alerts.
    changes: watch::Sender<u64>,
    pushed: Arc<PushCounters>,
}

impl Told {
    /// Hands on what is waiting.
    fn drain(&mut self, engine: &mut Engine) {
        while let Some(output) = engine.poll_output() {
            self.status.count(&output);
            if let Output::Alert(alert) = &output {
                self.board.take(alert);
                self.changes.send_modify(|changes| *changes += 1);
            }
            self.sinks.write(output);
        }
    }
}

impl<'a> Daemon<'a> {
    fn start(args: &'a RunArgs, config: Config) -> Result<Self, Failure> {
        let sinks = Sinks::start(settings::sinks(&config, args))?;
        // Before anything is attached: a port that is taken is told at once.
        let listener = web::listen(config.prometheus.listen)?;
        let (asker, asked) = Asker::new();
        let (changes, changed) = watch::channel(0);
        let pushed = Arc::new(PushCounters::default());
        let pushers = Pusher::all(&config.alertmanager, &settings::host_name(), &asker, &changed, &pushed);
        let is_asked = listener.is_some() || !pushers.is_empty();
        let web = is_asked.then(|| Web::start(listener, pushers, asker)).transpose()?;
        // Keys of the hash tables come from the network: each run has its own seed.
        let seed = RandomState::new().hash_one(std::process::id());
        let live = Live::start(settings::live(&config, args, seed)).map_err(refusal)?;
        let mut engine_config = settings::engine(&config)?;
        engine_config.local = live.local_addresses();
        engine_config.links = live.names();
        engine_config.drops_watched = live.drop_reasons().is_ok_and(|reasons| reasons > 0);
        let mut watching = Vec::new();
        for interface in live.interfaces() {
            if interface.ingress.is_empty() {
                tracing::warn!(
                    "{} is not watched: {}",
                    interface.name,
                    interface.note.as_deref().unwrap_or("not there")
                );
                continue;
            }
            watching.push(interface.name);
        }
        let notify = Notify::from_environment();
        notify.ready(&format!("watching {}", watching.join(", ")));
        Ok(Self {
            args,
            config,
            live,
            engine: Engine::new(engine_config),
            told: Told { sinks, status: Status::new(watching), board: Board::default(), changes, pushed },
            notify,
            recorded: Recorded::default(),
            asked,
            web,
            addresses_due: Instant::now() + ADDRESSES,
        })
    }

    async fn turn(mut self, mut signals: Signals) -> Result<(), Failure> {
        let mut poll = interval(Live::POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut second = interval(Duration::from_secs(1));
        let mut watchdog = interval(self.notify.watchdog.unwrap_or(Duration::from_secs(60)));
        let result = loop {
            tokio::select! {
                _ = poll.tick() => if let Err(e) = self.poll() {
                    break Err(refusal(e));
                },
                _ = second.tick() => self.second(),
                Some(ask) = self.asked.recv() => self.answer(ask),
                _ = watchdog.tick(), if self.notify.watchdog.is_some() => self.notify.alive(),
                _ = signals.reload.recv() => self.reload(),
                _ = signals.reopen.recv() => {
                    tracing::info!("SIGUSR1: reopening files");
                    self.told.sinks.reopen();
                }
                _ = signals.terminate.recv() => {
                    tracing::info!("SIGTERM: ending");
                    break Ok(());
                }
                _ = signals.interrupt.recv() => break Ok(()),
            }
        };
        self.finish();
        result
    }

    /// Reads what the kernel has seen and runs the timers that are due.
    fn poll(&mut self) -> Result<(), LiveError> {
        let seen_until = clock::now() - LAG;
        let (engine, told, recorded) = (&mut self.engine, &mut self.told, &mut self.recorded);
        self.live.poll(&mut |packet| {
            recorded.count(packet);
            engine.handle_packet(packet.time, packet);
            told.drain(engine);
        })?;
        run_timers(engine, seen_until, told);
        Ok(())
    }

    /// Answers another thread. Who does not wait for the answer any more gets none.
    fn answer(&self, ask: Ask) {
        match ask {
            Ask::Snapshot(reply) => {
                let (board, sinks) = (&self.told.board, self.told.sinks.counters());
                let mut snapshot = Snapshot::take(&self.live, &self.recorded, &self.engine, board, sinks);
                if !self.config.alertmanager.urls.is_empty() {
                    snapshot.outputs.push(metrics::snapshot::Output::of_pushed(&self.told.pushed));
                }
                let _ = reply.send(Arc::new(snapshot));
            }
            Ask::Alerts(heard, reply) => {
                let mut news = self.told.board.news(heard);
                news.count(self.engine.calls_by_alert());
                let _ = reply.send(news);
            }
        }
    }

    /// What is due once a second.
    fn second(&mut self) {
        if let Ok(counters) = self.live.counters() {
            self.told.status.show(&counters, self.told.sinks.counters());
        }
        let links = self.live.names();
        if links != self.engine.config().links {
            self.recorded.rename(&self.engine.config().links, &links);
            let config = EngineConfig { links, ..self.engine.config().clone() };
            self.engine.set_config(config);
        }
        if Instant::now() >= self.addresses_due {
            self.addresses_due = Instant::now() + ADDRESSES;
            let local = self.live.local_addresses();
            if local != self.engine.config().local {
                tracing::info!(
                    "local addresses: {}",
                    local.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                );
                let config = EngineConfig { local, ..self.engine.config().clone() };
                self.engine.set_config(config);
            }
        }
    }

    /// SIGHUP: files are opened anew; the configuration is read, checked, and swapped or the old one kept.
    fn reload(&mut self) {
        self.notify.reloading();
        let read = settings::load(self.args).and_then(|new| {
            let new_engine = settings::engine(&settings::swapped(&self.config, new.clone()))?;
            Ok((new, new_engine))
        });
        match read {
            Err(failure) => tracing::error!("SIGHUP: the configuration in force is kept: {failure}"),
            Ok((new, mut engine_config)) => {
                let restart = settings::needs_restart(&self.config, &new);
                if !restart.is_empty() {
                    tracing::warn!("SIGHUP: {} changed; that needs a restart", restart.join(", "));
                }
                let new = settings::swapped(&self.config, new);
                engine_config.local = self.engine.config().local.clone();
                engine_config.links = self.engine.config().links.clone();
                engine_config.drops_watched = self.engine.config().drops_watched;
                self.engine.set_config(engine_config);
                self.told.sinks.change(settings::sinks(&new, self.args));
                self.config = new;
                tracing::info!("SIGHUP: the configuration was read again");
            }
        }
        self.told.sinks.reopen();
        self.notify.ready(&format!("watching {}", self.told.status.watching()));
    }

    /// Reads the rest, writes the records of what is still up, detaches, and says what was seen.
    fn finish(mut self) {
        self.notify.stopping();
        // Nobody answers its questions from here on.
        drop(self.web.take());
        let (engine, told) = (&mut self.engine, &mut self.told);
        let rest = self.live.finish(&mut |packet| {
            engine.handle_packet(packet.time, packet);
            told.drain(engine);
        });
        if let Err(e) = rest {
            tracing::warn!("reading the last packets: {}", refusal(e));
        }
        let counters = self.live.counters().unwrap_or_default();
        drop(self.live);
        self.engine.finish(clock::now());
        self.told.drain(&mut self.engine);
        self.told.sinks.finish();
        self.told.status.summary(&counters, self.told.sinks.counters());
    }
}

/// Runs the timers that are due by `now`; the engine gives each its own time.
fn run_timers(engine: &mut Engine, now: Timestamp, told: &mut Told) {
    if engine.poll_timeout().is_some_and(|due| due <= now) {
        engine.handle_timeout(now);
        told.drain(engine);
    }
}
