//! Rules over the whole catalogue: each code and cause is documented, shown and told apart from its look-alike.
//!
//! `documentation` compares `sip-monitor/docs/diagnoses.md` and `docs/coverage.md` with the catalogue and what tests it;
//! `cargo xtask codegen` has it write the files.

mod coverage;
mod ladder;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ladder::{Kind, Scenario, shown};
use sip_monitor_engine::diagnosis::{Diagnosis, UNKNOWN, catalogue};

fn source_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Whether a word is lower case, digits and single hyphens.
fn is_kebab(word: &str) -> bool {
    !word.is_empty()
        && word
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

#[test]
fn every_file_of_the_catalogue_is_registered_under_its_code() {
    let folder = source_path("src/diagnosis/catalogue");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> = entries
        .filter_map(|path| Some(path.file_stem()?.to_str()?.replace('_', "-")))
        .filter(|stem| stem != "mod")
        .collect();
    let codes: Vec<&str> = catalogue::ALL.iter().map(|d| d.code).collect();
    assert_eq!(codes, files.iter().map(String::as_str).collect::<Vec<_>>(), "run `cargo xtask codegen`");
}

#[test]
fn every_code_and_cause_has_a_stable_name_and_says_what_it_is_and_what_to_do() {
    for diagnosis in catalogue::ALL {
        let code = diagnosis.code;
        assert!(is_kebab(code), "{code}");
        assert!(!diagnosis.title.is_empty(), "{code}: title");
        let mut names = BTreeSet::new();
        for cause in diagnosis.causes {
            assert!(is_kebab(cause.name) && cause.name != UNKNOWN, "{code}: {:?}", cause.name);
            assert!(names.insert(cause.name), "{code}: {} stands twice", cause.name);
            assert!(
                !cause.evidence.is_empty() && !cause.remedy.is_empty(),
                "{code} {}: evidence and remedy",
                cause.name
            );
        }
        for other in diagnosis.takes_over {
            assert!(
                *other != code && catalogue::find(other).is_some(),
                "{code} takes over {other:?}, which is no other code"
            );
        }
    }
}

#[test]
fn every_diagnosis_explains_itself() {
    for diagnosis in catalogue::ALL {
        let doc = diagnosis.doc();
        assert!(
            doc.lines().count() >= 5,
            "{}: the comment at the head of its file is what `explain` prints",
            diagnosis.code
        );
    }
}

#[test]
fn every_cause_has_a_scenario_that_fires_and_a_look_alike_that_stays_quiet() {
    let scenarios = ladder::scenarios();
    let mut missing = String::new();
    for diagnosis in catalogue::ALL {
        let own: Vec<&Scenario> = scenarios.iter().filter(|s| s.code == diagnosis.code).collect();
        let fired: BTreeSet<(String, String)> = own.iter().flat_map(|s| shown(s)).collect();
        if !own.iter().any(|s| s.kind == Kind::Quiet) {
            let _ = writeln!(missing, "{}: nothing quiet", diagnosis.code);
        }
        if !fired.iter().any(|(code, _)| code == diagnosis.code) {
            let _ = writeln!(missing, "{}: nothing fires", diagnosis.code);
        }
        for cause in diagnosis.causes {
            if !fired.contains(&(diagnosis.code.to_owned(), cause.name.to_owned())) {
                let _ = writeln!(missing, "{} {}: nothing fires", diagnosis.code, cause.name);
            }
            if !own.iter().any(|s| s.kind == Kind::Quiet && s.likes.iter().any(|like| like == cause.name)) {
                let _ = writeln!(missing, "{} {}: no quiet look-alike", diagnosis.code, cause.name);
            }
        }
    }
    assert!(missing.is_empty(), "scenarios are missing:\n{missing}");
}

#[test]
fn scenarios_name_only_codes_and_causes_that_exist() {
    let mut wrong = String::new();
    for scenario in ladder::scenarios() {
        let own = catalogue::find(&scenario.code);
        if own.is_none() && scenario.code != "healthy" {
            let _ = writeln!(wrong, "{}: no code {:?}", scenario.place, scenario.code);
        }
        for (code, cause) in shown(&scenario) {
            if !catalogue::find(&code).is_some_and(|d| cause == UNKNOWN || d.cause(&cause).is_some()) {
                let _ = writeln!(wrong, "{}: {code} has no cause {cause:?}", scenario.place);
            }
        }
        for like in &scenario.likes {
            if !own.is_some_and(|d| like == UNKNOWN || d.cause(like).is_some()) {
                let _ = writeln!(wrong, "{}: like {like:?}, which is no cause of {}", scenario.place, scenario.code);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn documentation_is_up_to_date() {
    let scenarios = ladder::scenarios();
    let coverage = coverage::document(&scenarios, &source_path("../tests/live"));
    for (file, wanted) in [("../docs/diagnoses.md", document(&scenarios)), ("../docs/coverage.md", coverage)] {
        let path = source_path(file);
        if std::env::var_os("SIP_MONITOR_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, wanted).unwrap();
        } else {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == wanted, "{} is stale: run `cargo xtask codegen`", path.display());
        }
    }
}

/// The text of `docs/diagnoses.md`.
fn document(scenarios: &[Scenario]) -> String {
    let mut text = String::from(
        "# Diagnoses\n\n\
         Every condition that sip-monitor tells, and every cause it can name. Written by `cargo xtask codegen` from\n\
         `sip-monitor/engine/src/diagnosis/catalogue/` and `sip-monitor/engine/tests/scenarios/`: do not edit.\n\n\
         `sip-monitor explain CODE` prints the same texts. Where the evidence tells no cause, it is `unknown`.\n\n\
         | code | layer | causes | condition |\n|---|---|---|---|\n",
    );
    for diagnosis in catalogue::ALL {
        let causes: Vec<String> = diagnosis.causes.iter().map(|c| format!("`{}`", c.name)).collect();
        let (code, layer) = (diagnosis.code, layer(diagnosis));
        let _ = writeln!(text, "| [`{code}`](#{code}) | {layer} | {} | {} |", causes.join(", "), cell(diagnosis.title));
    }
    for diagnosis in catalogue::ALL {
        let _ = write!(text, "\n## {}\n\n{}\n", diagnosis.code, diagnosis.doc().trim());
        let _ = writeln!(text, "\n| cause | evidence | remedy | shown by |\n|---|---|---|---|");
        for cause in diagnosis.causes {
            let shown_by: Vec<String> = scenarios
                .iter()
                .filter(|s| shown(s).contains(&(diagnosis.code.to_owned(), cause.name.to_owned())))
                .map(|s| format!("{} ({})", cell(&s.title), s.code))
                .collect();
            let (evidence, remedy) = (cell(cause.evidence), cell(cause.remedy));
            let _ = writeln!(text, "| `{}` | {evidence} | {remedy} | {} |", cause.name, shown_by.join("; "));
        }
        let quiet = scenarios.iter().filter(|s| s.kind == Kind::Quiet && s.code == diagnosis.code);
        let quiet: Vec<String> = quiet.map(|s| format!("- {}", s.title)).collect();
        if !quiet.is_empty() {
            let _ = write!(text, "\nStays quiet:\n\n{}\n", quiet.join("\n"));
        }
        if !diagnosis.refs.is_empty() {
            let _ = writeln!(text, "\nReferences: {}.", diagnosis.refs.join(", "));
        }
    }
    text
}

fn layer(diagnosis: &Diagnosis) -> String {
    serde_json::to_value(diagnosis.layer).unwrap().as_str().unwrap_or_default().to_owned()
}

/// A text as it may stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
