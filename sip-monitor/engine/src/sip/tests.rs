//! Whole messages: what is read of one, and what is found wrong with it.

use super::*;

/// A message with everything mandatory; `extra` are header lines with their CRLF.
fn request(extra: &str) -> Vec<u8> {
    format!(
        "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c@h\r\nCSeq: 1 INVITE\r\n{extra}\r\n"
    )
    .into_bytes()
}

fn faults(bytes: &[u8]) -> Vec<Fault> {
    Message::parse(bytes).unwrap().faults().iter().collect()
}

#[test]
fn a_usual_request_has_no_fault() {
    let bytes = request("Contact: <sip:a@192.0.2.1:5060>\r\nContent-Length: 0\r\n");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.method(), Some(Method::Invite));
    assert_eq!(message.call_id(), Ok(&b"c@h"[..]));
    assert_eq!(message.contact_uri(), Some(&b"sip:a@192.0.2.1:5060"[..]));
    assert!(message.faults().is_empty());
    assert!(!message.headers.spilled());
}

#[test]
fn folds_compact_names_and_odd_spacing_are_read_as_one_header_each() {
    let bytes = b"INVITE sip:v@chair.example.net;unknown SIP/2.0\r\nTO :\r\n sip:v@chair.example.net ;   tag    = 19n\r\n\
        from   : \"J R \\\\\\\"\"       <sip:j@example.net>\r\n  ;\r\n  tag = 98a\r\nmAx-FoRwArDs: 0068\r\n\
        I: ws.1@192.0.2.9\r\ncseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.9;branch=z9hG4bK3\r\n\
        v:  SIP  / 2.0  / TCP     s.example.net   ;\r\n  branch  =   z9hG4bK9  ,\r\n SIP  /    2.0   / UDP  192.168.255.1   ; branch=\r\n z9hG4bK30\r\n\
        s :\r\nNew: one\r\n two\r\nl :0\r\nm:\"Quoted \\\"\\\"\" <sip:j@example.net> ; new =\r\n      value ;\r\n  second ; q = 0.33\r\n\r\n";
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.cseq().unwrap().number, 9);
    assert_eq!((message.from().unwrap().tag(), message.to().unwrap().tag()), (Some(&b"98a"[..]), Some(&b"19n"[..])));
    let branches: Vec<_> = message.vias().map(|via| via.unwrap().branch.unwrap()).collect();
    assert_eq!(branches, [&b"z9hG4bK3"[..], b"z9hG4bK9", b"z9hG4bK30"]);
    assert_eq!(message.headers_named(b"NEW").collect::<Vec<_>>(), [&b"one\r\n two"[..]]);
    assert_eq!(message.header(HeaderName::Subject), Some(&b""[..]));
    assert_eq!(message.contacts().next().unwrap().unwrap().q_milli(), Some(330));
    assert_eq!(message.faults().iter().collect::<Vec<_>>(), []);
}

#[test]
fn lines_that_end_in_lf_alone_are_read_and_noted() {
    let bytes: Vec<u8> =
        request("c: text/plain\r\nl: 2\r\n").into_iter().filter(|byte| *byte != b'\r').chain(*b"hi").collect();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.call_id(), message.body()), (Ok(&b"c@h"[..]), &b"hi"[..]));
    assert_eq!(faults(&bytes), [Fault::BareLineFeed]);
}

#[test]
fn keep_alives_and_noise_are_told_apart() {
    for bytes in [&b"\r\n\r\n"[..], b"\r\n", b"\0\0\0\0", b" ", b"\n"] {
        assert_eq!(Message::parse(bytes).err(), Some(NotSip::KeepAlive));
    }
    assert_eq!(Message::parse(b"").err(), Some(NotSip::Empty));
    assert_eq!(Message::parse(b"\x80\0\x12\x34 RTP\r\n").err(), Some(NotSip::StartLine));
    assert_eq!(Message::parse(b"GET / HTTP/1.1\r\n\r\n").err(), Some(NotSip::StartLine));
}

#[test]
fn line_feeds_before_a_message_are_skipped() {
    let bytes = [&b"\r\n\r\n"[..], &request("")].concat();
    assert_eq!(Message::parse(&bytes).unwrap().method(), Some(Method::Invite));
}

#[test]
fn bytes_that_are_no_text_stay_as_they_are() {
    let mut bytes = request("Subject: caf\u{e9}\u{0}\u{7f}\r\n");
    let latin = bytes.windows(2).position(|pair| pair == "\u{e9}".as_bytes()).unwrap();
    bytes.splice(latin..latin + 2, [0xe9]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.header(HeaderName::Subject), Some(&b"caf\xe9\0\x7f"[..]));
    assert!(message.faults().is_empty());
}

#[test]
fn very_long_values_are_kept_whole() {
    let long = "x".repeat(10_000);
    let bytes = request("").iter().map(|byte| char::from(*byte)).collect::<String>().replace("c@h", &long);
    let message = Message::parse(bytes.as_bytes()).unwrap();
    assert_eq!(message.call_id(), Ok(long.as_bytes()));
    let bytes = request(&format!("X: {}\r\n", "y".repeat(64 * 1024)));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.headers_named(b"x").next().map(<[u8]>::len), Some(64 * 1024));
}

#[test]
fn headers_beyond_the_limit_are_skipped_but_the_body_is_found() {
    let bytes = [request(&"a: b\r\n".repeat(3000)), b"body".to_vec()].concat();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.all_headers().count(), Message::MAX_HEADERS);
    assert_eq!(message.body(), b"body");
    assert!(message.faults().contains(Fault::TooManyHeaders));
}

#[test]
fn the_first_of_a_single_header_counts() {
    let bytes =
        request("Call-ID: other\r\nCSeq: 2 BYE\r\nVia: SIP/2.0/UDP h\r\nContact: <sip:x@y>\r\nContact: <sip:z@y>\r\n");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.call_id(), message.cseq().unwrap().number), (Ok(&b"c@h"[..]), 1));
    assert_eq!((message.vias().count(), message.contacts().count()), (2, 2));
    assert_eq!(faults(&bytes), [Fault::DuplicateHeader]);
}

#[test]
fn what_is_missing_is_said_and_the_rest_is_read() {
    let bytes = b"INVITE sip:a@b SIP/2.0\r\nSubject: x\r\n\r\n";
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.call_id(), Err(Fault::CallIdMissing));
    assert_eq!(message.top_via(), Err(Fault::ViaMissing));
    let expected = [
        Fault::CallIdMissing,
        Fault::CSeqMissing,
        Fault::FromMissing,
        Fault::ToMissing,
        Fault::ViaMissing,
        Fault::MaxForwardsMissing,
    ];
    assert_eq!(faults(bytes), expected);
}

#[test]
fn a_message_cut_inside_its_headers_keeps_those_it_has() {
    let bytes = b"SIP/2.0 200 OK\r\nCall-ID: c\r\nCSeq: 7 INV";
    let message = Message::parse(bytes).unwrap();
    assert_eq!((message.code(), message.call_id()), (Some(200), Ok(&b"c"[..])));
    assert!(message.faults().contains(Fault::HeadersCut));
    assert_eq!(message.body(), b"");
}

#[test]
fn a_response_has_the_method_of_its_cseq_even_with_a_wild_number() {
    let message = Message::parse(b"SIP/2.0 200 OK\r\nCSeq: 99999999999999999999 BYE\r\n\r\n").unwrap();
    assert_eq!((message.method(), message.cseq()), (Some(Method::Bye), Err(Fault::CSeqNumber)));
    assert_eq!(Message::parse(b"SIP/2.0 200 OK\r\n\r\n").unwrap().method(), None);
}

#[test]
fn one_bad_header_spoils_no_other() {
    let extra = "Contact: <>\r\nRoute: ;;\r\nno colon here\r\nBad Name: x\r\nExpires: soon\r\nSession-Expires: x\r\n\
                 Reason: ;\r\nRSeq: x\r\nAuthorization: Digest\r\nSession-ID: 1\r\nl: 5\r\n";
    let bytes = request(extra);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.call_id(), Ok(&b"c@h"[..]));
    let expected = [
        Fault::HeaderLine,
        Fault::Contact,
        Fault::Route,
        Fault::BodyCut,
        Fault::Seconds,
        Fault::Reason,
        Fault::Reliable,
        Fault::SessionTimer,
        Fault::Auth,
        Fault::Extension,
    ];
    assert_eq!(faults(&bytes), expected);
}

#[test]
fn a_header_line_that_is_indented_is_no_fold_of_the_start_line() {
    let bytes = b"BYE sip:a@b SIP/2.0\r\n Call-ID: c\r\nCSeq: 1 BYE\r\n\r\n";
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.call_id(), Ok(&b"c"[..]));
    assert!(message.faults().contains(Fault::HeaderLine));
}

#[test]
fn a_request_whose_cseq_names_another_method_keeps_its_own() {
    let bytes = b"OPTIONS sip:a@b SIP/2.0\r\nCSeq: 8 INVITE\r\n\r\n";
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.method(), Some(Method::Options));
    assert!(message.faults().contains(Fault::CSeqMismatch));
}

#[test]
fn octets_behind_a_datagrams_message_are_no_second_message() {
    let bytes = [request("Content-Length: 0\r\n"), request("")].concat();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.body(), message.vias().count()), (&b""[..], 1));
    assert_eq!(faults(&bytes), [Fault::TrailingOctets]);
}

#[test]
fn identities_come_from_the_network_first() {
    let bytes = request("Remote-Party-ID: <sip:r@h>\r\nP-Asserted-Identity: <sip:p@h>, <tel:+1>\r\n");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.asserted_identity().unwrap().uri, b"sip:p@h");
    let bytes = request("Remote-Party-ID: <sip:r@h>\r\n");
    assert_eq!(Message::parse(&bytes).unwrap().asserted_identity().unwrap().uri, b"sip:r@h");
}

#[test]
fn option_tags_are_tokens_of_a_list() {
    let bytes = request("Require: 100rel\r\nk: timer,, Replaces\r\nAllow: INVITE, ACK, FOO\r\n");
    let message = Message::parse(&bytes).unwrap();
    assert!(message.has_token(HeaderName::Require, "100REL"));
    assert_eq!(message.supported().collect::<Vec<_>>(), [&b"timer"[..], b"Replaces"]);
    assert_eq!(message.allow().last(), Some(Method::Other(b"FOO")));
}
