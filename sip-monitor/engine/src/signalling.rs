//! From a datagram to the call it belongs to.

use core::net::IpAddr;
use std::collections::VecDeque;

use crate::Engine;
use crate::call::{Call, CallKey, Changes, Context, IcmpSeen, Referred, SessionKind};
use crate::event::{Event, Events};
use crate::packet::{Direction, IcmpError, Incomplete, Missing, Packet, TcpSegment};
use crate::peer::Novelty;
use crate::record::{MessageRecord, Output, SCHEMA};
use crate::seen::Seen;
use crate::sip::{Message, NotSip, StartLine};
use crate::tcp::{Arrived, BrokenConnection};
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Repeats, Sighting};
use crate::wire::{Inspected, incomplete_noted, inspect, inspect_via};

/// ICMP errors of different kinds kept for one call.
const ICMP_KEPT: usize = 8;
/// Pairs of hosts kept of which one answers what was not seen.
const STRAYS_KEPT: usize = 64;

impl Engine {
    /// Takes a UDP payload from or to a SIP port, or one that looks like SIP.
    pub(crate) fn handle_datagram(&mut self, now: Timestamp, packet: &Packet<'_>, payload: &[u8]) {
        match Message::parse(payload) {
            Ok(message) => self.handle_message(now, packet, "udp", &message, false),
            Err(NotSip::Empty | NotSip::KeepAlive) => self.counters.keep_alives += 1,
            Err(NotSip::StartLine) => self.counters.not_sip += 1,
        }
    }

    /// Takes the beginning of such a payload. Its body is taken for no body: half an SDP would say what nobody said. Where
    /// not even its headers are there, it may have been any message, and that none came proves nothing any more.
    pub(crate) fn handle_cut(&mut self, now: Timestamp, packet: &Packet<'_>, payload: &[u8]) {
        let headers = memchr::memmem::find(payload, b"\r\n\r\n").and_then(|at| payload.get(..at + 4));
        if headers.is_none() {
            self.capture.cut_at = Some(now);
        }
        match Message::parse(headers.unwrap_or(payload)) {
            Ok(message) => self.handle_message(now, packet, "udp", &message, true),
            Err(NotSip::Empty | NotSip::KeepAlive) => self.counters.keep_alives += 1,
            Err(NotSip::StartLine) => self.counters.not_sip += 1,
        }
    }

    /// Takes a TCP segment from or to a SIP port, and the messages that are whole with it.
    pub(crate) fn handle_segment(&mut self, now: Timestamp, packet: &Packet<'_>, segment: &TcpSegment<'_>) {
        self.counters.tcp_segments += 1;
        let mut arrived = Vec::new();
        let shown = self.connections.handle_segment(now, packet, segment, &mut arrived);
        if let Some(failure) = shown.failure {
            self.note_wire(failure.into());
        }
        if let Some(failure) = shown.tls {
            self.note_wire(failure.into());
        }
        if let Some(broken) = shown.broken {
            self.handle_broken(now, &broken);
        }
        for Arrived { src, dst, way, message } in &arrived {
            let Ok(read) = Message::parse(&message.bytes) else {
                self.counters.not_sip += 1;
                continue;
            };
            self.counters.stream_messages += 1;
            // A message of a stream is the same one only at the same place of it: that is what its number says.
            let packet = Packet {
                src: *src,
                dst: *dst,
                link: way.link,
                direction: way.direction,
                ttl: way.ttl,
                dscp: way.dscp,
                ip_id: message.number,
                ..*packet
            };
            self.handle_message(now, &packet, message.transport, &read, message.cut);
        }
        let streams = self.connections.take_counters();
        self.counters.keep_alives += streams.keep_alives;
        self.counters.stream_garbage_bytes += streams.garbage_bytes;
        self.counters.stream_messages_cut += streams.cut_messages;
        self.counters.connections_evicted += streams.evicted;
    }

    /// `cut`: the monitor has not seen all of it, so nothing is concluded from how it is written.
    fn handle_message(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        transport: &'static str,
        message: &Message<'_>,
        cut: bool,
    ) {
        if message.is_request() {
            self.counters.requests += 1;
        } else {
            self.counters.responses += 1;
        }
        let seen = Seen::new(now, packet, transport, message);
        let kind = seen.as_ref().map_or(MethodKind::Other, |seen| seen.kind);
        let captured_twice = self.counters.captured_twice;
        let repeated = match (seen, message.call_id()) {
            (Some(seen), Ok(call_id)) => self.handle_seen(&seen, call_id),
            (None, _) => {
                self.counters.without_method += 1;
                false
            }
            (Some(_), Err(_)) => {
                self.counters.without_call_id += 1;
                false
            }
        };
        if self.counters.captured_twice == captured_twice {
            self.metrics.messages.count(packet.direction, kind, message.code(), repeated);
        }
        if !repeated && !cut {
            self.inspect(now, packet, transport, message);
        }
        if self.config.emit.messages {
            let record = message_record(now, packet, transport, message, repeated);
            self.outputs.push_back(Output::Message(Box::new(record)));
        }
    }

    /// A closer look at a message that was not seen before.
    fn inspect(&mut self, now: Timestamp, packet: &Packet<'_>, transport: &'static str, message: &Message<'_>) {
        let mut noted = Vec::new();
        let inspected = Inspected {
            src: packet.src,
            dst: packet.dst,
            direction: packet.direction,
            transport,
            message,
            closely: self.wires.may_look(now, packet.src.ip()),
        };
        inspect(&inspected, &mut noted);
        noted.into_iter().for_each(|noted| self.note_wire(noted));
    }

    /// What was sent on a connection a moment ago was sent in vain.
    fn handle_broken(&mut self, now: Timestamp, broken: &BrokenConnection) {
        for key in self.flows.recent(broken.sender, broken.receiver, now) {
            if let Some(call) = self.calls.get_mut(key) {
                call.handle_broken(now, broken);
            }
        }
    }

    /// Takes what was seen of a fragmented datagram that never became whole. Where its beginning is missing, only its
    /// sender can tell that it was signalling. A request whose head was seen counts as sent, and as not received.
    pub(crate) fn handle_incomplete(&mut self, now: Timestamp, packet: &Packet<'_>, incomplete: &Incomplete<'_>) {
        let is_sip = if incomplete.missing == Missing::First {
            let other = if packet.direction == Direction::Out { packet.dst } else { packet.src };
            // Who answers what was not seen here has got it whole: it is this capture that lacks the first fragments.
            let has_arrived = self.strays.contains(&(packet.dst.ip(), packet.src.ip()));
            self.peers.find(other).is_some() && !has_arrived
        } else {
            Message::parse(incomplete.head).is_ok()
        };
        if !is_sip {
            self.counters.incomplete_other += 1;
            return;
        }
        self.counters.incomplete += 1;
        if let Ok(message) = Message::parse(incomplete.head)
            && message.is_request()
            && message.call_id().is_ok()
        {
            return self.handle_message(now, packet, "udp", &message, true);
        }
        self.note_wire(incomplete_noted(packet, incomplete));
    }

    /// Returns whether the message was seen before.
    fn handle_seen(&mut self, seen: &Seen<'_, '_>, call_id: &[u8]) -> bool {
        let hash = self.calls.hash(call_id);
        let known = self.calls.find_hashed(call_id, hash);
        let was = known.and_then(|key| self.calls.get(key)).map(|call| call.state);
        let key = match known {
            Some(key) => key,
            None => {
                match self.calls.victim() {
                    Ok(None) => {}
                    Ok(Some(victim)) => {
                        self.counters.evicted += 1;
                        self.free_call(victim);
                    }
                    Err(_) => {
                        self.counters.refused += 1;
                        return false;
                    }
                }
                self.counters.sessions += 1;
                let limit = self.config.limits.text_bytes;
                let key = self.calls.insert(hash, |key| Call::new(key, call_id, hash, seen, limit));
                if self.calls.get(key).is_some_and(|call| call.adopted && call.kind == SessionKind::Invite) {
                    self.counters.adopted += 1;
                }
                key
            }
        };
        let captured_twice = self.counters.captured_twice;
        let stray_responses = self.counters.stray_responses;
        let Some(call) = self.calls.get_mut(key) else { return false };
        let mut ctx = Context {
            config: &self.config,
            media: &mut self.media,
            counters: &mut self.counters,
            hasher: &self.hasher,
            events: Events::new(),
            changes: Changes::new(),
            agents: &mut self.agents,
            code: seen.code,
            repeated: false,
        };
        match seen.code {
            None if seen.is_request() => call.handle_request(&mut ctx, seen),
            code => call.handle_response(&mut ctx, seen, code.unwrap_or(0)),
        }
        let (mut events, changes, repeated) = (ctx.events, ctx.changes, ctx.repeated);
        let novelty = match (repeated, self.counters.captured_twice > captured_twice) {
            (_, true) => Novelty::CapturedTwice,
            (true, false) => Novelty::Repeated,
            (false, false) => Novelty::New,
        };
        if self.counters.stray_responses > stray_responses {
            note_stray(&mut self.strays, seen);
        }
        let rewritten =
            if repeated { None } else { call.sent_by_of(seen).and_then(|sent_by| inspect_via(seen, sent_by)) };
        let was_limited = call.limit.is_some();
        let touched = self.peers.observe(call, seen, novelty);
        self.reports.heard(seen.at);
        if call.limit.is_some() && !was_limited {
            events.push(Event::Limited);
        }
        if may_be_refused(seen) {
            self.flows.touch(seen.src, seen.dst, key, seen.at);
        }
        if seen.is_request() && !repeated {
            self.note_referral(seen, key);
        }
        self.count_changes(key, &changes);
        self.tell_changes(key, &changes, Some(seen));
        if !repeated {
            self.note_legs(key, seen);
        }
        self.after(key, &events);
        if !repeated {
            self.note_outcome(key, seen);
        }
        self.note_sources(seen, repeated);
        if was.is_none() || events.iter().any(|event| matches!(event, Event::State(_))) {
            self.note_caller(key, was, seen.at);
        }
        self.judge_peers(touched, Some(key));
        if let Some(noted) = rewritten {
            self.note_wire(noted);
        }
        repeated
    }

    /// Joins a transfer that this host was asked for to the call that it makes.
    fn note_referral(&mut self, seen: &Seen<'_, '_>, key: CallKey) {
        let limit = self.config.limits.text_bytes;
        let made = key;
        let Referred::Followed(key, cseq) = self.referrals.handle_request(seen, key, limit) else { return };
        if key != made {
            self.note_referred(key, made);
        }
        let refers = self.calls.get_mut(key).map(|call| &mut call.refers);
        if let Some(refer) = refers.and_then(|refers| refers.iter_mut().rfind(|refer| refer.cseq == cseq)) {
            refer.followed = true;
        }
    }
}

/// Remembers who answers whom without a request that was seen.
fn note_stray(strays: &mut VecDeque<(IpAddr, IpAddr)>, seen: &Seen<'_, '_>) {
    let pair = (seen.src.ip(), seen.dst.ip());
    if strays.contains(&pair) {
        return;
    }
    if strays.len() == STRAYS_KEPT {
        strays.pop_front();
    }
    strays.push_back(pair);
}

/// Messages whose loss matters and which an ICMP error may quote.
fn may_be_refused(seen: &Seen<'_, '_>) -> bool {
    seen.is_request() || (seen.kind == MethodKind::Invite && seen.code.is_some_and(|code| code >= 200))
}

impl Call {
    /// Bytes sent on the connection of one of its hops did not arrive.
    fn handle_broken(&mut self, now: Timestamp, broken: &BrokenConnection) {
        let ends = [(broken.sender, broken.receiver), (broken.receiver, broken.sender)];
        for hop in self.hops.iter_mut().filter(|hop| hop.transport != "udp" && ends.contains(&(hop.a, hop.b))) {
            hop.broken = Some(Box::new((now, *broken)));
        }
    }

    /// The sent-by with which the request of a response that arrives here was sent.
    fn sent_by_of(&self, seen: &Seen<'_, '_>) -> Option<&StoredText> {
        let branch = seen.via.as_ref()?.branch?;
        if seen.is_request() || seen.direction == Direction::Out {
            return None;
        }
        let request = self.transactions.iter().rev().find(|t| {
            t.method == seen.kind
                && t.cseq == seen.cseq
                && t.branch.as_str().as_bytes() == branch
                && self.path(t.path).is_some_and(|hop| hop.src == seen.dst && hop.dst == seen.src)
        })?;
        Some(&request.sent_by)
    }

    /// Takes an ICMP error that quotes a message of this call.
    pub(crate) fn handle_icmp(&mut self, now: Timestamp, packet: &Packet<'_>, error: &IcmpError) {
        let same = |seen: &&mut IcmpSeen| {
            seen.kind == error.kind && seen.quoted_src == error.quoted_src && seen.quoted_dst == error.quoted_dst
        };
        if let Some(known) = self.icmp.iter_mut().find(same) {
            let _: Sighting = known.seen.see(now, packet.ip_id, core::time::Duration::ZERO);
        } else if self.icmp.len() < ICMP_KEPT {
            self.icmp.push(IcmpSeen {
                kind: error.kind,
                reporter: packet.src,
                direction: packet.direction,
                quoted_src: error.quoted_src,
                quoted_dst: error.quoted_dst,
                seen: Repeats::once(now, packet.ip_id),
            });
        }
    }
}

fn message_record(
    now: Timestamp,
    packet: &Packet<'_>,
    transport: &str,
    message: &Message<'_>,
    retransmission: bool,
) -> MessageRecord {
    let text = |bytes: &[u8]| StoredText::new(bytes, 1024).as_str().to_owned();
    let method = match message.start_line() {
        StartLine::Request { method, .. } => Some(text(method.as_bytes())),
        StartLine::Response { .. } => None,
    };
    MessageRecord {
        schema: SCHEMA,
        ts: now,
        src: packet.src.to_string(),
        dst: packet.dst.to_string(),
        transport: transport.to_owned(),
        method,
        code: message.code(),
        call_id: message.call_id().ok().map(text),
        cseq: message.cseq().ok().map(|c| format!("{} {}", c.number, text(c.method.as_bytes()))),
        faults: message.faults().iter().map(|fault| fault.name().to_owned()).collect(),
        retransmission,
    }
}
