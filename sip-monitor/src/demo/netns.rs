//! Private network namespaces joined by a veth pair: made, used and removed by us, nothing of the host's network touched.
//! Used by the demonstration and by the live tests.

use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

/// A named network namespace, removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it, with its loopback up and without duplicate address detection, so that addresses work at once.
    ///
    /// # Errors
    /// Where `ip` is missing or refuses.
    pub fn create(name: &str) -> Result<Self> {
        ip(&["netns", "add", name])?;
        let namespace = Self { name: name.to_owned() };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` lists it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` inside.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn ip(&self, args: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.name], args].concat())
    }

    /// A program to be started inside: the process is the program itself, so that its pid can be signalled. `/sys` shows
    /// the namespace's own interfaces there.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `work` on a thread of its own inside. Sockets made there stay inside, whoever uses them later.
    ///
    /// # Errors
    /// Where the namespace cannot be entered, or `work` fails.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter()?;
                work()
            });
            thread.join().map_err(|_| anyhow!("a thread in namespace {} panicked", self.name))?
        })
    }

    /// Moves the calling thread inside, for good.
    fn enter(&self) -> Result<()> {
        let path = format!("/run/netns/{}", self.name);
        let file = std::fs::File::open(&path).with_context(|| format!("opening {path}"))?;
        // SAFETY: the descriptor is open and setns only reads it; the kernel checks that it is a network namespace.
        let result = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        if result != 0 {
            return Err(std::io::Error::last_os_error()).with_context(|| format!("entering namespace {}", self.name));
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            tracing::warn!("removing namespace {}: {error:#}", self.name);
        }
    }
}

/// One end of a veth pair: the interface, and the addresses on it.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Name of the interface.
    pub interface: &'a str,
    /// Addresses, each a network of its own.
    pub addresses: &'a [IpAddr],
    /// Networks that are reached over the pair.
    pub reaches: &'a [&'a str],
}

/// Two namespaces joined by a veth pair.
#[derive(Debug)]
pub struct Pair {
    /// The host that is monitored.
    pub monitored: Namespace,
    /// Everybody else.
    pub outside: Namespace,
}

impl Pair {
    /// Makes both, named after `prefix`, this process and the end; removes those that processes gone have left.
    ///
    /// # Errors
    /// Where `ip` is missing or refuses. What was made until then is removed.
    pub fn create(prefix: &str, monitored: End<'_>, outside: End<'_>) -> Result<Self> {
        remove_left_over(prefix);
        let name = |end: &str| format!("{prefix}-{}-{end}", std::process::id());
        let pair = Self { monitored: Namespace::create(&name("host"))?, outside: Namespace::create(&name("peer"))? };
        #[rustfmt::skip]
        ip(&["link", "add", monitored.interface, "netns", pair.monitored.name(), "type", "veth",
             "peer", "name", outside.interface, "netns", pair.outside.name()])?;
        for (namespace, end) in [(&pair.monitored, monitored), (&pair.outside, outside)] {
            for address in end.addresses {
                let (prefix, nodad): (_, &[&str]) = if address.is_ipv4() { (32, &[]) } else { (128, &["nodad"]) };
                namespace
                    .ip(&[&["addr", "add", &format!("{address}/{prefix}"), "dev", end.interface], nodad].concat())?;
            }
            namespace.ip(&["link", "set", end.interface, "up"])?;
            for network in end.reaches {
                namespace.ip(&["route", "add", network, "dev", end.interface])?;
            }
        }
        Ok(pair)
    }
}

/// Removes namespaces of ours whose process is gone: it was killed before it could.
fn remove_left_over(prefix: &str) {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid =
            name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && !std::path::Path::new("/proc").join(pid).exists()) {
            drop(Namespace { name });
        }
    }
}

/// Runs `ip` and fails with what it said.
fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output();
    let output = output.context("starting `ip`: install the package iproute2")?;
    if !output.status.success() {
        bail!("`ip {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
