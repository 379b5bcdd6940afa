//! A datagram of signalling, also looked at as a stream. Checks what the property tests check: see `tests/exercise`.
#![no_main]

#[path = "../../tests/exercise/mod.rs"]
#[allow(dead_code, reason = "each target uses its own part")]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::sip(bytes));
