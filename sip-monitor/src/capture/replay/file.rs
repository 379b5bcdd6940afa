//! A capture file as a list of frames: reads it whole, unpacks gzip, finds out the format.
//!
//! Only the container is understood here; what a frame holds is [`super::link`]'s. A file cut short is read to its last
//! whole frame, with a warning; what is no capture at all is refused, saying what it looks like.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cli::exit::{Code, Failure};

use super::{pcap, pcapng};

/// One captured frame: where its bytes are and when it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// First byte, in [`CaptureFile::bytes`].
    pub start: u64,
    /// Bytes captured.
    pub len: u32,
    /// Index into [`CaptureFile::interfaces`].
    pub interface: u16,
    /// What the capture says of its direction.
    pub hint: Hint,
    /// The capture kept only its first bytes (snap length).
    pub cut: bool,
}

/// Which way a frame went, where the capture itself says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Hint {
    /// It does not.
    #[default]
    Unknown,
    /// It came in for this host.
    In,
    /// This host sent it.
    Out,
}

/// An interface a capture was taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, empty where the file does not tell.
    pub name: String,
    /// `LINKTYPE_*` as registered at tcpdump.org.
    pub link_type: u32,
}

/// A capture file that was read.
#[derive(Debug, Default)]
pub struct CaptureFile {
    /// Its path as given.
    pub path: PathBuf,
    /// Its content, unpacked.
    pub bytes: Vec<u8>,
    /// Its frames, in the order of the file.
    pub frames: Vec<Frame>,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// What was odd about it, one sentence each.
    pub warnings: Vec<String>,
}

impl CaptureFile {
    /// The bytes of a frame.
    #[must_use]
    pub fn frame(&self, frame: &Frame) -> &[u8] {
        let start = usize::try_from(frame.start).unwrap_or(usize::MAX);
        self.bytes.get(start..).and_then(|b| b.get(..frame.len as usize)).unwrap_or_default()
    }
}

/// Why reading frames stopped before the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The last frame is cut off.
    Truncated,
    /// What stands at this offset is no record.
    Damaged(usize),
}

/// Reads `path`; `-` is standard input.
///
/// # Errors
/// [`Code::NoInput`] where it cannot be read or is no capture.
pub fn read(path: &Path) -> Result<CaptureFile, Failure> {
    let name = path.display();
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|mut f| f.read_to_end(&mut bytes))
    };
    result.map_err(|e| {
        let code = if e.kind() == std::io::ErrorKind::PermissionDenied { Code::NoPermission } else { Code::NoInput };
        Failure::new(code, format!("{name}: {e}")).fix("name a capture file that exists and may be read")
    })?;
    parse(path, bytes)
}

/// Reads a capture that is in memory.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<CaptureFile, Failure> {
    let mut warnings = Vec::new();
    let packed = bytes.starts_with(&[0x1f, 0x8b]);
    let bytes = if packed { gunzip(&bytes, &mut warnings) } else { bytes };
    let mut file = CaptureFile { path: path.to_owned(), bytes, warnings, ..CaptureFile::default() };
    let stop = if pcap::is_pcap(&file.bytes) {
        pcap::read(&mut file)
    } else if pcapng::is_pcapng(&file.bytes) {
        pcapng::read(&mut file)
    } else {
        let what = looks_like(&file.bytes);
        let packed = if packed { " (unpacked from gzip)" } else { "" };
        return Err(Failure::new(Code::NoInput, format!("{}: not a capture file{packed}; {what}", path.display()))
            .fix("give a pcap or pcapng file, as tcpdump -w and Wireshark write them"));
    };
    let frames = file.frames.len();
    match stop {
        None => {}
        Some(Stop::Truncated) => {
            file.warnings
                .push(format!("cut off in the middle of a frame; read to its last whole frame, number {frames}"));
        }
        Some(Stop::Damaged(at)) => {
            file.warnings.push(format!("damaged at byte {at}; read to its last whole frame, number {frames}"));
        }
    }
    Ok(file)
}

/// Unpacks gzip, also of several members; what a cut-off archive holds is kept.
fn gunzip(packed: &[u8], warnings: &mut Vec<String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(e) = flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut bytes) {
        warnings.push(format!("gzip: {e}; read what could be unpacked"));
    }
    bytes
}

/// What a file that is no capture seems to be.
fn looks_like(bytes: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 12] = [
        (b"PK\x03\x04", "it looks like a ZIP archive: unpack it first"),
        (b"\xfd7zXZ\0", "it looks like an xz archive: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "it looks like a zstd archive: unpack it first"),
        (b"BZh", "it looks like a bzip2 archive: unpack it first"),
        (b"7z\xbc\xaf", "it looks like a 7-Zip archive: unpack it first"),
        (b"\x7fELF", "it looks like a program"),
        (b"snoop\0\0\0", "it looks like a snoop capture: convert it with `editcap -F pcap`"),
        (b"GMBU", "it looks like a Network Monitor capture: convert it with `editcap -F pcap`"),
        (b"\x89PNG", "it looks like a PNG image"),
        (b"%PDF", "it looks like a PDF document"),
        (b"SIP/2.0 ", "it looks like the text of a SIP message"),
        (b"SQLite format", "it looks like an SQLite database"),
    ];
    if bytes.is_empty() {
        return "it is empty".into();
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*what).into();
    }
    let head = &bytes[..bytes.len().min(512)];
    if head.starts_with(b"{") || head.starts_with(b"[") {
        return "it looks like JSON".into();
    }
    let is_text = std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true)
        && !head.iter().any(|b| *b < 0x20 && !b"\t\n\r\x1b".contains(b));
    if is_text {
        let line: String = String::from_utf8_lossy(head).lines().next().unwrap_or_default().chars().take(40).collect();
        return format!("it looks like text that begins {line:?}");
    }
    let hex: Vec<String> = head.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("it begins with the bytes {}", hex.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let failure = parse(Path::new("x"), bytes.to_vec()).unwrap_err();
        assert_eq!(failure.code, Code::NoInput);
        failure.to_string()
    }

    #[test]
    fn what_is_no_capture_says_what_it_looks_like() {
        assert!(refusal(b"").contains("it is empty"));
        assert!(refusal(b"PK\x03\x04....").contains("ZIP"));
        assert!(refusal(b"hello world\n").contains("text that begins \"hello world\""));
        assert!(refusal(b"{\"type\":1}").contains("JSON"));
        assert!(refusal(&[0xff, 0xfe, 0, 1]).contains("ff fe 00 01"));
    }

    #[test]
    fn a_gzip_of_something_else_says_so() {
        use std::io::Write as _;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"no capture").unwrap();
        assert!(refusal(&gz.finish().unwrap()).contains("unpacked from gzip"));
    }
}
