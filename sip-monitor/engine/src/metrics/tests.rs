//! What the whole engine counts of messages, calls and registrations.

use super::CodeLabel;
use crate::Engine;
use crate::config::EngineConfig;
use crate::packet::Direction;
use crate::peer::Trunk;
use crate::testing::{A, B, P, Rig, Sip};
use crate::transaction::MethodKind;

/// Attempts, answered, failed, completed of calls that began that way.
fn outcomes(engine: &Engine, direction: Direction) -> (u64, u64, u64, u64) {
    let all = &engine.metrics().calls.outcomes;
    let of = all.iter().find(|outcomes| outcomes.direction == direction).expect("each direction has its counts");
    let failed = of.failed.values().map(|(count, _)| count).sum::<u64>() + of.failed_without_code.0;
    (of.attempts, of.answered, failed, of.completed)
}

fn up(engine: &Engine) -> u64 {
    engine.metrics().calls.up().map(|(_, count)| count).sum()
}

fn requests(engine: &Engine, direction: Direction, method: MethodKind) -> u64 {
    let found = engine.metrics().messages.requests().find(|(way, of, _)| (*way, *of) == (direction, method));
    found.map_or(0, |(.., count)| count)
}

#[test]
fn a_call_counts_from_its_invite_to_its_end() {
    let mut rig = Rig::new();
    rig.answered_call();
    assert_eq!((outcomes(&rig.engine, Direction::In), up(&rig.engine)), ((1, 1, 0, 0), 1));
    let bye = Sip::request("BYE", 2).tagged("b");
    rig.send(10_000, A, B, &bye);
    rig.send(10_010, B, A, &bye.response(200));
    assert_eq!((outcomes(&rig.engine, Direction::In), up(&rig.engine)), ((1, 1, 0, 1), 0));
    let [inbound, ..] = &rig.engine.metrics().calls.outcomes;
    let sums = [&inbound.post_dial, &inbound.setup, &inbound.talk].map(|buckets| (buckets.count(), buckets.sum()));
    assert_eq!(sums, [(1, 0.1), (1, 2.0), (1, 8.0)]);
    rig.finish(60_000);
    assert_eq!(up(&rig.engine), 0);
}

#[test]
fn a_relayed_call_is_one_call_and_each_of_its_copies_a_message() {
    let mut rig = Rig::with(|config| config.local = vec!["192.0.2.1".parse().unwrap()]);
    let invite = Sip::request("INVITE", 1);
    let relayed = invite.clone().via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-p");
    rig.send(0, A, P, &invite);
    rig.send(1, P, B, &relayed);
    rig.send(100, B, P, &relayed.response(486).tagged("b"));
    rig.send(101, P, A, &invite.response(486).tagged("b"));
    assert_eq!(outcomes(&rig.engine, Direction::In), (1, 0, 1, 0));
    assert_eq!(outcomes(&rig.engine, Direction::Out), (0, 0, 0, 0));
    let [to_us, from_us] = [Direction::In, Direction::Out].map(|way| requests(&rig.engine, way, MethodKind::Invite));
    assert_eq!((to_us, from_us), (1, 1));
    let busy = rig.engine.metrics().messages.responses().filter(|(.., code, _)| *code == CodeLabel::of(486));
    assert_eq!(busy.map(|(.., count)| count).sum::<u64>(), 2);
}

#[test]
fn a_call_that_is_answered_with_408_counts_under_that_code() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(5_000, B, A, &invite.response(408).tagged("b"));
    let [inbound, ..] = &rig.engine.metrics().calls.outcomes;
    let count = inbound.failed.get(&CodeLabel::of(408)).map(|(count, _)| *count);
    assert_eq!((count, inbound.failed_without_code.0), (Some(1), 0));
}

#[test]
fn a_message_sent_again_counts_and_one_captured_twice_does_not() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send_as(0, A, B, &invite, 7);
    rig.send_as(0, A, B, &invite, 7);
    assert_eq!(requests(&rig.engine, Direction::In, MethodKind::Invite), 1);
    rig.send_as(500, A, B, &invite, 8);
    assert_eq!(requests(&rig.engine, Direction::In, MethodKind::Invite), 2);
    let repeated: u64 = rig.engine.metrics().messages.repeated().map(|(.., count)| count).sum();
    assert_eq!((repeated, outcomes(&rig.engine, Direction::In).0), (1, 1));
}

#[test]
fn a_challenge_that_is_answered_is_no_failure() {
    let mut rig = Rig::new();
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"";
    rig.send(10, B, A, &invite.response(401).tagged("b").header(challenge));
    rig.send(11, A, B, &Sip::request("ACK", 1).tagged("b"));
    let again = Sip::request("INVITE", 2)
        .header("Authorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:b\", response=\"0\"");
    rig.send(20, A, B, &again);
    rig.send(30, B, A, &again.response(200).tagged("b"));
    assert_eq!((outcomes(&rig.engine, Direction::In), up(&rig.engine)), ((1, 1, 0, 0), 1));
}

#[test]
fn a_call_that_is_evicted_is_up_no_more() {
    let mut rig = Rig::with(|config| config.limits.calls = 2);
    for n in 0..20 {
        let call_id = format!("call-{n}");
        rig.send(n, A, B, &Sip::request("INVITE", 1).branch(&format!("z9hG4bK-{n}")).call_id(&call_id));
    }
    assert_eq!((outcomes(&rig.engine, Direction::In).0, up(&rig.engine)), (20, 2));
}

#[test]
fn what_becomes_of_a_call_counts_for_its_trunk_though_trunks_are_reloaded_meanwhile() {
    let trunk = |name: &str, address: &str| Trunk {
        name: name.to_owned(),
        addresses: vec![address.parse().unwrap()],
        ..Trunk::default()
    };
    for code in [200, 503] {
        let mut rig = Rig::with(|config| config.trunks = vec![trunk("carrier", "203.0.113.0/24")]);
        let invite = Sip::request("INVITE", 1);
        rig.send(0, A, B, &invite);
        let trunks = vec![trunk("carrier", "203.0.113.0/24"), trunk("new", "192.0.2.200/32")];
        let config = EngineConfig { trunks, ..rig.engine.config().clone() };
        rig.engine.set_config(config);
        rig.send(100, B, A, &invite.response(180).tagged("b"));
        rig.send(200, B, A, &invite.response(code).tagged("b"));
        rig.send(201, A, B, &Sip::request("ACK", 1).tagged("b"));
        if code == 200 {
            let bye = Sip::request("BYE", 2).tagged("b");
            rig.send(10_000, A, B, &bye);
            rig.send(10_010, B, A, &bye.response(200));
        }
        let ledgers = rig.engine.peers().ledgers();
        let (_, carrier) = ledgers.iter().find(|(name, _)| *name == "carrier").expect("it has a ledger");
        let answered = u64::from(code == 200);
        assert_eq!(
            (carrier.attempts, carrier.outcomes.values().sum::<u64>(), carrier.srd.count()),
            (1, 1, 1),
            "{code}"
        );
        assert_eq!((carrier.answered, carrier.completed, carrier.ineffective), (answered, answered, 1 - answered));
    }
}

#[test]
fn registrations_count_while_they_are_up_and_by_why_they_fail() {
    let mut rig = Rig::new();
    let register = |cseq| Sip::request("REGISTER", cseq).header("Contact: <sip:alice@198.51.100.10>");
    let first = register(1).header("Expires: 600");
    rig.send(0, A, B, &first);
    rig.send(10, B, A, &first.response(200).header("Contact: <sip:alice@198.51.100.10>;expires=600"));
    assert_eq!(rig.engine.registrations().up(), 1);
    let refused = register(2).header("Expires: 600");
    rig.send(1_000, A, B, &refused);
    rig.send(1_010, B, A, &refused.response(403));
    let (failures, unanswered) = rig.engine.registrations().failures();
    assert_eq!((failures.get(&CodeLabel::of(403)), unanswered), (Some(&1), 0));
    let gone = register(3).header("Expires: 0");
    rig.send(2_000, A, B, &gone);
    rig.send(2_010, B, A, &gone.response(200));
    assert_eq!(rig.engine.registrations().up(), 0);
}
