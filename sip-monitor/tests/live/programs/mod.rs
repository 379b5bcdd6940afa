//! Real programs that the live tests play with, each started in a namespace of the test, bounded in time, killed by its pid.

#[allow(dead_code, reason = "what one test does not tell it to do, another one will")]
pub mod baresip;
#[allow(dead_code, reason = "what one test does not tell it to do, another one will")]
pub mod child;
pub mod kamailio;
