//! What Prometheus scrapes. The capture loop takes a [`Snapshot`] of what the program knows when somebody asks; from that
//! another thread writes the text. Nothing here is asked of a packet, and no series is named by what a peer can choose.
//!
//! One file has the families of one part of the program, each with a function that writes them: [`capture`], [`signalling`],
//! [`trunks`], [`alerts`], [`process`]. `docs/metrics.md` is made of their texts.

pub mod alerts;
pub mod capture;
pub mod exposition;
pub mod process;
pub mod signalling;
pub mod snapshot;
pub mod trunks;

use exposition::{Dialect, Exposition, Family};
pub use snapshot::{Recorded, Snapshot};

/// Every family, by part.
pub const ALL: &[(&str, &[&Family])] = &[
    ("Capture", capture::FAMILIES),
    ("Signalling and calls", signalling::FAMILIES),
    ("Trunks and audio", trunks::FAMILIES),
    ("Alerts and outputs", alerts::FAMILIES),
    ("The program itself", process::FAMILIES),
];

/// The whole text.
#[must_use]
pub fn write(snapshot: &Snapshot, dialect: Dialect) -> String {
    let mut to = Exposition::new(dialect);
    capture::write(&mut to, snapshot);
    signalling::write(&mut to, snapshot);
    trunks::write(&mut to, snapshot);
    alerts::write(&mut to, snapshot);
    process::write(&mut to, snapshot);
    to.finish()
}

/// The text of `docs/metrics.md`.
#[must_use]
pub fn documentation() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Written from the families in `src/metrics` by `SIP_MONITOR_WRITE_DOCS=1 cargo test -p sip-monitor --test prometheus`: do not edit.\n\n\
         `/metrics` is answered at `prometheus.listen` (127.0.0.1:19060), in the text format of Prometheus or, where the scraper asks for\n\
         it, as OpenMetrics with Call-IDs as exemplars. Values of labels come from bounded sets: no number, address, Call-ID, SSRC or\n\
         User-Agent is one. Counters start at 0 with the program and never go down while it runs, also over a reload.\n\n\
         Of the label `trunk`, `other` is everybody who is no configured trunk (or is one beyond `prometheus.max_trunks`), and `local`\n\
         this host's own addresses: what it answers and refuses itself. A call that this host passes on to a carrier counts for both:\n\
         it is an attempt of `local`, where the INVITE came to, and of the carrier, where it went. So no sum over `trunk` is a number of\n\
         calls; those are `sipmonitor_calls_*`. Strangers have a say in `other` and `local`, and the rules leave these two out.\n",
    );
    for (part, families) in ALL {
        text.push_str(&format!("\n## {part}\n\n| family | kind | labels | what it tells |\n|---|---|---|---|\n"));
        for family in *families {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, labels, help) = (family.name, family.kind.name(), labels.join(", "), family.help);
            text.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
        }
    }
    text
}
