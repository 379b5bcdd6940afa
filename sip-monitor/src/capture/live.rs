//! Live capture: loads the kernel programs, attaches them, and gives Packets in time order.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use aya::{
    Ebpf, Pod,
    maps::{HashMap, Map, MapData, PerCpuArray, RingBuf},
    util::KernelVersion,
};
use aya_log::EbpfLogger;
use caps::{CapSet, Capability};
use foldhash::fast::FixedState;
use sip_monitor_common::{
    Counter, StreamKey,
    limits::{
        DEFAULT_MAX_STREAMS, DEFAULT_MEDIA_RING_BYTES, DEFAULT_SIGNALLING_RING_BYTES, MAP_COUNTERS, MAP_MEDIA,
        MAP_SIGNALLING, MAP_STREAMS,
    },
};
use sip_monitor_engine::{
    Packet,
    packet::{Body, Direction},
};

use super::{
    attach::{self, Attachment, Loaded},
    batch::BatchReader,
    counters::Counters,
    decode::{Decoder, DecoderConfig},
    drops, netif,
    object::{self, LoadOptions},
    record::Record,
    ring::{HOLD_BACK_NS, Merger, Rings},
    softkernel::{sort_streams, swept},
    sweep::{Fate, Sweeper},
};
pub use super::{drops::Tracepoint, error::LiveError};

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

/// How one interface is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its place in the list of names: [`Packet::link`].
    pub link: u16,
    /// Its index, where it exists.
    pub ifindex: Option<u32>,
    /// The hook at ingress: `xdp`, `xdp-generic`, `tcx`, `tc`; empty while it is not attached.
    pub ingress: &'static str,
    /// The hook at egress: `tcx` or `tc`; empty while it is not attached.
    pub egress: &'static str,
    /// Why it is not attached, or not as one would expect.
    pub note: Option<String>,
}

/// An interface that is watched, also while it is gone.
#[derive(Debug)]
struct Watched {
    name: String,
    attachment: Option<Attachment>,
    note: Option<String>,
    /// Not tried again before this: an interface that refuses the programs does so for long.
    retry_at_ns: u64,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct CpuCounters([u64; Counter::COUNT]);
// SAFETY: integers without padding.
unsafe impl Pod for CpuCounters {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Key(StreamKey);
// SAFETY: `repr(C)` integers without padding.
unsafe impl Pod for Key {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(#[allow(dead_code)] sip_monitor_common::StreamRecord);
// SAFETY: `repr(C)` integers without padding.
unsafe impl Pod for Value {}

/// Live capture. Dropping it detaches everything.
pub struct Live {
    // Before the programs and maps: what is attached goes first.
    watched: Vec<Watched>,
    loaded: Loaded,
    ingress: IngressMode,
    merger: Merger,
    decoder: Decoder,
    sweeper: Sweeper<FixedState>,
    reader: BatchReader,
    streams: HashMap<MapData, Key, Value>,
    streams_fd: OwnedFd,
    counters: PerCpuArray<MapData, CpuCounters>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    ebpf: Ebpf,
    told: Counters,
    forgotten: u64,
    evicted: u64,
    evicted_told: u64,
    /// Reports of the last sweep, which wait for their turn.
    swept: Vec<Record>,
    swept_at_ns: u64,
    looked_at_ns: u64,
    clock_offset_ns: i64,
    /// Drop reasons watched, or why none.
    drops: Result<usize, String>,
}

const SECOND_NS: u64 = 1_000_000_000;
/// How often an interface that refuses is tried again.
const RETRY_EVERY_NS: u64 = 5_000_000_000;
/// How often interfaces are looked for that went or came back.
const LOOK_EVERY_NS: u64 = 250_000_000;

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("watched", &self.watched).finish_non_exhaustive()
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
        check_kernel()?;
        check_capabilities()?;
        let names = choose(&config.interfaces)?;
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
        let rings = Rings { signalling: ring(&mut ebpf, MAP_SIGNALLING)?, media: ring(&mut ebpf, MAP_MEDIA)? };
        let budget = config.signalling_ring_bytes.max(config.media_ring_bytes) as usize;
        let streams = take(&mut ebpf, MAP_STREAMS)?;
        let Map::LruHashMap(data) = &streams else {
            return Err(LiveError::failed("opening the stream map", "it is no LRU hash"));
        };
        let streams_fd =
            data.fd().as_fd().try_clone_to_owned().map_err(|e| LiveError::failed("opening the stream map", e))?;
        let streams = HashMap::try_from(streams).map_err(|e| LiveError::caused("opening the stream map", &e))?;
        let counters = PerCpuArray::try_from(take(&mut ebpf, MAP_COUNTERS)?)
            .map_err(|e| LiveError::caused("opening the counters", &e))?;
        let now_ns = boot_ns();
        let mut live = Self {
            watched: names
                .into_iter()
                .map(|name| Watched { name, attachment: None, note: None, retry_at_ns: 0 })
                .collect(),
            loaded,
            ingress: config.ingress,
            merger: Merger::new(rings, budget),
            decoder: Decoder::new(DecoderConfig {
                sip_ports: config.sip_ports,
                seed: config.seed,
                ..DecoderConfig::default()
            }),
            sweeper: Sweeper::new(FixedState::with_seed(config.seed)),
            reader: BatchReader::new(),
            streams,
            streams_fd,
            counters,
            logger,
            ebpf,
            told: Counters::default(),
            forgotten: 0,
            evicted: 0,
            evicted_told: 0,
            swept: Vec::new(),
            swept_at_ns: now_ns,
            looked_at_ns: now_ns,
            clock_offset_ns: real_minus_boot_ns(),
            drops: Ok(0),
        };
        live.decoder.set_clock_offset(live.clock_offset_ns);
        live.watch_drops(config.tracepoint);
        live.attach_missing();
        live.refresh_addresses();
        // Somebody who named an interface wants to know; of "all", those that work are watched.
        let failed = live.watched.iter().find(|w| w.attachment.is_none());
        match failed.and_then(|w| w.note.clone()) {
            Some(note) if !config.interfaces.is_empty() || live.watched.iter().all(|w| w.attachment.is_none()) => {
                Err(LiveError::Failed(note))
            }
            Some(_) | None => Ok(live),
        }
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
            self.look_after_interfaces();
        }
        self.hand_on(now_ns.saturating_sub(HOLD_BACK_NS), sink);
        if now_ns >= self.swept_at_ns + SECOND_NS {
            self.swept_at_ns = now_ns;
            self.sweep(now_ns, false)?;
            self.decoder.expire(now_ns, sink);
            self.adjust_clock();
            self.refresh_addresses();
        }
        self.tell_losses(now_ns, sink)?;
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
        for watched in &mut self.watched {
            watched.attachment = None;
        }
        let now_ns = boot_ns();
        self.hand_on(u64::MAX, sink);
        self.sweep(now_ns, true)?;
        self.hand_on(u64::MAX, sink);
        self.tell_losses(now_ns, sink)
    }

    /// Names of the interfaces, by [`Packet::link`].
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.watched.iter().map(|w| w.name.clone()).collect()
    }

    /// How each interface is watched.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceStatus> {
        let status = |(link, w): (usize, &Watched)| InterfaceStatus {
            name: w.name.clone(),
            link: u16::try_from(link).unwrap_or(u16::MAX),
            ifindex: w.attachment.as_ref().map(Attachment::ifindex),
            ingress: w.attachment.as_ref().map_or("", Attachment::ingress_mode),
            egress: w.attachment.as_ref().map_or("", Attachment::egress_mode),
            note: w.note.clone().or_else(|| w.attachment.as_ref()?.note().map(str::to_owned)),
        };
        self.watched.iter().enumerate().map(status).collect()
    }

    /// Addresses of this host, in the namespace of the calling thread.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> =
            netif::interfaces().unwrap_or_default().into_iter().flat_map(|i| i.addresses).collect();
        all.sort_unstable();
        all.dedup();
        all
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
        self.evicted
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

    /// Reads the kernel's map: streams that went quiet report, those long quiet leave.
    fn sweep(&mut self, now_ns: u64, last: bool) -> Result<(), LiveError> {
        let opened = self.counters()?.get(Counter::StreamsOpened);
        let (sweeper, swept_records) = (&mut self.sweeper, &mut self.swept);
        let begin = swept_records.len();
        let mut forget = Vec::new();
        let mut present = 0;
        let read = self.reader.read(self.streams_fd.as_fd(), |key, record| {
            present += 1;
            let fate = if !last {
                sweeper.judge(now_ns, key, &record.state)
            } else if sweeper.has_news(key, &record.state) {
                Fate::Report
            } else {
                Fate::Keep
            };
            match fate {
                Fate::Keep => {}
                Fate::Report => swept_records.push(Record::Stream(Box::new(swept(record, now_ns)))),
                Fate::Forget => forget.push(*key),
            }
        });
        read.map_err(|e| LiveError::caused("reading the stream map", &e))?;
        sweeper.finish();
        sort_streams(&mut swept_records[begin..]);
        // What was opened, not removed by us, and is not there, the kernel has evicted.
        self.evicted = self.evicted.max(opened.saturating_sub(self.forgotten + present));
        for key in forget {
            self.forgotten += u64::from(self.streams.remove(&Key(key)).is_ok());
        }
        Ok(())
    }

    fn tell_losses(&mut self, now_ns: u64, sink: &mut dyn FnMut(&Packet<'_>)) -> Result<(), LiveError> {
        let counters = self.counters()?;
        let mut loss = counters.loss_since(&self.told);
        self.told = counters;
        let own = self.decoder.take_loss();
        loss.fragments_evicted += own.fragments_evicted;
        loss.unreadable += own.unreadable;
        loss.map_full += self.evicted - self.evicted_told;
        self.evicted_told = self.evicted;
        if loss.total() > 0 {
            let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            sink(&Packet {
                time: self.decoder.advance(now_ns.saturating_sub(HOLD_BACK_NS)),
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
        Ok(())
    }

    fn look_after_interfaces(&mut self) {
        let mut changed = false;
        for watched in &mut self.watched {
            let index = netif::index_of(&watched.name);
            match &watched.attachment {
                Some(attachment) if Some(attachment.ifindex()) != index => {
                    tracing::warn!("{} is gone; it is watched again when it comes back", watched.name);
                    watched.attachment = None;
                    watched.note = Some("the interface is gone".to_owned());
                    watched.retry_at_ns = 0;
                    changed = true;
                }
                None if index.is_some() => changed |= self.looked_at_ns >= watched.retry_at_ns,
                Some(_) | None => {}
            }
        }
        if changed {
            self.attach_missing();
        }
    }

    fn attach_missing(&mut self) {
        let all = netif::interfaces().unwrap_or_default();
        for watched in &mut self.watched {
            let Some(interface) = all.iter().find(|i| i.name == watched.name) else { continue };
            if watched.attachment.is_some() || self.looked_at_ns < watched.retry_at_ns {
                continue;
            }
            let (name, index) = (interface.name.as_str(), interface.index);
            match Attachment::new(&mut self.ebpf, self.loaded, name, index, self.ingress, interface.ethernet) {
                Ok(attachment) => {
                    let note = attachment.note().map(|n| format!(" ({n})")).unwrap_or_default();
                    tracing::info!("{name}: {} in, {} out{note}", attachment.ingress_mode(), attachment.egress_mode());
                    watched.attachment = Some(attachment);
                    watched.note = None;
                }
                Err(e) => {
                    let text = e.to_string();
                    if watched.note.as_ref() != Some(&text) {
                        tracing::warn!("{text}");
                    }
                    watched.note = Some(text);
                    watched.retry_at_ns = self.looked_at_ns + RETRY_EVERY_NS;
                }
            }
        }
        let links = self.watched.iter().zip(0_u16..);
        let links = links.filter_map(|(w, link)| Some((w.attachment.as_ref()?.ifindex(), link))).collect();
        self.decoder.set_links(links);
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

    fn refresh_addresses(&mut self) {
        self.decoder.set_local(self.local_addresses());
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

/// The interfaces to watch.
fn choose(wanted: &[String]) -> Result<Vec<String>, LiveError> {
    let all = netif::interfaces().map_err(|e| LiveError::failed("listing the interfaces", e))?;
    let existing = || all.iter().map(|i| i.name.clone()).collect();
    if let Some(missing) = wanted.iter().find(|name| !all.iter().any(|i| i.name == **name)) {
        return Err(LiveError::NoInterface(missing.clone(), existing()));
    }
    if !wanted.is_empty() {
        let mut names = Vec::new();
        for name in wanted {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        return Ok(names);
    }
    let up: Vec<String> = all.iter().filter(|i| i.up && !i.loopback).map(|i| i.name.clone()).collect();
    if up.is_empty() { Err(LiveError::NoInterface(String::new(), existing())) } else { Ok(up) }
}

fn check_kernel() -> Result<(), LiveError> {
    if object::kernel_has((5, 15)) {
        return Ok(());
    }
    let version = KernelVersion::current().map_or_else(|e| e.to_string(), |v| format!("{v:?}"));
    Err(LiveError::Kernel(format!("Linux 5.15 or newer is needed, this is {version}")))
}

fn check_capabilities() -> Result<(), LiveError> {
    let has = |cap| caps::has_cap(None, CapSet::Effective, cap).unwrap_or(false);
    let needed = [
        (Capability::CAP_BPF, "CAP_BPF"),
        (Capability::CAP_NET_ADMIN, "CAP_NET_ADMIN"),
        (Capability::CAP_PERFMON, "CAP_PERFMON"),
    ];
    let all = has(Capability::CAP_SYS_ADMIN) && has(Capability::CAP_NET_ADMIN);
    let missing: Vec<&str> = needed.into_iter().filter(|(cap, _)| !has(*cap)).map(|(_, name)| name).collect();
    if all || missing.is_empty() { Ok(()) } else { Err(LiveError::Permission(missing)) }
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, LiveError> {
    ebpf.take_map(name).ok_or_else(|| LiveError::failed("opening the maps", format!("no {name} in the object")))
}

fn ring(ebpf: &mut Ebpf, name: &str) -> Result<RingBuf<MapData>, LiveError> {
    RingBuf::try_from(take(ebpf, name)?).map_err(|e| LiveError::caused(&format!("opening the ring {name}"), &e))
}

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills `t`; these clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// The programs' clock.
fn boot_ns() -> u64 {
    clock_ns(libc::CLOCK_BOOTTIME).cast_unsigned()
}

/// What makes boot time the time of day; the tightest of a few samples.
fn real_minus_boot_ns() -> i64 {
    let sample = || {
        let before = clock_ns(libc::CLOCK_BOOTTIME);
        let real = clock_ns(libc::CLOCK_REALTIME);
        let after = clock_ns(libc::CLOCK_BOOTTIME);
        (after - before, real - (before + (after - before) / 2))
    };
    (0..5).map(|_| sample()).min().map_or(0, |(_, offset_ns)| offset_ns)
}
