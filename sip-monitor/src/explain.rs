//! `explain CODE`: what an alert means, what it looked like, what to do, straight from the catalogue's own files.

use sip_monitor_engine::diagnosis::{Diagnosis, catalogue};

use crate::cli::exit::{Code, Failure};
use crate::sink::{style, text};

/// Explains one code; without it lists all.
///
/// # Errors
/// [`Code::Usage`] where there is no such code.
pub fn run(code: Option<&str>) -> Result<(), Failure> {
    let page = match code {
        None => list(),
        Some(code) => {
            let diagnosis = catalogue::find(&code.to_ascii_lowercase()).ok_or_else(|| unknown(code))?;
            explain(diagnosis, crate::cli::width())
        }
    };
    crate::cli::print(|out| out.write_all(page.as_bytes()))
}

fn unknown(code: &str) -> Failure {
    let nearest = catalogue::ALL.iter().map(|d| d.code).max_by_key(|c| likeness(c, code));
    let hint = nearest.map_or(String::new(), |c| format!("; did you mean {c}?"));
    Failure::new(Code::Usage, format!("no alert has the code `{code}`{hint}"))
        .fix("list them with `sip-monitor explain`")
}

/// How many pairs of neighbouring letters two words share.
fn likeness(a: &str, b: &str) -> usize {
    a.as_bytes().windows(2).filter(|pair| b.as_bytes().windows(2).any(|p| p == *pair)).count()
}

fn list() -> String {
    let mut out = String::from("Alert codes (`sip-monitor explain CODE` tells all about one):\n\n");
    for d in catalogue::ALL {
        out.push_str(&format!("  {}  {}\n", style::paint(style::BOLD, &format!("{:<20}", d.code)), d.title));
    }
    out
}

fn explain(d: &Diagnosis, width: usize) -> String {
    let mut out = format!("{}: {}\n\n", style::paint(style::BOLD, d.code), d.title);
    for block in d.doc().split("\n\n") {
        out.push_str(&markdown_block(block, width));
        out.push('\n');
    }
    if !d.causes.is_empty() {
        out.push_str(&format!("{}\n", style::paint(style::BOLD, "Causes it can name, in the order they are tried")));
        for cause in d.causes {
            out.push_str(&format!("\n  {}\n", style::paint(style::BOLD, cause.name)));
            out.push_str(&labelled("seen by: ", cause.evidence, width));
            out.push_str(&labelled("do:      ", cause.remedy, width));
        }
        out.push('\n');
    }
    if !d.refs.is_empty() {
        out.push_str(&format!("{} {}\n", style::paint(style::BOLD, "References:"), d.refs.join(", ")));
    }
    out
}

/// A heading is made bold, a list keeps its items, other text is wrapped.
fn markdown_block(block: &str, width: usize) -> String {
    let width = width.min(100);
    let mut out = String::new();
    let mut prose = String::new();
    let flush = |prose: &mut String, out: &mut String| {
        for line in text::wrap(prose, width) {
            out.push_str(&line);
            out.push('\n');
        }
        prose.clear();
    };
    for line in block.lines() {
        let item = line.trim_start().starts_with("- ") || line.trim_start().starts_with("* ");
        if let Some(heading) = line.strip_prefix('#') {
            flush(&mut prose, &mut out);
            out.push_str(&format!("{}\n", style::paint(style::BOLD, heading.trim_start_matches('#').trim())));
        } else if line.starts_with('|') || line.starts_with("    ") {
            flush(&mut prose, &mut out);
            out.push_str(line);
            out.push('\n');
        } else {
            if item {
                flush(&mut prose, &mut out);
            }
            prose.push_str(line.trim());
            prose.push(' ');
        }
    }
    flush(&mut prose, &mut out);
    out
}

fn labelled(label: &str, body: &str, width: usize) -> String {
    let room = width.min(100).saturating_sub(4 + label.len());
    let mut out = String::new();
    for (n, line) in text::wrap(body, room).iter().enumerate() {
        let label = if n == 0 { label.to_owned() } else { " ".repeat(label.len()) };
        out.push_str(&format!("    {label}{line}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_with_its_causes() {
        for d in catalogue::ALL {
            let page = explain(d, 80);
            assert!(page.contains(d.title), "{}", d.code);
            for cause in d.causes {
                assert!(page.contains(cause.name), "{} {}", d.code, cause.name);
            }
            assert!(!d.doc().trim().is_empty(), "{} has no text", d.code);
        }
    }

    #[test]
    fn a_wrong_code_is_a_usage_error() {
        assert_eq!(run(Some("no-such-code")).unwrap_err().code, Code::Usage);
    }
}
