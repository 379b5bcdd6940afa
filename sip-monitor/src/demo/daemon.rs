//! The daemon as a child process: started in a namespace, ready when it says so, stopped by SIGTERM. What the
//! demonstration and the live tests watch is what an operator would run.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::netns::Namespace;

/// How long loading and attaching the programs may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How long it may take to flush and detach.
const STOP: Duration = Duration::from_secs(10);

/// A line it printed, and when we got it.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// What, without the newline.
    pub text: String,
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    lines: Receiver<Line>,
    readers: Vec<JoinHandle<String>>,
}

impl Daemon {
    /// Starts `program run -i interface ARGS` inside `namespace` and waits until its programs are attached. Neither the
    /// environment nor the configuration of this machine's own daemon has a say.
    ///
    /// # Errors
    /// Where it does not start; the error has what it said.
    pub fn start(namespace: &Namespace, program: &Path, interface: &str, args: &[&str]) -> Result<Self> {
        Self::start_configured(namespace, program, interface, Path::new("/dev/null"), args)
    }

    /// The same with this configuration file.
    ///
    /// # Errors
    /// Where it does not start; the error has what it said.
    pub fn start_configured(
        namespace: &Namespace,
        program: &Path,
        interface: &str,
        config: &Path,
        args: &[&str],
    ) -> Result<Self> {
        let program = program.to_str().context("the path of the program is no UTF-8")?;
        let ready = ReadySocket::bind(namespace)?;

        let mut command = namespace.command(program);
        command.args(["run", "-i", interface, "-o", "jsonl", "--config"]).arg(config).args(args);
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("SIP_MONITOR_")) {
            command.env_remove(key);
        }
        command.env("NOTIFY_SOCKET", &ready.path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: prctl is async-signal-safe and touches no memory of ours.
        unsafe {
            command.pre_exec(|| {
                // It must not outlive us, even where we are killed.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let mut child = command.spawn().context("starting the daemon")?;
        let (sender, lines) = channel();
        let stdout = child.stdout.take().context("the daemon's output")?;
        let stderr = child.stderr.take().context("the daemon's log")?;
        let reader = std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(Line { at: Instant::now(), text }).is_err() {
                    break;
                }
            }
            String::new()
        });
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            // Not UTF-8 or gone: what was read so far stands.
            let _ = BufReader::new(stderr).read_to_string(&mut log);
            log
        });
        let mut daemon = Self { child, lines, readers: vec![reader, log] };
        daemon.wait_ready(&ready.socket)?;
        Ok(daemon)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line it prints, waiting for at most `patience`.
    #[must_use]
    pub fn next_line(&self, patience: Duration) -> Option<Line> {
        self.lines.recv_timeout(patience).ok()
    }

    /// Asks it to end, waits, and gives the lines not taken yet and its log.
    ///
    /// # Errors
    /// Where it does not end in time, or not well.
    pub fn stop(mut self) -> Result<(Vec<Line>, String)> {
        self.signal(libc::SIGTERM);
        let status = self.wait(STOP)?;
        let log = self.log();
        let Some(status) = status else {
            bail!("the daemon did not end within {} s of SIGTERM; its log:\n{log}", STOP.as_secs())
        };
        if !status.success() {
            bail!("the daemon ended with {status}; its log:\n{log}");
        }
        Ok((self.lines.try_iter().collect(), log))
    }

    fn wait_ready(&mut self, ready: &UnixDatagram) -> Result<()> {
        let end = Instant::now() + START;
        let mut buffer = [0; 256];
        while Instant::now() < end {
            if let Ok(len) = ready.recv(&mut buffer)
                && buffer[..len].split(|b| *b == b'\n').any(|state| state == b"READY=1")
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended with {status} before it was ready:\n{}", self.log());
            }
        }
        self.kill();
        bail!("the daemon was not ready within {} s; its log:\n{}", START.as_secs(), self.log())
    }

    fn signal(&self, signal: libc::c_int) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: a signal to our own child, which is not reaped while `self.child` lives unwaited.
            unsafe { libc::kill(pid, signal) };
        }
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let end = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                self.kill();
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn kill(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it logged, complete: it has ended.
    fn log(&mut self) -> String {
        self.readers.drain(..).filter_map(|reader| reader.join().ok()).collect()
    }
}

/// Where the daemon says that it is ready, as it would to systemd (sd_notify(3)). A file, since abstract addresses end at
/// the border of a network namespace.
struct ReadySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl ReadySocket {
    fn bind(namespace: &Namespace) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{}.ready", namespace.name()));
        // Left by a process that was killed and had our pid.
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).with_context(|| format!("binding {}", path.display()))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(Self { socket, path })
    }
}

impl Drop for ReadySocket {
    fn drop(&mut self) {
        // Nothing hangs on it: the next one with this name removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(libc::SIGTERM);
            // An error is a timeout, and then it was killed.
            let _ = self.wait(STOP);
        }
    }
}
