//! What a packet, a message and a call cost, measured in one run on one machine: only ratios of one run mean something.
//! Run by `cargo xtask bench`. One file a part; a name as argument runs that part alone.

mod allocator;
mod calls;
mod engine;
mod kernel;
mod parser;
mod registrations;

use anyhow::{Result, bail};

/// A name and what it runs.
type Part = (&'static str, fn() -> Result<()>);

const PARTS: [Part; 3] = [("kernel", kernel::run), ("parser", run_parser), ("engine", run_engine)];

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
        bail!("no part {unknown:?}; there are: {}", PARTS.map(|(part, _)| part).join(", "));
    }
    for (part, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|name| name == part) {
            run()?;
            println!();
        }
    }
    Ok(())
}

fn run_parser() -> Result<()> {
    parser::run();
    Ok(())
}

fn run_engine() -> Result<()> {
    engine::run();
    Ok(())
}
