//! What a machine has. Reads, installs nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::Scope;
use crate::ebpf_build;
use crate::shell::{self, on_path};

/// Programs and the package that brings each: for the demo, and for the live tests.
const DEMO_PROGRAMS: [(&str, &str); 2] = [("ip", "iproute2"), ("nft", "nftables")];
const TEST_PROGRAMS: [(&str, &str); 7] = [
    ("sipp", "sip-tester"),
    ("kamailio", "kamailio"),
    ("baresip", "baresip-core"),
    ("rtpengine", "rtpengine-daemon"),
    ("openssl", "openssl"),
    ("prometheus", "prometheus"),
    ("prometheus-alertmanager", "prometheus-alertmanager"),
];

/// Everything [`super::plan`] asks about.
#[derive(Clone, Debug)]
pub struct Machine {
    /// LLVM of the toolchain that the build would take for the kernel programs; `None` where it would find none.
    pub bpf_toolchain_llvm: Option<u32>,
    /// The build would find bpf-linker.
    pub has_bpf_linker: bool,
    /// There is a C++ compiler to link bpf-linker with.
    pub has_cxx: bool,
    /// Rust here is managed by rustup.
    pub has_rustup: bool,
    /// LLVM of the rustc in use.
    pub active_llvm: Option<u32>,
    /// Version of the rustc in use.
    pub active_version: Option<(u32, u32)>,
    /// LLVM development files in place.
    pub llvm_installed: Vec<u32>,
    /// Packages of programs that are missing.
    pub missing_programs: Vec<&'static str>,
    /// systemd runs here, and starts the services of what is installed.
    pub has_systemd: bool,
    /// Packages that could be installed, of those we may ask for.
    pub installable: BTreeSet<String>,
}

impl Machine {
    /// Looks at this one.
    pub fn look(scope: Scope) -> Self {
        let programs = DEMO_PROGRAMS.iter().chain(if scope == Scope::Test { TEST_PROGRAMS.as_slice() } else { &[] });
        let missing_programs = programs.filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
        let bpf_toolchain_llvm = ebpf_build::detect().ok().and_then(|toolchain| llvm_version(&toolchain.description));
        let has_bpf_linker = ebpf_build::find_linker(&shell::root()).is_some();
        let active = shell::output(Command::new("rustc").arg("-vV").current_dir(shell::root())).unwrap_or_default();
        let mut machine = Self {
            bpf_toolchain_llvm,
            has_bpf_linker,
            has_cxx: on_path("c++") && on_path("cc"),
            has_rustup: on_path("rustup"),
            active_llvm: llvm_version(&active),
            active_version: rustc_version(&active),
            llvm_installed: (15..40).filter(|v| has_llvm_dev(*v)).collect(),
            missing_programs,
            has_systemd: Path::new("/run/systemd/system").is_dir(),
            installable: BTreeSet::new(),
        };
        // Asking apt is slow, and a complete machine has no question.
        if !machine.is_complete() {
            machine.installable = installable(&machine);
        }
        machine
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.bpf_toolchain_llvm.is_some() && self.has_bpf_linker && self.missing_programs.is_empty()
    }

    /// Whether the distribution has `package`.
    pub fn can_install(&self, package: &str) -> bool {
        self.installable.contains(package)
    }

    /// The package with the source of the rustc in use: Ubuntu names it by version.
    pub fn source_package(&self) -> Option<String> {
        let (major, minor) = self.active_version?;
        Some(format!("rust-{major}.{minor}-src")).filter(|p| self.can_install(p))
    }
}

/// Which of the packages we may want apt has a candidate for. Where there are no package
/// lists (a fresh image, and we may not fetch them) Debian's names are assumed.
fn installable(machine: &Machine) -> BTreeSet<String> {
    let mut wanted = ["rustc-web", "cargo-web", "rust-web-src"].map(str::to_owned).to_vec();
    wanted.extend((21..=23).map(|v| format!("llvm-{v}-dev")));
    wanted.extend(machine.active_version.map(|(major, minor)| format!("rust-{major}.{minor}-src")));
    if !has_package_lists() {
        return wanted
            .into_iter()
            .filter(|p| p.ends_with("web") || p == "rust-web-src" || p == "llvm-22-dev")
            .collect();
    }
    let has_candidate = |package: &String| {
        let policy =
            shell::output(Command::new("apt-cache").args(["policy", package]).env("LC_ALL", "C")).unwrap_or_default();
        policy
            .lines()
            .any(|line| line.trim().strip_prefix("Candidate:").is_some_and(|version| version.trim() != "(none)"))
    };
    wanted.into_iter().filter(has_candidate).collect()
}

fn has_package_lists() -> bool {
    let entries = std::fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).any(|name| name.contains("_Packages"))
}

/// The development files: a library to link with, and `llvm-config`, which llvm-sys asks.
fn has_llvm_dev(version: u32) -> bool {
    let prefix = Path::new("/usr/lib").join(format!("llvm-{version}"));
    prefix.join("bin/llvm-config").is_file() && prefix.join("lib/libLLVM.so").exists()
}

/// `LLVM version: 22.1.8` of `rustc -vV`, or `LLVM 22.1.8` of a toolchain's description.
fn llvm_version(text: &str) -> Option<u32> {
    let version = text.rsplit_once("LLVM ")?.1;
    version.trim_start_matches("version: ").split('.').next()?.parse().ok()
}

/// `release: 1.95.0` of `rustc -vV`.
fn rustc_version(rustc: &str) -> Option<(u32, u32)> {
    let release = rustc.lines().find_map(|line| line.strip_prefix("release: "))?;
    let mut parts = release.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_rustc() {
        let text = "rustc 1.97.0-nightly\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4";
        assert_eq!((llvm_version(text), rustc_version(text)), (Some(22), Some((1, 97))));
        assert_eq!(llvm_version("distribution (rustc 1.96.0 (built from a source tarball), LLVM 22.1.8)"), Some(22));
    }
}
