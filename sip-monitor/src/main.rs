//! The program: reads the command line, runs one command, turns its failure into an exit code.

fn main() -> std::process::ExitCode {
    sip_monitor::cli::main()
}
