//! The programs' clock, and what it is in the time of day.

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills `t`; these clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// The programs' clock.
pub(super) fn boot_ns() -> u64 {
    clock_ns(libc::CLOCK_BOOTTIME).cast_unsigned()
}

/// What makes boot time the time of day; the tightest of a few samples.
pub(super) fn real_minus_boot_ns() -> i64 {
    let sample = || {
        let before = clock_ns(libc::CLOCK_BOOTTIME);
        let real = clock_ns(libc::CLOCK_REALTIME);
        let after = clock_ns(libc::CLOCK_BOOTTIME);
        (after - before, real - (before + (after - before) / 2))
    };
    (0..5).map(|_| sample()).min().map_or(0, |(_, offset_ns)| offset_ns)
}
