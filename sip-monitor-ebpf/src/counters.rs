//! Per-CPU counters.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use sip_monitor_common::Counter;

use crate::context::opaque;

/// One entry that holds all, so that a packet pays for one lookup.
#[map]
static COUNTERS: PerCpuArray<[u64; Counter::COUNT]> = PerCpuArray::with_max_entries(1, 0);

/// The counters of this CPU.
pub struct Counters(*mut [u64; Counter::COUNT]);

impl Counters {
    /// Looks them up. `None` only tells the verifier: entry 0 always exists.
    #[inline(always)]
    pub fn of_this_cpu() -> Option<Self> {
        COUNTERS.get_ptr_mut(0).map(Self)
    }

    /// 0, from memory: no reader of the program can know it.
    #[inline(always)]
    pub fn zero(&self) -> u64 {
        // SAFETY: as in `add`. Nobody counts under `Counter::Reserved`.
        unsafe { (*self.0)[Counter::Reserved as usize] }
    }

    /// Adds one.
    #[inline(always)]
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn add(&self, counter: Counter, n: u64) {
        // SAFETY: the entry lives as long as the program runs, is this CPU's own, and has a place for every counter.
        unsafe { *self.0.cast::<u64>().add(counter as usize) += n };
    }

    /// Adds one to a counter given by its number.
    #[inline(always)]
    pub fn count_number(&self, number: u32) {
        self.add_number(number, 1);
    }

    /// Adds `n` to a counter given by its number.
    #[inline(always)]
    pub fn add_number(&self, number: u32, n: u64) {
        let index = opaque(u64::from(number)) as usize;
        if index < Counter::COUNT {
            // SAFETY: as in `add`.
            unsafe { *self.0.cast::<u64>().add(index) += n };
        }
    }
}
