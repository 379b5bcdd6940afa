//! Many calls at a time: every packet that passed the interface is in the daemon's counters, and none is lost. What it cost is
//! printed. 200 calls by default; `SIP_MONITOR_LOAD=1000` for the number of the specification.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Context as _, Result, ensure};
use sip_monitor::demo::netns::Namespace;

use crate::alerts::Alerts;
use crate::sipp::Sipp;
use crate::world::{Family, INTERFACE, Turn, World, turn};

/// Calls of one SIPp: it opens descriptors for each and takes at most 1,024.
const CALLS_OF_ONE: usize = 200;

#[test]
fn every_packet_of_many_calls_is_accounted_for() -> Result<()> {
    let Some(_turn) = turn(Turn::Alone) else { return Ok(()) };
    let calls = std::env::var("SIP_MONITOR_LOAD").ok().and_then(|n| n.parse().ok()).unwrap_or(CALLS_OF_ONE);
    let ingress = std::env::var("SIP_MONITOR_LOAD_INGRESS").unwrap_or_else(|_| "auto".to_owned());
    let pairs = calls.div_ceil(CALLS_OF_ONE);
    let world = World::build("load", Family::V4, pairs)?;
    let _timing = BpfTiming::enable()?;
    let daemon = world.daemon(&ingress, "alerts,calls")?;
    let pid = daemon.pid();
    let (packets_before, cpu_before) = (packets(&world.pair.monitored)?, cpu_seconds(pid)?);

    let mut running = Vec::new();
    for n in 0..pairs {
        let (contact, share) = (world.host(n).to_string(), CALLS_OF_ONE.min(calls - n * CALLS_OF_ONE));
        let keys = [("contact", contact), ("peer", "unused".to_owned()), ("audio_port", "6000".to_owned())];
        let callee = Sipp::callee(&world, n).calls(share).keys(&keys).start()?;
        // 25 new calls a second: all are up after 8 s and talk together until 20 s.
        running.push((Sipp::caller(&world, n, "load").calls(share).keys(&keys).talk_ms(20_000).start()?, callee));
    }
    for (caller, callee) in running {
        caller.wait(Duration::from_secs(120)).context("callers")?;
        callee.wait(Duration::from_secs(10)).context("callees")?;
    }
    // The last packets leave the rings at the next poll.
    std::thread::sleep(Duration::from_secs(1));
    let passed = packets(&world.pair.monitored)? - packets_before;
    let cost = Cost { process: cpu_seconds(pid)? - cpu_before, rss_kib: rss_kib(pid)?, kernel: KernelCost::of(pid)? };
    let (lines, log) = daemon.stop()?;
    let counters = Counters::parse(&log)?;

    let rtp = counters.get("accounted_rtp");
    println!(
        "{calls} concurrent calls, ingress {ingress}: {passed} packets passed {INTERFACE}, {} counted",
        counters.get("received")
    );
    println!("  {counters:?}");
    println!("  {}", cost.per_million(rtp));
    ensure!(counters.lost == 0, "{} packets lost: {counters:?}", counters.lost);
    ensure!(counters.unexplained == 0, "{} packets unexplained: {counters:?}", counters.unexplained);
    // Neighbour discovery may pass between two looks.
    ensure!(
        counters.get("received").abs_diff(passed) <= 20,
        "{passed} packets passed, {} were counted",
        counters.get("received")
    );
    let lines = Alerts::of(lines);
    ensure!(lines.is_quiet(), "good calls raised\n{lines}");
    ensure!(lines.records("call").len() == calls, "{} records of {calls} calls", lines.records("call").len());
    Ok(())
}

/// The daemon's counters, from the last line of its log: `... after 30 s: received 5, reported_sip 2; lost 0, unexplained 0`.
#[derive(Debug)]
struct Counters {
    by_name: BTreeMap<String, u64>,
    lost: u64,
    unexplained: i64,
}

impl Counters {
    fn parse(log: &str) -> Result<Self> {
        let line = log
            .lines()
            .rfind(|line| line.contains("unexplained"))
            .with_context(|| format!("no summary in the log:\n{log}"))?;
        let (_, counters) = line.split_once(" s: ").context("the summary's counters")?;
        let (counters, sums) = counters.split_once("; lost ").context("the summary's sums")?;
        let (lost, unexplained) = sums.split_once(", unexplained ").context("the summary's rest")?;
        let by_name = counters.split(", ").filter_map(|pair| pair.split_once(' '));
        let by_name = by_name.map(|(name, n)| Ok((name.to_owned(), n.parse()?))).collect::<Result<_>>()?;
        Ok(Self { by_name, lost: lost.parse()?, unexplained: unexplained.trim().parse()? })
    }

    fn get(&self, name: &str) -> u64 {
        self.by_name.get(name).copied().unwrap_or(0)
    }
}

/// Packets that the kernel says passed the interface, both ways.
fn packets(namespace: &Namespace) -> Result<u64> {
    let read = |name: &str| -> Result<u64> {
        let output = namespace.command("cat").arg(format!("/sys/class/net/{INTERFACE}/statistics/{name}")).output()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().with_context(|| format!("{name} of {INTERFACE}"))
    };
    Ok(read("rx_packets")? + read("tx_packets")?)
}

/// What it took.
struct Cost {
    process: f64,
    rss_kib: u64,
    kernel: KernelCost,
}

impl Cost {
    fn per_million(&self, rtp: u64) -> String {
        let millions = (rtp as f64 / 1e6).max(1e-9);
        let of_packets = (self.process + self.kernel.packets.seconds) / millions;
        let of_all = of_packets + self.kernel.drops.seconds / millions;
        format!(
            "CPU {:.2} s in the process, {} at the interface, {} at the drop tracepoint\n  \
             per 1,000,000 RTP packets {of_packets:.2} s, and with the drops {of_all:.2} s (SIPp reads none of its sockets, so every \
             packet overflows one)\n  \
             memory {:.1} MiB resident, {:.1} MiB in kernel maps",
            self.process,
            self.kernel.packets,
            self.kernel.drops,
            self.rss_kib as f64 / 1024.0,
            self.kernel.map_bytes as f64 / 1024.0 / 1024.0,
        )
    }
}

/// What the kernel says of the programs and maps that a process holds.
#[derive(Default)]
struct KernelCost {
    /// The programs that see packets.
    packets: Runs,
    /// The program that sees drops.
    drops: Runs,
    map_bytes: u64,
}

#[derive(Default)]
struct Runs {
    seconds: f64,
    runs: u64,
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.seconds * 1e9 / self.runs.max(1) as f64;
        write!(f, "{:.2} s ({} runs, {each:.0} ns each)", self.seconds, self.runs)
    }
}

impl KernelCost {
    fn of(pid: u32) -> Result<Self> {
        /// `BPF_PROG_TYPE_TRACING`.
        const TRACING: u64 = 26;
        let mut cost = Self::default();
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))?.flatten() {
            let info = fs::read_to_string(entry.path()).unwrap_or_default();
            let value = |name: &str| {
                info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0)
            };
            if info.contains("prog_type:") && info.contains("run_cnt:") {
                let runs = if value("prog_type:") == TRACING { &mut cost.drops } else { &mut cost.packets };
                runs.seconds += value("run_time_ns:") as f64 / 1e9;
                runs.runs += value("run_cnt:");
            } else if info.contains("map_type:") {
                cost.map_bytes += value("memlock:");
            }
        }
        Ok(cost)
    }
}

/// The kernel's accounting of BPF run time, off again when dropped.
struct BpfTiming {
    before: String,
}

const BPF_STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl BpfTiming {
    fn enable() -> Result<Self> {
        let before = fs::read_to_string(BPF_STATS).context(BPF_STATS)?;
        fs::write(BPF_STATS, "1").context(BPF_STATS)?;
        Ok(Self { before })
    }
}

impl Drop for BpfTiming {
    fn drop(&mut self) {
        // It was writable before; if not any more, nothing but a few nanoseconds a packet hang on it.
        let _ = fs::write(BPF_STATS, &self.before);
    }
}

/// User and system time of a process, seconds (proc(5): fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may have spaces: fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')').context("/proc/pid/stat")?.1.split_whitespace().collect();
    let ticks = |n: usize| -> Result<f64> { Ok(fields.get(n).context("/proc/pid/stat")?.parse::<f64>()?) };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

fn rss_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn the_summary_of_the_log_is_understood() -> Result<()> {
    let counters = Counters::parse("INFO eth0 after 30 s: received 5, reported_sip 2; lost 0, unexplained -1\n")?;
    ensure!(counters.get("received") == 5 && counters.lost == 0 && counters.unexplained == -1);
    Ok(())
}
