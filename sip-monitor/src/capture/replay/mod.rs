//! stub
use crate::cli::{ReplayArgs, exit::Failure};
/// x
pub fn command(_args: &ReplayArgs) -> Result<(), Failure> {
    Ok(())
}
