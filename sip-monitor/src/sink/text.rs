//! Readable text: what an operator sees of an alert or a record on a terminal.

use std::borrow::Cow;

use sip_monitor_engine::Output;
use sip_monitor_engine::alert::{Alert, Status};
use sip_monitor_engine::diagnosis::{Confidence, Fault, Severity, Value};
use sip_monitor_engine::leg::{LegBy, LegRecord, LegRelation};
use sip_monitor_engine::record::{
    CallRecord, CallState, EventRecord, MessageRecord, PeerRecord, RegistrationRecord, Side, StreamRecord,
};
use sip_monitor_engine::time::Timestamp;

use super::style;

/// One output as lines, the last without line feed.
#[must_use]
pub fn lines(output: &Output, width: usize) -> String {
    match output {
        Output::Alert(alert) => alert_lines(alert, width),
        Output::Call(call) => call_line(call),
        Output::Event(event) => event_line(event),
        Output::Stream(stream) => stream_line(stream),
        Output::Registration(registration) => registration_line(registration),
        Output::Peer(peer) => peer_line(peer),
        Output::Message(message) => message_line(message),
    }
}

/// Time of day, `10:15:42.123`.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or(text.clone(), |(_, time)| time.chars().take(12).collect())
}

/// A word for a severity.
#[must_use]
pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "WARNING",
        Severity::Info => "INFO",
    }
}

/// How sure and whose fault, in words.
#[must_use]
pub fn how_sure(alert: &Alert) -> String {
    let sure = match alert.confidence {
        Confidence::Certain => "certain",
        Confidence::Likely => "likely",
        Confidence::Possible => "possible",
    };
    match alert.fault {
        Some(Fault::Local) => format!("{sure}, the fault is on this host"),
        Some(Fault::Remote) => format!("{sure}, the fault is at the other side"),
        Some(Fault::Network) => format!("{sure}, the fault is in the network between"),
        None => sure.to_owned(),
    }
}

/// The evidence as `key=value` pairs.
#[must_use]
pub fn evidence(alert: &Alert) -> String {
    let pairs: Vec<String> = alert.evidence.iter().map(|(key, v)| format!("{key}={}", value(v))).collect();
    pairs.join(", ")
}

fn value(v: &Value) -> Cow<'_, str> {
    match v {
        Value::Count(n) => n.to_string().into(),
        Value::Number(n) => format!("{n:.1}").into(),
        Value::Text(t) => t.as_ref().into(),
        Value::Flag(true) => "yes".into(),
        Value::Flag(false) => "no".into(),
        Value::List(items) => items.iter().map(value).collect::<Vec<_>>().join(" ").into(),
    }
}

/// Which call or calls and which peer.
#[must_use]
pub fn subject(alert: &Alert) -> String {
    let mut parts = Vec::new();
    if let Some(call) = &alert.call {
        parts.push(format!("{} -> {} (Call-ID {})", call.from, call.to, call.call_id));
    }
    if let Some(calls) = alert.calls.as_ref().filter(|c| c.count > 1) {
        parts.push(format!("{} calls so far", calls.count));
    }
    if let Some(peer) = &alert.peer {
        let name = peer.name.as_ref().map(|n| format!("{n} ")).unwrap_or_default();
        let addr = if peer.addr.contains(':') { format!("[{}]", peer.addr) } else { peer.addr.clone() };
        parts.push(match peer.port {
            Some(port) => format!("peer {name}{addr}:{port}"),
            None => format!("peer {name}{}", peer.addr),
        });
    }
    parts.join(", ")
}

/// The other calls that belong to its call, one after the other.
#[must_use]
pub fn legs(alert: &Alert) -> String {
    let leg = |leg: &LegRecord| {
        let what = match leg.relation {
            LegRelation::Leg => "",
            LegRelation::Transfer => "transfer ",
        };
        let by = match leg.by {
            LegBy::SessionId => "Session-ID",
            LegBy::Header => "header",
            LegBy::Replaces => "Replaces",
            LegBy::Refer => "REFER",
            LegBy::Media => "media",
            LegBy::Numbers => "numbers and time",
        };
        let sure = match leg.confidence {
            Confidence::Certain => "",
            Confidence::Likely => ", likely",
            Confidence::Possible => ", possible",
        };
        let peer = leg.peer.as_ref().map(|peer| format!(" with {peer}")).unwrap_or_default();
        format!("{what}{}{peer} (by {by}{sure})", leg.call_id)
    };
    alert.legs.iter().map(leg).collect::<Vec<_>>().join(", ")
}

fn alert_lines(alert: &Alert, width: usize) -> String {
    let word = match alert.status {
        Status::Firing => severity(alert.severity),
        Status::Update => "UPDATE",
        Status::Resolved => "RESOLVED",
    };
    let head = style::paint(style::of_alert(alert.status, alert.severity), &format!("{word:<8}"));
    let name = style::paint(style::BOLD, &format!("{} / {}", alert.code, alert.cause));
    let mut out = format!("{}  {head}  {name}  ({})\n", clock(alert.ts), how_sure(alert));
    out.push_str(&paragraph("", &alert.summary, width));
    if alert.status != Status::Resolved {
        out.push_str(&paragraph("do: ", &alert.remedy, width));
    }
    let subject = subject(alert);
    if !subject.is_empty() {
        out.push_str(&paragraph("on: ", &subject, width));
    }
    let legs = legs(alert);
    if !legs.is_empty() {
        out.push_str(&paragraph("legs: ", &legs, width));
    }
    out.trim_end().to_owned()
}

/// `text` wrapped to `width` and indented by 14 columns, the label before its first line; ends with a line feed.
#[must_use]
pub fn paragraph(label: &str, text: &str, width: usize) -> String {
    const INDENT: usize = 14;
    let room = width.saturating_sub(INDENT + label.len()).max(40);
    let mut out = String::new();
    for (n, line) in wrap(text, room).iter().enumerate() {
        let label = if n == 0 { Cow::from(label) } else { " ".repeat(label.len()).into() };
        out.push_str(&format!("{:INDENT$}{label}{line}\n", ""));
    }
    out
}

/// Breaks at spaces; a word longer than `room` stands on a line of its own.
#[must_use]
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A word for a state.
#[must_use]
pub const fn state(state: CallState) -> &'static str {
    match state {
        CallState::Calling => "calling",
        CallState::Ringing => "ringing",
        CallState::EarlyMedia => "early media",
        CallState::Confirmed => "up",
        CallState::Held => "held",
        CallState::Transferred => "transferred",
        CallState::Disconnected => "ended",
        CallState::Failed => "failed",
        CallState::Timeout => "timed out",
    }
}

/// A word for a side.
#[must_use]
pub const fn side(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Callee => "callee",
    }
}

/// Milliseconds as people read them: `320 ms`, `4.2 s`, `1:02:03`.
#[must_use]
pub fn duration(ms: f64) -> String {
    if ms < 1_000.0 {
        return format!("{ms:.0} ms");
    }
    if ms < 60_000.0 {
        return format!("{:.1} s", ms / 1_000.0);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration, not negative")]
    let seconds = (ms / 1_000.0).round() as u64;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

fn call_line(call: &CallRecord) -> String {
    let at = call.invited_at.or(call.answered_at).map(clock).unwrap_or_default();
    let code = call.final_code.map(|c| format!(" {c}")).unwrap_or_default();
    let talk = call.duration_ms.map(|ms| format!(", talked {}", duration(ms))).unwrap_or_default();
    format!("{at}  call      {} -> {}  {}{code}{talk}", call.from, call.to, state(call.state))
}

fn event_line(event: &EventRecord) -> String {
    let code = event.code.map(|c| format!(" {c}")).unwrap_or_default();
    let by = event.by.map(|by| format!(" by the {}", side(by))).unwrap_or_default();
    let cause = event.q850.as_ref().map(|q| format!(", cause {}", q.cause)).unwrap_or_default();
    format!("{}  event     {} -> {}  {}{code}{by}{cause}", clock(event.ts), event.from, event.to, state(event.state))
}

fn stream_line(s: &StreamRecord) -> String {
    format!(
        "{}  stream    {} -> {}  {} packets, {} lost, jitter {:.1} ms",
        clock(s.first_at),
        s.src,
        s.dst,
        s.packets,
        s.lost,
        s.jitter_mean_ms
    )
}

fn registration_line(r: &RegistrationRecord) -> String {
    let code = r.final_code.map(|c| format!(" {c}")).unwrap_or_default();
    format!("{}  register  {} at {}  {}{code}", clock(r.first_at), r.aor, r.registrar, r.state)
}

fn peer_line(p: &PeerRecord) -> String {
    let name = p.peer.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    let ser = p.recent.ser_percent.map(|ser| format!(", {ser:.1} % answered lately")).unwrap_or_default();
    format!(
        "{}  peer      {name}{}  {} calls to it, {} from it, {} up{ser}",
        clock(p.ts),
        p.peer.addr,
        p.since_start.attempts,
        p.attempts_from,
        p.concurrent
    )
}

/// What a message is: its method, or its status and method.
#[must_use]
pub fn message_name(m: &MessageRecord) -> String {
    let of = m.cseq.as_deref().and_then(|c| c.split_once(' ')).map(|(_, method)| method);
    match (&m.method, m.code, of) {
        (Some(method), _, _) => method.clone(),
        (None, Some(code), Some(of)) => format!("{code} ({of})"),
        (None, Some(code), None) => code.to_string(),
        (None, None, _) => "not understood".into(),
    }
}

fn message_line(m: &MessageRecord) -> String {
    let again = if m.retransmission { "  again" } else { "" };
    let faults = if m.faults.is_empty() { String::new() } else { format!("  faults: {}", m.faults.join(", ")) };
    format!("{}  message   {} -> {}  {}{again}{faults}", clock(m.ts), m.src, m.dst, message_name(m))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(duration(320.4), "320 ms");
        assert_eq!(duration(4_230.0), "4.2 s");
        assert_eq!(duration(62_000.0), "1:02");
        assert_eq!(duration(3_723_000.0), "1:02:03");
    }

    #[test]
    fn a_long_word_stands_alone_and_nothing_is_lost() {
        let lines = wrap("a very-long-word-without-any-space b c", 10);
        assert_eq!(lines, ["a", "very-long-word-without-any-space", "b c"]);
    }

    #[test]
    fn the_time_of_day_has_milliseconds() {
        assert_eq!(clock(Timestamp::from_unix_ns(1_645_889_070_234_849_299)), "15:24:30.234");
    }
}
