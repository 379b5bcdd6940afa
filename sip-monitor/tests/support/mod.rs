//! The real kernel programs, run on bytes (`BPF_PROG_TEST_RUN`), and frames to run them on.

#![allow(dead_code, reason = "each test target uses its part")]

pub mod frames;

use aya::{
    Btf, Ebpf, TestRun,
    maps::{Array, HashMap, Map, MapData, PerCpuArray, RingBuf},
    programs::{Program, TestRunOptions},
};
use sip_monitor::capture::{
    counters::Counters,
    object::{self, LoadOptions},
    record::Record,
};
use sip_monitor_common::{Counter, StreamKey, StreamRecord, limits};

/// Which program a frame goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    XdpIngress,
    TcIngress,
    TcEgress,
}

/// The programs, loaded but attached to nothing.
pub struct Kernel {
    ebpf: Ebpf,
    // Taken out once: mapping a ring anew for every frame takes longer than all the rest.
    rings: [RingBuf<MapData>; 2],
    clock: Array<MapData, u64>,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct AllCounters([u64; Counter::COUNT]);
// SAFETY: integers without padding.
unsafe impl aya::Pod for AllCounters {}

/// Whether programs can be run here. Where not, says why the test is skipped; in CI a skip is a failure.
pub fn may_run() -> bool {
    let reason = if !object::is_built() {
        "built without the kernel programs"
    // SAFETY: takes nothing.
    } else if unsafe { libc::geteuid() } != 0 {
        "not root"
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "CI must run this test: {reason}");
    eprintln!("skipped: {reason}");
    false
}

impl Kernel {
    /// Loads the programs; `None` where the test is skipped.
    pub fn load(options: LoadOptions) -> Option<Self> {
        if !may_run() {
            return None;
        }
        let mut ebpf = object::load(&LoadOptions { test_clock: true, ..options }).expect("maps load");
        for (name, program) in ebpf.programs_mut() {
            let loaded = match program {
                Program::Xdp(p) => p.load(),
                Program::SchedClassifier(p) => p.load(),
                Program::BtfTracePoint(p) => p.load("kfree_skb", &Btf::from_sys_fs().expect("kernel types")),
                Program::RawTracePoint(p) => p.load(),
                _ => panic!("{name}: a program of another type"),
            };
            loaded.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        }
        let rings = [limits::MAP_SIGNALLING, limits::MAP_MEDIA]
            .map(|name| RingBuf::try_from(ebpf.take_map(name).unwrap()).unwrap());
        let clock = Array::try_from(ebpf.take_map(limits::MAP_TEST_CLOCK).unwrap()).unwrap();
        Some(Self { ebpf, rings, clock })
    }

    /// Runs one frame through one program at a point in time. The verdict must be "pass". False where the kernel would
    /// not run it: for tc it wants the whole IP header the Ethernet header promises.
    pub fn run(&mut self, program: Hook, time_ns: u64, frame: &[u8]) -> bool {
        self.clock.set(0, time_ns, 0).unwrap();
        let (name, pass) = match program {
            Hook::XdpIngress => (limits::PROGRAM_XDP_INGRESS, 2),
            Hook::TcIngress => (limits::PROGRAM_TC_INGRESS, u32::MAX),
            Hook::TcEgress => (limits::PROGRAM_TC_EGRESS, u32::MAX),
        };
        let options = TestRunOptions { data_in: Some(frame), ..Default::default() };
        let result = match self.ebpf.program(name).unwrap() {
            Program::Xdp(p) => p.test_run(options),
            Program::SchedClassifier(p) => p.test_run(options),
            _ => unreachable!(),
        };
        let result = match result {
            Err(_) if program != Hook::XdpIngress && frame.len() < 14 + 40 => return false,
            result => result.unwrap_or_else(|e| panic!("{name} on {} bytes: {e:?}", frame.len())),
        };
        assert_eq!(result.return_value, pass, "{name} must pass every packet");
        true
    }

    /// How much the verifier had to look at, for each program.
    pub fn verified_instructions(&self) -> Vec<(String, u32)> {
        let count = |p: &Program| match p {
            Program::Xdp(p) => p.info().map_or(0, |i| i.verified_instruction_count().unwrap_or(0)),
            Program::SchedClassifier(p) => p.info().map_or(0, |i| i.verified_instruction_count().unwrap_or(0)),
            Program::BtfTracePoint(p) => p.info().map_or(0, |i| i.verified_instruction_count().unwrap_or(0)),
            Program::RawTracePoint(p) => p.info().map_or(0, |i| i.verified_instruction_count().unwrap_or(0)),
            _ => unreachable!(),
        };
        self.ebpf.programs().map(|(name, p)| (name.to_owned(), count(p))).collect()
    }

    /// Takes the records of both rings, in time order.
    pub fn drain(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for ring in &mut self.rings {
            while let Some(item) = ring.next() {
                records.push(Record::from_ring(&item).expect("a record"));
            }
        }
        records.sort_by_key(|r| r.header().ktime_ns);
        records
    }

    /// The programs' counters.
    pub fn counters(&self) -> Counters {
        let map: PerCpuArray<&MapData, AllCounters> =
            PerCpuArray::try_from(self.ebpf.map(limits::MAP_COUNTERS).unwrap()).unwrap();
        let mut sum = Counters::default();
        for cpu in map.get(&0, 0).unwrap().iter() {
            for (counter, n) in Counter::ALL.iter().zip(cpu.0) {
                sum.add(*counter, n);
            }
        }
        sum
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
struct Key(StreamKey);
// SAFETY: `repr(C)` integers without padding.
unsafe impl aya::Pod for Key {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(StreamRecord);
// SAFETY: `repr(C)` integers without padding.
unsafe impl aya::Pod for Value {}

impl Kernel {
    /// Every stream in the map.
    pub fn streams(&self) -> Vec<StreamRecord> {
        let map: HashMap<&MapData, Key, Value> =
            HashMap::try_from(self.ebpf.map(limits::MAP_STREAMS).unwrap()).unwrap();
        map.iter().map(|entry| entry.expect("an entry").1.0).collect()
    }

    /// The map of streams itself. Nothing that looks into it can be asked afterwards.
    pub fn take_stream_map(&mut self) -> Map {
        self.ebpf.take_map(limits::MAP_STREAMS).unwrap()
    }

    /// Takes a stream out of the map.
    pub fn forget(&mut self, key: &StreamKey) {
        let mut map: HashMap<&mut MapData, Key, Value> =
            HashMap::try_from(self.ebpf.map_mut(limits::MAP_STREAMS).unwrap()).unwrap();
        map.remove(&Key(*key)).expect("the stream is there");
    }
}
