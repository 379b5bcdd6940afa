//! What it takes to read the map of streams: by batch as the daemon does, key by key for comparison, and how long the slices of one
//! pass keep the rings waiting.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use aya::maps::{HashMap, Map, MapData};
use sip_monitor::capture::{
    batch::{BatchReader, Place},
    object::LoadOptions,
    streams::{Key, StreamMap, Value},
};
use sip_monitor_common::limits;

use super::{Kernel, frames::rtp_of_stream};

const STREAMS: u32 = 100_000;
const ROUNDS: usize = 5;

/// Prints the time of a stream for each way, and the longest slice.
pub fn run() -> Result<()> {
    let mut kernel = Kernel::load(&LoadOptions { max_streams: 2 * STREAMS, ..LoadOptions::default() })?;
    for n in 0..STREAMS {
        for sequence in 0..2 {
            kernel.test_run(limits::PROGRAM_XDP_INGRESS, &rtp_of_stream(n, sequence), 1)?;
        }
        if n % 4_096 == 0 {
            kernel.drain();
        }
    }
    let map = kernel.ebpf.take_map(limits::MAP_STREAMS).context(limits::MAP_STREAMS)?;
    let Map::LruHashMap(data) = &map else { bail!("the stream map is no LRU hash") };
    let batch = least(|| by_batch(data))?;
    let by_key = least(|| by_key(&map))?;
    let per_stream = |time: Duration| time.as_nanos() / u128::from(STREAMS);
    println!("kernel: reading {STREAMS} streams");
    println!("  by batch {batch:.1?}, {} ns a stream", per_stream(batch));
    println!(
        "  key by key {by_key:.1?}, {} ns a stream: {:.1} times as long",
        per_stream(by_key),
        by_key.as_secs_f64() / batch.as_secs_f64()
    );
    let mut streams = StreamMap::new(map, 0, 1)?;
    // The first pass grows tables and knows nothing of the map's size; a pass of a daemon that runs is the second.
    slices(&mut streams)?;
    let times = slices(&mut streams)?;
    let whole: Duration = times.iter().sum();
    println!(
        "  a pass of the daemon {whole:.1?} in {} slices; the rings wait for {:.2?} at most",
        times.len(),
        times.iter().max().copied().unwrap_or_default()
    );
    Ok(())
}

/// The least time of some rounds, each of which must see every stream.
fn least(mut read: impl FnMut() -> Result<usize>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let seen = read()?;
        best = best.min(begin.elapsed());
        if seen != STREAMS as usize {
            bail!("{seen} of {STREAMS} streams were read");
        }
    }
    Ok(best)
}

fn by_batch(map: &MapData) -> Result<usize> {
    let (mut reader, mut place, mut seen) = (BatchReader::new(), Place::default(), 0);
    while !place.is_end() {
        reader.read(map.fd().as_fd(), &mut place, |_, record| seen += usize::from(record.state.packets == 2))?;
    }
    Ok(seen)
}

fn by_key(map: &Map) -> Result<usize> {
    let map: HashMap<&MapData, Key, Value> = HashMap::try_from(map)?;
    Ok(map.iter().filter(|entry| entry.as_ref().is_ok_and(|(_, value)| value.0.state.packets == 2)).count())
}

/// How long each slice of one pass takes.
fn slices(streams: &mut StreamMap) -> Result<Vec<Duration>> {
    let (mut times, mut reports) = (Vec::new(), Vec::new());
    loop {
        reports.clear();
        let begin = Instant::now();
        let is_over = streams.step(1, u64::from(STREAMS), &mut reports)?;
        times.push(begin.elapsed());
        if is_over {
            return Ok(times);
        }
    }
}
