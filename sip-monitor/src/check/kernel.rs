//! What the kernel, the build and our own privileges allow.

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{is_map_supported, is_program_supported};
use caps::{CapSet, Capability};

use super::{Finding, Standing};
use crate::capture::{drops, object};
use crate::cli::exit::Code;

/// Lowest kernel that is aimed at.
const FLOOR: (u32, u32) = (5, 15);
/// tcx links.
const TCX: (u32, u32) = (6, 6);

pub(super) fn findings() -> Vec<Finding> {
    let mut out = Vec::new();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let version = version(&release);
    let old = version.is_some_and(|v| v < FLOOR);
    out.push(match version {
        Some(_) if !old => Finding::new("kernel", Standing::Good, &*release),
        Some(_) => Finding::new(
            "kernel",
            Standing::Missing(Code::Unavailable),
            format!("{release}; Linux 5.15 or newer is needed"),
        ),
        None => Finding::new("kernel", Standing::Limited, format!("{release}: version not understood")),
    });
    out.push(if std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        Finding::new("kernel types (BTF)", Standing::Good, "/sys/kernel/btf/vmlinux")
    } else {
        Finding::new(
            "kernel types (BTF)",
            Standing::Missing(Code::Unavailable),
            "no /sys/kernel/btf/vmlinux; a kernel with CONFIG_DEBUG_INFO_BTF is needed",
        )
    });
    let missing = missing_capabilities();
    out.push(if missing.is_empty() {
        Finding::new("privileges", Standing::Good, "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON")
    } else {
        Finding::new(
            "privileges",
            Standing::Missing(Code::NoPermission),
            format!("{} missing; run it as root, or give a service AmbientCapabilities= with them", missing.join(", ")),
        )
    });
    if missing.is_empty() {
        out.push(support("ring buffer", is_map_supported(MapType::RingBuf).ok()));
        out.push(support("XDP programs", is_program_supported(ProgramType::Xdp).ok()));
        out.push(support("tc programs", is_program_supported(ProgramType::SchedClassifier).ok()));
    }
    let at_least = |floor| version.is_some_and(|v| v >= floor);
    out.push(if at_least(TCX) {
        Finding::new("tcx", Standing::Good, "attached by link: detaches by itself when the process ends")
    } else {
        Finding::new("tcx", Standing::Limited, "comes with Linux 6.6; clsact is used, whose qdisc stays behind")
    });
    out.push(match drops::look_at_kernel() {
        Ok((_, reasons)) => Finding::new(
            "drop reasons",
            Standing::Good,
            format!("the kernel says why it drops a packet; {} reasons are watched", reasons.len()),
        ),
        Err(why) => Finding::new("drop reasons", Standing::Limited, format!("{why}; local drops stay unexplained")),
    });
    out.push(if object::is_built() {
        Finding::new("kernel programs", Standing::Good, format!("built in, with {}", object::built_with()))
    } else {
        Finding::new(
            "kernel programs",
            Standing::Missing(Code::Unavailable),
            "not built in: run `cargo xtask setup` and build again",
        )
    });
    out
}

fn support(what: &str, supported: Option<bool>) -> Finding {
    match supported {
        Some(true) => Finding::new(what, Standing::Good, "supported"),
        Some(false) => Finding::new(what, Standing::Missing(Code::Unavailable), "not supported by this kernel"),
        None => Finding::new(what, Standing::Limited, "the kernel does not tell"),
    }
}

/// Names of capabilities that live capture needs and this process has not.
fn missing_capabilities() -> Vec<&'static str> {
    let needed = [
        (Capability::CAP_BPF, "CAP_BPF"),
        (Capability::CAP_NET_ADMIN, "CAP_NET_ADMIN"),
        (Capability::CAP_PERFMON, "CAP_PERFMON"),
    ];
    // CAP_SYS_ADMIN stands for BPF and PERFMON, as it did before those were split off.
    let has = |c| caps::has_cap(None, CapSet::Effective, c).unwrap_or(false);
    let admin = has(Capability::CAP_SYS_ADMIN);
    needed
        .into_iter()
        .filter(|(c, _)| !has(*c) && (!admin || *c == Capability::CAP_NET_ADMIN))
        .map(|(_, name)| name)
        .collect()
}

/// Major and minor number of a release such as `6.18.0-rc1-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_gives_its_version() {
        assert_eq!(version("6.18.0-rc1-amd64"), Some((6, 18)));
        assert_eq!(version("5.15.0"), Some((5, 15)));
        assert_eq!(version("unknown"), None);
    }
}
