//! TLS handshakes on connections of SIP ports, as far as their records stand in the open (RFC 8446 5, RFC 5246 6.2): what
//! `tls-failed` is told from. Nothing is put together and nothing kept but a few numbers: a record that matters (hello,
//! alert) begins a segment, and what is encrypted is judged by how long it is.

use core::net::SocketAddr;
use core::time::Duration;

use super::{FIN, RST, SYN};
use crate::packet::{Direction, Packet, TcpSegment};
use crate::time::Timestamp;

/// Type, version, length.
const RECORD_HEADER: usize = 5;
/// Longest record: 2^14 bytes and what encryption may add (RFC 5246 6.2.3).
const LONGEST_RECORD: usize = (1 << 14) + 2_048;
/// Records looked at in one segment.
const RECORDS: usize = 32;
/// An alert as TLS 1.3 encrypts it (header 5, alert 2, content type 1, tag 16), and the change of cipher that may go before it (6). A
/// Finished is 58 bytes at least.
const ENCRYPTED_ALERT: u32 = 24 + 6;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
/// Type and length of a handshake message (RFC 8446 4).
const HANDSHAKE_HEADER: usize = 4;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// RFC 8446 4.2.1.
const SUPPORTED_VERSIONS: u16 = 43;
/// Alerts that are no failure: close_notify, user_canceled (RFC 8446 6.1).
const CLOSURES: [u8; 2] = [0, 90];

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsEnd {
    /// One side sent an alert in the open, with this description (RFC 8446 6).
    Alert(u8),
    /// The client closed after the server's hello and certificate, and never finished.
    Cut,
}

/// A handshake that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFailure {
    /// How.
    pub end: TlsEnd,
    /// Who opened the connection.
    pub client: SocketAddr,
    /// Who accepted it.
    pub server: SocketAddr,
    /// Which way it was opened, as seen from this host.
    pub direction: Direction,
    /// Who gave up: it sent the alert, or closed first.
    pub by: SocketAddr,
    /// The version that the server chose, as on the wire (0x0303 is TLS 1.2, 0x0304 is 1.3); `None` where its hello was not seen.
    pub version: Option<u16>,
    /// Bytes the client sent after its hello.
    pub after_hello: u32,
    /// From the client's hello to the end.
    pub after: Duration,
}

/// The handshake of one connection.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    hello: Option<Hello>,
    version: Option<u16>,
    closed_by: Option<SocketAddr>,
    told: bool,
}

#[derive(Clone, Copy, Debug)]
struct Hello {
    client: SocketAddr,
    server: SocketAddr,
    direction: Direction,
    at: Timestamp,
    /// Sequence number of the byte behind it.
    end: u32,
}

impl Handshake {
    /// Whether the connection speaks TLS.
    pub(super) const fn is_tls(&self) -> bool {
        self.hello.is_some() || self.version.is_some()
    }

    /// Takes a segment. Returns the failure that it shows, once a connection.
    pub(super) fn handle_segment(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        segment: &TcpSegment<'_>,
    ) -> Option<TlsFailure> {
        let mut end = None;
        let mut offset = 0;
        for _ in 0..RECORDS {
            let Some(record) = Record::parse(segment.payload.get(offset..).unwrap_or_default()) else { break };
            end = end.or(self.handle_record(now, packet, segment, offset, &record));
            offset += RECORD_HEADER + record.len;
        }
        let by = packet.src;
        if end.is_none() && segment.flags & (FIN | RST) != 0 && segment.flags & SYN == 0 {
            end = self.handle_close(packet, segment);
        }
        let (end, by) = match end? {
            TlsEnd::Cut => (TlsEnd::Cut, self.closed_by.unwrap_or(by)),
            alert @ TlsEnd::Alert(_) => (alert, by),
        };
        let hello = self.hello?;
        if core::mem::replace(&mut self.told, true) {
            return None;
        }
        Some(TlsFailure {
            end,
            client: hello.client,
            server: hello.server,
            direction: hello.direction,
            by,
            version: self.version,
            after_hello: self.sent_after(packet, segment).unwrap_or_default(),
            after: now.since(hello.at),
        })
    }

    fn handle_record(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        segment: &TcpSegment<'_>,
        offset: usize,
        record: &Record<'_>,
    ) -> Option<TlsEnd> {
        match (record.kind, record.body) {
            // An encrypted Finished is of the same type of record and may begin with any byte: a hello also tells its length.
            (HANDSHAKE, [CLIENT_HELLO, 0, high, low, ..])
                if usize::from(u16::from_be_bytes([*high, *low])) + HANDSHAKE_HEADER == record.len =>
            {
                let length = u32::try_from(offset + RECORD_HEADER + record.len).unwrap_or(u32::MAX);
                self.hello = Some(Hello {
                    client: packet.src,
                    server: packet.dst,
                    direction: packet.direction,
                    at: self.hello.map_or(now, |first| first.at),
                    end: segment.seq.wrapping_add(length),
                });
                None
            }
            (HANDSHAKE, [SERVER_HELLO, _, _, _, hello @ ..]) => {
                self.version = self.version.or(chosen_version(hello));
                None
            }
            // What is encrypted is longer.
            (ALERT, [_, description]) if record.len == 2 && !CLOSURES.contains(description) => {
                Some(TlsEnd::Alert(*description))
            }
            _ => None,
        }
    }

    /// One side closes: that is the end of the handshake where the client has not finished it.
    fn handle_close(&mut self, packet: &Packet<'_>, segment: &TcpSegment<'_>) -> Option<TlsEnd> {
        self.closed_by.get_or_insert(packet.src);
        self.version?;
        (self.sent_after(packet, segment)? <= ENCRYPTED_ALERT).then_some(TlsEnd::Cut)
    }

    /// Bytes that the client sent after its hello, up to the end of this segment of it.
    fn sent_after(&self, packet: &Packet<'_>, segment: &TcpSegment<'_>) -> Option<u32> {
        let hello = self.hello.filter(|hello| hello.client == packet.src)?;
        let end = segment.seq.wrapping_add(u32::try_from(segment.payload.len()).ok()?);
        // A segment that was sent before the hello ended is an old copy.
        Some(end.wrapping_sub(hello.end)).filter(|sent| *sent < 1 << 31)
    }
}

/// One record, as far as the segment holds it.
struct Record<'a> {
    kind: u8,
    len: usize,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [kind, 3, minor, high, low, rest @ ..] = bytes else { return None };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let is_one = (CHANGE_CIPHER_SPEC..=23).contains(kind) && *minor <= 4 && (1..=LONGEST_RECORD).contains(&len);
        is_one.then(|| Self { kind: *kind, len, body: rest.get(..len).unwrap_or(rest) })
    }
}

/// The version that a server's hello chose (RFC 8446 4.1.3): the extension's, else that of the message.
fn chosen_version(hello: &[u8]) -> Option<u16> {
    let number = |bytes: &[u8]| Some(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    let legacy = number(hello)?;
    let session = usize::from(*hello.get(34)?);
    let mut at = 34 + 1 + session + 2 + 1;
    let Some(total) = hello.get(at..).and_then(number) else { return Some(legacy) };
    at += 2;
    let end = at + usize::from(total);
    while at + 4 <= end {
        let (Some(kind), Some(len)) = (hello.get(at..).and_then(number), hello.get(at + 2..).and_then(number)) else {
            break;
        };
        if kind == SUPPORTED_VERSIONS {
            return hello.get(at + 4..).and_then(number);
        }
        at += 4 + usize::from(len);
    }
    Some(legacy)
}

/// What an alert's description means (RFC 8446 6, RFC 5246 7.2).
#[must_use]
pub const fn alert_name(description: u8) -> &'static str {
    match description {
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unnamed alert",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Body;

    const CLIENT: &str = "198.51.100.10:40000";
    const SERVER: &str = "203.0.113.7:5061";

    /// A connection of which the tests send segments by hand.
    struct World {
        handshake: Handshake,
        seq: [u32; 2],
    }

    impl World {
        fn new() -> Self {
            Self { handshake: Handshake::default(), seq: [u32::MAX - 20, 7_000] }
        }

        fn send(&mut self, by_client: bool, flags: u8, payload: &[u8]) -> Option<TlsFailure> {
            let (src, dst) = if by_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
            let seq = &mut self.seq[usize::from(!by_client)];
            let segment = TcpSegment { seq: *seq, ack: 0, flags, window: 500, payload };
            *seq = seq.wrapping_add(payload.len() as u32);
            let packet = Packet {
                time: Timestamp::ZERO,
                link: 0,
                direction: Direction::Out,
                src: src.parse().unwrap(),
                dst: dst.parse().unwrap(),
                ip_id: 0,
                ttl: 64,
                dscp: 0,
                body: Body::Tcp(segment),
            };
            self.handshake.handle_segment(Timestamp::ZERO, &packet, &segment)
        }
    }

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 3, 3];
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn client_hello() -> Vec<u8> {
        record(HANDSHAKE, &[&[CLIENT_HELLO, 0, 0, 60][..], &[0; 60]].concat())
    }

    /// A server's hello of TLS 1.2, or of 1.3 by its extension.
    fn server_hello(is_13: bool) -> Vec<u8> {
        let extensions: &[u8] = if is_13 { &[0, 6, 0, 43, 0, 2, 3, 4] } else { &[0, 0] };
        let body = [&[3, 3][..], &[9; 32], &[2, 1, 1], &[0x13, 1], &[0], extensions].concat();
        record(HANDSHAKE, &[&[SERVER_HELLO, 0, 0, body.len() as u8][..], &body].concat())
    }

    #[test]
    fn an_alert_in_the_open_is_the_end_with_its_description() {
        let mut world = World::new();
        assert_eq!(world.send(true, 24, &client_hello()), None);
        assert_eq!(world.send(false, 24, &server_hello(false)), None);
        let failure = world.send(true, 24, &record(ALERT, &[2, 45])).unwrap();
        assert_eq!((failure.end, failure.by), (TlsEnd::Alert(45), CLIENT.parse().unwrap()));
        assert_eq!(failure.version, Some(0x0303));
        assert_eq!(world.send(true, FIN | 16, &[]), None, "once a connection");
    }

    #[test]
    fn a_client_that_closes_after_an_encrypted_alert_has_cut_the_handshake() {
        for (change, by_fin) in [(false, true), (true, true), (true, false)] {
            let mut world = World::new();
            world.send(true, 24, &client_hello());
            world.send(false, 24, &[server_hello(true), record(23, &[1; 900])].concat());
            if change {
                world.send(true, 24, &record(CHANGE_CIPHER_SPEC, &[1]));
            }
            assert_eq!(world.send(true, 24, &record(23, &[8; 19])), None);
            let failure = world.send(true, if by_fin { FIN | 16 } else { RST }, &[]).unwrap();
            assert_eq!((failure.end, failure.version), (TlsEnd::Cut, Some(0x0304)));
        }
    }

    #[test]
    fn a_handshake_that_was_finished_is_none_that_failed() {
        let mut world = World::new();
        world.send(true, 24, &client_hello());
        world.send(false, 24, &[server_hello(true), record(23, &[1; 900])].concat());
        world.send(true, 24, &[record(CHANGE_CIPHER_SPEC, &[1]), record(23, &[8; 53])].concat());
        assert_eq!(world.send(true, FIN | 16, &record(23, &[8; 19])), None);
        assert_eq!(world.send(false, FIN | 16, &[]), None);
    }

    #[test]
    fn an_encrypted_finished_that_begins_like_a_hello_is_none() {
        for from_client in [true, false] {
            let mut world = World::new();
            world.send(true, 24, &client_hello());
            world.send(false, 24, &server_hello(false));
            let finished = [&[CLIENT_HELLO, 0][..], &[0x77; 38]].concat();
            world.send(from_client, 24, &[record(CHANGE_CIPHER_SPEC, &[1]), record(HANDSHAKE, &finished)].concat());
            world.send(!from_client, 24, &[record(CHANGE_CIPHER_SPEC, &[1]), record(HANDSHAKE, &[0x55; 40])].concat());
            assert_eq!(world.send(from_client, FIN | 16, &[]), None);
            assert_eq!(world.send(!from_client, FIN | 16, &[]), None);
        }
    }

    #[test]
    fn what_ends_with_close_notify_or_without_a_hello_of_the_server_did_not_fail() {
        let mut world = World::new();
        world.send(true, 24, &client_hello());
        assert_eq!(world.send(true, FIN | 16, &[]), None);
        let mut world = World::new();
        world.send(true, 24, &client_hello());
        assert_eq!(world.send(false, 24, &record(ALERT, &[1, 0])), None);
    }

    #[test]
    fn what_is_no_record_is_passed_over_and_lies_about_lengths_end_nothing() {
        let mut world = World::new();
        for bytes in [&b"INVITE sip:b@h SIP/2.0\r\n"[..], &[22, 3, 3], &[22, 3, 3, 255, 255, 2], &[21, 3, 3, 0, 0], &[]]
        {
            assert_eq!(world.send(true, 24, bytes), None);
        }
        assert!(!world.handshake.is_tls());
        let mut hello = server_hello(true);
        for cut in 0..hello.len() {
            World::new().send(false, 24, &hello[..cut]);
        }
        hello[10] = 255;
        World::new().send(false, 24, &hello);
    }
}
