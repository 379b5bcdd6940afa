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
    scenario: Option<&'static str>,
    media_ip: Option<IpAddr>,
    remote: Option<SocketAddr>,
    args: Vec<String>,
}

impl<'a> Sipp<'a> {
    /// Answers at address `number` of the host.
    pub fn callee(world: &'a World, number: usize) -> Self {
        Self {
            world,
            number,
            is_caller: false,
            outgoing: false,
            audio: Audio::Streamed,
            calls: 1,
            scenario: None,
            media_ip: None,
            remote: None,
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

    /// Another scenario of `tests/sipp` than the ones of its audio.
    pub fn scenario(self, file: &'static str) -> Self {
        Self { scenario: Some(file), ..self }
    }

    /// Another address for its media than for its signalling.
    pub fn media_ip(self, ip: IpAddr) -> Self {
        Self { media_ip: Some(ip), ..self }
    }

    /// The caller calls this address instead of the one of its number.
    pub fn remote(self, address: SocketAddr) -> Self {
        Self { remote: Some(address), ..self }
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
        let other = self.remote.unwrap_or(other);
        let scenario = match (self.scenario, self.is_caller, self.audio) {
            (Some(file), ..) => file,
            (None, true, Audio::Streamed) => "uac.xml",
            (None, true, Audio::Recorded) => "uac_pcap.xml",
            (None, false, Audio::Streamed) => "uas.xml",
            (None, false, Audio::Recorded) => "uas_pcap.xml",
        };
        let log = self.world.folder.join(format!("{}-{scenario}.log", self.number));
        let (calls, ip) = (self.calls.to_string(), bracketed(own));
        let media_ip = self.media_ip.map_or_else(|| ip.clone(), |address| address.to_string());
        let mut command: Command = self.world.namespace_of(own).command("sipp");
        command.arg("-sf").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(scenario));
        command.args([
            "-i",
            &ip,
            "-mi",
            &media_ip,
            "-p",
            &own.port().to_string(),
            "-mp",
            "6000",
            "-m",
            &calls,
            "-l",
            &calls,
        ]);
        // A repeated message that the scenario does not wait for is not the end of a call.
        command.args([
            "-r",
            "25",
            "-nostdin",
            "-trace_err",
            "-timeout",
            "120s",
            "-default_behaviors",
            "all,-abortunexp",
        ]);
        command.args(["-error_file".as_ref(), log.as_os_str()]).args(&self.args).current_dir(&self.world.folder);
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
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(Running { child, log })
    }
}

fn bracketed(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() }
}

/// A SIPp that runs; killed when dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Its process id, which is in its Call-IDs.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until all its calls went as the scenario says.
    pub fn wait(mut self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
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
