//! The tables of a report: calls, changes of their state, streams, registrations,
//! peers, messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table};

use super::{Report, number};
use crate::sink::{style, text};

/// Rows of one table; what is beyond is counted.
pub(super) const ROWS: usize = 200;

impl Report {
    pub(super) fn call_table(&self, width: usize) -> String {
        let mut by_call = BTreeMap::<&str, BTreeSet<&str>>::new();
        for alert in &self.alerts {
            let samples = alert.calls.iter().flat_map(|c| c.sample_call_ids.iter().map(String::as_str));
            for call_id in alert.call.iter().map(|c| c.call_id.as_str()).chain(samples) {
                by_call.entry(call_id).or_default().insert(&alert.code);
            }
        }
        let mut table = table(
            width,
            &["#", "invited", "from", "to", "state", "code", "ringing", "talked", "ended by", "problem"],
            &[2, 3, 9],
        );
        for (call, number) in self.calls.iter().zip(1_u64..).take(ROWS) {
            let problems = by_call.get(call.call_id.as_str()).map(|p| p.iter().copied().collect::<Vec<_>>().join(", "));
            table.add_row(vec![
                right(number.to_string()),
                Cell::new(call.invited_at.or(call.answered_at).map(text::clock).unwrap_or_default()),
                Cell::new(short_uri(&call.from)),
                Cell::new(short_uri(&call.to)),
                Cell::new(text::state(call.state)),
                Cell::new(call.final_code.map(|c| c.to_string()).unwrap_or_default()),
                Cell::new(call.post_dial_delay_ms.map(text::duration).unwrap_or_default()),
                Cell::new(call.duration_ms.map(text::duration).unwrap_or_default()),
                Cell::new(call.ended_by.map(text::side).unwrap_or_default()),
                Cell::new(problems.unwrap_or_default()),
            ]);
        }
        section("Calls", self.calls.len(), &table)
    }

    pub(super) fn event_table(&self, width: usize) -> String {
        let call_number: HashMap<&str, usize> =
            self.calls.iter().zip(1..).map(|(c, n)| (c.call_id.as_str(), n)).collect();
        let mut table = table(width, &["time", "call", "from", "to", "state", "code", "by", "cause"], &[2, 3, 7]);
        for e in &self.events {
            let cause = e.q850.as_ref().map(|q| {
                let text = q.text.as_deref().map(|text| format!(" {text}")).unwrap_or_default();
                format!("{}{text}", q.cause)
            });
            table.add_row(vec![
                Cell::new(text::clock(e.ts)),
                right(call_number.get(e.call_id.as_str()).map(ToString::to_string).unwrap_or_default()),
                Cell::new(short_uri(&e.from)),
                Cell::new(short_uri(&e.to)),
                Cell::new(text::state(e.state)),
                Cell::new(e.code.map(|c| c.to_string()).unwrap_or_default()),
                Cell::new(e.by.map(text::side).unwrap_or_default()),
                Cell::new(cause.unwrap_or_default()),
            ]);
        }
        section("Changes of state", usize::try_from(self.seen.events).unwrap_or(usize::MAX), &table)
    }

    pub(super) fn stream_table(&self, width: usize) -> String {
        let call_number: HashMap<&str, usize> =
            self.calls.iter().zip(1..).map(|(c, n)| (c.call_id.as_str(), n)).collect();
        let mut table =
            table(width, &["from", "to", "codec", "packets", "lost", "jitter", "worst gap", "call"], &[0, 1]);
        for s in self.streams.iter().take(ROWS) {
            let codec = s
                .codec
                .clone()
                .unwrap_or_else(|| s.payload_types.iter().map(|p| format!("pt {p}")).collect::<Vec<_>>().join(" "));
            let share = if s.expected == 0 { 0.0 } else { 100.0 * s.lost as f64 / s.expected as f64 };
            let lost = if s.lost == 0 { "0".into() } else { format!("{} ({share:.1} %)", number(s.lost)) };
            let call = match s.call_id.as_deref() {
                Some(id) => call_number.get(id).map_or("yes".to_owned(), |n| {
                    let side = s.from_side.map(|side| format!(" {}", text::side(side))).unwrap_or_default();
                    format!("{n}{side}")
                }),
                None => "none".into(),
            };
            table.add_row(vec![
                Cell::new(&s.src),
                Cell::new(&s.dst),
                Cell::new(codec),
                right(number(s.packets)),
                right(lost),
                right(format!("{:.1} ms", s.jitter_mean_ms)),
                right(text::duration(s.gap_max_ms)),
                Cell::new(call),
            ]);
        }
        section("RTP streams", self.streams.len(), &table)
    }

    pub(super) fn registration_table(&self, width: usize) -> String {
        let mut table =
            table(width, &["first", "who", "registrar", "state", "code", "expires", "requests", "client"], &[1, 2, 7]);
        for r in self.registrations.iter().take(ROWS) {
            table.add_row(vec![
                Cell::new(text::clock(r.first_at)),
                Cell::new(short_uri(&r.aor)),
                Cell::new(&r.registrar),
                Cell::new(&r.state),
                Cell::new(r.final_code.map(|c| c.to_string()).unwrap_or_default()),
                Cell::new(r.expires_s.map(|s| format!("{s} s")).unwrap_or_default()),
                right(r.requests.to_string()),
                Cell::new(shortened(r.user_agent.as_deref().unwrap_or_default(), 30)),
            ]);
        }
        section("Registrations", self.registrations.len(), &table)
    }

    pub(super) fn peer_table(&self, width: usize) -> String {
        let header = [
            "peer",
            "address",
            "to it",
            "from it",
            "most up",
            "answered",
            "could not serve",
            "ringing p95",
            "OPTIONS p95",
        ];
        let mut table = table(width, &header, &[0, 1]);
        for p in self.peers.iter().take(ROWS) {
            let percent = |share: Option<f64>| share.map(|share| format!("{share:.1} %")).unwrap_or_default();
            let trip = p.options.as_ref().and_then(|options| options.round_trip.as_ref());
            table.add_row(vec![
                Cell::new(p.peer.name.as_deref().unwrap_or(if p.local { "this host" } else { "" })),
                Cell::new(&p.peer.addr),
                right(number(p.since_start.attempts.into())),
                right(number(p.attempts_from.into())),
                right(number(p.concurrent_max.into())),
                right(percent(p.since_start.ser_percent)),
                right(percent(p.since_start.isa_percent)),
                right(p.since_start.srd.as_ref().map(|d| text::duration(d.p95_ms)).unwrap_or_default()),
                right(trip.map(|d| text::duration(d.p95_ms)).unwrap_or_default()),
            ]);
        }
        section("Peers", self.peers.len(), &table)
    }

    pub(super) fn message_table(&self, width: usize) -> String {
        let mut table = table(width, &["time", "from", "to", "message", "odd"], &[4]);
        for m in &self.messages {
            let mut odd = m.faults.clone();
            if m.retransmission {
                odd.insert(0, "again".into());
            }
            table.add_row(vec![
                Cell::new(text::clock(m.ts)),
                Cell::new(&m.src),
                Cell::new(&m.dst),
                Cell::new(text::message_name(m)),
                Cell::new(odd.join(", ")),
            ]);
        }
        section("Messages", usize::try_from(self.seen.messages).unwrap_or(usize::MAX), &table)
    }
}

/// User and host of a URI, without scheme and parameters.
fn short_uri(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split([';', '?']).next().unwrap_or(rest)
}

/// At most `most` characters, with a mark where some were left out.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(2)).chain("..".chars()).collect()
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// A table with a line under its head and none between rows. Columns in `flexible` give way where it is too wide.
fn table(width: usize, header: &[&str], flexible: &[usize]) -> Table {
    const LINE_UNDER_HEAD: &str = "     ──            ";
    let mut table = Table::new();
    table
        .load_preset(LINE_UNDER_HEAD)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(header.iter().map(Cell::new));
    for (n, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if !flexible.contains(&n) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

fn section(title: &str, rows: usize, table: &Table) -> String {
    let shown = table.row_count();
    let more = if rows > shown {
        format!("{} more are not shown; -o jsonl lists all.\n", rows - shown)
    } else {
        String::new()
    };
    format!("\n{}\n{table}\n{more}", style::paint(style::BOLD, &format!("{title} ({rows})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_shown_without_scheme_and_parameters() {
        assert_eq!(short_uri("sip:bob@example.com;transport=udp"), "bob@example.com");
        assert_eq!(short_uri("tel:+1555"), "+1555");
        assert_eq!(short_uri("bob"), "bob");
    }
}
