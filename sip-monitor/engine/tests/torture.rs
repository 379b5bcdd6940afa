//! The torture messages of RFC 4475 and RFC 5118, read from the corpus (`SIP_MONITOR_CORPUS`, else `../shared/corpus`).
//! One row a message: what a passive monitor must read of it, and what it must find wrong.

use std::path::PathBuf;

use sip_monitor_engine::sdp::Sdp;
use sip_monitor_engine::sip::{Fault, HeaderName, Host, Message, Method, Uri};

/// file, class, method, code, CSeq, From tag (`*`: a long one), To tag, Vias, Contacts, octets of body, m-lines, faults.
const TABLE: &str = r#"
rfc4475/badaspec    invalid   OPTIONS                     -    3923239     433423              -                 1   0  0    0  address-space
rfc4475/badbranch   semantic  OPTIONS                     -    8           33242               -                 1   0  0    0  branch
rfc4475/baddate     invalid   INVITE                      -    1392934     2234923             -                 1   1  150  2  date
rfc4475/baddn       invalid   OPTIONS                     -    3923239     43                  -                 1   0  0    0  headers-cut display-name
rfc4475/badinv01    invalid   INVITE                      -    8           134161461246        -                 1   1  152  2  via branch empty-element
rfc4475/badvers     invalid   OPTIONS                     -    1           qweoiqpe            -                 1   0  0    0  version
rfc4475/bcast       semantic  INVITE                      200  35          11141343            2229              2   1  154  2  -
rfc4475/bext01      semantic  OPTIONS                     -    8           242etr              -                 1   0  0    0  -
rfc4475/bigcode     invalid   INVITE                      -    353494      39ansfi3            902jndnke3        1   1  0    0  status-code
rfc4475/clerr       invalid   INVITE                      -    8           93942939o2          -                 1   1  154  2  body-cut
rfc4475/cparam01    semantic  REGISTER                    -    2           DkfVgjkrtMwaerKKpe  -                 1   1  0    0  -
rfc4475/cparam02    semantic  REGISTER                    -    3           838293              -                 1   1  0    0  -
rfc4475/dblreq      valid     REGISTER                    -    8           43251j3j324         -                 1   1  0    0  trailing-octets
rfc4475/esc01       valid     INVITE                      -    234234      938                 -                 1   1  150  2  -
rfc4475/esc02       valid     RE%47IST%45R                -    29344       f232jadfj23         -                 1   2  0    0  -
rfc4475/escnull     valid     REGISTER                    -    14398234    839923423           -                 1   2  0    0  -
rfc4475/escruri     invalid   INVITE                      -    149209342   341518              -                 1   1  150  2  request-uri
rfc4475/insuf       semantic  INVITE                      -    193942      -                   -                 1   0  152  2  call-id-missing from-missing to-missing max-forwards-missing
rfc4475/intmeth     valid     !interesting-Method0123456789_*+`.%indeed'~  -    139122385   _token~1'+`*%!-.    -                 1   0  0    0  -
rfc4475/inv2543     compat    INVITE                      -    56          -                   -                 1   0  105  1  from-tag-missing branch max-forwards-missing
rfc4475/invut       semantic  INVITE                      -    235448      8392034             -                 1   1  40   0  -
rfc4475/longreq     valid     INVITE                      -    3882340     *                   -                 34  1  150  2  branch
rfc4475/ltgtruri    invalid   INVITE                      -    1           39291               -                 1   1  159  2  request-uri branch angle-bracket
rfc4475/lwsdisp     valid     OPTIONS                     -    60          323                 -                 1   0  0    0  -
rfc4475/lwsruri     invalid   INVITE                      -    2130706432  231413434           3xfe-9921883-z9f  1   1  159  2  request-uri
rfc4475/lwsstart    invalid   INVITE                      -    1893884     8814                -                 1   1  150  2  start-line-space
rfc4475/mcl01       semantic  OPTIONS                     -    15932       3923942             -                 1   0  13   0  duplicate-header trailing-octets
rfc4475/mismatch01  invalid   OPTIONS                     -    8           34525               -                 1   0  0    0  cseq-mismatch
rfc4475/mismatch02  invalid   NEWMETHOD                   -    8           34525               -                 1   1  138  2  cseq-mismatch
rfc4475/mpart01     valid     MESSAGE                     -    1           2fb0dcc9            -                 1   1  553  0  -
rfc4475/multi01     semantic  INVITE                      -    5           3413415             -                 1   2  154  2  duplicate-header
rfc4475/ncl         invalid   INVITE                      -    0           32394234            -                 1   1  152  2  content-length
rfc4475/noreason    valid     INVITE                      100  35          39ansfi3            902jndnke3        1   1  0    0  -
rfc4475/novelsc     semantic  OPTIONS                     -    3923423     384                 -                 1   0  0    0  -
rfc4475/quotbal     invalid   INVITE                      -    8           93334               -                 1   1  152  2  quote
rfc4475/regaut01    semantic  REGISTER                    -    9338        87321hj23128        -                 1   0  0    0  -
rfc4475/regbadct    invalid   REGISTER                    -    1           998332              -                 1   1  0    0  address-unbracketed
rfc4475/regescrt    semantic  REGISTER                    -    14398234    8                   -                 1   1  0    0  -
rfc4475/scalar02    invalid   REGISTER                    -    -           239232jh3           -                 1   1  0    0  cseq-number max-forwards seconds
rfc4475/scalarlg    invalid   OPTIONS                     503  -           2easdjfejw          -                 1   0  0    0  cseq-number seconds warning
rfc4475/sdp01       semantic  INVITE                      -    8           234                 -                 1   1  150  2  -
rfc4475/semiuri     valid     OPTIONS                     -    8           33242               -                 1   0  0    0  -
rfc4475/transports  valid     OPTIONS                     -    60          323                 -                 5   0  0    0  -
rfc4475/trws        invalid   OPTIONS                     -    238923      329429089           -                 1   0  0    0  start-line-space
rfc4475/unkscm      semantic  OPTIONS                     -    3923423     384                 -                 1   0  0    0  -
rfc4475/unksm2      semantic  REGISTER                    -    234902      3234233             -                 1   1  0    0  -
rfc4475/unreason    valid     INVITE                      200  35          11141343            2229              1   1  154  2  -
rfc4475/wsinv       valid     INVITE                      -    9           98asjd8             1918181833n       3   1  150  2  branch
rfc4475/zeromf      semantic  OPTIONS                     -    39234321    3ghsd41             -                 1   0  0    0  -
rfc5118/4.10.1_ipv6-bug-abnf-3-colons        invalid  OPTIONS   -  689    810x2  -         1  0  0    0  request-uri host
rfc5118/4.10.2_ipv6-correct-abnf-2-colons    valid    OPTIONS   -  689    810x2  -         1  0  0    0  -
rfc5118/4.1_ipv6-good                        valid    REGISTER  -  98176  81x2   -         1  1  0    0  -
rfc5118/4.2_ipv6-bad                         invalid  REGISTER  -  98176  81x2   -         1  1  0    0  request-uri host
rfc5118/4.3_port-ambiguous                   valid    REGISTER  -  98176  81x2   -         1  1  0    0  -
rfc5118/4.4_port-unambiguous                 valid    REGISTER  -  98176  81x2   -         1  1  0    0  -
rfc5118/4.5.1_via-received-param-with-delim  valid    BYE       -  321    81x2   bd76ya    1  0  0    0  -
rfc5118/4.5.2_via-received-param-no-delim    invalid  OPTIONS   -  921    81x2   -         1  1  0    0  call-id address-space
rfc5118/4.6_ipv6-in-sdp                      invalid  INVITE    -  8612   81x2   -         1  1  249  2  body-cut
rfc5118/4.7_mult-ip-in-header                valid    BYE       -  89187  81x2   9817--94  3  0  0    0  -
rfc5118/4.8_mult-ip-in-sdp                   valid    INVITE    -  8912   81x2   -         1  1  181  2  trailing-octets
rfc5118/4.9_ipv4-mapped-ipv6                 valid    INVITE    -  612    81x2   -         2  1  236  2  trailing-octets
"#;

fn corpus() -> Option<PathBuf> {
    let given = std::env::var_os("SIP_MONITOR_CORPUS").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")));
    let torture = dir.join("torture");
    if !torture.is_dir() {
        println!("skipped: no corpus");
        return None;
    }
    Some(torture)
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

#[test]
fn every_torture_message_gives_what_its_table_says() {
    let Some(corpus) = corpus() else { return };
    let rows: Vec<_> = TABLE.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 49 + 12);
    for row in rows {
        let columns: Vec<_> = row.split_whitespace().collect();
        let [file, class, method, code, cseq, from_tag, to_tag, vias, contacts, body, media, expected @ ..] =
            &columns[..]
        else {
            panic!("{row}");
        };
        let bytes = std::fs::read(corpus.join(format!("{file}.dat"))).unwrap();
        let message = Message::parse(&bytes).unwrap_or_else(|error| panic!("{file}: {error:?}"));
        let faults = message.faults();

        assert_eq!(text(message.method().as_ref().map(Method::as_bytes)), *method, "{file}: method");
        assert_eq!(message.code().map_or("-".to_owned(), |code| code.to_string()), *code, "{file}: code");
        assert_eq!(message.cseq().map_or("-".to_owned(), |cseq| cseq.number.to_string()), *cseq, "{file}: CSeq");
        let read_tag = text(message.from().ok().and_then(|from| from.tag()));
        assert!(read_tag == *from_tag || (*from_tag == "*" && read_tag.len() > 100), "{file}: From tag {read_tag}");
        assert_eq!(text(message.to().ok().and_then(|to| to.tag())), *to_tag, "{file}: To tag");
        assert_eq!(message.vias().flatten().count().to_string(), *vias, "{file}: Vias");
        assert_eq!(message.contacts().flatten().count().to_string(), *contacts, "{file}: Contacts");
        assert_eq!(message.body().len().to_string(), *body, "{file}: body");
        let read_media = message.sdp().map_or(0, |sdp| Sdp::parse(sdp).unwrap().media().count());
        assert_eq!(read_media.to_string(), *media, "{file}: m-lines");
        let names: Vec<_> = faults.iter().map(Fault::name).collect();
        assert_eq!(if names.is_empty() { vec!["-"] } else { names }, expected, "{file}: faults");

        // The RFC's classes: a valid message has nothing that a peer could refuse, an invalid one has.
        match *class {
            "valid" => assert!(faults.iter().all(Fault::is_tolerated), "{file}: {faults:?}"),
            "invalid" => assert!(!faults.iter().all(Fault::is_tolerated), "{file}: {faults:?}"),
            "semantic" | "compat" => {}
            other => panic!("{other}"),
        }
        // All Call-IDs of RFC 4475 but one begin with the name of the message.
        let name = file.strip_prefix("rfc4475/").filter(|name| !matches!(*name, "mpart01" | "insuf"));
        if let Some(name) = name {
            assert!(message.call_id().unwrap().starts_with(name.as_bytes()), "{file}: Call-ID");
        }
    }
}

#[test]
fn torture_messages_keep_what_their_rows_cannot_show() {
    let Some(corpus) = corpus() else { return };
    let read = |file: &str| std::fs::read(corpus.join(format!("{file}.dat"))).unwrap();

    let bytes = read("rfc4475/wsinv");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.call_id(), Ok(&b"wsinv.ndaksdj@192.0.2.1"[..]));
    assert_eq!(message.max_forwards(), Some(68));
    let hosts: Vec<_> = message.vias().flatten().map(|via| text(Some(via.sent_by))).collect();
    assert_eq!(hosts, ["192.0.2.2", "spindle.example.com", "192.168.255.111"]);
    assert_eq!(message.vias().flatten().last().unwrap().branch, Some(&b"z9hG4bK30239"[..]));
    let contact = message.contacts().flatten().next().unwrap();
    assert_eq!((contact.q_milli(), contact.address().unwrap().uri), (Some(330), &b"sip:jdrosen@example.com"[..]));
    assert_eq!(message.headers_named(b"newfangledheader").count(), 1);

    let bytes = read("rfc4475/transports");
    let message = Message::parse(&bytes).unwrap();
    let transports: Vec<_> = message.vias().flatten().map(|via| text(Some(via.transport))).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);

    let bytes = read("rfc4475/escnull");
    let message = Message::parse(&bytes).unwrap();
    let users: Vec<_> = message.contacts().flatten().map(|contact| contact.address().unwrap().uri).collect();
    assert_ne!(users[0], users[1]);

    let bytes = read("rfc4475/semiuri");
    let message = Message::parse(&bytes).unwrap();
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(uri.user, Some(&b"user;par=u%40example.net"[..]));

    let bytes = read("rfc4475/cparam01");
    let message = Message::parse(&bytes).unwrap();
    let contact = message.contacts().flatten().next().unwrap();
    assert!(contact.address().unwrap().params.has("unknownparam"));
    let bytes = read("rfc4475/cparam02");
    let message = Message::parse(&bytes).unwrap();
    let contact = message.contacts().flatten().next().unwrap();
    assert!(!contact.address().unwrap().params.has("unknownparam"));
    assert!(contact.address().unwrap().parse_uri().unwrap().params.has("unknownparam"));

    let bytes = read("rfc4475/quotbal");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.to().unwrap().uri, b"sip:j.user@example.com");

    let bytes = read("rfc4475/scalar02");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.expires(), message.max_forwards()), (Some(u32::MAX), None));
    assert_eq!(message.contacts().flatten().next().unwrap().expires(), Some(u32::MAX));

    let bytes = read("rfc4475/bcast");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.top_via().unwrap().host_port().host.ip(), "192.0.2.198".parse().ok());

    let bytes = read("rfc4475/mpart01");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.parts().map(|part| part.bytes.len()).collect::<Vec<_>>().len(), 2);
    assert_eq!(message.parts().next().unwrap().bytes, b"Hello");

    let bytes = read("rfc4475/unreason");
    assert_eq!(Message::parse(&bytes).unwrap().header(HeaderName::CSeq), Some(&b"35 INVITE"[..]));

    let bytes = read("rfc5118/4.2_ipv6-bad");
    let uri = Uri::parse(Message::parse(&bytes).unwrap().request_uri().unwrap()).unwrap();
    assert_eq!(uri.fault, Some(Fault::Host));
    let bytes = read("rfc5118/4.3_port-ambiguous");
    let uri = Uri::parse(Message::parse(&bytes).unwrap().request_uri().unwrap()).unwrap();
    assert_eq!((uri.host, uri.port), (Some(Host::Ipv6("2001:db8::10:5070".parse().unwrap())), None));
    for file in ["rfc5118/4.5.1_via-received-param-with-delim", "rfc5118/4.5.2_via-received-param-no-delim"] {
        let bytes = read(file);
        let via = Message::parse(&bytes).unwrap().top_via().unwrap();
        assert_eq!(via.received, Some(Host::Ipv6("2001:db8::9:255".parse().unwrap())), "{file}");
    }
    let bytes = read("rfc5118/4.8_mult-ip-in-sdp");
    let sdp = Sdp::parse(Message::parse(&bytes).unwrap().sdp().unwrap()).unwrap();
    let ends: Vec<_> = sdp.media().filter_map(|media| media.rtp_endpoint()).map(|end| end.to_string()).collect();
    assert_eq!(ends, ["192.0.2.1:22334", "[2001:db8::1]:6024"]);
    let bytes = read("rfc5118/4.9_ipv4-mapped-ipv6");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.top_via().unwrap().host_port().host.ip(), "::ffff:192.0.2.10".parse().ok());
    assert_eq!(message.top_via().unwrap().host_port().port, Some(19823));
}
