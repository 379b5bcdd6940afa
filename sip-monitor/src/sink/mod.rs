//! From alerts and records to the world.

pub mod jsonl;
pub mod report;
pub mod style;
pub mod text;
