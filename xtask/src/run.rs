//! `cargo xtask run`: the daemon with its kernel programs, from this source.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{setup, shell};

/// Builds and runs `sip-monitor run ARGS`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let daemon = build_daemon()?;
    let status = shell::status(Command::new(daemon).arg("run").args(args))?;
    Ok(shell::exit_code(status))
}

/// Sets up what the build needs, builds the daemon with its kernel programs, and says where it is.
pub fn build_daemon() -> Result<PathBuf> {
    setup::ensure(setup::Scope::Build)?;
    shell::run(
        shell::cargo().args(["build", "--release", "--package", "sip-monitor"]).env("SIP_MONITOR_EBPF", "require"),
    )?;
    Ok(target_dir().join("release/sip-monitor"))
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), PathBuf::from)
}
