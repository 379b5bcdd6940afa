//! The report of a capture: problems first, in plain words with evidence and remedy, then calls, streams and
//! registrations, then what was read, what was ignored and what was not understood.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table};
use sip_monitor_engine::Output;
use sip_monitor_engine::alert::{Alert, Status};
use sip_monitor_engine::record::{CallRecord, MessageRecord, RegistrationRecord, StreamRecord};

use super::{ladder, style, text};
use crate::capture::replay::{Summary, link::NoIp};
use crate::cli::Kind;

/// Messages kept of one call, to be drawn.
const LADDER_LINES: usize = 80;
/// Calls with a problem whose ladder is drawn.
const LADDERS: usize = 5;
/// Rows of one table; what is beyond is counted.
const ROWS: usize = 200;

/// How many outputs of each kind came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Alert lines.
    pub alerts: u64,
    /// Calls.
    pub calls: u64,
    /// Streams.
    pub streams: u64,
    /// Registrations.
    pub registrations: u64,
    /// Messages.
    pub messages: u64,
}

impl Seen {
    /// Counts one.
    pub fn count(&mut self, output: &Output) {
        *match output {
            Output::Alert(_) => &mut self.alerts,
            Output::Call(_) => &mut self.calls,
            Output::Stream(_) => &mut self.streams,
            Output::Registration(_) => &mut self.registrations,
            Output::Message(_) => &mut self.messages,
        } += 1;
    }
}

/// What a reader of the lines must know besides: warnings, the guess, why there is nothing.
#[must_use]
pub fn notes(summary: &Summary, seen: &Seen, kinds: &[Kind]) -> Vec<String> {
    let mut notes = summary.warnings.clone();
    notes.extend(guessed(summary));
    let empty = kinds.iter().all(|kind| match kind {
        Kind::Alerts => seen.alerts == 0,
        Kind::Calls => seen.calls == 0,
        Kind::Streams => seen.streams == 0,
        Kind::Registrations => seen.registrations == 0,
        Kind::Messages => seen.messages == 0,
    });
    if empty {
        notes.push(why_nothing(summary, kinds));
    }
    notes.extend(not_read(summary));
    notes
}

fn guessed(summary: &Summary) -> Option<String> {
    let because = summary.guessed?;
    if summary.counter("received") == 0 {
        return None;
    }
    Some(if summary.local.is_empty() {
        format!("no local address: {because}; every packet counts as in transit. Name the host with --local")
    } else {
        format!("local address guessed: {} ({because}); --local says otherwise", list(&summary.local))
    })
}

fn list<T: ToString>(items: &BTreeSet<T>) -> String {
    const MOST: usize = 4;
    let mut shown: Vec<String> = items.iter().take(MOST).map(ToString::to_string).collect();
    if items.len() > MOST {
        shown.push(format!("{} more", items.len() - MOST));
    }
    shown.join(", ")
}

/// Why no line came.
fn why_nothing(summary: &Summary, kinds: &[Kind]) -> String {
    let what: Vec<&str> = kinds.iter().map(|k| k.noun()).collect();
    let udp = summary.counter("ignored_udp");
    let sip = summary.counter("reported_sip") + summary.counter("reported_sip_tcp");
    let rtp = summary.counter("accounted_rtp");
    let reason = match () {
        () if summary.frames == 0 => "the capture holds no frame".to_owned(),
        () if summary.counter("received") == 0 => format!("{} frames, none with an IP packet", number(summary.frames)),
        () if sip + rtp == 0 && udp > 0 => format!("{} UDP packets, none looked like SIP or RTP", number(udp)),
        () if sip + rtp == 0 => {
            format!("{} IP packets, none of them SIP or RTP", number(summary.counter("received")))
        }
        () => format!("{} SIP and {} RTP packets gave none", number(sip), number(rtp)),
    };
    format!("0 {}; {reason}", what.join(", 0 "))
}

/// What was in the files and could not be read.
fn not_read(summary: &Summary) -> Vec<String> {
    let mut out = Vec::new();
    for (why, n) in &summary.no_ip {
        match why {
            NoIp::LinkType(link) => out.push(format!("{} frames of link type {link} are not read", number(*n))),
            NoIp::Cut => out.push(format!("{} frames end within their link header", number(*n))),
            NoIp::OtherProtocol => {}
        }
    }
    if summary.cut > 0 {
        out.push(format!(
            "{} frames were captured in part only (snap length): what is missing in them is no fault of the network",
            number(summary.cut)
        ));
    }
    out
}

/// `1240` as `1,240`.
#[must_use]
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Collects outputs until the capture is over.
#[derive(Debug)]
pub struct Report {
    kinds: Vec<Kind>,
    seen: Seen,
    /// By id, in the order they fired: the last line, when it first fired, whether it was resolved.
    alerts: Vec<Alert>,
    first: HashMap<String, usize>,
    calls: Vec<CallRecord>,
    streams: Vec<StreamRecord>,
    registrations: Vec<RegistrationRecord>,
    messages: Vec<MessageRecord>,
    ladders: HashMap<String, Vec<MessageRecord>>,
}

impl Report {
    /// An empty one that will show `kinds`.
    #[must_use]
    pub fn new(kinds: &[Kind]) -> Self {
        Self {
            kinds: kinds.to_vec(),
            seen: Seen::default(),
            alerts: Vec::new(),
            first: HashMap::new(),
            calls: Vec::new(),
            streams: Vec::new(),
            registrations: Vec::new(),
            messages: Vec::new(),
            ladders: HashMap::new(),
        }
    }

    /// Takes one output.
    pub fn take(&mut self, output: Output) {
        self.seen.count(&output);
        match output {
            Output::Alert(alert) => self.take_alert(*alert),
            Output::Call(call) => self.calls.push(*call),
            Output::Stream(stream) => self.streams.push(*stream),
            Output::Registration(registration) => self.registrations.push(*registration),
            Output::Message(message) => {
                if let Some(call_id) = &message.call_id {
                    let ladder = self.ladders.entry(call_id.clone()).or_default();
                    if ladder.len() < LADDER_LINES {
                        ladder.push((*message).clone());
                    }
                }
                if self.kinds.contains(&Kind::Messages) && self.messages.len() < ROWS {
                    self.messages.push(*message);
                }
            }
        }
    }

    /// A later line of an alert replaces its text; when it fired, and how bad it was, stay.
    fn take_alert(&mut self, alert: Alert) {
        match self.first.get(&alert.id).and_then(|at| self.alerts.get_mut(*at)) {
            None => {
                self.first.insert(alert.id.clone(), self.alerts.len());
                self.alerts.push(alert);
            }
            Some(known) => {
                let (ts, severity) = (known.ts, known.severity.max(alert.severity));
                let summary = if alert.status == Status::Resolved { Some(known.summary.clone()) } else { None };
                let over = alert.summary.clone();
                *known = alert;
                known.ts = ts;
                known.severity = severity;
                if let Some(summary) = summary {
                    known.summary = if summary == over { summary } else { format!("{summary}. {over}") };
                }
            }
        }
    }

    /// The whole text.
    #[must_use]
    pub fn render(&self, summary: &Summary, width: usize) -> String {
        let mut out = self.head(summary, width);
        if self.kinds.contains(&Kind::Alerts) {
            out.push_str(&self.problems(width));
        }
        if self.kinds.contains(&Kind::Calls) && !self.calls.is_empty() {
            out.push_str(&self.call_table(width));
        }
        if self.kinds.contains(&Kind::Streams) && !self.streams.is_empty() {
            out.push_str(&self.stream_table(width));
        }
        if self.kinds.contains(&Kind::Registrations) && !self.registrations.is_empty() {
            out.push_str(&self.registration_table(width));
        }
        if self.kinds.contains(&Kind::Messages) && !self.messages.is_empty() {
            out.push_str(&self.message_table(width));
        }
        out.push('\n');
        for line in self.tail(summary).lines() {
            out.push_str(&wrapped(line, width));
        }
        out
    }

    fn head(&self, summary: &Summary, width: usize) -> String {
        let mut out = format!("{}  {}\n", style::paint(style::BOLD, "sip-monitor"), summary.files.join(" "));
        if let Some((first, last)) = summary.span {
            let date: String = first.to_string().chars().take(10).collect();
            let ms = last.since(first).as_secs_f64() * 1_000.0;
            out.push_str(&format!(
                "{date} {} to {} UTC ({})\n",
                text::clock(first),
                text::clock(last),
                text::duration(ms)
            ));
        }
        match guessed(summary) {
            Some(note) => out.push_str(&wrapped(&note, width)),
            None if !summary.local.is_empty() => {
                out.push_str(&wrapped(&format!("local: {}", list(&summary.local)), width))
            }
            None => {}
        }
        out
    }

    fn problems(&self, width: usize) -> String {
        if self.alerts.is_empty() {
            return format!("\n{}\n", style::paint(style::BOLD, "No problems found"));
        }
        let mut out = format!("\n{}\n", style::paint(style::BOLD, &format!("Problems ({})", self.alerts.len())));
        let mut order: Vec<&Alert> = self.alerts.iter().collect();
        order.sort_by_key(|a| (a.status == Status::Resolved, std::cmp::Reverse(a.severity), a.ts));
        let mut drawn = BTreeSet::new();
        for alert in order {
            out.push('\n');
            out.push_str(&problem(alert, width));
            let call = alert.call.as_ref().map(|c| c.call_id.as_str());
            if let Some(ladder) = call.and_then(|c| self.ladders.get(c))
                && drawn.len() < LADDERS
                && drawn.insert(call)
            {
                out.push('\n');
                out.push_str(&ladder::draw(ladder, width));
            }
        }
        out
    }

    fn call_table(&self, width: usize) -> String {
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

    fn stream_table(&self, width: usize) -> String {
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

    fn registration_table(&self, width: usize) -> String {
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

    fn message_table(&self, width: usize) -> String {
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

    fn tail(&self, summary: &Summary) -> String {
        let c = |name| summary.counter(name);
        let mut read = vec![format!("{} SIP packets", number(c("reported_sip") + c("reported_sip_tcp")))];
        for (n, what) in [
            (c("accounted_rtp"), "RTP"),
            (c("reported_rtcp"), "RTCP"),
            (c("reported_icmp"), "ICMP errors"),
            (c("reported_fragment"), "IP fragments"),
        ] {
            if n > 0 {
                read.push(format!("{} {what}", number(n)));
            }
        }
        let not_ip = summary.no_ip.get(&NoIp::OtherProtocol).copied().unwrap_or(0);
        let ignored: u64 = summary.counters.iter().filter(|(n, _)| n.starts_with("ignored_")).map(|(_, n)| n).sum();
        let mut out = format!("Read {} frames: {}", number(summary.frames), read.join(", "));
        if ignored + not_ip > 0 {
            let mut why: Vec<String> = Vec::new();
            for (name, n) in &summary.counters {
                if let Some(reason) = name.strip_prefix("ignored_") {
                    why.push(format!("{} {}", number(*n), ignored_reason(reason)));
                }
            }
            if not_ip > 0 {
                why.push(format!("{} not IP", number(not_ip)));
            }
            out.push_str(&format!("; left aside {} ({})", number(ignored + not_ip), why.join(", ")));
        }
        out.push_str(".\n");
        if self.seen.calls == 0 && self.kinds.contains(&Kind::Calls) {
            out.push_str(&format!("{}.\n", why_nothing(summary, &[Kind::Calls])));
        }
        for note in not_read(summary) {
            out.push_str(&format!("{note}.\n"));
        }
        if !self.alerts.is_empty() {
            out.push_str("`sip-monitor explain CODE` tells more about a problem.\n");
        }
        out
    }
}

fn ignored_reason(name: &str) -> String {
    match name {
        "udp" => "other UDP".into(),
        "tcp" => "other TCP".into(),
        "tcp_ack" => "bare TCP acknowledgements".into(),
        "icmp" => "other ICMP".into(),
        "protocol" => "other protocols".into(),
        "not_ip" => "not IP".into(),
        other => other.replace('_', " "),
    }
}

/// One problem in words.
fn problem(alert: &Alert, width: usize) -> String {
    let word = text::severity(alert.severity);
    let head = style::paint(style::of_alert(alert.status, alert.severity), &format!("{word:<8}"));
    let name = style::paint(style::BOLD, &format!("{} / {}", alert.code, alert.cause));
    let over = if alert.status == Status::Resolved { ", over by the end of the capture" } else { "" };
    let mut out = format!("  {head}    {name}  ({}{over})\n", text::how_sure(alert));
    out.push_str(&text::paragraph("", &alert.summary, width));
    let evidence = text::evidence(alert);
    if !evidence.is_empty() {
        out.push_str(&text::paragraph("seen: ", &evidence, width));
    }
    out.push_str(&text::paragraph("do:   ", &alert.remedy, width));
    let subject = text::subject(alert);
    if !subject.is_empty() {
        out.push_str(&text::paragraph("on:   ", &format!("{} at {}", subject, text::clock(alert.ts)), width));
    }
    out
}

/// A paragraph of its own.
fn wrapped(text: &str, width: usize) -> String {
    text::wrap(text, width).join("\n") + "\n"
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
    fn numbers_are_grouped() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_240), "1,240");
        assert_eq!(number(1_234_567), "1,234,567");
    }

    #[test]
    fn a_uri_is_shown_without_scheme_and_parameters() {
        assert_eq!(short_uri("sip:bob@example.com;transport=udp"), "bob@example.com");
        assert_eq!(short_uri("tel:+1555"), "+1555");
        assert_eq!(short_uri("bob"), "bob");
    }

    #[test]
    fn an_empty_view_says_why() {
        let mut summary = Summary {
            frames: 1_300,
            counters: vec![("received", 1_300), ("ignored_udp", 1_240)],
            ..Summary::default()
        };
        assert_eq!(why_nothing(&summary, &[Kind::Calls]), "0 calls; 1,240 UDP packets, none looked like SIP or RTP");
        summary.counters.clear();
        assert_eq!(
            why_nothing(&summary, &[Kind::Calls, Kind::Streams]),
            "0 calls, 0 streams; 1,300 frames, none with an IP packet"
        );
    }
}
