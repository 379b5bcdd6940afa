//! The next generation capture format (draft-ietf-opsawg-pcapng): several sections, each in its own byte order, with
//! several interfaces, each with its own link type, time resolution and offset.
//!
//! Read are the Section Header, Interface Description, Enhanced Packet, Simple Packet and (obsolete) Packet Blocks; all
//! others are stepped over. A bad option costs that option, not the frame.

use super::file::{CaptureFile, Frame, Hint, Interface, Stop};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPT_END: u16 = 0;
const OPT_IF_NAME: u16 = 2;
const OPT_IF_TSRESOL: u16 = 9;
const OPT_IF_TSOFFSET: u16 = 14;
const OPT_EPB_FLAGS: u16 = 2;

/// No writer makes larger blocks; a length above it is damage.
const MAX_BLOCK_BYTES: usize = 128 << 20;

/// Whether it begins like one.
pub(super) fn is_pcapng(bytes: &[u8]) -> bool {
    bytes.starts_with(&SECTION_HEADER.to_be_bytes()) && byte_order(bytes).is_some()
}

/// Byte order of the section whose header `bytes` begins with; `Some(true)` is big-endian.
fn byte_order(bytes: &[u8]) -> Option<bool> {
    match bytes.get(8..12)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

/// Numbers of a section.
#[derive(Clone, Copy)]
struct Order {
    big_endian: bool,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let b: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let b: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    /// Each option as `(code, value)`, up to the end or to the first that does not fit.
    fn options(self, bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let code = self.u16(bytes, at)?;
            let len = usize::from(self.u16(bytes, at + 2)?);
            let value = bytes.get(at + 4..at + 4 + len)?;
            at += 4 + len.next_multiple_of(4);
            (code != OPT_END).then_some((code, value))
        })
    }
}

/// What a section says of one of its interfaces.
#[derive(Clone, Copy)]
struct Clock {
    /// Index into [`CaptureFile::interfaces`].
    interface: u16,
    /// Units of its time stamps in a second.
    units_per_second: u64,
    /// Seconds to add to each.
    offset_s: i64,
    /// Longest frame it kept, 0 for no limit.
    snap_length: u32,
}

impl Clock {
    fn time_ns(self, units: u64) -> i64 {
        let ns = i128::from(units) * 1_000_000_000 / i128::from(self.units_per_second);
        i64::try_from(ns + i128::from(self.offset_s) * 1_000_000_000).unwrap_or(i64::MAX)
    }
}

/// `if_tsresol`: a negative power of 10, or of 2 where the highest bit is set.
fn units_per_second(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    if resolution & 0x80 == 0 { 10_u64.checked_pow(exponent) } else { 1_u64.checked_shl(exponent) }
}

/// Reads `file.bytes` into frames; says why it stopped early, if it did.
pub(super) fn read(file: &mut CaptureFile) -> Option<Stop> {
    let bytes = std::mem::take(&mut file.bytes);
    let mut reader =
        Reader { file, order: Order { big_endian: false }, clocks: Vec::new(), last_time_ns: None, untimed: 0, odd: 0 };
    let stop = reader.blocks(&bytes);
    let (untimed, odd) = (reader.untimed, reader.odd);
    if untimed > 0 {
        file.warnings.push(format!(
            "{untimed} frames without a time (Simple Packet Blocks): taken as captured with the frame before"
        ));
    }
    if odd > 0 {
        file.warnings.push(format!("{odd} blocks do not add up and were left out"));
    }
    file.bytes = bytes;
    stop
}

struct Reader<'a> {
    file: &'a mut CaptureFile,
    order: Order,
    clocks: Vec<Clock>,
    last_time_ns: Option<i64>,
    untimed: u64,
    odd: u64,
}

impl Reader<'_> {
    fn blocks(&mut self, bytes: &[u8]) -> Option<Stop> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if rest.len() < 12 {
                return Some(Stop::Truncated);
            }
            if rest.starts_with(&SECTION_HEADER.to_be_bytes()) {
                let Some(big_endian) = byte_order(rest) else { return Some(Stop::Damaged(at)) };
                self.order = Order { big_endian };
                self.clocks.clear();
            }
            let (Some(kind), Some(len)) = (self.order.u32(rest, 0), self.order.u32(rest, 4)) else {
                return Some(Stop::Truncated);
            };
            let len = len as usize;
            if !(12..=MAX_BLOCK_BYTES).contains(&len) {
                return Some(Stop::Damaged(at));
            }
            // Some writers forget the padding in the length; the next block still begins on a multiple of 4.
            let padded = len.next_multiple_of(4);
            if rest.len() < len {
                return Some(Stop::Truncated);
            }
            if self.block(kind, &rest[8..len - 4], at + 8).is_none() {
                self.odd += 1;
            }
            at += padded;
        }
        None
    }

    /// One block; `start` is where its body begins in the file.
    fn block(&mut self, kind: u32, body: &[u8], start: usize) -> Option<()> {
        let order = self.order;
        match kind {
            INTERFACE_DESCRIPTION => self.interface(body)?,
            ENHANCED_PACKET => {
                let clock = *self.clocks.get(order.u32(body, 0)? as usize)?;
                let (captured, original) = (order.u32(body, 12)?, order.u32(body, 16)?);
                let options = body.get(20 + (captured as usize).next_multiple_of(4)..).unwrap_or_default();
                let flags = order.options(options).find(|(code, _)| *code == OPT_EPB_FLAGS);
                let hint = match flags.and_then(|(_, value)| order.u32(value, 0)).unwrap_or(0) & 3 {
                    1 => Hint::In,
                    2 => Hint::Out,
                    _ => Hint::Unknown,
                };
                let time_ns = clock.time_ns(self.stamp(body, 4)?);
                self.frame(body, start, 20, (captured, original), clock, time_ns, hint)?;
            }
            PACKET => {
                let clock = *self.clocks.get(usize::from(order.u16(body, 0)?))?;
                let lengths = (order.u32(body, 12)?, order.u32(body, 16)?);
                let time_ns = clock.time_ns(self.stamp(body, 4)?);
                self.frame(body, start, 20, lengths, clock, time_ns, Hint::Unknown)?;
            }
            SIMPLE_PACKET => {
                let clock = *self.clocks.first()?;
                let original = order.u32(body, 0)?;
                let limit = if clock.snap_length == 0 { u32::MAX } else { clock.snap_length };
                let captured = original.min(limit).min(u32::try_from(body.len()).ok()?.saturating_sub(4));
                let time_ns = self.last_time_ns.unwrap_or(0);
                self.frame(body, start, 4, (captured, original), clock, time_ns, Hint::Unknown)?;
                self.untimed += 1;
            }
            _ => {}
        }
        Some(())
    }

    /// A time stamp: upper half, lower half.
    fn stamp(&self, body: &[u8], at: usize) -> Option<u64> {
        Some(u64::from(self.order.u32(body, at)?) << 32 | u64::from(self.order.u32(body, at + 4)?))
    }

    fn interface(&mut self, body: &[u8]) -> Option<()> {
        let mut interface = Interface { name: String::new(), link_type: u32::from(self.order.u16(body, 0)?) };
        let index = u16::try_from(self.file.interfaces.len()).ok()?;
        let snap_length = self.order.u32(body, 4)?;
        let mut clock = Clock { interface: index, units_per_second: 1_000_000, offset_s: 0, snap_length };
        for (code, value) in self.order.options(body.get(8..).unwrap_or_default()) {
            match (code, value) {
                (OPT_IF_NAME, name) => interface.name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned(),
                (OPT_IF_TSRESOL, [resolution, ..]) => {
                    clock.units_per_second = units_per_second(*resolution).unwrap_or(1_000_000);
                }
                (OPT_IF_TSOFFSET, value) => {
                    if let Ok(b) = <[u8; 8]>::try_from(value) {
                        clock.offset_s =
                            if self.order.big_endian { i64::from_be_bytes(b) } else { i64::from_le_bytes(b) };
                    }
                }
                _ => {}
            }
        }
        self.file.interfaces.push(interface);
        self.clocks.push(clock);
        Some(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of three kinds of block, each read where its layout is known"
    )]
    fn frame(
        &mut self,
        body: &[u8],
        start: usize,
        header: usize,
        (captured, original): (u32, u32),
        clock: Clock,
        time_ns: i64,
        hint: Hint,
    ) -> Option<()> {
        body.get(header..)?.get(..captured as usize)?;
        self.last_time_ns = Some(time_ns);
        self.file.frames.push(Frame {
            time_ns,
            start: (start + header) as u64,
            len: captured,
            interface: clock.interface,
            hint,
            cut: captured < original,
        });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::file::{CaptureFile, Hint, parse};

    /// Writes blocks in one byte order.
    struct Writer {
        big_endian: bool,
        out: Vec<u8>,
    }

    impl Writer {
        fn new(big_endian: bool) -> Self {
            let mut w = Self { big_endian, out: Vec::new() };
            let body = [w.u32(0x1a2b_3c4d), w.u16(1), w.u16(0), w.u32(u32::MAX), w.u32(u32::MAX)].concat();
            w.block(0x0a0d_0d0a, &body);
            w
        }

        fn u16(&self, n: u16) -> Vec<u8> {
            if self.big_endian { n.to_be_bytes().into() } else { n.to_le_bytes().into() }
        }

        fn u32(&self, n: u32) -> Vec<u8> {
            if self.big_endian { n.to_be_bytes().into() } else { n.to_le_bytes().into() }
        }

        fn block(&mut self, kind: u32, body: &[u8]) {
            let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
            let len = self.u32(12 + (body.len() + padding.len()) as u32);
            self.out.extend([self.u32(kind), len.clone(), body.to_vec(), padding, len].concat());
        }

        fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
            let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
            [self.u16(code), self.u16(value.len() as u16), value.to_vec(), padding].concat()
        }

        fn interface(&mut self, link_type: u16, snap_length: u32, options: &[u8]) {
            let body = [self.u16(link_type), self.u16(0), self.u32(snap_length), options.to_vec()].concat();
            self.block(1, &body);
        }

        fn packet(&mut self, interface: u32, units: u64, data: &[u8], options: &[u8]) {
            let padding = vec![0; data.len().next_multiple_of(4) - data.len()];
            let len = self.u32(data.len() as u32);
            let body = [
                self.u32(interface),
                self.u32((units >> 32) as u32),
                self.u32(units as u32),
                len.clone(),
                len,
                data.to_vec(),
                padding,
                options.to_vec(),
            ]
            .concat();
            self.block(6, &body);
        }

        fn read(self) -> CaptureFile {
            parse(Path::new("x"), self.out).unwrap()
        }
    }

    #[test]
    fn each_interface_has_its_own_link_type_resolution_and_offset() {
        for big_endian in [false, true] {
            let mut w = Writer::new(big_endian);
            w.interface(1, 0, &w.option(2, b"eth0"));
            w.interface(113, 0, &w.option(9, &[9]));
            let offset = if big_endian { 100_i64.to_be_bytes() } else { 100_i64.to_le_bytes() };
            w.interface(101, 0, &[w.option(9, &[0x80 | 10]), w.option(14, &offset)].concat());
            w.packet(0, 7_000_001, b"one", &[]);
            w.packet(1, 7_000_000_001, b"three", &[]);
            w.packet(2, 1_536, b"two", &[]);
            let file = w.read();
            let times: Vec<i64> = file.frames.iter().map(|f| f.time_ns).collect();
            assert_eq!(times, [7_000_001_000, 7_000_000_001, 101_500_000_000]);
            assert_eq!(file.frames.iter().map(|f| file.frame(f)).collect::<Vec<_>>(), [&b"one"[..], b"three", b"two"]);
            assert_eq!(file.interfaces[0].name, "eth0");
            assert_eq!(file.interfaces[2].link_type, 101);
            assert!(file.warnings.is_empty());
        }
    }

    #[test]
    fn a_second_section_has_its_own_byte_order_and_interfaces() {
        let mut first = Writer::new(false);
        first.interface(1, 0, &[]);
        first.packet(0, 1_000_000, b"a", &[]);
        let mut second = Writer::new(true);
        second.interface(101, 0, &[]);
        second.packet(0, 2_000_000, b"b", &[]);
        first.out.extend(second.out);
        let file = first.read();
        assert_eq!(
            file.frames.iter().map(|f| (f.time_ns, f.interface)).collect::<Vec<_>>(),
            [(1_000_000_000, 0), (2_000_000_000, 1)]
        );
    }

    #[test]
    fn a_simple_packet_has_the_time_of_the_one_before_and_says_so() {
        let mut w = Writer::new(false);
        w.interface(1, 4, &[]);
        w.packet(0, 5_000_000, b"full", &[]);
        let body = [w.u32(10), b"half".to_vec()].concat();
        w.block(3, &body);
        let file = w.read();
        assert_eq!((file.frames[1].time_ns, file.frames[1].len, file.frames[1].cut), (5_000_000_000, 4, true));
        assert!(file.warnings[0].contains("1 frames without a time"));
    }

    #[test]
    fn the_direction_of_a_frame_is_read_from_its_flags() {
        let mut w = Writer::new(false);
        w.interface(1, 0, &[]);
        w.packet(0, 0, b"in", &w.option(2, &1_u32.to_le_bytes()));
        w.packet(0, 0, b"out", &w.option(2, &2_u32.to_le_bytes()));
        w.packet(0, 0, b"?", &[]);
        assert_eq!(w.read().frames.iter().map(|f| f.hint).collect::<Vec<_>>(), [Hint::In, Hint::Out, Hint::Unknown]);
    }

    #[test]
    fn a_block_that_does_not_add_up_costs_itself_only() {
        let mut w = Writer::new(false);
        w.interface(1, 0, &w.option(9, &[]));
        w.packet(9, 0, b"no such interface", &[]);
        w.packet(0, 3_000_000, b"good", &[0xff, 0xff, 0xff, 0xff]);
        w.block(0x0bad, b"unknown");
        let file = w.read();
        assert_eq!(file.frames.len(), 1);
        assert!(file.warnings[0].contains("1 blocks do not add up"));
    }

    #[test]
    fn a_capture_cut_anywhere_gives_its_whole_frames() {
        let mut w = Writer::new(false);
        w.interface(1, 0, &[]);
        w.packet(0, 1, b"abcd", &[]);
        w.packet(0, 2, b"efgh", &[]);
        let whole = w.out;
        for end in 12..whole.len() {
            let file = parse(Path::new("x"), whole[..end].to_vec()).unwrap();
            assert_eq!(file.frames.len(), usize::from(end >= whole.len() - 36), "cut at {end}");
        }
    }
}
