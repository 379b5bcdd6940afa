//! Where requests went wrong: those that come back to this host, and those sent elsewhere than their dialog says.

use smallvec::SmallVec;

use crate::call::{Call, Context};
use crate::dialog::route;
use crate::event::Event;
use crate::packet::Direction;
use crate::record::Side;
use crate::seen::Seen;
use crate::sip::{HeaderName, Uri, Via};
use crate::text::StoredText;
use crate::transaction::{MethodKind, Misrouted};

/// Arrivals of one request with a Via of this host from which on it is a loop: a spiral through another server comes back
/// once or twice by design (RFC 3261 6).
pub(crate) const LOOP_ARRIVALS: u32 = 3;

/// A request that came back to this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Its method.
    pub method: MethodKind,
    /// Its From tag: with the CSeq it is what a request keeps on its way.
    pub from_tag: StoredText,
    /// CSeq number.
    pub cseq: u32,
    /// How often it arrived from the same server with a Via of this host in it: a chain of application servers is none.
    pub arrivals: u32,
    /// Who sent it here last.
    pub from: core::net::SocketAddr,
    /// Request-URI when it came first.
    pub first_uri: StoredText,
    /// Request-URI when it came last.
    pub last_uri: StoredText,
    /// The Request-URI changed between any two arrivals.
    pub changes: bool,
    /// Max-Forwards when it came last.
    pub max_forwards: Option<u8>,
}

impl Call {
    /// Counts a request, new on its hop, that has been at this host before.
    pub(crate) fn note_return(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>) {
        if seen.direction != Direction::In || !has_been_here(seen) {
            return;
        }
        let limit = ctx.text_limit();
        let uri = seen.message.request_uri().unwrap_or_default();
        let known = self.returned.as_deref_mut().filter(|r| {
            r.method == seen.kind
                && r.cseq == seen.cseq
                && r.from_tag.matches(seen.from_tag, limit)
                && r.from.ip() == seen.src.ip()
        });
        let Some(known) = known else {
            let uri = StoredText::new(uri, limit);
            self.returned = Some(Box::new(Returned {
                method: seen.kind,
                from_tag: StoredText::new(seen.from_tag, limit),
                cseq: seen.cseq,
                arrivals: 1,
                from: seen.src,
                first_uri: uri.clone(),
                last_uri: uri,
                changes: false,
                max_forwards: seen.message.max_forwards(),
            }));
            return;
        };
        known.arrivals += 1;
        known.from = seen.src;
        known.max_forwards = seen.message.max_forwards();
        if !known.last_uri.matches(uri, limit) {
            known.changes = true;
            known.last_uri = StoredText::new(uri, limit);
        }
        if known.arrivals >= LOOP_ARRIVALS {
            ctx.events.push(Event::Noted);
        }
    }

    /// What is wrong with the way of a request of `side` in a dialog (RFC 3261 12.2.1.1). Only judged where this is the
    /// hop of its sender: relays may take routes off and rewrite the Request-URI.
    pub(crate) fn misrouted(
        &self,
        ctx: &Context<'_>,
        seen: &Seen<'_, '_>,
        side: Side,
        dialog: u8,
    ) -> Option<Box<Misrouted>> {
        let limit = ctx.text_limit();
        let dialog = self.dialogs.get(usize::from(dialog)).filter(|d| !d.adopted && d.confirmed_at.is_some())?;
        let contact = dialog.target_of(side.other())?;
        let at_sender = seen.message.list(HeaderName::Via).count() == 1;
        if !at_sender {
            return None;
        }
        let set = dialog.route_set_of(side);
        let request_uri = seen.message.request_uri().unwrap_or_default();
        let routes: SmallVec<[&[u8]; 4]> = seen.message.routes().flatten().map(|r| r.uri).collect();
        let is_top = |uri: &[u8]| set.first().is_some_and(|top| route::same_host_port(uri, top.as_str().as_bytes()));
        // To a strict router the Request-URI is the route (RFC 3261 16.12.1.2).
        let strict =
            set.first().is_some_and(|top| !Uri::parse(top.as_str().as_bytes()).is_ok_and(|u| u.is_loose_route()));
        let uri_ok =
            route::same_target(request_uri, contact.uri.as_str().as_bytes()) || (strict && is_top(request_uri));
        let routes_ok = strict
            || (routes.len() >= set.len()
                && set.iter().zip(&routes).all(|(want, is)| route::same_host_port(want.as_str().as_bytes(), is)));
        if uri_ok && routes_ok {
            return None;
        }
        Some(Box::new(Misrouted {
            request_uri: StoredText::new(request_uri, limit),
            contact: contact.uri.clone(),
            routes: routes.iter().take(8).map(|uri| StoredText::new(uri, limit)).collect(),
            route_set: set.into_iter().cloned().collect(),
        }))
    }
}

/// It comes from another host, and a Via below the top one names the very socket it arrives at: services that hand a
/// request to each other on one host have ports of their own.
fn has_been_here(seen: &Seen<'_, '_>) -> bool {
    let here = seen.dst;
    let is_here = |via: &Via<'_>| {
        let sent_by = via.host_port();
        sent_by.host.ip().is_some_and(|ip| route::canonical(ip) == route::canonical(here.ip()))
            && sent_by.port.unwrap_or(5060) == here.port()
    };
    // Where the top one cannot be read, the first that can is taken for it.
    let below = seen.message.vias_below_top().flatten().skip(usize::from(seen.via.is_none()));
    seen.src.ip() != here.ip() && { below }.any(|via| is_here(&via))
}
