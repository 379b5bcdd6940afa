//! Kamailio as a proxy and registrar, with the configuration `kamailio.cfg` and what a test adds to it: instances with their own
//! configuration, runtime folder and ports. The service that its package may have started is on the machine, not in here.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sip_monitor::demo::netns::Namespace;

const CONFIG: &str = include_str!("kamailio.cfg");
/// How long it may take to answer its first request on a busy machine.
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(5);

/// One Kamailio to be started.
pub struct Kamailio<'a> {
    namespace: &'a Namespace,
    folder: &'a Path,
    listens: SocketAddr,
}

impl<'a> Kamailio<'a> {
    /// A proxy at this address, over UDP and TCP; its files are in a folder of its own below `folder`.
    pub fn new(namespace: &'a Namespace, folder: &'a Path, listens: SocketAddr) -> Self {
        Self { namespace, folder, listens }
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> Result<Running> {
        let namespace = self.namespace;
        let name = format!("kamailio-{}", self.listens.to_string().replace([':', '[', ']'], "-"));
        let folder = self.folder.join(&name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let (config, log) = (folder.join("kamailio.cfg"), folder.join("log"));
        std::fs::write(&config, CONFIG).context("writing the configuration of kamailio")?;

        let mut command: Command = namespace.command("kamailio");
        // -DD: no daemon, but children; -E: log to stderr; -m: shared memory in MB, taken at once.
        command.args(["-DD", "-E", "-m", "32", "-f"]).arg(&config).arg("-Y").arg(&folder).arg("-w").arg(&folder);
        for transport in ["udp", "tcp"] {
            command.args(["-l".to_owned(), format!("{transport}:{}", self.listens)]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log).context("the log of kamailio")?);
        // SAFETY: prctl is async-signal-safe and touches no memory of ours.
        unsafe {
            command.pre_exec(|| {
                // It ends its children at SIGTERM; nobody would at SIGKILL.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let child = command.spawn().context("starting kamailio: install the package kamailio")?;
        let mut running = Running { child, log };
        running.wait_ready(namespace, self.listens)?;
        Ok(running)
    }
}

/// A Kamailio that runs; ended when dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks until it answers. The requests stay on the loopback of its host, where nobody watches.
    fn wait_ready(&mut self, namespace: &Namespace, address: SocketAddr) -> Result<()> {
        let socket = namespace.inside(|| Ok(UdpSocket::bind(SocketAddr::new(address.ip(), 0))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let own = socket.local_addr()?;
        let ping = format!(
            "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-ready\r\nMax-Forwards: 1\r\n\
             From: <sip:test@{own}>;tag=ready\r\nTo: <sip:{address}>\r\nCall-ID: ready@{own}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                bail!("kamailio ended with {status} before it was ready:\n{}", self.log());
            }
            // Nobody listens yet, or the answer is late: asked again.
            let _ = socket.send_to(ping.as_bytes(), address);
            let mut answer = [0; 1024];
            if let Ok(n) = socket.recv(&mut answer) {
                ensure!(answer[..n].starts_with(b"SIP/2.0 200"), "kamailio answered a ping with something else");
                return Ok(());
            }
        }
        bail!("kamailio did not answer within {} s:\n{}", START.as_secs(), self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: a signal to our own child, which is not reaped while `self.child` lives unwaited.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let end = Instant::now() + STOP;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Its children are told by the kernel: they asked for that (PR_SET_PDEATHSIG) or end at the closed pipe.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
