//! A closer look at a message: how long it is, which rules it breaks, whether somebody rewrote it on the way.

use core::net::SocketAddr;

use super::{Noted, Sign, Topic, rewriting};
use crate::packet::{Direction, Incomplete, Packet};
use crate::seen::Seen;
use crate::sip::{Fault, HeaderName, Message, StartLine};
use crate::tcp::{ConnectionFailure, TlsFailure};
use crate::text::StoredText;

/// SIP longer than this must not go over UDP where the path's MTU is not known (RFC 3261 18.1.1).
pub const LARGEST_OVER_UDP: usize = 1300;
/// Bytes kept of a header's value or a start line.
const VALUE_BYTES: usize = 128;

/// A message as it was seen.
pub(crate) struct Inspected<'a> {
    pub(crate) src: SocketAddr,
    pub(crate) dst: SocketAddr,
    pub(crate) direction: Direction,
    pub(crate) transport: &'static str,
    pub(crate) message: &'a Message<'a>,
    /// Everything is to be looked at.
    pub(crate) closely: bool,
}

impl Inspected<'_> {
    /// The other side: whoever is not this host.
    fn peer(&self) -> SocketAddr {
        if self.direction == Direction::Out { self.dst } else { self.src }
    }

    fn noted(&self, topic: Topic, peer: SocketAddr, sign: Sign) -> Noted {
        Noted { topic, peer, dst: self.dst, direction: self.direction, sign }
    }
}

/// What there is to say of a message that was not seen before.
pub(crate) fn inspect(seen: &Inspected<'_>, out: &mut Vec<Noted>) {
    let bytes = seen.message.as_bytes();
    let over_udp = seen.transport == "udp";
    // Within a host the path is known.
    if over_udp && bytes.len() > LARGEST_OVER_UDP && seen.src.ip() != seen.dst.ip() {
        let sign = Sign::Oversized { bytes: bytes.len(), name: name(seen.message) };
        out.push(seen.noted(Topic::Oversized, seen.peer(), sign));
    }
    if !seen.closely {
        return;
    }
    if let Some((rewriting, sign)) = rewriting::find(seen) {
        // What is wrong with it is that it was rewritten.
        out.push(seen.noted(Topic::Rewritten(rewriting), seen.src, sign));
        return;
    }
    let faults = seen.message.faults();
    // What a head that was cut lacks, it may lack only since it was cut: captures keep the beginning of packets.
    if faults.contains(Fault::HeadersCut) {
        return;
    }
    // One of a message: what lacks one header mostly lacks more.
    if let Some(fault) = faults.iter().find(|fault| is_refused(*fault, seen.message)) {
        let value = place(fault, seen.message);
        let sign = Sign::Malformed {
            offset: value.and_then(|value| offset_in(bytes, value)),
            value: StoredText::new(value.unwrap_or_default(), VALUE_BYTES),
            start_line: start_line(bytes),
        };
        out.push(seen.noted(Topic::Malformed(fault), seen.src, sign));
    }
}

/// What a response shows of the way its request went: it brings back the Via as the other side received it (RFC 3261
/// 8.2.6.2), so a sent-by that changed was changed on the way. `sent_by` is that of the request.
pub(crate) fn inspect_via(seen: &Seen<'_, '_>, sent_by: &StoredText) -> Option<Noted> {
    let (rewriting, sign) = rewriting::find_in_via(seen, sent_by)?;
    Some(Noted { topic: Topic::Rewritten(rewriting), peer: seen.src, dst: seen.dst, direction: seen.direction, sign })
}

/// A datagram that never became whole.
pub(crate) fn incomplete_noted(packet: &Packet<'_>, incomplete: &Incomplete<'_>) -> Noted {
    let sign =
        Sign::Incomplete { held: incomplete.held, total: incomplete.total, start_line: start_line(incomplete.head) };
    Noted {
        topic: Topic::Incomplete(incomplete.missing),
        peer: packet.src,
        dst: packet.dst,
        direction: packet.direction,
        sign,
    }
}

impl From<ConnectionFailure> for Noted {
    /// Put down to the side that is not this host; where that is neither, to who wanted to connect.
    fn from(failure: ConnectionFailure) -> Self {
        let peer = if failure.direction == Direction::Out { failure.server } else { failure.client };
        Self {
            topic: Topic::Connection(failure.kind),
            peer,
            dst: failure.server,
            direction: failure.direction,
            sign: Sign::Connection(failure),
        }
    }
}

impl From<TlsFailure> for Noted {
    /// As a [`ConnectionFailure`].
    fn from(failure: TlsFailure) -> Self {
        let peer = if failure.direction == Direction::Out { failure.server } else { failure.client };
        Self {
            topic: Topic::Tls(failure.end),
            peer,
            dst: failure.server,
            direction: failure.direction,
            sign: Sign::Tls(failure),
        }
    }
}

/// Whether a peer refuses a message with such a fault, or cannot work with it: what servers must answer with 400
/// (RFC 3261 8.1.1, 16.3, 18.3, 20) and what leaves neither transaction nor dialog. A body that is shorter than it says is
/// not among these: a capture that kept only a part of each packet shows the same.
fn is_refused(fault: Fault, message: &Message<'_>) -> bool {
    match fault {
        Fault::RequestUri => match message.start_line() {
            StartLine::Request { uri, .. } => {
                uri.is_empty() || uri.iter().any(|b| matches!(b, b' ' | b'\t' | b'<' | b'>'))
            }
            StartLine::Response { .. } => false,
        },
        Fault::CallIdMissing
        | Fault::CSeqMissing
        | Fault::FromMissing
        | Fault::ToMissing
        | Fault::ViaMissing
        | Fault::Version
        | Fault::StatusCode
        | Fault::CSeqNumber
        | Fault::CSeqMethod
        | Fault::CSeqMismatch
        | Fault::From
        | Fault::To
        | Fault::Via
        | Fault::MaxForwards
        | Fault::ContentLength => true,
        _ => false,
    }
}

/// The value that breaks the rule.
fn place<'m>(fault: Fault, message: &Message<'m>) -> Option<&'m [u8]> {
    let header = match fault {
        Fault::CSeqNumber | Fault::CSeqMethod | Fault::CSeqMismatch => HeaderName::CSeq,
        Fault::From => HeaderName::From,
        Fault::To => HeaderName::To,
        Fault::Via => HeaderName::Via,
        Fault::MaxForwards => HeaderName::MaxForwards,
        Fault::ContentLength => HeaderName::ContentLength,
        Fault::RequestUri => {
            return match message.start_line() {
                StartLine::Request { uri, .. } => Some(uri),
                StartLine::Response { .. } => None,
            };
        }
        _ => return None,
    };
    message.header(header)
}

/// Where a part of `bytes` begins in it.
fn offset_in(bytes: &[u8], part: &[u8]) -> Option<usize> {
    let offset = part.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    (offset + part.len() <= bytes.len()).then_some(offset)
}

fn start_line(bytes: &[u8]) -> StoredText {
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !matches!(line, [] | [b'\r'])).unwrap_or_default();
    StoredText::new(line.strip_suffix(b"\r").unwrap_or(line), VALUE_BYTES)
}

/// `INVITE`, or `200 INVITE`.
fn name(message: &Message<'_>) -> StoredText {
    match (message.code(), message.method().or(message.cseq_method())) {
        (Some(code), Some(method)) => {
            StoredText::new(&[format!("{code} ").as_bytes(), method.as_bytes()].concat(), VALUE_BYTES)
        }
        (None, Some(method)) => StoredText::new(method.as_bytes(), VALUE_BYTES),
        (_, None) => StoredText::default(),
    }
}
