//! The RTP header as far as counting needs it (RFC 3550 5.1).

use crate::{counter::Counter, view::PacketView};

/// The fixed header.
pub const RTP_HEADER_BYTES: usize = 12;
/// Comfort noise (RFC 3389).
pub const PAYLOAD_TYPE_COMFORT_NOISE: u8 = 13;

/// An RTP header and what is cheap to know of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RtpHeader {
    /// Sampling instant of the first octet.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Stands for the payload's content: equal payloads have equal fingerprints, others rarely.
    pub fingerprint: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Bytes of payload, padding included.
    pub payload_bytes: u16,
    /// Payload type.
    pub payload_type: u8,
}

/// Reads the header at `offset` of a datagram with `len` bytes into `rtp`.
///
/// # Errors
/// [`Counter::IgnoredTruncated`] where the header ends beyond the view.
#[inline(always)]
pub fn parse_into<V: PacketView + ?Sized>(
    view: &V,
    offset: usize,
    len: usize,
    rtp: &mut RtpHeader,
) -> Result<(), Counter> {
    let first = view.be32(offset)?;
    rtp.timestamp = view.be32(offset + 4)?;
    rtp.ssrc = view.be32(offset + 8)?;
    let mut header = RTP_HEADER_BYTES + ((first >> 24) as usize & 15) * 4;
    if first & 0x1000_0000 != 0 {
        // Extension: profile, length in words (RFC 3550 5.3.1).
        header += 4 + usize::from(view.be16(offset + header + 2)?) * 4;
    }
    let payload_bytes = len.saturating_sub(header);
    let payload = view.settle(offset + header);
    rtp.fingerprint = fingerprint(view, payload, payload_bytes, first);
    rtp.sequence = first as u16;
    rtp.payload_bytes = if payload_bytes > 0xffff { 0xffff } else { payload_bytes as u16 };
    rtp.payload_type = (first >> 16) as u8 & 0x7f;
    Ok(())
}

/// Eight bytes from the beginning and eight from the middle, mixed with the length: a codec's fixed first bytes alone do
/// not make two payloads equal. Of four bytes the last three: of a telephone event all but the key (RFC 4733 2.3). Where
/// the payload itself was not captured, `salt` stands for it, so that no two are equal.
#[inline(always)]
fn fingerprint<V: PacketView + ?Sized>(view: &V, offset: usize, len: usize, salt: u32) -> u32 {
    if len == 4 {
        let (word, _) = view.load_u32(offset);
        return u32::from_be(word) & 0x00ff_ffff;
    }
    if len < 8 {
        return len as u32;
    }
    let middle = (len >> 1) & 0x7ffc;
    // A capture may have been cut, and then every payload looks like its first bytes alone.
    let (head, captured) = view.load_u64(offset);
    if !captured {
        return salt;
    }
    let (inner, _) = if middle + 8 <= len { view.load_u64(offset + middle) } else { (0, false) };
    let mixed = (head ^ inner.rotate_left(23) ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}
