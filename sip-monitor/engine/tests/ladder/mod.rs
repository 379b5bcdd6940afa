//! Scenarios: Markdown files whose message ladders are played through the whole engine. `scenarios/README.md` says what
//! can stand in them.

#![allow(dead_code, reason = "each test target uses its part")]

mod drops;
mod expect;
mod field;
mod host;
mod legs;
mod line;
mod markdown;
mod message;
mod play;
mod recorded;
mod rtcp;
mod rtp;
mod script;
mod sdp;
mod sip;
mod tcp;

#[allow(unused_imports, reason = "each test target uses its part")]
pub use {
    expect::{compare, expected, judge, shown},
    legs::judge_legs,
    markdown::{Kind, Scenario, scenarios},
    play::outputs,
    recorded::{record_lines, recorded},
    rtp::{Datagram, datagrams as rtp_datagrams},
    script::{BASE, Script, compile, config, datagrams},
};

/// What is wrong with a scenario itself, with its place.
pub type Result<T> = std::result::Result<T, String>;
