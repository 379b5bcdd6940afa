//! The command line. Flags go before `SIP_MONITOR_*` environment variables, those before the configuration file, that
//! before the defaults.

pub mod exit;
pub mod log;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Emit, Ingress, Listen, OutputFormat, PrivacyMode};
use exit::{Code, Failure};

/// Says why SIP calls fail, with the local kernel as witness.
#[derive(Debug, Parser)]
#[command(name = "sip-monitor", version, max_term_width = 110, after_long_help = exit::HELP, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much to log to stderr: error, warn, info, debug, trace, or a filter such as `info,sip_monitor=debug`
    #[arg(long, global = true, env = "SIP_MONITOR_LOG", value_name = "LEVEL")]
    pub log: Option<String>,
}

/// One command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this host's interfaces and tell what goes wrong, as it goes wrong
    Run(RunArgs),
    /// Read capture files and tell what went wrong in them
    Replay(ReplayArgs),
    /// Explain an alert code: what it means, what it looked like, what to do
    Explain(ExplainArgs),
    /// Print the JSON Schema of one kind of output line
    Schema(SchemaArgs),
    /// Say what live capture would find on this machine; changes nothing
    Check(CheckArgs),
    /// Make calls that fail in private network namespaces and show the alerts (needs root)
    Demo(DemoArgs),
}

/// `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Interface to watch; may be repeated. Without it: all that are up, except loopback
    #[arg(short = 'i', long = "interface", env = "SIP_MONITOR_INTERFACE", value_delimiter = ',', value_name = "IFACE")]
    pub interfaces: Vec<String>,
    /// Configuration file [default: /etc/sip-monitor/sip-monitor.toml where it exists]
    #[arg(long, env = "SIP_MONITOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How arriving packets are seen [default: auto]
    #[arg(long, env = "SIP_MONITOR_INGRESS", value_name = "MODE")]
    pub ingress: Option<Ingress>,
    /// Port that carries SIP; may be repeated [default: 5060, 5061]. SIP on other UDP ports is found by its first bytes
    #[arg(long = "sip-port", env = "SIP_MONITOR_SIP_PORT", value_delimiter = ',', value_name = "PORT")]
    pub sip_ports: Vec<u16>,
    /// Output format [default: table on a terminal, else jsonl]
    #[arg(short, long, env = "SIP_MONITOR_OUTPUT", value_name = "FORMAT")]
    pub output: Option<Format>,
    /// What to print [default: alerts]
    #[arg(long, env = "SIP_MONITOR_EMIT", value_delimiter = ',', value_name = "KIND")]
    pub emit: Vec<Kind>,
    /// Also append alerts to this file, as JSON lines; reopened on SIGHUP and SIGUSR1
    #[arg(long, env = "SIP_MONITOR_ALERTS_FILE", value_name = "PATH")]
    pub alerts_file: Option<PathBuf>,
    /// What is done to phone numbers in output [default: mask]
    #[arg(long, env = "SIP_MONITOR_PRIVACY", value_name = "MODE")]
    pub privacy: Option<PrivacyMode>,
    /// Where Prometheus finds /metrics, or `off` [default: 127.0.0.1:19060 if it can be had]
    #[arg(long, env = "SIP_MONITOR_PROMETHEUS", value_name = "ADDR:PORT")]
    pub prometheus: Option<Listen>,
    /// Forward the log of the kernel programs; slows them down
    #[arg(long)]
    pub debug_ebpf: bool,
}

/// `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Capture files (pcap or pcapng, also gzip); `-` reads standard input. Several are merged in time order
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Address or network (10.0.0.0/8) of the host the capture is judged for; may be repeated [default: guessed]
    #[arg(long, env = "SIP_MONITOR_LOCAL", value_delimiter = ',', value_name = "ADDR")]
    pub local: Vec<String>,
    /// Configuration file: thresholds, timers, limits
    #[arg(long, env = "SIP_MONITOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Port that carries SIP; may be repeated [default: 5060, 5061]
    #[arg(long = "sip-port", env = "SIP_MONITOR_SIP_PORT", value_delimiter = ',', value_name = "PORT")]
    pub sip_ports: Vec<u16>,
    /// Output format [default: table on a terminal, else jsonl]
    #[arg(short, long, env = "SIP_MONITOR_OUTPUT", value_name = "FORMAT")]
    pub output: Option<Format>,
    /// What to print [default: alerts,calls,streams,registrations]
    #[arg(long, env = "SIP_MONITOR_EMIT", value_delimiter = ',', value_name = "KIND")]
    pub emit: Vec<Kind>,
    /// What is done to phone numbers in output [default: mask]
    #[arg(long, env = "SIP_MONITOR_PRIVACY", value_name = "MODE")]
    pub privacy: Option<PrivacyMode>,
}

/// `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Alert code, such as no-ack; without it all are listed
    pub code: Option<String>,
}

/// `schema`.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Kind of line
    pub kind: SchemaKind,
}

/// `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Interface to look at; may be repeated. Without it: all that are up, except loopback
    #[arg(short = 'i', long = "interface", env = "SIP_MONITOR_INTERFACE", value_delimiter = ',', value_name = "IFACE")]
    pub interfaces: Vec<String>,
    /// Configuration file, checked too
    #[arg(long, env = "SIP_MONITOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Also play the call that is dropped after 32 s, in real time
    #[arg(long)]
    pub slow: bool,
}

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Readable text
    Table,
    /// One JSON object a line
    Jsonl,
}

/// A kind of output line, as `--emit` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Conditions that fire, change or end
    Alerts,
    /// One line a call
    Calls,
    /// One line each time a call changes its state, when it does
    Events,
    /// One line an RTP stream
    Streams,
    /// One line a registration
    Registrations,
    /// One line a peer or trunk: at the end and, live, once an interval
    Peers,
    /// One line a SIP message
    Messages,
}

/// A kind of output line, as `schema` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// A condition that fires, changes or ends
    Alert,
    /// A call
    Call,
    /// A change of a call's state
    Event,
    /// An RTP stream
    Stream,
    /// A registration
    Registration,
    /// A peer or trunk
    Peer,
    /// A SIP message
    Message,
}

/// Reads the process's arguments, runs the command, prints its failure.
pub fn main() -> ExitCode {
    run_with(std::env::args_os())
}

/// The same with given arguments.
fn run_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { ExitCode::from(Code::Usage.number()) } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(anstream::stderr(), "sip-monitor: {failure}");
            ExitCode::from(failure.code.number())
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) => crate::run::run(&args, cli.log.as_deref()),
        Command::Replay(args) => {
            log::init(cli.log.as_deref().unwrap_or("warn"))?;
            crate::capture::replay::command(&args)
        }
        Command::Explain(args) => crate::explain::run(args.code.as_deref()),
        Command::Schema(args) => crate::schema::run(args.kind),
        Command::Check(args) => crate::check::run(&args),
        Command::Demo(args) => {
            log::init(cli.log.as_deref().unwrap_or("warn"))?;
            crate::demo::run(args.slow)
        }
    }
}

/// Columns of the terminal, or 100 where standard output is none.
#[must_use]
pub fn width() -> usize {
    let columns = comfy_table::Table::new().width().filter(|_| std::io::stdout().is_terminal());
    columns.map_or(100, usize::from).clamp(60, 140)
}

/// Writes to standard output. A reader that went away (`| head`) is no failure.
///
/// # Errors
/// [`Code::Io`] where writing fails otherwise.
pub fn print(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    finished(write(&mut out).and_then(|()| out.flush()))
}

/// The same for very many lines without colour: buffered.
///
/// # Errors
/// As [`print`].
pub fn print_lines(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    finished(write(&mut out).and_then(|()| out.flush()))
}

fn finished(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::Io, format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Tells something on standard error that is neither output nor a failure.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "sip-monitor: {text}");
}

/// The format that a configured one means here.
#[must_use]
pub fn format_for(format: OutputFormat) -> Format {
    match format {
        OutputFormat::Table => Format::Table,
        OutputFormat::Jsonl => Format::Jsonl,
        OutputFormat::Auto if std::io::stdout().is_terminal() => Format::Table,
        OutputFormat::Auto => Format::Jsonl,
    }
}

impl Kind {
    /// As the configuration names it.
    #[must_use]
    pub const fn to_config(self) -> Emit {
        match self {
            Self::Alerts => Emit::Alerts,
            Self::Calls => Emit::Calls,
            Self::Events => Emit::Events,
            Self::Streams => Emit::Streams,
            Self::Registrations => Emit::Registrations,
            Self::Peers => Emit::Peers,
            Self::Messages => Emit::Messages,
        }
    }

    /// Its plural in a sentence.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Calls => "calls",
            Self::Events => "events",
            Self::Streams => "streams",
            Self::Registrations => "registrations",
            Self::Peers => "peers",
            Self::Messages => "messages",
        }
    }
}

impl ReplayArgs {
    /// What is to be printed.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        if self.emit.is_empty() {
            vec![Kind::Alerts, Kind::Calls, Kind::Streams, Kind::Registrations]
        } else {
            self.emit.clone()
        }
    }
}
