//! `cargo xtask demo`: the demonstration of `sip-monitor demo`, from this source.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{run, shell};

/// Builds and runs `sip-monitor demo ARGS`; its exit code is ours.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let daemon = run::build_daemon(run::Profile::Dev)?;
    let status = shell::status(Command::new(daemon).arg("demo").args(args))?;
    Ok(shell::exit_code(status))
}
