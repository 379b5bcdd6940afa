//! A program started in a namespace: its output goes to a file, it dies with the test, and it is killed by its pid.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long a program may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// A running program; ended when dropped.
pub struct Program {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Program {
    /// Starts `command` (made by `Namespace::command`), with all it prints in `log`. Only for threads that live as long as the
    /// program should: the kernel kills it with the thread that started it.
    pub fn start(command: Command, name: &str, log: &Path) -> Result<Self> {
        Self::start_until(libc::SIGKILL, command, name, log)
    }

    /// The same for a program that has children of its own and ends them when it gets `farewell`.
    pub fn start_until(farewell: libc::c_int, mut command: Command, name: &str, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        // SAFETY: prctl is async-signal-safe and touches no memory of ours.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, farewell);
                Ok(())
            });
        }
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Asks `is_ready` until it says so. Fails where the program ends before, or after `patience`.
    pub fn wait_until<T>(&mut self, patience: Duration, mut is_ready: impl FnMut() -> Option<T>) -> Result<T> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(found) = is_ready() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} was not ready after {} s: {}", self.name, patience.as_secs(), self.log())
    }

    /// It stands still: it sends nothing, reads nothing, and its sockets stay open.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// It is gone at once with all its children, as after a crash: nobody is told.
    pub fn crash(&mut self) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: a signal to the group that our own child leads, which is not reaped while `self.child` lives unwaited.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
        }
        // Already gone is as good.
        let _ = self.child.wait();
    }

    fn signal(&self, signal: libc::c_int) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: a signal to our own child, which is not reaped while `self.child` lives unwaited.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.thaw();
        self.signal(libc::SIGTERM);
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.crash();
    }
}
