//! SIP over TCP and WebSocket: connections between SIP ports, put together to messages (RFC 3261 18, RFC 7118).
//!
//! No handshake is needed: a connection that was up before is read from its next message on. Bounded per direction, per
//! connection and in total; what is given up is counted.

mod breaking;
mod opening;
mod reassembly;
mod stream;
mod tls;
mod websocket;

use core::net::SocketAddr;
use core::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use breaking::Progress;
pub use breaking::{Breaking, BrokenConnection};
use opening::Opening;
pub use opening::{ConnectionFailure, DroppedOpening, FailureKind};
use reassembly::{Piece, Reassembly};
use stream::{Stream, StreamMessage};
use tls::Handshake;
pub use tls::{TlsEnd, TlsFailure, alert_name};

use crate::packet::{Direction, DroppedSegment, IcmpError, KernelDrop, Packet, TcpSegment};
use crate::time::Timestamp;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A connection over which nothing went for so long is forgotten; its next message is read all the same.
const IDLE: Duration = Duration::from_secs(900);
/// A connection that was closed is kept so long for segments that come late.
const CLOSED: Duration = Duration::from_secs(5);
/// How often gaps and idle connections are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What became of what came over TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Bytes that are no SIP.
    pub garbage_bytes: u64,
    /// Keep-alives between messages.
    pub keep_alives: u64,
    /// Messages of which a part was not seen, or too long to be kept.
    pub cut_messages: u64,
    /// Connections forgotten for want of room.
    pub evicted: u64,
}

/// A message and the way it came.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) src: SocketAddr,
    pub(crate) dst: SocketAddr,
    pub(crate) way: Way,
    pub(crate) message: StreamMessage,
}

/// What all segments of one direction have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) link: u16,
    pub(crate) direction: Direction,
    pub(crate) ttl: u8,
    pub(crate) dscp: u8,
}

/// What a segment showed of its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// It failed before anything was asked on it.
    pub(crate) failure: Option<ConnectionFailure>,
    /// Its TLS handshake failed.
    pub(crate) tls: Option<TlsFailure>,
    /// Something was sent on it in vain.
    pub(crate) broken: Option<BrokenConnection>,
}

/// Both ends of a connection, the lower address first.
type Key = (SocketAddr, SocketAddr);

/// See the module.
#[derive(Debug)]
pub struct ConnectionTable {
    connections: HashMap<Key, Box<Connection>, RandomState>,
    limit: usize,
    bytes_limit: usize,
    held: usize,
    swept_at: Timestamp,
    counters: StreamCounters,
}

#[derive(Debug)]
struct Connection {
    /// From the lower address to the higher, and back.
    flows: [Flow; 2],
    opening: Opening,
    handshake: Handshake,
    last_at: Timestamp,
    closed_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Flow {
    way: Option<Way>,
    /// Sequence number of the SYN, where it was seen.
    syn: Option<u32>,
    fin: bool,
    progress: Progress,
    reassembly: Reassembly,
    stream: Stream,
}

impl ConnectionTable {
    /// A table for `limit` connections that hold `bytes_limit` bytes together.
    #[must_use]
    pub fn new(limit: usize, bytes_limit: usize, hasher: RandomState) -> Self {
        Self {
            connections: HashMap::with_hasher(hasher),
            limit: limit.max(1),
            bytes_limit: bytes_limit.max(stream::STREAM_BYTES),
            held: 0,
            swept_at: Timestamp::ZERO,
            counters: StreamCounters::default(),
        }
    }

    /// What was given up since the last call.
    pub(crate) fn take_counters(&mut self) -> StreamCounters {
        core::mem::take(&mut self.counters)
    }

    /// Connections now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Takes a segment; the messages that are whole with it are added to `out`. Returns what it showed of its
    /// connection.
    pub(crate) fn handle_segment(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        segment: &TcpSegment<'_>,
        out: &mut Vec<Arrived>,
    ) -> Shown {
        self.sweep(now, out);
        let (key, side) = key(packet.src, packet.dst);
        if !self.connections.contains_key(&key) {
            self.make_room();
        }
        let connection = self.connections.entry(key).or_insert_with(|| Box::new(Connection::new(now)));
        let before = connection.held();
        let shown = connection.handle_segment(now, packet, segment, side, out);
        self.counters.add(connection.take_spoiled());
        self.held = self.held + connection.held() - before;
        if self.held > self.bytes_limit {
            self.make_room();
        }
        shown
    }

    /// Takes an ICMP error that quotes a segment: a connection that is not up yet was refused by it.
    pub(crate) fn handle_icmp(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        error: &IcmpError,
    ) -> Option<ConnectionFailure> {
        let (key, _) = key(error.quoted_src, error.quoted_dst);
        self.connections.get_mut(&key)?.opening.handle_icmp(now, packet, error)
    }

    /// Takes segments that this host's kernel dropped: what opens a connection may be seen in no other way.
    pub(crate) fn handle_drop(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        drop: &KernelDrop,
    ) -> Option<ConnectionFailure> {
        if !matches!(drop.segment, Some(DroppedSegment::Syn | DroppedSegment::SynAck)) {
            return None;
        }
        let (key, _) = key(packet.src, packet.dst);
        if !self.connections.contains_key(&key) {
            self.make_room();
        }
        let connection = self.connections.entry(key).or_insert_with(|| Box::new(Connection::new(now)));
        connection.last_at = now;
        connection.opening.handle_drop(now, packet, drop)
    }

    /// Gaps that will not be filled, connections that are over.
    fn sweep(&mut self, now: Timestamp, out: &mut Vec<Arrived>) {
        if now.since(self.swept_at) < SWEEP {
            return;
        }
        self.swept_at = now;
        let first = out.len();
        let (mut held, counters) = (0, &mut self.counters);
        self.connections.retain(|key, connection| {
            if connection.is_over(now) {
                return false;
            }
            for side in [0, 1] {
                connection.deliver(*key, side, out, |flow, sink| flow.give_up(now, sink));
            }
            counters.add(connection.take_spoiled());
            held += connection.held();
            true
        });
        self.held = held;
        // The table has no order; what it gives has.
        if let Some(given) = out.get_mut(first..) {
            given.sort_by_key(|arrived| (arrived.src, arrived.dst, arrived.message.number));
        }
    }

    /// Forgets the sixteenth of the connections over which nothing went for longest, so that the search is rare.
    fn make_room(&mut self) {
        if self.connections.len() < self.limit && self.held <= self.bytes_limit {
            return;
        }
        let mut ages: Vec<(Timestamp, Key)> = self.connections.iter().map(|(key, c)| (c.last_at, *key)).collect();
        ages.sort_unstable();
        for (_, key) in ages.iter().take((ages.len() / 16).max(1)) {
            if let Some(connection) = self.connections.remove(key) {
                self.held -= connection.held();
                self.counters.evicted += 1;
            }
        }
    }
}

impl Connection {
    fn new(now: Timestamp) -> Self {
        Self {
            flows: [Flow::default(), Flow::default()],
            opening: Opening::default(),
            handshake: Handshake::default(),
            last_at: now,
            closed_at: None,
        }
    }

    fn held(&self) -> usize {
        self.flows.iter().map(|flow| flow.reassembly.held() + flow.stream.held()).sum()
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.last_at) >= IDLE || self.closed_at.is_some_and(|at| now.since(at) >= CLOSED)
    }

    fn take_spoiled(&mut self) -> StreamCounters {
        let mut sum = StreamCounters::default();
        for flow in &mut self.flows {
            let spoiled = core::mem::take(&mut flow.stream.spoiled);
            sum.garbage_bytes += spoiled.garbage_bytes;
            sum.keep_alives += spoiled.keep_alives;
            sum.cut_messages += spoiled.cut_messages;
        }
        sum
    }

    fn handle_segment(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        segment: &TcpSegment<'_>,
        side: usize,
        out: &mut Vec<Arrived>,
    ) -> Shown {
        self.last_at = now;
        let key = key(packet.src, packet.dst).0;
        let way = Way { link: packet.link, direction: packet.direction, ttl: packet.ttl, dscp: packet.dscp };
        if segment.flags & SYN != 0 {
            self.handle_syn(side, segment);
        }
        if let Some(flow) = self.flows.get_mut(side) {
            flow.way = Some(way);
        }
        let breaking = self.breaking(now, segment, side);
        let tls = self.handshake.handle_segment(now, packet, segment);
        // What is encrypted holds no messages.
        let is_plain = !self.handshake.is_tls();
        // What this side has received of the other: gaps there are the monitor's.
        if is_plain && segment.flags & ACK != 0 {
            self.deliver(key, 1 - side, out, |flow, sink| flow.handle_ack(segment.ack, sink));
        }
        if is_plain && !segment.payload.is_empty() {
            let seq = segment.seq.wrapping_add(u32::from(segment.flags & SYN != 0));
            self.deliver(key, side, out, |flow, sink| flow.handle_segment(now, seq, segment.payload, sink));
        }
        if segment.flags & FIN != 0
            && let Some(flow) = self.flows.get_mut(side)
        {
            flow.fin = true;
        }
        if segment.flags & RST != 0 || self.flows.iter().all(|flow| flow.fin) {
            self.closed_at.get_or_insert(now);
        }
        let failure = self.opening.handle_segment(now, packet, segment);
        let broken = breaking.map(|breaking| {
            let (sender, receiver) = match breaking {
                Breaking::Reset => (packet.dst, packet.src),
                Breaking::Unacknowledged => (packet.src, packet.dst),
            };
            BrokenConnection { sender, receiver, breaking }
        });
        Shown { failure, tls, broken }
    }

    /// What becomes of bytes that were sent: asked before the segment's own bytes are taken.
    fn breaking(&mut self, now: Timestamp, segment: &TcpSegment<'_>, side: usize) -> Option<Breaking> {
        let other = self.flows.get_mut(1 - side)?;
        if segment.flags & RST != 0 {
            return other.progress.has_sent().then_some(Breaking::Reset);
        }
        if segment.flags & ACK != 0 && other.reassembly.is_done_with(segment.ack) {
            other.progress.handle_ack();
        }
        let own = self.flows.get_mut(side).filter(|_| !segment.payload.is_empty())?;
        let end = segment.seq.wrapping_add(u32::try_from(segment.payload.len()).unwrap_or(u32::MAX));
        let fresh = !own.reassembly.has_all_before(end);
        own.progress.handle_bytes(now, fresh).then_some(Breaking::Unacknowledged)
    }

    /// A connection begins, also where an old one between the same ports was known.
    fn handle_syn(&mut self, side: usize, segment: &TcpSegment<'_>) {
        let known = self.flows.get(side).is_some_and(|flow| flow.syn == Some(segment.seq));
        if known {
            return;
        }
        if segment.flags & ACK == 0 {
            self.flows = [Flow::default(), Flow::default()];
            self.opening = Opening::default();
            self.handshake = Handshake::default();
            self.closed_at = None;
        }
        if let Some(flow) = self.flows.get_mut(side) {
            *flow = Flow { syn: Some(segment.seq), stream: Stream::begin(), ..Flow::default() };
            flow.reassembly.begin(segment.seq.wrapping_add(1));
        }
    }

    /// Lets one direction go on, and takes the messages that are whole with it.
    fn deliver(
        &mut self,
        key: Key,
        side: usize,
        out: &mut Vec<Arrived>,
        go_on: impl FnOnce(&mut Reassembly, &mut dyn FnMut(Piece<'_>)),
    ) {
        let Some(flow) = self.flows.get_mut(side) else { return };
        let Some(way) = flow.way else { return };
        let (src, dst) = if side == 0 { key } else { (key.1, key.0) };
        let stream = &mut flow.stream;
        go_on(&mut flow.reassembly, &mut |piece| {
            stream.handle_piece(piece, &mut |message| out.push(Arrived { src, dst, way, message }));
        });
    }
}

impl StreamCounters {
    fn add(&mut self, more: Self) {
        self.garbage_bytes += more.garbage_bytes;
        self.keep_alives += more.keep_alives;
        self.cut_messages += more.cut_messages;
        self.evicted += more.evicted;
    }
}

/// The connection between two ends, and which of its directions begins at `src`.
fn key(src: SocketAddr, dst: SocketAddr) -> (Key, usize) {
    if src <= dst { ((src, dst), 0) } else { ((dst, src), 1) }
}

#[cfg(test)]
mod tests;
