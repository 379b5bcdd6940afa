//! `replay`: capture files through the same accounting, decoding and engine as live packets.
//!
//! The files are read whole, put into the order of time, and looked at once ([`survey`]) to learn whose capture it is
//! ([`local`]); then every frame goes the way of a packet ([`drive`]).

pub mod drive;
pub mod file;
pub mod link;
pub mod local;
mod pcap;
mod pcapng;
pub mod survey;
pub mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use sip_monitor_engine::{Engine, EngineConfig, Output, Timestamp};

use crate::cli::exit::{Code, Failure, OrExit as _};
use crate::cli::{Format, Kind, ReplayArgs};
use crate::config::{self, Config};
use crate::sink::{jsonl, report};
use file::CaptureFile;
use link::NoIp;
use timeline::Timeline;

/// What a replay read, beside what the engine made of it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The files, as given.
    pub files: Vec<String>,
    /// First and last frame.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Frames read.
    pub frames: u64,
    /// Frames of which the capture kept only a part.
    pub cut: u64,
    /// A capture among them holds one direction of signalling only.
    pub half_seen: bool,
    /// Frames without an IP packet, by why.
    pub no_ip: BTreeMap<NoIp, u64>,
    /// What became of the packets, by name; only what is not 0.
    pub counters: Vec<(&'static str, u64)>,
    /// Local addresses.
    pub local: BTreeSet<IpAddr>,
    /// Why these, where they were guessed.
    pub guessed: Option<&'static str>,
    /// What was odd about the files.
    pub warnings: Vec<String>,
}

impl Summary {
    /// A counter by its name.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n)
    }
}

/// How a replay is to be made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings of the engine; `local`, `media_sight`, `half_seen` and `links` are filled in here.
    pub engine: EngineConfig,
    /// Local addresses and networks; guessed where empty.
    pub local: Vec<local::Net>,
    /// Ports that carry SIP.
    pub sip_ports: Vec<u16>,
    /// Streams counted at a time.
    pub max_streams: u32,
}

/// Replays capture files and hands every output to `emit`, in order. Files that lie apart in time, or have no host in
/// common, are captures of their own: each has its own local addresses, and nothing is concluded from the time between.
///
/// # Errors
/// What `emit` returns; it ends the replay.
pub fn replay<E>(
    files: Vec<CaptureFile>,
    options: &Options,
    mut emit: impl FnMut(Output) -> Result<(), E>,
) -> Result<Summary, E> {
    let mut summary = Summary::default();
    for file in &files {
        let name = file.path.display().to_string();
        summary.warnings.extend(file.warnings.iter().map(|w| format!("{name}: {w}")));
        summary.files.push(name);
    }
    for capture in timeline::captures(files, &options.sip_ports) {
        replay_one(&Timeline::new(capture), options, &mut summary, &mut emit)?;
    }
    Ok(summary)
}

/// Replays one capture and adds what it read to `summary`.
fn replay_one<E>(
    timeline: &Timeline,
    options: &Options,
    summary: &mut Summary,
    emit: impl FnMut(Output) -> Result<(), E>,
) -> Result<(), E> {
    let survey = timeline.survey(&options.sip_ports);
    let local = if options.local.is_empty() {
        let guess = local::guess(&survey);
        summary.guessed = match summary.guessed {
            None => Some(guess.because),
            Some(_) => Some("each capture by itself"),
        };
        guess.addresses
    } else {
        local::given(&options.local, &survey)
    };
    summary.half_seen |= survey.half_seen();
    let config = EngineConfig {
        local: local.iter().copied().collect(),
        media_sight: survey.media_sight(!options.local.is_empty()),
        half_seen: survey.half_seen(),
        links: timeline.link_names(),
        ..options.engine.clone()
    };
    let mut drive = drive::Drive::new(Engine::new(config), options, emit);
    for timed in timeline.frames() {
        summary.frames += 1;
        summary.cut += u64::from(timed.frame.cut);
        match link::network(timed.link_type, timed.bytes) {
            Ok(network) => drive.handle_packet(&timed, network.l3, &local)?,
            Err(why) => *summary.no_ip.entry(why).or_default() += 1,
        }
    }
    let span = timeline.span();
    for (name, n) in drive.finish(span.map_or(Timestamp::ZERO, |(_, last)| last))? {
        match summary.counters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += n,
            None => summary.counters.push((name, n)),
        }
    }
    summary.local.extend(local);
    if let Some((first, last)) = span {
        let (begin, end) = summary.span.unwrap_or((first, last));
        summary.span = Some((begin.min(first), end.max(last)));
    }
    Ok(())
}

/// The command.
///
/// # Errors
/// With the exit code of what went wrong.
pub fn command(args: &ReplayArgs) -> Result<(), Failure> {
    let mut config = match &args.config {
        Some(path) => config::from_file(path)?,
        None => Config::default(),
    };
    if let Some(mode) = args.privacy {
        config.privacy = mode;
    }
    let kinds = args.kinds();
    let format = args.output.unwrap_or_else(|| crate::cli::format_for(config.output.format));
    let mut engine = config.to_engine();
    // A capture is told of as a whole.
    engine.peers_every = None;
    engine.emit = config::emit_flags(&kinds.iter().map(|k| k.to_config()).collect::<Vec<_>>());
    engine.privacy_key = config::privacy_key(&config)?;
    let options = Options {
        engine,
        local: args.local.iter().map(|l| l.parse()).collect::<Result<_, String>>().map_err(|e| {
            Failure::new(Code::Usage, format!("--local {e}"))
                .fix("give addresses or networks, such as --local 192.0.2.10")
        })?,
        sip_ports: if args.sip_ports.is_empty() { config.capture.sip_ports.clone() } else { args.sip_ports.clone() },
        max_streams: config.capture.max_streams,
    };
    let files = read_all(args)?;
    match format {
        Format::Jsonl => as_lines(files, &options, &kinds),
        Format::Table => as_report(files, options, &kinds),
    }
}

/// Reads every file before the first line is written: a wrong name is told at once.
fn read_all(args: &ReplayArgs) -> Result<Vec<CaptureFile>, Failure> {
    if args.files.len() > usize::from(u16::MAX) {
        return Err(Failure::new(Code::Usage, format!("{} files, at most 65535 at once", args.files.len())));
    }
    args.files.iter().map(|path: &std::path::PathBuf| file::read(Path::new(path))).collect()
}

fn as_lines(files: Vec<CaptureFile>, options: &Options, kinds: &[Kind]) -> Result<(), Failure> {
    let alerts = kinds.contains(&Kind::Alerts);
    let mut seen = report::Seen::default();
    let mut summary = None;
    crate::cli::print_lines(|out| {
        summary = Some(replay(files, options, |output| {
            seen.count(&output);
            if matches!(output, Output::Alert(_)) && !alerts { Ok(()) } else { jsonl::write(out, &output) }
        })?);
        Ok(())
    })?;
    if let Some(summary) = summary {
        for note in report::notes(&summary, &seen, kinds) {
            crate::cli::note(&note);
        }
    }
    Ok(())
}

fn as_report(files: Vec<CaptureFile>, mut options: Options, kinds: &[Kind]) -> Result<(), Failure> {
    // The ladder of a call with a problem is drawn from its messages.
    options.engine.emit.messages = true;
    let mut report = report::Report::new(kinds);
    let summary = replay(files, &options, |output| {
        report.take(output);
        Ok::<(), std::convert::Infallible>(())
    })
    .or_exit(Code::Software)?;
    for warning in &summary.warnings {
        crate::cli::note(warning);
    }
    let text = report.render(&summary, crate::cli::width());
    crate::cli::print(|out| out.write_all(text.as_bytes()))
}
