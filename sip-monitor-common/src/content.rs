//! What a UDP payload looks like by its first bytes. `looks_like_*` may be wrong; the reader behind it decides.
//!
//! The first byte separates the protocols that share media ports (RFC 7983 7): 0-3 STUN, 16-19 ZRTP, 20-63 DTLS,
//! 64-79 TURN channels, 128-191 RTP and RTCP. SIP begins with a token or a CRLF, which is none of these but DTLS's 20-63
//! range for CR and LF, where the second byte decides.

use crate::{limits::MAX_LEADING_CRLF, rtp::RTP_HEADER_BYTES, view::PacketView};

/// Whether a payload begins as SIP does: `SIP/2.0 ` or a known method and a space, behind up to
/// [`MAX_LEADING_CRLF`] CRLFs (RFC 3261 7.1, 7.2, 7.5).
///
/// Methods of RFC 3261, 3262 (PRACK), 3311 (UPDATE), 3428 (MESSAGE), 3515 (REFER), 3903 (PUBLISH), 6086 (INFO), 6665
/// (SUBSCRIBE, NOTIFY). Others are seen on SIP ports only.
#[inline(always)]
#[must_use]
pub fn looks_like_sip<V: PacketView + ?Sized>(view: &V, offset: usize, len: usize) -> bool {
    let mut at = offset;
    let mut rest = len;
    for _ in 0..MAX_LEADING_CRLF {
        if rest < 2 || view.load_u16(at) != (u16::from_ne_bytes(*b"\r\n"), true) {
            break;
        }
        at += 2;
        rest -= 2;
    }
    let at = view.settle(at);
    // The shortest message with its mandatory headers is far longer than the longest start read here.
    if rest < 12 {
        return false;
    }
    let (start, found) = view.load_u64(at);
    let (end, found_end) = view.load_u16(at + 8);
    found && found_end && begins_sip(u64::from_be(start), u16::from_be(end))
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
#[inline(always)]
#[must_use]
pub fn media<V: PacketView + ?Sized>(view: &V, offset: usize, len: usize) -> Media {
    let Ok(word) = view.be16(offset) else { return Media::Neither };
    let [first, second] = word.to_be_bytes();
    if first >> 6 != 2 || len < 8 {
        return Media::Neither;
    }
    if second >= 192 && second <= 223 {
        let Ok(words) = view.be16(offset + 2) else { return Media::Neither };
        if (usize::from(words) + 1) * 4 <= len {
            return Media::Rtcp;
        }
    }
    let payload_type = second & 0x7f;
    let reserved = payload_type >= 72 && payload_type <= 76;
    let header = RTP_HEADER_BYTES + usize::from(first & 15) * 4;
    if reserved || len < header { Media::Neither } else { Media::Rtp }
}

/// Whether a payload looks like RTP.
#[inline(always)]
#[must_use]
pub fn looks_like_rtp<V: PacketView + ?Sized>(view: &V, offset: usize, len: usize) -> bool {
    matches!(media(view, offset, len), Media::Rtp)
}

/// Whether a payload looks like RTCP.
#[inline(always)]
#[must_use]
pub fn looks_like_rtcp<V: PacketView + ?Sized>(view: &V, offset: usize, len: usize) -> bool {
    matches!(media(view, offset, len), Media::Rtcp)
}

/// Whether media can be at this port. DNS and multicast DNS carry a random identification where RTP has its version, and
/// every fourth query would look like a stream of its own.
#[inline(always)]
#[must_use]
pub const fn may_carry_media(src_port: u16, dst_port: u16) -> bool {
    !matches!(src_port, 53 | 5353) && !matches!(dst_port, 53 | 5353)
}
