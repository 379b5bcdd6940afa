//! What a message and a call cost the whole engine on one core, with every diagnosis on and with none; what a live call and a
//! registration take of memory; and whether either grows with how many there are or were. Each figure stands beside one of
//! the same run that it is to be compared with.

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
const SHORT: Pace =
    Pace { tick_ns: 10_000_000, step_ns: 10_000_000, lasts_ns: 8_000_000_000, reports: 2, report_ns: 1_000_000_000 };
/// Calls of 80 s, twelve a second, with a hundred reports each: a thousand are up.
const FEW: Pace =
    Pace { tick_ns: 80_000_000, lasts_ns: 80_000_000_000, reports: 50, report_ns: 1_600_000_000, ..SHORT };
/// The same calls, a hundred times as many a second.
const MANY: Pace = Pace { tick_ns: 800_000, ..FEW };
/// Calls that nobody hangs up, all within a few seconds.
const ENDLESS: Pace = Pace { tick_ns: 50_000, step_ns: 0, lasts_ns: 1_000_000_000_000, reports: 1, report_ns: 0 };

const CALLS: u32 = 30_000;
const ROUNDS: usize = 3;
const LONG_RUN: u32 = 1_000_000;
const HEADS: [u32; 2] = [10_000, 100_000];

/// Prints the measures. Targets: 1,000,000 messages a second, 25 us a call, 4 KB a live call.
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
    let with = |catalogue: &[&'static Diagnosis]| {
        let spent = best(&|| {
            let mut engine = engine(catalogue);
            let spent = measure(&mut Calls::new(SHORT), 0..CALLS, |now, packet| engine.handle_packet(now, packet));
            nothing_is_wrong(&mut engine);
            spent
        });
        per_call_us(spent.saturating_sub(script), CALLS)
    };
    let (all, none) = (with(catalogue::ALL), with(&[]));
    for (name, us) in [(format!("{} diagnoses", catalogue::ALL.len()), all), ("no diagnosis".to_owned(), none)] {
        let messages = f64::from(MESSAGES) * 1e6 / us;
        println!("engine: {name:<14} {us:>6.2} us a complete call, {messages:>9.0} messages/s on one core");
    }
    println!(
        "engine: all diagnoses against none: {:.2} x the time; {:.2} us a call of the bench's own are taken off",
        all / none,
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

/// The same calls with a thousand and with a hundred thousand of them up.
fn concurrency() {
    let cost = |pace: Pace| {
        let mut engine = engine(catalogue::ALL);
        let mut calls = Calls::new(pace);
        // Calls that are over are kept for late messages: all tables are as full as they will be after that.
        let (full, count) = (pace.concurrent() * 3 / 2, 20_000);
        measure(&mut calls, 0..full, |now, packet| engine.handle_packet(now, packet));
        let spent = measure(&mut calls, full..full + count, |now, packet| engine.handle_packet(now, packet));
        nothing_is_wrong(&mut engine);
        per_call_us(spent, count)
    };
    let (few, many) = (cost(FEW), cost(MANY));
    println!(
        "engine: {few:>6.2} us a call of {} reports with {} up, {many:>6.2} us with {}: {:.2} x",
        2 * FEW.reports,
        FEW.concurrent(),
        MANY.concurrent(),
        many / few
    );
}

fn call_memory() {
    let grown = HEADS.map(|count| {
        grows(count, |engine, first, last| {
            measure(&mut Calls::new(ENDLESS), first..last, |now, packet| engine.handle_packet(now, packet));
        })
    });
    print_memory("call that is up", grown);
}

fn registration_memory() {
    let grown = HEADS.map(|count| {
        grows(count, |engine, first, last| {
            (first..last).for_each(|n| register(n, &mut |now, packet| engine.handle_packet(now, packet)));
        })
    });
    print_memory("registration", grown);
}

/// Bytes that each of `count` takes: as asked for, and as the process has grown.
fn grows(count: u32, add: impl Fn(&mut Engine, u32, u32)) -> (f64, Option<f64>) {
    let mut engine = engine(catalogue::ALL);
    let (asked, resident) = (allocator::bytes_in_use(), resident_bytes());
    add(&mut engine, 0, count);
    let grown = allocator::bytes_in_use().saturating_sub(asked);
    let resident = resident.zip(resident_bytes()).map(|(before, after)| after.saturating_sub(before));
    nothing_is_wrong(&mut engine);
    let each = |bytes: u64| bytes as f64 / f64::from(count);
    (each(grown), resident.map(each))
}

fn print_memory(what: &str, grown: [(f64, Option<f64>); 2]) {
    for (count, (asked, resident)) in HEADS.iter().zip(grown) {
        let resident = resident.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes:.0}"));
        println!("engine: {asked:>6.0} bytes a {what}, {count} of them ({resident} resident)");
    }
    let [(small, _), (large, _)] = grown;
    println!("engine: each takes {:.2} x as much where there are ten times as many", large / small);
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
