//! What the kernel's side costs, each beside an empty program or another way of doing it, measured in the same run.
//!
//! *Hot*: one packet again and again, the least of many rounds; RTP is then a duplicate after the first. *In sequence* and what
//! follows it: RTP packets each with the next sequence number of its stream, one call each, by the kernel's own accounting of
//! run time; nothing is warm but the code, and the accounting itself is in it, as in the empty program beside.

mod drops;
mod frames;
mod streams;

use anyhow::{Context as _, Result, bail};
use aya::maps::{MapData, RingBuf};
use aya::programs::{Program, ProgramInfo, TestRunOptions, TestRunResult};
use aya::sys::{Stats, enable_stats};
use aya::{Ebpf, TestRun as _};
use sip_monitor::capture::object::{self, LoadOptions};
use sip_monitor_common::limits;

use frames::{rtp, rtp_of_stream, sip, udp};

/// Rounds of one measure, of which the fastest counts: what disturbs a shared machine only makes slower.
const ROUNDS: usize = 40;
/// Packets of a round: their records stay below the mark at which the reader would be woken for each.
const REPEAT: u32 = 500;
/// Packets that come with cold caches.
const COLD: usize = 2_001;
/// More than the caches of one core hold.
const OTHER_WORK_BYTES: usize = 4 << 20;
/// RTP packets of one measure that is not hot.
const MEASURED: usize = 30_000;

/// Prints one row a kind of packet, one column a program.
pub fn run() -> Result<()> {
    // SAFETY: geteuid only returns a number.
    if unsafe { libc::geteuid() } != 0 {
        println!("kernel: skipped, running programs needs root");
        return Ok(());
    }
    let mut kernel = Kernel::load(&LoadOptions::default())?;
    println!("kernel: ns a packet, hot, with an empty program's time in brackets");
    println!("  {:<34}{:>20}{:>20}{:>20}", "", PROGRAMS[0].0, PROGRAMS[1].0, PROGRAMS[2].0);
    let packets = [
        ("other UDP", udp(40_000, 53, &[0x17; 160])),
        ("RTP", udp(30_000, 30_002, &rtp(0))),
        ("SIP, 400 bytes", udp(5060, 5060, &sip(400))),
        ("SIP, 1,400 bytes", udp(5060, 5060, &sip(1_400))),
    ];
    for (name, frame) in &packets {
        print!("  {name:<34}");
        for (program, empty) in PROGRAMS {
            let (full, base) = (kernel.hot(program, frame)?, kernel.hot(empty, frame)?);
            print!("{:>20}", format!("{full} ({base})"));
        }
        println!();
    }
    drop(kernel);
    println!("kernel: ns a packet, not hot, by the kernel's accounting, with an empty program's time in brackets");
    cold()?;
    for flows in FLOWS {
        flows.run()?;
    }
    drops::run()?;
    streams::run()
}

/// Each program and the empty one of its kind.
const PROGRAMS: [(&str, &str); 3] = [
    (limits::PROGRAM_XDP_INGRESS, limits::PROGRAM_XDP_EMPTY),
    (limits::PROGRAM_TC_INGRESS, limits::PROGRAM_TC_EMPTY),
    (limits::PROGRAM_TC_EGRESS, limits::PROGRAM_TC_EMPTY),
];

/// One stream, with something else in the caches before each packet, as on a host that has other work: the median.
fn cold() -> Result<()> {
    print!("  {:<34}", "one stream, caches cold");
    let mut other = vec![0_u8; OTHER_WORK_BYTES];
    for (program, empty) in PROGRAMS {
        let mut kernel = Kernel::load(&LoadOptions::default())?;
        let _accounting = enable_stats(Stats::RunTime).context("the kernel's accounting of run time")?;
        let mut median = |program: &str| -> Result<f64> {
            let mut times = Vec::with_capacity(COLD);
            for sequence in 0..COLD as u16 {
                let frame = rtp_of_stream(1, sequence);
                let before = kernel.info(program)?;
                for byte in other.iter_mut().step_by(64) {
                    *byte = byte.wrapping_add(1);
                }
                kernel.test_run(program, &frame, 1)?;
                times.push(mean_ns(&before, &kernel.info(program)?));
            }
            kernel.drain();
            times.sort_unstable_by(f64::total_cmp);
            Ok(times[COLD / 2])
        };
        let (full, base) = (median(program)?, median(empty)?);
        print!("{:>20}", format!("{full:.0} ({base:.0})"));
    }
    std::hint::black_box(other);
    println!();
    Ok(())
}

/// RTP of so many streams, against a map of that size.
struct Flows {
    name: &'static str,
    streams: u32,
    map: u32,
}

const FLOWS: [Flows; 3] = [
    Flows { name: "RTP in sequence, one stream", streams: 1, map: 65_536 },
    Flows { name: "64k streams at random", streams: 65_536, map: 131_072 },
    Flows { name: "200k streams, the map holds 64k", streams: 200_000, map: 65_536 },
];

impl Flows {
    fn run(&self) -> Result<()> {
        print!("  {:<34}", self.name);
        for (program, empty) in PROGRAMS {
            // Verified anew: the map's size is fixed at load.
            let mut kernel = Kernel::load(&LoadOptions { max_streams: self.map, ..LoadOptions::default() })?;
            let mut next = vec![0_u16; self.streams as usize];
            // Each stream begins, unless there is but one.
            for n in (0..self.streams).filter(|_| self.streams > 1) {
                kernel.test_run(program, &rtp_of_stream(n, 0), 1)?;
                if n % 4_096 == 0 {
                    kernel.drain();
                }
            }
            let mut random = 1_u64;
            let mut frames = Vec::with_capacity(MEASURED);
            for _ in 0..MEASURED {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let n = ((random >> 33) % u64::from(self.streams)) as u32;
                let sequence = &mut next[n as usize];
                *sequence = sequence.wrapping_add(1);
                frames.push(rtp_of_stream(n, *sequence));
            }
            let (full, base) = (kernel.mean(program, &frames)?, kernel.mean(empty, &frames)?);
            print!("{:>20}", format!("{full:.0} ({base:.0})"));
        }
        println!();
        Ok(())
    }
}

struct Kernel {
    ebpf: Ebpf,
    // Taken out once: mapping a ring takes longer than emptying it.
    rings: [RingBuf<MapData>; 2],
}

impl Kernel {
    fn load(options: &LoadOptions) -> Result<Self> {
        let mut ebpf = object::load(options)?;
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
        let mut ring = |name| RingBuf::try_from(ebpf.take_map(name).context(name)?).context(name);
        let rings = [ring(limits::MAP_SIGNALLING)?, ring(limits::MAP_MEDIA)?];
        Ok(Self { ebpf, rings })
    }

    /// The least time a packet takes when it comes again and again.
    fn hot(&mut self, program: &str, frame: &[u8]) -> Result<u128> {
        let mut best = u128::MAX;
        for _ in 0..ROUNDS {
            best = best.min(self.test_run(program, frame, REPEAT)?.duration.as_nanos());
            self.drain();
        }
        Ok(best)
    }

    /// The mean time of packets that come once each.
    fn mean(&mut self, program: &str, frames: &[Vec<u8>]) -> Result<f64> {
        let _accounting = enable_stats(Stats::RunTime).context("the kernel's accounting of run time")?;
        let before = self.info(program)?;
        for (n, frame) in frames.iter().enumerate() {
            self.test_run(program, frame, 1)?;
            if n % 4_096 == 0 {
                self.drain();
            }
        }
        let after = self.info(program)?;
        self.drain();
        Ok(mean_ns(&before, &after))
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
    fn drain(&mut self) {
        for ring in &mut self.rings {
            while ring.next().is_some() {}
        }
    }
}

/// Nanoseconds a run between two looks.
fn mean_ns(before: &ProgramInfo, after: &ProgramInfo) -> f64 {
    let time = after.run_time().saturating_sub(before.run_time());
    time.as_nanos() as f64 / (after.run_count() - before.run_count()).max(1) as f64
}
