//! The whole life of an alert, in virtual time, with findings made by hand.

use core::time::Duration;

use super::*;
use crate::alert::Alert;
use crate::diagnosis::{Asks, CallIdentity, Diagnosis, Fault, Layer, Severity, catalogue};
use crate::packet::CaptureLoss;
use crate::peer::PeerTable;
use crate::record::CallState;

const NO_ACK: Diagnosis = diagnosis("no-ack", &[]);
const DROPPED: Diagnosis = diagnosis("dropped-after-30s", &[]);
const ZOMBIE: Diagnosis = diagnosis("zombie-call", &["abrupt-disconnect"]);
const ABRUPT: Diagnosis = diagnosis("abrupt-disconnect", &[]);
const LOSS: Diagnosis = diagnosis("capture-loss", &[]);

const fn diagnosis(code: &'static str, takes_over: &'static [&'static str]) -> Diagnosis {
    Diagnosis { code, layer: Layer::Dialog, title: "", causes: &[], refs: &[], asks: Asks::Call(|_| None), takes_over }
}

/// A book, what it said, and a clock in seconds.
struct Bench {
    book: AlertBook,
    out: VecDeque<Output>,
    capture: CaptureFacts,
    peers: PeerTable,
}

impl Bench {
    fn new() -> Self {
        Self::with(EngineConfig::default())
    }

    fn with(config: EngineConfig) -> Self {
        let peers = PeerTable::new(&config, Default::default());
        Self {
            book: AlertBook::new(&config, catalogue::ALL),
            out: VecDeque::new(),
            capture: CaptureFacts::default(),
            peers,
        }
    }

    /// Judges call `n` at `seconds`, and returns the lines.
    fn judge(&mut self, seconds: f64, n: u32, findings: &[(&'static Diagnosis, Finding)]) -> Vec<Alert> {
        self.judge_ended(seconds, n, None, findings)
    }

    fn judge_ended(
        &mut self,
        seconds: f64,
        n: u32,
        ended_at: Option<Timestamp>,
        findings: &[(&'static Diagnosis, Finding)],
    ) -> Vec<Alert> {
        let call_id = format!("call-{n}");
        let call = CallIdentity {
            call_id: &call_id,
            from: "sip:a@198.51.100.10",
            to: "sip:b@203.0.113.7",
            from_tag: None,
            to_tag: None,
            cseq: Some(1),
            state: CallState::Confirmed,
            answered_at: Some(at(0.0)),
            ended_at,
            link: None,
            transport: "udp",
        };
        let case = Case {
            subject: Subject::Call(key(n)),
            now: at(seconds),
            call: Some(&call),
            peers: &self.peers,
            legs: None,
            part_of: None,
        };
        self.book.settle(case, &self.capture, findings.iter().cloned().collect(), &mut self.out);
        self.lines()
    }

    fn judge_host(&mut self, seconds: f64, findings: &[(&'static Diagnosis, Finding)]) -> Vec<Alert> {
        let case = Case {
            subject: Subject::Host,
            now: at(seconds),
            call: None,
            peers: &self.peers,
            legs: None,
            part_of: None,
        };
        self.book.settle(case, &self.capture, findings.iter().cloned().collect(), &mut self.out);
        self.lines()
    }

    fn forget(&mut self, n: u32) {
        self.book.forget(Subject::Call(key(n)));
    }

    /// Runs every timer up to `seconds`.
    fn advance(&mut self, seconds: f64) -> Vec<Alert> {
        while let Some(due) = self.book.poll_timeout().filter(|due| *due <= at(seconds)) {
            self.book.handle_timeout(due, &mut self.out);
            assert!(self.book.poll_timeout().is_none_or(|next| next > due), "a timer fires for ever at {due}");
        }
        self.lines()
    }

    fn lines(&mut self) -> Vec<Alert> {
        let alerts = self.out.drain(..).map(|output| match output {
            Output::Alert(alert) => *alert,
            other => panic!("the book says nothing but alerts: {other:?}"),
        });
        alerts.collect()
    }
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_unix_ns(1_700_000_000_000_000_000) + Duration::from_secs_f64(seconds)
}

fn key(n: u32) -> CallKey {
    CallKey { slot: n, generation: 0 }
}

fn found(cause: &'static str, severity: Severity) -> Finding {
    Finding {
        fault: Some(Fault::Remote),
        summary: format!("{cause} was found"),
        peer: Some("203.0.113.7:5060".parse().unwrap()),
        ..Finding::new(cause, severity, Confidence::Likely)
    }
}

fn warning(cause: &'static str) -> Finding {
    found(cause, Severity::Warning)
}

fn brief(lines: &[Alert]) -> Vec<(Status, &str, &str, Severity)> {
    lines.iter().map(|a| (a.status, a.code.as_str(), a.cause.as_str(), a.severity)).collect()
}

#[test]
fn an_alert_fires_once_gets_worse_under_the_same_id_and_ends() {
    let mut bench = Bench::new();
    let fired = bench.judge(3.5, 1, &[(&NO_ACK, warning("never-seen"))]);
    assert_eq!(brief(&fired), [(Status::Firing, "no-ack", "never-seen", Severity::Warning)]);
    assert_eq!(bench.judge(7.5, 1, &[(&NO_ACK, warning("never-seen"))]), []);
    let worse = bench.judge(32.0, 1, &[(&NO_ACK, found("never-seen", Severity::Critical))]);
    assert_eq!(brief(&worse), [(Status::Update, "no-ack", "never-seen", Severity::Critical)]);
    let ended = bench.judge(33.0, 1, &[]);
    assert_eq!(brief(&ended), [(Status::Resolved, "no-ack", "never-seen", Severity::Critical)]);
    assert_eq!(fired[0].id, worse[0].id);
    assert_eq!(fired[0].id, ended[0].id);
    assert_eq!(ended[0].ts, at(33.0));
    assert_eq!((bench.book.open_count(), bench.book.poll_timeout()), (0, None));
    assert_eq!(bench.judge(34.0, 1, &[]), []);
}

#[test]
fn a_clearer_cause_keeps_the_id_where_the_call_is_alone_in_the_alert() {
    let mut bench = Bench::new();
    let fired = bench.judge(3.5, 1, &[(&NO_ACK, warning("unknown"))]);
    let clearer = bench.judge(4.0, 1, &[(&NO_ACK, warning("contact-private"))]);
    assert_eq!(brief(&clearer), [(Status::Update, "no-ack", "contact-private", Severity::Warning)]);
    assert_eq!(fired[0].id, clearer[0].id);
    assert_eq!(clearer[0].summary, "contact-private was found");
    // The next call with the old cause is another alert, since this one is not about it any more.
    let other = bench.judge(5.0, 2, &[(&NO_ACK, warning("unknown"))]);
    assert_eq!(brief(&other), [(Status::Firing, "no-ack", "unknown", Severity::Warning)]);
    assert_ne!(fired[0].id, other[0].id);
}

#[test]
fn a_clearer_cause_joins_the_alert_that_is_open_for_it_and_the_empty_one_ends() {
    let mut bench = Bench::new();
    let private = bench.judge(3.5, 1, &[(&NO_ACK, warning("contact-private"))]);
    let unknown = bench.judge(4.0, 2, &[(&NO_ACK, warning("unknown"))]);
    let moved = bench.judge(5.0, 2, &[(&NO_ACK, warning("contact-private"))]);
    assert_eq!(
        brief(&moved),
        [
            (Status::Resolved, "no-ack", "unknown", Severity::Warning),
            (Status::Update, "no-ack", "contact-private", Severity::Warning)
        ]
    );
    assert_eq!((&moved[0].id, &moved[1].id), (&unknown[0].id, &private[0].id));
    assert_eq!(moved[1].calls.as_ref().unwrap().count, 2);
}

#[test]
fn a_clearer_cause_of_one_call_leaves_the_others_in_their_alert() {
    let mut bench = Bench::new();
    bench.judge(1.0, 1, &[(&NO_ACK, warning("unknown"))]);
    bench.judge(2.0, 2, &[(&NO_ACK, warning("unknown"))]);
    let moved = bench.judge(3.0, 2, &[(&NO_ACK, warning("contact-private"))]);
    assert_eq!(brief(&moved), [(Status::Firing, "no-ack", "contact-private", Severity::Warning)]);
    let third = bench.judge(4.0, 3, &[(&NO_ACK, warning("unknown"))]);
    assert_eq!(third, [], "two calls were told already");
    let fourth = bench.judge(5.0, 4, &[(&NO_ACK, warning("unknown"))]);
    let calls = fourth[0].calls.as_ref().unwrap();
    assert_eq!(
        (calls.count, calls.sample_call_ids.as_slice()),
        (3, ["call-1", "call-3", "call-4"].map(str::to_owned).as_slice())
    );
}

#[test]
fn ten_thousand_calls_to_one_peer_are_one_alert_of_nine_lines() {
    let mut bench = Bench::new();
    let mut lines = Vec::new();
    for n in 0..10_000 {
        lines.extend(bench.judge(f64::from(n) * 0.01, n, &[(&NO_ACK, warning("never-seen"))]));
        bench.forget(n);
    }
    let counts: Vec<u64> = lines.iter().map(|a| a.calls.as_ref().map_or(1, |c| c.count)).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5, 10, 100, 1_000, 10_000]);
    assert!(lines.iter().all(|a| a.id == lines[0].id));
    assert_eq!(lines[8].calls.as_ref().unwrap().sample_call_ids.len(), 5);
    assert!(bench.judge(100.0, 10_000, &[(&NO_ACK, warning("never-seen"))]).is_empty(), "one more makes no line");
    bench.forget(10_000);
    assert_eq!(bench.book.calls_counted().collect::<Vec<_>>(), [(lines[0].id.as_str(), 10_001)], "and counts");
    assert_eq!(bench.book.open_count(), 1);
    assert!(bench.book.held.is_empty(), "freed calls leave nothing behind");
    let counters = bench.book.counters();
    assert_eq!(counters.fired[&("no-ack", "never-seen")], 1);
    assert_eq!((counters.updated, counters.folded), (8, 9_992));
    let ended = bench.advance(100.0 + 300.0);
    assert_eq!(brief(&ended), [(Status::Resolved, "no-ack", "never-seen", Severity::Warning)]);
    assert_eq!(ended[0].calls.as_ref().unwrap().count, 10_001);
}

#[test]
fn many_at_one_place_are_one_alert_only_where_they_begin_within_a_window() {
    let nth = |n: u32| Finding {
        identity: Some(format!("user-{n}")),
        crowds: vec![Crowd::From("192.0.2.9".parse().unwrap())],
        ..warning("never-seen")
    };
    let is_of_many = |alert: &Alert| alert.evidence.contains_key("registrations");
    for (later_by, together) in [(1.0, true), (301.0, false)] {
        let mut bench = Bench::new();
        for n in 0..10 {
            let lines = bench.judge(1.0, n, &[(&NO_ACK, nth(n))]);
            assert!(lines[0].status == Status::Firing && !is_of_many(&lines[0]), "{n}");
        }
        let lines = bench.judge(1.0 + later_by, 10, &[(&NO_ACK, nth(10))]);
        assert_eq!((lines[0].status, is_of_many(&lines[0])), (Status::Firing, together), "{later_by} s later");
    }
}

#[test]
fn peers_causes_and_sides_are_alerts_of_their_own() {
    let mut bench = Bench::new();
    let elsewhere = Finding { peer: Some("203.0.113.8:5060".parse().unwrap()), ..warning("never-seen") };
    let here = Finding { fault: Some(Fault::Local), ..warning("never-seen") };
    let deaf = Finding { deaf: Some(crate::record::Side::Callee), ..warning("never-seen") };
    let other_port = Finding { peer: Some("203.0.113.7:5080".parse().unwrap()), ..warning("never-seen") };
    let mut ids = Vec::new();
    for (n, finding) in (0..).zip([warning("never-seen"), warning("contact-private"), elsewhere, here, deaf]) {
        let lines = bench.judge(1.0, n, &[(&NO_ACK, finding)]);
        assert_eq!(lines[0].status, Status::Firing);
        ids.push(lines[0].id.clone());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert_eq!(bench.judge(1.0, 9, &[(&NO_ACK, other_port)])[0].status, Status::Update, "a peer is an address");
}

#[test]
fn an_alert_about_several_calls_outlives_those_that_recover() {
    let mut bench = Bench::new();
    bench.judge(1.0, 1, &[(&NO_ACK, warning("never-seen"))]);
    bench.judge(2.0, 2, &[(&NO_ACK, warning("never-seen"))]);
    assert_eq!(bench.judge(3.0, 1, &[]), []);
    let ended = bench.judge(4.0, 2, &[]);
    assert_eq!(ended[0].status, Status::Resolved);
    assert_eq!(ended[0].calls.as_ref().unwrap().count, 2);
}

#[test]
fn a_call_that_ended_badly_keeps_its_alert_open_for_a_window() {
    let mut bench = Bench::new();
    bench.judge(1.0, 1, &[(&NO_ACK, warning("never-seen"))]);
    assert_eq!(bench.judge_ended(2.0, 1, Some(at(2.0)), &[]), [], "the end of the call is no recovery");
    bench.forget(1);
    assert_eq!(bench.advance(300.9), []);
    assert_eq!(brief(&bench.advance(301.0)), [(Status::Resolved, "no-ack", "never-seen", Severity::Warning)]);
}

#[test]
fn a_condition_that_goes_on_does_not_pass_its_window() {
    let mut bench = Bench::new();
    bench.judge(1.0, 1, &[(&NO_ACK, warning("never-seen"))]);
    assert_eq!(bench.advance(5_000.0), []);
    bench.forget(1);
    assert_eq!(bench.advance(5_400.0).len(), 1);
    assert_eq!(bench.book.poll_timeout(), None);
}

#[test]
fn a_condition_that_comes_back_in_the_same_call_is_no_further_call() {
    let mut bench = Bench::new();
    bench.judge(1.0, 1, &[(&NO_ACK, warning("never-seen"))]);
    bench.judge(1.0, 2, &[(&NO_ACK, warning("never-seen"))]);
    for second in 2..50 {
        bench.judge(f64::from(second), 2, &[]);
        assert_eq!(bench.judge(f64::from(second) + 0.5, 2, &[(&NO_ACK, warning("never-seen"))]), []);
    }
    let third = bench.judge(60.0, 3, &[(&NO_ACK, warning("never-seen"))]);
    assert_eq!(third[0].calls.as_ref().unwrap().count, 3);
}

#[test]
fn two_verdicts_of_one_call_name_each_other() {
    let mut bench = Bench::new();
    let dropped = Finding { links: vec!["no-ack"], ..found("no-ack", Severity::Critical) };
    let lines = bench.judge(32.0, 1, &[(&DROPPED, dropped), (&NO_ACK, warning("never-seen"))]);
    assert_eq!(lines[0].links, [lines[1].id.clone()]);
    assert!(lines[1].links.is_empty());
}

#[test]
fn a_link_to_what_does_not_fire_is_left_out() {
    let mut bench = Bench::new();
    let dropped = Finding { links: vec!["no-ack", "dropped-after-30s"], ..warning("no-ack") };
    assert!(bench.judge(32.0, 1, &[(&DROPPED, dropped)])[0].links.is_empty());
}

#[test]
fn the_specific_code_takes_the_finding_over_from_the_general_one() {
    let mut bench = Bench::new();
    let general = bench.judge(10.0, 1, &[(&ABRUPT, warning("unknown"))]);
    let both = [(&ABRUPT, warning("unknown")), (&ZOMBIE, warning("media-gone"))];
    let lines = bench.judge(60.0, 1, &both);
    assert_eq!(
        brief(&lines),
        [
            (Status::Firing, "zombie-call", "media-gone", Severity::Warning),
            (Status::Resolved, "abrupt-disconnect", "unknown", Severity::Warning)
        ]
    );
    assert_eq!(lines[0].links, [general[0].id.clone()]);
    assert_eq!(lines[1].links, [lines[0].id.clone()]);
    assert_eq!(bench.judge(61.0, 1, &both), []);
    assert_eq!(bench.judge(62.0, 2, &both).len(), 1, "in another call the general one never fires");
}

#[test]
fn absence_that_the_monitor_may_have_missed_is_only_possible_and_info() {
    let mut bench = Bench::new();
    bench.capture = CaptureFacts {
        lost: CaptureLoss { signalling_ring_full: 3, ..CaptureLoss::default() },
        first_lost_at: Some(at(2.0)),
        last_lost_at: Some(at(2.0)),
        ..CaptureFacts::default()
    };
    let absence =
        |since| Finding { rests_on_absence_since: Some(at(since)), ..found("never-seen", Severity::Critical) };
    let weak = bench.judge(3.5, 1, &[(&NO_ACK, absence(1.0))]);
    assert_eq!((weak[0].severity, weak[0].confidence), (Severity::Info, Confidence::Possible));
    let elsewhere = Finding { peer: None, ..absence(2.5) };
    let strong = bench.judge(6.0, 2, &[(&NO_ACK, elsewhere)]);
    assert_eq!((strong[0].severity, strong[0].confidence), (Severity::Critical, Confidence::Likely));
    let proven = Finding { peer: None, ..found("contact-private", Severity::Critical) };
    assert_eq!(bench.judge(6.0, 3, &[(&NO_ACK, proven)])[0].severity, Severity::Critical, "presence is not weakened");
    assert_eq!(bench.book.counters().weakened, 1);
}

#[test]
fn a_verdict_on_complete_evidence_is_neither_taken_back_nor_made_worse_by_a_later_loss() {
    let mut bench = Bench::new();
    let absence = |severity| Finding { rests_on_absence_since: Some(at(0.0)), ..found("never-seen", severity) };
    bench.judge(3.5, 1, &[(&NO_ACK, absence(Severity::Warning))]);
    bench.capture.last_lost_at = Some(at(20.0));
    assert_eq!(bench.judge(32.0, 1, &[(&NO_ACK, absence(Severity::Critical))]), []);
}

#[test]
fn a_finding_that_is_only_possible_leaves_as_info() {
    let mut bench = Bench::new();
    let finding = Finding { confidence: Confidence::Possible, ..found("never-seen", Severity::Critical) };
    assert_eq!(bench.judge(1.0, 1, &[(&NO_ACK, finding)])[0].severity, Severity::Info);
}

#[test]
fn a_full_table_closes_the_alert_longest_without_a_case_and_says_so() {
    let mut config = EngineConfig::default();
    config.limits.alerts = 2;
    let mut bench = Bench::with(config);
    let to = |last: u8| Finding { peer: Some(([203, 0, 113, last], 5060).into()), ..warning("never-seen") };
    let first = bench.judge(1.0, 1, &[(&NO_ACK, to(1))]);
    bench.judge(2.0, 2, &[(&NO_ACK, to(2))]);
    let lines = bench.judge(3.0, 3, &[(&NO_ACK, to(3))]);
    assert_eq!(lines[0].id, first[0].id);
    assert_eq!((lines[0].status, lines[1].status), (Status::Resolved, Status::Firing));
    assert!(lines[0].evidence.contains_key("closed_by"));
    assert_eq!((bench.book.open_count(), bench.book.counters().evicted), (2, 1));
    assert_eq!(bench.judge(4.0, 1, &[(&NO_ACK, to(1))]), [], "what was told once is not told again");
    assert_eq!(bench.judge(5.0, 1, &[]), []);
}

#[test]
fn a_hundred_thousand_peers_take_no_more_than_the_table() {
    let mut config = EngineConfig::default();
    config.limits.alerts = 100;
    let mut bench = Bench::with(config);
    for n in 0..100_000_u32 {
        let finding = Finding { peer: Some((n.to_be_bytes(), 5060).into()), ..warning("never-seen") };
        bench.judge(1.0, n, &[(&NO_ACK, finding)]);
        bench.forget(n);
    }
    let book = &bench.book;
    assert_eq!((book.open.len(), book.held.len()), (100, 0));
    assert!(book.open.is_consistent());
}

#[test]
fn a_host_condition_is_told_again_when_it_changes_and_ends_when_it_stays_the_same_for_a_window() {
    let mut bench = Bench::new();
    let lost = |n: u64| Finding { peer: None, fault: None, evidence: vec![("lost", n.into())], ..warning("ring-full") };
    let fired = bench.judge_host(1.0, &[(&LOSS, lost(3))]);
    assert_eq!(fired[0].status, Status::Firing);
    assert!(fired[0].call.is_none());
    assert_eq!(bench.judge_host(2.0, &[(&LOSS, lost(3))]), []);
    let more = bench.judge_host(10.0, &[(&LOSS, lost(5))]);
    assert_eq!((more[0].status, more[0].calls.as_ref()), (Status::Update, None));
    assert_eq!(bench.advance(309.0), []);
    assert_eq!(bench.advance(310.0)[0].status, Status::Resolved);
    assert_eq!(bench.judge_host(320.0, &[(&LOSS, lost(5))]), [], "nothing new was lost");
    assert_eq!(bench.judge_host(330.0, &[(&LOSS, lost(6))])[0].status, Status::Firing);
}

#[test]
fn the_same_findings_give_the_same_lines() {
    let run = || {
        let mut bench = Bench::new();
        let mut lines = Vec::new();
        for n in 0..200_u32 {
            let finding = Finding { peer: Some(([203, 0, 113, (n % 7) as u8], 5060).into()), ..warning("never-seen") };
            lines.extend(bench.judge(f64::from(n), n, &[(&NO_ACK, finding.clone()), (&ABRUPT, finding)]));
            if n % 3 == 0 {
                lines.extend(bench.judge(f64::from(n) + 0.5, n, &[]));
            }
            bench.forget(n);
        }
        lines.extend(bench.advance(10_000.0));
        serde_json::to_string(&lines).unwrap()
    };
    assert_eq!(run(), run());
}
