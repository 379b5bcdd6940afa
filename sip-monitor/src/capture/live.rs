//! Live capture: loads the kernel programs, attaches them, and gives Packets in time order.

use std::{net::IpAddr, time::Duration};

use sip_monitor_engine::Packet;

use super::counters::Counters;
pub use super::error::LiveError;

/// How packets are seen on their way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IngressMode {
    /// Native XDP on network cards; tc on veth and other virtual devices, or where XDP can not be had.
    #[default]
    Auto,
    /// XDP in the driver, or an error.
    Xdp,
    /// XDP behind the driver, or an error.
    XdpGeneric,
    /// tc.
    Tc,
}
/// What a [`Live`] is to do.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Interfaces by name; none means all that are up and not loopback.
    pub interfaces: Vec<String>,
    /// Which hook at ingress.
    pub ingress: IngressMode,
    /// Ports whose UDP and TCP is SIP, whatever it looks like.
    pub sip_ports: Vec<u16>,
    /// Streams held in the kernel.
    pub max_streams: u32,
    /// Bytes of the ring for signalling, a power of two.
    pub signalling_ring_bytes: u32,
    /// Bytes of the ring for media, a power of two.
    pub media_ring_bytes: u32,
    /// Keep the programs' log statements and show them.
    pub debug: bool,
    /// Seed of the hash tables.
    pub seed: u64,
}
/// How one interface is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its place in the list of names: [`Packet::link`].
    pub link: u16,
    /// Its index, where it exists.
    pub ifindex: Option<u32>,
    /// The hook at ingress, such as `xdp`, `xdp-generic`, `tcx`, `tc`; empty while it is not attached.
    pub ingress: &'static str,
    /// The hook at egress, `tcx` or `tc`; empty while it is not attached.
    pub egress: &'static str,
    /// Why it is not attached, or not as one would expect.
    pub note: Option<String>,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            ingress: IngressMode::Auto,
            sip_ports: vec![5060],
            max_streams: sip_monitor_common::limits::DEFAULT_MAX_STREAMS,
            signalling_ring_bytes: sip_monitor_common::limits::DEFAULT_SIGNALLING_RING_BYTES,
            media_ring_bytes: sip_monitor_common::limits::DEFAULT_MEDIA_RING_BYTES,
            debug: false,
            seed: 0x5e1f,
        }
    }
}

/// Live capture. Dropping it detaches everything.
#[derive(Debug)]
pub struct Live {}

impl Live {
    /// How often [`Live::poll`] wants to be called.
    pub const POLL_INTERVAL: Duration = Duration::from_millis(15);

    /// Loads the programs and attaches them, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn start(_config: LiveConfig) -> Result<Self, LiveError> {
        Err(LiveError::NoObject)
    }

    /// Hands on what the kernel has seen, in time order, and does what is due: the sweep of quiet streams, interfaces that
    /// came back, losses. Call it every [`Live::POLL_INTERVAL`], from the thread that called [`Live::start`].
    ///
    /// # Errors
    /// Where the kernel refuses to go on.
    pub fn poll(&mut self, _sink: &mut dyn FnMut(&Packet<'_>)) -> Result<(), LiveError> {
        Ok(())
    }

    /// Hands on everything that is left, and the last counters of every stream. Call it once before the end.
    ///
    /// # Errors
    /// As [`Live::poll`].
    pub fn finish(&mut self, _sink: &mut dyn FnMut(&Packet<'_>)) -> Result<(), LiveError> {
        Ok(())
    }

    /// Names of the interfaces, by [`Packet::link`].
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// How each interface is watched.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceStatus> {
        Vec::new()
    }

    /// Addresses of this host, in the namespace of the calling thread.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<IpAddr> {
        Vec::new()
    }

    /// The programs' counters, summed over CPUs.
    ///
    /// # Errors
    /// Where the kernel refuses to give them.
    pub fn counters(&self) -> Result<Counters, LiveError> {
        Ok(Counters::default())
    }
}
