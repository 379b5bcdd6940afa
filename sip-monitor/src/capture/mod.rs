//! Where packets come from: the kernel, or capture files. Both end in the same [`sip_monitor_engine::Packet`]s.

mod ability;
pub mod attach;
pub mod batch;
mod boot;
mod btf;
mod checksum;
pub mod counters;
pub mod decode;
pub mod drops;
pub mod error;
pub mod fragment;
mod interfaces;
pub mod live;
pub mod netif;
pub mod object;
mod owners;
mod qdisc;
pub mod record;
pub mod replay;
pub mod ring;
pub mod softkernel;
mod stream;
pub mod streams;
pub mod sweep;
