//! The kernel programs on bytes.
mod support;

use std::collections::BTreeSet;

use sip_monitor::capture::{object::LoadOptions, record::Record, streams::StreamMap};
use sip_monitor_common::{Counter, Kind};
use support::{Hook, Kernel, frames::*};

#[test]
fn sip_goes_up_whole() {
    let Some(mut kernel) = Kernel::load(LoadOptions::default()) else { return };
    for program in [Hook::XdpIngress, Hook::TcIngress, Hook::TcEgress] {
        let payload = sip(500);
        assert!(kernel.run(program, 5, &udp4(40_000, 5060, &payload)));
        let records = kernel.drain();
        let [Record::Bytes { header, bytes }] = &records[..] else { panic!("{program:?}: {records:?}") };
        assert!(bytes.ends_with(&payload), "{program:?}");
        assert_eq!((header.kind, header.total, header.ktime_ns), (Kind::Sip as u8, 28 + 500, 5));
    }
}

#[test]
fn every_program_passes_the_verifier_within_a_quarter_of_its_limit() {
    let Some(kernel) = Kernel::load(LoadOptions::default()) else { return };
    for (name, verified) in kernel.verified_instructions() {
        eprintln!("{name}: {verified} instructions verified");
        assert!(verified < 250_000, "{name}: {verified}");
    }
}

#[test]
fn the_programs_load_with_their_log_statements_too() {
    let Some(mut kernel) = Kernel::load(LoadOptions { debug: true, ..LoadOptions::default() }) else { return };
    assert!(kernel.run(Hook::XdpIngress, 5, &udp4(40_000, 40_002, &rtp(8, 1, 160, 7))));
}

#[test]
fn a_full_map_evicts_and_leaves_nothing_unexplained() {
    let Some(mut kernel) = Kernel::load(LoadOptions { max_streams: 1_024, ..LoadOptions::default() }) else { return };
    for ssrc in 0..5_000 {
        assert!(kernel.run(Hook::XdpIngress, 5, &udp4(40_000, 40_002, &rtp(8, 1, 160, ssrc))));
    }
    assert!(kernel.streams().len() <= 1_024);
    let counters = kernel.counters();
    assert_eq!(counters.get(Counter::AccountedRtp) + counters.get(Counter::LostMapFull), 5_000);
    assert_eq!(counters.unexplained(), 0);
}

#[test]
fn a_full_ring_is_counted_and_media_can_not_fill_that_of_signalling() {
    let rings = LoadOptions { signalling_ring_bytes: 4_096, media_ring_bytes: 4_096, ..LoadOptions::default() };
    let Some(mut kernel) = Kernel::load(rings) else { return };
    for n in 0..100 {
        assert!(kernel.run(Hook::TcEgress, n, &udp4(40_001, 40_001, &rtcp())));
    }
    assert!(kernel.run(Hook::TcEgress, 200, &udp4(5060, 5060, &sip(400))));
    let counters = kernel.counters();
    assert!(counters.get(Counter::LostMediaRing) > 0);
    assert_eq!(counters.get(Counter::LostMediaRing) + counters.get(Counter::ReportedRtcp), 100);
    assert_eq!((counters.get(Counter::ReportedSip), counters.get(Counter::LostSignallingRing)), (1, 0));
    assert_eq!(counters.unexplained(), 0);
    for n in 0..100 {
        assert!(kernel.run(Hook::TcEgress, n, &udp4(5060, 5060, &sip(400))));
    }
    assert!(kernel.counters().get(Counter::LostSignallingRing) > 0);
    assert_eq!(kernel.counters().unexplained(), 0);
}

#[test]
fn the_map_of_streams_is_read_in_slices_and_each_stream_once() {
    const SECOND_NS: u64 = 1_000_000_000;
    const STREAMS: u32 = 10_000;
    let Some(mut kernel) = Kernel::load(LoadOptions::default()) else { return };
    for ssrc in 0..STREAMS {
        // The second packet reports the stream; of the third only the map knows.
        for sequence in 0..3 {
            let at_ns = SECOND_NS + u64::from(sequence);
            assert!(kernel.run(Hook::XdpIngress, at_ns, &udp4(40_000, 40_002, &rtp(8, sequence, 160, ssrc))));
        }
    }
    let opened = kernel.counters().get(Counter::StreamsOpened);
    assert_eq!(opened, u64::from(STREAMS));
    let mut map = StreamMap::new(kernel.take_stream_map(), SECOND_NS, 1).expect("a map of streams");
    let mut pass = |now_ns: u64| {
        let (mut reports, mut longest, mut slices, mut is_over) = (Vec::new(), 0, 0, false);
        while !is_over {
            let before = reports.len();
            is_over = map.step(now_ns, opened, &mut reports).expect("a slice");
            longest = longest.max(reports.len() - before);
            slices += 1;
        }
        let streams: BTreeSet<u32> = reports
            .iter()
            .map(|report| match report {
                Record::Stream(stream) => stream.key.ssrc,
                Record::Bytes { .. } => panic!("{report:?}"),
            })
            .collect();
        assert_eq!(streams.len(), reports.len(), "each once");
        (reports.len(), longest, slices, map.evicted())
    };
    let (reports, longest, slices, evicted) = pass(3 * SECOND_NS);
    assert_eq!((reports, evicted), (STREAMS as usize, 0));
    assert!(slices > 3 && longest < 3_000, "{slices} slices, the longest of {longest}");
    let (reports, .., evicted) = pass(4 * SECOND_NS);
    assert_eq!((reports, evicted), (0, 0), "nothing is told twice");
    // Long quiet, they are forgotten, and that is no eviction, neither in this pass nor in the next.
    assert_eq!(pass(700 * SECOND_NS).3, 0);
    let (reports, _, slices, evicted) = pass(701 * SECOND_NS);
    assert_eq!((reports, slices, evicted), (0, 1, 0), "the map is empty");
}
