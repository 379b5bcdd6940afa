//! `cargo xtask bench`: ratios measured in one run.

use std::process::ExitCode;

use anyhow::Result;

use crate::{run, setup, shell};

/// Builds the benchmark in release and runs it. `load` instead puts 1,000 SIPp calls with RTP on the optimised daemon.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if args.first().is_some_and(|part| part == "load") {
        return load(args.get(1).map_or("1000", String::as_str));
    }
    setup::ensure(setup::Scope::Build)?;
    let mut command = shell::cargo();
    command
        .args(["run", "--release", "--quiet", "--package", "sip-monitor-bench", "--"])
        .args(args)
        .env("SIP_MONITOR_EBPF", "require");
    Ok(shell::exit_code(shell::status(&mut command)?))
}

/// The load test of the live tests, larger and with the optimised program.
fn load(calls: &str) -> Result<ExitCode> {
    setup::ensure(setup::Scope::Test)?;
    let daemon = run::build_daemon(run::Profile::Release)?;
    let mut command = shell::cargo();
    command.args([
        "test",
        "--quiet",
        "--package",
        "sip-monitor",
        "--test",
        "live",
        "every_packet",
        "--",
        "--nocapture",
    ]);
    command.env("SIP_MONITOR_EBPF", "require").env("SIP_MONITOR_LOAD", calls).env("SIP_MONITOR_PROGRAM", daemon);
    Ok(shell::exit_code(shell::status(&mut command)?))
}
