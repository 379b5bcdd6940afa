//! Where the demonstration plays: the host, the path and the far end, each a namespace; the faults of the network; and the
//! word "stop".

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::netns::{End, Namespace, Pair};
use super::phone::{Call, Media, Phone};

/// Names of the namespaces begin with this.
const PREFIX: &str = "sip-monitor-demo";
/// The interface of the host that is monitored.
pub const INTERFACE: &str = "pbx0";
/// How often a pause looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(50);
/// Documentation prefixes (RFC 5737): public addresses as far as SIP is concerned.
const HOST: [u8; 3] = [198, 51, 100];
const OUTSIDE: [u8; 3] = [203, 0, 113];
/// Last octet of the first address on either side.
const FIRST: u8 = 11;
/// Last octet of the router's addresses.
const ROUTER: u8 = 1;
/// Where phones take audio.
pub const AUDIO_PORT: u16 = 30_000;

/// Set by SIGINT, SIGTERM and SIGHUP.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The host that is monitored and the far end, one address a story on either side, and the router between.
pub struct Stage {
    /// The host, and the router before it.
    pair: Pair,
    /// The far end.
    outside: Namespace,
}

/// What the network does to the audio of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It arrives.
    Carries,
    /// The host's own nftables drop what arrives.
    FirewallDrops,
    /// The router loses what is sent to the host.
    PathLoses,
}

impl Stage {
    /// Makes the namespaces; they go when the stage is dropped.
    ///
    /// # Errors
    /// Where they cannot be made.
    pub fn build(stories: u8) -> Result<Self> {
        let addresses = |net: [u8; 3]| (0..stories).map(|n| address(net, n)).collect::<Vec<_>>();
        let (host, outside_addresses) = (addresses(HOST), addresses(OUTSIDE));
        let router = |net: [u8; 3]| IpAddr::from([net[0], net[1], net[2], ROUTER]);
        let pair = Pair::create(
            PREFIX,
            End { interface: INTERFACE, addresses: &host, reaches: &[] },
            End { interface: "path0", addresses: &[router(HOST)], reaches: &["198.51.100.0/24"] },
        )?;
        let outside = Namespace::create(&format!("{PREFIX}-{}-far", std::process::id()))?;
        let path = &pair.outside;
        path.ip(&["link", "add", "path1", "type", "veth", "peer", "name", "trunk0", "netns", outside.name()])?;
        path.ip(&["addr", "add", &format!("{}/32", router(OUTSIDE)), "dev", "path1"])?;
        path.ip(&["link", "set", "path1", "up"])?;
        path.ip(&["route", "add", "203.0.113.0/24", "dev", "path1"])?;
        for address in &outside_addresses {
            outside.ip(&["addr", "add", &format!("{address}/32"), "dev", "trunk0"])?;
        }
        outside.ip(&["link", "set", "trunk0", "up"])?;
        let via = |namespace: &Namespace, network: &str, router: IpAddr, interface: &str| {
            namespace.ip(&["route", "add", network, "via", &router.to_string(), "dev", interface, "onlink"])
        };
        via(&pair.monitored, "203.0.113.0/24", router(HOST), INTERFACE)?;
        via(&outside, "198.51.100.0/24", router(OUTSIDE), "trunk0")?;
        // What is sent to a private Contact leaves for somewhere: here it comes to the host, which is not that address.
        via(&outside, "192.168.0.0/16", router(OUTSIDE), "trunk0")?;
        if let Some(first) = host.first() {
            via(path, "192.168.0.0/16", *first, "path0")?;
        }
        // The file is that of the namespace which the thread is in.
        path.inside(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("letting the router forward"))?;
        Ok(Self { pair, outside })
    }

    /// The host that is monitored.
    #[must_use]
    pub fn host(&self) -> &Namespace {
        &self.pair.monitored
    }

    /// Has the network do that to the audio that comes for story number `n`.
    ///
    /// # Errors
    /// Where the rule cannot be made.
    pub fn spoil(&self, n: u8, network: Network) -> Result<()> {
        let (host, far, port) = (address(HOST, n), address(OUTSIDE, n), AUDIO_PORT.to_string());
        match network {
            Network::Carries => Ok(()),
            Network::FirewallDrops => {
                let rule = format!(
                    "table inet demo {{\nchain input {{\ntype filter hook input priority 0;\nip daddr {host} udp dport {port} drop\n}}\n}}"
                );
                let output = self.host().command("nft").arg(rule).output().context("starting nft")?;
                ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr).trim());
                Ok(())
            }
            Network::PathLoses => {
                let (from, to) = (far.to_string(), host.to_string());
                #[rustfmt::skip]
                self.pair.outside.ip(&["rule", "add", "from", &from, "to", &to, "ipproto", "udp", "dport", &port, "blackhole"])?;
                Ok(())
            }
        }
    }

    /// The call of story number `n`, its sockets open.
    ///
    /// # Errors
    /// Where they cannot be opened.
    pub fn call(&self, n: u8, name: &str, [caller_media, callee_media]: [Media; 2]) -> Result<Call<'_>> {
        let at = |net: [u8; 3]| SocketAddr::new(address(net, n), 5060);
        let caller = Phone::open(&self.outside, at(OUTSIDE), caller_media)?;
        let callee = Phone::open(self.host(), at(HOST), callee_media)?;
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

/// Address of story number `n` on one side.
fn address(net: [u8; 3], n: u8) -> IpAddr {
    IpAddr::from([net[0], net[1], net[2], FIRST + n])
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
