//! From a Markdown file to its scenarios.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Result;
use super::host::Hosts;

/// Lines of a file with their numbers.
pub type Lines = Vec<(usize, String)>;

/// One `##` section.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// File, and line of the heading.
    pub place: String,
    /// The code it is about: the name of the file up to its first dot.
    pub code: String,
    /// The heading.
    pub title: String,
    /// What it shows.
    pub kind: Kind,
    /// Causes (or codes) that a quiet one looks like.
    pub likes: Vec<String>,
    /// Who is where.
    pub hosts: Hosts,
    /// Settings that differ from the defaults.
    pub settings: Vec<(String, String)>,
    /// Lines of its ladder.
    pub ladder: Lines,
    /// Lines of the alerts expected.
    pub alerts: Lines,
    /// Which calls are legs of each other, where that is said.
    pub legs: Option<Lines>,
    /// Lines of the changes of state expected.
    pub events: Lines,
    /// Lines of records expected.
    pub records: Lines,
    /// Ladders that `use NAME` stands for.
    pub parts: BTreeMap<String, Lines>,
    /// Message bodies that `body=NAME` stands for.
    pub bodies: BTreeMap<String, String>,
}

/// What a scenario shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A condition that is told.
    Fires,
    /// A look-alike that is not.
    Quiet,
}

/// Every scenario of every file of the folder, in the order of names.
pub fn scenarios() -> Vec<Scenario> {
    // Tests of the daemon play them as well, and stand one folder higher.
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let engine = crates.join("engine");
    let folder = if engine.is_dir() { engine } else { crates.to_owned() }.join("tests/scenarios");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "md") && path.file_stem().is_some_and(|s| s != "README"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        all.extend(parse(&name, &text).unwrap_or_else(|e| panic!("{e}")));
    }
    all
}

/// The scenarios of one file. What stands before its first heading holds for all of them.
pub fn parse(name: &str, text: &str) -> Result<Vec<Scenario>> {
    let mut all: Vec<Scenario> = Vec::new();
    let mut prelude = Scenario {
        place: format!("{name}.md:1"),
        code: name.split('.').next().unwrap_or_default().to_owned(),
        title: String::new(),
        kind: Kind::Quiet,
        likes: Vec::new(),
        hosts: Hosts::default(),
        settings: Vec::new(),
        ladder: Vec::new(),
        alerts: Vec::new(),
        legs: None,
        events: Vec::new(),
        records: Vec::new(),
        parts: BTreeMap::new(),
        bodies: BTreeMap::new(),
    };
    let mut block: Option<(String, usize, Lines)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match &mut block {
            Some((info, at, lines)) if line.trim_end() == "```" => {
                let target = all.last_mut().unwrap_or(&mut prelude);
                target.take_block(info, std::mem::take(lines)).map_err(|e| format!("{name}.md:{at}: {e}"))?;
                block = None;
            }
            Some((_, _, lines)) => lines.push((number, line.to_owned())),
            None if line.starts_with("```") => block = Some((line[3..].trim().to_owned(), number, Vec::new())),
            None => {
                if let Some(title) = line.strip_prefix("## ") {
                    let place = format!("{name}.md:{number}");
                    let kind = match title.split([' ', ':']).next() {
                        Some("fires") => Kind::Fires,
                        Some("quiet") => Kind::Quiet,
                        _ => return Err(format!("{place}: a heading begins with `fires` or `quiet`")),
                    };
                    let title = title.trim().to_owned();
                    all.push(Scenario { place, kind, likes: likes(&title), title, ..prelude.clone() });
                }
            }
        }
    }
    if let Some((info, at, _)) = block {
        return Err(format!("{name}.md:{at}: the block `{info}` has no end"));
    }
    Ok(all)
}

impl Scenario {
    fn take_block(&mut self, info: &str, lines: Lines) -> Result<()> {
        let (kind, name) = info.split_once(' ').map_or((info, ""), |(kind, name)| (kind, name.trim()));
        let meant = lines.iter().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        match (kind, name) {
            ("ladder", "") => self.ladder.extend(meant.cloned()),
            ("ladder", name) => {
                let lines = meant.cloned().collect();
                self.parts.insert(name.to_owned(), lines);
            }
            ("alerts", "") => self.alerts.extend(meant.cloned()),
            ("legs", "") => self.legs.get_or_insert_default().extend(meant.cloned()),
            ("events", "") => self.events.extend(meant.cloned()),
            ("records", "") => self.records.extend(meant.cloned()),
            ("hosts", "") => {
                for (_, line) in meant {
                    self.hosts.declare(line)?;
                }
            }
            ("config", "") => {
                for (_, line) in meant {
                    let (key, value) =
                        line.split_once('=').ok_or_else(|| format!("a setting is `key = value`, not {line:?}"))?;
                    self.settings.push((key.trim().to_owned(), value.trim().to_owned()));
                }
            }
            ("body", name) if !name.is_empty() => {
                let text: String = lines.iter().map(|(_, line)| format!("{line}\r\n")).collect();
                self.bodies.insert(name.to_owned(), text);
            }
            _ => {
                return Err(format!(
                    "no block is called `{info}`: ladder, alerts, legs, events, records, hosts, config, body NAME"
                ));
            }
        }
        Ok(())
    }
}

/// What stands between `like ` and ` but`: `## quiet: like contact-private and never-seen, but ...`.
fn likes(title: &str) -> Vec<String> {
    let Some((_, rest)) = title.split_once("like ") else { return Vec::new() };
    let end = [" but ", ":", ";"].iter().filter_map(|stop| rest.find(stop)).min().unwrap_or(rest.len());
    let names = rest[..end].split([',', ' ']).filter(|word| !word.is_empty() && !matches!(*word, "and" | "or"));
    names.map(str::to_owned).collect()
}
