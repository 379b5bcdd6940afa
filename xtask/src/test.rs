//! `cargo xtask test`: everything that can fail, ending with one line `N passed, N failed`.
//!
//! Format, lints and generated files count as one check each; every test of every binary counts as itself. A test that
//! cannot run here prints a line with `skipped:` and is counted as skipped, not as passed.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::{codegen, setup, shell};

/// Runs all of it.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        bail!("usage: cargo xtask test");
    }
    let mut tally = Tally::default();
    tally.check("set-up", setup::ensure(setup::Scope::Test));
    if tally.failed > 0 {
        println!("\n{}", tally.line());
        return Ok(ExitCode::FAILURE);
    }
    tally.tool("fmt", "format", shell::cargo().args(["fmt", "--all", "--check"]));
    // The same value as for the tests below: the build script runs once for both.
    let lint = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    tally.tool("clippy", "lints", shell::cargo().args(lint).env("SIP_MONITOR_EBPF", "require"));
    // In a folder of its own: the two values would throw each other's builds away.
    let plain = ["check", "--package", "sip-monitor", "--target-dir", "target/without-ebpf"];
    tally.check(
        "builds without an eBPF toolchain",
        shell::run(shell::cargo().args(plain).env("SIP_MONITOR_EBPF", "skip")),
    );
    tally.check("generated files are fresh", codegen::run(&["--check".to_owned()]).map(|_| ()));
    let tests = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
    tally.tests(shell::cargo().args(tests).env("SIP_MONITOR_EBPF", "require"))?;
    println!("\n{}", tally.line());
    Ok(if tally.failed == 0 && tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cargo xtask tidy`: the rules of the house alone.
pub fn tidy() -> Result<ExitCode> {
    Ok(shell::exit_code(shell::status(shell::cargo().args([
        "test",
        "--quiet",
        "--package",
        "xtask",
        "--test",
        "tidy",
    ]))?))
}

/// What came out so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Counts one check that is no test.
    fn check(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("check {name} ... ok");
            }
            Err(error) => {
                self.failed += 1;
                println!("check {name} ... FAILED: {error:#}");
            }
        }
    }

    /// Counts a check that is a tool of cargo's, which a distribution's Rust may lack; in CI it must be there.
    fn tool(&mut self, tool: &str, name: &str, command: &mut Command) {
        let lacks = shell::output(shell::cargo().args([tool, "--version"])).is_none();
        if lacks && std::env::var_os("CI").is_none_or(|ci| ci != "true") {
            self.skipped += 1;
            println!("check {name} ... skipped: there is no cargo {tool} (rustup component add rustfmt clippy)");
        } else {
            self.check(name, shell::run(command));
        }
    }

    /// Runs cargo's tests and counts what their harnesses say.
    fn tests(&mut self, command: &mut Command) -> Result<()> {
        println!("+ {}", shell::line(command));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("starting cargo test")?;
        let stdout = child.stdout.take().context("the output of cargo test")?;
        let before = self.failed;
        self.read(stdout, &mut std::io::stdout().lock())?;
        let status = child.wait().context("waiting for cargo test")?;
        if !status.success() && self.failed == before {
            // A build error, or a test binary that died: no harness was left to count it.
            println!("cargo test ended with {status} and no test said why");
            self.failed += 1;
        }
        Ok(())
    }

    /// Reads the output of test harnesses and passes it on, without what tests that passed have printed.
    fn read(&mut self, from: impl Read, to: &mut impl Write) -> Result<()> {
        let mut of_passed_tests = false;
        let mut skipped = 0;
        for line in BufReader::new(from).split(b'\n') {
            let line = line.context("reading the output of cargo test")?;
            let line = String::from_utf8_lossy(&line);
            if let Some(result) = line.strip_prefix("test result: ") {
                let count = |what: &str| {
                    result
                        .split([';', '.'])
                        .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
                        .unwrap_or(0)
                };
                self.passed += count("passed").saturating_sub(skipped);
                self.failed += count("failed");
                self.skipped += skipped + count("ignored");
                skipped = 0;
                of_passed_tests = false;
            }
            match line.as_ref() {
                "successes:" => of_passed_tests = true,
                "failures:" => of_passed_tests = false,
                _ => {}
            }
            let is_skip = of_passed_tests && line.starts_with("skipped:");
            skipped += u64::from(is_skip);
            if !of_passed_tests || is_skip {
                writeln!(to, "{line}")?;
            }
        }
        Ok(())
    }

    /// The last line.
    fn line(&self) -> String {
        let mut line = format!("{} passed, {} failed", self.passed, self.failed);
        if self.skipped > 0 {
            line.push_str(&format!(", {} skipped", self.skipped));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> (Tally, String) {
        let (mut tally, mut shown) = (Tally::default(), Vec::new());
        tally.read(output.as_bytes(), &mut shown).expect("a vector takes everything");
        (tally, String::from_utf8_lossy(&shown).into_owned())
    }

    #[test]
    fn results_of_all_binaries_are_summed() {
        let one = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let two = "test result: FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        assert_eq!(tally(&format!("{one}{two}")).0.line(), "12 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let output = "test a ... ok\n\nsuccesses:\n\n---- a stdout ----\nskipped: no corpus\nnoise\n\nsuccesses:\n    a\n\n\
                      test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let (tally, shown) = tally(output);
        assert_eq!(tally, Tally { passed: 2, failed: 0, skipped: 1 });
        assert!(shown.contains("skipped: no corpus") && !shown.contains("noise"), "{shown}");
    }
}
