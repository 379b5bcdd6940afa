//! One frame after the other: through the kernel's accounting in software, the decoder and the engine, in virtual time.
//!
//! Once a second of the capture's time the flow table is swept, as the daemon does live, and between frames the engine's
//! timers run when they are due.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use sip_monitor_common::Direction;
use sip_monitor_engine::{Engine, Output, Timestamp};

use super::Options;
use super::timeline::TimedFrame;
use crate::capture::decode::{Decoder, DecoderConfig};
use crate::capture::record::Record;
use crate::capture::softkernel::{SoftKernel, SoftKernelConfig};

const SWEEP: Duration = Duration::from_secs(1);
/// Sweeps in one silence: a stream reports its end once, further ones find nothing.
const SWEEPS_IN_A_GAP: u32 = 120;

/// The way of a packet, and where its outputs go.
pub struct Drive<F> {
    kernel: SoftKernel,
    decoder: Decoder,
    engine: Engine,
    records: Vec<Record>,
    next_sweep: Option<Timestamp>,
    emit: F,
}

impl<E, F: FnMut(Output) -> Result<(), E>> Drive<F> {
    /// Ready for the first frame.
    pub fn new(engine: Engine, options: &Options, emit: F) -> Self {
        let local = engine.config().local.clone();
        let config = SoftKernelConfig {
            sip_ports: options.sip_ports.clone(),
            max_streams: options.max_streams as usize,
            ..SoftKernelConfig::default()
        };
        Self {
            kernel: SoftKernel::new(config),
            decoder: Decoder::new(DecoderConfig {
                sip_ports: options.sip_ports.clone(),
                local,
                ..DecoderConfig::default()
            }),
            engine,
            records: Vec::new(),
            next_sweep: None,
            emit,
        }
    }

    /// Takes one frame, from its IP header on. Frames come in the order of time.
    ///
    /// # Errors
    /// What `emit` returns.
    pub fn handle_packet(&mut self, timed: &TimedFrame<'_>, l3: &[u8], local: &BTreeSet<IpAddr>) -> Result<(), E> {
        let time = Timestamp::from_unix_ns(timed.frame.time_ns);
        self.sweep_until(time)?;
        self.run_timers(time)?;
        let direction = direction(l3, local);
        self.kernel.handle_frame(ktime(time), u32::from(timed.link), direction, l3, &mut self.records);
        self.deliver()
    }

    /// Ends the capture at `end`, the time of its last frame; gives what became of the packets.
    ///
    /// # Errors
    /// What `emit` returns.
    pub fn finish(mut self, end: Timestamp) -> Result<Vec<(&'static str, u64)>, E> {
        self.kernel.flush(&mut self.records);
        self.deliver()?;
        self.run_timers(end)?;
        self.engine.finish(end);
        self.drain()?;
        Ok(self.kernel.counters().iter().filter(|(_, n)| *n > 0).collect())
    }

    /// Sweeps at each full second of the capture that `time` has passed.
    fn sweep_until(&mut self, time: Timestamp) -> Result<(), E> {
        let mut due = *self.next_sweep.get_or_insert(time + SWEEP);
        let mut sweeps = 0;
        while due <= time {
            if sweeps == SWEEPS_IN_A_GAP {
                due = time;
            }
            self.run_timers(due)?;
            self.kernel.sweep(ktime(due), &mut self.records);
            self.deliver()?;
            self.decoder.expire(ktime(due), &mut |packet| self.engine.handle_packet(packet.time, packet));
            self.drain()?;
            due = due + SWEEP;
            sweeps += 1;
        }
        self.next_sweep = Some(due);
        Ok(())
    }

    /// Runs the timers that are due by `now`; the engine gives each its own time.
    fn run_timers(&mut self, now: Timestamp) -> Result<(), E> {
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
            self.drain()?;
        }
        Ok(())
    }

    /// Hands the records to the decoder and its packets to the engine.
    fn deliver(&mut self) -> Result<(), E> {
        for record in self.records.drain(..) {
            self.decoder.handle_record(&record, &mut |packet| self.engine.handle_packet(packet.time, packet));
        }
        self.drain()
    }

    fn drain(&mut self) -> Result<(), E> {
        while let Some(output) = self.engine.poll_output() {
            (self.emit)(output)?;
        }
        Ok(())
    }
}

/// The clock of records counts from 0: replay takes the Unix epoch for it.
fn ktime(time: Timestamp) -> u64 {
    u64::try_from(time.unix_ns()).unwrap_or(0)
}

/// Which way a packet goes, as seen from the local addresses. What goes from one local address to another came in.
fn direction(l3: &[u8], local: &BTreeSet<IpAddr>) -> Direction {
    match addresses(l3) {
        Some((_, dst)) if local.contains(&dst) => Direction::In,
        Some((src, _)) if local.contains(&src) => Direction::Out,
        _ => Direction::Transit,
    }
}

/// Source and destination of an IP packet.
fn addresses(l3: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match l3.first()? >> 4 {
        4 => {
            let (src, dst) = (l3.get(12..16)?.first_chunk::<4>()?, l3.get(16..20)?.first_chunk::<4>()?);
            Some((IpAddr::from(*src), IpAddr::from(*dst)))
        }
        6 => {
            let (src, dst) = (l3.get(8..24)?.first_chunk::<16>()?, l3.get(24..40)?.first_chunk::<16>()?);
            Some((IpAddr::from(*src), IpAddr::from(*dst)))
        }
        _ => None,
    }
}
