//! `check`: what live capture would find on this machine. Reads, asks the kernel what it supports, changes nothing.

mod interfaces;
mod kernel;
mod listeners;

use comfy_table::{Cell, Color, ContentArrangement, Table};

use crate::cli::CheckArgs;
use crate::cli::exit::{Code, Failure};
use crate::config;

/// How one finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As needed.
    Good,
    /// Less than could be: what it costs stands beside it.
    Limited,
    /// Live capture is not possible: the exit code it gives.
    Missing(Code),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub what: String,
    pub standing: Standing,
    /// What was found, and where it is not good, what to do.
    pub text: String,
}

impl Finding {
    pub(crate) fn new(what: impl Into<String>, standing: Standing, text: impl Into<String>) -> Self {
        Self { what: what.into(), standing, text: text.into() }
    }
}

/// Prints the table.
///
/// # Errors
/// [`Code::NoPermission`] or [`Code::Unavailable`] where `run` would be refused, [`Code::Config`] where the
/// configuration is wrong.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    let config = config::load_or_default(args.config.as_deref())?;
    let names = if args.interfaces.is_empty() { &config.capture.interfaces } else { &args.interfaces };
    let mut findings = kernel::findings();
    findings.extend(interfaces::findings(names, config.capture.ingress));
    findings.extend(listeners::findings(&config.capture.sip_ports));
    let text = table(&findings, crate::cli::width());
    crate::cli::print(|out| out.write_all(text.as_bytes()))?;
    let missing: Vec<(&Finding, Code)> = findings
        .iter()
        .filter_map(|f| if let Standing::Missing(code) = f.standing { Some((f, code)) } else { None })
        .collect();
    // What no privilege can mend is told before what one could.
    let worst = missing.iter().find(|(_, c)| *c != Code::NoPermission).or_else(|| missing.first());
    match worst {
        None => Ok(()),
        Some((_, code)) => {
            let what: Vec<&str> = missing.iter().map(|(f, _)| f.what.as_str()).collect();
            Err(Failure::new(*code, format!("live capture is not possible here: {}", what.join(", ")))
                .fix("the table says what to do for each; `replay` works without any of it"))
        }
    }
}

fn table(findings: &[Finding], width: usize) -> String {
    let mut table = Table::new();
    table
        .load_preset("                   ")
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    for f in findings {
        let (mark, colour) = match f.standing {
            Standing::Good => ("ok", Color::Green),
            Standing::Limited => ("limited", Color::Yellow),
            Standing::Missing(_) => ("MISSING", Color::Red),
        };
        table.add_row(vec![Cell::new(&f.what), Cell::new(mark).fg(colour), Cell::new(&f.text)]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    format!(
        "{table}\n\nsip-monitor only looks: it changes no packet, no qdisc, no offload setting, and detaches when it ends.\n"
    )
}
