//! SIPp with the scenarios of `tests/sipp`, started in a namespace, bounded in time, killed by its pid.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::world::World;

/// What calls sound like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audio {
    /// A file, paced by SIPp: one media port for all calls.
    Streamed,
    /// A capture, played again: a media port for each call.
    Recorded,
}

/// One SIPp to be started.
pub struct Sipp<'a> {
    world: &'a World,
    number: usize,
    is_caller: bool,
    outgoing: bool,
    audio: Audio,
    calls: usize,
    rate: u32,
    /// Another scenario than those of the direct calls, and between whom.
    plays: Option<Plays>,
    args: Vec<String>,
}

/// A scenario of `tests/sipp`, played at an address, to another one where it begins.
struct Plays {
    scenario: PathBuf,
    own: SocketAddr,
    other: Option<SocketAddr>,
}

impl<'a> Sipp<'a> {
    /// Plays `scenario` at an address of the world and waits to be called.
    pub fn answers(world: &'a World, scenario: impl Into<PathBuf>, own: SocketAddr) -> Self {
        Self { plays: Some(Plays { scenario: scenario.into(), own, other: None }), ..Self::callee(world, 0) }
    }

    /// Plays `scenario` from an address of the world to another one; the Call-IDs begin with `name`.
    pub fn calls_to(world: &'a World, scenario: &'static str, own: SocketAddr, other: SocketAddr, name: &str) -> Self {
        Self {
            plays: Some(Plays { scenario: scenario.into(), own, other: Some(other) }),
            ..Self::caller(world, 0, name)
        }
    }

    /// Answers at address `number` of the host.
    pub fn callee(world: &'a World, number: usize) -> Self {
        Self {
            world,
            number,
            is_caller: false,
            outgoing: false,
            audio: Audio::Streamed,
            calls: 1,
            rate: 25,
            plays: None,
            args: vec![],
        }
    }

    /// Calls from address `number` of the other side; the Call-IDs begin with `name`.
    pub fn caller(world: &'a World, number: usize, name: &str) -> Self {
        let args = vec!["-cid_str".to_owned(), format!("{name}@%u-%p")];
        Self { is_caller: true, args, ..Self::callee(world, number) }
    }

    /// The host calls and the other side answers.
    pub fn outgoing(self, outgoing: bool) -> Self {
        Self { outgoing, ..self }
    }

    pub fn audio(self, audio: Audio) -> Self {
        Self { audio, ..self }
    }

    pub fn calls(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    /// New calls a second.
    pub fn rate(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// SIP over one TCP connection to each peer.
    pub fn tcp(self, tcp: bool) -> Self {
        if tcp { self.args(&["-t", "t1"]) } else { self }
    }

    /// Further arguments of SIPp.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Switches of the scenario.
    pub fn set(mut self, switches: &[&str]) -> Self {
        self.args.extend(switches.iter().flat_map(|name| ["-set".to_owned(), (*name).to_owned(), "1".to_owned()]));
        self
    }

    /// A value of the scenario.
    pub fn key(mut self, name: &str, value: &str) -> Self {
        self.args.extend(["-key", name, value].map(str::to_owned));
        self
    }

    pub fn keys(self, keys: &[(&str, String)]) -> Self {
        keys.iter().fold(self, |sipp, (name, value)| sipp.key(name, value))
    }

    /// How long the caller talks.
    pub fn talk_ms(mut self, ms: u32) -> Self {
        self.args.extend(["-d".to_owned(), ms.to_string()]);
        self
    }

    pub fn start(self) -> Result<Running> {
        let (host, peer) = (self.world.host(self.number), self.world.peer(self.number));
        let on_host = self.is_caller == self.outgoing;
        let (own, other) = if on_host { (host, peer) } else { (peer, host) };
        let (own, other) = self.plays.as_ref().map_or((own, other), |plays| (plays.own, plays.other.unwrap_or(other)));
        let direct = match (self.is_caller, self.audio) {
            (true, Audio::Streamed) => "uac.xml",
            (true, Audio::Recorded) => "uac_pcap.xml",
            (false, Audio::Streamed) => "uas.xml",
            (false, Audio::Recorded) => "uas_pcap.xml",
        };
        let scenario = self.plays.as_ref().map_or(Path::new(direct), |plays| &plays.scenario);
        let name = format!("{}-{}-sipp", own.ip(), own.port());
        let (log, statistics) =
            (self.world.folder.join(format!("{name}.log")), self.world.folder.join(format!("{name}.csv")));
        let (calls, ip) = (self.calls.to_string(), bracketed(own));
        let mut command: Command = self.world.namespace_of(own).command("sipp");
        command.arg("-sf").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(scenario));
        command.args(["-i", &ip, "-mi", &ip, "-p", &own.port().to_string(), "-mp", "6000", "-m", &calls, "-l", &calls]);
        // A repeated message that the scenario does not wait for is not the end of a call.
        command.args([
            "-r",
            &self.rate.to_string(),
            "-nostdin",
            "-trace_err",
            "-timeout",
            "120s",
            "-default_behaviors",
            "all,-abortunexp",
        ]);
        command.args(["-error_file".as_ref(), log.as_os_str()]);
        command
            .args(["-trace_stat".as_ref(), "-stf".as_ref(), statistics.as_os_str()])
            .args(&self.args)
            .current_dir(&self.world.folder);
        if self.is_caller {
            command.arg(format!("{}:{}", bracketed(other), other.port()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: prctl is async-signal-safe and touches no memory of ours.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let child = command.spawn().context("starting sipp")?;
        if !self.is_caller {
            // It has no word for "I listen now"; a caller that is early is saved by retransmission, but then it is no good call.
            self.world.namespace_of(own).inside(|| wait_for_listener(own))?;
        }
        Ok(Running { child, log, statistics })
    }
}

fn bracketed(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() }
}

/// A SIPp that runs; killed when dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
    statistics: PathBuf,
}

impl Running {
    /// Its process id, which is in its Call-IDs.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// It stands still, and its socket stays open.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: libc::c_int) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: a signal to our own child, which is not reaped while `self.child` lives unwaited.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// Waits until all its calls went as the scenario says, and gives how many that were by its own statistics.
    pub fn wait(mut self, patience: Duration) -> Result<usize> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return successful(&self.statistics);
                }
                bail!("sipp ended with {status}: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("sipp was not done after {} s", patience.as_secs())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls that went as the scenario says, from the last line of SIPp's statistics.
fn successful(statistics: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(statistics).with_context(|| statistics.display().to_string())?;
    let column = text.lines().next().and_then(|head| head.split(';').position(|name| name == "SuccessfulCall(C)"));
    let last = text.lines().last().zip(column).and_then(|(line, column)| line.split(';').nth(column));
    last.and_then(|count| count.parse().ok()).with_context(|| format!("no count of calls in {}", statistics.display()))
}

/// Waits until somebody has `address` open, over UDP or TCP, in the namespace of this thread.
fn wait_for_listener(address: SocketAddr) -> Result<()> {
    let place = kernel_name(address);
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        for table in ["udp", "udp6", "tcp", "tcp6"] {
            let sockets = std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
            if sockets.lines().any(|line| line.split_whitespace().nth(1) == Some(&place)) {
                return Ok(());
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("sipp did not listen at {address} within 20 s")
}

/// An address as the kernel's tables of sockets name it: words of the address in the byte order of the machine.
fn kernel_name(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    let words: String = words.map(|word| format!("{word:08X}")).collect();
    format!("{words}:{:04X}", address.port())
}
