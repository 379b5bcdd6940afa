//! Frames of WebSocket (RFC 6455 5.2) as far as SIP over it needs them (RFC 7118): one SIP message is one WebSocket message.

use memchr::memmem;

/// A frame's header.
///
/// ```text
///  0               1               2               3
/// +-+-+-+-+-------+-+-------------+-------------------------------+
/// |F|R|R|R| opcode|M| length      | length, 2 or 8 bytes more     |
/// |I|S|S|S|  (4)  |A| (7)         | where it is 126 or 127        |
/// |N|V|V|V|       |S|             |                               |
/// +-+-+-+-+-------+-+-------------+-------------------------------+
/// | masking key, where MASK is set (client to server) | payload   |
/// +----------------------------------------------------+----------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// The last frame of its message.
    pub(super) fin: bool,
    /// What it carries.
    pub(super) opcode: Opcode,
    /// Key the payload is masked with.
    pub(super) mask: Option<[u8; 4]>,
    /// Bytes of payload; may be anything up to 2^64.
    pub(super) payload: u64,
    /// Bytes of the header itself.
    pub(super) header: usize,
}

/// What a frame carries (RFC 6455 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    /// Text or binary: SIP may come in both (RFC 7118 4.2).
    Data,
    /// Close, ping, pong: may stand between the frames of a message.
    Control,
}

/// What stands at the beginning of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Header(FrameHeader),
    /// The header is not whole.
    Partial,
    /// No frame: an unknown opcode, a reserved bit (no extension is agreed on for SIP), a control frame that is too long.
    NotAFrame,
}

/// Reads the header of a frame.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let [first, second, rest @ ..] = bytes else { return Parsed::Partial };
    let opcode = match first & 0x7f {
        0 => Opcode::Continuation,
        1 | 2 => Opcode::Data,
        8..=10 => Opcode::Control,
        _ => return Parsed::NotAFrame,
    };
    let (payload, length_bytes) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 2),
            None => return Parsed::Partial,
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (u64::from_be_bytes(*length), 8),
            None => return Parsed::Partial,
        },
        short => (u64::from(short), 0),
    };
    let fin = first & 0x80 != 0;
    if opcode == Opcode::Control && (payload > 125 || !fin) {
        return Parsed::NotAFrame;
    }
    let mask = if second & 0x80 == 0 {
        None
    } else {
        match rest.get(length_bytes..).and_then(|rest| rest.first_chunk::<4>()) {
            Some(key) => Some(*key),
            None => return Parsed::Partial,
        }
    };
    let header = 2 + length_bytes + if mask.is_some() { 4 } else { 0 };
    Parsed::Header(FrameHeader { fin, opcode, mask, payload, header })
}

/// Appends a payload without its mask. `done` bytes of the payload were taken before.
pub(super) fn unmask(mask: Option<[u8; 4]>, done: u64, payload: &[u8], to: &mut Vec<u8>) {
    match mask {
        None => to.extend_from_slice(payload),
        Some(key) => {
            let key = key.iter().cycle().skip((done % 4) as usize);
            to.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
        }
    }
}

/// Whether a stream that is joined in the middle goes on with a WebSocket frame that begins a SIP message or a keep-alive.
pub(super) fn looks_like_frame(bytes: &[u8]) -> bool {
    let Parsed::Header(header) = parse(bytes) else { return false };
    if header.opcode != Opcode::Data {
        return false;
    }
    let mut start = Vec::with_capacity(8);
    unmask(header.mask, 0, bytes.get(header.header..).unwrap_or_default().get(..8).unwrap_or_default(), &mut start);
    // A method or "SIP/2.0": capital letters (RFC 3261 7.1, all registered methods).
    start.get(..3).is_some_and(|begin| begin.iter().all(u8::is_ascii_uppercase))
}

/// What an HTTP head at the beginning of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// A handshake of RFC 6455 4, this long; WebSocket frames follow.
    WebSocket(usize),
    /// The head is not whole.
    Partial,
    /// Something else.
    Not,
}

/// The longest head of a handshake that is waited for.
const MAX_HANDSHAKE_BYTES: usize = 16 * 1024;

/// Looks for the handshake: `GET ... HTTP/1.1` of the client, `HTTP/1.1 101` of the server, each with `Upgrade: websocket`.
pub(super) fn upgrade(bytes: &[u8]) -> Upgrade {
    let begins = |with: &[u8]| {
        let both = bytes.len().min(with.len());
        bytes.get(..both) == with.get(..both)
    };
    if bytes.is_empty() || !(begins(b"GET ") || begins(b"HTTP/1.1 101")) {
        return Upgrade::Not;
    }
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > MAX_HANDSHAKE_BYTES { Upgrade::Not } else { Upgrade::Partial };
    };
    let head = bytes.get(..end).unwrap_or_default().to_ascii_lowercase();
    let is_upgrade = head
        .split(|byte| *byte == b'\n')
        .any(|line| line.strip_prefix(b"upgrade:").is_some_and(|value| memmem::find(value, b"websocket").is_some()));
    if is_upgrade { Upgrade::WebSocket(end + 4) } else { Upgrade::Not }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> FrameHeader {
        let Parsed::Header(header) = parse(bytes) else { panic!("{:?}", parse(bytes)) };
        header
    }

    #[test]
    fn the_frames_of_rfc_6455_5_7_are_read() {
        // "Hello", unmasked and masked.
        let plain = header(b"\x81\x05Hello");
        assert_eq!(
            (plain.fin, plain.opcode, plain.mask, plain.payload, plain.header),
            (true, Opcode::Data, None, 5, 2)
        );
        let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let h = header(masked);
        let mut text = Vec::new();
        unmask(h.mask, 0, &masked[h.header..h.header + 2], &mut text);
        unmask(h.mask, 2, &masked[h.header + 2..], &mut text);
        assert_eq!(text, b"Hello");
        let first = header(b"\x01\x03Hel");
        assert_eq!((first.fin, first.opcode), (false, Opcode::Data));
        assert_eq!(header(b"\x80\x02lo").opcode, Opcode::Continuation);
        assert_eq!(header(b"\x89\x05Hello").opcode, Opcode::Control);
        assert_eq!(header(b"\x82\x7e\x01\x00").payload, 256);
        assert_eq!(header(b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00").payload, 65_536);
    }

    #[test]
    fn lengths_up_to_2_to_the_64_are_only_numbers() {
        let longest = header(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(longest.payload, u64::MAX);
        assert_eq!(header(b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00abcd").payload, 1 << 63);
    }

    #[test]
    fn what_is_no_frame_is_told_from_what_is_cut() {
        let whole = b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00abcd";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), Parsed::Partial, "{length}");
        }
        for bytes in [&b"INVITE"[..], b"\xc1\x05Hello", b"\x83\x00", b"\x89\x7e\x01\x00", b"\x09\x00"] {
            assert_eq!(parse(bytes), Parsed::NotAFrame, "{bytes:?}");
        }
        assert!(looks_like_frame(b"\x81\x20OPTIONS sip:a@b SIP/2.0"));
        assert!(!looks_like_frame(b"\x81\x20options"));
    }

    #[test]
    fn a_handshake_is_told_from_other_http() {
        let client = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\nrest";
        assert_eq!(upgrade(client), Upgrade::WebSocket(client.len() - 4));
        assert_eq!(upgrade(&client[..30]), Upgrade::Partial);
        assert_eq!(upgrade(b"HT"), Upgrade::Partial);
        assert_eq!(upgrade(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Upgrade::Not);
        assert_eq!(upgrade(b"HTTP/1.1 200 OK\r\n\r\n"), Upgrade::Not);
    }
}
