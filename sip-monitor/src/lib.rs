//! The edges of sip-monitor: packets come in from the kernel or from capture files, alerts and records go out. All the
//! logic is in `sip-monitor-engine`; nothing here knows what SIP is beyond which bytes to hand over.

pub mod capture;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod explain;
pub mod metrics;
pub mod run;
pub mod schema;
pub mod sink;
pub mod web;
