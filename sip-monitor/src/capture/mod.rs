//! Where packets come from: the kernel, or capture files. Both end in the same [`sip_monitor_engine::Packet`]s.

pub mod replay;
