//! `cargo xtask fixture`: capture files that show a condition, made from the scenarios of the engine.
//!
//! The test of the daemon that replays all of them has the code that makes them; this command asks it for some.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};

const USAGE: &str =
    "usage: cargo xtask fixture CODE [CAUSE] > FILE.pcap\n       cargo xtask fixture --to DIR [CODE [CAUSE]]";

/// Writes one fixture to standard output, or several into a folder.
pub fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let (folder, wanted) = match args {
        [flag, folder, wanted @ ..] if flag == "--to" => (Some(PathBuf::from(folder)), wanted),
        wanted => (None, wanted),
    };
    if wanted.len() > 2 || wanted.iter().any(|w| w.starts_with('-')) || (folder.is_none() && wanted.is_empty()) {
        bail!("{USAGE}");
    }
    if let Some(folder) = folder {
        std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        write(&folder.canonicalize()?, wanted)?;
        println!("{} capture files in {}", captures(&folder)?.len(), folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    if std::io::stdout().is_terminal() {
        bail!("a capture file is no text: send it to a file\n{USAGE}");
    }
    let folder = std::env::temp_dir().join(format!("sip-monitor-fixture-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = write(&folder, wanted).and_then(|()| to_stdout(&folder));
    let _ = std::fs::remove_dir_all(&folder);
    result.map(|()| ExitCode::SUCCESS)
}

/// Has the test write them.
fn write(folder: &Path, wanted: &[String]) -> anyhow::Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "-p", "sip-monitor", "--test", "scenario_captures", "--"]);
    cargo.args(["--exact", "a_fixture_is_written_where_one_is_asked_for"]);
    cargo.env("SIP_MONITOR_FIXTURE_DIR", folder).env("SIP_MONITOR_FIXTURE", wanted.join(" "));
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("running the daemon's tests")?;
    if !output.status.success() {
        bail!("no capture file shows `{}`; `sip-monitor explain` lists the codes and causes", wanted.join(" "));
    }
    Ok(())
}

/// The first of them.
fn to_stdout(folder: &Path) -> anyhow::Result<()> {
    let paths = captures(folder)?;
    let path = paths.first().context("no capture file was written")?;
    if let Some(name) = path.file_stem() {
        eprintln!("{}", name.to_string_lossy().replace('.', " "));
    }
    Ok(std::io::stdout().write_all(&std::fs::read(path)?)?)
}

fn captures(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "pcap"));
    paths.sort();
    Ok(paths)
}
