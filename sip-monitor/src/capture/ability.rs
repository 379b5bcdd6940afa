//! Whether live capture can begin: the kernel, and what this process may do.

use aya::util::KernelVersion;
use caps::{CapSet, Capability};

use super::{error::LiveError, object};

/// Checks both.
///
/// # Errors
/// [`LiveError::Kernel`] or [`LiveError::Permission`].
pub(super) fn check() -> Result<(), LiveError> {
    check_kernel()?;
    check_capabilities()
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
