//! Nanoseconds a packet in each kernel program, against an empty program of its kind (`BPF_PROG_TEST_RUN`).
//!
//! Two measures. *Hot*: one packet again and again, the least of many rounds; RTP is then a duplicate after the first.
//! *In sequence*: RTP packets each with the next sequence number, one call each, by the kernel's own accounting of run
//! time; nothing is warm but the code, and the accounting itself is in it, as in the empty program beside.

use anyhow::{Context as _, Result, bail};
use aya::maps::RingBuf;
use aya::programs::{Program, ProgramInfo, TestRunOptions, TestRunResult};
use aya::sys::{Stats, enable_stats};
use aya::{Ebpf, TestRun as _};
use sip_monitor::capture::object::{self, LoadOptions};
use sip_monitor_common::limits;

/// Rounds of one measure, of which the fastest counts: what disturbs a shared machine only makes slower.
const ROUNDS: usize = 40;
/// Packets of a round: their records stay below the mark at which the reader would be woken for each.
const REPEAT: u32 = 500;
/// RTP packets in sequence.
const IN_SEQUENCE: u16 = 20_000;

/// Prints one row a kind of packet, one column a program.
pub fn run() -> Result<()> {
    // SAFETY: geteuid only returns a number.
    if unsafe { libc::geteuid() } != 0 {
        println!("kernel: skipped, running programs needs root");
        return Ok(());
    }
    let mut kernel = Kernel::load()?;
    println!("kernel: ns a packet, hot, with an empty program's time in brackets");
    let programs = [
        (limits::PROGRAM_XDP_INGRESS, limits::PROGRAM_XDP_EMPTY),
        (limits::PROGRAM_TC_INGRESS, limits::PROGRAM_TC_EMPTY),
        (limits::PROGRAM_TC_EGRESS, limits::PROGRAM_TC_EMPTY),
    ];
    println!("  {:<24}{:>20}{:>20}{:>20}", "", programs[0].0, programs[1].0, programs[2].0);
    let packets = [
        ("other UDP", udp(40_000, 53, &[0x17; 160])),
        ("RTP", udp(30_000, 30_002, &rtp(0))),
        ("SIP, 400 bytes", udp(5060, 5060, &sip(400))),
        ("SIP, 1,400 bytes", udp(5060, 5060, &sip(1_400))),
    ];
    for (name, frame) in &packets {
        print!("  {name:<24}");
        for (program, empty) in programs {
            let (full, base) = (kernel.hot(program, frame)?, kernel.hot(empty, frame)?);
            print!("{:>20}", format!("{full} ({base})"));
        }
        println!();
    }
    print!("  {:<24}", "RTP in sequence");
    for (program, empty) in programs {
        let (full, base) = (kernel.in_sequence(program)?, kernel.in_sequence(empty)?);
        print!("{:>20}", format!("{full:.0} ({base:.0})"));
    }
    println!();
    Ok(())
}

struct Kernel {
    ebpf: Ebpf,
}

impl Kernel {
    fn load() -> Result<Self> {
        let mut ebpf = object::load(&LoadOptions::default())?;
        for (name, program) in ebpf.programs_mut() {
            match program {
                Program::Xdp(p) => p.load(),
                Program::SchedClassifier(p) => p.load(),
                // Attached to a tracepoint, it cannot be run on bytes.
                Program::BtfTracePoint(_) | Program::RawTracePoint(_) => continue,
                _ => bail!("{name}: a program of another type"),
            }
            .with_context(|| name.to_owned())?;
        }
        Ok(Self { ebpf })
    }

    /// The least time a packet takes when it comes again and again.
    fn hot(&mut self, program: &str, frame: &[u8]) -> Result<u128> {
        let mut best = u128::MAX;
        for _ in 0..ROUNDS {
            best = best.min(self.test_run(program, frame, REPEAT)?.duration.as_nanos());
            self.drain()?;
        }
        Ok(best)
    }

    /// The mean time of RTP packets that follow each other.
    fn in_sequence(&mut self, program: &str) -> Result<f64> {
        let _accounting = enable_stats(Stats::RunTime).context("the kernel's accounting of run time")?;
        let before = self.info(program)?;
        for sequence in 0..IN_SEQUENCE {
            self.test_run(program, &udp(30_010, 30_012, &rtp(sequence)), 1)?;
        }
        self.drain()?;
        let after = self.info(program)?;
        let time = after.run_time().saturating_sub(before.run_time());
        Ok(time.as_nanos() as f64 / (after.run_count() - before.run_count()).max(1) as f64)
    }

    fn test_run(&self, program: &str, frame: &[u8], repeat: u32) -> Result<TestRunResult> {
        let options = TestRunOptions { data_in: Some(frame), repeat, ..Default::default() };
        match self.ebpf.program(program) {
            Some(Program::Xdp(p)) => p.test_run(options),
            Some(Program::SchedClassifier(p)) => p.test_run(options),
            _ => bail!("the object has no program {program}"),
        }
        .with_context(|| program.to_owned())
    }

    fn info(&self, program: &str) -> Result<ProgramInfo> {
        match self.ebpf.program(program) {
            Some(Program::Xdp(p)) => p.info(),
            Some(Program::SchedClassifier(p)) => p.info(),
            _ => bail!("the object has no program {program}"),
        }
        .with_context(|| program.to_owned())
    }

    /// Empties the rings, so that a full one makes no round cheap.
    fn drain(&mut self) -> Result<()> {
        for name in [limits::MAP_SIGNALLING, limits::MAP_MEDIA] {
            let mut ring = RingBuf::try_from(self.ebpf.map_mut(name).context(name)?)?;
            while ring.next().is_some() {}
        }
        Ok(())
    }
}

/// UDP over IPv4 in Ethernet, without checksums: nobody looks at them.
fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let length = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(length(28 + payload.len()));
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 198, 51, 100, 1, 203, 0, 113, 1]);
    frame.extend(src.to_be_bytes());
    frame.extend(dst.to_be_bytes());
    frame.extend(length(8 + payload.len()));
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// 20 ms of PCMU (RFC 3550 5.1).
fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([0, 0, 0x51, 0x50]);
    packet.extend((0..160_u16).map(|i| (i ^ sequence) as u8));
    packet
}

/// A request of this many bytes.
fn sip(bytes: usize) -> Vec<u8> {
    let mut message = b"INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: 1@a\r\nCSeq: 1 INVITE\r\nX-Padding: ".to_vec();
    message.resize(bytes - 4, b'a');
    message.extend(b"\r\n\r\n");
    message
}
