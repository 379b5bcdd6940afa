//! stub
use crate::cli::exit::Failure;
/// x
pub fn run(_code: Option<&str>) -> Result<(), Failure> {
    Ok(())
}
