//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.

use super::Diagnosis;

/// Every diagnosis, sorted by code.
#[rustfmt::skip]
pub const ALL: &[&Diagnosis] = &[
];

/// The files they stand in, in the same order.
#[rustfmt::skip]
const SOURCES: &[&str] = &[
];

/// The diagnosis of that code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Diagnosis> {
    ALL.iter().copied().find(|d| d.code == code)
}

/// The source file of the diagnosis of that code.
pub(super) fn source(code: &str) -> Option<&'static str> {
    let index = ALL.iter().position(|d| d.code == code)?;
    SOURCES.get(index).copied()
}
