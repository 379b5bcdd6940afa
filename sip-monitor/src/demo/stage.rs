//! Where the demonstration plays: two namespaces, and the word "stop".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::netns::{End, Pair};
use super::phone::{Call, Media, Phone};

/// The interface of the host that is monitored.
pub const INTERFACE: &str = "pbx0";
/// How often a pause looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(50);
/// Documentation prefixes (RFC 5737): public addresses as far as SIP is concerned.
const HOST: [u8; 3] = [198, 51, 100];
const OUTSIDE: [u8; 3] = [203, 0, 113];
/// Last octet of the first address on either side.
const FIRST: u8 = 11;

/// Set by SIGINT, SIGTERM and SIGHUP.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Two namespaces with one address a story on either side.
pub struct Stage {
    /// Host and outside.
    pub pair: Pair,
}

impl Stage {
    /// Makes the namespaces; they go when the stage is dropped.
    ///
    /// # Errors
    /// Where they cannot be made.
    pub fn build(stories: u8) -> Result<Self> {
        let addresses =
            |net: [u8; 3]| (0..stories).map(|n| IpAddr::from([net[0], net[1], net[2], FIRST + n])).collect::<Vec<_>>();
        let (host, outside) = (addresses(HOST), addresses(OUTSIDE));
        let pair = Pair::create(
            "sip-monitor-demo",
            End { interface: INTERFACE, addresses: &host, reaches: &["203.0.113.0/24"] },
            End { interface: "trunk0", addresses: &outside, reaches: &["198.51.100.0/24"] },
        )?;
        // What is sent to a private Contact leaves for somewhere: here it comes to the host, which is not that address.
        pair.outside.ip(&["route", "add", "192.168.0.0/16", "via", &host[0].to_string(), "dev", "trunk0", "onlink"])?;
        Ok(Self { pair })
    }

    /// The call of story number `n`, its sockets open.
    ///
    /// # Errors
    /// Where they cannot be opened.
    pub fn call(&self, n: u8, name: &str, caller_media: Media) -> Result<Call<'_>> {
        let at = |net: [u8; 3]| SocketAddr::from((Ipv4Addr::new(net[0], net[1], net[2], FIRST + n), 5060));
        let caller = Phone::open(&self.pair.outside, at(OUTSIDE), caller_media)?;
        let callee = Phone::open(&self.pair.monitored, at(HOST), Media::Open)?;
        Ok(Call::new(self, call_id(name), caller, callee))
    }

    /// Waits.
    ///
    /// # Errors
    /// Where the demonstration is interrupted meanwhile.
    pub fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            if is_interrupted() {
                bail!("interrupted");
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }
}

/// The Call-ID of a story.
pub fn call_id(name: &str) -> String {
    format!("{name}-{}@demo", std::process::id())
}

/// From here on SIGINT, SIGTERM and SIGHUP end the demonstration early instead of the process at once: what was made is
/// removed in any case.
pub fn catch_signals() {
    extern "C" fn note(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        unsafe { libc::signal(signal, note as *const () as libc::sighandler_t) };
    }
}

/// Whether one of them came.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
