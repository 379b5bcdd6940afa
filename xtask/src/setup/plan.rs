//! From what a machine has to the steps that complete it. Pure: tested on machines we do not have.

use super::machine::Machine;

/// The linker for the kernel programs; its features say which LLVM it can use.
const BPF_LINKER: &str = "0.13.0";
/// LLVM versions that release of bpf-linker can be built against.
const LLVM_SUPPORTED: [u32; 3] = [21, 22, 23];
/// LLVM of Debian's `rustc-web` 1.96: assumed before it is installed, looked up afterwards.
const RUST_WEB_LLVM: u32 = 22;
/// Debian's newer Rust, with the source of `core`. Measured: builds programs that verify.
const RUST_WEB: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Packages whose service the distribution starts at once. The tests start their own instances in namespaces; the services
/// would only take ports of this machine.
const SERVICES: [&str; 4] = ["kamailio", "prometheus", "prometheus-alertmanager", "rtpengine-daemon"];

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Packages of the distribution.
    Packages(Vec<String>),
    /// Packages of the distribution, and services that come with some of them, to be stopped again.
    ServicePackages(Vec<String>, Vec<String>),
    /// The source of `core` for the toolchain in use.
    RustSource,
    /// bpf-linker, built against this LLVM.
    BpfLinker(u32),
}

/// A command as it is run and as it is shown.
pub struct Command {
    /// Environment set for it.
    pub env: Vec<(String, String)>,
    /// Program and arguments.
    pub words: Vec<String>,
    root: bool,
}

impl Command {
    fn new(root: bool, env: &[(&str, String)], words: &[&str]) -> Self {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        Self { env, words: words.iter().map(|w| (*w).to_owned()).collect(), root }
    }

    /// As a person would type it.
    pub fn line(&self) -> String {
        let env: String = self.env.iter().map(|(k, v)| format!("{k}={v} ")).collect();
        format!("{env}{}", self.words.join(" "))
    }
}

impl Step {
    /// Whether it cannot be done by an ordinary user.
    pub fn needs_root(&self) -> bool {
        self.commands().iter().any(|c| c.root)
    }

    /// What does it.
    pub fn commands(&self) -> Vec<Command> {
        match self {
            Self::Packages(packages) => {
                let quiet = [("DEBIAN_FRONTEND", "noninteractive".to_owned())];
                // Somebody else's apt (unattended-upgrades on a fresh machine) may hold the lock for minutes.
                let mut install = Command::new(
                    true,
                    &quiet,
                    &["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"],
                );
                install.words.extend(packages.iter().cloned());
                vec![install]
            }
            Self::ServicePackages(packages, services) => {
                let mut stop = Command::new(true, &[], &["systemctl", "disable", "--now"]);
                stop.words.extend(services.iter().cloned());
                let mut commands = Self::Packages(packages.clone()).commands();
                commands.push(stop);
                commands
            }
            Self::RustSource => vec![Command::new(false, &[], &["rustup", "component", "add", "rust-src"])],
            Self::BpfLinker(llvm) => {
                let prefix = [("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))];
                let feature = format!("llvm-{llvm}");
                #[rustfmt::skip]
                let words = ["cargo", "install", "bpf-linker", "--version", BPF_LINKER, "--locked", "--root", "target/tools",
                             "--no-default-features", "--features", &feature];
                vec![Command::new(false, &prefix, &words)]
            }
        }
    }
}

/// Fetches the package lists.
pub fn update() -> Command {
    Command::new(true, &[], &["apt-get", "update"])
}

/// The steps as lines to paste into a shell.
pub fn as_commands(steps: &[Step]) -> String {
    let needs_lists = steps.iter().any(|step| matches!(step, Step::Packages(_) | Step::ServicePackages(..)));
    let commands = needs_lists.then(update).into_iter().chain(steps.iter().flat_map(Step::commands));
    let lines: Vec<String> = commands.map(|c| format!("  {}{}", if c.root { "sudo " } else { "" }, c.line())).collect();
    lines.join("\n")
}

/// What is left to do on `machine`, in order; nothing where it is complete.
pub fn plan(machine: &Machine) -> Result<Vec<Step>, String> {
    let mut packages: Vec<String> = machine.missing_programs.iter().map(|p| (*p).to_owned()).collect();
    let mut steps = Vec::new();
    let llvm = match machine.bpf_toolchain_llvm {
        Some(llvm) => llvm,
        None if RUST_WEB.iter().all(|p| machine.can_install(p)) => {
            packages.extend(RUST_WEB.map(str::to_owned));
            RUST_WEB_LLVM
        }
        None if let (true, Some(llvm)) = (machine.has_rustup, machine.active_llvm) => {
            steps.push(Step::RustSource);
            llvm
        }
        None if let (Some(source), Some(llvm)) = (machine.source_package(), machine.active_llvm) => {
            packages.push(source);
            llvm
        }
        None => {
            return Err("no source of Rust's core library can be installed here: there is no rust-web-src package, no rustup, and no \
                        source package for the rustc in use. Install Rust from https://rustup.rs and run `cargo xtask setup` again"
                .to_owned());
        }
    };
    if !machine.has_bpf_linker {
        // Bitcode is read by the same or a newer LLVM than the one that wrote it.
        let usable = |v: &u32| {
            *v >= llvm && (machine.llvm_installed.contains(v) || machine.can_install(&format!("llvm-{v}-dev")))
        };
        let Some(version) = LLVM_SUPPORTED.into_iter().find(usable) else {
            return Err(format!(
                "bpf-linker {BPF_LINKER} needs the development files of LLVM {llvm} or newer, and this distribution has none.\n\
                 Add the packages of https://apt.llvm.org (`wget https://apt.llvm.org/llvm.sh && sudo bash llvm.sh {llvm}`),\n\
                 then `sudo apt-get install llvm-{llvm}-dev` and run `cargo xtask setup` again"
            ));
        };
        if !machine.llvm_installed.contains(&version) {
            packages.push(format!("llvm-{version}-dev"));
        }
        if !machine.has_cxx {
            packages.push("build-essential".to_owned());
        }
        steps.push(Step::BpfLinker(version));
    }
    let services: Vec<String> = packages.iter().filter(|p| SERVICES.contains(&p.as_str())).cloned().collect();
    if !services.is_empty() && machine.has_systemd {
        steps.insert(0, Step::ServicePackages(packages, services));
    } else if !packages.is_empty() {
        steps.insert(0, Step::Packages(packages));
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian 12 with rustup's stable, nothing else: where CI starts.
    fn fresh_debian() -> Machine {
        Machine {
            bpf_toolchain_llvm: None,
            has_bpf_linker: false,
            has_cxx: true,
            has_rustup: true,
            active_llvm: Some(22),
            active_version: Some((1, 95)),
            llvm_installed: vec![14],
            missing_programs: vec![],
            has_systemd: false,
            installable: ["rustc-web", "cargo-web", "rust-web-src", "llvm-19-dev", "llvm-22-dev"]
                .map(str::to_owned)
                .into(),
        }
    }

    #[test]
    fn a_complete_machine_needs_nothing() {
        let machine = Machine { bpf_toolchain_llvm: Some(22), has_bpf_linker: true, ..fresh_debian() };
        assert_eq!(plan(&machine), Ok(vec![]));
    }

    #[test]
    fn a_fresh_debian_gets_rust_web_and_the_linker_of_its_llvm() {
        let packages = ["rustc-web", "cargo-web", "rust-web-src", "llvm-22-dev"].map(str::to_owned).to_vec();
        assert_eq!(plan(&fresh_debian()), Ok(vec![Step::Packages(packages), Step::BpfLinker(22)]));
    }

    #[test]
    fn a_usable_nightly_is_used_as_it_is() {
        let machine = Machine { bpf_toolchain_llvm: Some(22), llvm_installed: vec![22], ..fresh_debian() };
        assert_eq!(plan(&machine), Ok(vec![Step::BpfLinker(22)]));
    }

    #[test]
    fn ubuntu_with_rustup_takes_the_source_from_rustup() {
        let machine = Machine { installable: ["llvm-22-dev".to_owned()].into(), ..fresh_debian() };
        assert_eq!(
            plan(&machine),
            Ok(vec![Step::Packages(vec!["llvm-22-dev".into()]), Step::RustSource, Step::BpfLinker(22)])
        );
    }

    #[test]
    fn ubuntu_without_rustup_takes_the_source_package_of_its_own_rustc() {
        let installable = ["rust-1.91-src", "llvm-21-dev"].map(str::to_owned).into();
        let machine = Machine {
            has_rustup: false,
            active_version: Some((1, 91)),
            active_llvm: Some(21),
            installable,
            ..fresh_debian()
        };
        let packages = vec!["rust-1.91-src".to_owned(), "llvm-21-dev".to_owned()];
        assert_eq!(plan(&machine), Ok(vec![Step::Packages(packages), Step::BpfLinker(21)]));
    }

    #[test]
    fn the_linker_is_never_older_than_the_compiler() {
        let machine = Machine { bpf_toolchain_llvm: Some(23), llvm_installed: vec![22], ..fresh_debian() };
        assert!(plan(&machine).is_err_and(|why| why.contains("LLVM 23")));
    }

    #[test]
    fn without_any_source_the_error_names_the_way_out() {
        let machine = Machine { has_rustup: false, installable: [].into(), ..fresh_debian() };
        assert!(plan(&machine).is_err_and(|why| why.contains("https://rustup.rs")));
    }

    #[test]
    fn services_that_come_with_packages_are_stopped_where_something_starts_them() {
        let complete = Machine { bpf_toolchain_llvm: Some(22), has_bpf_linker: true, ..fresh_debian() };
        let machine = Machine { missing_programs: vec!["sip-tester", "rtpengine-daemon"], ..complete };
        let packages = vec!["sip-tester".to_owned(), "rtpengine-daemon".to_owned()];
        assert_eq!(plan(&machine), Ok(vec![Step::Packages(packages.clone())]));
        let step = Step::ServicePackages(packages, vec!["rtpengine-daemon".into()]);
        assert!(as_commands(core::slice::from_ref(&step)).ends_with("sudo systemctl disable --now rtpengine-daemon"));
        assert_eq!(plan(&Machine { has_systemd: true, ..machine }), Ok(vec![step]));
    }

    #[test]
    fn without_root_the_commands_can_be_pasted() {
        let steps = plan(&Machine { missing_programs: vec!["sip-tester"], ..fresh_debian() }).unwrap_or_default();
        let text = as_commands(&steps);
        assert!(
            text.starts_with("  sudo apt-get update\n  sudo DEBIAN_FRONTEND=noninteractive apt-get install -y"),
            "{text}"
        );
        assert!(text.contains(" sip-tester rustc-web cargo-web rust-web-src llvm-22-dev\n"), "{text}");
        assert!(text.ends_with("--no-default-features --features llvm-22"), "{text}");
    }
}
