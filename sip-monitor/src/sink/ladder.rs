//! The messages of one call as a ladder: a column for each party, time from top to bottom.

use sip_monitor_engine::record::MessageRecord;

use super::{style, text};

/// Messages drawn.
const LINES: usize = 40;
/// More parties than this do not fit side by side: the messages are listed.
const PARTIES: usize = 4;
/// Columns of the time at the left.
const TIME: usize = 12;

/// Draws `messages`, which are in the order of time, into `width` columns.
#[must_use]
pub fn draw(messages: &[MessageRecord], width: usize) -> String {
    let Some(first) = messages.first() else { return String::new() };
    let mut parties: Vec<&str> = Vec::new();
    for m in messages.iter().take(LINES) {
        for party in [m.src.as_str(), m.dst.as_str()] {
            if !parties.contains(&party) {
                parties.push(party);
            }
        }
    }
    let longest = parties.iter().map(|p| p.chars().count()).max().unwrap_or(0);
    let column = (width.saturating_sub(TIME + longest / 2 + 2) / parties.len().max(1)).min(34);
    let fits = parties.len() <= PARTIES && column > longest + 1 && column >= 20;
    let mut out = String::new();
    if fits {
        out.push_str(&paint(&heads(&parties, column)));
    }
    for m in messages.iter().take(LINES) {
        let seconds = m.ts.since(first.ts).as_secs_f64();
        let again = if m.retransmission { " again" } else { "" };
        let label = format!("{}{again}", text::message_name(m));
        let line = if fits {
            let at = |party: &str| parties.iter().position(|p| *p == party).unwrap_or(0);
            format!("{seconds:>10.3}  {}", rung(at(&m.src), at(&m.dst), parties.len(), column, &label))
        } else {
            format!("{seconds:>10.3}  {} -> {}  {label}", m.src, m.dst)
        };
        out.push_str(&paint(&line));
    }
    if messages.len() > LINES {
        out.push_str(&paint(&format!("{:12}and {} more", "", messages.len() - LINES)));
    }
    out
}

fn paint(line: &str) -> String {
    format!("{}\n", style::paint(style::DIM, line.trim_end()))
}

/// The parties' names, each centred on its column.
fn heads(parties: &[&str], column: usize) -> String {
    let mut line = " ".repeat(TIME);
    for (n, party) in parties.iter().enumerate() {
        let centre = TIME + column / 2 + n * column;
        let begin = centre.saturating_sub(party.chars().count() / 2);
        line.push_str(&" ".repeat(begin.saturating_sub(line.chars().count())));
        line.push_str(party);
    }
    line
}

/// One message: lines of life, and an arrow from one to another with its label in the middle.
fn rung(from: usize, to: usize, parties: usize, column: usize, label: &str) -> String {
    let centre = |n: usize| column / 2 + n * column;
    let mut cells: Vec<char> = vec![' '; column * parties];
    for n in 0..parties {
        cells[centre(n)] = '│';
    }
    if from == to {
        return format!("{}  {label} (to itself)", cells.into_iter().collect::<String>().trim_end());
    }
    let (left, right) = (centre(from.min(to)), centre(from.max(to)));
    cells[left + 1..right].fill('─');
    if to > from {
        cells[right - 1] = '>';
    } else {
        cells[left + 1] = '<';
    }
    let label: Vec<char> = format!(" {label} ").chars().take(right - left - 3).collect();
    let begin = left + (right - left - label.len()) / 2 + 1;
    for (cell, c) in cells[begin..].iter_mut().zip(label) {
        *cell = c;
    }
    cells.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_points_at_the_receiver() {
        assert_eq!(rung(0, 1, 2, 20, "INVITE"), "          │────── INVITE ────>│         ");
        assert_eq!(rung(1, 0, 2, 20, "200"), "          │<────── 200 ───────│         ");
    }

    #[test]
    fn an_arrow_passes_the_lines_between() {
        assert_eq!(rung(0, 2, 3, 20, "BYE").matches('│').count(), 2);
    }

    #[test]
    fn a_label_never_breaks_the_frame() {
        for column in 20..34 {
            for (from, to) in [(0, 1), (1, 0), (0, 3), (3, 1), (2, 2)] {
                let _ = rung(from, to, 4, column, "a label that is much longer than any column is wide");
            }
        }
    }
}
