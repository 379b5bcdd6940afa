//! `cargo xtask run`: the daemon with its kernel programs, from this source.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{setup, shell};

/// Builds and runs `sip-monitor run ARGS`, optimised: it may stay.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let daemon = build_daemon(Profile::Release)?;
    let status = shell::status(Command::new(daemon).arg("run").args(args))?;
    Ok(shell::exit_code(status))
}

/// How it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As the tests build it: soon ready.
    Dev,
    /// Optimised.
    Release,
}

/// Sets up what the build needs, builds the daemon with its kernel programs, and says where it is.
pub fn build_daemon(profile: Profile) -> Result<PathBuf> {
    setup::ensure(setup::Scope::Build)?;
    let (args, folder): (&[&str], _) = match profile {
        Profile::Dev => (&[], "debug"),
        Profile::Release => (&["--release"], "release"),
    };
    shell::run(
        shell::cargo().args(["build", "--package", "sip-monitor"]).args(args).env("SIP_MONITOR_EBPF", "require"),
    )?;
    Ok(target_dir().join(folder).join("sip-monitor"))
}

/// Where cargo puts what it builds.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), PathBuf::from)
}
