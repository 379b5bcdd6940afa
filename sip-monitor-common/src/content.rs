//! What a UDP payload looks like by its first bytes. `looks_like_*` may be wrong; the reader behind it decides.
//!
//! The first byte separates the protocols that share media ports (RFC 7983 7): 0-3 STUN, 16-19 ZRTP, 20-63 DTLS,
//! 64-79 TURN channels, 128-191 RTP and RTCP. SIP begins with a token or a CRLF, which is none of these but DTLS's 20-63
//! range for CR and LF, where the second byte decides.

use crate::{counter::Counter, limits::MAX_LEADING_CRLF, rtp::RTP_HEADER_BYTES, view::PacketView};

/// Less is no SIP: the shortest message with its mandatory headers is far longer than the longest start that is read.
pub const SHORTEST_SIP_BYTES: usize = 12;

/// Whether a payload of `len` bytes begins as SIP does: `SIP/2.0 ` or a known method and a space, behind up to
/// [`MAX_LEADING_CRLF`] CRLFs (RFC 3261 7.1, 7.2, 7.5).
///
/// Methods of RFC 3261, 3262 (PRACK), 3311 (UPDATE), 3428 (MESSAGE), 3515 (REFER), 3903 (PUBLISH), 6086 (INFO), 6665
/// (SUBSCRIBE, NOTIFY). Others are seen on SIP ports only.
///
/// # Errors
/// [`Counter::IgnoredTruncated`] where the view ends before the start does: another view may reach further.
#[inline(always)]
pub fn looks_like_sip<V: PacketView + ?Sized>(view: &V, offset: usize, len: usize) -> Result<bool, Counter> {
    const CRLF: u16 = u16::from_be_bytes(*b"\r\n");
    let mut at = offset;
    let mut rest = len;
    for _ in 0..MAX_LEADING_CRLF {
        if rest < 2 || view.be16(at)? != CRLF {
            break;
        }
        at += 2;
        rest -= 2;
    }
    if rest < SHORTEST_SIP_BYTES {
        return Ok(false);
    }
    let at = view.settle(at);
    let (start, found) = view.load_u64(at);
    let end = view.be16(at + 8)?;
    if !found {
        return Err(Counter::IgnoredTruncated);
    }
    Ok(begins_sip(u64::from_be(start), end))
}

/// A TLS record with the two bytes of an alert (RFC 8446 5.1, 6).
pub const SHORTEST_TLS_BYTES: usize = 5 + 1;

/// Whether a payload with these first two bytes, big-endian, may begin a TLS record that is not encrypted: change of cipher, alert or
/// handshake (20, 21, 22), of any version 3.x (RFC 8446 5.1).
#[inline(always)]
#[must_use]
pub const fn may_begin_handshake(word: u16) -> bool {
    let [kind, version] = word.to_be_bytes();
    kind >= 20 && kind <= 22 && version == 3
}

/// Whether a payload with these first two bytes, big-endian, can be one that [`looks_like_sip`]: capital letters, or a CRLF.
#[inline(always)]
#[must_use]
pub const fn may_begin_sip(word: u16) -> bool {
    let [first, second] = word.to_be_bytes();
    (first.is_ascii_uppercase() && second.is_ascii_uppercase()) || (first == b'\r' && second == b'\n')
}

/// The first ten bytes of a message: eight and two, big-endian.
#[inline(always)]
const fn begins_sip(start: u64, end: u16) -> bool {
    const fn word(text: &[u8; 8]) -> u64 {
        u64::from_be_bytes(*text)
    }
    const SPACE: u16 = 0x2000;
    match start {
        x if x == word(b"SIP/2.0 ") => true,
        x if x >> 8 == word(b"INVITE \0") >> 8
            || x >> 8 == word(b"CANCEL \0") >> 8
            || x >> 8 == word(b"NOTIFY \0") >> 8
            || x >> 8 == word(b"UPDATE \0") >> 8 =>
        {
            true
        }
        x if x >> 16 == word(b"PRACK \0\0") >> 16 || x >> 16 == word(b"REFER \0\0") >> 16 => true,
        x if x >> 24 == word(b"INFO \0\0\0") >> 24 => true,
        x if x >> 32 == word(b"ACK \0\0\0\0") >> 32 || x >> 32 == word(b"BYE \0\0\0\0") >> 32 => true,
        x if x == word(b"OPTIONS ") || x == word(b"MESSAGE ") || x == word(b"PUBLISH ") => true,
        x if x == word(b"REGISTER") => end & 0xff00 == SPACE,
        x if x == word(b"SUBSCRIB") => end == u16::from_be_bytes(*b"E "),
        _ => false,
    }
}

/// What the first bytes of a payload say of RTP and RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// RTP (RFC 3550 5.1).
    Rtp,
    /// RTCP (RFC 3550 6.1, told from RTP as in RFC 5761 4).
    Rtcp,
    /// Neither.
    Neither,
}

/// Tells RTP, RTCP and neither by version, type and lengths.
///
/// RTCP has a packet type of 192 to 223 in its second byte and a length that fits the datagram. RTP with the marker and
/// a payload type of 64 to 95 would look the same, which is why those are not to be used (RFC 5761 4); a length that does
/// not fit makes it RTP all the same, except for the types 72 to 76 that RFC 3551 6 reserves for this purpose.
///
/// # Errors
/// As [`looks_like_sip`].
#[inline(always)]
pub fn media<V: PacketView + ?Sized>(view: &V, offset: usize, len: usize) -> Result<Media, Counter> {
    if len < 8 {
        return Ok(Media::Neither);
    }
    let word = view.be16(offset)?;
    let [first, second] = word.to_be_bytes();
    if first >> 6 != 2 {
        return Ok(Media::Neither);
    }
    if (192..=223).contains(&second) && (usize::from(view.be16(offset + 2)?) + 1) * 4 <= len {
        return Ok(Media::Rtcp);
    }
    let payload_type = second & 0x7f;
    let reserved = (72..=76).contains(&payload_type);
    let header = RTP_HEADER_BYTES + usize::from(first & 15) * 4;
    Ok(if reserved || len < header { Media::Neither } else { Media::Rtp })
}

/// Whether a payload looks like RTP.
#[must_use]
pub fn looks_like_rtp(payload: &[u8]) -> bool {
    media(payload, 0, payload.len()) == Ok(Media::Rtp)
}

/// Whether a payload looks like RTCP.
#[must_use]
pub fn looks_like_rtcp(payload: &[u8]) -> bool {
    media(payload, 0, payload.len()) == Ok(Media::Rtcp)
}

/// Whether media can be at this port. DNS and multicast DNS carry a random identification where RTP has its version, and
/// every fourth query would look like a stream of its own.
#[inline(always)]
#[must_use]
pub const fn may_carry_media(src_port: u16, dst_port: u16) -> bool {
    !matches!(src_port, 53 | 5353) && !matches!(dst_port, 53 | 5353)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(text: &str) -> bool {
        looks_like_sip(text.as_bytes(), 0, text.len()) == Ok(true)
    }

    #[test]
    fn every_known_method_and_a_status_line_look_like_sip() {
        for method in
            "INVITE ACK BYE CANCEL REGISTER OPTIONS PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE".split(' ')
        {
            assert!(sip(&format!("{method} sip:a@b SIP/2.0\r\n")), "{method}");
            assert!(!sip(&format!("{method}X sip:a@b SIP/2.0\r\n")), "{method}X");
            assert!(!sip(&format!("{} sip:a@b SIP/2.0\r\n", method.to_lowercase())), "{method} in small letters");
        }
        assert!(sip("SIP/2.0 200 OK\r\n"));
        assert!(sip("\r\n\r\nSIP/2.0 200 OK\r\n"));
        for other in [
            "HTTP/1.1 200 OK\r\n",
            "GET / HTTP/1.1\r\n",
            "SIP/3.0 200 OK\r\n",
            "INVITE",
            "",
            "\r\n\r\n",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert!(!sip(other), "{other:?}");
        }
    }

    #[test]
    fn the_first_byte_separates_what_shares_a_media_port() {
        for first in 0..=255_u8 {
            let mut datagram = [0_u8; 172];
            datagram[0] = first;
            let is_rtp = looks_like_rtp(&datagram);
            assert_eq!(is_rtp, (128..192).contains(&first), "{first}");
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_type_and_length() {
        let mut datagram = [0_u8; 32];
        datagram[0] = 0x80;
        for second in 0..=255_u8 {
            datagram[1] = second;
            datagram[3] = 7;
            let fits = media(&datagram[..], 0, 32);
            datagram[3] = 8;
            let too_long = media(&datagram[..], 0, 32);
            let reserved = (72..=76).contains(&(second & 127));
            let rtp = if reserved { Media::Neither } else { Media::Rtp };
            assert_eq!(
                (fits, too_long),
                (Ok(if (192..=223).contains(&second) { Media::Rtcp } else { rtp }), Ok(rtp)),
                "{second}"
            );
        }
        assert_eq!(media(&datagram[..4], 0, 4), Ok(Media::Neither));
        assert_eq!(media(&datagram[..1], 0, 32), Err(Counter::IgnoredTruncated), "there is more than this view shows");
    }

    #[test]
    fn rtp_shorter_than_its_list_of_sources_is_none() {
        let mut datagram = [0_u8; 72];
        datagram[0] = 0x8f;
        assert!(looks_like_rtp(&datagram));
        assert!(!looks_like_rtp(&datagram[..71]));
    }
}
