//! What is counted at which peer.

use core::time::Duration;

use super::{Peer, Trunk};
use crate::record::Output;
use crate::testing::{A, B, P, Rig, Sip, at};

/// This host is `host`.
fn rig(host: &str) -> Rig {
    Rig::with(|config| config.local = vec![host.split(':').next().unwrap().parse().unwrap()])
}

fn peer<'a>(rig: &'a Rig, addr: &str) -> &'a Peer {
    rig.engine.peers().find(addr.parse().unwrap()).expect("the peer is known")
}

fn relayed(sip: &Sip, branch: &str) -> Sip {
    sip.clone().via(&format!("SIP/2.0/UDP 192.0.2.1:5060;branch={branch}"))
}

#[test]
fn a_call_is_measured_as_rfc_6076_says() {
    let mut rig = rig(A);
    rig.answered_call();
    assert_eq!((peer(&rig, B).concurrent, peer(&rig, B).meter.peak()), (1, 1));
    let bye = Sip::request("BYE", 2).tagged("b");
    rig.send(30_000, A, B, &bye);
    rig.send(30_040, B, A, &bye.response(200));
    let (peer, ms) = (peer(&rig, B), |ms| Some(Duration::from_millis(ms)));
    let total = &peer.measured.total;
    assert_eq!((total.attempts, total.answered, total.completed), (1, 1, 1));
    assert_eq!(
        (total.ser(), total.seer(), total.isa(), total.scr()),
        (Some(100.0), Some(100.0), Some(0.0), Some(100.0))
    );
    assert_eq!((total.srd.percentile(50), total.sdd.percentile(50)), (ms(100), ms(40)));
    assert!(total.sdt.percentile(50).unwrap().abs_diff(Duration::from_secs(28)) < Duration::from_millis(300));
    assert_eq!(peer.concurrent, 0);
}

#[test]
fn on_a_proxy_a_call_counts_once_where_it_comes_from_and_once_where_it_goes() {
    let mut rig = rig(P);
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, P, &invite);
    rig.send(1, P, B, &relayed(&invite, "z9hG4bK-p"));
    assert_eq!((peer(&rig, A).concurrent, peer(&rig, B).concurrent), (1, 1));
    let refused = invite.response(503).tagged("b");
    rig.send(20, B, P, &relayed(&refused, "z9hG4bK-p"));
    rig.send(21, P, A, &refused);
    let (a, b, own) = (peer(&rig, A), peer(&rig, B), peer(&rig, P));
    assert_eq!((a.attempts_from, a.measured.total.attempts), (1, 0));
    assert_eq!((b.attempts_from, b.measured.total.attempts, b.measured.total.codes[&503]), (0, 1, 1));
    assert!(own.is_local && own.measured.total.codes.is_empty(), "the refusal was passed on, not made here");
    assert_eq!((a.concurrent, b.concurrent), (0, 0));
}

#[test]
fn an_invite_sent_again_with_credentials_is_one_attempt() {
    let mut rig = rig(A);
    let invite = Sip::request("INVITE", 1);
    rig.send(0, A, B, &invite);
    rig.send(500, A, B, &invite);
    rig.send(520, B, A, &invite.response(407).tagged("x"));
    let again = Sip::request("INVITE", 2).header("Proxy-Authorization: Digest username=\"u\"");
    rig.send(600, A, B, &again);
    rig.send(700, B, A, &again.response(486).tagged("b"));
    let total = &peer(&rig, B).measured.total;
    assert_eq!((total.attempts, total.ended(), total.codes[&486]), (1, 1, 1));
    assert_eq!((total.ser(), total.seer()), (Some(0.0), Some(100.0)), "busy is an effective answer");
}

#[test]
fn registrations_and_pings_are_measured_at_the_peer_that_answers_them() {
    let mut rig = rig(A);
    let register = Sip::request("REGISTER", 1);
    rig.send(0, A, B, &register);
    rig.send(30, B, A, &register.response(401));
    let again = Sip::request("REGISTER", 2).header("Authorization: Digest username=\"u\"");
    rig.send(40, A, B, &again);
    rig.send(90, B, A, &again.response(200));
    let ping = Sip::request("OPTIONS", 1).call_id("ping");
    rig.send(1_000, A, B, &ping);
    rig.send(1_025, B, A, &ping.response(404));
    let peer = peer(&rig, B);
    let total = &peer.measured.total;
    assert_eq!((total.registrations, total.ira()), (1, Some(0.0)));
    assert_eq!(total.rrd.percentile(50), Some(Duration::from_millis(50)));
    assert_eq!((peer.pings.bad_in_a_row, peer.pings.good_at), (0, Some(at(1_025))));
    assert_eq!(peer.pings.round_trip.percentile(50), Some(Duration::from_millis(25)));
}

#[test]
fn peers_are_bounded_and_the_one_that_was_silent_longest_goes() {
    let mut rig = Rig::with(|config| config.limits.peers = 10);
    for n in 0..100_i64 {
        let ping = Sip::request("OPTIONS", 1).call_id(&format!("{n}"));
        rig.send(n * 10, &format!("198.51.100.{n}:5060"), B, &ping);
        rig.send(n * 10 + 1, "192.0.2.77:5060", B, &Sip::request("OPTIONS", 1).call_id(&format!("kept-{n}")));
    }
    let peers = rig.engine.peers();
    assert_eq!(peers.iter().count(), 10);
    assert!(peers.find("192.0.2.77:5060".parse().unwrap()).is_some(), "it was heard of all the time");
    assert!(peers.find("198.51.100.5:5060".parse().unwrap()).is_none());
    assert_eq!(peers.evictions(), 91);
}

#[test]
fn an_address_that_is_called_by_a_trunks_domain_belongs_to_the_trunk() {
    let mut rig = Rig::with(|config| {
        config.local = vec!["198.51.100.10".parse().unwrap()];
        let domains = vec!["203.0.113.example".to_owned()];
        config.trunks = vec![Trunk { name: "carrier-a".to_owned(), domains, ..Trunk::default() }];
    });
    let text = String::from_utf8(Sip::request("INVITE", 1).bytes()).unwrap();
    let text = text.replacen("sip:bob@203.0.113.7:5060", "sip:bob@sbc.203.0.113.example", 1);
    rig.send_bytes(0, A, B, text.as_bytes(), 1);
    let peer = peer(&rig, B);
    assert_eq!(rig.engine.peers().name(peer), "carrier-a");
    assert_eq!(peer.measured.total.attempts, 1);
}

/// Addresses of the peers that records came of.
fn recorded(rig: &mut Rig) -> Vec<(i64, String)> {
    let outputs = rig.outputs();
    let peers = outputs.iter().filter_map(|o| if let Output::Peer(p) = o { Some(p) } else { None });
    peers.map(|p| (p.ts.since(at(0)).as_millis() as i64 / 1_000, p.peer.addr.clone())).collect()
}

#[test]
fn records_of_peers_are_written_each_interval_while_they_are_heard_of_and_at_the_end() {
    let mut rig = Rig::with(|config| {
        config.local = vec!["198.51.100.10".parse().unwrap()];
        config.emit.peers = true;
        config.peers_every = Some(Duration::from_secs(60));
    });
    rig.answered_call();
    rig.engine.handle_timeout(at(600_000));
    // 1,700,000,000 s are 20 s past a full minute.
    assert_eq!(recorded(&mut rig), [(40, "203.0.113.7".to_owned())], "nobody was heard of after that");
    rig.send(700_000, A, B, &Sip::request("BYE", 2).tagged("b"));
    rig.engine.handle_timeout(at(800_000));
    assert_eq!(recorded(&mut rig), [(760, "203.0.113.7".to_owned())]);
    rig.engine.finish(at(810_000));
    assert_eq!(recorded(&mut rig), [(810, "203.0.113.7".to_owned())]);
}
