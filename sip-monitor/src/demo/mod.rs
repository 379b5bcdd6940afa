//! `sip-monitor demo`: true alerts on this machine within seconds. Three private network namespaces, a host, the path and a
//! far end, the daemon with the real programs attached to the host, and telephones that play a good call and the faults. Nothing of the host's network
//! is touched, and everything is removed at the end.

pub mod daemon;
pub mod netns;
mod phone;
mod show;
mod stage;
mod stories;
mod talk;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use crate::cli::exit::{Code, Failure};
use daemon::Daemon;
use show::Seen;
use stage::Stage;
use stories::{STORIES, Story};

/// After the last call, for what is still on its way.
const SETTLE: Duration = Duration::from_millis(500);
/// How long we wait for the next alert before we look whether the calls are over.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs the demonstration; `slow` adds the call that is dropped after 32 s.
///
/// # Errors
/// Where it cannot run here, or where other alerts than the expected came.
pub fn run(slow: bool) -> Result<(), Failure> {
    // SAFETY: geteuid only returns a number.
    if unsafe { libc::geteuid() } != 0 {
        return Err(Failure::new(Code::NoPermission, "the demonstration makes network namespaces, which needs root")
            .fix("sudo sip-monitor demo"));
    }
    stage::catch_signals();
    let (stories, left_out): (Vec<&Story>, Vec<&Story>) =
        STORIES.iter().filter(|story| slow || !story.slow).partition(|story| story.needs.is_none_or(on_path));
    let stage = Stage::build(u8::try_from(stories.len()).unwrap_or(u8::MAX))?;
    let program = std::env::current_exe().context("where this program is")?;
    let daemon = Daemon::start(stage.host(), &program, stage::INTERFACE, &["--emit", "alerts"])?;

    let count = stories.len();
    say(&format!("Watching {} in a private network namespace. {count} calls at the same time:", stage::INTERFACE));
    for story in &stories {
        say(&format!("  {:<20}{}", story.name, story.title));
    }
    for story in &left_out {
        let needs = story.needs.unwrap_or_default();
        say(&format!("  {:<20}left out: it needs `{needs}` (apt-get install nftables)", story.name));
    }
    say("");
    let mut seen = Seen::default();
    let began = Instant::now();
    let played = play(&stage, &stories, |patience| {
        if let Some(line) = daemon.next_line(patience) {
            say(&seen.take(&line.text, &stories, line.at.duration_since(began)));
        }
    });
    let (rest, log) = daemon.stop()?;
    for line in rest {
        say(&seen.take(&line.text, &stories, line.at.duration_since(began)));
    }
    drop(stage);
    played?;

    let (table, good) = seen.verdict(&stories);
    say(&table);
    if !good {
        // Lost where nobody reads errors either.
        let _ = std::io::stderr().write_all(log.as_bytes());
        return Err(Failure::new(Code::Software, "other alerts came than expected"));
    }
    let seconds = began.elapsed().as_secs_f64();
    say(&format!("Every fault was found with its cause, and the good call raised nothing. {seconds:.1} s."));
    Ok(())
}

/// Whether a program is there to be started.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Prints a line. A reader that went away (`| head`) must not keep us from removing the namespaces.
fn say(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Plays all stories at once and calls `watch` until they are over and a little longer.
fn play(stage: &Stage, stories: &[&Story], mut watch: impl FnMut(Duration)) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0_u8..)
            .zip(stories)
            .map(|(n, story)| {
                scope.spawn(move || {
                    stage.spoil(n, story.network)?;
                    let mut call = stage.call(n, story.name, story.media)?;
                    (story.play)(&mut call).with_context(|| format!("playing {}", story.name))
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            watch(GLANCE);
        }
        let end = Instant::now() + SETTLE;
        while Instant::now() < end && !stage::is_interrupted() {
            watch(GLANCE);
        }
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a call's thread panicked"))?)
    })
}
