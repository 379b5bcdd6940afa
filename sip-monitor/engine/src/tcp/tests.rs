//! Connections between SIP ports through the whole engine.

use super::{ACK, FIN, RST, SYN};
use crate::packet::{Body, TcpSegment};
use crate::record::CallState;
use crate::testing::{A, B, Rig, Sip};

fn segment(seq: u32, flags: u8, payload: &[u8]) -> TcpSegment<'_> {
    TcpSegment { seq, ack: 0, flags: flags | ACK, window: 65_535, payload }
}

/// Both directions of a connection, with their sequence numbers.
struct Connection {
    rig: Rig,
    next: [u32; 2],
}

impl Connection {
    fn new() -> Self {
        Self { rig: Rig::new(), next: [1000, 0xffff_ff00] }
    }

    fn send(&mut self, ms: i64, from_a: bool, bytes: &[u8]) {
        let side = usize::from(!from_a);
        let (src, dst) = if from_a { (A, B) } else { (B, A) };
        self.rig.packet(ms, src, dst, 0, Body::Tcp(segment(self.next[side], 0, bytes)));
        self.next[side] = self.next[side].wrapping_add(bytes.len() as u32);
    }

    fn call(&mut self) -> Sip {
        let invite = Sip::request("INVITE", 1).header("Contact: <sip:alice@198.51.100.10:5060;transport=tcp>").sdp();
        self.send(0, true, &invite.bytes());
        let answer = invite.response(200).tagged("b").header("Contact: <sip:bob@203.0.113.7:5060;transport=tcp>").sdp();
        self.send(10, false, &[invite.response(100).bytes(), answer.bytes()].concat());
        self.send(20, true, &Sip::request("ACK", 1).tagged("b").branch("z9hG4bK-ack").bytes());
        answer
    }
}

#[test]
fn a_call_over_tcp_is_a_call_like_any_other() {
    let mut c = Connection::new();
    c.call();
    let bye = Sip::request("BYE", 2).tagged("b");
    let bytes = bye.bytes();
    for (n, part) in bytes.chunks(100).enumerate() {
        c.send(5000 + n as i64, true, part);
    }
    c.send(5020, false, &bye.response(200).bytes());
    let record = c.rig.finish(6000).remove(0);
    assert_eq!(record.state, CallState::Disconnected);
    assert!(record.transactions.iter().all(|t| t.transport == "tcp" && t.request_retransmissions == 0));
    assert_eq!(record.transactions[0].responses.iter().map(|r| r.code).collect::<Vec<_>>(), [100, 200]);
}

#[test]
fn a_segment_sent_again_is_no_message_sent_again_but_a_2xx_sent_again_is() {
    let mut c = Connection::new();
    let answer = c.call();
    let at = c.next[1];
    c.send(1000, false, &answer.bytes());
    for ms in [1200, 1600, 2400] {
        c.rig.packet(ms, B, A, 0, Body::Tcp(segment(at, 0, &answer.bytes())));
    }
    assert_eq!(c.rig.call("call-1").answers[0].retransmissions(), 1);
}

#[test]
fn a_reset_or_closed_connection_begins_anew_with_other_numbers() {
    let mut c = Connection::new();
    c.call();
    c.rig.packet(100, A, B, 0, Body::Tcp(segment(c.next[0], FIN, b"")));
    c.rig.packet(101, B, A, 0, Body::Tcp(segment(c.next[1], RST, b"")));
    c.rig.packet(200, A, B, 0, Body::Tcp(TcpSegment { flags: SYN, ..segment(77, SYN, b"") }));
    c.next[0] = 78;
    c.send(300, true, &Sip::request("OPTIONS", 1).call_id("call-2").bytes());
    assert!(c.rig.engine.calls().find(b"call-2").is_some());
}

#[test]
fn tables_are_bounded_whatever_comes() {
    let mut rig = Rig::with(|config| {
        config.limits.connections = 64;
        config.limits.stream_bytes = 1 << 20;
    });
    let begin = b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 200000\r\n\r\n";
    for n in 0..2000u32 {
        let src = format!("192.0.2.{}:{}", n % 200, 1024 + n);
        rig.packet(n.into(), &src, B, 0, Body::Tcp(segment(1, 0, begin)));
        rig.packet(n.into(), &src, B, 0, Body::Tcp(segment(1 + begin.len() as u32, 0, &[b'x'; 60_000])));
        assert!(rig.engine.connections.len() <= 64);
        assert!(rig.engine.connections.held <= (1 << 20) + 60_100);
    }
    assert!(rig.engine.counters().connections_evicted > 1000);
    let held: usize = rig.engine.connections.connections.values().map(|c| c.held()).sum();
    assert_eq!(rig.engine.connections.held, held);
}
