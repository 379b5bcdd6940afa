//! What flowed in a call, summed up for its record: from one address to another, all streams together.

use crate::call::CallKey;
use crate::media::stream::hundredths;
use crate::media::{MediaTable, Stream};
use crate::record::{FlowRecord, StreamRecord};

/// Flows told of one call.
const FLOWS_TOLD: usize = 16;

impl MediaTable {
    /// The flows of a call in the order they began; the first 16.
    #[must_use]
    pub fn flows_of(&self, call: CallKey) -> Vec<FlowRecord> {
        let mut streams: Vec<&Stream> = self.streams_of(call).filter(|s| s.is_worth_a_record()).collect();
        streams.sort_by_key(|s| (s.counters.first_at, s.counters.key));
        let mut flows: Vec<Vec<StreamRecord>> = Vec::new();
        for stream in streams {
            let record = stream.record();
            let same = |flow: &&mut Vec<StreamRecord>| {
                flow.first()
                    .is_some_and(|f| (&f.src, &f.dst, &f.direction) == (&record.src, &record.dst, &record.direction))
            };
            if let Some(flow) = flows.iter_mut().find(same) {
                flow.push(record);
            } else if flows.len() < FLOWS_TOLD {
                flows.push(vec![record]);
            }
        }
        flows.iter().filter_map(|flow| sum(flow)).collect()
    }
}

/// Streams of one flow, in the order they began.
#[allow(clippy::cast_precision_loss)] // packets of a call
fn sum(streams: &[StreamRecord]) -> Option<FlowRecord> {
    let longest = streams.iter().max_by_key(|s| s.packets)?;
    let last = |get: fn(&StreamRecord) -> Option<f64>| streams.iter().rev().find_map(get);
    let (packets, lost) = (streams.iter().map(|s| s.packets).sum::<u64>(), streams.iter().map(|s| s.lost).sum::<u64>());
    let expected: u64 = streams.iter().map(|s| s.expected).sum();
    let jitter: f64 = streams.iter().map(|s| s.jitter_mean_ms * s.packets as f64).sum();
    // A stream's mean is that of its intervals, so it weighs as many.
    let rated = || streams.iter().filter_map(|s| Some((f64::from(s.intervals?), s.mos_mean?)));
    let weight: f64 = rated().map(|(intervals, _)| intervals).sum();
    Some(FlowRecord {
        from_side: longest.from_side,
        src: longest.src.clone(),
        dst: longest.dst.clone(),
        direction: longest.direction.clone(),
        streams: u32::try_from(streams.len()).unwrap_or(u32::MAX),
        codec: longest.codec.clone(),
        packets,
        lost,
        loss_percent: if expected == 0 { 0.0 } else { hundredths(lost as f64 * 100.0 / expected as f64) },
        jitter_mean_ms: if packets == 0 { 0.0 } else { hundredths(jitter / packets as f64) },
        jitter_max_ms: streams.iter().map(|s| s.jitter_max_ms).fold(0.0, f64::max),
        mos_mean: (weight > 0.0).then(|| hundredths(rated().map(|(n, mos)| n * mos).sum::<f64>() / weight)),
        mos_min: streams.iter().filter_map(|s| s.mos_min).reduce(f64::min),
        rtt_ms: last(|s| s.rtt_ms),
        remote_lost: streams.iter().filter_map(|s| s.remote_lost).reduce(i32::saturating_add),
        remote_jitter_ms: last(|s| s.remote_jitter_ms),
        remote_mos: last(|s| s.remote_mos),
        first_at: streams.iter().map(|s| s.first_at).min()?,
        last_at: streams.iter().map(|s| s.last_at).max()?,
    })
}
