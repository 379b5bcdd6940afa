//! Where a message has to go: next hops, targets, and the way back of a response.

use core::net::{IpAddr, SocketAddr};

use crate::dialog::{Contact, ContactHost};
use crate::sip::{Host, Uri, Via};
use crate::text::StoredText;

/// Reads a Contact URI for keeping.
pub(crate) fn contact(uri: &[u8], limit: usize) -> Contact {
    let parsed = Uri::parse(uri).ok();
    let host = match parsed.and_then(|u| u.host) {
        Some(Host::Name(name)) => ContactHost::Name(StoredText::new(name, limit)),
        Some(host) => host.ip().map_or(ContactHost::Missing, ContactHost::Address),
        None => ContactHost::Missing,
    };
    Contact { uri: StoredText::new(uri, limit), host, port: parsed.and_then(|u| u.port) }
}

/// Where a request to a URI goes, where its host is an address. RFC 3261 19.1.2: port 5060, 5061 for `sips:`.
pub(crate) fn address_of(uri: &[u8]) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).ok()?;
    let maddr = uri.params.get("maddr").filter(|m| !m.is_empty()).and_then(|m| Host::parse(m).ip());
    let ip = maddr.or_else(|| uri.host.and_then(|h| h.ip()))?;
    Some(SocketAddr::new(canonical(ip), uri.port.unwrap_or(if uri.is_sips() { 5061 } else { 5060 })))
}

/// Two URIs that name the same user at the same place. Parameters are left out on purpose: stacks drop and add them, and an
/// ACK that differs only there still arrives.
pub(crate) fn same_target(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (Uri::parse(one), Uri::parse(other)) else { return false };
    one.user == other.user && same_place(&one, &other)
}

/// Two URIs with the same host and port.
pub(crate) fn same_host_port(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (Uri::parse(one), Uri::parse(other)) else { return false };
    same_place(&one, &other)
}

fn same_place(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let same_host = match (one.host, other.host) {
        (Some(Host::Name(a)), Some(Host::Name(b))) => a.eq_ignore_ascii_case(b),
        (a, b) => a.and_then(|h| h.ip()) == b.and_then(|h| h.ip()),
    };
    let port = |uri: &Uri<'_>| uri.port.unwrap_or(if uri.is_sips() { 5061 } else { 5060 });
    same_host && port(one) == port(other)
}

/// Where a response has to be sent by its top Via: `received` and `rport` where they are filled in, else sent-by
/// (RFC 3261 18.2.2, RFC 3581 4). Not known where that is a name.
pub(crate) fn response_destination(via: &Via<'_>) -> Option<SocketAddr> {
    let maddr = via.params.get("maddr").filter(|m| !m.is_empty()).and_then(|m| Host::parse(m).ip());
    let sent_by = via.host_port();
    let ip = maddr.or_else(|| via.received.and_then(|h| h.ip())).or_else(|| sent_by.host.ip())?;
    let default = if via.transport.eq_ignore_ascii_case(b"TLS") { 5061 } else { 5060 };
    Some(SocketAddr::new(canonical(ip), via.rport.flatten().or(sent_by.port).unwrap_or(default)))
}

/// IPv4 as IPv4, also where it is written as an IPv6 address that maps it.
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
