//! Two namespaces for one test, the daemon in one of them, and the ground rules: root, turns, no sleeping guests.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sip_monitor::demo::daemon::Daemon;
use sip_monitor::demo::netns::{End, Namespace, Pair};

/// Where a talker of the host has its media.
const TALKER_PORT: u16 = 7_000;
/// The interface of the host that is monitored.
pub const INTERFACE: &str = "pbx0";

/// Tests that load the machine run alone; those that mostly wait may share it.
static MACHINE: RwLock<()> = RwLock::new(());

/// How a test wants the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// With others of its kind.
    Shared,
    /// For itself.
    Alone,
}

/// A turn, given back when dropped.
#[expect(dead_code, reason = "the guards are held, not read")]
pub enum Guard {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Waits for a turn; `None` where live tests cannot run here, which is said.
///
/// # Panics
/// With `CI=true`, where they must run.
pub fn turn(turn: Turn) -> Option<Guard> {
    turn_with(turn, &["sipp"])
}

/// The same for a test that plays with these programs.
///
/// # Panics
/// With `CI=true`, where it must run.
pub fn turn_with(turn: Turn, programs: &[&str]) -> Option<Guard> {
    // SAFETY: geteuid only returns a number.
    let root = unsafe { libc::geteuid() } == 0;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let missing = match (root, programs.iter().find(|program| !is_there(program))) {
        (true, None) => {
            // A test that failed while it held the lock has left nothing behind: namespaces and children go with it.
            return Some(match turn {
                Turn::Shared => Guard::Shared(MACHINE.read().unwrap_or_else(|e| e.into_inner())),
                Turn::Alone => Guard::Alone(MACHINE.write().unwrap_or_else(|e| e.into_inner())),
            });
        }
        (false, _) => "root".to_owned(),
        (true, Some(program)) => format!("{program} (cargo xtask setup --tests)"),
    };
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "live tests need {missing}, and CI=true says they must run"
    );
    println!("skipped: live tests need {missing}");
    None
}

/// Which Internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    /// Address number `n` of the monitored host, or of the other side: documentation prefixes, which count as public.
    fn address(self, host: bool, n: usize) -> IpAddr {
        let n = u8::try_from(n + 11).unwrap_or(u8::MAX);
        match (self, host) {
            (Self::V4, true) => IpAddr::from([198, 51, 100, n]),
            (Self::V4, false) => IpAddr::from([203, 0, 113, n]),
            (Self::V6, true) => IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, n.into()]),
            (Self::V6, false) => IpAddr::from([0x2001, 0xdb8, 2, 0, 0, 0, 0, n.into()]),
        }
    }

    /// What a host behind NAT puts into its Contact.
    pub fn private_contact(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddr::from(([192, 168, 1, 20], 5060)),
            Self::V6 => SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 0x20], 5060)),
        }
    }
}

/// A pair of namespaces, `size` addresses on each side, and a folder for SIPp.
pub struct World {
    pub pair: Pair,
    pub folder: PathBuf,
    family: Family,
    size: usize,
}

impl World {
    pub fn build(name: &str, family: Family, size: usize) -> Result<Self> {
        let addresses = |host| (0..size).map(|n| family.address(host, n)).collect::<Vec<_>>();
        let (host, peer) = (addresses(true), addresses(false));
        let (host_net, peer_net) = match family {
            Family::V4 => ("198.51.100.0/24", "203.0.113.0/24"),
            Family::V6 => ("2001:db8:1::/64", "2001:db8:2::/64"),
        };
        let pair = Pair::create(
            &format!("sm-{name}"),
            End { interface: INTERFACE, addresses: &host, reaches: &[peer_net] },
            End { interface: "trunk0", addresses: &peer, reaches: &[host_net] },
        )?;
        let folder = std::env::temp_dir().join(pair.monitored.name());
        std::fs::create_dir_all(&folder)?;
        // Ten seconds of something that is not the same twice.
        let audio: Vec<u8> = (0..80_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(folder.join("audio.raw"), audio)?;
        Ok(Self { pair, folder, family, size })
    }

    /// SIP address number `n` of the host that is monitored.
    pub fn host(&self, n: usize) -> SocketAddr {
        SocketAddr::new(self.family.address(true, n), 5060)
    }

    /// SIP address number `n` of the other side.
    pub fn peer(&self, n: usize) -> SocketAddr {
        SocketAddr::new(self.family.address(false, n), 5060)
    }

    /// The namespace an address is in.
    pub fn namespace_of(&self, address: SocketAddr) -> &Namespace {
        if (0..self.size).any(|n| self.host(n) == address) { &self.pair.monitored } else { &self.pair.outside }
    }

    /// Has nftables drop the RTP that comes for host `n` in that chain, or on `output` what its talker sends. (SIPp is told of that
    /// and gives up its socket.)
    pub fn drop_media(&self, n: usize, hook: &str) -> Result<()> {
        let family = if self.family == Family::V4 { "ip" } else { "ip6" };
        let address = self.host(n).ip();
        let which = if hook == "output" {
            format!("{family} saddr {address} udp sport {TALKER_PORT}")
        } else {
            format!("{family} daddr {address} udp dport 6000")
        };
        let rules =
            format!("table inet sm {{\nchain {hook} {{\ntype filter hook {hook} priority 0;\n{which} drop\n}}\n}}");
        let output = self.pair.monitored.command("nft").arg(rules).output().context("starting nft")?;
        ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Sends RTP from port 7000 of host `n` to port 6000 of its peer for so long, whether it is let out or not. The socket takes what
    /// comes until it is given back.
    pub fn talker(&self, n: usize, lasts: Duration) -> Result<JoinHandle<UdpSocket>> {
        let place = SocketAddr::new(self.host(n).ip(), TALKER_PORT);
        let socket = self.pair.monitored.inside(|| deaf_socket(place))?;
        let peer = SocketAddr::new(self.peer(n).ip(), 6_000);
        Ok(std::thread::spawn(move || {
            let end = Instant::now() + lasts;
            for sequence in (0..u16::MAX).take_while(|_| Instant::now() < end) {
                let mut packet = [0x80_u8; 172];
                packet[1] = 0;
                packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
                packet[8..12].copy_from_slice(&7_u32.to_be_bytes());
                // Nothing that is the same twice.
                packet[12..14].copy_from_slice(&sequence.to_be_bytes());
                let _ = socket.send_to(&packet, peer);
                std::thread::sleep(Duration::from_millis(20));
            }
            socket
        }))
    }

    /// Starts the daemon on the host and waits until it is attached.
    pub fn daemon(&self, ingress: &str, emit: &str) -> Result<Daemon> {
        // `cargo xtask bench load` measures the optimised program instead of the one built for the tests.
        let program = std::env::var_os("SIP_MONITOR_PROGRAM")
            .map_or_else(|| env!("CARGO_BIN_EXE_sip-monitor").into(), PathBuf::from);
        Daemon::start(
            &self.pair.monitored,
            &program,
            INTERFACE,
            &["--ingress", ingress, "--emit", emit, "--privacy", "plain"],
        )
    }

    /// Sockets on `count` media ports (every fourth, as SIPp counts them) of every address. SIPp plays recordings without
    /// opening their ports, and a host would answer with ICMP errors; these take everything and keep nothing.
    pub fn open_ears(&self, first_port: u16, count: u16) -> Result<Vec<UdpSocket>> {
        let mut ears = Vec::new();
        for (namespace, host) in [(&self.pair.monitored, true), (&self.pair.outside, false)] {
            let addresses = (0..self.size).map(|n| self.family.address(host, n));
            let places: Vec<SocketAddr> =
                addresses.flat_map(|ip| (1..count).map(move |n| SocketAddr::new(ip, first_port + 4 * n))).collect();
            ears.extend(
                namespace.inside(|| places.iter().map(|place| deaf_socket(*place)).collect::<Result<Vec<_>>>())?,
            );
        }
        Ok(ears)
    }

    /// A place on the other side that takes everything and says nothing.
    pub fn silent(&self, place: SocketAddr) -> Result<UdpSocket> {
        self.namespace_of(place).inside(|| deaf_socket(place))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Only logs of SIPp are in it; what cannot be removed is in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A socket that drops what it gets: a filter of one instruction, "keep 0 bytes".
fn deaf_socket(at: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(at).with_context(|| format!("opening UDP {at}"))?;
    let mut keep_nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut keep_nothing };
    // SAFETY: the program is one valid instruction, and the kernel copies it before the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    ensure!(result == 0, "attaching a filter to {at}: {}", std::io::Error::last_os_error());
    Ok(socket)
}
