//! Big-endian fields at a position.

pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

/// Takes padding off: its last byte says how much it is (RFC 3550 5.1). One that says nonsense is left on.
pub(super) fn without_padding(bytes: &[u8]) -> &[u8] {
    let padding = usize::from(bytes.last().copied().unwrap_or(0));
    match bytes.len().checked_sub(padding) {
        Some(end) if padding > 0 => bytes.get(..end).unwrap_or(bytes),
        _ => bytes,
    }
}
