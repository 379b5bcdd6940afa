//! The stage for calls whose media goes wrong: the monitored host, its peers, a second way to them, a peer behind routers, and
//! the real programs at every end.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sip_monitor::demo::daemon::Daemon;
use sip_monitor::demo::netns::Namespace;

use crate::programs::baresip::{Baresip, Phone};
use crate::programs::child::Program;
use crate::programs::relay::{self, User};
use crate::programs::rtpengine::Rtpengine;
use crate::world::{Family, INTERFACE, World};

/// What must be installed for a scene with a relay.
pub const PROGRAMS: [&str; 4] = ["sipp", "baresip", "kamailio", "rtpengine"];
/// The host's second interface, another way to some peers.
pub const SECOND: &str = "pbx1";
/// Where SIPp takes its media.
pub const SIPP_RTP: u16 = 6_000;
/// First address of a peer that is some routers away.
const FAR: [u8; 4] = [192, 0, 2, 10];
/// TTL that such a peer sends with: enough for the short way.
const FAR_TTL: &str = "3";

/// Namespaces, routes and the proxy. Address 0 of the host is the proxy's, address 0 of the peers the gateway.
pub struct Scene {
    pub world: World,
    pub far: Namespace,
    /// On the long way from the far peers.
    detour: Namespace,
    used: usize,
}

impl Scene {
    /// Makes it with so many addresses on each side.
    pub fn build(name: &str, addresses: usize) -> Result<Self> {
        let world = World::build(&format!("media-{name}"), Family::V4, addresses)?;
        let beside = |end: &str| Namespace::create(&world.pair.monitored.name().replace("-host", end));
        let (far, detour) = (beside("-far")?, beside("-detour")?);
        let scene = Self { world, far, detour, used: 1 };
        scene.second_way()?;
        scene.routers()?;
        Ok(scene)
    }

    /// The next number of an address that nobody has.
    pub fn number(&mut self) -> usize {
        self.used += 1;
        self.used - 1
    }

    /// The daemon, watching both interfaces.
    pub fn daemon(&self, ingress: &str) -> Result<Daemon> {
        self.daemon_configured(ingress, "")
    }

    /// The same with that text as its configuration.
    pub fn daemon_configured(&self, ingress: &str, text: &str) -> Result<Daemon> {
        let config = self.world.folder.join("sip-monitor.toml");
        std::fs::write(&config, text)?;
        let program = Path::new(env!("CARGO_BIN_EXE_sip-monitor"));
        let args = ["-i", SECOND, "--ingress", ingress, "--emit", "alerts,calls,streams", "--privacy", "plain"];
        Daemon::start_configured(&self.world.pair.monitored, program, INTERFACE, &config, &args)
    }

    /// The port where telephone `n` takes its media: baresip opens it on all addresses of its namespace.
    pub fn rtp_port(n: usize) -> u16 {
        10_000 + 4 * u16::try_from(n).unwrap_or_default()
    }

    /// A telephone of the host at address `n`, called `pbx`.
    pub fn phone(&self, n: usize) -> Baresip<'_> {
        Baresip::new(&self.world.pair.monitored, &self.world.folder, "pbx", self.world.host(n))
            .rtp_port(Self::rtp_port(n))
    }

    /// A second telephone of the host at that address, with the media port of number `other`; and its SIP address.
    pub fn second_phone(&self, n: usize, other: usize) -> (Baresip<'_>, SocketAddr) {
        let at = SocketAddr::new(self.world.host(n).ip(), 5070);
        let phone = Baresip::new(&self.world.pair.monitored, &self.world.folder, "pbx", at);
        (phone.rtp_port(Self::rtp_port(other)), at)
    }

    /// A telephone of a peer at address `n`.
    pub fn peer_phone(&self, n: usize) -> Baresip<'_> {
        Baresip::new(&self.world.pair.outside, &self.world.folder, "peer", self.world.peer(n))
            .rtp_port(Self::rtp_port(n))
    }

    /// A telephone some routers away, to talk to address `n` of the host.
    pub fn far_phone(&self, far: u8, n: usize) -> Result<Baresip<'_>> {
        let (host, here, there) = (&self.world.pair.monitored, self.world.host(n).ip(), far_address(far));
        let gateway = self.world.peer(0).ip().to_string();
        let (to_here, to_there) = (format!("{here}/32"), format!("{there}/32"));
        self.far.ip(&["route", "add", &to_here, "via", "192.0.2.1", "src", &there.to_string()])?;
        let here = here.to_string();
        host.ip(&["route", "add", &to_there, "via", &gateway, "dev", INTERFACE, "onlink", "src", &here])?;
        let at = SocketAddr::new(there, 5060);
        Ok(Baresip::new(&self.far, &self.world.folder, "far", at).rtp_port(Self::rtp_port(far.into())))
    }

    /// rtpengine on the host, with media at address `n`.
    pub fn rtpengine(&self, n: usize) -> Result<Rtpengine> {
        let control = SocketAddr::from(([127, 0, 0, 1], 3_000 + u16::try_from(n)?));
        let media = self.world.host(n).ip();
        Rtpengine::start(&self.world.pair.monitored, &self.world.folder, media, 30_000..=30_099, control)
    }

    /// The proxy at address 0 of the host.
    pub fn relay(&self, users: &[User]) -> Result<Program> {
        relay::start(&self.world.pair.monitored, &self.world.folder, self.world.host(0), users)
    }

    /// Puts a chain of nftables in force, named `name`, and removes it again.
    pub fn rule(&self, end: &Namespace, name: &str, hook: &str, rule: &str) -> Result<()> {
        let text = format!("table ip {name} {{\nchain rules {{\ntype filter hook {hook} priority 0;\n{rule}\n}}\n}}");
        nft(end, &text)
    }

    /// Puts a rule in force on what leaves by an interface.
    pub fn egress_rule(&self, end: &Namespace, interface: &str, name: &str, rule: &str) -> Result<()> {
        let chain = format!("type filter hook egress device {interface} priority 0;\n{rule}");
        nft(end, &format!("table netdev {name} {{\nchain rules {{\n{chain}\n}}\n}}"))
    }

    /// Has that rule do nothing any more; what it counted stays.
    pub fn end_egress_rule(&self, end: &Namespace, name: &str) -> Result<()> {
        nft(end, &format!("insert rule netdev {name} rules accept"))
    }

    pub fn remove_rule(&self, end: &Namespace, name: &str) -> Result<()> {
        nft(end, &format!("delete table ip {name}"))
    }

    /// Telephones open their media port on all addresses of their namespace: what they send to `peer` has address `n` of the
    /// host as its source, and what the peer sends back has the peer's.
    pub fn talk_from(&self, n: usize, peer: IpAddr) -> Result<()> {
        let (host, outside) = (&self.world.pair.monitored, &self.world.pair.outside);
        let here = self.world.host(n).ip().to_string();
        host.ip(&["route", "replace", &format!("{peer}/32"), "dev", INTERFACE, "src", &here])?;
        let peer = peer.to_string();
        outside.ip(&["route", "replace", &format!("{here}/32"), "dev", "trunk0", "src", &peer])
    }

    /// The host answers a peer by its second interface, and takes what comes by the first one only where it would answer
    /// by that: strict reverse path filtering.
    pub fn reach_by_second_way(&self, n: usize, peer: IpAddr) -> Result<()> {
        let host = &self.world.pair.monitored;
        let here = self.world.host(n).ip().to_string();
        host.ip(&["route", "replace", &format!("{peer}/32"), "dev", SECOND, "src", &here])?;
        sysctl(host, &format!("net.ipv4.conf.{INTERFACE}.rp_filter=1"))
    }

    /// The RTP of a far peer to telephone `to` takes a way with two routers more.
    pub fn lengthen_way(&self, n: u8, to: usize) -> Result<()> {
        let (outside, from) = (&self.world.pair.outside, far_address(n).to_string());
        let port = Self::rtp_port(to).to_string();
        outside.ip(&["rule", "add", "iif", "far0", "from", &from, "ipproto", "udp", "dport", &port, "lookup", "100"])
    }

    fn second_way(&self) -> Result<()> {
        let (host, outside) = (&self.world.pair.monitored, &self.world.pair.outside);
        join(host, SECOND, outside, "trunk1")?;
        for switch in ["all", "default", INTERFACE, SECOND] {
            sysctl(host, &format!("net.ipv4.conf.{switch}.rp_filter=0"))?;
        }
        sysctl(outside, "net.ipv4.conf.all.rp_filter=0")?;
        sysctl(outside, "net.ipv4.conf.trunk1.rp_filter=0")
    }

    /// far - outside - host, and outside - detour - outside as a longer way.
    fn routers(&self) -> Result<()> {
        let (host, outside) = (&self.world.pair.monitored, &self.world.pair.outside);
        let gateway = self.world.peer(0).ip().to_string();
        join(&self.far, "up0", outside, "far0")?;
        join(outside, "out0", &self.detour, "in0")?;
        join(&self.detour, "back0", outside, "in1")?;
        for (namespace, interface, address) in [
            (outside, "far0", "192.0.2.1/24"),
            (outside, "out0", "10.77.1.1/30"),
            (&self.detour, "in0", "10.77.1.2/30"),
            (&self.detour, "back0", "10.77.2.1/30"),
            (outside, "in1", "10.77.2.2/30"),
        ] {
            namespace.ip(&["addr", "add", address, "dev", interface])?;
        }
        for n in 0..2 {
            self.far.ip(&["addr", "add", &format!("{}/24", far_address(n)), "dev", "up0"])?;
        }
        for router in [outside, &self.detour] {
            sysctl(router, "net.ipv4.ip_forward=1")?;
            sysctl(router, "net.ipv4.conf.all.rp_filter=0")?;
        }
        for interface in ["far0", "out0", "in1", "trunk0"] {
            sysctl(outside, &format!("net.ipv4.conf.{interface}.rp_filter=0"))?;
        }
        sysctl(&self.detour, "net.ipv4.conf.in0.rp_filter=0")?;
        sysctl(&self.far, &format!("net.ipv4.ip_default_ttl={FAR_TTL}"))?;
        self.far.ip(&["route", "add", "default", "via", "192.0.2.1"])?;
        self.detour.ip(&["route", "add", "default", "via", "10.77.2.2"])?;
        outside.ip(&["route", "add", "default", "via", "10.77.1.2", "table", "100"])?;
        // What the host sends to an address that is in no network of ours ends there without a word.
        outside.ip(&["route", "add", "blackhole", "192.168.0.0/16"])?;
        host.ip(&["route", "add", "default", "via", &gateway, "dev", INTERFACE, "onlink"])
    }
}

/// Address of far peer `n`.
fn far_address(n: u8) -> IpAddr {
    let [a, b, c, d] = FAR;
    IpAddr::from([a, b, c, d + n])
}

/// Calls `uri` by telephone; the Call-ID once it is up.
pub fn call(phone: &mut Phone, uri: &str) -> Result<String> {
    phone.dial(uri)?;
    phone.wait_established()
}

/// The socket of another process at that port, made so small that a few packets fill it.
pub fn shrink_receive_buffer(process: u32, port: u16) -> Result<()> {
    let pid = libc::pid_t::try_from(process)?;
    // SAFETY: pidfd_open takes a pid and flags, touches no memory, and gives a descriptor or -1.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    ensure!(pidfd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    // SAFETY: just made, and ours alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(i32::try_from(pidfd)?) };
    for entry in std::fs::read_dir(format!("/proc/{process}/fd"))?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // SAFETY: pidfd_getfd takes two descriptor numbers and flags, and gives a descriptor or -1.
        let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
        let Ok(copy) = i32::try_from(copy) else { continue };
        if copy < 0 {
            continue;
        }
        // SAFETY: just made, and ours alone.
        let socket = std::net::UdpSocket::from(unsafe { OwnedFd::from_raw_fd(copy) });
        if socket.local_addr().is_ok_and(|at| at.port() == port) {
            return set_receive_buffer(&socket, 4_096);
        }
    }
    anyhow::bail!("process {process} has no socket at port {port}")
}

fn set_receive_buffer(socket: &std::net::UdpSocket, bytes: libc::c_int) -> Result<()> {
    // SAFETY: the option takes an int, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    ensure!(result == 0, "SO_RCVBUF: {}", std::io::Error::last_os_error());
    Ok(())
}

fn join(a: &Namespace, at_a: &str, b: &Namespace, at_b: &str) -> Result<()> {
    a.ip(&["link", "add", at_a, "type", "veth", "peer", "name", at_b, "netns", b.name()])?;
    a.ip(&["link", "set", at_a, "up"])?;
    b.ip(&["link", "set", at_b, "up"])
}

fn sysctl(namespace: &Namespace, setting: &str) -> Result<()> {
    let (key, value) = setting.split_once('=').context("KEY=VALUE")?;
    let file = format!("/proc/sys/{}", key.replace('.', "/"));
    namespace.inside(|| std::fs::write(&file, value).with_context(|| format!("writing {value} to {file}")))
}

fn nft(namespace: &Namespace, text: &str) -> Result<()> {
    let output = namespace.command("nft").arg(text).output().context("starting nft")?;
    ensure!(output.status.success(), "nft {text}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What the only counter of a table in a chain at an interface has counted.
pub fn nft_counter(namespace: &Namespace, table: &str) -> Result<u64> {
    let output = namespace.command("nft").args(["list", "table", "netdev", table]).output().context("starting nft")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = text.split_once("counter packets ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    count.with_context(|| format!("no counter in {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// How long programs may take to come up after they were told to call.
pub const UP: Duration = Duration::from_secs(30);
