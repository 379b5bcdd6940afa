//! `cargo xtask codegen`: registers the diagnoses and writes their documentation.
//!
//! The registration comes from the names of the files in `catalogue/` alone, so that it can be written while the engine
//! does not compile (a file was added or removed, or a merge left marks). The documentation comes from the compiled
//! catalogue: the engine's own test writes it, or says that it is stale.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

const CATALOGUE: &str = "sip-monitor/engine/src/diagnosis/catalogue";

/// Writes what is generated; with `--check` only says whether it is up to date.
pub fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("usage: cargo xtask codegen [--check]"),
    };
    let root = workspace_root();
    let path = root.join(CATALOGUE).join("mod.rs");
    let wanted = registration(&modules(&root.join(CATALOGUE))?);
    if fs::read_to_string(&path).unwrap_or_default() != wanted {
        if check {
            bail!("{} is stale: run `cargo xtask codegen`", path.display());
        }
        fs::write(&path, wanted).with_context(|| format!("writing {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    documentation(&root, check)
}

/// Lets the engine's test compare `docs/diagnoses.md` with its catalogue, or write it.
fn documentation(root: &Path, check: bool) -> anyhow::Result<ExitCode> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args([
        "test",
        "--quiet",
        "-p",
        "sip-monitor-engine",
        "--test",
        "catalogue",
        "--",
        "documentation",
    ]);
    if !check {
        cargo.env("SIP_MONITOR_WRITE_DOCS", "1");
    }
    let status = cargo.status().context("running the engine's catalogue test")?;
    if !status.success() {
        bail!("the documentation of the diagnoses could not be {}", if check { "confirmed" } else { "written" });
    }
    Ok(ExitCode::SUCCESS)
}

/// Names of the catalogue's modules, sorted: one a diagnosis.
fn modules(catalogue: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(catalogue).with_context(|| format!("reading {}", catalogue.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_some_and(|n| n != "mod.rs") {
            let name =
                path.file_stem().and_then(|n| n.to_str()).with_context(|| format!("{}: not UTF-8", path.display()))?;
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The text of `catalogue/mod.rs`.
fn registration(modules: &[String]) -> String {
    let mut text = String::from(
        "//! All diagnoses. Written by `cargo xtask codegen` from the files beside it: do not edit.\n\
         \n\
         use super::Diagnosis;\n\n",
    );
    let lines = |text: &mut String, form: &dyn Fn(&str) -> String| {
        for module in modules {
            let _ = writeln!(text, "{}", form(module));
        }
    };
    lines(&mut text, &|m| format!("pub mod {m};"));
    text.push_str("\n/// Every diagnosis, sorted by code.\n#[rustfmt::skip]\npub const ALL: &[&Diagnosis] = &[\n");
    lines(&mut text, &|m| format!("    &{m}::DIAGNOSIS,"));
    text.push_str(
        "];\n\n/// The files they stand in, in the same order.\n#[rustfmt::skip]\nconst SOURCES: &[&str] = &[\n",
    );
    lines(&mut text, &|m| format!("    include_str!(\"{m}.rs\"),"));
    text.push_str(
        "];\n\n\
         /// The diagnosis of that code.\n\
         #[must_use]\n\
         pub fn find(code: &str) -> Option<&'static Diagnosis> {\n    \
             ALL.iter().copied().find(|d| d.code == code)\n\
         }\n\n\
         /// The source file of the diagnosis of that code.\n\
         pub(super) fn source(code: &str) -> Option<&'static str> {\n    \
             let index = ALL.iter().position(|d| d.code == code)?;\n    \
             SOURCES.get(index).copied()\n\
         }\n",
    );
    text
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registration_in_the_tree_is_what_codegen_writes() {
        let catalogue = workspace_root().join(CATALOGUE);
        let found = fs::read_to_string(catalogue.join("mod.rs")).unwrap();
        assert_eq!(found, registration(&modules(&catalogue).unwrap()), "stale: run `cargo xtask codegen`");
    }

    #[test]
    fn each_module_is_declared_listed_and_included_once() {
        let text = registration(&["no_ack".to_owned(), "one_way_audio".to_owned()]);
        for line in ["pub mod no_ack;", "    &no_ack::DIAGNOSIS,", "    include_str!(\"one_way_audio.rs\"),"] {
            assert_eq!(text.lines().filter(|l| *l == line).count(), 1, "{line}");
        }
    }
}
