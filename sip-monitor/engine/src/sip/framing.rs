//! Where a message ends in a stream (RFC 3261 18.3, 20.14).

/// What stands at the beginning of a stream's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A whole message of this many bytes.
    Complete(usize),
    /// The beginning of a message; it takes at least this many more bytes.
    Partial {
        /// How many bytes are missing at least.
        needed: usize,
    },
    /// CRLF between messages (RFC 5626 3.5.1), this many bytes of it.
    KeepAlive(usize),
    /// No SIP for this many bytes: skip them and look again.
    Garbage(usize),
}

/// Looks at the beginning of a stream.
#[must_use]
pub fn frame(bytes: &[u8]) -> Framing {
    let _ = bytes;
    Framing::Partial { needed: 1 }
}
