//! Two telephones and the call between them: a script sends each message from a real socket in one namespace and takes
//! it from a real socket in the other. Faults are what the script leaves out.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::netns::Namespace;
use super::stage::{AUDIO_PORT, Stage};
use super::talk::{Sockets, Talk};

/// How long a message may take from one namespace to the other.
const DELIVERY: Duration = Duration::from_secs(2);

/// One end of a call: its signalling and its media socket.
pub struct Phone {
    signalling: UdpSocket,
    media: Option<Sockets>,
    /// Where it is called and hears.
    pub address: SocketAddr,
    /// Where it said it wants audio.
    pub media_address: SocketAddr,
    /// What it puts into its Contact header, where that is not its own address.
    pub contact: Option<SocketAddr>,
    tag: String,
}

/// Whether a phone has a socket where it said it wants audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// It has.
    Open,
    /// Nothing listens there: its host refuses audio with ICMP port unreachable.
    Refused,
}

impl Phone {
    /// Opens the sockets of a phone inside `namespace`. Audio goes to [`AUDIO_PORT`] of the same address.
    ///
    /// # Errors
    /// Where a socket cannot be opened.
    pub fn open(namespace: &Namespace, address: SocketAddr, media: Media) -> Result<Self> {
        let media_address = SocketAddr::new(address.ip(), AUDIO_PORT);
        let bind = |at: SocketAddr| UdpSocket::bind(at).with_context(|| format!("opening UDP {at}"));
        let (signalling, media) = namespace.inside(|| {
            let control_address = SocketAddr::new(media_address.ip(), media_address.port() + 1);
            let open = || anyhow::Ok(Sockets { media: bind(media_address)?, control: bind(control_address)? });
            let media = if media == Media::Open { Some(open()?) } else { None };
            Ok((bind(address)?, media))
        })?;
        signalling.set_read_timeout(Some(DELIVERY))?;
        // Random, as RFC 3261 19.3 wants it, and so different at the two ends.
        let tag = format!("{:016x}", RandomState::new().hash_one(address));
        Ok(Self { signalling, media, address, media_address, contact: None, tag })
    }

    /// Handles on the media sockets, for a thread that sends and hears.
    ///
    /// # Errors
    /// Where there is none.
    pub fn media(&self) -> Result<Sockets> {
        let own = self.media.as_ref().context("this phone has no media socket")?;
        let share = |socket: &UdpSocket| socket.try_clone().context("sharing a socket");
        Ok(Sockets { media: share(&own.media)?, control: share(&own.control)? })
    }

    fn contact(&self) -> SocketAddr {
        self.contact.unwrap_or(self.address)
    }

    fn sdp(&self) -> String {
        let (ip, port) = (self.media_address.ip(), self.media_address.port());
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
        )
    }

    fn send(&self, message: &str, to: SocketAddr) -> Result<()> {
        self.signalling
            .send_to(message.as_bytes(), to)
            .with_context(|| format!("sending SIP from {} to {to}", self.address))?;
        Ok(())
    }

    /// Takes the next message and checks that it is the one the script means.
    fn expect(&self, start: &str) -> Result<()> {
        let mut buffer = [0; 4096];
        let end = Instant::now() + DELIVERY;
        while Instant::now() < end {
            let (len, _) = self
                .signalling
                .recv_from(&mut buffer)
                .with_context(|| format!("{} did not get its {start}", self.address))?;
            if buffer[..len].starts_with(start.as_bytes()) {
                return Ok(());
            }
        }
        bail!("{} got other messages than {start}", self.address)
    }
}

/// A call from `caller` to `callee`, step by step.
pub struct Call<'a> {
    stage: &'a Stage,
    id: String,
    /// Outside.
    pub caller: Phone,
    /// On the host that is monitored.
    pub callee: Phone,
    branch: u32,
}

/// Which end of a call does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Outside.
    Caller,
    /// On the host that is monitored.
    Callee,
}

impl<'a> Call<'a> {
    /// A call not yet begun, with `id` as its Call-ID.
    pub fn new(stage: &'a Stage, id: String, caller: Phone, callee: Phone) -> Self {
        Self { stage, id, caller, callee, branch: 0 }
    }

    /// INVITE with SDP, 180, and the first 200 with SDP.
    ///
    /// # Errors
    /// Where a message does not arrive, or the demonstration is interrupted.
    pub fn set_up(&mut self) -> Result<()> {
        let body = self.caller.sdp();
        let invite = self.request("INVITE", Side::Caller, 1, false, &body);
        self.caller.send(&invite, self.callee.address)?;
        self.callee.expect("INVITE ")?;
        self.stage.pause(Duration::from_millis(100))?;
        self.callee.send(&self.response("180 Ringing", 1, "INVITE", ""), self.caller.address)?;
        self.caller.expect("SIP/2.0 180 ")?;
        self.stage.pause(Duration::from_millis(400))?;
        self.answer()
    }

    /// The 200 to the INVITE, the first time or again: the callee's part of RFC 3261 13.3.1.4.
    ///
    /// # Errors
    /// Where it does not arrive.
    pub fn answer(&self) -> Result<()> {
        self.callee.send(&self.response("200 OK", 1, "INVITE", &self.callee.sdp()), self.caller.address)?;
        self.caller.expect("SIP/2.0 200 ")
    }

    /// The ACK, sent where the callee's Contact says (RFC 3261 13.2.2.4), whether or not that is where it listens.
    ///
    /// # Errors
    /// Where it cannot be sent, or does not arrive though the Contact is right.
    pub fn acknowledge(&mut self) -> Result<()> {
        let ack = self.request("ACK", Side::Caller, 1, true, "");
        self.caller.send(&ack, self.callee.contact())?;
        if self.callee.contact.is_some() { Ok(()) } else { self.callee.expect("ACK ") }
    }

    /// BYE from one side and the other's 200.
    ///
    /// # Errors
    /// Where a message does not arrive.
    pub fn hang_up(&mut self, by: Side) -> Result<()> {
        let bye = self.request("BYE", by, 2, true, "");
        let (from, to) = match by {
            Side::Caller => (&self.caller, &self.callee),
            Side::Callee => (&self.callee, &self.caller),
        };
        from.send(&bye, to.address)?;
        to.expect("BYE ")?;
        let answer = response_to(&bye, "200 OK");
        to.send(&answer, from.address)?;
        from.expect("SIP/2.0 200 ")
    }

    /// Audio from `side` to where the other wants it, until dropped.
    ///
    /// # Errors
    /// Where there is no media socket to send from.
    pub fn talk(&self, side: Side) -> Result<Talk> {
        let (from, to) = match side {
            Side::Caller => (&self.caller, &self.callee),
            Side::Callee => (&self.callee, &self.caller),
        };
        Talk::start(from.media()?, to.media_address)
    }

    /// Waits, unless the demonstration is interrupted.
    ///
    /// # Errors
    /// Where it is.
    pub fn pause(&self, time: Duration) -> Result<()> {
        self.stage.pause(time)
    }

    fn request(&mut self, method: &str, from: Side, cseq: u32, in_dialog: bool, body: &str) -> String {
        self.branch += 1;
        let (from, to) = match from {
            Side::Caller => (&self.caller, &self.callee),
            Side::Callee => (&self.callee, &self.caller),
        };
        let to_tag = if in_dialog { format!(";tag={}", to.tag) } else { String::new() };
        let uri = if in_dialog { to.contact() } else { to.address };
        let head = format!(
            "{method} sip:{number}@{uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{id}{branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{own}@{via}>;tag={tag}\r\nTo: <sip:{number}@{called}>{to_tag}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{own}@{contact}>\r\n",
            number = number(to),
            own = number(from),
            via = from.address,
            called = to.address,
            tag = from.tag,
            id = self.id,
            branch = self.branch,
            contact = from.contact(),
        );
        with_body(head, body)
    }

    fn response(&self, status: &str, cseq: u32, method: &str, body: &str) -> String {
        let (caller, callee) = (&self.caller, &self.callee);
        let head = format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{id}1;rport={port};received={ip}\r\n\
             From: <sip:{from}@{via}>;tag={from_tag}\r\nTo: <sip:{to}@{called}>;tag={to_tag}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{to}@{contact}>\r\n",
            via = caller.address,
            port = caller.address.port(),
            ip = caller.address.ip(),
            from = number(caller),
            to = number(callee),
            from_tag = caller.tag,
            to_tag = callee.tag,
            called = callee.address,
            id = self.id,
            contact = callee.contact(),
        );
        with_body(head, body)
    }
}

fn with_body(mut head: String, body: &str) -> String {
    if !body.is_empty() {
        head.push_str("Content-Type: application/sdp\r\n");
    }
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The response that copies what RFC 3261 8.2.6.2 says from a request.
fn response_to(request: &str, status: &str) -> String {
    let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let headers = request.split("\r\n").filter(|line| copied.iter().any(|name| line.starts_with(name)));
    let head: String = headers.map(|line| format!("{line}\r\n")).collect();
    with_body(format!("SIP/2.0 {status}\r\n{head}"), "")
}

/// A telephone number of the range set aside for fiction, one for each address.
fn number(phone: &Phone) -> String {
    format!("+1202555{:04}", 100 + u32::from(last_octet(phone.address)))
}

fn last_octet(address: SocketAddr) -> u8 {
    match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(ip) => ip.octets()[15],
    }
}
