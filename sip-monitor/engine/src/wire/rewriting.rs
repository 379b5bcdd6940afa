//! Traces of a middlebox that rewrites addresses in SIP (a SIP ALG): it replaces the private address of who sent a message
//! by the public one it comes from, in some places and not in others.
//!
//! What clients do themselves looks alike. They put a public address learned by rport or STUN (RFC 3581, RFC 8489) into Contact
//! and Via and leave the SDP private, or into SDP and Contact and leave the Via private; `o=` stays as it is with most.
//! None of that is taken for a trace.

use core::net::IpAddr;

use memchr::memmem;

use super::inspect::Inspected;
use super::{Rewriting, Sign};
use crate::packet::{Direction, is_private};
use crate::seen::Seen;
use crate::sip::{HeaderName, Host, HostPort, Message, Uri};
use crate::text::StoredText;

/// Bytes kept of a value.
const VALUE_BYTES: usize = 128;

/// Looks for a trace in a message from elsewhere whose source address is public.
pub(super) fn find(seen: &Inspected<'_>) -> Option<(Rewriting, Sign)> {
    let source = seen.src.ip().to_canonical();
    if seen.direction == Direction::Out || is_private(source) || seen.message.list(HeaderName::Via).count() > 1 {
        return None;
    }
    let traces = Traces::of(seen.message);
    traces.length(seen.message, source).or_else(|| traces.sdp(source)).or_else(|| traces.contact(source))
}

/// The sent-by of a response beside that of its request, where both are addresses and differ.
pub(super) fn find_in_via(seen: &Seen<'_, '_>, sent_by: &StoredText) -> Option<(Rewriting, Sign)> {
    let via = seen.via.as_ref().filter(|via| via.sent_by != sent_by.as_str().as_bytes())?;
    let before = HostPort::parse(sent_by.as_str().as_bytes()).host.ip()?;
    let after = via.host_port().host.ip().filter(|after| *after != before)?;
    let value = StoredText::new(via.sent_by, VALUE_BYTES);
    Some((Rewriting::Via, Sign::Rewritten { before, after, value, lengths: None }))
}

/// Where a message names addresses.
struct Traces<'m> {
    via: Option<IpAddr>,
    contact: Option<(IpAddr, &'m [u8])>,
    call_id: Option<IpAddr>,
    /// `o=` of the SDP.
    origin: Option<(IpAddr, &'m [u8])>,
    /// Each `c=` of it.
    connections: Vec<(IpAddr, &'m [u8])>,
    has_candidates: bool,
}

impl<'m> Traces<'m> {
    fn of(message: &Message<'m>) -> Self {
        let sdp = message.sdp().unwrap_or_default();
        let mut traces = Self {
            via: message.top_via().ok().and_then(|via| via.host_port().host.ip()),
            contact: message.contact_uri().and_then(|uri| Some((Uri::parse(uri).ok()?.host?.ip()?, uri))),
            call_id: message.call_id().ok().and_then(|id| {
                let at = id.iter().rposition(|byte| *byte == b'@')?;
                Host::parse(id.get(at + 1..)?).ip()
            }),
            origin: None,
            connections: Vec::new(),
            has_candidates: memmem::find(sdp, b"a=candidate:").is_some(),
        };
        for line in sdp.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
            let Some(addr) = last_word(line).and_then(|word| Host::parse(word).ip()) else { continue };
            match line.first_chunk::<2>() {
                Some(b"o=") if traces.origin.is_none() => traces.origin = Some((addr, line)),
                Some(b"c=") if traces.connections.len() < 8 => traces.connections.push((addr, line)),
                _ => {}
            }
        }
        traces
    }

    /// A Content-Length that is wrong by exactly what replacing a private address by the source has added to the body.
    fn length(&self, message: &Message<'_>, source: IpAddr) -> Option<(Rewriting, Sign)> {
        let written = message.content_length()? as usize;
        let body = behind_head(message.as_bytes())?;
        let added = isize::try_from(body.len()).ok()? - isize::try_from(written).ok()?;
        if added == 0 {
            return None;
        }
        let public = source.to_string();
        let replaced = memmem::find_iter(body, public.as_bytes()).count();
        let before = self.private().find(|before| {
            let each = public.len() as isize - before.to_string().len() as isize;
            (1..=replaced as isize).any(|times| each * times == added)
        })?;
        let value = StoredText::new(message.header(HeaderName::ContentLength)?, VALUE_BYTES);
        let lengths = Some((written, body.len()));
        Some((Rewriting::ContentLength, Sign::Rewritten { before, after: source, value, lengths }))
    }

    /// A `c=` of each kind; or the source in `o=` and in `c=` the private address that Via, Contact or Call-ID still name, too.
    fn sdp(&self, source: IpAddr) -> Option<(Rewriting, Sign)> {
        let (before, line) = *self.connections.iter().find(|(addr, _)| is_private(*addr) && !addr.is_unspecified())?;
        let own = [self.via, self.contact.map(|(addr, _)| addr), self.call_id].contains(&Some(before));
        let replaced = (own && self.origin.is_some_and(|(addr, _)| addr == source))
            || self.connections.iter().any(|(addr, _)| *addr == source);
        if !replaced || self.has_candidates {
            return None;
        }
        let value = StoredText::new(line, VALUE_BYTES);
        Some((Rewriting::Sdp, Sign::Rewritten { before, after: source, value, lengths: None }))
    }

    /// Via and `c=` name the source; the Contact names the private address that `o=` or Call-ID still name, too.
    fn contact(&self, source: IpAddr) -> Option<(Rewriting, Sign)> {
        let (before, uri) = self.contact.filter(|(addr, _)| is_private(*addr))?;
        let replaced = self.via == Some(source) && self.connections.iter().any(|(addr, _)| *addr == source);
        let left = self.origin.is_some_and(|(addr, _)| addr == before) || self.call_id == Some(before);
        if !replaced || !left || self.has_candidates {
            return None;
        }
        let value = StoredText::new(uri, VALUE_BYTES);
        Some((Rewriting::Contact, Sign::Rewritten { before, after: source, value, lengths: None }))
    }

    /// Private addresses the message still names.
    fn private(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let named = [self.via, self.contact.map(|(addr, _)| addr), self.call_id, self.origin.map(|(addr, _)| addr)];
        let in_media = self.connections.iter().map(|(addr, _)| *addr);
        named.into_iter().flatten().chain(in_media).filter(|addr| is_private(*addr))
    }
}

fn last_word(line: &[u8]) -> Option<&[u8]> {
    line.split(|byte| *byte == b' ').next_back()
}

/// What stands behind the empty line.
fn behind_head(bytes: &[u8]) -> Option<&[u8]> {
    memmem::find(bytes, b"\r\n\r\n").and_then(|at| bytes.get(at + 4..))
}
