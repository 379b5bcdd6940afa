//! Messages and time for the tests of the engine: literal SIP, virtual time.

use core::net::SocketAddr;

use crate::call::Call;
use crate::packet::{Body, Direction, IcmpError, IcmpKind, Packet};
use crate::record::{CallRecord, Output};
use crate::{Engine, EngineConfig, Timestamp};

/// Caller, elsewhere.
pub(crate) const A: &str = "198.51.100.10:5060";
/// Callee; in most tests this host.
pub(crate) const B: &str = "203.0.113.7:5060";
/// A proxy.
pub(crate) const P: &str = "192.0.2.1:5060";

pub(crate) const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 198.51.100.10\r\ns=-\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ns(1_700_000_000_000_000_000 + ms * 1_000_000)
}

/// A message under construction; the defaults are those of a call from A to B.
#[derive(Clone)]
pub(crate) struct Sip {
    start: String,
    vias: Vec<String>,
    from: String,
    to: String,
    call_id: String,
    cseq: String,
    more: Vec<String>,
    body: String,
}

impl Sip {
    pub(crate) fn request(method: &str, cseq: u32) -> Self {
        Self {
            start: format!("{method} sip:bob@203.0.113.7:5060 SIP/2.0"),
            vias: vec![format!("SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK-{method}-{cseq}")],
            from: "<sip:alice@198.51.100.10>;tag=a".into(),
            to: "<sip:bob@203.0.113.7>".into(),
            call_id: "call-1".into(),
            cseq: format!("{cseq} {method}"),
            more: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn response(&self, code: u16) -> Self {
        let mut response = self.clone();
        response.start = format!("SIP/2.0 {code} Reason");
        response.more.clear();
        response.body.clear();
        response
    }

    /// The To header with its tag: an in-dialog request, or a response of the callee.
    pub(crate) fn tagged(mut self, tag: &str) -> Self {
        self.to = format!("<sip:bob@203.0.113.7>;tag={tag}");
        self
    }

    /// An in-dialog request of the callee.
    pub(crate) fn by_callee(mut self, tag: &str) -> Self {
        self.from = format!("<sip:bob@203.0.113.7>;tag={tag}");
        self.to = "<sip:alice@198.51.100.10>;tag=a".into();
        self.vias = vec![self.vias[0].replace("198.51.100.10", "203.0.113.7")];
        self
    }

    pub(crate) fn call_id(mut self, call_id: &str) -> Self {
        self.call_id = call_id.into();
        self
    }

    pub(crate) fn branch(mut self, branch: &str) -> Self {
        self.vias[0] = format!("SIP/2.0/UDP 198.51.100.10:5060;branch={branch}");
        self
    }

    /// Through a proxy that adds its Via.
    pub(crate) fn via(mut self, via: &str) -> Self {
        self.vias.insert(0, via.into());
        self
    }

    pub(crate) fn header(mut self, line: &str) -> Self {
        self.more.push(line.into());
        self
    }

    pub(crate) fn sdp(mut self) -> Self {
        self.body = SDP.into();
        self.header("Content-Type: application/sdp")
    }

    pub(crate) fn body(mut self, kind: &str, body: &str) -> Self {
        self.body = body.into();
        self.header(&format!("Content-Type: {kind}"))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for via in &self.vias {
            text += &format!("Via: {via}\r\n");
        }
        text +=
            &format!("From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\n", self.from, self.to, self.call_id, self.cseq);
        for line in &self.more {
            text += &format!("{line}\r\n");
        }
        text += &format!("Max-Forwards: 70\r\nContent-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text.into_bytes()
    }
}

/// An engine under test.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    ip_id: u32,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut config = EngineConfig { local: vec!["203.0.113.7".parse().unwrap()], ..EngineConfig::default() };
        config.emit.calls = true;
        config.emit.registrations = true;
        change(&mut config);
        Self { engine: Engine::new(config), ip_id: 0 }
    }

    /// Sends a message; each has an IP id of its own.
    pub(crate) fn send(&mut self, ms: i64, src: &str, dst: &str, sip: &Sip) {
        self.ip_id += 1;
        self.send_as(ms, src, dst, sip, self.ip_id);
    }

    pub(crate) fn send_as(&mut self, ms: i64, src: &str, dst: &str, sip: &Sip, ip_id: u32) {
        self.send_bytes(ms, src, dst, &sip.bytes(), ip_id);
    }

    pub(crate) fn send_bytes(&mut self, ms: i64, src: &str, dst: &str, bytes: &[u8], ip_id: u32) {
        self.packet(ms, src, dst, ip_id, Body::Udp(bytes));
    }

    pub(crate) fn icmp(&mut self, ms: i64, from: &str, kind: IcmpKind, quoted_src: &str, quoted_dst: &str) {
        let error = IcmpError {
            kind,
            icmp_type: 3,
            icmp_code: 3,
            protocol: 17,
            quoted_src: quoted_src.parse().unwrap(),
            quoted_dst: quoted_dst.parse().unwrap(),
        };
        self.packet(ms, from, quoted_src, 0, Body::Icmp(error));
    }

    pub(crate) fn packet(&mut self, ms: i64, src: &str, dst: &str, ip_id: u32, body: Body<'_>) {
        let (src, dst): (SocketAddr, SocketAddr) = (src.parse().unwrap(), dst.parse().unwrap());
        let local = &self.engine.config().local;
        let direction = if local.contains(&src.ip()) {
            Direction::Out
        } else if local.contains(&dst.ip()) {
            Direction::In
        } else {
            Direction::Transit
        };
        let packet = Packet { time: at(ms), link: 0, direction, src, dst, ip_id, ttl: 64, dscp: 0, body };
        self.engine.handle_packet(at(ms), &packet);
    }

    /// A call from A to B that is answered after 2 s and acknowledged.
    pub(crate) fn answered_call(&mut self) -> Sip {
        let invite = Sip::request("INVITE", 1).header("Contact: <sip:alice@198.51.100.10:5060>").sdp();
        self.send(0, A, B, &invite);
        self.send(10, B, A, &invite.response(100));
        self.send(100, B, A, &invite.response(180).tagged("b"));
        self.send(2000, B, A, &invite.response(200).tagged("b").header("Contact: <sip:bob@203.0.113.7:5060>").sdp());
        self.send(2050, A, B, &Sip::request("ACK", 1).tagged("b").branch("z9hG4bK-ack"));
        invite
    }

    /// The call with that Call-ID.
    pub(crate) fn call(&self, call_id: &str) -> &Call {
        let key = self.engine.calls().find(call_id.as_bytes()).expect("the call is known");
        self.engine.calls().get(key).expect("the key is fresh")
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    /// The records of all calls, at the end of the capture.
    pub(crate) fn finish(&mut self, ms: i64) -> Vec<CallRecord> {
        self.engine.finish(at(ms));
        let calls = self.outputs().into_iter().filter_map(|output| match output {
            Output::Call(call) => Some(*call),
            _ => None,
        });
        calls.collect()
    }
}
