//! TCP segments and fragmented datagrams of a ladder.

use sip_monitor_engine::Timestamp;
use sip_monitor_engine::packet::{Incomplete, Missing, TcpSegment};

use super::Result;
use super::field::Fields;

/// Options of a `TCP` line: its flags, where its bytes begin, what it acknowledges, its window.
pub const OPTIONS: [&str; 13] =
    ["syn", "ack", "fin", "rst", "psh", "seq", "acks", "window", "dup", "id", "ttl", "link", "hex"];
/// Options of an `INCOMPLETE` line.
pub const INCOMPLETE_OPTIONS: [&str; 8] = ["first", "middle", "last", "held", "total", "id", "ttl", "dup"];

/// A segment that owns its bytes.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    payload: Vec<u8>,
}

impl Segment {
    /// Of a line; the quoted text is its payload.
    pub fn new(fields: &Fields) -> Result<Self> {
        let flags = [("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16)];
        Ok(Self {
            seq: fields.number("seq")?.unwrap_or(1),
            ack: fields.number("acks")?.unwrap_or(0),
            flags: flags.iter().filter(|(name, _)| fields.option(name).is_some()).map(|(_, bit)| bit).sum(),
            window: fields.number("window")?.unwrap_or(64_000),
            payload: match fields.option("hex") {
                Some(digits) => hex(digits)?,
                None => text(fields),
            },
        })
    }

    /// As the engine takes it.
    pub fn body(&self) -> TcpSegment<'_> {
        TcpSegment { seq: self.seq, ack: self.ack, flags: self.flags, window: self.window, payload: &self.payload }
    }
}

/// Bytes as hexadecimal digits; `N*XX` is `XX` so many times, parts stand apart by `.`.
fn hex(digits: &str) -> Result<Vec<u8>> {
    let bad = || format!("hex={digits}: digits in pairs, or N*XX, apart by `.`");
    let mut bytes = Vec::new();
    for part in digits.split('.') {
        let (times, digits) = part.split_once('*').unwrap_or(("1", part));
        let one: Vec<u8> = (0..digits.len() / 2)
            .map(|n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).map_err(|_| bad()))
            .collect::<Result<_>>()?;
        bytes.extend(one.repeat(times.parse().map_err(|_| bad())?));
    }
    Ok(bytes)
}

/// What was seen of a datagram.
#[derive(Clone, Debug)]
pub struct Fragments {
    head: Vec<u8>,
    held: usize,
    total: Option<usize>,
    missing: Missing,
}

impl Fragments {
    /// Of a line; the quoted text is what the datagram begins with.
    pub fn new(fields: &Fields) -> Result<Self> {
        let missing = [("first", Missing::First), ("middle", Missing::Middle), ("last", Missing::Last)];
        let named = missing.iter().find(|(name, _)| fields.option(name).is_some());
        Ok(Self {
            head: text(fields),
            held: fields.number("held")?.unwrap_or(1480),
            total: fields.number("total")?,
            missing: named.ok_or("INCOMPLETE is followed by what is missing: first, middle, last")?.1,
        })
    }

    /// As the engine takes it, 5 s after the first fragment.
    pub fn body(&self, at: Timestamp) -> Incomplete<'_> {
        let since = at - std::time::Duration::from_secs(5);
        Incomplete { head: &self.head, since, held: self.held, total: self.total, missing: self.missing }
    }
}

fn text(fields: &Fields) -> Vec<u8> {
    fields.phrase.as_deref().unwrap_or_default().replace("\\r", "\r").replace("\\n", "\n").into_bytes()
}
