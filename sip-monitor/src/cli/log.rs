//! The log: `tracing` to stderr, one line an event. `log` records (those of libraries, and of the kernel programs through
//! aya-log) come the same way.

use std::io::IsTerminal as _;

use super::exit::{Code, Failure};

/// Starts logging. `filter` is a level or a filter as `tracing_subscriber` reads it.
///
/// # Errors
/// [`Code::Usage`] where `filter` is not one.
pub fn init(filter: &str) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::builder().parse(filter).map_err(|e| {
        Failure::new(Code::Usage, format!("--log {filter}: {e}")).fix("give error, warn, info, debug or trace")
    })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .finish();
    // A second call (tests) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    let _ = tracing_log::LogTracer::init();
    Ok(())
}
