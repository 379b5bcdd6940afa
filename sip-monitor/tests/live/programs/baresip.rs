//! baresip as a telephone: calls, answers, holds, mutes, transfers, and talks with real RTP and RTCP. It is told what
//! to do over its `ctrl_tcp` module: netstrings (`LENGTH:JSON,`) with commands one way, answers and events the other.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sip_monitor::demo::netns::Namespace;

use super::child::Program;

/// How long it may take to start on a busy machine, and to do what a command says.
const PATIENCE: Duration = Duration::from_secs(60);
/// Its control port stands so far above its SIP port.
const CONTROL_PORT_OFFSET: u16 = 10_000;
/// Seconds of sound in the file it plays.
const SOUND_SECONDS: u32 = 60;
const SAMPLES_PER_SECOND: u32 = 8_000;

/// How it treats an incoming call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// At once.
    Auto,
    /// 180, answered by a command.
    Manual,
}

/// A baresip to be started.
pub struct Baresip<'a> {
    namespace: &'a Namespace,
    folder: &'a Path,
    user: String,
    sip: SocketAddr,
    rtp_ports: (u16, u16),
    answer: Answer,
    has_sound: bool,
    /// Its account, where it is not `user` at its own address.
    address_of_record: Option<String>,
    account: String,
    config: String,
}

impl<'a> Baresip<'a> {
    /// A telephone of `user` with SIP (UDP and TCP) and media at the address of `sip`, its files in a folder of its own below
    /// `folder`. It answers at once, speaks PCMU, talks all the time, and does not register.
    pub fn new(namespace: &'a Namespace, folder: &'a Path, user: &str, sip: SocketAddr) -> Self {
        Self {
            namespace,
            folder,
            user: user.to_owned(),
            sip,
            rtp_ports: (10_000, 10_100),
            answer: Answer::Auto,
            has_sound: true,
            address_of_record: None,
            account: ";audio_codecs=pcmu".to_owned(),
            config: String::new(),
        }
    }

    /// More parameters of its account, each beginning with a semicolon.
    pub fn account(mut self, parameters: &str) -> Self {
        self.account += parameters;
        self
    }

    /// It registers as `user` of `domain` at `proxy` (a URI), with this password, each minute, and sends all its requests there.
    pub fn registers(mut self, domain: &str, proxy: &str, password: &str) -> Self {
        self.address_of_record = Some(format!("sip:{}@{domain}", self.user));
        self.account += &format!(";outbound=\"{proxy}\";auth_user={};auth_pass={password};regint=60", self.user);
        self
    }

    /// More lines of its configuration.
    pub fn config(mut self, lines: &str) -> Self {
        self.config += lines;
        self.config.push('\n');
        self
    }

    pub fn answers(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    /// The one port its media takes, on all addresses of its namespace; RTCP takes the next one. So it can have one call at a
    /// time.
    pub fn rtp_port(mut self, port: u16) -> Self {
        self.rtp_ports = (port, port + 2);
        self
    }

    /// It can have two calls at a time, as a transfer needs: their media takes this port and the next but one, in any order.
    pub fn two_rtp_ports(mut self, port: u16) -> Self {
        self.rtp_ports = (port, port + 4);
        self
    }

    /// It has no microphone: it sends no RTP.
    pub fn without_sound(mut self) -> Self {
        self.has_sound = false;
        self
    }

    /// Starts it and waits until it can be called.
    pub fn start(self) -> Result<Phone> {
        let at = self.sip.to_string().replace([':', '[', ']'], "-");
        let folder = self.folder.join(format!("baresip-{}-{at}", self.user));
        std::fs::create_dir_all(&folder)?;
        self.write_files(&folder)?;
        let mut command = self.namespace.command("baresip");
        command.arg(if self.sip.is_ipv4() { "-4" } else { "-6" }).arg("-f").arg(&folder);
        let name = format!("baresip of {}", self.user);
        let mut program = Program::start(command, &name, &folder.join("log"))?;
        let control_at = self.control();
        let connect = || self.namespace.inside(|| Ok(TcpStream::connect(control_at)?)).ok();
        let control = program.wait_until(PATIENCE, connect)?;
        control.set_nodelay(true)?;
        Ok(Phone { program, control: Control { stream: control, bytes: Vec::new(), events: VecDeque::new() }, name })
    }

    fn control(&self) -> SocketAddr {
        SocketAddr::new(self.sip.ip(), self.sip.port() + CONTROL_PORT_OFFSET)
    }

    fn write_files(&self, folder: &Path) -> Result<()> {
        let sound = folder.join("sound.wav");
        if self.has_sound {
            std::fs::write(&sound, recording())?;
        }
        // Where no module has a player, none is missed; a bridge with nothing at its other end gives no sound and no error.
        let sound_device = if self.has_sound {
            format!("module aufile.so\naudio_source aufile,{}\naudio_player none,nil", sound.display())
        } else {
            "module aubridge.so\naudio_source aubridge,nobody\naudio_player aubridge,nowhere".to_owned()
        };
        let (ip, sip, control, (low, high)) = (self.sip.ip(), self.sip, self.control(), self.rtp_ports);
        let config = format!(
            "poll_method epoll\nsip_listen {sip}\nnet_interface {ip}\ncall_max_calls 20\n\
             audio_alert none,nil\naudio_buffer 20-160\n\
             rtp_tos 184\nrtp_ports {low}-{high}\njitter_buffer_delay 5-10\nstatmode_default off\n\
             module_path {}\nmodule g711.so\n{sound_device}\nmodule_tmp account.so\nmodule_app menu.so\n\
             module_app ctrl_tcp.so\nctrl_tcp_listen {control}\n{}",
            modules()?.display(),
            self.config,
        );
        std::fs::write(folder.join("config"), config)?;
        let answer = match self.answer {
            Answer::Auto => "auto",
            Answer::Manual => "manual",
        };
        let account = match &self.address_of_record {
            Some(address) => format!("<{address}>;answermode={answer}{}\n", self.account),
            None => format!("<sip:{}@{sip}>;regint=0;answermode={answer}{}\n", self.user, self.account),
        };
        std::fs::write(folder.join("accounts"), account)?;
        // Without it baresip writes an example with contacts of its own.
        std::fs::write(folder.join("contacts"), "")?;
        Ok(())
    }
}

/// Where the distribution puts its modules.
fn modules() -> Result<PathBuf> {
    let places = ["/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules"].map(PathBuf::from);
    places.into_iter().find(|place| place.is_dir()).context("no modules of baresip: cargo xtask setup --tests")
}

/// A WAV file, mono, 16 bit, that does not repeat itself, so that nothing in it is taken for silence.
fn recording() -> Vec<u8> {
    let samples = SAMPLES_PER_SECOND * SOUND_SECONDS;
    let mut wav = Vec::with_capacity(44 + 2 * samples as usize);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + 2 * samples).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    wav.extend_from_slice(&[1, 0, 1, 0]);
    wav.extend_from_slice(&SAMPLES_PER_SECOND.to_le_bytes());
    wav.extend_from_slice(&(2 * SAMPLES_PER_SECOND).to_le_bytes());
    wav.extend_from_slice(&[2, 0, 16, 0]);
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&(2 * samples).to_le_bytes());
    for n in 0..samples {
        let noise = (n.wrapping_mul(2_654_435_761) >> 18) as i16 - (1 << 13);
        wav.extend_from_slice(&noise.to_le_bytes());
    }
    wav
}

/// A baresip that runs; ended when dropped.
pub struct Phone {
    pub program: Program,
    control: Control,
    name: String,
}

impl Phone {
    /// Calls `uri`.
    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.command("dial", uri)
    }

    /// Waits until it is registered. It may be so before anybody could hear it say that: it is asked.
    pub fn wait_registered(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.ask("reginfo", "")?;
            if told["data"].as_str().is_some_and(|accounts| accounts.contains("OK")) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{}: not registered: {told}", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for an incoming call; its Call-ID.
    pub fn wait_incoming(&mut self) -> Result<String> {
        self.wait_for_call("CALL_INCOMING")
    }

    /// Waits until a call is up; its Call-ID.
    pub fn wait_established(&mut self) -> Result<String> {
        self.wait_for_call("CALL_ESTABLISHED")
    }

    /// Waits until a call is over; its Call-ID.
    pub fn wait_closed(&mut self) -> Result<String> {
        self.wait_for_call("CALL_CLOSED")
    }

    fn wait_for_call(&mut self, what: &str) -> Result<String> {
        let event = self.wait_for(&[what])?;
        event["id"].as_str().map(str::to_owned).with_context(|| format!("no Call-ID in {event}"))
    }

    /// Answers the call that rings.
    pub fn accept(&mut self) -> Result<()> {
        self.command("accept", "")
    }

    pub fn hang_up(&mut self) -> Result<()> {
        self.command("hangup", "")
    }

    pub fn hold(&mut self) -> Result<()> {
        self.command("hold", "")
    }

    pub fn resume(&mut self) -> Result<()> {
        self.command("resume", "")
    }

    /// Mutes, or ends that.
    pub fn mute(&mut self) -> Result<()> {
        self.command("mute", "")
    }

    /// Sends the other party on to `uri` (REFER).
    pub fn transfer(&mut self, uri: &str) -> Result<()> {
        self.command("transfer", uri)
    }

    /// Gives a command and waits until it is done.
    pub fn command(&mut self, command: &str, params: &str) -> Result<()> {
        self.ask(command, params).map(|_| ())
    }

    /// Gives a command and waits for its answer.
    fn ask(&mut self, command: &str, params: &str) -> Result<Value> {
        let json = json!({ "command": command, "params": params, "token": command }).to_string();
        self.control.stream.write_all(format!("{}:{json},", json.len()).as_bytes())?;
        let is_answer = |line: &Value| line["response"] == true && line["token"] == command;
        let answer = self.control.next(is_answer).with_context(|| format!("{}: {command} {params}", self.name))?;
        ensure!(answer["ok"] == true, "{}: {command} {params} was answered with {answer}", self.name);
        Ok(answer)
    }

    /// The first event of one of these types, of those that were not asked for yet.
    pub fn wait_for(&mut self, types: &[&str]) -> Result<Value> {
        let is_wanted = |line: &Value| line["event"] == true && types.iter().any(|wanted| line["type"] == *wanted);
        let event = self.control.next(is_wanted);
        event.with_context(|| format!("{}: waiting for {types:?}; its log: {}", self.name, self.program.log()))
    }
}

/// The control connection.
struct Control {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// Read and not asked for yet.
    events: VecDeque<Value>,
}

impl Control {
    fn next(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(index) = self.events.iter().position(&is_wanted) {
                // What came before it stays: an event may come before the answer to the command that caused it.
                return self.events.remove(index).context("the event just found");
            }
            ensure!(Instant::now() < end, "nothing within {} s", PATIENCE.as_secs());
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<()> {
        self.stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => bail!("it closed its control connection"),
            Ok(n) => self.bytes.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => return Err(e).context("its control connection"),
        }
        while let Some((value, len)) = netstring(&self.bytes)? {
            self.bytes.drain(..len);
            self.events.push_back(value);
        }
        Ok(())
    }
}

/// The first whole netstring and how many bytes it took.
fn netstring(bytes: &[u8]) -> Result<Option<(Value, usize)>> {
    let Some(colon) = bytes.iter().position(|b| *b == b':') else { return Ok(None) };
    let len: usize = std::str::from_utf8(&bytes[..colon])?.parse().context("length of a netstring")?;
    let end = colon + 1 + len;
    if bytes.len() <= end {
        return Ok(None);
    }
    ensure!(bytes[end] == b',', "a netstring without its comma");
    Ok(Some((serde_json::from_slice(&bytes[colon + 1..end])?, end + 1)))
}

#[test]
fn a_netstring_cut_in_two_is_waited_for() -> Result<()> {
    let whole = br#"7:{"a":1},12:{"b":"#;
    let (first, len) = netstring(whole)?.context("the first one")?;
    ensure!(first["a"] == 1 && len == 10, "{first} {len}");
    ensure!(netstring(&whole[len..])?.is_none());
    Ok(())
}
