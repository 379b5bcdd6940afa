//! The system's allocator, counting: how often it was asked, and how many bytes are in use. Load and store instead of atomic
//! additions: the benches run in one thread, and the count must not slow the one who allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Allocations since the start of the program.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Bytes in use now, as they were asked for.
pub fn bytes_in_use() -> u64 {
    BYTES.load(Ordering::Relaxed)
}

/// Gives memory that was freed back to the system: what is resident after that is in use.
pub fn trim() {
    // SAFETY: it takes no pointer, and only pages that hold nothing are given back.
    unsafe { libc::malloc_trim(0) };
}

fn count(allocations: u64, more: usize, less: usize) {
    ALLOCATIONS.store(ALLOCATIONS.load(Ordering::Relaxed) + allocations, Ordering::Relaxed);
    let bytes = BYTES.load(Ordering::Relaxed).wrapping_add(more as u64).wrapping_sub(less as u64);
    BYTES.store(bytes, Ordering::Relaxed);
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
