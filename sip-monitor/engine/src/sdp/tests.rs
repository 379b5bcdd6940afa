//! Descriptions as they are seen in the field, and `sdp-types` as an oracle for what it accepts.

use core::net::{Ipv6Addr, SocketAddr};

use super::*;

const PHONE: &str = "v=0\r\no=alice 2890844526 2890844527 IN IP4 host.example.com\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
m=audio 49170 RTP/AVP 0 8 18 101 9\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\n\
a=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\na=sendrecv\r\n";

const BROWSER: &str = "v=0\r\no=mozilla...THIS_IS_SDPARTA 42 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 AB:CD\r\n\
a=group:BUNDLE 0 1\r\na=ice-options:trickle\r\na=ice-lite\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 109 0 101\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\na=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:8a5c\r\n\
a=ice-pwd:x\r\na=setup:actpass\r\na=rtpmap:109 opus/48000/2\r\na=fmtp:109 maxplaybackrate=48000;stereo=1\r\n\
a=candidate:0 1 UDP 2122252543 192.168.1.5 52034 typ host\r\n\
a=candidate:1 1 UDP 1686052863 203.0.113.9 61001 typ srflx raddr 192.168.1.5 rport 52034 generation 0\r\n\
a=candidate:2 1 TCP 2105524479 4c3b.local 9 typ host tcptype active\r\n\
m=video 0 UDP/TLS/RTP/SAVPF 120\r\nc=IN IP4 0.0.0.0\r\na=bundle-only\r\na=mid:1\r\na=rtpmap:120 VP8/90000\r\n";

const FAX: &str = "v=0\r\no=gw 1 2 IN IP4 203.0.113.4\r\ns=fax\r\nc=IN IP4 203.0.113.4\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n\
m=image 30000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\n\
a=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";

const CRYPTO: &str = "v=0\r\no=- 1 1 IN IP6 2001:db8::5\r\ns=-\r\nc=IN IP6 2001:db8::5\r\nt=0 0\r\na=sendonly\r\n\
m=audio 5000 RTP/SAVP 8\r\na=rtcp:5005 IN IP6 2001:db8::6\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19z|2^20\r\n\
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:abc\r\nm=audio 5010/2 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127/3\r\na=recvonly\r\n";

fn read(text: &str) -> Sdp<'_> {
    Sdp::parse(text.as_bytes()).unwrap()
}

fn names(media: &Media<'_>) -> Vec<String> {
    media.codecs().map(|codec| format!("{}/{}", String::from_utf8_lossy(codec.name), codec.clock_rate_hz)).collect()
}

#[test]
fn a_phones_offer_has_its_codecs_in_order() {
    let sdp = read(PHONE);
    assert_eq!(sdp.origin().unwrap().version, b"2890844527");
    assert_eq!(sdp.origin().unwrap().address, SdpAddress::Name(b"host.example.com"));
    assert_eq!(sdp.session_name(), Some(&b"-"[..]));
    let media = sdp.media().next().unwrap();
    assert_eq!((media.kind, media.port, media.direction), (MediaKind::Audio, 49170, Direction::SendRecv));
    assert_eq!(names(&media), ["PCMU/8000", "PCMA/8000", "G729/8000", "telephone-event/8000", "G722/8000"]);
    assert_eq!(media.codec(18).unwrap().fmtp, Some(&b"annexb=no"[..]));
    assert_eq!((media.telephone_event(), media.ptime_ms(), media.maxptime_ms()), (Some(101), Some(20), Some(150)));
    assert_eq!(media.rtp_endpoint(), "198.51.100.7:49170".parse().ok());
    assert_eq!(media.rtcp_endpoint(), "198.51.100.7:49171".parse().ok());
    assert_eq!(sdp.junk_lines(), 0);
}

#[test]
fn a_browsers_offer_has_ice_bundle_and_dtls() {
    let sdp = read(BROWSER);
    assert!(sdp.is_ice_lite() && sdp.is_bundled(b"0") && sdp.is_bundled(b"1") && !sdp.is_bundled(b"2"));
    let media: Vec<_> = sdp.media().collect();
    let [audio, video] = &media[..] else { panic!("{media:?}") };
    assert!(audio.is_rtp() && audio.is_secure() && audio.is_unspecified() && audio.rtcp_mux());
    let opus = audio.codec(109).unwrap();
    assert_eq!((opus.is("OPUS"), opus.clock_rate_hz, opus.channels), (true, 48000, 2));
    assert_eq!(audio.codec(101).unwrap().clock_rate_hz, 0);
    assert_eq!((audio.setup(), audio.ice_ufrag()), (Some(&b"actpass"[..]), Some(&b"8a5c"[..])));
    assert_eq!(video.fingerprint(), Some(&b"sha-256 AB:CD"[..]));
    assert!(!video.is_refused());
    let candidates: Vec<_> = audio.candidates().collect();
    assert_eq!(candidates[0].address, "192.168.1.5".parse().ok());
    assert_eq!((candidates[1].kind, candidates[1].port), (CandidateType::ServerReflexive, 61001));
    assert_eq!(candidates[1].related, Some(("192.168.1.5".parse().unwrap(), 52034)));
    assert_eq!((candidates[2].address, candidates[2].transport), (None, &b"TCP"[..]));
}

#[test]
fn a_fax_has_its_t38_attributes_and_the_refused_audio_keeps_its_place() {
    let sdp = read(FAX);
    let media: Vec<_> = sdp.media().collect();
    assert!(media[0].is_refused() && media[0].rtp_endpoint().is_none());
    assert!(media[1].is_t38() && !media[1].is_rtp());
    assert_eq!(media[1].codecs().count(), 0);
    let t38 = media[1].t38();
    assert_eq!((t38.version, t38.max_bit_rate, t38.max_datagram), (Some(0), Some(14400), Some(400)));
    assert_eq!((t38.rate_management, t38.udp_ec), (Some(&b"transferredTCF"[..]), Some(&b"t38UDPRedundancy"[..])));
}

#[test]
fn addresses_and_directions_of_the_media_override_the_sessions() {
    let sdp = read(CRYPTO);
    let media: Vec<_> = sdp.media().collect();
    assert_eq!((media[0].direction, media[1].direction), (Direction::SendOnly, Direction::RecvOnly));
    assert_eq!(media[0].rtcp_endpoint(), Some(SocketAddr::new("2001:db8::6".parse().unwrap(), 5005)));
    assert_eq!(media[0].cryptos().map(|crypto| crypto.tag).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(media[0].cryptos().next().unwrap().suite, b"AES_CM_128_HMAC_SHA1_80");
    assert_eq!((media[1].port_count, media[1].address), (2, Some(SdpAddress::Ip("224.2.1.1".parse().unwrap()))));
    assert!(!media[1].is_secure());
}

#[test]
fn hold_the_old_way_is_an_unspecified_address() {
    let held = PHONE.replace("198.51.100.7", "0.0.0.0");
    assert!(read(&held).media().next().unwrap().is_unspecified());
    let held = PHONE.replace("IP4 198.51.100.7", "IP6 ::");
    assert_eq!(read(&held).address().unwrap().ip(), Some(Ipv6Addr::UNSPECIFIED.into()));
}

#[test]
fn lf_alone_blank_lines_and_junk_are_read_over_and_counted() {
    let text = PHONE.replace("\r\n", "\n").replace("a=ptime", "\nhello\n= x\n a=indented\na=ptime");
    let sdp = read(&text);
    assert_eq!(sdp.junk_lines(), 3);
    assert_eq!(sdp.media().next().unwrap().ptime_ms(), Some(20));
}

#[test]
fn an_m_line_that_cannot_be_read_keeps_its_place() {
    let text = "v=0\nm=audio x RTP/AVP 0\nm=video 99999 RTP/AVP 31\nm=\nm=audio 7 RTP/AVP 0\n";
    let sdp = read(text);
    let ports: Vec<_> = sdp.media().map(|media| media.port).collect();
    assert_eq!((ports, sdp.junk_lines()), (vec![0, 0, 0, 7], 3));
    assert_eq!(sdp.media().last().unwrap().rtp_endpoint(), None);
}

#[test]
fn a_name_may_stand_where_an_address_does() {
    let text = PHONE.replace("IP4 198.51.100.7", "IP4 media.example.com");
    let sdp = read(&text);
    assert_eq!((sdp.address(), sdp.junk_lines()), (Some(SdpAddress::Name(b"media.example.com")), 0));
    assert_eq!(sdp.media().next().unwrap().rtp_endpoint(), None);
    let text = PHONE.replace("IN IP4 198.51.100.7", "IN IP4");
    assert_eq!((read(&text).address(), read(&text).junk_lines()), (None, 1));
}

#[test]
fn what_has_no_line_is_no_sdp() {
    for text in ["", "\r\n", "hello", "<sdp/>", "v 0"] {
        assert!(Sdp::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn rtpmap_of_a_static_type_wins_over_the_table() {
    let sdp = read("m=audio 7 RTP/AVP 0 200 0 96 x\na=rtpmap:0 weird/16000\na=rtpmap:96 AMR-WB/16000/0\n");
    let media = sdp.media().next().unwrap();
    assert_eq!(names(&media), ["weird/16000", "AMR-WB/16000"]);
    assert_eq!(media.codec(96).unwrap().channels, 1);
}

/// Both readers must see the same session, where the stricter one sees one at all.
fn assert_same_as_oracle(text: &str) -> bool {
    let Ok(oracle) = sdp_types::Session::parse(text.as_bytes()) else {
        return false;
    };
    let sdp = read(text);
    let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let address = |connection: &sdp_types::Connection| {
        connection.connection_address.split('/').next().unwrap_or_default().to_owned()
    };
    let written = |address: SdpAddress<'_>| match address {
        SdpAddress::Ip(ip) => ip.to_string(),
        SdpAddress::Name(name) => owned(name),
    };
    assert_eq!(sdp.session_name().map(owned), Some(oracle.session_name.clone()));
    let origin = sdp.origin().unwrap();
    assert_eq!(owned(origin.session_id), oracle.origin.sess_id);
    assert_eq!(owned(origin.version), oracle.origin.sess_version.to_string());
    assert_eq!(sdp.address().map(written), oracle.connection.as_ref().map(address));
    assert_eq!(sdp.attributes().count(), oracle.attributes.len());
    assert_eq!(sdp.media().count(), oracle.medias.len());
    for (media, theirs) in sdp.media().zip(&oracle.medias) {
        assert_eq!((owned(media.kind_token), media.port), (theirs.media.clone(), theirs.port));
        assert_eq!(media.port_count, theirs.num_ports.unwrap_or(1));
        assert_eq!((owned(media.proto), owned(media.formats)), (theirs.proto.clone(), theirs.fmt.clone()));
        let connection = theirs.connections.first().or(oracle.connection.as_ref());
        assert_eq!(media.address.map(written), connection.map(address));
        let attributes: Vec<_> = media.attributes().map(|(name, value)| (owned(name), owned(value))).collect();
        let expected: Vec<_> =
            theirs.attributes.iter().map(|a| (a.attribute.clone(), a.value.clone().unwrap_or_default())).collect();
        assert_eq!(attributes, expected);
    }
    true
}

#[test]
fn sdp_types_reads_the_same() {
    for text in [PHONE, BROWSER, FAX, CRYPTO] {
        assert!(assert_same_as_oracle(text), "the oracle refuses:\n{text}");
    }
}

proptest::proptest! {
    #[test]
    fn sdp_types_reads_the_same_of_made_up_sessions(
        kinds in proptest::collection::vec(0..4usize, 0..5),
        ports in proptest::collection::vec(0..=u16::MAX, 5),
        count in 1..4u16,
        session_address in proptest::option::of(proptest::arbitrary::any::<core::net::Ipv4Addr>()),
        media_address in proptest::arbitrary::any::<core::net::Ipv6Addr>(),
        junk in "[a-z]{1,9}(:[!-~]([ -~]{0,9}[!-~])?)?",
    ) {
        let mut text = "v=0\r\no=- 12 34 IN IP4 10.0.0.1\r\ns=made up\r\n".to_owned();
        if let Some(address) = session_address {
            text += &format!("c=IN IP4 {address}\r\n");
        }
        text += "t=0 0\r\n";
        for (kind, port) in kinds.iter().zip(&ports) {
            let (media, proto, formats) =
                [("audio", "RTP/AVP", "0 8"), ("video", "RTP/SAVPF", "96"), ("image", "udptl", "t38"), ("application", "TCP/BFCP", "*")][*kind];
            text += &format!("m={media} {port}/{count} {proto} {formats}\r\n");
            if *kind % 2 == 0 || session_address.is_none() {
                text += &format!("c=IN IP6 {media_address}\r\n");
            }
            text += &format!("a=mid:{kind}\r\na={junk}\r\n");
        }
        proptest::prop_assert!(assert_same_as_oracle(&text), "{}", text);
    }
}
