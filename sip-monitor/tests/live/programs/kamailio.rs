//! Kamailio as a proxy and registrar, with the configuration `kamailio.cfg` and what a test adds to it: instances with their own
//! configuration, runtime folder and ports. The service that its package may have started is on the machine, not in here.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sip_monitor::demo::netns::Namespace;

use crate::programs::child::Program;

const CONFIG: &str = include_str!("kamailio.cfg");
/// How long it may take to answer its first request on a busy machine.
const START: Duration = Duration::from_secs(30);

/// One Kamailio to be started.
pub struct Kamailio<'a> {
    namespace: &'a Namespace,
    folder: &'a Path,
    listens: SocketAddr,
    routes: String,
    in_dialog: String,
}

impl<'a> Kamailio<'a> {
    /// A proxy at this address, over UDP and TCP; its files are in a folder of its own below `folder`.
    pub fn new(namespace: &'a Namespace, folder: &'a Path, listens: SocketAddr) -> Self {
        Self { namespace, folder, listens, routes: String::new(), in_dialog: String::new() }
    }

    /// What it does, in its own language, with a request outside of dialogs before it looks for registered users.
    pub fn route(mut self, condition: &str, actions: &str) -> Self {
        self.routes += &format!("    if ({condition}) {{ {actions} }}\n");
        self
    }

    /// The same for requests inside of dialogs, before it relays them.
    pub fn in_dialog(mut self, condition: &str, actions: &str) -> Self {
        self.in_dialog += &format!("    if ({condition}) {{ {actions} }}\n");
        self
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> Result<Program> {
        let name = format!("kamailio-{}", self.listens.to_string().replace([':', '[', ']'], "-"));
        let folder = self.folder.join(&name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let config = folder.join("kamailio.cfg");
        let text = CONFIG.replace("    # ROUTES\n", &self.routes).replace("    # IN_DIALOG\n", &self.in_dialog);
        std::fs::write(&config, text).context("writing the configuration of kamailio")?;

        let mut command: Command = self.namespace.command("kamailio");
        // -DD: no daemon, but children; -E: log to stderr; -m: shared memory in MB, taken at once.
        command.args(["-DD", "-E", "-m", "32", "-f"]).arg(&config).arg("-Y").arg(&folder).arg("-w").arg(&folder);
        for transport in ["udp", "tcp"] {
            command.args(["-l".to_owned(), format!("{transport}:{}", self.listens)]);
        }
        let mut program = Program::start_until(libc::SIGTERM, command, &name, &folder.join("log"))?;
        let mut ping = Ping::new(self.namespace, self.listens)?;
        program.wait_until(START, || ping.is_answered().then_some(()))?;
        Ok(program)
    }
}

/// Asks a server whether it is there. The requests stay on the loopback of its host, where nobody watches.
struct Ping {
    socket: UdpSocket,
    to: SocketAddr,
    request: String,
}

impl Ping {
    fn new(namespace: &Namespace, to: SocketAddr) -> Result<Self> {
        let socket = namespace.inside(|| Ok(UdpSocket::bind(SocketAddr::new(to.ip(), 0))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let own = socket.local_addr()?;
        let request = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-ready\r\nMax-Forwards: 1\r\n\
             From: <sip:test@{own}>;tag=ready\r\nTo: <sip:{to}>\r\nCall-ID: ready@{own}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        Ok(Self { socket, to, request })
    }

    fn is_answered(&mut self) -> bool {
        // Nobody listens yet, or the answer is late: asked again.
        let _ = self.socket.send_to(self.request.as_bytes(), self.to);
        let mut answer = [0; 1024];
        self.socket.recv(&mut answer).is_ok_and(|n| answer[..n].starts_with(b"SIP/2.0 200"))
    }
}
