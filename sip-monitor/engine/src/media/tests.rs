//! Sessions, streams and flow in virtual time: a caller elsewhere, a callee on this host.

use core::net::SocketAddr;
use core::time::Duration;

use super::flow::{Flow, FlowState, Sight, Travel};
use super::{MediaSession, MediaTable, SdpContext, SdpRole};
use crate::call::CallKey;
use crate::config::{EngineConfig, MediaSight};
use crate::packet::{
    Body, Direction, DropReason, DroppedTraffic, IcmpError, IcmpKind, KernelDrop, Packet, StreamCounters, StreamKey,
};
use crate::record::{Side, StreamRecord};
use crate::sdp::Sdp;
use crate::time::Timestamp;

const KEY: CallKey = CallKey { slot: 1, generation: 1 };
const CALLER: &str = "198.51.100.10:5060";
const CALLEE: &str = "203.0.113.7:5060";
const CALLER_RTP: &str = "198.51.100.10:4000";
const CALLEE_RTP: &str = "203.0.113.7:20000";

/// One call's media, and the table.
struct World {
    config: EngineConfig,
    table: MediaTable,
    session: MediaSession,
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ns(1_000_000_000_000_000_000) + Duration::from_millis(ms)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An SDP with one audio line at `endpoint` and further `lines`.
fn sdp(endpoint: &str, lines: &[&str]) -> String {
    let endpoint = addr(endpoint);
    let family = if endpoint.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, port) = (endpoint.ip(), endpoint.port());
    let mut text = format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 18 96\r\na=rtpmap:96 opus/48000/2\r\n"
    );
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text
}

impl World {
    fn new() -> Self {
        Self::with(MediaSight::Full)
    }

    fn with(media_sight: MediaSight) -> Self {
        let mut config = EngineConfig { local: vec![addr(CALLEE).ip()], media_sight, ..EngineConfig::default() };
        config.emit.streams = true;
        Self { table: MediaTable::new(&config), session: MediaSession::default(), config }
    }

    /// A call answered at 0 with audio both ways.
    fn answered() -> Self {
        let mut world = Self::new();
        world.answer_with(&sdp(CALLER_RTP, &[]), &sdp(CALLEE_RTP, &[]));
        world
    }

    fn answer_with(&mut self, offer: &str, answer: &str) {
        self.say(0, Side::Caller, SdpRole::Offer, offer);
        self.say(0, Side::Callee, SdpRole::Answer, answer);
        self.session.confirmed(at(0), 1);
    }

    fn say(&mut self, ms: u64, from: Side, role: SdpRole, text: &str) {
        let (src, dst) = match from {
            Side::Caller => (CALLER, CALLEE),
            Side::Callee => (CALLEE, CALLER),
        };
        self.say_on(ms, from, role, text, src, dst);
    }

    fn say_on(&mut self, ms: u64, from: Side, role: SdpRole, text: &str, src: &str, dst: &str) {
        let context = SdpContext {
            at: at(ms),
            from,
            role,
            src: addr(src),
            dst: addr(dst),
            direction: Direction::In,
            dialog: 1,
            confirms: role == SdpRole::Answer,
            call_id: "call-1",
        };
        let parsed = Sdp::parse(text.as_bytes()).unwrap();
        self.session.handle_sdp(&mut self.table, KEY, &context, &parsed);
    }

    /// A stream of a packet each 20 ms, as capture reports it: at the first packet, once a second, and at the end.
    fn talk(&mut self, src: &str, dst: &str, from_ms: u64, to_ms: u64) {
        let mut reports: Vec<u64> = (from_ms..to_ms).step_by(1_000).collect();
        reports.push(to_ms);
        for ms in reports {
            let packets = (ms - from_ms) / 20 + 1;
            self.report(src, dst, from_ms, ms, packets);
        }
    }

    fn report(&mut self, src: &str, dst: &str, first_ms: u64, last_ms: u64, packets: u64) {
        let counters = counters(src, dst, first_ms, last_ms, packets);
        self.table.handle_stream(counters.last_at, &counters);
    }

    fn icmp(&mut self, ms: u64, kind: IcmpKind, quoted_src: &str, quoted_dst: &str, direction: Direction) {
        let (quoted_src, quoted_dst) = (addr(quoted_src), addr(quoted_dst));
        let error = IcmpError { kind, icmp_type: 3, icmp_code: 3, protocol: 17, quoted_src, quoted_dst };
        let (src, dst) = (SocketAddr::new(quoted_dst.ip(), 0), SocketAddr::new(quoted_src.ip(), 0));
        let body = Body::Icmp(error);
        let packet = Packet { time: at(ms), link: 0, direction, src, dst, ip_id: 0, ttl: 64, dscp: 0, body };
        self.table.handle_icmp(at(ms), &packet, &error);
    }

    fn drop(
        &mut self,
        ms: u64,
        src: &str,
        dst: &str,
        reason: DropReason,
        count: u64,
        first_ms: u64,
    ) -> Option<CallKey> {
        let drop = KernelDrop {
            reason,
            name: "X",
            traffic: DroppedTraffic::Media,
            segment: None,
            count,
            first_at: at(first_ms),
            last_at: at(ms),
        };
        let (src, dst) = (addr(src), addr(dst));
        let direction = if src.ip() == addr(CALLEE).ip() { Direction::Out } else { Direction::In };
        let body = Body::Drop(drop);
        let packet = Packet { time: at(ms), link: 0, direction, src, dst, ip_id: 0, ttl: 0, dscp: 0, body };
        self.table.handle_drop(&packet, &drop)
    }

    fn rtcp(&mut self, ms: u64, src: &str, dst: &str, payload: &[u8]) {
        let (src, dst) = (addr(src), addr(dst));
        let body = Body::Rtcp(payload);
        let packet =
            Packet { time: at(ms), link: 0, direction: Direction::In, src, dst, ip_id: 0, ttl: 64, dscp: 0, body };
        self.table.handle_rtcp(at(ms), &packet, payload);
    }

    fn flow(&self, to: Side, ms: u64) -> Flow {
        let flows = self.session.flows(&self.table, &self.config, at(ms));
        flows.first().expect("audio is due").towards(to).clone()
    }

    fn state(&self, to: Side, ms: u64) -> FlowState {
        self.flow(to, ms).state
    }

    fn is_due(&self, ms: u64) -> bool {
        !self.session.flows(&self.table, &self.config, at(ms)).is_empty()
    }

    fn records(mut self) -> Vec<StreamRecord> {
        self.table.finish(at(100_000));
        core::iter::from_fn(|| self.table.poll_record()).collect()
    }
}

pub(super) fn counters(src: &str, dst: &str, first_ms: u64, last_ms: u64, packets: u64) -> StreamCounters {
    let (src, dst) = (addr(src), addr(dst));
    let direction = if src.ip() == addr(CALLEE).ip() {
        Direction::Out
    } else if dst.ip() == addr(CALLEE).ip() {
        Direction::In
    } else {
        Direction::Transit
    };
    StreamCounters {
        key: StreamKey { src, dst, ssrc: 0x1234, direction },
        first_at: at(first_ms),
        last_at: at(last_ms),
        in_sequence: packets > 1,
        packets,
        bytes: packets * 172,
        expected: packets,
        lost: 0,
        late: 0,
        duplicates: 0,
        loss_runs: 0,
        restarts: 0,
        gap_max_ns: 20_000_000,
        jitter: [crate::packet::Jitter::default(); crate::packet::CLOCK_RATES_HZ.len()],
        first_rtp_timestamp: 0,
        rtp_timestamp_units: (last_ms - first_ms) * 8,
        payload_type: 0,
        payload_types: [1, 0],
        ttl_min: 64,
        ttl_max: 64,
        dscp: 46,
        same_payload: 0,
        type_run: 0,
        events: 0,
        events_ended: 0,
        payload_bytes: 160,
        last_sequence: 0,
    }
}

/// A sender report of SSRC 0x1234 that claims to have sent `packets`.
fn sender_report(packets: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6, 0, 0, 0x12, 0x34];
    bytes.extend([0; 12]);
    bytes.extend(packets.to_be_bytes());
    bytes.extend((packets * 160).to_be_bytes());
    bytes
}

#[test]
fn media_both_ways_flows() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 8_000);
    world.talk(CALLEE_RTP, CALLER_RTP, 100, 8_000);
    assert_eq!(world.state(Side::Caller, 8_000), FlowState::Flowing);
    assert_eq!(world.state(Side::Callee, 8_000), FlowState::Flowing);
    assert_eq!(world.flow(Side::Callee, 8_000).travel, Travel::In);
    assert_eq!(world.flow(Side::Caller, 8_000).travel, Travel::Out);
}

#[test]
fn media_that_never_comes_is_absent_and_would_have_been_seen() {
    let mut world = World::answered();
    world.talk(CALLEE_RTP, CALLER_RTP, 100, 8_000);
    let flow = world.flow(Side::Callee, 6_000);
    assert_eq!((flow.state, flow.sight), (FlowState::Absent, Sight::Full));
}

#[test]
fn one_packet_is_no_flow_but_is_given_time_to_become_one() {
    let mut world = World::answered();
    world.report(CALLER_RTP, CALLEE_RTP, 5_900, 5_900, 1);
    assert_eq!(world.state(Side::Callee, 6_000), FlowState::Starting);
    assert_eq!(world.state(Side::Callee, 8_000), FlowState::Absent);
    assert_eq!(world.flow(Side::Callee, 8_000).strays, 1);
    assert_eq!(world.session.next_check(&world.table, &world.config, at(6_000), &[]), Some(at(7_900)));
}

#[test]
fn media_is_due_from_the_2xx_on_and_no_longer_than_the_bye() {
    let mut world = World::new();
    world.say(0, Side::Caller, SdpRole::Offer, &sdp(CALLER_RTP, &[]));
    world.say(1_000, Side::Callee, SdpRole::Answer, &sdp(CALLEE_RTP, &[]));
    assert!(!world.is_due(1_500), "ringing");
    world.session.confirmed(at(9_000), 1);
    assert_eq!(world.flow(Side::Callee, 9_500).due_since, at(9_000));
    world.session.ended(at(10_000));
    assert_eq!(world.session.next_check(&world.table, &world.config, at(10_000), &[]), None);
    assert_eq!(world.state(Side::Callee, 60_000), FlowState::Absent, "as it stood at the end");
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut world = World::new();
    world.say(0, Side::Callee, SdpRole::Offer, &sdp(CALLEE_RTP, &[]));
    world.session.confirmed(at(0), 1);
    assert!(!world.is_due(100));
    world.say(200, Side::Caller, SdpRole::Answer, &sdp(CALLER_RTP, &[]));
    assert_eq!(world.flow(Side::Callee, 300).due_since, at(200));
}

#[test]
fn hold_inactive_refused_and_fax_media_is_not_due() {
    for lines in [&["a=sendonly"], &["a=recvonly"], &["a=inactive"], &["c=IN IP4 0.0.0.0"]] {
        let mut world = World::answered();
        world.say(5_000, Side::Caller, SdpRole::Offer, &sdp(CALLER_RTP, lines));
        world.say(5_100, Side::Callee, SdpRole::Answer, &sdp(CALLEE_RTP, &[]));
        assert!(!world.is_due(30_000), "{lines:?}");
        assert!(world.session.is_held(), "{lines:?}");
    }
    let mut world = World::answered();
    let fax = "v=0\r\no=- 1 2 IN IP4 198.51.100.10\r\ns=-\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\nm=image 4002 udptl t38\r\n";
    let answer = fax.replace("198.51.100.10", "203.0.113.7");
    world.say(5_000, Side::Caller, SdpRole::Offer, fax);
    world.say(5_100, Side::Callee, SdpRole::Answer, &answer);
    assert!(!world.is_due(30_000));
    assert!(!world.session.is_held());
}

#[test]
fn media_is_due_anew_from_the_moment_a_hold_ends() {
    let mut world = World::answered();
    world.say(5_000, Side::Caller, SdpRole::Offer, &sdp(CALLER_RTP, &["a=sendonly"]));
    world.say(5_100, Side::Callee, SdpRole::Answer, &sdp(CALLEE_RTP, &["a=recvonly"]));
    world.say(50_000, Side::Caller, SdpRole::Offer, &sdp(CALLER_RTP, &[]));
    world.say(50_100, Side::Callee, SdpRole::Answer, &sdp(CALLEE_RTP, &[]));
    assert_eq!(world.flow(Side::Callee, 50_200).due_since, at(50_100));
}

#[test]
fn a_refresh_that_changes_nothing_does_not_give_media_more_time() {
    let mut world = World::answered();
    world.say(5_000, Side::Callee, SdpRole::Offer, &sdp(CALLEE_RTP, &[]));
    world.say(5_100, Side::Caller, SdpRole::Answer, &sdp(CALLER_RTP, &[]));
    assert_eq!(world.flow(Side::Callee, 6_000).due_since, at(0));
}

#[test]
fn a_rejected_offer_leaves_what_was_agreed_on() {
    let mut world = World::answered();
    world.say(5_000, Side::Caller, SdpRole::Offer, &sdp("198.51.100.10:4444", &["a=sendonly"]));
    world.session.offer_rejected(at(5_100), Side::Caller, addr(CALLER), addr(CALLEE));
    assert_eq!(world.flow(Side::Caller, 6_000).endpoint, addr(CALLER_RTP));
    assert!(!world.session.is_held());
}

#[test]
fn media_that_ended_is_stopped_after_10_s_and_not_before() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 20_000);
    assert_eq!(world.state(Side::Callee, 29_900), FlowState::Flowing);
    assert_eq!(world.session.next_check(&world.table, &world.config, at(29_000), &[]), Some(at(30_000)));
    assert_eq!(world.state(Side::Callee, 30_000), FlowState::Stopped(at(20_000)));
}

#[test]
fn silence_after_comfort_noise_is_no_stop() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 20_000);
    let mut last = counters(CALLER_RTP, CALLEE_RTP, 100, 20_020, 1_000);
    last.payload_type = 13;
    last.payload_types = [1 | 1 << 13, 0];
    world.table.handle_stream(last.last_at, &last);
    assert_eq!(world.state(Side::Callee, 45_000), FlowState::Flowing);
}

#[test]
fn silence_is_no_stop_while_rtcp_goes_on_and_claims_nothing_sent() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 20_000);
    for s in [5, 10, 15, 20, 25, 30, 35] {
        let sent = (s.min(20) * 50_u32).min(1_000);
        world.rtcp(u64::from(s) * 1_000, "198.51.100.10:4001", "203.0.113.7:20001", &sender_report(sent));
    }
    assert_eq!(world.state(Side::Callee, 36_000), FlowState::Flowing);
    assert_eq!(world.state(Side::Callee, 51_000), FlowState::Stopped(at(20_000)), "RTCP has ended too");
}

#[test]
fn media_is_stopped_where_rtcp_claims_that_it_is_still_sent() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 20_000);
    for s in [5, 10, 15, 20, 25, 30, 35_u32] {
        world.rtcp(u64::from(s) * 1_000, "198.51.100.10:4001", "203.0.113.7:20001", &sender_report(s * 50));
    }
    assert_eq!(world.state(Side::Callee, 36_000), FlowState::Stopped(at(20_000)));
}

#[test]
fn icmp_errors_at_the_start_only_are_no_refusal() {
    let mut world = World::answered();
    for ms in [0, 20, 40] {
        world.icmp(ms, IcmpKind::PortUnreachable, CALLEE_RTP, CALLER_RTP, Direction::In);
    }
    world.talk(CALLEE_RTP, CALLER_RTP, 0, 5_000);
    assert_eq!(world.state(Side::Caller, 5_000), FlowState::Flowing);
}

#[test]
fn icmp_errors_that_go_on_are_a_refusal_while_packets_are_sent() {
    let mut world = World::answered();
    for ms in (0..=4_000).step_by(500) {
        world.icmp(ms, IcmpKind::PortUnreachable, CALLEE_RTP, CALLER_RTP, Direction::In);
    }
    world.talk(CALLEE_RTP, CALLER_RTP, 0, 4_000);
    assert_eq!(world.state(Side::Caller, 4_000), FlowState::Refused);
    world.talk(CALLEE_RTP, CALLER_RTP, 0, 9_000);
    assert_eq!(world.state(Side::Caller, 9_000), FlowState::Flowing, "no error for 5 s of packets");
}

#[test]
fn symmetric_rtp_is_learned_from_what_arrives() {
    let mut world = World::new();
    world.answer_with(&sdp("192.168.1.20:4000", &[]), &sdp(CALLEE_RTP, &[]));
    world.talk("198.51.100.10:31000", CALLEE_RTP, 100, 8_000);
    world.talk(CALLEE_RTP, "198.51.100.10:31000", 200, 8_000);
    assert_eq!(world.state(Side::Callee, 8_000), FlowState::Flowing);
    assert_eq!(world.state(Side::Caller, 8_000), FlowState::Flowing);
    let records = world.records();
    assert_eq!(records.iter().map(|r| r.from_side).collect::<Vec<_>>(), [Some(Side::Caller), Some(Side::Callee)]);
    assert!(records.iter().all(|r| r.call_id.as_deref() == Some("call-1")));
}

#[test]
fn what_is_sent_to_a_private_address_behind_public_signalling_does_not_flow() {
    let mut world = World::new();
    world.answer_with(&sdp("192.168.1.20:4000", &[]), &sdp(CALLEE_RTP, &[]));
    world.talk(CALLEE_RTP, "192.168.1.20:4000", 0, 3_000);
    let flow = world.flow(Side::Caller, 3_000);
    assert_eq!((flow.state, flow.private_address), (FlowState::Undeliverable, Some(addr("192.168.1.20:0").ip())));
    world.talk("192.168.1.20:4000", CALLEE_RTP, 3_000, 5_000);
    world.talk(CALLEE_RTP, "192.168.1.20:4000", 0, 5_000);
    assert_eq!(world.state(Side::Caller, 5_000), FlowState::Flowing, "the address is reachable: media comes from it");
}

#[test]
fn a_host_behind_one_to_one_nat_takes_media_at_its_own_address() {
    let mut world = World::new();
    world.answer_with(&sdp(CALLER_RTP, &[]), &sdp("192.0.2.99:20000", &[]));
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 8_000);
    let flow = world.flow(Side::Callee, 8_000);
    assert_eq!((flow.state, flow.travel), (FlowState::Flowing, Travel::In));
}

#[test]
fn a_stream_to_another_port_is_found() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, "203.0.113.7:20002", 100, 6_000);
    let flow = world.flow(Side::Callee, 6_000);
    assert_eq!(flow.state, FlowState::Absent);
    assert_eq!(flow.elsewhere.map(|e| e.dst), Some(addr("203.0.113.7:20002")));
}

#[test]
fn a_stream_of_another_call_is_no_stray_of_this_one() {
    let mut world = World::answered();
    let text = sdp("203.0.113.7:20002", &[]);
    let context = SdpContext {
        at: at(0),
        from: Side::Callee,
        role: SdpRole::Answer,
        src: addr(CALLEE),
        dst: addr(CALLER),
        direction: Direction::Out,
        dialog: 1,
        confirms: true,
        call_id: "call-2",
    };
    let other = CallKey { slot: 2, generation: 1 };
    MediaSession::default().handle_sdp(&mut world.table, other, &context, &Sdp::parse(text.as_bytes()).unwrap());
    world.talk("198.51.100.10:4002", "203.0.113.7:20002", 100, 6_000);
    assert_eq!(world.flow(Side::Callee, 6_000).elsewhere, None);
}

#[test]
fn media_between_others_is_seen_only_where_packets_passed_both_ways() {
    let direct = |world: &mut World| {
        world.say(5_000, Side::Callee, SdpRole::Offer, &sdp("192.0.2.55:8000", &[]));
        world.say(5_100, Side::Caller, SdpRole::Answer, &sdp(CALLER_RTP, &[]));
    };
    let mut world = World::answered();
    direct(&mut world);
    let flow = world.flow(Side::Caller, 20_000);
    assert_eq!((flow.travel, flow.sight), (Travel::Past, Sight::None));
    world.talk("192.0.2.55:8000", CALLER_RTP, 5_500, 12_000);
    assert_eq!(world.flow(Side::Callee, 12_000).sight, Sight::None, "one way proves nothing of the other");
    world.report(CALLER_RTP, "192.0.2.55:8000", 5_400, 5_400, 1);
    assert_eq!(world.flow(Side::Callee, 12_000).sight, Sight::Full);
    assert_eq!(world.state(Side::Callee, 12_000), FlowState::Absent);
}

#[test]
fn guessed_addresses_show_absence_only_beside_other_media() {
    let quiet = {
        let mut world = World::with(MediaSight::Guessed);
        world.answer_with(&sdp(CALLER_RTP, &[]), &sdp(CALLEE_RTP, &[]));
        world
    };
    assert_eq!(quiet.flow(Side::Callee, 6_000).sight, Sight::None);
    let mut world = World::with(MediaSight::Guessed);
    world.answer_with(&sdp("192.0.2.44:4000", &[]), &sdp(CALLEE_RTP, &[]));
    world.talk(CALLEE_RTP, "192.0.2.44:4000", 0, 6_000);
    assert_eq!(world.flow(Side::Callee, 6_000).sight, Sight::Partial, "nothing was ever seen from there");
    let mut world = World::with(MediaSight::Guessed);
    world.answer_with(&sdp(CALLER_RTP, &[]), &sdp(CALLEE_RTP, &[]));
    world.talk(CALLEE_RTP, CALLER_RTP, 0, 6_000);
    assert_eq!(world.flow(Side::Callee, 6_000).sight, Sight::Full, "its signalling comes from there");
}

#[test]
fn a_signalling_only_capture_shows_nothing_about_media() {
    let mut world = World::with(MediaSight::Unseen);
    world.answer_with(&sdp(CALLER_RTP, &[]), &sdp(CALLEE_RTP, &[]));
    assert_eq!(world.flow(Side::Callee, 60_000).sight, Sight::None);
}

#[test]
fn a_proxy_that_passes_sdp_on_has_one_media_session() {
    let mut world = World::new();
    let (offer, answer) = (sdp(CALLER_RTP, &[]), sdp("192.0.2.55:8000", &[]));
    let next_hop = "192.0.2.55:5060";
    world.say_on(0, Side::Caller, SdpRole::Offer, &offer, CALLER, CALLEE);
    world.say_on(1, Side::Caller, SdpRole::Offer, &offer, CALLEE, next_hop);
    world.say_on(100, Side::Callee, SdpRole::Answer, &answer, next_hop, CALLEE);
    world.say_on(101, Side::Callee, SdpRole::Answer, &answer, CALLEE, CALLER);
    world.session.confirmed(at(100), 1);
    assert_eq!(world.session.flows(&world.table, &world.config, at(200)).len(), 1);
    assert_eq!(world.session.records().len(), 1);
}

#[test]
fn a_proxy_that_rewrites_sdp_has_a_session_on_each_side() {
    let mut world = World::new();
    let next_hop = "192.0.2.55:5060";
    world.say_on(0, Side::Caller, SdpRole::Offer, &sdp(CALLER_RTP, &[]), CALLER, CALLEE);
    world.say_on(1, Side::Caller, SdpRole::Offer, &sdp("203.0.113.7:30000", &[]), CALLEE, next_hop);
    world.say_on(100, Side::Callee, SdpRole::Answer, &sdp("192.0.2.55:8000", &[]), next_hop, CALLEE);
    world.say_on(101, Side::Callee, SdpRole::Answer, &sdp("203.0.113.7:30002", &[]), CALLEE, CALLER);
    world.session.confirmed(at(100), 1);
    let flows = world.session.flows(&world.table, &world.config, at(200));
    let ends: Vec<_> = flows.iter().map(|f| (f.to_caller.endpoint, f.to_callee.endpoint)).collect();
    let expected = [(CALLER_RTP, "203.0.113.7:30002"), ("203.0.113.7:30000", "192.0.2.55:8000")];
    assert_eq!(ends, expected.map(|(a, b)| (addr(a), addr(b))));
    assert_eq!(flows.iter().map(|f| f.peer).collect::<Vec<_>>(), [addr(CALLER), addr(next_hop)]);
}

#[test]
fn a_reinvite_past_the_first_hops_leaves_their_session_behind() {
    let mut world = World::answered();
    world.say_on(5_000, Side::Caller, SdpRole::Offer, &sdp("198.51.100.77:6000", &[]), "198.51.100.77:5060", CALLEE);
    world.say_on(5_100, Side::Callee, SdpRole::Answer, &sdp(CALLEE_RTP, &[]), CALLEE, "198.51.100.77:5060");
    let flows = world.session.flows(&world.table, &world.config, at(6_000));
    assert_eq!(flows.iter().map(|f| f.to_caller.endpoint).collect::<Vec<_>>(), [addr("198.51.100.77:6000")]);
}

#[test]
fn ice_may_settle_on_addresses_that_sdp_does_not_tell() {
    let mut world = World::new();
    let ours = "a=candidate:1 1 UDP 2130706431 203.0.113.7 20000 typ host";
    let theirs = "a=candidate:1 1 UDP 2130706431 192.168.1.18 4000 typ host";
    world.answer_with(&sdp(CALLER_RTP, &[theirs]), &sdp("192.0.2.99:1060", &[ours]));
    world.talk(CALLEE_RTP, "192.168.1.18:4000", 100, 6_000);
    world.talk("198.51.100.10:55555", CALLEE_RTP, 100, 6_000);
    assert_eq!(world.state(Side::Caller, 6_000), FlowState::Flowing);
    assert_eq!(world.state(Side::Callee, 6_000), FlowState::Flowing);
}

#[test]
fn a_candidate_that_both_sides_name_joins_the_call_and_tells_no_side() {
    let mut world = World::new();
    let docker = "a=candidate:2 1 UDP 2130706303 172.17.0.1 7078 typ host";
    world.answer_with(&sdp(CALLER_RTP, &[docker]), &sdp(CALLEE_RTP, &[docker]));
    world.talk("203.0.113.7:55555", "172.17.0.1:7078", 100, 2_000);
    let records = world.records();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].call_id.as_deref(), records[0].from_side), (Some("call-1"), None));
}

#[test]
fn a_stream_that_began_before_its_sdp_is_joined() {
    let mut world = World::new();
    world.say(0, Side::Caller, SdpRole::Offer, &sdp("192.0.2.1:4000", &[]));
    world.talk("198.51.100.10:31000", CALLEE_RTP, 100, 900);
    world.say(1_000, Side::Callee, SdpRole::Answer, &sdp(CALLEE_RTP, &[]));
    assert_eq!(world.table.streams_of(KEY).count(), 1);
}

#[test]
fn the_newest_call_gets_new_streams_and_old_ones_stay() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 2_000);
    let text = sdp(CALLEE_RTP, &[]);
    let context = SdpContext {
        at: at(3_000),
        from: Side::Callee,
        role: SdpRole::Answer,
        src: addr(CALLEE),
        dst: addr(CALLER),
        direction: Direction::Out,
        dialog: 1,
        confirms: true,
        call_id: "call-2",
    };
    let newer = CallKey { slot: 2, generation: 1 };
    MediaSession::default().handle_sdp(&mut world.table, newer, &context, &Sdp::parse(text.as_bytes()).unwrap());
    world.report(CALLER_RTP, CALLEE_RTP, 100, 4_000, 200);
    world.talk("198.51.100.10:4800", CALLEE_RTP, 3_500, 5_000);
    assert_eq!(world.table.streams_of(KEY).count(), 1);
    assert_eq!(world.table.streams_of(newer).count(), 1);
    world.table.release(newer);
    world.talk("198.51.100.10:4900", CALLEE_RTP, 6_000, 7_000);
    assert_eq!(world.table.streams_of(KEY).count(), 2, "the older call still holds the endpoint");
}

#[test]
fn streams_are_written_when_their_call_is_over_and_they_are_silent() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 2_000);
    world.table.release(KEY);
    world.table.handle_timeout(at(20_000));
    let record = world.table.poll_record().expect("a record");
    assert_eq!((record.call_id.as_deref(), record.packets), (Some("call-1"), 96));
    assert_eq!((record.clock_rate_hz, record.codec.as_deref()), (8_000, Some("PCMU/8000")));
    assert!(world.table.is_empty());
    assert_eq!(world.table.poll_timeout(), None);
}

#[test]
fn a_chance_look_alike_is_written_only_at_an_announced_endpoint() {
    let mut world = World::answered();
    world.report("192.0.2.77:5000", "203.0.113.7:58581", 0, 0, 1);
    world.report("192.0.2.77:5000", CALLEE_RTP, 0, 0, 1);
    assert_eq!(world.records().iter().map(|r| r.dst.as_str()).collect::<Vec<_>>(), [CALLEE_RTP]);
}

#[test]
fn a_full_table_gives_up_look_alikes_first_and_says_what_it_forgot() {
    let mut world = World::new();
    world.config.limits.streams = 2;
    world.table = MediaTable::new(&world.config);
    world.answer_with(&sdp(CALLER_RTP, &[]), &sdp(CALLEE_RTP, &[]));
    world.talk(CALLER_RTP, CALLEE_RTP, 100, 2_000);
    for port in 0..100_u64 {
        world.report(&format!("192.0.2.77:{}", 5_000 + port), "203.0.113.7:58581", 2_000, 2_000, 1);
    }
    assert_eq!((world.table.len(), world.table.evicted()), (2, 99));
    assert_eq!(world.state(Side::Callee, 3_000), FlowState::Flowing);
    world.talk("192.0.2.77:6000", "203.0.113.7:58581", 3_000, 4_000);
    world.talk("192.0.2.77:6002", "203.0.113.7:58581", 3_000, 4_000);
    world.talk("192.0.2.77:6004", "203.0.113.7:58581", 3_000, 4_000);
    assert_eq!(world.state(Side::Callee, 5_000), FlowState::Flowing, "streams of no call went first");
}

#[test]
fn the_clock_rate_is_negotiated_static_or_estimated() {
    let mut world = World::answered();
    let mut opus = counters(CALLER_RTP, CALLEE_RTP, 0, 2_000, 100);
    (opus.payload_type, opus.payload_types) = (96, [0, 1 << 32]);
    opus.jitter[4].sum_ns = 3_000_000;
    opus.jitter[4].samples = 2;
    let mut unknown = counters("192.0.2.1:1000", "192.0.2.2:1000", 0, 2_000, 100);
    (unknown.payload_type, unknown.payload_types) = (110, [0, 1 << 46]);
    unknown.rtp_timestamp_units = 32_100;
    let g722 = {
        let mut c = counters("192.0.2.1:2000", "192.0.2.2:2000", 0, 2_000, 100);
        (c.payload_type, c.payload_types) = (9, [1 << 9, 0]);
        c
    };
    for c in [opus, unknown, g722] {
        world.table.handle_stream(c.last_at, &c);
    }
    let mut records = world.records();
    records.sort_by_key(|r| r.payload_types.clone());
    let rates: Vec<_> = records.iter().map(|r| (r.payload_types[0], r.clock_rate_hz)).collect();
    assert_eq!(rates, [(9, 8_000), (96, 48_000), (110, 16_000)]);
    assert!((records[1].jitter_mean_ms - 1.5).abs() < 1e-9);
}

#[test]
fn what_was_dropped_just_before_sdp_named_the_endpoint_belongs_to_its_call() {
    let mut world = World::new();
    assert_eq!(world.drop(1_000, CALLER_RTP, CALLEE_RTP, DropReason::Netfilter, 20, 600), None);
    assert_eq!(world.drop(1_000, CALLER_RTP, "203.0.113.7:20002", DropReason::Netfilter, 20, 600), None);
    world.say(1_500, Side::Caller, SdpRole::Offer, &sdp(CALLER_RTP, &[]));
    let claimed: Vec<(SocketAddr, u64)> = world.table.refusals(KEY).iter().map(|r| (r.dst, r.count)).collect();
    assert_eq!(claimed, [(addr(CALLEE_RTP), 20), (addr("203.0.113.7:20002"), 20)]);
}

#[test]
fn what_was_dropped_long_before_belongs_to_nobody_and_little_is_kept() {
    let mut world = World::new();
    for port in 0..1_000_u16 {
        world.drop(1_000, &format!("192.0.2.1:{port}"), CALLEE_RTP, DropReason::Netfilter, 20, 600);
    }
    assert_eq!(world.table.unclaimed_evicted(), 1_000 - 256);
    world.say(9_000, Side::Caller, SdpRole::Offer, &sdp(CALLEE_RTP, &[]));
    assert!(world.table.refusals(KEY).is_empty());
}

#[test]
fn a_stream_that_leaves_and_goes_on_is_not_dropped_as_a_whole() {
    let mut world = World::answered();
    world.talk(CALLER_RTP, CALLEE_RTP, 0, 9_000);
    world.talk(CALLEE_RTP, CALLER_RTP, 0, 5_200);
    world.drop(6_100, CALLEE_RTP, CALLER_RTP, DropReason::Netfilter, 20, 5_000);
    assert_eq!(world.state(Side::Caller, 6_100), FlowState::Flowing);
    world.drop(7_400, CALLEE_RTP, CALLER_RTP, DropReason::Netfilter, 80, 5_000);
    assert_eq!(world.state(Side::Caller, 7_400), FlowState::Refused);
}
