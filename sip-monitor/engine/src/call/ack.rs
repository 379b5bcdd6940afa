//! ACKs: to a 2xx end to end, by tags and CSeq (RFC 3261 13.2.2.4); to any other final response within the INVITE's own
//! transaction (17.1.1.3).

use core::net::SocketAddr;

use smallvec::SmallVec;

use crate::call::{Call, Context};
use crate::dialog::{AckSeen, Answer, Dialog, OddAck, route};
use crate::event::Event;
use crate::media::SdpRole;
use crate::seen::Seen;
use crate::sip::Uri;
use crate::text::StoredText;
use crate::transaction::{MethodKind, Path, Repeats, Sighting, transaction_key};

/// ACKs of different kinds or hops kept for one 2xx.
const ACKS_KEPT: usize = 8;
/// Routes kept of an odd ACK.
const ROUTES_KEPT: usize = 8;

impl Call {
    pub(crate) fn handle_ack(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, path: Path) {
        let limit = ctx.text_limit();
        let dialog = self.find_dialog(seen, limit);
        let answered = dialog.and_then(|d| self.answers.iter().position(|a| a.dialog == d && a.cseq == seen.cseq));
        if let Some(position) = answered {
            return self.take_ack(ctx, seen, path, position);
        }
        if self.take_ack_of_refusal(ctx, seen, path) {
            return;
        }
        if let Some(position) = self.answers.iter().rposition(|a| !a.is_acknowledged()) {
            return self.take_ack(ctx, seen, path, position);
        }
        self.count_method(ctx, seen);
        if self.adopted && self.answers.is_empty() && seen.in_dialog() {
            self.dialog_of(ctx, seen);
        }
    }

    /// The ACK to a final response that is no 2xx has the branch of its INVITE.
    fn take_ack_of_refusal(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, path: Path) -> bool {
        let key = transaction_key(seen, ctx.hasher);
        let is_refused = |code: u16| code >= 300;
        let Some(invite) = self.transactions.iter_mut().rfind(|t| {
            t.method == MethodKind::Invite
                && t.cseq == seen.cseq
                && t.path == path
                && (t.key == key || t.final_response().is_some_and(|r| is_refused(r.code)))
                && t.final_response().is_none_or(|r| is_refused(r.code))
        }) else {
            return false;
        };
        match &mut invite.ack {
            Some(ack) => {
                ctx.repeated = true;
                if ack.see(seen.at, seen.ip_id, ctx.config.timers.t1) == Sighting::CapturedTwice {
                    ctx.counters.captured_twice += 1;
                    return true;
                }
            }
            none => *none = Some(Repeats::once(seen.at, seen.ip_id)),
        }
        self.count_method(ctx, seen);
        true
    }

    fn take_ack(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, path: Path, position: usize) {
        let odd = self.oddness(ctx, seen, position);
        let Some(answer) = self.answers.get_mut(position) else { return };
        let kind = |odd: &Option<Box<OddAck>>| odd.as_ref().map(|o| (o.tags_match, o.cseq_matches));
        if let Some(known) = answer.acks.iter_mut().find(|a| a.path == path && kind(&a.odd) == kind(&odd)) {
            ctx.repeated = true;
            if known.sent.see(seen.at, seen.ip_id, ctx.config.timers.t1) == Sighting::CapturedTwice {
                ctx.counters.captured_twice += 1;
                return;
            }
        } else if answer.acks.len() < ACKS_KEPT {
            answer.acks.push(AckSeen { path, sent: Repeats::once(seen.at, seen.ip_id), odd });
        } else {
            ctx.counters.details_dropped += 1;
        }
        let repeated = answer.hops.first().map_or(0, |hop| hop.sent.retransmissions());
        ctx.events.push(Event::Acknowledged(repeated));
        let (cseq, side, confirmed) = (answer.cseq, answer.side.other(), !ctx.repeated);
        self.count_method(ctx, seen);
        // The answer to an offer that came in the 2xx (RFC 3264 4, RFC 3261 13.2.2.4).
        let late = self.transactions.iter().any(|t| t.method == MethodKind::Invite && t.cseq == cseq && !t.has_offer);
        if confirmed && late {
            self.take_sdp(ctx, seen, side, SdpRole::Answer, true);
        }
    }

    /// What is wrong with an ACK for this 2xx; `None` where nothing is.
    fn oddness(&self, ctx: &Context<'_>, seen: &Seen<'_, '_>, position: usize) -> Option<Box<OddAck>> {
        let limit = ctx.text_limit();
        let answer = self.answers.get(position)?;
        let dialog = self.dialogs.get(usize::from(answer.dialog))?;
        let tags_match = dialog.has_tags(seen.from_tag, seen.to_tag, limit);
        let cseq_matches = answer.cseq == seen.cseq;
        let check = RouteCheck::new(self, answer, dialog, seen);
        if tags_match && cseq_matches && check.is_right() {
            return None;
        }
        Some(Box::new(OddAck {
            tags_match,
            cseq_matches,
            uri_is_contact: check.uri_is_contact,
            routes_match: check.routes_match,
            sent_to_next_hop: check.sent_to_next_hop,
            next_hop: check.next_hop,
            request_uri: StoredText::new(seen.message.request_uri().unwrap_or_default(), limit),
            routes: seen.message.routes().flatten().take(ROUTES_KEPT).map(|r| StoredText::new(r.uri, limit)).collect(),
            from_tag: StoredText::new(seen.from_tag, limit),
            to_tag: StoredText::new(seen.to_tag, limit),
            cseq: seen.cseq,
        }))
    }
}

/// An ACK's Request-URI, routes and destination beside what the dialog asks for (RFC 3261 12.2.1.1).
struct RouteCheck {
    uri_is_contact: bool,
    routes_match: bool,
    sent_to_next_hop: bool,
    next_hop: Option<SocketAddr>,
}

impl RouteCheck {
    fn new(call: &Call, answer: &Answer, dialog: &Dialog, seen: &Seen<'_, '_>) -> Self {
        let request_uri = seen.message.request_uri().unwrap_or_default();
        let routes: SmallVec<[&[u8]; 4]> = seen.message.routes().flatten().map(|r| r.uri).collect();
        let set = dialog.route_set_of(answer.side.other());
        let is_contact =
            |uri: &[u8]| answer_contacts(answer, dialog).any(|c| route::same_target(uri, c.uri.as_str().as_bytes()));
        // To a strict router the Request-URI is the route, and the Contact stands last (RFC 3261 12.2.1.1, 16.12.1.2).
        let strict = set.first().is_some_and(|top| {
            !Uri::parse(top.as_str().as_bytes()).is_ok_and(|u| u.is_loose_route())
                && route::same_host_port(request_uri, top.as_str().as_bytes())
        });
        let nothing_known = answer_contacts(answer, dialog).next().is_none();
        let uri_is_contact = nothing_known || is_contact(request_uri) || strict;
        let from_first_hop =
            answer.hops.last().and_then(|hop| call.path(hop.path)).is_some_and(|hop| hop.dst.ip() == seen.src.ip());
        let routes_match = dialog.adopted || strict || routes_fit(&routes, &set, from_first_hop);
        let contact = answer_contacts(answer, dialog).next();
        let target = routes.first().copied().or(contact.map(|c| c.uri.as_str().as_bytes()));
        let next_hop = target.and_then(route::address_of);
        // Behind a NAT the Contact cannot be reached, and who answers to the source of the 2xx does right.
        let unreachable = contact.is_some_and(|c| c.is_private() || c.is_unresolvable_name());
        let to_source = answer.hops.iter().filter_map(|hop| call.path(hop.path)).any(|hop| hop.src == seen.dst);
        let sent_to_next_hop = strict
            || next_hop.is_none_or(|hop| same_endpoint(hop, seen.dst))
            // A connection that is up is used whatever port opened it (RFC 3261 18.1.1, RFC 5923).
            || (seen.transport != "udp" && next_hop.is_some_and(|hop| same_host(hop, seen.dst)))
            || (routes.is_empty() && unreachable && to_source);
        Self { uri_is_contact, routes_match, sent_to_next_hop, next_hop }
    }

    const fn is_right(&self) -> bool {
        self.uri_is_contact && self.routes_match && self.sent_to_next_hop
    }
}

/// The Contacts under which the answerer was announced: as the 2xx carried them on each hop, nearest to the caller first.
fn answer_contacts<'a>(answer: &'a Answer, dialog: &'a Dialog) -> impl Iterator<Item = &'a crate::dialog::Contact> {
    let on_hops = answer.hops.iter().rev().filter_map(|hop| hop.contact.as_ref());
    on_hops.chain(dialog.target_of(answer.side))
}

/// The sender must use the whole set; further on each proxy has taken its own route off the top.
fn routes_fit(routes: &[&[u8]], set: &[&StoredText], from_first_hop: bool) -> bool {
    let skipped = set.len().checked_sub(routes.len());
    let Some(skipped) = skipped else { return true };
    if from_first_hop && skipped > 0 {
        return false;
    }
    let left = set.get(skipped..).unwrap_or_default();
    left.iter().zip(routes).all(|(want, route)| route::same_host_port(want.as_str().as_bytes(), route))
}

fn same_endpoint(one: SocketAddr, other: SocketAddr) -> bool {
    same_host(one, other) && one.port() == other.port()
}

fn same_host(one: SocketAddr, other: SocketAddr) -> bool {
    route::canonical(one.ip()) == route::canonical(other.ip())
}
