//! The classic capture format (draft-ietf-opsawg-pcap): microseconds or nanoseconds, either byte order.
//!
//! An own reader, as for pcapng: it works on a slice, keeps what is whole, and needs to say where it stopped.

use super::file::{CaptureFile, Frame, Hint, Interface, Stop};

const HEADER_BYTES: usize = 24;
/// No writer makes larger frames; a length above it is damage.
const MAX_FRAME_BYTES: u32 = 64 << 20;

/// What the magic number says.
#[derive(Clone, Copy)]
struct Format {
    big_endian: bool,
    ns_per_fraction: i64,
    /// Bytes of a record's header: Kuznetsov's variant has 8 more.
    record_header: usize,
}

impl Format {
    fn of(bytes: &[u8]) -> Option<Self> {
        let magic: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
        let (number, big_endian) = match magic[0] {
            0xa1 => (u32::from_be_bytes(magic), true),
            _ => (u32::from_le_bytes(magic), false),
        };
        let (ns_per_fraction, record_header) = match number {
            0xa1b2_c3d4 => (1_000, 16),
            0xa1b2_3c4d => (1, 16),
            0xa1b2_cd34 => (1_000, 24),
            _ => return None,
        };
        Some(Self { big_endian, ns_per_fraction, record_header })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let b: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }
}

/// Whether it begins like one.
pub(super) fn is_pcap(bytes: &[u8]) -> bool {
    Format::of(bytes).is_some()
}

/// Reads `file.bytes` into frames; says why it stopped early, if it did.
pub(super) fn read(file: &mut CaptureFile) -> Option<Stop> {
    let bytes = &file.bytes;
    let format = Format::of(bytes)?;
    let Some(network) = format.u32(bytes, 20) else { return Some(Stop::Truncated) };
    // The upper bits say how long a frame check sequence is (4.1 of the draft).
    file.interfaces.push(Interface { name: String::new(), link_type: network & 0xffff });
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let record = (|| {
            let seconds = format.u32(bytes, at)?;
            let fraction = format.u32(bytes, at + 4)?;
            let captured = format.u32(bytes, at + 8)?;
            let original = format.u32(bytes, at + 12)?;
            Some((seconds, fraction, captured, original))
        })();
        let Some((seconds, fraction, captured, original)) = record else { return Some(Stop::Truncated) };
        if captured > MAX_FRAME_BYTES {
            return Some(Stop::Damaged(at));
        }
        let start = at + format.record_header;
        let end = start + captured as usize;
        if end > bytes.len() {
            return Some(Stop::Truncated);
        }
        file.frames.push(Frame {
            time_ns: i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * format.ns_per_fraction,
            start: start as u64,
            len: captured,
            interface: 0,
            hint: Hint::Unknown,
            cut: captured < original,
        });
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::file::parse;

    /// A capture of the given frames `(seconds, fraction, bytes)`.
    fn capture(magic: u32, big_endian: bool, frames: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let u32 = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut out = Vec::new();
        out.extend(u32(magic));
        out.extend(if big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
        for n in [0, 0, 65_535, 1] {
            out.extend(u32(n));
        }
        for (seconds, fraction, bytes) in frames {
            for n in [*seconds, *fraction, bytes.len() as u32, bytes.len() as u32] {
                out.extend(u32(n));
            }
            out.extend(*bytes);
        }
        out
    }

    #[test]
    fn microseconds_and_nanoseconds_in_both_byte_orders_give_the_same_frame() {
        for big_endian in [false, true] {
            for (magic, fraction) in [(0xa1b2_c3d4, 250_000), (0xa1b2_3c4d, 250_000_000)] {
                let bytes = capture(magic, big_endian, &[(7, fraction, b"abc")]);
                let file = parse(Path::new("x"), bytes).unwrap();
                assert_eq!(file.frames.len(), 1);
                assert_eq!(file.frames[0].time_ns, 7_250_000_000);
                assert_eq!(file.frame(&file.frames[0]), b"abc");
                assert_eq!(file.interfaces[0].link_type, 1);
                assert!(file.warnings.is_empty());
            }
        }
    }

    #[test]
    fn a_capture_cut_anywhere_gives_its_whole_frames_and_a_warning() {
        let whole = capture(0xa1b2_c3d4, false, &[(1, 0, b"abcd"), (2, 0, b"efgh")]);
        for end in 5..whole.len() {
            let file = parse(Path::new("x"), whole[..end].to_vec()).unwrap();
            let expected = usize::from(end >= 24 + 20);
            assert_eq!(file.frames.len(), expected, "cut at {end}");
            let on_a_boundary = end == 24 || end == 24 + 20;
            assert_eq!(file.warnings.is_empty(), on_a_boundary, "cut at {end}: {:?}", file.warnings);
        }
    }

    #[test]
    fn an_absurd_length_is_damage_and_not_an_allocation() {
        let mut bytes = capture(0xa1b2_c3d4, false, &[(1, 0, b"abcd"), (2, 0, b"efgh")]);
        bytes[24 + 20 + 8..24 + 20 + 12].fill(0xff);
        let file = parse(Path::new("x"), bytes).unwrap();
        assert_eq!(file.frames.len(), 1);
        assert!(file.warnings[0].contains("damaged at byte 44"), "{:?}", file.warnings);
    }
}
