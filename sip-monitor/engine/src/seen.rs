//! A message as it was seen: its packet and the few headers that everything in the engine asks for, read once.

use core::net::SocketAddr;

use crate::packet::{Body, Direction, Packet};
use crate::sip::{HeaderName, Message, Method, NameAddr, StartLine, Via};
use crate::time::Timestamp;
use crate::transaction::MethodKind;

/// A SIP message and where it was seen.
pub(crate) struct Seen<'p, 'm> {
    pub at: Timestamp,
    pub link: u16,
    pub direction: Direction,
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub ip_id: u32,
    pub transport: &'static str,
    /// Only a part of it was seen, and its receiver has not seen more.
    pub incomplete: bool,
    pub message: &'m Message<'p>,
    /// Of the request, or of the CSeq of the response.
    pub method: Method<'p>,
    pub kind: MethodKind,
    /// Of a response.
    pub code: Option<u16>,
    pub cseq: u32,
    pub from: Option<NameAddr<'p>>,
    pub to: Option<NameAddr<'p>>,
    /// Empty where there is none.
    pub from_tag: &'p [u8],
    /// Empty where there is none.
    pub to_tag: &'p [u8],
    pub via: Option<Via<'p>>,
    /// The session description in its body.
    pub sdp: Option<&'p [u8]>,
}

impl<'p, 'm> Seen<'p, 'm> {
    /// `None` where neither the start line nor the CSeq names a method.
    pub(crate) fn new(
        at: Timestamp,
        packet: &Packet<'_>,
        transport: &'static str,
        message: &'m Message<'p>,
    ) -> Option<Self> {
        let cseq = message.cseq().ok();
        let method = match message.start_line() {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => cseq.map(|c| c.method).or_else(|| message.cseq_method())?,
        };
        let (from, to) = (message.from().ok(), message.to().ok());
        Some(Self {
            at,
            link: packet.link,
            direction: packet.direction,
            src: packet.src,
            dst: packet.dst,
            ip_id: packet.ip_id,
            transport,
            incomplete: matches!(packet.body, Body::Incomplete(_)),
            message,
            method,
            kind: MethodKind::of(&method),
            code: message.code(),
            cseq: cseq.map_or(0, |c| c.number),
            from_tag: from.and_then(|a| a.tag()).unwrap_or_default(),
            to_tag: to.and_then(|a| a.tag()).unwrap_or_default(),
            from,
            to,
            via: message.top_via().ok(),
            sdp: message.sdp(),
        })
    }

    pub(crate) fn is_request(&self) -> bool {
        self.message.is_request()
    }

    /// It names both ends of a dialog.
    pub(crate) fn in_dialog(&self) -> bool {
        !self.to_tag.is_empty()
    }

    pub(crate) fn has_credentials(&self) -> bool {
        self.message.header(HeaderName::Authorization).is_some()
            || self.message.header(HeaderName::ProxyAuthorization).is_some()
    }
}
