//! All diagnoses, registered by `cargo xtask codegen`.

use super::Diagnosis;

/// Every diagnosis, by code.
pub const ALL: &[&Diagnosis] = &[];
