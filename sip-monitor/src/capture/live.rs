//! Live capture: loads the kernel programs, attaches them, and gives Packets in time order.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use aya::{
    Ebpf, Pod,
    maps::{Map, MapData, PerCpuArray, RingBuf},
};
use aya_log::EbpfLogger;
use sip_monitor_common::{
    Counter,
    limits::{
        DEFAULT_MAX_STREAMS, DEFAULT_MEDIA_RING_BYTES, DEFAULT_SIGNALLING_RING_BYTES, MAP_COUNTERS, MAP_MEDIA,
        MAP_SIGNALLING, MAP_STREAMS,
    },
};
use sip_monitor_engine::{
    Packet,
    packet::{Body, CaptureLoss, Direction},
};

use super::{
    ability, attach,
    boot::{boot_ns, real_minus_boot_ns},
    counters::Counters,
    decode::{Decoder, DecoderConfig},
    drops,
    interfaces::{self, Interfaces},
    netif::{self, Interface},
    object::{self, LoadOptions},
    record::Record,
    ring::{HOLD_BACK_NS, Merger, Rings},
    streams::StreamMap,
};
pub use super::{drops::Tracepoint, error::LiveError, interfaces::InterfaceStatus};

/// How packets are seen on their way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IngressMode {
    /// Native XDP on network cards; tc on veth and other virtual devices, or where XDP can not be had.
    #[default]
    Auto,
    /// XDP in the driver, or an error.
    Xdp,
    /// XDP behind the driver, or an error.
    XdpGeneric,
    /// tc.
    Tc,
}

/// What a [`Live`] is to do.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Interfaces by name; none means all that are up and not loopback.
    pub interfaces: Vec<String>,
    /// Which hook at ingress.
    pub ingress: IngressMode,
    /// Ports whose UDP and TCP is SIP, whatever it looks like.
    pub sip_ports: Vec<u16>,
    /// Streams held in the kernel.
    pub max_streams: u32,
    /// Bytes of the ring for signalling, a power of two.
    pub signalling_ring_bytes: u32,
    /// Bytes of the ring for media, a power of two.
    pub media_ring_bytes: u32,
    /// How the kernel is asked why it drops packets.
    pub tracepoint: Tracepoint,
    /// Keep the programs' log statements and show them.
    pub debug: bool,
    /// Seed of the hash tables.
    pub seed: u64,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            ingress: IngressMode::Auto,
            sip_ports: vec![5060],
            max_streams: DEFAULT_MAX_STREAMS,
            signalling_ring_bytes: DEFAULT_SIGNALLING_RING_BYTES,
            media_ring_bytes: DEFAULT_MEDIA_RING_BYTES,
            tracepoint: Tracepoint::Auto,
            debug: false,
            seed: 0x5e1f,
        }
    }
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct CpuCounters([u64; Counter::COUNT]);
// SAFETY: integers without padding.
unsafe impl Pod for CpuCounters {}

/// Live capture. Dropping it detaches everything.
pub struct Live {
    // Before the programs and maps: what is attached goes first.
    interfaces: Interfaces,
    merger: Merger,
    decoder: Decoder,
    streams: StreamMap,
    counters: PerCpuArray<MapData, CpuCounters>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    ebpf: Ebpf,
    told: Counters,
    evicted_told: u64,
    /// Reports out of the map, which wait for their turn.
    swept: Vec<Record>,
    second_at_ns: u64,
    looked_at_ns: u64,
    /// Up to here records were handed on.
    handed_on_ns: u64,
    clock_offset_ns: i64,
    /// Drop reasons watched, or why none.
    drops: Result<usize, String>,
    max_streams: u32,
    ring_bytes: [u32; 2],
    rings_turned_ns: u64,
}

/// How full a ring was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFill {
    /// `signalling` or `media`.
    pub name: &'static str,
    /// The most found at one poll within the last 15 to 30 s.
    pub most_bytes: u64,
    /// What fits into it.
    pub size_bytes: u64,
}

const SECOND_NS: u64 = 1_000_000_000;
/// How often interfaces are looked for that went or came back.
const LOOK_EVERY_NS: u64 = 250_000_000;
/// How long the most that was found in a ring is told at least: metrics are scraped about as often.
const RINGS_TOLD_NS: u64 = 15_000_000_000;

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("interfaces", &self.interfaces).finish_non_exhaustive()
    }
}

impl Live {
    /// How often [`Live::poll`] wants to be called.
    pub const POLL_INTERVAL: Duration = Duration::from_millis(15);

    /// Loads the programs and attaches them, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn start(config: LiveConfig) -> Result<Self, LiveError> {
        if !object::is_built() {
            return Err(LiveError::NoObject);
        }
        ability::check()?;
        let names = interfaces::choose(&config.interfaces)?;
        let mut ebpf = object::load(&LoadOptions {
            sip_ports: config.sip_ports.clone(),
            max_streams: config.max_streams,
            signalling_ring_bytes: config.signalling_ring_bytes,
            media_ring_bytes: config.media_ring_bytes,
            debug: config.debug,
            test_clock: false,
        })?;
        let logger = config.debug.then(|| EbpfLogger::init(&mut ebpf).ok()).flatten();
        let loaded = attach::load_programs(&mut ebpf, config.ingress, object::kernel_has((6, 6)))?;
        let interfaces = Interfaces::new(names, config.interfaces.is_empty(), loaded, config.ingress);
        let rings = Rings { signalling: ring(&mut ebpf, MAP_SIGNALLING)?, media: ring(&mut ebpf, MAP_MEDIA)? };
        let budget = config.signalling_ring_bytes.max(config.media_ring_bytes) as usize;
        let now_ns = boot_ns();
        let streams = StreamMap::new(take(&mut ebpf, MAP_STREAMS)?, now_ns, config.seed)?;
        let counters = PerCpuArray::try_from(take(&mut ebpf, MAP_COUNTERS)?)
            .map_err(|e| LiveError::caused("opening the counters", &e))?;
        let mut live = Self {
            interfaces,
            merger: Merger::new(rings, budget),
            decoder: Decoder::new(DecoderConfig {
                sip_ports: config.sip_ports,
                seed: config.seed,
                ..DecoderConfig::default()
            }),
            streams,
            counters,
            logger,
            ebpf,
            told: Counters::default(),
            evicted_told: 0,
            swept: Vec::new(),
            second_at_ns: now_ns,
            looked_at_ns: now_ns,
            handed_on_ns: now_ns,
            clock_offset_ns: real_minus_boot_ns(),
            drops: Ok(0),
            max_streams: config.max_streams,
            ring_bytes: [config.signalling_ring_bytes, config.media_ring_bytes],
            rings_turned_ns: now_ns,
        };
        live.decoder.set_clock_offset(live.clock_offset_ns);
        live.watch_drops(config.tracepoint);
        live.attach_missing();
        live.refresh_addresses();
        // Somebody who named an interface wants to know; of "all", those that work are watched.
        live.interfaces.failure().map_or(Ok(live), |note| Err(LiveError::Failed(note)))
    }

    /// Hands on what the kernel has seen, in time order, and does what is due: the sweep of quiet streams, interfaces that
    /// came back, losses. Call it every [`Live::POLL_INTERVAL`], from the thread that called [`Live::start`].
    ///
    /// # Errors
    /// Where the kernel refuses to go on.
    pub fn poll(&mut self, sink: &mut dyn FnMut(&Packet<'_>)) -> Result<(), LiveError> {
        let now_ns = boot_ns();
        if now_ns >= self.looked_at_ns + LOOK_EVERY_NS {
            self.looked_at_ns = now_ns;
            if self.interfaces.look(now_ns) {
                self.attach_missing();
            }
        }
        // Told before what came after it: no timer that the records let run may take what was lost for absent.
        let until_ns = now_ns.saturating_sub(HOLD_BACK_NS);
        let has_lost = self.tell_losses(self.handed_on_ns, false, sink)?;
        self.hand_on(until_ns, sink);
        self.handed_on_ns = until_ns;
        if self.streams.is_due(now_ns) {
            let opened = self.counters()?.get(Counter::StreamsOpened);
            self.streams.step(now_ns, opened, &mut self.swept)?;
        }
        if now_ns >= self.second_at_ns + SECOND_NS {
            self.second_at_ns = now_ns;
            if now_ns >= self.rings_turned_ns + RINGS_TOLD_NS {
                self.rings_turned_ns = now_ns;
                self.merger.turn();
            }
            self.decoder.expire(now_ns, sink);
            self.adjust_clock();
            self.refresh_addresses();
        }
        self.tell_losses(until_ns, has_lost, sink)?;
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        Ok(())
    }

    /// Hands on everything that is left, and the last counters of every stream. Call it once before the end.
    ///
    /// # Errors
    /// As [`Live::poll`].
    pub fn finish(&mut self, sink: &mut dyn FnMut(&Packet<'_>)) -> Result<(), LiveError> {
        self.interfaces.detach();
        let now_ns = boot_ns();
        let has_lost = self.tell_losses(self.handed_on_ns, false, sink)?;
        self.hand_on(u64::MAX, sink);
        let opened = self.counters()?.get(Counter::StreamsOpened);
        self.streams.finish(now_ns, opened, &mut self.swept)?;
        self.hand_on(u64::MAX, sink);
        self.tell_losses(now_ns, has_lost, sink).map(|_| ())
    }

    /// Names of the interfaces, by [`Packet::link`]. The list only grows.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.interfaces.names()
    }

    /// How each interface is watched.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceStatus> {
        self.interfaces.status()
    }

    /// Addresses of this host, in the namespace of the calling thread.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<IpAddr> {
        addresses(netif::interfaces().unwrap_or_default())
    }

    /// The programs' counters, summed over CPUs.
    ///
    /// # Errors
    /// Where the kernel refuses to give them.
    pub fn counters(&self) -> Result<Counters, LiveError> {
        let cpus = self.counters.get(&0, 0).map_err(|e| LiveError::caused("reading the counters", &e))?;
        let mut sum = Counters::default();
        for cpu in cpus.iter() {
            for (counter, n) in Counter::ALL.iter().zip(cpu.0) {
                sum.add(*counter, n);
            }
        }
        Ok(sum)
    }

    /// Streams the kernel evicted because its map was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.streams.evicted()
    }

    /// Streams in the kernel's map, and how many fit into it.
    #[must_use]
    pub fn streams_in_map(&self) -> (u64, u64) {
        (self.streams.present() as u64, self.max_streams.into())
    }

    /// How full the rings were found.
    #[must_use]
    pub fn rings(&self) -> [RingFill; 2] {
        let [signalling, media] = self.merger.most();
        let [signalling_size, media_size] = self.ring_bytes;
        let fill = |name, most: usize, size: u32| RingFill { name, most_bytes: most as u64, size_bytes: size.into() };
        [fill("signalling", signalling, signalling_size), fill("media", media, media_size)]
    }

    fn hand_on(&mut self, until_ns: u64, sink: &mut dyn FnMut(&Packet<'_>)) {
        self.merger.read();
        // The sweep's reports are as old as the sweep, and wait for older records like any other.
        let (swept, decoder) = (&mut self.swept, &mut self.decoder);
        let mut due = swept.iter().take_while(|r| r.header().ktime_ns <= until_ns).peekable();
        let mut n = 0;
        self.merger.release(until_ns, |view| {
            let at_ns = view.ktime_ns();
            while let Some(record) = due.next_if(|r| r.header().ktime_ns < at_ns) {
                decoder.handle_record(record, sink);
                n += 1;
            }
            decoder.handle_view(view, sink);
        });
        for record in due {
            decoder.handle_record(record, sink);
            n += 1;
        }
        swept.drain(..n);
    }

    /// Tells what was lost since it was asked last; `goes_on`: nothing more may have been, but the losses told before may have
    /// gone on until now. Returns whether anything was lost.
    fn tell_losses(&mut self, at_ns: u64, goes_on: bool, sink: &mut dyn FnMut(&Packet<'_>)) -> Result<bool, LiveError> {
        let counters = self.counters()?;
        let mut loss = counters.loss_since(&self.told);
        self.told = counters;
        let own = self.decoder.take_loss();
        loss.fragments_evicted += own.fragments_evicted;
        loss.unreadable += own.unreadable;
        let evicted = self.streams.evicted();
        loss.map_full += evicted - self.evicted_told;
        self.evicted_told = evicted;
        if loss != CaptureLoss::default() || goes_on {
            let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            sink(&Packet {
                time: self.decoder.advance(at_ns),
                link: 0,
                direction: Direction::In,
                src: nobody,
                dst: nobody,
                ip_id: 0,
                ttl: 0,
                dscp: 0,
                body: Body::CaptureLoss(loss),
            });
        }
        Ok(loss.total() > 0)
    }

    fn attach_missing(&mut self) {
        let all = netif::interfaces().unwrap_or_default();
        self.interfaces.attach_missing(&mut self.ebpf, &all, self.looked_at_ns);
        self.decoder.set_links(self.interfaces.links());
    }

    /// Asks the kernel to say why it drops packets. A kernel that cannot leaves verdicts to what packets show.
    fn watch_drops(&mut self, tracepoint: Tracepoint) {
        match drops::watch(&mut self.ebpf, tracepoint) {
            Ok(reasons) => {
                self.drops = Ok(reasons.len());
                self.decoder.set_drop_reasons(reasons);
                tracing::info!("the kernel's drop reasons are watched");
            }
            Err(why) => {
                tracing::warn!("no drop reasons: {why}; local drops stay unexplained");
                self.drops = Err(why);
            }
        }
    }

    /// How many of the kernel's drop reasons are watched, or why none.
    ///
    /// # Errors
    /// What this kernel lacks.
    pub fn drop_reasons(&self) -> Result<usize, &str> {
        self.drops.as_ref().copied().map_err(String::as_str)
    }

    /// Follows addresses that change and, where all interfaces are watched, interfaces that appear.
    fn refresh_addresses(&mut self) {
        let all = netif::interfaces().unwrap_or_default();
        if self.interfaces.take_new(&all) {
            self.attach_missing();
        }
        self.decoder.set_local(addresses(all));
    }

    /// Follows the time of day where it was set; small corrections are left to add up, so that the times of one stream do
    /// not wander against each other.
    fn adjust_clock(&mut self) {
        const WORTH_NS: i64 = 1_000_000;
        let offset_ns = real_minus_boot_ns();
        if (offset_ns - self.clock_offset_ns).abs() >= WORTH_NS {
            self.clock_offset_ns = offset_ns;
            self.decoder.set_clock_offset(offset_ns);
        }
    }
}

fn addresses(interfaces: Vec<Interface>) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = interfaces.into_iter().flat_map(|i| i.addresses).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, LiveError> {
    ebpf.take_map(name).ok_or_else(|| LiveError::failed("opening the maps", format!("no {name} in the object")))
}

fn ring(ebpf: &mut Ebpf, name: &str) -> Result<RingBuf<MapData>, LiveError> {
    RingBuf::try_from(take(ebpf, name)?).map_err(|e| LiveError::caused(&format!("opening the ring {name}"), &e))
}
