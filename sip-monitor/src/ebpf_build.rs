//! Builds the kernel programs. Used by the build script and by `cargo xtask`, both through `#[path]`; std only.
//!
//! What compiles for `bpfel-unknown-none` is looked for in this order: `SIP_MONITOR_EBPF_TOOLCHAIN` (a rustup name, or a
//! prefix such as `/usr`), rustup's nightly, the active toolchain, the distribution's in `/usr/bin`. One is usable if it has
//! the source of `core` or a prebuilt one for BPF.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A toolchain that can compile the programs.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// How it was found, and its version.
    pub description: String,
    cargo: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    build_std: bool,
    rust_source: Option<PathBuf>,
}

/// Candidates as they are tried.
struct Candidate {
    name: &'static str,
    cargo: Vec<OsString>,
    rustc: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
}

/// Finds a toolchain.
///
/// # Errors
/// What was tried and what each candidate lacks.
pub fn detect() -> Result<Toolchain, String> {
    let mut lacks = Vec::new();
    for candidate in candidates() {
        match candidate.examine() {
            Ok(toolchain) => return Ok(toolchain),
            Err(lack) => lacks.push(format!("{}: {lack}", candidate.name)),
        }
    }
    Err(format!("no toolchain for the eBPF target ({}). `cargo xtask setup` installs one", lacks.join("; ")))
}

/// Finds bpf-linker: `$BPF_LINKER`, `target/tools/bin`, `PATH`, `~/.cargo/bin`.
#[must_use]
pub fn find_linker(root: &Path) -> Option<PathBuf> {
    if let Some(path) = env::var_os("BPF_LINKER") {
        return Some(path.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs = linker_dirs(root);
    dirs.splice(1..1, env::split_paths(&path));
    dirs.into_iter().map(|dir| dir.join("bpf-linker")).find(|path| path.is_file())
}

/// Where an installed bpf-linker would be, besides `PATH`.
#[must_use]
pub fn linker_dirs(root: &Path) -> Vec<PathBuf> {
    let mut dirs = vec![root.join("target/tools/bin")];
    dirs.extend(cargo_home().map(|home| home.join("bin")));
    dirs
}

/// Compiles the programs of the workspace at `root` into `target_dir`. Gives the object's path and what it was built with.
///
/// # Errors
/// What is missing, or what the compiler said.
pub fn build(root: &Path, arch: &str, target_dir: &Path) -> Result<(PathBuf, String), String> {
    const PACKAGE: &str = "sip-monitor-ebpf";
    const TARGET: &str = "bpfel-unknown-none";
    let toolchain = detect()?;
    let linker = find_linker(root).ok_or(
        "bpf-linker not found (BPF_LINKER, target/tools/bin, PATH, ~/.cargo/bin). `cargo xtask setup` installs it",
    )?;
    let mut command = clean(Command::new(&toolchain.cargo[0]));
    command
        .args(&toolchain.cargo[1..])
        .args(["build", "--release", "--locked", "--package", PACKAGE, "--bin", PACKAGE, "--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(root)
        .envs(toolchain.env.iter().map(|(key, value)| (key, value)))
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(root, arch, &linker, &toolchain));
    if toolchain.build_std {
        command.arg("-Zbuild-std=core");
    }
    let output = command.output().map_err(|e| format!("running {}: {e}", toolchain.description))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // Errors before warnings and progress: a build script's warning shows only the beginning.
        let begin = said.find("\nerror").unwrap_or(0);
        return Err(format!("{} failed: {}", toolchain.description, said[begin..].trim_start()));
    }
    Ok((target_dir.join(TARGET).join("release").join(PACKAGE), toolchain.description))
}

/// Debug information 2: with less the kernel refuses the BTF. CPU v3: 32-bit jumps, faster and easier on the verifier.
/// The prefixes make the object the same bytes in every directory.
fn rustflags(root: &Path, arch: &str, linker: &Path, toolchain: &Toolchain) -> OsString {
    let mut flags = vec![
        "-Cdebuginfo=2".to_owned(),
        "-Ctarget-cpu=v3".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", linker.display()),
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        format!("--remap-path-prefix={}=/sip-monitor", root.display()),
    ];
    let registry = cargo_home().map(|home| home.join("registry/src"));
    for dir in registry.into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten() {
        flags.push(format!("--remap-path-prefix={}=/registry", dir.path().display()));
    }
    if let Some(source) = &toolchain.rust_source {
        flags.push(format!("--remap-path-prefix={}=/rust", source.display()));
    }
    flags.join("\x1f").into()
}

fn candidates() -> Vec<Candidate> {
    let rustup = |name, toolchain: &str| Candidate {
        name,
        cargo: words(&["rustup", "run", toolchain, "cargo"]),
        rustc: words(&["rustup", "run", toolchain, "rustc"]),
        env: Vec::new(),
    };
    let prefix = |name, prefix: &str| Candidate {
        name,
        cargo: vec![format!("{prefix}/bin/cargo").into()],
        rustc: vec![format!("{prefix}/bin/rustc").into()],
        env: vec![("RUSTC", format!("{prefix}/bin/rustc").into())],
    };
    if let Ok(wanted) = env::var("SIP_MONITOR_EBPF_TOOLCHAIN") {
        let name = "SIP_MONITOR_EBPF_TOOLCHAIN";
        return vec![if wanted.contains('/') {
            prefix(name, wanted.trim_end_matches('/'))
        } else {
            rustup(name, &wanted)
        }];
    }
    vec![
        rustup("rustup nightly", "nightly"),
        Candidate { name: "active toolchain", cargo: words(&["cargo"]), rustc: words(&["rustc"]), env: Vec::new() },
        prefix("distribution", "/usr"),
    ]
}

impl Candidate {
    fn examine(&self) -> Result<Toolchain, String> {
        let version = self.ask(&["-vV"]).ok_or("not runnable")?;
        let sysroot = self.ask(&["--print", "sysroot"]).ok_or("has no sysroot")?;
        let rustlib = Path::new(&sysroot).join("lib/rustlib");
        let prebuilt = rustlib.join("bpfel-unknown-none/lib").is_dir();
        if !prebuilt && !rustlib.join("src/rust/library/core/Cargo.toml").is_file() {
            return Err("has neither rust-src nor a prebuilt core for BPF".into());
        }
        let mut env = self.env.clone();
        if !version.contains("-nightly") && !version.contains("-dev") {
            // aya-ebpf needs the unstable asm_experimental_arch, and so does -Zbuild-std.
            env.push(("RUSTC_BOOTSTRAP", "1".into()));
        }
        // bpf-linker must not be of an older LLVM: set-up reads this.
        let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or("unknown");
        Ok(Toolchain {
            description: format!("{} ({}, LLVM {llvm})", self.name, version.lines().next().unwrap_or_default()),
            cargo: self.cargo.clone(),
            env,
            build_std: !prebuilt,
            rust_source: fs::canonicalize(rustlib.join("src/rust")).ok(),
        })
    }

    fn ask(&self, args: &[&str]) -> Option<String> {
        let mut command = clean(Command::new(&self.rustc[0]));
        command.args(&self.rustc[1..]).args(args).envs(self.env.iter().map(|(key, value)| (key, value)));
        let output = command.output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Drops what the outer cargo, rustup and clippy put into the environment: the inner cargo is another one.
fn clean(mut command: Command) -> Command {
    const OTHERS: [&str; 11] = [
        "RUSTC",
        "RUSTDOC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
        "RUSTC_BOOTSTRAP",
        "LD_LIBRARY_PATH",
        "TARGET",
        "HOST",
        "OUT_DIR",
    ];
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        let from_cargo = name.starts_with("CARGO_") && !matches!(&*name, "CARGO_HOME" | "CARGO_NET_OFFLINE");
        if from_cargo || OTHERS.contains(&&*name) {
            command.env_remove(&key);
        }
    }
    command
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
