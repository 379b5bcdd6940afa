//! What a message and a call cost the whole engine on one core, with every diagnosis on and with none; what a live call and a
//! registration take of memory; and whether either grows with how many there are or were. Each figure stands beside one of
//! the same run that it is to be compared with.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sip_monitor_engine::config::{EngineConfig, Limits, MediaSight, Thresholds};
use sip_monitor_engine::diagnosis::{Diagnosis, catalogue};
use sip_monitor_engine::{Engine, Timestamp};

use crate::allocator;
use crate::calls::{Calls, MESSAGES, Pace};
use crate::registrations::register;

/// Calls of 8 s, a hundred a second, with four reports of streams each.
const SHORT: Pace = Pace {
    tick_ns: 10_000_000,
    step_ns: 10_000_000,
    lasts_ns: 8_000_000_000,
    spread: 0,
    reports: 2,
    report_ns: 1_000_000_000,
};
/// Calls of 35 to 165 s, eight a second, with a hundred and thirty reports each: 782 are up.
const FEW: Pace =
    Pace { tick_ns: 128_000_000, lasts_ns: 34_560_000_000, spread: 9, reports: 108, report_ns: 1_536_000_000, ..SHORT };
/// The same calls, 128 times as many a second.
const MANY: Pace = Pace { tick_ns: 1_000_000, spread: 16, ..FEW };
/// The same calls, 16 times as many a second as the few.
const SOME: Pace = Pace { tick_ns: 8_000_000, spread: 13, ..FEW };
/// Calls that nobody hangs up, all within a few seconds.
const ENDLESS: Pace =
    Pace { tick_ns: 50_000, step_ns: 0, lasts_ns: 1_000_000_000_000, spread: 0, reports: 1, report_ns: 0 };

const CALLS: u32 = 30_000;
const ROUNDS: usize = 3;
const LONG_RUN: u32 = 1_000_000;
/// How many calls or registrations there are at a time where memory is measured. Each is compared with the first.
const HEADS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// The last of them is left out where fewer bytes are free.
const FREE_FOR_A_MILLION: u64 = 14_000_000_000;
/// An interval of quality and some: what is kept of a stream is complete.
const GOES_ON_S: u32 = 12;

/// Prints the measures. Targets: 1,000,000 messages a second, 25 us a call, 4 KB a live call, and no ratio above 1.
pub fn run() {
    diagnoses();
    long_run();
    concurrency();
    call_memory();
    registration_memory();
}

/// Every diagnosis against none, and how much of either is the bench's own work.
fn diagnoses() {
    let best = |measure: &dyn Fn() -> Duration| (0..ROUNDS).map(|_| measure()).min().unwrap_or(Duration::MAX);
    let script = best(&|| measure(&mut Calls::new(SHORT), 0..CALLS, |_, packet| _ = black_box(packet)));
    let allocated = Cell::new(0);
    let with = |catalogue: &[&'static Diagnosis]| {
        let spent = best(&|| {
            let mut engine = engine(catalogue);
            let before = allocator::allocations();
            let spent = measure(&mut Calls::new(SHORT), 0..CALLS, |now, packet| engine.handle_packet(now, packet));
            allocated.set(allocator::allocations() - before);
            nothing_is_wrong(&mut engine);
            spent
        });
        (per_call_us(spent.saturating_sub(script), CALLS), allocated.get() / u64::from(CALLS))
    };
    let (all, none) = (with(catalogue::ALL), with(&[]));
    for (name, (us, allocations)) in
        [(format!("{} diagnoses", catalogue::ALL.len()), all), ("no diagnosis".to_owned(), none)]
    {
        let messages = f64::from(MESSAGES) * 1e6 / us;
        println!(
            "engine: {name:<14} {us:>6.2} us a complete call, {messages:>9.0} messages/s on one core, \
             {allocations} allocations a call"
        );
    }
    println!(
        "engine: all diagnoses against none: {:.2} x the time; {:.2} us a call of the bench's own are taken off",
        all.0 / none.0,
        per_call_us(script, CALLS)
    );
}

/// The first calls of a long run against its last ones.
fn long_run() {
    let mut engine = engine(catalogue::ALL);
    let mut calls = Calls::new(SHORT);
    let mut cost = |ticks: core::ops::Range<u32>| {
        let count = ticks.end - ticks.start;
        per_call_us(measure(&mut calls, ticks, |now, packet| engine.handle_packet(now, packet)), count)
    };
    // The first calls of all have none that end beside them.
    let warm = SHORT.concurrent() + 5_000;
    cost(0..warm);
    let first = cost(warm..warm + CALLS);
    cost(warm + CALLS..LONG_RUN - CALLS);
    let last = cost(LONG_RUN - CALLS..LONG_RUN);
    nothing_is_wrong(&mut engine);
    println!(
        "engine: {first:>6.2} us a call among the first {CALLS}, {last:>6.2} us after {LONG_RUN}: {:.2} x",
        last / first
    );
}

/// The same calls with some hundreds, some thousands and a hundred thousand of them up.
fn concurrency() {
    let cost = |pace: Pace| {
        let mut engine = engine(catalogue::ALL);
        let mut calls = Calls::new(pace);
        // Calls that are over are kept for late messages: all tables are as full as they will be after that.
        let (full, count) = (pace.concurrent() * 2, 20_000);
        measure(&mut calls, 0..full, |now, packet| engine.handle_packet(now, packet));
        let spent = measure(&mut calls, full..full + count, |now, packet| engine.handle_packet(now, packet));
        nothing_is_wrong(&mut engine);
        per_call_us(spent, count)
    };
    let costs = [FEW, SOME, MANY].map(|pace| (pace.concurrent(), cost(pace)));
    for (up, us) in costs {
        let ratio = us / costs[0].1;
        println!("engine: {us:>6.2} us a long call with {up:>6} up (130 reports of streams each): {ratio:.2} x");
    }
}

fn call_memory() {
    each_head("call that is up", &HEADS, |engine, count| {
        measure(&mut Calls::new(ENDLESS), 0..count, |now, packet| engine.handle_packet(now, packet))
    });
    // Millions of reports take minutes.
    let [heads @ .., _] = &HEADS;
    each_head("call that goes on", heads, |engine, count| {
        let mut calls = Calls::new(ENDLESS);
        let began = measure(&mut calls, 0..count, |now, packet| engine.handle_packet(now, packet));
        calls.go_on(count, GOES_ON_S, &mut |now, packet| engine.handle_packet(now, packet));
        began
    });
}

fn registration_memory() {
    each_head("registration", &HEADS, |engine, count| {
        let start = cpu_time();
        (0..count).for_each(|n| register(n, &mut |now, packet| engine.handle_packet(now, packet)));
        cpu_time().saturating_sub(start)
    });
}

/// What each of so many takes: bytes as asked for and as the process has grown, and time to add it.
fn each_head(what: &str, heads: &[u32], add: impl Fn(&mut Engine, u32) -> Duration) {
    let mut first = None;
    for &count in heads {
        if count == LONG_RUN && available_bytes().is_none_or(|bytes| bytes < FREE_FOR_A_MILLION) {
            println!("engine: {count:>7} x {what}: left out, {FREE_FOR_A_MILLION} bytes are not free");
            continue;
        }
        let mut engine = engine(catalogue::ALL);
        allocator::trim();
        let (asked, resident) = (allocator::bytes_in_use(), resident_bytes());
        let us = per_call_us(add(&mut engine, count), count);
        let each = |bytes: u64| bytes as f64 / f64::from(count);
        let grown = each(allocator::bytes_in_use().saturating_sub(asked));
        let resident = resident.zip(resident_bytes()).map(|(before, after)| each(after.saturating_sub(before)));
        nothing_is_wrong(&mut engine);
        let (first_grown, first_us) = *first.get_or_insert((grown, us));
        let resident = resident.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes:.0}"));
        println!(
            "engine: {count:>7} x {what}: {grown:>5.0} bytes ({resident:>5} resident), {us:>6.2} us to add: \
             {:.2} x and {:.2} x",
            grown / first_grown,
            us / first_us
        );
    }
}

/// Processor time of the ticks.
fn measure(
    calls: &mut Calls,
    ticks: core::ops::Range<u32>,
    mut take: impl FnMut(Timestamp, &sip_monitor_engine::Packet<'_>),
) -> Duration {
    let start = cpu_time();
    for tick in ticks {
        calls.run(tick, &mut take);
    }
    cpu_time().saturating_sub(start)
}

/// What is measured is the way of good calls: one that is not is not comparable.
fn nothing_is_wrong(engine: &mut Engine) {
    if let Some(output) = engine.poll_output() {
        panic!("a good call or registration raised {output:?}");
    }
}

fn engine(diagnoses: &[&'static Diagnosis]) -> Engine {
    let config = EngineConfig::default();
    // All calls come from one address, thousands a second.
    let thresholds = Thresholds { invite_flood_per_second: u32::MAX, ..config.thresholds };
    let limits = Limits { calls: 1_000_000, streams: 1_000_000, registrations: 1_000_000, ..config.limits };
    let config = EngineConfig { local: Calls::local(), media_sight: MediaSight::Full, thresholds, limits, ..config };
    Engine::with_catalogue(config, diagnoses)
}

fn per_call_us(spent: Duration, calls: u32) -> f64 {
    spent.as_secs_f64() * 1e6 / f64::from(calls)
}

/// Time this thread has had on a core: what others do on the machine does not count.
fn cpu_time() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = on_cpu.and_then(|text| text.split(' ').next().and_then(|ns| ns.parse().ok()));
    on_cpu.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Bytes that processes can still have.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
