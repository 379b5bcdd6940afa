//! SDP bodies from one word: `sdp=caller:4000,sendonly,codecs=0/101`.

use std::net::{IpAddr, SocketAddr};

use super::Result;
use super::host::Hosts;

/// What a description says besides its session line.
///
/// Grammar: `[host|ip]:port`, `port`, or nothing for the side's own; then, apart by commas, `sendrecv`, `sendonly`,
/// `recvonly`, `inactive`, `codecs=0/8/101`, `ptime=N`, `rtcp=PORT`, `rtcp-mux`, `t38`, `video=PORT`, `bundle`,
/// `ice=ip:port/ip:port`, `profile=RTP/SAVP`, `c=ip` (connection address other than the media's), `v=N` (session version),
/// or `a=TEXT` for any other attribute.
pub fn lines(spec: &str, hosts: &Hosts, own: SocketAddr) -> Result<Sdp> {
    let mut words = spec.split(',');
    let first = words.next().unwrap_or_default();
    let addr = if first.is_empty() {
        own
    } else if let Ok(port) = first.parse() {
        SocketAddr::new(own.ip(), port)
    } else {
        hosts.find(first)?
    };
    let mut connection = addr.ip();
    let mut codecs = "0/8/101".to_owned();
    let mut profile = "RTP/AVP".to_owned();
    let mut attributes = Vec::new();
    let mut tail = Vec::new();
    let mut session = Vec::new();
    let mut is_t38 = false;
    let mut version = None;
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "sendrecv" | "sendonly" | "recvonly" | "inactive" | "rtcp-mux" => attributes.push(format!("a={key}")),
            "codecs" => codecs = value.to_owned(),
            "profile" => profile = value.to_owned(),
            "ptime" => attributes.push(format!("a=ptime:{value}")),
            "rtcp" => attributes.push(format!("a=rtcp:{value}")),
            "a" => attributes.push(format!("a={value}")),
            "c" => connection = value.parse().map_err(|_| format!("{word:?} is no address"))?,
            "v" => version = Some(value.to_owned()),
            "t38" => is_t38 = true,
            "bundle" => session.push("a=group:BUNDLE 0 1".to_owned()),
            "video" => tail.extend([format!("m=video {value} RTP/AVP 96"), "a=rtpmap:96 H264/90000".to_owned()]),
            "ice" => {
                for (i, candidate) in (1..).zip(value.split('/')) {
                    let at: SocketAddr = candidate.parse().map_err(|_| format!("{candidate:?} is no ip:port"))?;
                    attributes.push(format!("a=candidate:{i} 1 UDP 2130706431 {} {} typ host", at.ip(), at.port()));
                }
            }
            _ => return Err(format!("no SDP option {word:?}")),
        }
    }
    let mut lines = vec!["s=-".to_owned(), format!("c=IN {}", address(connection)), "t=0 0".to_owned()];
    lines.append(&mut session);
    if is_t38 {
        lines.push(format!("m=image {} udptl t38", addr.port()));
    } else {
        lines.push(format!("m=audio {} {profile} {}", addr.port(), codecs.replace('/', " ")));
        lines.extend(codecs.split('/').filter_map(rtpmap));
    }
    lines.append(&mut attributes);
    lines.append(&mut tail);
    Ok(Sdp { origin: own.ip(), version, lines })
}

/// A description without its first two lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp {
    origin: IpAddr,
    version: Option<String>,
    /// From `s=` on.
    pub lines: Vec<String>,
}

impl Sdp {
    /// The body, with the version that the session has reached.
    pub fn body(&self, session: u64, version: u64) -> String {
        let version = self.version.clone().unwrap_or_else(|| version.to_string());
        let mut text = format!("v=0\r\no=- {session} {version} IN {}\r\n", address(self.origin));
        for line in &self.lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text
    }
}

fn address(ip: IpAddr) -> String {
    format!("{} {ip}", if ip.is_ipv4() { "IP4" } else { "IP6" })
}

fn rtpmap(payload_type: &str) -> Option<String> {
    let name = match payload_type {
        "0" => "PCMU/8000",
        "3" => "GSM/8000",
        "8" => "PCMA/8000",
        "9" => "G722/8000",
        "13" => "CN/8000",
        "18" => "G729/8000",
        "101" => "telephone-event/8000",
        "111" => "opus/48000/2",
        _ => return None,
    };
    Some(format!("a=rtpmap:{payload_type} {name}"))
}
