//! `cargo xtask setup`: installs what a fresh Debian or Ubuntu lacks to build and test. A second run finds nothing to do.
//!
//! [`machine`] looks, [`plan`] decides (a pure function, tested on machines we do not have), this file acts.

mod machine;
mod plan;

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::shell;
use machine::Machine;
use plan::Step;

/// What is to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Building the kernel programs, and the demo.
    Build,
    /// That, and the programs the live tests play with.
    Test,
}

/// Installs what is missing and says so.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let scope = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Scope::Build,
        ["--tests"] => Scope::Test,
        _ => bail!("usage: cargo xtask setup [--tests]"),
    };
    if !install_missing(scope)? {
        println!("Nothing to do: everything needed is installed.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The same for the other commands: silent where nothing is missing.
pub fn ensure(scope: Scope) -> Result<()> {
    install_missing(scope).map(|_| ())
}

/// Looks, installs, and looks again: what comes next can depend on what was installed (bpf-linker needs the LLVM of the
/// compiler). Says whether anything had to be done.
fn install_missing(scope: Scope) -> Result<bool> {
    let mut machine = Machine::look(scope);
    if machine.is_complete() {
        return Ok(false);
    }
    if shell::is_root() && shell::on_path("apt-get") {
        // A fresh image has no package lists, an old machine has stale ones: both fail to install what is there.
        // One repository of many that does not answer is no reason to give up: apt-get says itself what it cannot install.
        if let Err(problem) = act(&plan::update()) {
            println!("{problem:#}; going on with the package lists that are there");
        }
        machine = Machine::look(scope);
    }
    let mut last: Vec<Step> = Vec::new();
    loop {
        let steps = plan::plan(&machine).map_err(anyhow::Error::msg)?;
        let Some(first) = steps.first() else { return Ok(true) };
        if !shell::is_root() && steps.iter().any(Step::needs_root) {
            bail!(
                "not everything needed is installed, and installing packages needs root. Run:\n\n{}",
                plan::as_commands(&steps)
            );
        }
        if last.first() == Some(first) {
            bail!("this was done and is still needed; see its output above:\n\n{}", plan::as_commands(&steps));
        }
        for command in first.commands() {
            act(&command)?;
        }
        last = steps;
        machine = Machine::look(scope);
    }
}

/// Runs one command of the plan and shows it first.
fn act(command: &plan::Command) -> Result<()> {
    let mut run = Command::new(&command.words[0]);
    run.args(&command.words[1..]).envs(command.env.iter().map(|(k, v)| (k, v))).current_dir(shell::root());
    println!("+ {}", command.line());
    shell::run(&mut run)
}
