//! The checksum of IPv4 headers (RFC 791 3.1, RFC 1071).

/// Whether an IPv4 header is as it was sent. One wrong bit makes any packet a fragment that no other one completes.
///
/// 0 is a header that the network card was to finish, and IPv6 has no checksum: both hold.
pub fn holds(packet: &[u8]) -> bool {
    let Some(first) = packet.first().filter(|first| **first >> 4 == 4) else { return true };
    let Some(header) = packet.get(..usize::from(first & 15) * 4) else { return true };
    matches!(header.get(10..12), Some([0, 0])) || sum(header) == 0xffff
}

/// The sum of 16-bit words in one's complement.
fn sum(header: &[u8]) -> u32 {
    let words = header.chunks_exact(2).map(|pair| pair.try_into().map_or(0, u16::from_be_bytes));
    let sum: u32 = words.map(u32::from).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_bit_in_a_header_is_found() {
        let mut header = [0x45, 0, 0, 40, 0, 7, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        assert!(holds(&header), "left to the network card");
        let checksum = !(sum(&header) as u16);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        assert!(holds(&header));
        header[6] ^= 0x20;
        assert!(!holds(&header), "with that bit it would be a fragment");
    }
}
