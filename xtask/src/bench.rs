//! `cargo xtask bench`: ratios measured in one run.

use std::process::ExitCode;

use anyhow::Result;

use crate::{setup, shell};

/// Builds the benchmark in release and runs it.
pub fn run(args: &[String]) -> Result<ExitCode> {
    setup::ensure(setup::Scope::Build)?;
    let mut command = shell::cargo();
    command
        .args(["run", "--release", "--quiet", "--package", "sip-monitor-bench", "--"])
        .args(args)
        .env("SIP_MONITOR_EBPF", "require");
    Ok(shell::exit_code(shell::status(&mut command)?))
}
