//! No bytes make a parser panic, read outside of its input, or take more than linear time.

mod exercise;

use proptest::prelude::*;
use sip_monitor_engine::sip::Uri;

const INVITE: &[u8] = b"INVITE sip:bob@[2001:db8::10]:5070;lr SIP/2.0\r\n\
Via: SIP / 2.0 / UDP proxy.example.com:5061 ;branch=z9hG4bK1;received=[2001:db8::9];rport=41000,\r\n SIP/2.0/TCP 192.0.2.1\r\n\
Record-Route: <sip:p1.example.com;lr>, \"a, b\" <sip:p2.example.com;lr>\r\n\
Max-Forwards: 70\r\n\
f: \"Alice \\\"A\\\" <x>\" <sip:alice@example.com>;tag=88sja8x\r\n\
t: Bob <sip:bob:pw@example.com?Subject=x>\r\n\
i: 987asjd97y7atg@host\r\n\
CSeq: 986759 INVITE\r\n\
m: <sip:alice@192.0.2.1:5060;transport=udp>;expires=3600;q=0.7, *\r\n\
Session-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\nRAck: 1 2 INVITE\r\nRSeq: 1\r\n\
Reason: Q.850;cause=16;text=\"Normal; clearing\"\r\nWarning: 304 host \"Media type not available\"\r\n\
WWW-Authenticate: Digest realm=\"a, b\", nonce=\"n==\", stale=true\r\n\
Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\r\n\
Replaces: x@y;to-tag=1;from-tag=2\r\nSubscription-State: terminated;reason=noresource\r\nEvent: refer;id=1\r\n\
P-Asserted-Identity: \"A\" <tel:+12015550123;phone-context=x>\r\nExpires: 60 (soon)\r\n\
Content-Type: multipart/mixed;boundary=\"bo und\"\r\nContent-Length: 900\r\n\r\n\
--bo und\r\nContent-Type: application/sdp\r\n\r\n\
v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=x\r\nc=IN IP4 192.0.2.1/127\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=sendonly\r\n\
m=audio 4000/2 RTP/SAVP 0 8 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\n\
a=rtcp:4001 IN IP4 192.0.2.2\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\na=mid:0\r\na=ptime:20\r\n\
a=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ srflx raddr 10.0.0.1 rport 4002\r\n\
m=image 4004 udptl t38\r\na=T38FaxVersion:0\r\nc=IN IP6 ::1\r\n\
--bo und--\r\n";

/// SR with one block, SDES with a CNAME, XR with VoIP metrics, feedback, APP, BYE with a reason.
fn compound() -> Vec<u8> {
    let sr = [&[0x81, 200, 0, 12][..], &[7; 24], &[1; 24]].concat();
    let sdes = [&[0x81, 202, 0, 4][..], &[0, 0, 0, 1, 1, 5, b'a', b'@', b'h', b'.', b'x', 0], &[0; 4]].concat();
    let xr = [&[0x80, 207, 0, 10][..], &[0, 0, 0, 1, 7, 0, 0, 8], &[3; 32]].concat();
    let feedback = [&[0x81, 205, 0, 3][..], &[9; 12]].concat();
    let app = [&[0x80, 204, 0, 2][..], &[0, 0, 0, 1], b"test"].concat();
    let bye = [&[0x81, 203, 0, 3][..], &[0, 0, 0, 1, 4, b'd', b'o', b'n', b'e', 0, 0, 0]].concat();
    [sr, sdes, xr, feedback, app, bye].concat()
}

/// A change to valid bytes: what stands at a place is replaced by other bytes, often by such that mean something.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let telling = prop::sample::select(&b"\r\n \t,;:<>\"\\@[]=?/*.0919\x00\x7f\x80\xff"[..]);
    let inserted = prop_oneof![prop::collection::vec(telling, 0..6), prop::collection::vec(any::<u8>(), 0..4)];
    (any::<prop::sample::Index>(), 0..40usize, inserted)
}

fn mutated(valid: &[u8], mutations: &[(prop::sample::Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for (at, removed, inserted) in mutations {
        let start = at.index(bytes.len() + 1);
        let end = (start + removed).min(bytes.len());
        bytes.splice(start..end, inserted.iter().copied());
    }
    bytes
}

fn uri_part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "sip:",
        "sips:",
        "tel:",
        "SIP:",
        "alice",
        "+15551230001",
        "@",
        "example.com",
        "203.0.113.7",
        ":",
        "5060",
        ";",
        "lr",
        "?",
        "=",
        "[",
        "2001:db8::1",
        "]",
        "<",
        ">",
        " ",
        "",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        exercise::sip(&bytes);
        exercise::sdp(&bytes);
        exercise::rtcp(&bytes);
    }

    /// Two ways to the same: the short one must not read what the long one does not.
    #[test]
    fn the_user_of_a_uri_is_the_same_with_and_without_reading_the_rest(parts in prop::collection::vec(uri_part(), 0..9)) {
        let uri = parts.concat();
        prop_assert_eq!(Uri::user_of(uri.as_bytes()), Uri::parse(uri.as_bytes()).ok().and_then(|uri| uri.user));
    }

    #[test]
    fn mutated_messages_never_panic(mutations in prop::collection::vec(mutation(), 1..12)) {
        exercise::sip(&mutated(INVITE, &mutations));
        exercise::rtcp(&mutated(&compound(), &mutations));
    }
}

#[test]
fn every_truncation_is_read_as_far_as_it_goes() {
    for length in 0..=INVITE.len() {
        exercise::sip(&INVITE[..length]);
        exercise::sip(&INVITE[length..]);
    }
    let compound = compound();
    for length in 0..=compound.len() {
        exercise::rtcp(&compound[..length]);
        exercise::rtcp(&compound[length..]);
    }
}

#[test]
fn hostile_repetition_takes_linear_time() {
    let begin = std::time::Instant::now();
    for piece in [
        &b"\""[..],
        b"<",
        b",",
        b";",
        b"\\\"",
        b";\"\\\"",
        b"\\\",",
        b",\"<",
        b"a\n",
        b"a:\n",
        b":\n ",
        b"--b\r\n",
        b"@",
        b"m=a 1 b 1 \n",
        b"a=rtpmap:1 x\n",
        b"(",
        b"[",
        b"]:",
        b"=",
        b" ",
        b"1 ",
    ] {
        let filling = piece.repeat(64 * 1024 / piece.len());
        for head in [
            &b""[..],
            b"INVITE sip:a@b SIP/2.0\r\n",
            b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;",
            b"INVITE sip:a@b SIP/2.0\r\nm: ",
            b"INVITE sip:a@b SIP/2.0\r\nf: \"",
            b"INVITE sip:a@b SIP/2.0\r\nWWW-Authenticate: Digest ",
            b"INVITE sip:a@b SIP/2.0\r\nc: multipart/mixed;boundary=b\r\n\r\n",
            b"INVITE sip:a@b SIP/2.0\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 1 2 3\r\n",
            b"INVITE sip:a@b SIP/2.0\r\n\r\nv=0\r\nm=audio 1 RTP/AVP ",
        ] {
            exercise::sip(&[head, &filling].concat());
        }
    }
    // 189 messages of 64 KiB; quadratic reading of one alone would take longer.
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
