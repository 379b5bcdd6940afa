//! rtpengine as the media relay of the monitored host, in userspace, asked over its ng protocol: a cookie and a bencoded
//! dictionary in one datagram.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};
use sip_monitor::demo::netns::Namespace;

use super::child::Program;

/// How long it may take to make its certificate and start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may think about a request.
const ANSWER: Duration = Duration::from_secs(10);

/// A running rtpengine; ended when dropped.
pub struct Rtpengine {
    pub program: Program,
    socket: UdpSocket,
    control: SocketAddr,
    /// Cookie of the last request: an answer is given again to one that comes again.
    requests: Cell<u32>,
}

impl Rtpengine {
    /// Starts it with media at `media` and its ng socket at `control`, and waits until it answers.
    pub fn start(
        namespace: &Namespace,
        folder: &Path,
        media: IpAddr,
        ports: RangeInclusive<u16>,
        control: SocketAddr,
    ) -> Result<Self> {
        let name = format!("rtpengine-{}", control.port());
        // The file of its package has an interface and a kernel table in it.
        let config = folder.join(format!("{name}.conf"));
        std::fs::write(&config, "[rtpengine]\ntable = -1\n")?;
        let mut command = namespace.command("rtpengine");
        command.args(["--foreground", "--log-stderr", "--log-level=5", "--num-threads=1", "--media-num-threads=1"]);
        // Ports are closed when a call is deleted, not half a minute later.
        command.arg("--delete-delay=0");
        command.arg(format!("--config-file={}", config.display()));
        command.args([format!("--interface={media}"), format!("--listen-ng={control}")]);
        command.args([format!("--port-min={}", ports.start()), format!("--port-max={}", ports.end())]);
        let socket = namespace.inside(|| Ok(UdpSocket::bind("127.0.0.1:0")?))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let program = Program::start(command, &name, &folder.join(format!("{name}.log")))?;
        let mut engine = Self { program, socket, control, requests: Cell::new(0) };
        let Self { program, socket, control, .. } = &mut engine;
        program.wait_until(PATIENCE, || exchange(socket, *control, &[("command", "ping")], 0).ok())?;
        engine.socket.set_read_timeout(Some(ANSWER))?;
        Ok(engine)
    }

    /// Where it takes requests, as Kamailio's `rtpengine_sock` wants it.
    pub fn socket_name(&self) -> String {
        format!("udp:{}", self.control)
    }

    /// All it knows of a call.
    pub fn query(&self, call_id: &str) -> Result<Value> {
        self.request(&[("command", "query"), ("call-id", call_id)])
    }

    /// Has it forget a call: its ports are closed.
    pub fn delete(&self, call_id: &str) -> Result<()> {
        self.request(&[("command", "delete"), ("call-id", call_id)]).map(drop)
    }

    fn request(&self, request: &[(&str, &str)]) -> Result<Value> {
        self.requests.set(self.requests.get() + 1);
        let answer = exchange(&self.socket, self.control, request, self.requests.get())?;
        ensure!(answer["result"] == "ok", "rtpengine: {request:?} was answered with {answer}");
        Ok(answer)
    }
}

/// One side of a call as rtpengine counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its own port.
    pub local: u16,
    /// Where that side takes its media.
    pub endpoint: SocketAddr,
    /// RTP packets that arrived here.
    pub packets: u64,
    /// Bytes of these, from the RTP header on.
    pub bytes: u64,
}

/// The RTP ports of a call, out of the answer to a query.
pub fn rtp_ports(answer: &Value) -> Result<Vec<Port>> {
    let mut ports = Vec::new();
    for tag in answer["tags"].as_object().context("no tags")?.values() {
        for media in tag["medias"].as_array().into_iter().flatten() {
            // The first stream of a media is RTP, the second RTCP.
            let stream = &media["streams"][0];
            let number = |value: &Value| value.as_u64().with_context(|| format!("no number in {stream}"));
            let endpoint = &stream["endpoint"];
            let ip: IpAddr = endpoint["address"].as_str().context("no endpoint")?.parse()?;
            ports.push(Port {
                local: u16::try_from(number(&stream["local port"])?)?,
                endpoint: SocketAddr::new(ip, u16::try_from(number(&endpoint["port"])?)?),
                packets: number(&stream["stats"]["packets"])?,
                bytes: number(&stream["stats"]["bytes"])?,
            });
        }
    }
    Ok(ports)
}

/// Sends a request and waits for its answer.
fn exchange(socket: &UdpSocket, to: SocketAddr, request: &[(&str, &str)], number: u32) -> Result<Value> {
    let mut text = format!("{number} d");
    for (key, value) in request {
        text += &format!("{}:{key}{}:{value}", key.len(), value.len());
    }
    text.push('e');
    socket.send_to(text.as_bytes(), to)?;
    let mut buffer = [0; 65_536];
    loop {
        let len = socket.recv(&mut buffer).with_context(|| format!("no answer to {request:?}"))?;
        let answer = &buffer[..len];
        let Some(space) = answer.iter().position(|b| *b == b' ') else { bail!("an answer without cookie") };
        // An answer that came too late for an earlier request.
        if &answer[..space] == number.to_string().as_bytes() {
            return Ok(bencoded(&answer[space + 1..])?.0);
        }
    }
}

/// The first value and what follows it.
fn bencoded(bytes: &[u8]) -> Result<(Value, &[u8])> {
    let (&kind, rest) = bytes.split_first().context("the end of a bencoded answer")?;
    match kind {
        b'i' => {
            let end = rest.iter().position(|b| *b == b'e').context("an integer without end")?;
            let n: i64 = std::str::from_utf8(&rest[..end])?.parse()?;
            Ok((n.into(), &rest[end + 1..]))
        }
        b'l' => {
            let (mut list, mut rest) = (Vec::new(), rest);
            while rest.first() != Some(&b'e') {
                let (value, next) = bencoded(rest)?;
                list.push(value);
                rest = next;
            }
            Ok((list.into(), &rest[1..]))
        }
        b'd' => {
            let (mut map, mut rest) = (Map::new(), rest);
            while rest.first() != Some(&b'e') {
                let (key, next) = bencoded(rest)?;
                let (value, next) = bencoded(next)?;
                map.insert(key.as_str().context("a key that is no string")?.to_owned(), value);
                rest = next;
            }
            Ok((map.into(), &rest[1..]))
        }
        _ => {
            let colon = bytes.iter().position(|b| *b == b':').context("a string without length")?;
            let len: usize = std::str::from_utf8(&bytes[..colon])?.parse().context("the length of a string")?;
            let text = bytes.get(colon + 1..colon + 1 + len).context("a string cut off")?;
            Ok((String::from_utf8_lossy(text).into_owned().into(), &bytes[colon + 1 + len..]))
        }
    }
}

#[test]
fn bencoded_answers_are_read_to_their_end() -> Result<()> {
    let (value, rest) = bencoded(b"d4:listli1ei-2e3:abce6:result2:oke ")?;
    ensure!(value["list"] == serde_json::json!([1, -2, "abc"]) && value["result"] == "ok" && rest == b" ", "{value}");
    ensure!(bencoded(b"d4:lis").is_err());
    Ok(())
}
