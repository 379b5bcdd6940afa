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

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use sip_monitor_engine::{Engine, EngineConfig, Output, Timestamp};

use crate::cli::exit::{Code, Failure, OrExit as _};
use crate::cli::{Format, Kind, ReplayArgs};
use crate::config::{self, Config};
use crate::sink::{jsonl, report};
use file::{CaptureFile, Frame};
use link::NoIp;
use survey::Survey;

/// Frames of several files in the order of time, equal times in the order of the files and within them.
#[derive(Debug)]
pub struct Timeline {
    files: Vec<CaptureFile>,
    order: Vec<Place>,
    /// For each file the number of its first interface in the common list.
    first_link: Vec<u16>,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    time_ns: i64,
    index: u32,
    file: u16,
}

/// One frame of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct TimedFrame<'a> {
    /// Its place in its file.
    pub frame: Frame,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// `LINKTYPE_*`.
    pub link_type: u32,
    /// Index into [`Timeline::link_names`].
    pub link: u16,
}

impl Timeline {
    /// Puts the frames of `files` in order.
    #[must_use]
    pub fn new(files: Vec<CaptureFile>) -> Self {
        let mut order = Vec::with_capacity(files.iter().map(|f| f.frames.len()).sum());
        let mut first_link = Vec::with_capacity(files.len());
        let mut links = 0_u16;
        for (number, file) in files.iter().enumerate() {
            first_link.push(links);
            links = links.saturating_add(u16::try_from(file.interfaces.len()).unwrap_or(u16::MAX));
            let file_number = u16::try_from(number).unwrap_or(u16::MAX);
            order.extend(file.frames.iter().zip(0..).map(|(f, index)| Place {
                time_ns: f.time_ns,
                index,
                file: file_number,
            }));
        }
        order.sort_by_key(|p| p.time_ns);
        Self { files, order, first_link }
    }

    /// The frames, earliest first.
    pub fn frames(&self) -> impl Iterator<Item = TimedFrame<'_>> {
        self.order.iter().filter_map(|place| {
            let number = usize::from(place.file);
            let file = self.files.get(number)?;
            let frame = *file.frames.get(place.index as usize)?;
            let link_type = file.interfaces.get(usize::from(frame.interface))?.link_type;
            let link = self.first_link.get(number)?.saturating_add(frame.interface);
            Some(TimedFrame { frame, bytes: file.frame(&frame), link_type, link })
        })
    }

    /// Names of the interfaces of all files; empty where a file does not tell.
    #[must_use]
    pub fn link_names(&self) -> Vec<String> {
        self.files.iter().flat_map(|f| f.interfaces.iter().map(|i| i.name.clone())).collect()
    }

    /// First and last time.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = (self.order.first()?, self.order.last()?);
        Some((Timestamp::from_unix_ns(first.time_ns), Timestamp::from_unix_ns(last.time_ns)))
    }

    /// Looks at every frame once.
    #[must_use]
    pub fn survey(&self, sip_ports: &[u16]) -> Survey {
        let mut survey = Survey::default();
        for timed in self.frames() {
            if let Ok(network) = link::network(timed.link_type, timed.bytes) {
                survey.look_at(&network, timed.frame.hint, sip_ports);
            }
        }
        survey
    }
}

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
    /// Settings of the engine; `local`, `media_sight` and `links` are filled in here.
    pub engine: EngineConfig,
    /// Local addresses and networks; guessed where empty.
    pub local: Vec<local::Net>,
    /// Ports that carry SIP.
    pub sip_ports: Vec<u16>,
    /// Streams counted at a time.
    pub max_streams: u32,
}

/// Replays capture files and hands every output to `emit`, in order.
///
/// # Errors
/// What `emit` returns; it ends the replay.
pub fn replay<E>(
    files: Vec<CaptureFile>,
    options: &Options,
    emit: impl FnMut(Output) -> Result<(), E>,
) -> Result<Summary, E> {
    let mut summary = Summary::default();
    for file in &files {
        let name = file.path.display().to_string();
        summary.warnings.extend(file.warnings.iter().map(|w| format!("{name}: {w}")));
        summary.files.push(name);
    }
    let timeline = Timeline::new(files);
    summary.span = timeline.span();
    let survey = timeline.survey(&options.sip_ports);
    if options.local.is_empty() {
        let guess = local::guess(&survey);
        summary.local = guess.addresses;
        summary.guessed = Some(guess.because);
    } else {
        summary.local = local::given(&options.local, &survey);
    }
    let config = EngineConfig {
        local: summary.local.iter().copied().collect(),
        media_sight: survey.media_sight(!options.local.is_empty()),
        links: timeline.link_names(),
        ..options.engine.clone()
    };
    let mut drive = drive::Drive::new(Engine::new(config), options, emit);
    for timed in timeline.frames() {
        summary.frames += 1;
        summary.cut += u64::from(timed.frame.cut);
        match link::network(timed.link_type, timed.bytes) {
            Ok(network) => drive.handle_packet(&timed, network.l3, &summary.local)?,
            Err(why) => *summary.no_ip.entry(why).or_default() += 1,
        }
    }
    let end = summary.span.map_or(Timestamp::ZERO, |(_, last)| last);
    summary.counters = drive.finish(end)?;
    Ok(summary)
}

/// The command.
///
/// # Errors
/// With the exit code of what went wrong.
pub fn command(args: &ReplayArgs) -> Result<(), Failure> {
    let config = match &args.config {
        Some(path) => config::from_file(path)?,
        None => Config::default(),
    };
    let kinds = args.kinds();
    let format = args.output.unwrap_or_else(|| crate::cli::format_for(config.output.format));
    let mut engine = config.to_engine();
    engine.emit = config::emit_flags(&kinds.iter().map(|k| k.to_config()).collect::<Vec<_>>());
    if let Some(mode) = args.privacy {
        engine.privacy = mode.into();
    }
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
