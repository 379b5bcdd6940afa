//! Colours of readable output. Whether they reach the terminal is `anstream`'s decision (NO_COLOR, pipes).

use anstyle::{AnsiColor, Style};
use sip_monitor_engine::alert::Status;
use sip_monitor_engine::diagnosis::Severity;

/// Titles.
pub const BOLD: Style = Style::new().bold();
/// What is there to be found, not to be read.
pub const DIM: Style = Style::new().dimmed();

/// Of a severity.
#[must_use]
pub fn of_severity(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Info => AnsiColor::Cyan.on_default(),
    }
}

/// Of an alert: green where it is over.
#[must_use]
pub fn of_alert(status: Status, severity: Severity) -> Style {
    match status {
        Status::Resolved => AnsiColor::Green.on_default(),
        Status::Firing | Status::Update => of_severity(severity),
    }
}

/// Paints `text`.
#[must_use]
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
