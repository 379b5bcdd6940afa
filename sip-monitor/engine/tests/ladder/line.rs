//! One line of a ladder.

use std::net::SocketAddr;

use sip_monitor_engine::packet::{CaptureLoss, DropReason, IcmpError, IcmpKind};

use super::Result;
use super::field::{Fields, nanoseconds};
use super::host::Hosts;
use super::{drops, rtcp, rtp, tcp};

/// What a line says, at a time from the start of the ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When.
    pub at_ns: i64,
    /// Until when, for a stream.
    pub until_ns: i64,
    /// What.
    pub what: What,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// `caller -> callee  INVITE ...` or `callee -> caller  200 ...`.
    Message { src: SocketAddr, dst: SocketAddr, start: String, fields: Fields },
    /// `1.0..9.0  caller:4000 -> callee:5000  RTP ...`.
    Rtp { src: SocketAddr, dst: SocketAddr, fields: Fields },
    /// `caller:4001 -> callee:5001  RTCP ...`.
    Rtcp { src: SocketAddr, dst: SocketAddr, fields: Fields },
    /// `caller -> callee  RAW "text with \r\n"`: any other datagram.
    Raw { src: SocketAddr, dst: SocketAddr, fields: Fields },
    /// `caller:40000 -> callee  TCP syn`: a TCP segment.
    Tcp { src: SocketAddr, dst: SocketAddr, fields: Fields },
    /// `caller -> callee  INCOMPLETE last "INVITE sip:... \r\n"`: what was seen of a fragmented datagram.
    Incomplete { src: SocketAddr, dst: SocketAddr, fields: Fields },
    /// `ICMP port-unreachable  callee -> caller  quoting caller:4000 -> callee:5000`.
    Icmp { src: SocketAddr, dst: SocketAddr, error: IcmpError, fields: Fields },
    /// `1.0..9.0  DROP netfilter  caller:4000 -> callee:5000`: packets that this host's kernel dropped.
    Drop { src: SocketAddr, dst: SocketAddr, reason: (DropReason, &'static str), fields: Fields },
    /// `CAPTURE-LOSS signalling=3`.
    Loss(CaptureLoss),
    /// `end 40.0`.
    End,
    /// `use NAME`, `TIME  use NAME`, `TIME  use NAME  xN every S`: so many times, each as calls of their own.
    Use { name: String, again: Option<Fields> },
}

impl Line {
    /// Reads a line. `+0.5` is a time after that of the line before.
    pub fn parse(text: &str, before_ns: i64, hosts: &Hosts) -> Result<Self> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("use ") {
            return Ok(Self {
                at_ns: before_ns,
                until_ns: before_ns,
                what: What::Use { name: name.trim().to_owned(), again: None },
            });
        }
        if let Some(time) = text.strip_prefix("end ") {
            let at_ns = nanoseconds(time.trim())?;
            return Ok(Self { at_ns, until_ns: at_ns, what: What::End });
        }
        let (time, rest) =
            text.split_once(char::is_whitespace).ok_or_else(|| "a line is `TIME  src -> dst  WHAT`".to_owned())?;
        let (at_ns, until_ns) = match time.split_once("..") {
            Some((from, to)) => (nanoseconds(from)?, nanoseconds(to)?),
            None => {
                let at_ns = match time.strip_prefix('+') {
                    Some(later) => before_ns + nanoseconds(later)?,
                    None => nanoseconds(time)?,
                };
                (at_ns, at_ns)
            }
        };
        Ok(Self { at_ns, until_ns, what: what(rest.trim(), hosts)? })
    }
}

fn what(text: &str, hosts: &Hosts) -> Result<What> {
    if let Some(rest) = text.strip_prefix("use ") {
        let (name, rest) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        return Ok(What::Use { name: name.to_owned(), again: Some(Fields::parse_with(rest, &[])?) });
    }
    if let Some(rest) = text.strip_prefix("ICMP ") {
        return icmp(rest, hosts);
    }
    if let Some(rest) = text.strip_prefix("DROP ") {
        return dropped(rest, hosts);
    }
    if let Some(rest) = text.strip_prefix("CAPTURE-LOSS") {
        return loss(rest);
    }
    let (src, dst, rest) = ends(text, hosts)?;
    let (start, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    Ok(match start {
        "RTP" => What::Rtp { src, dst, fields: Fields::parse_with(rest, &rtp::OPTIONS)? },
        "RTCP" => What::Rtcp { src, dst, fields: Fields::parse_with(rest, &rtcp::OPTIONS)? },
        "TCP" => What::Tcp { src, dst, fields: Fields::parse_with(rest, &tcp::OPTIONS)? },
        "INCOMPLETE" => What::Incomplete { src, dst, fields: Fields::parse_with(rest, &tcp::INCOMPLETE_OPTIONS)? },
        "RAW" => What::Raw { src, dst, fields: Fields::parse(rest)? },
        "" => return Err("after `src -> dst` stands a method, a code, RTP, RTCP or RAW".to_owned()),
        _ => What::Message { src, dst, start: start.to_owned(), fields: Fields::parse(rest)? },
    })
}

/// `src -> dst` and what follows.
fn ends<'a>(text: &'a str, hosts: &Hosts) -> Result<(SocketAddr, SocketAddr, &'a str)> {
    let (src, rest) = text.split_once("->").ok_or_else(|| format!("no `src -> dst` in {text:?}"))?;
    let rest = rest.trim_start();
    let (dst, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    Ok((hosts.find(src.trim())?, hosts.find(dst)?, rest.trim_start()))
}

fn icmp(text: &str, hosts: &Hosts) -> Result<What> {
    let (kind, rest) = text.trim_start().split_once(char::is_whitespace).unwrap_or((text, ""));
    let (src, dst, rest) = ends(rest, hosts)?;
    let quoted = rest.strip_prefix("quoting").ok_or("an ICMP error goes on with `quoting a:port -> b:port`")?;
    let (quoted_src, quoted_dst, rest) = ends(quoted.trim_start(), hosts)?;
    let is_v4 = quoted_src.is_ipv4();
    // RFC 792 and RFC 1812 5.2.7.1; RFC 4443 3.
    let (kind, v4, v6) = match kind {
        "port-unreachable" => (IcmpKind::PortUnreachable, (3, 3), (1, 4)),
        "host-unreachable" => (IcmpKind::HostUnreachable, (3, 1), (1, 3)),
        "net-unreachable" => (IcmpKind::NetUnreachable, (3, 0), (1, 0)),
        "prohibited" => (IcmpKind::Prohibited, (3, 13), (1, 1)),
        "time-exceeded" => (IcmpKind::TimeExceeded, (11, 0), (3, 0)),
        "too-big" => (IcmpKind::TooBig, (3, 4), (2, 0)),
        other => return Err(format!("no ICMP error {other:?}")),
    };
    let (icmp_type, icmp_code) = if is_v4 { v4 } else { v6 };
    let fields = Fields::parse_with(rest, &["tcp", "dup", "id", "ttl"])?;
    let protocol = if fields.option("tcp").is_some() { 6 } else { 17 };
    let error = IcmpError { kind, icmp_type, icmp_code, protocol, quoted_src, quoted_dst };
    Ok(What::Icmp { src, dst, error, fields })
}

fn dropped(text: &str, hosts: &Hosts) -> Result<What> {
    let (reason, rest) = text.trim_start().split_once(char::is_whitespace).unwrap_or((text, ""));
    let reason = match reason {
        "netfilter" => (DropReason::Netfilter, "NETFILTER_DROP"),
        "no-socket" => (DropReason::NoSocket, "NO_SOCKET"),
        "socket-rcvbuf" => (DropReason::SocketReceiveBuffer, "SOCKET_RCVBUFF"),
        "rp-filter" => (DropReason::ReversePathFilter, "IP_RPFILTER"),
        "neighbour" => (DropReason::Neighbour, "NEIGH_FAILED"),
        "checksum" => (DropReason::Checksum, "UDP_CSUM"),
        "no-route" => (DropReason::NoRoute, "IP_OUTNOROUTES"),
        "queue-full" => (DropReason::QueueFull, "QDISC_DROP"),
        "other" => (DropReason::Other, "NOMEM"),
        other => return Err(format!("no drop reason {other:?}")),
    };
    let (src, dst, rest) = ends(rest, hosts)?;
    Ok(What::Drop { src, dst, reason, fields: Fields::parse_with(rest, &drops::OPTIONS)? })
}

fn loss(text: &str) -> Result<What> {
    let fields = Fields::parse_with(
        text,
        &["signalling", "media", "map", "fragments", "unreadable", "drops", "drops-unread", "cut"],
    )?;
    let count = |key| fields.number(key).map(Option::unwrap_or_default);
    Ok(What::Loss(CaptureLoss {
        signalling_ring_full: count("signalling")?,
        media_ring_full: count("media")?,
        map_full: count("map")?,
        fragments_evicted: count("fragments")?,
        unreadable: count("unreadable")?,
        drop_reports: count("drops")?,
        drops_unread: count("drops-unread")?,
        cut: count("cut")?,
    }))
}
