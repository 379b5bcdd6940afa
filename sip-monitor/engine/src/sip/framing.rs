//! Where a message ends in a stream (RFC 3261 18.3, 20.14).

use memchr::memchr;

use super::scan::{split_at_byte, trim};
use super::{FaultSet, Message, StartLine};

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

/// The longest head waited for: more without an empty line is no SIP.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The longest body waited for. A message that claims more ends with its head, and what follows is looked at anew: a
/// Content-Length that lies must not swallow the connection.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Looks at the beginning of a stream. Nothing behind the first message is touched.
#[must_use]
pub fn frame(bytes: &[u8]) -> Framing {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        return Framing::KeepAlive(blank);
    }
    let Some(line_end) = memchr(b'\n', bytes) else {
        return if bytes.len() > MAX_HEAD_BYTES {
            Framing::Garbage(bytes.len())
        } else {
            Framing::Partial { needed: 1 }
        };
    };
    let (line, _) = split_at_byte(bytes, line_end);
    if StartLine::parse(trim(line), &mut FaultSet::default()).is_none() {
        return Framing::Garbage(line_end + 1);
    }
    let Some(head) = head_length(bytes, line_end + 1) else {
        return if bytes.len() > MAX_HEAD_BYTES {
            Framing::Garbage(line_end + 1)
        } else {
            Framing::Partial { needed: 1 }
        };
    };
    let message = bytes.get(..head).and_then(|head| Message::parse(head).ok());
    // In a stream Content-Length is mandatory; without it the message has no body (RFC 3261 20.14).
    let body = message.and_then(|message| message.content_length()).and_then(|length| usize::try_from(length).ok());
    let total = head + body.filter(|body| *body <= MAX_BODY_BYTES).unwrap_or(0);
    if total <= bytes.len() { Framing::Complete(total) } else { Framing::Partial { needed: total - bytes.len() } }
}

/// Bytes up to and with the empty line, which is looked for from the line that begins at `from`.
fn head_length(bytes: &[u8], from: usize) -> Option<usize> {
    let mut start = from;
    loop {
        let end = start + memchr(b'\n', bytes.get(start..)?)?;
        if matches!(bytes.get(start..end)?, [] | [b'\r']) {
            return Some(end + 1);
        }
        start = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\n";

    #[test]
    fn a_message_is_complete_with_its_body() {
        let bytes = [HEAD, b"bodySIP/2.0 200 OK"].concat();
        assert_eq!(frame(&bytes), Framing::Complete(HEAD.len() + 4));
    }

    #[test]
    fn every_cut_of_a_message_waits_for_more() {
        let whole = [HEAD, b"body"].concat();
        for length in 0..whole.len() {
            let Framing::Partial { needed } = frame(&whole[..length]) else {
                panic!("{length}: {:?}", frame(&whole[..length]));
            };
            assert!(needed >= 1 && length + needed <= whole.len());
        }
    }

    #[test]
    fn blank_lines_between_messages_are_keep_alives() {
        assert_eq!(frame(b"\r\n\r\n"), Framing::KeepAlive(4));
        assert_eq!(frame(b"\r\nSIP/2.0 200 OK"), Framing::KeepAlive(2));
    }

    #[test]
    fn a_line_that_is_no_start_line_is_skipped() {
        assert_eq!(frame(b"body of something\r\nSIP/2.0 200 OK\r\n"), Framing::Garbage(19));
        assert_eq!(frame(&vec![b'x'; MAX_HEAD_BYTES + 1]), Framing::Garbage(MAX_HEAD_BYTES + 1));
    }

    #[test]
    fn a_content_length_that_lies_does_not_swallow_the_connection() {
        let head = b"OPTIONS sip:a@b SIP/2.0\r\nl: 99999999999\r\n\r\n";
        assert_eq!(frame(head), Framing::Complete(head.len()));
        let head = b"OPTIONS sip:a@b SIP/2.0\r\nl: -999\r\n\r\n";
        assert_eq!(frame(head), Framing::Complete(head.len()));
    }
}
