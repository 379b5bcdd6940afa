//! stub
use crate::cli::{RunArgs, exit::Failure};
/// x
pub fn run(_args: &RunArgs, _log: Option<&str>) -> Result<(), Failure> {
    Ok(())
}
