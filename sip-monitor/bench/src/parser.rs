//! Messages a second of our parser against `rsipstack`'s, on the same bytes in the same run.
//!
//! The work is what a monitor needs of each message: start line, Call-ID, CSeq, both tags, top Via with branch, Contact.
//! `rsipstack` gives its typed headers for it, ours its lazy ones. Rounds of both alternate, and the best of each counts:
//! what disturbs a shared machine disturbs both.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rsipstack::sip::prelude::*;
use rsipstack::sip::{HasHeaders, SipMessage};
use sip_monitor_engine::sip::Message;

use crate::allocator;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(120);

const MESSAGES: [(&str, &[u8]); 4] = [
    (
        "INVITE with SDP",
        b"INVITE sip:+15551230002@203.0.113.7:5060;user=phone SIP/2.0\r\n\
Via: SIP/2.0/UDP 198.51.100.4:5060;branch=z9hG4bK-524287-1---b8f1d7a1c6e2;rport\r\n\
Max-Forwards: 70\r\n\
Contact: <sip:+15551230001@198.51.100.4:5060;transport=udp>\r\n\
To: \"Bob\" <sip:+15551230002@203.0.113.7;user=phone>\r\n\
From: \"Alice Smith\" <sip:+15551230001@198.51.100.4;user=phone>;tag=a48s7f2e\r\n\
Call-ID: 3848276298220188511@198.51.100.4\r\n\
CSeq: 102 INVITE\r\n\
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE\r\n\
Supported: replaces, timer, 100rel\r\n\
Session-Expires: 1800;refresher=uac\r\n\
User-Agent: ExamplePBX 18.4.0\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 262\r\n\r\n\
v=0\r\no=- 1821 1821 IN IP4 198.51.100.4\r\ns=ExamplePBX\r\nc=IN IP4 198.51.100.4\r\nt=0 0\r\n\
m=audio 16428 RTP/AVP 0 8 18 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
    ),
    (
        "200 OK",
        b"SIP/2.0 200 OK\r\n\
Via: SIP/2.0/UDP 198.51.100.4:5060;branch=z9hG4bK-524287-1---b8f1d7a1c6e2;rport=5060;received=198.51.100.4\r\n\
Record-Route: <sip:203.0.113.7;lr;ftag=a48s7f2e>\r\n\
Contact: <sip:bob@192.0.2.20:5060>\r\n\
To: \"Bob\" <sip:+15551230002@203.0.113.7;user=phone>;tag=77b1\r\n\
From: \"Alice Smith\" <sip:+15551230001@198.51.100.4;user=phone>;tag=a48s7f2e\r\n\
Call-ID: 3848276298220188511@198.51.100.4\r\n\
CSeq: 102 INVITE\r\n\
Server: ExampleProxy 5.6\r\n\
Content-Length: 0\r\n\r\n",
    ),
    (
        "ACK",
        b"ACK sip:bob@192.0.2.20:5060 SIP/2.0\r\n\
Via: SIP/2.0/UDP 198.51.100.4:5060;branch=z9hG4bK-524287-2---c7;rport\r\n\
Route: <sip:203.0.113.7;lr;ftag=a48s7f2e>\r\n\
Max-Forwards: 70\r\n\
Contact: <sip:+15551230001@198.51.100.4:5060>\r\n\
To: \"Bob\" <sip:+15551230002@203.0.113.7;user=phone>;tag=77b1\r\n\
From: \"Alice Smith\" <sip:+15551230001@198.51.100.4;user=phone>;tag=a48s7f2e\r\n\
Call-ID: 3848276298220188511@198.51.100.4\r\n\
CSeq: 102 ACK\r\n\
Content-Length: 0\r\n\r\n",
    ),
    (
        "REGISTER, compact forms",
        b"REGISTER sip:example.com SIP/2.0\r\n\
v: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKnashds7\r\n\
Max-Forwards: 70\r\n\
t: <sip:phone7@example.com>\r\n\
f: <sip:phone7@example.com>;tag=456248\r\n\
i: 843817637684230@998sdasdh09\r\n\
CSeq: 1826 REGISTER\r\n\
m: <sip:phone7@192.0.2.33:5060>;expires=3600\r\n\
l: 0\r\n\r\n",
    ),
];

/// Runs the comparison and prints a line a message.
pub fn run() {
    println!("parser: start line, Call-ID, CSeq, tags, top Via, Contact of each message");
    for (name, bytes) in MESSAGES {
        assert!(ours(bytes) && theirs(bytes), "{name}: both parsers must read it");
        let (mut best_ours, mut best_theirs) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            best_ours = best_ours.min(round_ns(bytes, ours));
            best_theirs = best_theirs.min(round_ns(bytes, theirs));
        }
        println!(
            "  {name:<24} {:>4} bytes  sip-monitor {best_ours:>5.0} ns {:>9.0}/s {:>2} allocations  \
             rsipstack {best_theirs:>6.0} ns {:>8.0}/s {:>3} allocations  ratio {:.1}",
            bytes.len(),
            1e9 / best_ours,
            allocations(bytes, ours),
            1e9 / best_theirs,
            allocations(bytes, theirs),
            best_theirs / best_ours,
        );
    }
}

/// Everything is read and given away, so that no work can be left out; true where nothing was missing.
fn ours(bytes: &[u8]) -> bool {
    let Ok(message) = Message::parse(black_box(bytes)) else {
        return false;
    };
    let (Ok(call_id), Ok(cseq), Ok(from), Ok(to), Ok(via)) =
        (message.call_id(), message.cseq(), message.from(), message.to(), message.top_via())
    else {
        return false;
    };
    let contact = message.contacts().flatten().next();
    black_box((message.start_line(), call_id, cseq, from.tag(), to.tag(), via, contact));
    true
}

fn theirs(bytes: &[u8]) -> bool {
    let Ok(message) = SipMessage::try_from(black_box(bytes)) else {
        return false;
    };
    let headers = (message.call_id_header(), message.cseq_header(), message.from_header(), message.to_header());
    let (Ok(call_id), Ok(cseq), Ok(from), Ok(to)) = headers else {
        return false;
    };
    let (Ok(via), Ok(contact)) = (message.via_header(), message.contact_header()) else {
        return false;
    };
    let (Ok(cseq), Ok(from), Ok(to)) = (cseq.typed(), from.typed(), to.typed()) else {
        return false;
    };
    let (Ok(via), Ok(contact)) = (via.typed(), contact.typed()) else {
        return false;
    };
    black_box((call_id.value(), cseq, from.tag(), to.tag(), via.branch(), &via, contact, message.headers()));
    true
}

/// Nanoseconds a message over one round.
fn round_ns(bytes: &[u8], parse: fn(&[u8]) -> bool) -> f64 {
    let begin = Instant::now();
    let mut messages = 0u32;
    while begin.elapsed() < ROUND {
        for _ in 0..256 {
            black_box(parse(bytes));
        }
        messages += 256;
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(messages)
}

fn allocations(bytes: &[u8], parse: fn(&[u8]) -> bool) -> u64 {
    let before = allocator::allocations();
    black_box(parse(bytes));
    allocator::allocations() - before
}
