//! Families of trunks: the measures of RFC 6076 as counters and delays, and how good audio is. Of trunks beyond
//! `prometheus.max_trunks` and of peers that are no trunk, `other` is told; of this host's own addresses, `local`.

use sip_monitor_engine::metrics::{Audio, Buckets, Ledger};
use sip_monitor_engine::record::MediaWay;

use super::Snapshot;
use super::exposition::{Exposition, Family, Kind};
use super::signalling::NO_CODE;

const TRUNK: &[&str] = &["trunk"];
const AUDIO: &[&str] = &["trunk", "codec", "direction"];

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, labels: TRUNK, help }
}

static CALLS: Family = Family {
    name: "sipmonitor_trunk_calls",
    kind: Kind::Gauge,
    labels: TRUNK,
    help: "Calls through the trunk that are up or being set up, in either direction.",
};
static HEARD: Family = Family {
    name: "sipmonitor_trunk_last_message_timestamp_seconds",
    kind: Kind::Gauge,
    labels: TRUNK,
    help: "When the last message went to it or came from it, as Unix time.",
};
static ATTEMPTS: Family = counter("sipmonitor_trunk_attempts_total", "Calls sent to the trunk.");
static INCOMING: Family = counter("sipmonitor_trunk_incoming_calls_total", "Calls that came from the trunk.");
static OUTCOMES: Family = Family {
    name: "sipmonitor_trunk_outcomes_total",
    kind: Kind::Counter,
    labels: &["trunk", "code"],
    help: "Final responses to the calls sent to it; none where it did not answer. A challenge that is answered is none. \
           All together are the denominator of ISA and SCR.",
};
static ANSWERED: Family = counter(
    "sipmonitor_trunk_answered_total",
    "Answered with a 2xx: the numerator of SER (RFC 6076 4.6), over outcomes less redirected.",
);
static REDIRECTED: Family = counter("sipmonitor_trunk_redirected_total", "Answered with a 3xx.");
static EFFECTIVE: Family = counter(
    "sipmonitor_trunk_effective_total",
    "Answered by what the user did (2xx, 480, 486, 600, 603): the numerator of SEER (RFC 6076 4.7).",
);
static INEFFECTIVE: Family = counter(
    "sipmonitor_trunk_ineffective_total",
    "Failed since the trunk could not (408, 500, 503, 504, no answer): the numerator of ISA (RFC 6076 4.8).",
);
static COMPLETED: Family = counter(
    "sipmonitor_trunk_completed_total",
    "Answered and ended by a BYE that was answered: the numerator of SCR (RFC 6076 4.9).",
);
static REGISTRATIONS: Family =
    counter("sipmonitor_trunk_registrations_total", "Registrations at the trunk that came to an end, good or bad.");
static NOT_REGISTERED: Family =
    counter("sipmonitor_trunk_registration_failures_total", "Those that failed: the numerator of IRA (RFC 6076 4.2).");
static RRD: Family = Family {
    name: "sipmonitor_trunk_registration_request_delay_seconds",
    kind: Kind::Histogram,
    labels: TRUNK,
    help: "Registration Request Delay (RFC 6076 4.1).",
};
static SRD: Family = Family {
    name: "sipmonitor_trunk_session_request_delay_seconds",
    kind: Kind::Histogram,
    labels: &["trunk", "outcome"],
    help: "Session Request Delay of calls that rang or were answered (successful, RFC 6076 4.3.1) and that failed (4.3.2).",
};
static SDD: Family = Family {
    name: "sipmonitor_trunk_session_disconnect_delay_seconds",
    kind: Kind::Histogram,
    labels: TRUNK,
    help: "Session Disconnect Delay: from the BYE to its answer (RFC 6076 4.4).",
};
static SDT: Family = Family {
    name: "sipmonitor_trunk_session_duration_seconds",
    kind: Kind::Histogram,
    labels: &["trunk", "outcome"],
    help: "Session Duration Time of calls whose BYE was answered (successful, RFC 6076 4.5.1) and was not (failed, 4.5.2).",
};
static EXPECTED: Family = Family {
    name: "sipmonitor_audio_packets_expected_total",
    kind: Kind::Counter,
    labels: AUDIO,
    help: "RTP packets of calls that should have come: in from the trunk as counted here, out to the trunk as its RTCP says.",
};
static LOST: Family = Family {
    name: "sipmonitor_audio_packets_lost_total",
    kind: Kind::Counter,
    labels: AUDIO,
    help: "Those that did not.",
};
static MOS: Family = Family {
    name: "sipmonitor_audio_mos",
    kind: Kind::Histogram,
    labels: AUDIO,
    help: "Mean opinion score (ITU-T G.107) of each interval of 10 s of each stream; of codecs with known impairment factors.",
};
static JITTER: Family = Family {
    name: "sipmonitor_audio_jitter_seconds",
    kind: Kind::Histogram,
    labels: AUDIO,
    help: "Mean interarrival jitter (RFC 3550) of each interval of 10 s of each stream.",
};
static LOSS: Family = Family {
    name: "sipmonitor_audio_loss_ratio",
    kind: Kind::Histogram,
    labels: AUDIO,
    help: "Share of packets lost of each interval of 10 s of each stream.",
};
static RTP_PACKETS: Family = Family {
    name: "sipmonitor_rtp_packets_total",
    kind: Kind::Counter,
    labels: &[],
    help: "RTP packets counted in the kernel, of calls or not.",
};
static RTP_STREAMS: Family =
    Family { name: "sipmonitor_rtp_streams", kind: Kind::Gauge, labels: &[], help: "RTP streams known now." };
static RTCP: Family =
    Family { name: "sipmonitor_rtcp_packets_total", kind: Kind::Counter, labels: &[], help: "RTCP compounds read." };

/// All of them.
pub const FAMILIES: &[&Family] = &[
    &CALLS,
    &HEARD,
    &ATTEMPTS,
    &INCOMING,
    &OUTCOMES,
    &ANSWERED,
    &REDIRECTED,
    &EFFECTIVE,
    &INEFFECTIVE,
    &COMPLETED,
    &REGISTRATIONS,
    &NOT_REGISTERED,
    &RRD,
    &SRD,
    &SDD,
    &SDT,
    &EXPECTED,
    &LOST,
    &MOS,
    &JITTER,
    &LOSS,
    &RTP_PACKETS,
    &RTP_STREAMS,
    &RTCP,
];

/// Writes them.
pub fn write(to: &mut Exposition, now: &Snapshot) {
    let ledgers: Vec<(&str, &Ledger)> = now.ledgers.iter().flat_map(|ledgers| ledgers.iter()).collect();
    let names = || ledgers.iter().map(|(name, _)| *name);
    let mut calls = to.family(&CALLS);
    names().zip(&now.trunks_now).for_each(|(name, (count, _))| calls.count(&[name], *count));
    let mut heard = to.family(&HEARD);
    for (name, at) in names().zip(&now.trunks_now).filter_map(|(name, (_, at))| Some((name, (*at)?))) {
        heard.number(&[name], std::time::Duration::from_nanos(at.unix_ns().unsigned_abs()).as_secs_f64());
    }
    for (family, count) in [
        (&ATTEMPTS, (|l| l.attempts) as fn(&Ledger) -> u64),
        (&INCOMING, |l| l.incoming),
        (&ANSWERED, |l| l.answered),
        (&REDIRECTED, |l| l.redirected),
        (&EFFECTIVE, |l| l.effective),
        (&INEFFECTIVE, |l| l.ineffective),
        (&COMPLETED, |l| l.completed),
        (&REGISTRATIONS, |l| l.registrations),
        (&NOT_REGISTERED, |l| l.registrations_failed),
    ] {
        let mut samples = to.family(family);
        ledgers.iter().for_each(|(name, ledger)| samples.count(&[name], count(ledger)));
    }
    let mut outcomes = to.family(&OUTCOMES);
    for (name, ledger) in &ledgers {
        ledger.outcomes.iter().for_each(|(code, count)| outcomes.count(&[name, &code.name()], *count));
        outcomes.count(&[name, NO_CODE], ledger.unanswered);
    }
    for (family, buckets) in [(&RRD, (|l| &l.rrd) as fn(&Ledger) -> &Buckets), (&SDD, |l| &l.sdd)] {
        let mut samples = to.family(family);
        ledgers.iter().for_each(|(name, ledger)| samples.histogram(&[name], buckets(ledger)));
    }
    for (family, good, bad) in [
        (&SRD, (|l| &l.srd) as fn(&Ledger) -> &Buckets, (|l| &l.srd_failed) as fn(&Ledger) -> &Buckets),
        (&SDT, |l| &l.sdt, |l| &l.sdt_failed),
    ] {
        let mut samples = to.family(family);
        for (name, ledger) in &ledgers {
            samples.histogram(&[name, "successful"], good(ledger));
            samples.histogram(&[name, "failed"], bad(ledger));
        }
    }
    write_audio(to, &ledgers);
    let mut accounted = to.family(&RTP_PACKETS);
    now.kernel_count("accounted_rtp").into_iter().for_each(|count| accounted.count(&[], count));
    let streams = now.tables.iter().find(|table| table.name == "streams").map_or(0, |table| table.entries);
    to.family(&RTP_STREAMS).count(&[], streams);
    to.family(&RTCP).count(&[], now.engine.rtcp);
}

fn write_audio(to: &mut Exposition, ledgers: &[(&str, &Ledger)]) {
    let each = |with: &mut dyn FnMut(&[&str], &Audio)| {
        for (name, ledger) in ledgers {
            for ((codec, way), audio) in &ledger.audio {
                with(&[name, codec, if *way == MediaWay::From { "in" } else { "out" }], audio);
            }
        }
    };
    let mut expected = to.family(&EXPECTED);
    each(&mut |labels, audio| expected.count(labels, audio.expected));
    let mut lost = to.family(&LOST);
    each(&mut |labels, audio| lost.count(labels, audio.lost));
    for (family, buckets) in
        [(&MOS, (|a| &a.mos) as fn(&Audio) -> &Buckets), (&JITTER, |a| &a.jitter), (&LOSS, |a| &a.loss)]
    {
        let mut samples = to.family(family);
        each(&mut |labels, audio| samples.histogram(labels, buckets(audio)));
    }
}
