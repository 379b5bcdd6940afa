//! What cargo cannot do, one file a command. This file only dispatches.

mod bench;
mod codegen;
mod demo;
#[expect(dead_code, reason = "shared with the build script; xtask only asks what a build would find")]
#[path = "../../sip-monitor/src/ebpf_build.rs"]
mod ebpf_build;
mod fixture;
mod run;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND [ARGS]

  setup [--tests]   install what is missing to build the kernel programs (with --tests: also what `test` plays with)
  demo [ARGS]       build, then `sip-monitor demo`: faults played in private network namespaces (root)
  run [ARGS]        build, then `sip-monitor run ARGS` (root)
  test              everything that can fail: format, lints, all tests, live tests; ends with `N passed, N failed`
  bench [PART]      what a packet, a message and a call cost, measured in one run
  bench load [N]    1,000 (or N) SIPp calls with RTP: every packet accounted for, processor time and memory (root)
  codegen [--check] register the diagnoses and write their documentation
  fixture CODE [CAUSE]  a capture file that shows it, to standard output (`--to DIR`: one for each, of all codes or of CODE)
  tidy              the rules of the house: layout, dependencies, lengths";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let result = match command.as_str() {
        "setup" => setup::run(&args),
        "demo" => demo::run(&args),
        "run" => run::run(&args),
        "test" => test::run(&args),
        "bench" => bench::run(&args),
        "codegen" => codegen::run(&args),
        "fixture" => fixture::run(&args),
        "tidy" => test::tidy(),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(anyhow::anyhow!("no command {other:?}\n\n{USAGE}")),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
