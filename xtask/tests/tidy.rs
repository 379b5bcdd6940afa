//! The rules of the house, as tests: what stands where, what may use what, what never lands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a source file without its tests. A file above it is two files.
const LONGEST_FILE: usize = 600;

/// The engine's modules in the order of the data path, each with those it may use. Words that all speak (`time`, `text`,
/// `packet`, `config`, `record`) come first; a verdict is never used by what it judges.
const USES: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("text", &[]),
    ("sip", &[]),
    ("rtp", &[]),
    // A format without rtpmap means what RFC 3551's table says.
    ("sdp", &["rtp"]),
    ("packet", &["time"]),
    // A trunk is a setting, and a peer by name.
    ("config", &["packet", "peer", "record"]),
    ("privacy", &["config"]),
    // A record of an alert is an alert: the two name each other.
    ("record", &["alert", "leg", "time"]),
    ("counters", &[]),
    // What is counted for good of messages, calls and trunks, by those who see it happen.
    ("metrics", &["packet", "quality", "record", "text", "time", "transaction"]),
    ("timer", &["call", "time"]),
    ("seen", &["packet", "sip", "time", "transaction"]),
    ("transaction", &["packet", "record", "seen", "sip", "text", "time"]),
    ("dialog", &["config", "packet", "record", "sip", "text", "time", "transaction"]),
    ("quality", &["packet", "rtp", "time"]),
    ("media", &["call", "config", "packet", "quality", "record", "rtp", "sdp", "text", "time"]),
    // What a call counts for at a peer stands at the call: the two name each other.
    (
        "peer",
        &[
            "call",
            "config",
            "media",
            "metrics",
            "packet",
            "quality",
            "record",
            "seen",
            "sip",
            "text",
            "time",
            "transaction",
        ],
    ),
    // How sure a link of two calls is, is said in the words of verdicts.
    (
        "leg",
        &[
            "call",
            "config",
            "diagnosis",
            "media",
            "packet",
            "peer",
            "record",
            "seen",
            "sip",
            "text",
            "time",
            "transaction",
        ],
    ),
    ("tcp", &["packet", "sip", "time"]),
    (
        "registration",
        &["call", "config", "metrics", "packet", "privacy", "record", "seen", "sip", "text", "time", "transaction"],
    ),
    ("source", &["packet", "seen", "sip", "text", "time", "transaction"]),
    ("drops", &["call", "packet", "text", "time"]),
    ("event", &["record", "transaction"]),
    ("wire", &["packet", "seen", "sip", "tcp", "text", "time"]),
    (
        "signalling",
        &["call", "event", "packet", "peer", "record", "seen", "sip", "tcp", "text", "time", "transaction", "wire"],
    ),
];

/// The only crates the engine may name: none of them opens a file or a socket, and none reads a clock.
const ENGINE_DEPENDENCIES: [&str; 9] =
    ["foldhash", "hashbrown", "hdrhistogram", "jiff", "memchr", "schemars", "serde", "siphasher", "smallvec"];

/// What may stand at the top beside dot-files.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "sip-monitor",
    "sip-monitor-common",
    "sip-monitor-ebpf",
    "xtask",
];

#[test]
fn the_top_level_is_the_four_parts_and_no_more() {
    let odd: Vec<String> = tracked_files()
        .iter()
        .filter_map(|path| path.components().next())
        .map(|first| first.as_os_str().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert!(odd.is_empty(), "{odd:?} do not belong at the top level");
}

#[test]
fn the_engine_can_name_no_crate_that_does_input_or_output() {
    let manifest = read(Path::new("sip-monitor/engine/Cargo.toml"));
    let dependencies =
        manifest.split_once("\n[dependencies]\n").map_or("", |(_, rest)| rest.split("\n[").next().unwrap_or(""));
    for line in dependencies.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        assert!(ENGINE_DEPENDENCIES.contains(&name), "the engine may not use {name}");
    }
    assert!(read(Path::new("sip-monitor/engine/src/lib.rs")).contains("#![forbid(unsafe_code)]"));
}

#[test]
fn the_engine_touches_no_clock_no_file_no_socket_no_thread() {
    let outside = [
        "std::fs",
        "std::env",
        "std::io",
        "std::thread",
        "std::process",
        "std::time::Instant",
        "SystemTime",
        "UdpSocket",
        "TcpStream",
        "Timestamp::now",
        "println!",
    ];
    for (path, code) in code_under("sip-monitor/engine/src") {
        for word in outside {
            assert!(!code.contains(word), "{}: `{word}` reaches out of the engine", path.display());
        }
    }
}

#[test]
fn a_module_of_the_engine_uses_only_what_stands_before_it() {
    let modules: Vec<&str> = USES.iter().map(|(module, _)| *module).collect();
    for (path, code) in code_under("sip-monitor/engine/src") {
        let Some(module) = engine_module(&path) else { continue };
        let Some((_, allowed)) = USES.iter().find(|(name, _)| *name == module) else {
            // What judges may use all that is judged.
            assert!(
                ["alert", "call", "diagnosis", "lib", "testing"].contains(&module.as_str()),
                "{module} has no row in the table of this test"
            );
            continue;
        };
        for used in used_modules(&code) {
            let known = modules.contains(&used.as_str()) || ["alert", "call", "diagnosis"].contains(&used.as_str());
            let ok = used == module || !known || allowed.contains(&used.as_str());
            assert!(ok, "{}: {module} uses {used}, which does not stand before it", path.display());
        }
    }
}

#[test]
fn a_diagnosis_never_uses_the_alerts_that_are_made_of_it() {
    for (path, code) in code_under("sip-monitor/engine/src/diagnosis/catalogue") {
        assert!(!used_modules(&code).contains("alert"), "{}: a verdict knows nothing of alerts", path.display());
    }
}

#[test]
fn what_reads_the_wire_never_panics_by_name() {
    // What is evaluated at compile time may: an assertion in a constant is a build error, not a crash.
    let loud = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "assert!("];
    for folder in [
        "sip-monitor/engine/src/sip",
        "sip-monitor/engine/src/sdp",
        "sip-monitor/engine/src/rtp",
        "sip-monitor-ebpf/src",
        "sip-monitor-common/src",
    ] {
        for (path, code) in code_under(folder) {
            let mut at_compile_time = false;
            for (number, line) in code.lines().enumerate() {
                if line.contains("fn ") || ["const ", "pub const ", "static "].iter().any(|word| line.starts_with(word))
                {
                    at_compile_time = line.contains("const ") || line.contains("static ");
                }
                let found = loud.iter().find(|word| line.contains(**word));
                let fine = at_compile_time || line.trim_start().starts_with("const _") || found.is_none();
                assert!(fine, "{}:{}: {}", path.display(), number + 1, line.trim());
            }
        }
    }
}

#[test]
fn nothing_unfinished_lands() {
    // In two parts, so that this file does not find itself.
    let words = [
        ["to", "do!("],
        ["unimpl", "emented!("],
        ["db", "g!("],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["#[ig", "nore"],
        ["should_", "panic"],
    ];
    for path in tracked_files().iter().filter(|path| has_extension(path, &["rs", "toml", "md", "sh"])) {
        let text = read(path);
        for word in words.map(|parts| parts.concat()) {
            assert!(!text.contains(&word), "{}: `{word}`", path.display());
        }
    }
}

#[test]
fn no_file_is_too_long_to_enter() {
    for path in tracked_files().iter().filter(|path| has_extension(path, &["rs"]) && !is_all_tests(path)) {
        let lines = without_tests(&read(path)).lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines without its tests, at most {LONGEST_FILE}", path.display());
    }
}

#[test]
fn prose_has_no_em_dashes() {
    for path in tracked_files().iter().filter(|path| has_extension(path, &["rs", "toml", "md", "xml"])) {
        assert!(!read(path).contains('\u{2014}'), "{}: an em dash", path.display());
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in tracked_files().iter().filter(|path| has_extension(path, &["md"])) {
        for link in read(path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") || target.contains(' ') {
                continue;
            }
            let folder = path.parent().unwrap_or(Path::new(""));
            assert!(root().join(folder).join(target).exists(), "{}: {target} is not there", path.display());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()))
}

/// Every file of ours that exists, relative to the root: tracked by git, or new and not ignored.
fn tracked_files() -> Vec<PathBuf> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").args(args).current_dir(root()).output().expect("git lists the files");
    assert!(output.status.success(), "git ls-files failed");
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    names.split_terminator('\0').map(PathBuf::from).filter(|path| root().join(path).is_file()).collect()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e))
}

/// Rust files under a folder, without their comments and tests; lines keep their numbers.
fn code_under(folder: &str) -> Vec<(PathBuf, String)> {
    let is_code = |path: &PathBuf| path.starts_with(folder) && has_extension(path, &["rs"]) && !is_all_tests(path);
    let files = tracked_files().into_iter().filter(is_code);
    let found: Vec<_> = files.map(|path| (path.clone(), without_comments(&without_tests(&read(&path))))).collect();
    assert!(!found.is_empty(), "nothing under {folder}");
    found
}

/// A module of tests in a file of its own.
fn is_all_tests(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.components().any(|c| c.as_os_str() == "tests")
}

/// A source file up to its tests, which come last.
fn without_tests(source: &str) -> String {
    source.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

/// A comment may name what the code does not do.
fn without_comments(source: &str) -> String {
    let lines = source.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The module of the engine that a file belongs to.
fn engine_module(path: &Path) -> Option<String> {
    let inside = path.strip_prefix("sip-monitor/engine/src").ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

/// Every `crate::name` in the code.
fn used_modules(code: &str) -> BTreeSet<String> {
    let after = code.split("crate::").skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect()
}
