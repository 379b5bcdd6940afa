//! Real programs that the live tests play with, each started in a namespace of the test, bounded in time, killed by its pid.

pub mod baresip;
pub mod child;
pub mod kamailio;
pub mod prometheus;
pub mod relay;
pub mod rtpengine;
