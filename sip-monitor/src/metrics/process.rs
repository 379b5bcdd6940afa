//! Families of the program itself: its version, what it takes of the machine, how full its tables are.

use super::Snapshot;
use super::exposition::{Exposition, Family, Kind};

static BUILD: Family = Family {
    name: "sipmonitor_build_info",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "Always 1; the version as a label.",
};
static ENTRIES: Family = Family {
    name: "sipmonitor_table_entries",
    kind: Kind::Gauge,
    labels: &["table"],
    help: "Entries of a table of the engine.",
};
static LIMIT: Family = Family {
    name: "sipmonitor_table_limit",
    kind: Kind::Gauge,
    labels: &["table"],
    help: "Entries it holds at most, as configured under limits. Configured trunks are peers beyond it.",
};
static EVICTED: Family = Family {
    name: "sipmonitor_table_evictions_total",
    kind: Kind::Counter,
    labels: &["table"],
    help: "Entries that went for want of room.",
};
static STARTED: Family = Family {
    name: "process_start_time_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "When the program began, as Unix time.",
};
static CPU: Family = Family {
    name: "process_cpu_seconds_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Processor time of the program, user and system.",
};
static MEMORY: Family = Family {
    name: "process_resident_memory_bytes",
    kind: Kind::Gauge,
    labels: &[],
    help: "Resident memory of the program.",
};
static FILES: Family =
    Family { name: "process_open_fds", kind: Kind::Gauge, labels: &[], help: "File descriptors it has open." };

/// All of them.
pub const FAMILIES: &[&Family] = &[&BUILD, &ENTRIES, &LIMIT, &EVICTED, &STARTED, &CPU, &MEMORY, &FILES];

/// Writes them. What `/proc` does not tell is left out.
pub fn write(to: &mut Exposition, now: &Snapshot) {
    to.family(&BUILD).count(&[env!("CARGO_PKG_VERSION")], 1);
    let mut entries = to.family(&ENTRIES);
    now.tables.iter().for_each(|table| entries.count(&[table.name], table.entries));
    let mut limit = to.family(&LIMIT);
    now.tables.iter().for_each(|table| limit.count(&[table.name], table.limit));
    let mut evicted = to.family(&EVICTED);
    now.tables.iter().for_each(|table| evicted.count(&[table.name], table.evicted));
    if let Some(process) = Process::look() {
        to.family(&STARTED).number(&[], process.started_s);
        to.family(&CPU).number(&[], process.cpu_s);
        to.family(&MEMORY).count(&[], process.resident_bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        to.family(&FILES).count(&[], files.count() as u64);
    }
}

/// What `/proc/self/stat` says (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    started_s: f64,
    cpu_s: f64,
    resident_bytes: u64,
}

impl Process {
    fn look() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let boot_s = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        // SAFETY: sysconf only returns a number.
        let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
        Self::parse(&stat, boot_s, u32::try_from(ticks).ok()?, u64::try_from(page).ok()?)
    }

    /// Fields 14, 15 (utime, stime), 22 (starttime) and 24 (rss); field 2 is the name in parentheses and may hold anything.
    fn parse(stat: &str, boot_s: f64, ticks_per_s: u32, page_bytes: u64) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let seconds = |field: usize| Some(fields.get(field - 3)?.parse::<f64>().ok()? / f64::from(ticks_per_s.max(1)));
        Some(Self {
            started_s: boot_s + seconds(22)?,
            cpu_s: seconds(14)? + seconds(15)?,
            resident_bytes: fields.get(24 - 3)?.parse::<u64>().ok()? * page_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn the_kernels_line_is_read_whatever_the_name_of_the_program() {
        let stat = "42 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 3 0 1000 9999 512 0";
        let process = Process::parse(stat, 1e9, 100, 4_096).unwrap();
        assert_eq!(process, Process { started_s: 1e9 + 10.0, cpu_s: 3.0, resident_bytes: 512 * 4_096 });
    }

    #[test]
    fn this_process_is_found() {
        let process = Process::look().unwrap();
        assert!(process.resident_bytes > 0 && process.started_s > 1e9);
    }
}
