//! The kernel programs as they were built with this binary.

use aya::{Ebpf, EbpfLoader, Pod, maps::Array, util::KernelVersion};
use sip_monitor_common::{
    PortSet,
    limits::{
        DEFAULT_MAX_STREAMS, DEFAULT_MEDIA_RING_BYTES, DEFAULT_SIGNALLING_RING_BYTES, GLOBAL_HAS_LOOP,
        GLOBAL_TEST_CLOCK, MAP_MEDIA, MAP_SIGNALLING, MAP_SIP_PORTS, MAP_STREAMS,
    },
};

use super::{drops, error::LiveError};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sip-monitor.bpf.o"));

/// What is fixed when the programs are loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Ports whose UDP and TCP is SIP.
    pub sip_ports: Vec<u16>,
    /// Streams held.
    pub max_streams: u32,
    /// Bytes of the signalling ring, a power of two and a multiple of the page size.
    pub signalling_ring_bytes: u32,
    /// Bytes of the media ring, likewise.
    pub media_ring_bytes: u32,
    /// Keep the programs' log statements.
    pub debug: bool,
    /// Take the time from a map: tests set it.
    pub test_clock: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            sip_ports: vec![5060],
            max_streams: DEFAULT_MAX_STREAMS,
            signalling_ring_bytes: DEFAULT_SIGNALLING_RING_BYTES,
            media_ring_bytes: DEFAULT_MEDIA_RING_BYTES,
            debug: false,
            test_clock: false,
        }
    }
}

/// Whether this binary was built with the kernel programs.
#[must_use]
pub fn is_built() -> bool {
    !OBJECT.is_empty()
}

/// The compiler the programs were built with, empty where they were not.
#[must_use]
pub fn built_with() -> &'static str {
    env!("SIP_MONITOR_EBPF_BUILT_WITH")
}

/// Whether this kernel is of that version or newer. One that does not tell its version is taken for new.
#[must_use]
pub fn kernel_has((major, minor): (u8, u8)) -> bool {
    KernelVersion::current().map_or(true, |version| version >= KernelVersion::new(major, minor, 0))
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct PortSetValue(PortSet);
// SAFETY: `repr(C)`, 1025 integers, no padding.
unsafe impl Pod for PortSetValue {}

/// Loads maps and programs' code into memory; no program is verified or attached yet.
///
/// # Errors
/// [`LiveError::NoObject`], or what the kernel refuses.
pub fn load(options: &LoadOptions) -> Result<Ebpf, LiveError> {
    if !is_built() {
        return Err(LiveError::NoObject);
    }
    let log_level = if options.debug { u8::MAX } else { 0 };
    let test_clock = u32::from(options.test_clock);
    let has_loop = u32::from(kernel_has((5, 17)));
    // A kernel that does not tell gives no drop reasons: `drops::watch` says so.
    let offsets = drops::offsets().unwrap_or_default();
    let mut loader = EbpfLoader::new();
    loader
        .map_max_entries(MAP_STREAMS, options.max_streams)
        .map_max_entries(MAP_SIGNALLING, options.signalling_ring_bytes)
        .map_max_entries(MAP_MEDIA, options.media_ring_bytes)
        .override_global("AYA_LOG_LEVEL", &log_level, false)
        .override_global(GLOBAL_HAS_LOOP, &has_loop, true)
        .override_global(GLOBAL_TEST_CLOCK, &test_clock, true);
    for ((name, ..), offset) in drops::MEMBERS.iter().zip(&offsets) {
        loader.override_global(name, offset, true);
    }
    let mut ebpf = loader.load(OBJECT).map_err(|e| LiveError::caused("loading the kernel programs", &e))?;
    set_sip_ports(&mut ebpf, &options.sip_ports)?;
    Ok(ebpf)
}

/// Sets which ports are SIP; in force with the next packet.
///
/// # Errors
/// What the kernel refuses.
pub fn set_sip_ports(ebpf: &mut Ebpf, ports: &[u16]) -> Result<(), LiveError> {
    let what = "setting the SIP ports";
    let map = ebpf.map_mut(MAP_SIP_PORTS).ok_or_else(|| LiveError::failed(what, "the object has no such map"))?;
    let mut map: Array<_, PortSetValue> = Array::try_from(map).map_err(|e| LiveError::failed(what, e))?;
    map.set(0, PortSetValue(ports.iter().copied().collect()), 0).map_err(|e| LiveError::failed(what, e))
}
