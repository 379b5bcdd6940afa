//! Reads everything that can be read, and checks that each view lies inside the bytes it was made from. Used by the
//! property tests and by the fuzz targets.

use sip_monitor_engine::rtp::{Rtcp, RtcpPacket, RtpHeader};
use sip_monitor_engine::sdp::Sdp;
use sip_monitor_engine::sip::{Fault, Framing, HeaderName, Message, NameAddr, Uri, frame};

/// Panics where `part` is not a part of `whole`. Empty views may come from anywhere.
fn inside(whole: &[u8], part: &[u8]) {
    if !part.is_empty() {
        assert!(whole.as_ptr_range().start <= part.as_ptr_range().start, "view begins before its message");
        assert!(part.as_ptr_range().end <= whole.as_ptr_range().end, "view ends behind its message");
    }
}

fn uri(whole: &[u8], bytes: &[u8]) {
    inside(whole, bytes);
    if let Ok(uri) = Uri::parse(bytes) {
        uri.user.into_iter().chain(uri.password).chain([uri.scheme, uri.headers]).for_each(|part| inside(whole, part));
        uri.params.iter().for_each(|(name, value)| {
            inside(whole, name);
            inside(whole, value.unwrap_or_default());
        });
    }
}

fn address(whole: &[u8], address: Result<NameAddr<'_>, Fault>) {
    if let Ok(address) = address {
        inside(whole, address.display);
        uri(whole, address.uri);
        inside(whole, address.tag().unwrap_or_default());
    }
}

/// One datagram of signalling.
pub fn sip(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match frame(rest) {
            Framing::Complete(length) | Framing::KeepAlive(length) | Framing::Garbage(length) => {
                assert!(length > 0 && length <= rest.len(), "framing does not advance");
                rest = &rest[length..];
            }
            Framing::Partial { needed } => {
                assert!(needed > 0);
                break;
            }
        }
    }
    uri(bytes, bytes);
    let Ok(message) = Message::parse(bytes) else { return };
    message.all_headers().for_each(|(_, name, value)| {
        inside(bytes, name);
        inside(bytes, value);
    });
    message.vias().flatten().for_each(|via| {
        inside(bytes, via.sent_by);
        inside(bytes, via.branch.unwrap_or_default());
    });
    message.contacts().flatten().for_each(|contact| {
        let _ = (contact.expires(), contact.q_milli());
        address(bytes, contact.address().copied().ok_or(Fault::Contact));
    });
    message.routes().chain(message.record_routes()).for_each(|route| address(bytes, route));
    for name in HeaderName::ALL {
        message.addresses(*name).for_each(|value| address(bytes, value));
        message.list(*name).for_each(|value| inside(bytes, value));
    }
    message.reasons().flatten().for_each(|reason| inside(bytes, reason.text.unwrap_or_default()));
    message.warnings().flatten().for_each(|warning| inside(bytes, warning.text));
    message.challenges().chain(message.credentials()).for_each(|auth| {
        auth.iter().for_each(|(_, value)| inside(bytes, value));
        let _ = (auth.realm(), auth.nonce(), auth.is_stale());
    });
    let _ =
        (message.cseq(), message.method(), message.code(), message.rack(), message.rseq(), message.session_expires());
    let _ = (message.replaces(), message.event(), message.subscription_state(), message.session_id());
    let _ = (message.asserted_identity(), message.refer_to(), message.contact_uri(), message.top_via());
    message.parts().for_each(|part| inside(bytes, part.bytes));
    inside(bytes, message.body());
    inside(bytes, message.call_id().unwrap_or_default());
    let faults = message.faults();
    assert_eq!(faults.iter().count(), faults.len());
    if let Some(description) = message.sdp() {
        sdp(description);
    }
}

/// One session description.
pub fn sdp(bytes: &[u8]) {
    let Ok(sdp) = Sdp::parse(bytes) else { return };
    inside(bytes, sdp.session_name().unwrap_or_default());
    let _ = (sdp.origin(), sdp.is_ice_lite(), sdp.is_bundled(b"0"));
    for media in sdp.media() {
        [media.kind_token, media.proto, media.formats].iter().for_each(|part| inside(bytes, part));
        let codecs = media.codecs().inspect(|codec| inside(bytes, codec.fmtp.unwrap_or_default())).count();
        assert!(codecs <= 128);
        let _ = (media.rtp_endpoint(), media.rtcp_endpoint(), media.ptime_ms(), media.maxptime_ms(), media.t38());
        let _ = (media.is_t38(), media.is_refused(), media.telephone_event(), media.fingerprint(), media.setup());
        media.cryptos().for_each(|crypto| inside(bytes, crypto.suite));
        media.candidates().for_each(|candidate| inside(bytes, candidate.foundation));
        media.attributes().for_each(|(name, value)| {
            inside(bytes, name);
            inside(bytes, value);
        });
    }
}

/// One datagram of RTCP or RTP.
pub fn rtcp(bytes: &[u8]) {
    if let Some(header) = RtpHeader::parse(bytes) {
        inside(bytes, header.payload);
        assert!(header.header_bytes <= bytes.len());
    }
    let Ok(compound) = Rtcp::parse(bytes) else { return };
    for packet in compound {
        assert!(packet.reports().count() <= 31);
        let _ = packet.sender();
        match packet {
            RtcpPacket::SourceDescription { cname, .. } => inside(bytes, cname.unwrap_or_default()),
            RtcpPacket::Bye { reason, .. } => inside(bytes, reason.unwrap_or_default()),
            RtcpPacket::ExtendedReport { blocks, .. } => assert!(blocks.count() <= bytes.len() / 4),
            RtcpPacket::SenderReport { .. }
            | RtcpPacket::ReceiverReport { .. }
            | RtcpPacket::App { .. }
            | RtcpPacket::Feedback { .. }
            | RtcpPacket::Other { .. } => {}
        }
    }
}
