//! The report of a capture: problems first, in plain words with evidence and remedy, then calls, streams and
//! registrations, then what was read, what was ignored and what was not understood.

mod notes;
mod tables;

use std::collections::{BTreeSet, HashMap};

use sip_monitor_engine::Output;
use sip_monitor_engine::alert::{Alert, Status};
use sip_monitor_engine::record::{
    CallRecord, EventRecord, MessageRecord, PeerRecord, RegistrationRecord, StreamRecord,
};

use super::{ladder, style, text};
use crate::capture::replay::{Summary, link::NoIp};
use crate::cli::Kind;
pub use notes::{Seen, notes, number};
use notes::{guessed, list, not_read, why_nothing};
use tables::ROWS;

/// Messages kept of one call, to be drawn.
const LADDER_LINES: usize = 80;
/// Calls with a problem whose ladder is drawn.
const LADDERS: usize = 5;

/// Collects outputs until the capture is over.
#[derive(Debug)]
pub struct Report {
    kinds: Vec<Kind>,
    seen: Seen,
    /// By id, in the order they fired: the last line, when it first fired, whether it was resolved.
    alerts: Vec<Alert>,
    first: HashMap<String, usize>,
    calls: Vec<CallRecord>,
    events: Vec<EventRecord>,
    streams: Vec<StreamRecord>,
    registrations: Vec<RegistrationRecord>,
    peers: Vec<PeerRecord>,
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
            events: Vec::new(),
            streams: Vec::new(),
            registrations: Vec::new(),
            peers: Vec::new(),
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
            Output::Event(event) => {
                if self.events.len() < ROWS {
                    self.events.push(*event);
                }
            }
            Output::Stream(stream) => self.streams.push(*stream),
            Output::Registration(registration) => self.registrations.push(*registration),
            Output::Peer(peer) => self.peers.push(*peer),
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
        if self.kinds.contains(&Kind::Events) && !self.events.is_empty() {
            out.push_str(&self.event_table(width));
        }
        if self.kinds.contains(&Kind::Streams) && !self.streams.is_empty() {
            out.push_str(&self.stream_table(width));
        }
        if self.kinds.contains(&Kind::Registrations) && !self.registrations.is_empty() {
            out.push_str(&self.registration_table(width));
        }
        if self.kinds.contains(&Kind::Peers) && !self.peers.is_empty() {
            out.push_str(&self.peer_table(width));
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
    let legs = text::legs(alert);
    if !legs.is_empty() {
        out.push_str(&text::paragraph("legs: ", &legs, width));
    }
    out
}

/// A paragraph of its own.
fn wrapped(text: &str, width: usize) -> String {
    text::wrap(text, width).join("\n") + "\n"
}
