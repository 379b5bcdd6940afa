//! Bytes in order to messages: SIP by Content-Length (RFC 3261 18.3), WebSocket by frames (RFC 7118 5).
//!
//! A stream that is joined in the middle, or has a gap, is read again from the next line that is a start line with a
//! header line behind it: a body may hold start lines, too (message/sipfrag).

use memchr::{memchr, memmem};

use super::reassembly::Piece;
use super::websocket::{self, Opcode, Parsed, Upgrade};
use crate::sip::{Framing, Message, Method, frame};

/// Bytes of an unfinished message held in one direction. What is longer is not held: of a SIP message its head is read.
pub(super) const STREAM_BYTES: usize = 256 * 1024;
/// A line without an end that is waited for when looking for a start line.
const LINE_BYTES: usize = 8 * 1024;

/// A message that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamMessage {
    /// The message.
    pub(crate) bytes: Vec<u8>,
    /// `tcp` or `ws`.
    pub(crate) transport: &'static str,
    /// Which message of its stream, from 1: the same bytes at another place are another message.
    pub(crate) number: u32,
    /// A part of it was not seen, or not kept.
    pub(crate) cut: bool,
}

/// What the stream gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spoiled {
    /// Bytes that are no SIP.
    pub(super) garbage_bytes: u64,
    /// Keep-alives (RFC 5626 3.5.1, RFC 6455 5.5.2).
    pub(super) keep_alives: u64,
    /// Messages of which not everything was seen or kept.
    pub(super) cut_messages: u64,
}

/// What is to be made of the next byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Nothing was read, and the beginning of the connection was seen.
    Begin,
    /// It is not known where a message begins.
    #[default]
    Lost,
    /// A SIP message, or what stands between two.
    Sip,
    /// A WebSocket frame.
    WebSocket,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    mode: Mode,
    /// Bytes not read so far.
    buffer: Vec<u8>,
    /// There is nothing to read before the buffer holds so many bytes.
    wanted: usize,
    /// Bytes to pass over before anything is read.
    skip: u64,
    /// Of a WebSocket message: its payload so far.
    payload: Vec<u8>,
    /// Whether it is too long, or its beginning was not seen.
    payload_spoiled: bool,
    messages: u32,
    pub(super) spoiled: Spoiled,
}

impl Stream {
    /// The connection begins here.
    pub(super) fn begin() -> Self {
        Self { mode: Mode::Begin, ..Self::default() }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.buffer.len() + self.payload.len()
    }

    /// Takes what comes next and hands on the messages that are whole with it.
    pub(super) fn handle_piece(&mut self, piece: Piece<'_>, sink: &mut dyn FnMut(StreamMessage)) {
        match piece {
            Piece::Bytes(bytes) => {
                self.buffer.extend_from_slice(bytes);
                self.read(sink);
            }
            Piece::Gap(missing) => self.handle_gap(u64::from(missing), sink),
        }
    }

    /// Of a SIP message whose head is there, the head and what was seen of its body are handed on, and where the gap lies
    /// within its body it is known where the next one begins.
    fn handle_gap(&mut self, missing: u64, sink: &mut dyn FnMut(StreamMessage)) {
        let buffer = core::mem::take(&mut self.buffer);
        let mut unread = core::mem::take(&mut self.skip);
        if self.mode == Mode::Sip && memmem::find(&buffer, b"\r\n\r\n").is_some() {
            unread = self.wanted.saturating_sub(buffer.len()) as u64;
            self.hand_on(buffer, "tcp", true, sink);
        } else if !buffer.is_empty() || !self.payload.is_empty() {
            self.spoiled.cut_messages += 1;
        }
        self.payload.clear();
        self.payload_spoiled = false;
        self.wanted = 0;
        match unread.checked_sub(missing) {
            Some(rest) if unread > 0 => self.skip = rest,
            Some(_) | None => self.mode = Mode::Lost,
        }
    }

    fn read(&mut self, sink: &mut dyn FnMut(StreamMessage)) {
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut at = 0;
        while let Some(rest) = buffer.get(at..).filter(|rest| !rest.is_empty() && rest.len() >= self.wanted) {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
            self.skip -= skipped as u64;
            at += skipped;
            let rest = rest.get(skipped..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let taken = match self.mode {
                Mode::Begin => self.read_begin(rest),
                Mode::Lost => self.find_start(rest),
                Mode::Sip => self.read_sip(rest, sink),
                Mode::WebSocket => self.read_frame(rest, sink),
            };
            match taken {
                Some(taken) => at += taken,
                None => break,
            }
        }
        buffer.drain(..at.min(buffer.len()));
        self.buffer = buffer;
    }

    /// The first bytes of a connection. `None` where more are needed, here and in what follows.
    fn read_begin(&mut self, rest: &[u8]) -> Option<usize> {
        match websocket::upgrade(rest) {
            Upgrade::WebSocket(head) => {
                self.mode = Mode::WebSocket;
                Some(head)
            }
            Upgrade::Partial => None,
            Upgrade::Not => {
                self.mode = Mode::Sip;
                Some(0)
            }
        }
    }

    fn find_start(&mut self, rest: &[u8]) -> Option<usize> {
        if websocket::looks_like_frame(rest) {
            self.mode = Mode::WebSocket;
            return Some(0);
        }
        match websocket::upgrade(rest) {
            Upgrade::WebSocket(head) => {
                self.mode = Mode::WebSocket;
                return Some(head);
            }
            Upgrade::Partial => return None,
            Upgrade::Not => {}
        }
        let Some(line_end) = memchr(b'\n', rest) else {
            // Binary data, or a line that nobody would write.
            let is_text = rest.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\r' || *byte == b'\t');
            return if is_text && rest.len() <= LINE_BYTES { None } else { self.throw_away(rest.len()) };
        };
        let behind = rest.get(line_end + 1..).unwrap_or_default();
        if !is_known_start(rest) {
            return self.throw_away(line_end + 1);
        }
        match begins_with_header(behind) {
            Some(true) => {
                self.mode = Mode::Sip;
                Some(0)
            }
            None if behind.len() <= LINE_BYTES => None,
            Some(false) | None => self.throw_away(line_end + 1),
        }
    }

    fn throw_away(&mut self, bytes: usize) -> Option<usize> {
        self.spoiled.garbage_bytes += bytes as u64;
        Some(bytes)
    }

    fn read_sip(&mut self, rest: &[u8], sink: &mut dyn FnMut(StreamMessage)) -> Option<usize> {
        match frame(rest) {
            Framing::Complete(length) => {
                self.wanted = 0;
                self.hand_on(rest.get(..length).unwrap_or(rest).to_vec(), "tcp", false, sink);
                Some(length)
            }
            Framing::Partial { needed } if rest.len() + needed > STREAM_BYTES => {
                // What is there goes on; the rest of the body passes by.
                self.wanted = 0;
                self.skip = needed as u64;
                self.hand_on(rest.to_vec(), "tcp", true, sink);
                Some(rest.len())
            }
            Framing::Partial { needed } => {
                self.wanted = rest.len() + needed;
                None
            }
            Framing::KeepAlive(length) => {
                self.spoiled.keep_alives += 1;
                Some(length)
            }
            Framing::Garbage(length) => {
                self.mode = Mode::Lost;
                self.throw_away(length)
            }
        }
    }

    fn read_frame(&mut self, rest: &[u8], sink: &mut dyn FnMut(StreamMessage)) -> Option<usize> {
        let header = match websocket::parse(rest) {
            Parsed::Header(header) => header,
            Parsed::Partial => {
                self.wanted = 0;
                return None;
            }
            Parsed::NotAFrame => {
                self.payload.clear();
                self.mode = Mode::Lost;
                return self.throw_away(1);
            }
        };
        let whole = header.payload.saturating_add(header.header as u64);
        if whole > STREAM_BYTES as u64 {
            self.payload_spoiled = true;
            self.payload.clear();
            self.skip = header.payload;
            self.finish_frame(header.fin, header.opcode, sink);
            return Some(header.header);
        }
        let whole = whole as usize;
        let Some(payload) = rest.get(header.header..whole) else {
            self.wanted = whole;
            return None;
        };
        self.wanted = 0;
        match header.opcode {
            Opcode::Control => self.spoiled.keep_alives += 1,
            Opcode::Data | Opcode::Continuation => {
                if header.opcode == Opcode::Data {
                    self.payload.clear();
                    self.payload_spoiled = false;
                }
                if self.payload.len() + payload.len() > STREAM_BYTES {
                    self.payload_spoiled = true;
                } else if !self.payload_spoiled {
                    websocket::unmask(header.mask, 0, payload, &mut self.payload);
                }
            }
        }
        self.finish_frame(header.fin, header.opcode, sink);
        Some(whole)
    }

    fn finish_frame(&mut self, fin: bool, opcode: Opcode, sink: &mut dyn FnMut(StreamMessage)) {
        if !fin || opcode == Opcode::Control {
            return;
        }
        let payload = core::mem::take(&mut self.payload);
        if core::mem::take(&mut self.payload_spoiled) {
            self.spoiled.cut_messages += 1;
        } else if payload.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            // Keep-alives (RFC 7118 6).
            self.spoiled.keep_alives += 1;
        } else {
            self.hand_on(payload, "ws", false, sink);
        }
    }

    fn hand_on(&mut self, bytes: Vec<u8>, transport: &'static str, cut: bool, sink: &mut dyn FnMut(StreamMessage)) {
        self.messages = self.messages.wrapping_add(1);
        self.spoiled.cut_messages += u64::from(cut);
        debug_assert!(transport == "ws" || Message::parse(&bytes).is_ok(), "only what is SIP is framed");
        sink(StreamMessage { bytes, transport, number: self.messages, cut });
    }
}

/// Whether a start line stands here whose method is a registered one: the end of a body may be glued to its method.
fn is_known_start(bytes: &[u8]) -> bool {
    let is_start_line = matches!(frame(bytes), Framing::Complete(_) | Framing::Partial { .. });
    is_start_line
        && match memchr(b' ', bytes).and_then(|end| bytes.get(..end)) {
            Some(word) => word.starts_with(b"SIP/") || !matches!(Method::from_token(word), Method::Other(_)),
            None => false,
        }
}

/// Whether a header line stands here: a token and a colon. `None` where the line has not come so far.
fn begins_with_header(bytes: &[u8]) -> Option<bool> {
    let name =
        bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')).count();
    let space = bytes.iter().skip(name).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    bytes.get(name + space).map(|byte| name > 0 && *byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Via: SIP/2.0/TCP a;branch=z9hG4bK1\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";

    fn message(body: &str) -> Vec<u8> {
        format!("OPTIONS sip:a@b SIP/2.0\r\n{HEAD}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn feed(stream: &mut Stream, pieces: &[&[u8]]) -> Vec<StreamMessage> {
        let mut out = Vec::new();
        for piece in pieces {
            stream.handle_piece(Piece::Bytes(piece), &mut |m| out.push(m));
        }
        out
    }

    fn ws(fin: bool, opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![u8::from(fin) << 7 | opcode];
        let masked = if mask.is_some() { 0x80 } else { 0 };
        match payload.len() {
            n @ 0..126 => frame.push(n as u8 | masked),
            n @ 126..65_536 => {
                frame.push(126 | masked);
                frame.extend((n as u16).to_be_bytes());
            }
            n => {
                frame.push(127 | masked);
                frame.extend((n as u64).to_be_bytes());
            }
        }
        frame.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
        websocket::unmask(mask, 0, payload, &mut frame);
        frame
    }

    #[test]
    fn messages_are_found_wherever_the_segments_are_cut() {
        let (one, two) = (message("body of one"), message(""));
        let all = [&b"\r\n\r\n"[..], &one, b"\r\n", &two].concat();
        for begin in [Stream::begin(), Stream::default()] {
            for cut in 0..all.len() {
                let mut stream = begin.clone();
                let out = feed(&mut stream, &[&all[..cut], &all[cut..]]);
                let bytes: Vec<_> = out.iter().map(|m| m.bytes.as_slice()).collect();
                assert_eq!(bytes, [&one[..], &two[..]], "cut at {cut}");
                assert_eq!((out[0].number, out[1].number, stream.held()), (1, 2, 0));
            }
            let mut stream = begin.clone();
            assert_eq!(all.chunks(1).map(|byte| feed(&mut stream, &[byte]).len()).sum::<usize>(), 2);
        }
    }

    #[test]
    fn a_stream_joined_in_a_body_goes_on_with_the_next_message_and_not_with_a_sipfrag() {
        let mut stream = Stream::default();
        let next = message("");
        let out = feed(&mut stream, &[b"alf of a body\r\nSIP/2.0 200 OK\r\n", &next, &next]);
        assert_eq!(out.len(), 2);
        assert!(out.iter().all(|m| m.bytes == next));
        assert_eq!(stream.spoiled.garbage_bytes, 31);
    }

    #[test]
    fn behind_a_gap_the_head_of_a_message_is_kept_and_the_next_one_is_found() {
        let (whole, next) = (message(&"x".repeat(1000)), message("next\r\n"));
        for (missing, read) in [(400, 2), (u32::MAX, 1)] {
            let mut stream = Stream::begin();
            let mut out = feed(&mut stream, &[&whole[..300]]);
            stream.handle_piece(Piece::Gap(missing), &mut |m| out.push(m));
            out.extend(feed(&mut stream, &[&whole[700..], &next, &next]));
            assert!(out[0].cut && out[0].bytes == whole[..300]);
            assert_eq!(out.len(), 1 + read, "the tail of a body without line end hides the next message");
            assert!(out[1..].iter().all(|m| !m.cut && m.bytes == next));
        }
    }

    #[test]
    fn garbage_is_counted_and_not_held() {
        let mut stream = Stream::begin();
        let garbage: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for chunk in garbage.chunks(1448) {
            assert!(feed(&mut stream, &[chunk]).is_empty());
        }
        assert!(stream.held() <= 70_000, "{}", stream.held());
        assert_eq!(feed(&mut stream, &[b"\n", &message("")]).len(), 1);
        let lies = "INVITE sip:a@b SIP/2.0\r\nCall-ID: x\r\nContent-Length: ";
        for length in ["-1", "0", "100000000000000000000", "x"] {
            let mut stream = Stream::begin();
            let lie = format!("{lies}{length}\r\n\r\n");
            assert_eq!(feed(&mut stream, &[lie.as_bytes(), &message("")]).len(), 2, "{length}");
        }
    }

    #[test]
    fn a_body_of_64_kib_is_whole_and_one_of_900_kib_is_passed_over() {
        let mut stream = Stream::begin();
        let (long, longer, next) = (message(&"x".repeat(65_536)), message(&"y".repeat(900_000)), message(""));
        let mut out = Vec::new();
        for chunk in [long.as_slice(), &longer, &next].concat().chunks(1448) {
            out.extend(feed(&mut stream, &[chunk]));
            assert!(stream.held() <= STREAM_BYTES);
        }
        let read: Vec<_> = out.iter().map(|m| (m.bytes.len() == long.len(), m.cut)).collect();
        assert_eq!(read, [(true, false), (false, true), (false, false)]);
        assert_eq!(out[2].bytes, next);
    }

    #[test]
    fn websocket_messages_come_masked_fragmented_and_between_pings() {
        let (one, two) = (message("one"), message("two"));
        let key = Some([0x37, 0xfa, 0x21, 0x3d]);
        let (a, b) = one.split_at(40);
        let frames = [
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n".to_vec(),
            ws(false, 1, key, a),
            ws(true, 9, key, b"ping"),
            ws(true, 0, key, b),
            ws(true, 1, key, b"\r\n\r\n"),
            ws(true, 2, None, &two),
        ]
        .concat();
        for cut in 0..frames.len() {
            let mut stream = Stream::begin();
            let out = feed(&mut stream, &[&frames[..cut], &frames[cut..]]);
            let read: Vec<_> = out.iter().map(|m| (m.bytes.as_slice(), m.transport)).collect();
            assert_eq!(read, [(&one[..], "ws"), (&two[..], "ws")], "cut at {cut}");
            assert_eq!(stream.spoiled.keep_alives, 2);
        }
        let mut joined = Stream::default();
        assert_eq!(feed(&mut joined, &[&ws(true, 1, key, &two)]).len(), 1, "joined in the middle");
    }

    #[test]
    fn a_websocket_frame_of_2_to_the_63_bytes_is_passed_over_without_memory() {
        let mut stream = Stream::begin();
        let handshake = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        let huge = b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00";
        feed(&mut stream, &[handshake, huge]);
        for _ in 0..1000 {
            feed(&mut stream, &[&[b'x'; 1448]]);
            assert!(stream.held() == 0);
        }
        assert_eq!(stream.spoiled.cut_messages, 1);
    }
}
