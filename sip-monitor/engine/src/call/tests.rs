//! Calls, message by message.

use crate::packet::IcmpKind;
use crate::record::{CallState, Output, Side};
use crate::testing::{A, B, P, Rig, SDP, Sip, at};
use crate::transaction::{MethodKind, TimerLetter};

#[test]
fn a_call_is_invited_answered_and_ended() {
    let mut rig = Rig::new();
    rig.answered_call();
    let bye = Sip::request("BYE", 2).tagged("b");
    rig.send(30_000, A, B, &bye);
    rig.send(30_010, B, A, &bye.response(200));
    let record = rig.finish(31_000).remove(0);
    assert_eq!(record.state, CallState::Disconnected);
    assert_eq!(
        (record.invited_at, record.answered_at, record.ended_at),
        (Some(at(0)), Some(at(2000)), Some(at(30_000)))
    );
    assert_eq!((record.post_dial_delay_ms, record.duration_ms), (Some(100.0), Some(28_000.0)));
    assert_eq!((record.final_code, record.ended_by), (Some(200), Some(Side::Caller)));
    let states: Vec<_> = record.state_history.iter().map(|s| s.state).collect();
    assert_eq!(states, [CallState::Calling, CallState::Ringing, CallState::Confirmed, CallState::Disconnected]);
    let methods: Vec<_> = record.methods.iter().map(|(m, n)| (m.as_str(), *n)).collect();
    assert_eq!(methods, [("ACK", 1), ("BYE", 1), ("INVITE", 1)]);
    let codes: Vec<_> =
        record.transactions.iter().map(|t| t.responses.iter().map(|r| r.code).collect::<Vec<_>>()).collect();
    assert_eq!(codes, [vec![100, 180, 200], vec![200]]);
}

#[test]
fn a_healthy_call_is_judged_once_for_its_signalling() {
    let mut rig = Rig::with(|config| config.media_sight = crate::config::MediaSight::Unseen);
    rig.answered_call();
    assert_eq!(rig.engine.counters().judgements, 0);
    rig.send(2500, A, B, &Sip::request("BYE", 2).tagged("b"));
    assert_eq!(rig.engine.counters().judgements, 1);
}

#[test]
fn the_callee_hangs_up_by_its_tags_not_by_its_address() {
    let mut rig = Rig::new();
    rig.answered_call();
    rig.send(9000, B, A, &Sip::request("BYE", 1).by_callee("b").branch("z9hG4bK-callee-bye"));
    let record = rig.finish(9100).remove(0);
    assert_eq!(record.ended_by, Some(Side::Callee));
}

#[test]
fn a_bye_repeated_is_one_transaction_with_retransmissions() {
    let mut rig = Rig::new();
    rig.answered_call();
    let bye = Sip::request("BYE", 2).tagged("b");
    for ms in [30_000, 30_500, 31_500, 33_500] {
        rig.send(ms, A, B, &bye);
    }
    rig.engine.handle_timeout(at(70_000));
    let record = rig.finish(70_000).remove(0);
    let bye = record.transactions.last().unwrap();
    assert_eq!((bye.request_retransmissions, bye.timed_out.as_deref()), (3, Some("F")));
    assert_eq!(record.methods["BYE"], 4, "each request as it was seen");
}

#[test]
fn the_same_packet_captured_twice_is_one_packet() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send_as(0, A, B, &invite, 7);
    rig.send_as(1, A, B, &invite, 7);
    let call = rig.call("call-1");
    assert_eq!(call.transactions[0].sent.count(), 1);
    assert_eq!(call.methods[MethodKind::Invite as usize], 1);
    assert_eq!(rig.engine.counters().captured_twice, 1);
}

#[test]
fn an_invite_with_credentials_goes_on_with_the_same_call() {
    let mut rig = Rig::new();
    let first = Sip::request("INVITE", 1);
    rig.send(0, A, B, &first);
    rig.send(5, B, A, &first.response(401).tagged("x"));
    rig.send(6, A, B, &Sip::request("ACK", 1).tagged("x").branch("z9hG4bK-INVITE-1"));
    assert_eq!(rig.call("call-1").state, CallState::Calling);
    let second = Sip::request("INVITE", 2).header("Authorization: Digest username=\"a\"");
    rig.send(10, A, B, &second);
    rig.send(500, B, A, &second.response(200).tagged("b"));
    let record = rig.finish(600).remove(0);
    assert_eq!((record.state, record.final_code), (CallState::Confirmed, Some(200)));
    assert_eq!(record.invited_at, Some(at(0)));
    assert_eq!(record.dialogs.len(), 1, "the 401 made no dialog");
}

#[test]
fn an_unanswered_challenge_is_a_failure_when_64_t1_have_passed() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(5, B, A, &invite.response(401).tagged("x"));
    rig.send(6, A, B, &Sip::request("ACK", 1).tagged("x").branch("z9hG4bK-INVITE-1"));
    rig.engine.handle_timeout(at(32_004));
    assert_eq!(rig.call("call-1").state, CallState::Calling);
    rig.engine.handle_timeout(at(32_005));
    assert_eq!(rig.call("call-1").state, CallState::Failed);
    assert_eq!(rig.call("call-1").ended_at, Some(at(5)));
}

#[test]
fn a_cancelled_call_has_failed_and_the_caller_ended_it() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(100, B, A, &invite.response(180).tagged("b"));
    let cancel = Sip::request("CANCEL", 1).branch("z9hG4bK-INVITE-1");
    rig.send(5000, A, B, &cancel);
    rig.send(5001, B, A, &cancel.response(200));
    rig.send(5002, B, A, &invite.response(487).tagged("b"));
    rig.send(5003, A, B, &Sip::request("ACK", 1).tagged("b").branch("z9hG4bK-INVITE-1"));
    let record = rig.finish(6000).remove(0);
    assert_eq!((record.state, record.final_code, record.ended_by), (CallState::Failed, Some(487), Some(Side::Caller)));
    assert_eq!(record.ended_at, Some(at(5002)));
    assert_eq!(record.dialogs[0].state, "terminated");
}

#[test]
fn an_invite_that_nobody_answers_times_out_by_timer_b() {
    let mut rig = Rig::new();
    rig.send(0, A, B, &Sip::request("INVITE", 1));
    rig.engine.handle_timeout(at(31_999));
    assert_eq!(rig.call("call-1").state, CallState::Calling);
    rig.engine.handle_timeout(at(32_000));
    let call = rig.call("call-1");
    assert_eq!((call.state, call.ended_at), (CallState::Timeout, Some(at(32_000))));
    assert_eq!(call.transactions[0].timed_out, Some(TimerLetter::B));
}

#[test]
fn a_forked_invite_makes_a_dialog_for_each_answerer() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(100, B, A, &invite.response(180).tagged("b1"));
    rig.send(110, B, A, &invite.response(180).tagged("b2"));
    rig.send(900, B, A, &invite.response(200).tagged("b1"));
    rig.send(910, B, A, &invite.response(200).tagged("b2"));
    rig.send(950, A, B, &Sip::request("ACK", 1).tagged("b1").branch("z9hG4bK-k1"));
    rig.send(960, A, B, &Sip::request("ACK", 1).tagged("b2").branch("z9hG4bK-k2"));
    rig.send(970, A, B, &Sip::request("BYE", 2).tagged("b2"));
    let call = rig.call("call-1");
    assert_eq!((call.dialogs.len(), call.answers.len()), (2, 2));
    assert!(call.answers.iter().all(|a| a.is_acknowledged() && a.retransmissions() == 0));
    assert_eq!(call.state, CallState::Confirmed, "the BYE ended one branch, not the call");
}

#[test]
fn both_hops_of_a_proxy_are_one_answer_seen_twice() {
    let mut rig = Rig::with(|config| config.local = vec!["192.0.2.1".parse().unwrap()]);
    let invite = Sip::request("INVITE", 1);
    let relayed = invite.clone().via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-proxy");
    rig.send(0, A, P, &invite);
    rig.send(1, P, B, &relayed);
    rig.send(500, B, P, &relayed.response(200).tagged("b").header("Record-Route: <sip:192.0.2.1;lr>"));
    rig.send(501, P, A, &invite.response(200).tagged("b").header("Record-Route: <sip:192.0.2.1;lr>"));
    let call = rig.call("call-1");
    assert_eq!((call.transactions.len(), call.answers.len(), call.answers[0].hops.len()), (2, 1, 2));
    assert!(call.answers[0].hops.iter().all(|hop| hop.via_mismatch.is_none() && hop.expected_dst.is_none()));
    assert_eq!(call.dialogs[0].route_set[0].as_str(), "sip:192.0.2.1;lr");
    assert_eq!(call.answered_at, Some(at(500)));
}

#[test]
fn an_ack_to_a_refusal_belongs_to_the_invites_transaction() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(100, B, A, &invite.response(486).tagged("b"));
    rig.send(110, A, B, &Sip::request("ACK", 1).tagged("b").branch("z9hG4bK-INVITE-1"));
    let call = rig.call("call-1");
    assert!(call.transactions[0].ack.is_some() && call.answers.is_empty());
    assert_eq!((call.state, call.final_code), (CallState::Failed, Some(486)));
}

#[test]
fn an_ack_with_another_tag_or_cseq_is_odd_and_acknowledges_nothing() {
    for (ack, tags, cseq) in
        [(Sip::request("ACK", 1).tagged("other"), false, true), (Sip::request("ACK", 2).tagged("b"), true, false)]
    {
        let mut rig = Rig::new();
        let invite = Sip::request("INVITE", 1);
        rig.send(0, A, B, &invite);
        rig.send(100, B, A, &invite.response(200).tagged("b"));
        rig.send(150, A, B, &ack.branch("z9hG4bK-ack"));
        let answer = &rig.call("call-1").answers[0];
        let odd = answer.acks[0].odd.as_ref().unwrap();
        assert_eq!((odd.tags_match, odd.cseq_matches), (tags, cseq));
        assert!(!answer.is_acknowledged());
    }
}

#[test]
fn branches_without_the_magic_cookie_still_match_their_responses() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1).branch("1");
    rig.send(0, A, B, &invite);
    rig.send(100, B, A, &invite.response(200).tagged("b"));
    let bye = Sip::request("BYE", 2).tagged("b").branch("1");
    rig.send(900, A, B, &bye);
    rig.send(910, B, A, &bye.response(200).tagged("b"));
    let call = rig.call("call-1");
    assert_eq!(call.transactions.len(), 2, "a stack that never changes its branch");
    assert!(call.transactions.iter().all(|t| t.responses[0].code == 200));
}

#[test]
fn a_call_joined_in_the_middle_is_adopted() {
    let mut rig = Rig::new();
    rig.send(0, A, B, &Sip::request("BYE", 7).tagged("b"));
    let record = rig.finish(1).remove(0);
    assert!(record.adopted && record.invited_at.is_none());
    assert_eq!(record.state, CallState::Disconnected);
}

#[test]
fn late_messages_find_their_call_and_make_no_new_one() {
    let mut rig = Rig::new();
    rig.answered_call();
    let bye = Sip::request("BYE", 2).tagged("b");
    rig.send(30_000, A, B, &bye);
    rig.send(30_001, B, A, &bye.response(200));
    rig.send(61_500, A, B, &bye);
    assert_eq!(rig.engine.counters().sessions, 1);
    rig.engine.handle_timeout(at(61_500 + 37_000));
    assert!(rig.engine.calls().is_empty());
}

#[test]
fn a_transfer_that_came_up_is_told() {
    let mut rig = Rig::new();
    rig.answered_call();
    let refer = Sip::request("REFER", 2).tagged("b").header("Refer-To: <sip:carol@example.org>");
    rig.send(5000, A, B, &refer);
    rig.send(5010, B, A, &refer.response(202).tagged("b"));
    let notify = Sip::request("NOTIFY", 1).by_callee("b").header("Event: refer").branch("z9hG4bK-n");
    rig.send(6000, B, A, &notify.body("message/sipfrag", "SIP/2.0 200 OK\r\n"));
    let call = rig.call("call-1");
    assert_eq!((call.refers[0].code, call.refers[0].notified), (Some(202), Some((at(6000), 200))));
    assert_eq!(call.state, CallState::Transferred);
}

#[test]
fn icmp_errors_are_joined_to_the_call_whose_message_they_quote() {
    let mut rig = Rig::new();
    rig.answered_call();
    rig.send(5000, B, A, &Sip::request("BYE", 1).by_callee("b"));
    rig.icmp(5002, "198.51.100.10:0", IcmpKind::PortUnreachable, B, A);
    rig.icmp(5502, "198.51.100.10:0", IcmpKind::PortUnreachable, B, A);
    let call = rig.call("call-1");
    assert_eq!((call.icmp.len(), call.icmp[0].seen.count()), (1, 2));
    assert_eq!(rig.engine.counters().icmp_signalling, 2);
}

#[test]
fn a_flood_of_call_ids_evicts_calls_that_were_never_answered() {
    let mut rig = Rig::with(|config| config.limits.calls = 100);
    rig.answered_call();
    for n in 0..10_000 {
        rig.send(3000, A, B, &Sip::request("INVITE", 1).call_id(&format!("flood-{n}")));
    }
    assert_eq!(rig.engine.calls().len(), 100);
    assert_eq!(rig.call("call-1").state, CallState::Confirmed);
    assert_eq!(rig.engine.counters().evicted, 10_000 - 99);
}

#[test]
fn where_every_call_is_up_a_new_one_is_refused_and_counted() {
    let mut rig = Rig::with(|config| config.limits.calls = 1);
    rig.answered_call();
    rig.send(3000, A, B, &Sip::request("INVITE", 1).call_id("two"));
    assert_eq!(rig.engine.counters().refused, 1);
    assert!(rig.engine.calls().find(b"two").is_none());
}

#[test]
fn call_ids_of_10_kb_are_kept_in_part_and_told_apart() {
    let mut rig = Rig::new();
    for last in ["1", "2"] {
        let call_id = "x".repeat(10_000) + last;
        rig.send(0, A, B, &Sip::request("INVITE", 1).call_id(&call_id));
        rig.send(600, A, B, &Sip::request("INVITE", 1).call_id(&call_id));
    }
    assert_eq!(rig.engine.calls().len(), 2);
    rig.finish(1000);
    assert!(rig.engine.calls().is_empty());
}

#[test]
fn a_long_call_keeps_its_setup_and_forgets_old_transactions() {
    let mut rig = Rig::new();
    rig.answered_call();
    for n in 2..500 {
        let options = Sip::request("OPTIONS", n).tagged("b");
        rig.send(3000 + i64::from(n) * 1000, A, B, &options);
        rig.send(3001 + i64::from(n) * 1000, B, A, &options.response(200).tagged("b"));
    }
    let call = rig.call("call-1");
    assert_eq!(call.transactions.len(), 64);
    assert_eq!(call.transactions[0].method, MethodKind::Invite);
    assert!(rig.engine.counters().transactions_dropped > 400);
}

#[test]
fn time_does_not_go_backwards() {
    let mut rig = Rig::new();
    rig.send(1000, A, B, &Sip::request("INVITE", 1));
    rig.send(0, B, A, &Sip::request("INVITE", 1).response(100));
    assert_eq!(rig.call("call-1").transactions[0].responses[0].sent.first(), at(1000));
    assert_eq!(rig.engine.counters().out_of_order, 1);
}

#[test]
fn a_registration_tells_what_was_granted() {
    let mut rig = Rig::new();
    let register =
        |n: u32| Sip::request("REGISTER", n).header("Contact: <sip:alice@198.51.100.10>").header("Expires: 3600");
    rig.send(0, A, B, &register(1));
    rig.send(5, B, A, &register(1).response(401).tagged("r"));
    rig.send(10, A, B, &register(2).header("Authorization: Digest username=\"a\""));
    rig.send(15, B, A, &register(2).response(200).tagged("r").header("Contact: <sip:alice@198.51.100.10>;expires=60"));
    rig.engine.finish(at(100));
    let records: Vec<_> = rig.outputs();
    let [crate::Output::Registration(record)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(
        (record.state.as_str(), record.expires_s, record.requests, record.final_code),
        ("registered", Some(60), 2, Some(200))
    );
    assert_eq!(record.source, A);
}

#[test]
fn a_proxy_that_uses_another_tag_further_on_ends_the_call_with_the_callers_dialog() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    let relayed = invite.clone().via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-proxy");
    rig.send(0, A, P, &invite);
    rig.send(1, P, B, &relayed);
    rig.send(500, B, P, &relayed.response(200).tagged("b2"));
    rig.send(501, P, A, &invite.response(200).tagged("b1"));
    rig.send(9000, A, P, &Sip::request("BYE", 2).tagged("b1"));
    assert_eq!(rig.call("call-1").ended_at, Some(at(9000)));
}

#[test]
fn an_answer_without_to_tag_still_answers() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(500, B, A, &invite.response(200));
    rig.send(510, A, B, &Sip::request("ACK", 1).branch("z9hG4bK-ack"));
    rig.send(900, A, B, &Sip::request("BYE", 2));
    let record = rig.finish(1000).remove(0);
    assert_eq!((record.final_code, record.state, record.ended_at), (Some(200), CallState::Disconnected, Some(at(900))));
}

#[test]
fn a_user_who_types_a_password_for_a_minute_goes_on_with_the_same_call() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(5, B, A, &invite.response(407).tagged("x"));
    rig.send(6, A, B, &Sip::request("ACK", 1).tagged("x").branch("z9hG4bK-INVITE-1"));
    rig.send(60_000, A, B, &Sip::request("INVITE", 2));
    assert_eq!(rig.engine.counters().sessions, 1);
    assert_eq!((rig.call("call-1").state, rig.call("call-1").ended_at), (CallState::Calling, None));
}

/// Messages of a call, some of them damaged: which byte and how is a fixed sequence of numbers.
fn damaged_traffic(rig: &mut Rig, seed: u64) {
    let mut state = seed;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let invite = Sip::request("INVITE", 1).header("Contact: <sip:alice@198.51.100.10:5060>").sdp();
    let messages = [
        (A, B, invite.clone()),
        (B, A, invite.response(183).tagged("b").header("RSeq: 1").header("Require: 100rel").sdp()),
        (A, B, Sip::request("PRACK", 2).tagged("b").header("RAck: 1 1 INVITE")),
        (B, A, invite.response(200).tagged("b").header("Record-Route: <sip:192.0.2.1;lr>").sdp()),
        (A, B, Sip::request("ACK", 1).tagged("b").header("Route: <sip:192.0.2.1;lr>")),
        (B, A, Sip::request("INVITE", 9).by_callee("b").sdp()),
        (A, B, Sip::request("REFER", 3).tagged("b").header("Refer-To: <sip:c@example.org>")),
        (A, B, Sip::request("CANCEL", 1).branch("z9hG4bK-INVITE-1")),
        (B, A, invite.response(487).tagged("b")),
        (A, B, Sip::request("REGISTER", 4).header("Contact: *").header("Expires: 0")),
        (A, B, Sip::request("BYE", 5).tagged("b").header("Reason: Q.850;cause=16")),
    ];
    for n in 0..4_000_i64 {
        let (src, dst, sip) = &messages[next(messages.len())];
        let call_id = format!("call-{}", next(20));
        let mut bytes = sip.clone().call_id(&call_id).bytes();
        for _ in 0..next(4) {
            let at = next(bytes.len());
            bytes[at] = next(256) as u8;
        }
        bytes.truncate(bytes.len() - next(bytes.len() / 4) * next(2));
        rig.send_bytes(n * 37, src, dst, &bytes, n as u32 % 7);
        if n % 50 == 0 {
            rig.icmp(n * 37, "192.0.2.9:0", IcmpKind::Prohibited, B, A);
        }
    }
}

/// What is told of changes since the last time, as `sequence state`.
fn told(rig: &mut Rig) -> Vec<String> {
    let outputs = rig.outputs();
    let events = outputs.iter().filter_map(|o| if let Output::Event(e) = o { Some(e) } else { None });
    events.map(|e| format!("{} {:?}", e.sequence, e.state)).collect()
}

#[test]
fn a_change_of_state_is_told_when_it_happens_and_only_where_it_is_wanted() {
    let mut rig = Rig::with(|config| config.emit.events = true);
    let invite = Sip::request("INVITE", 1).sdp();
    rig.send(0, A, B, &invite);
    assert_eq!(told(&mut rig), ["1 Calling"]);
    rig.send(500, A, B, &invite);
    assert_eq!(told(&mut rig).len(), 0, "the same INVITE again changes nothing");
    rig.send(600, B, A, &invite.response(486).tagged("b"));
    assert_eq!(told(&mut rig), ["2 Failed"]);
    rig.finish(60_000);
    assert_eq!(told(&mut rig).len(), 0, "the end of the capture is no change");
    let mut quiet = Rig::new();
    quiet.send(0, A, B, &invite);
    assert_eq!(told(&mut quiet).len(), 0);
}

#[test]
fn what_a_timer_ends_is_told_with_nobody_as_its_author() {
    let mut rig = Rig::with(|config| config.emit.events = true);
    rig.send(0, B, A, &Sip::request("INVITE", 1));
    rig.outputs();
    rig.engine.handle_timeout(at(40_000));
    let outputs = rig.outputs();
    let event = outputs.iter().find_map(|o| if let Output::Event(e) = o { Some(e) } else { None }).unwrap();
    assert_eq!((event.state, event.ts, event.by, event.code), (CallState::Timeout, at(32_000), None, None));
    assert_eq!(event.peer.as_ref().map(|p| p.addr.as_str()), Some("198.51.100.10"));
}

#[test]
fn sixteen_holds_are_kept_and_all_of_them_are_counted_and_told() {
    let mut rig = Rig::with(|config| config.emit.events = true);
    rig.answered_call();
    let offer = |cseq: u32, way: &str| {
        let sip = Sip::request("INVITE", cseq).tagged("b").header("Content-Type: application/sdp");
        sip.body("application/sdp", &format!("{SDP}a={way}\r\n"))
    };
    for n in 0..20_u32 {
        for (i, (way, back)) in [("sendonly", "recvonly"), ("sendrecv", "sendrecv")].into_iter().enumerate() {
            let (cseq, ms) = (2 + n * 2 + i as u32, 3_000 + i64::from(n) * 2_000 + i as i64 * 1_000);
            let invite = offer(cseq, way);
            rig.send(ms, A, B, &invite);
            let answer = invite.response(200).body("application/sdp", &format!("{SDP}a={back}\r\n"));
            rig.send(ms, B, A, &answer);
            rig.send(ms + 1, A, B, &Sip::request("ACK", cseq).tagged("b").branch(&format!("z9hG4bK-a{cseq}")));
        }
    }
    assert_eq!(told(&mut rig).last().unwrap(), "43 Confirmed", "three to come up, two for each hold");
    let record = rig.finish(60_000).remove(0);
    assert_eq!((record.holds.len(), record.held_ms), (16, Some(20_000.0)));
    assert!(record.holds.iter().all(|hold| hold.by == Some(Side::Caller) && hold.until.is_some()));
}

#[test]
fn damaged_messages_are_taken_without_panic_and_all_facts_are_freed() {
    for seed in 1..=5 {
        let mut rig = Rig::with(|config| config.limits.calls = 64);
        damaged_traffic(&mut rig, seed);
        assert!(rig.engine.calls().len() <= 64);
        rig.finish(1_000_000);
        assert!(rig.engine.calls().is_empty());
    }
}

#[test]
fn the_same_input_gives_the_same_output() {
    let run = || {
        let mut rig = Rig::with(|config| config.emit.messages = true);
        damaged_traffic(&mut rig, 7);
        rig.engine.finish(at(1_000_000));
        rig.outputs().iter().map(|output| serde_json::to_string(output).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
