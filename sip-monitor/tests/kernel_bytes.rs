//! The kernel programs on bytes.
mod support;

use sip_monitor::capture::object::LoadOptions;
use support::{Kernel, Program_, frames::*};

#[test]
fn sip_goes_up_whole() {
    let Some(mut kernel) = Kernel::load(LoadOptions::default()) else { return };
    for program in [Program_::XdpIngress, Program_::TcIngress, Program_::TcEgress] {
        assert!(kernel.run(program, 5, &udp4(40000, 5060, &sip(500))));
        let records = kernel.drain();
        assert_eq!(records.len(), 1, "{program:?} {:?}", kernel.counters());
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
