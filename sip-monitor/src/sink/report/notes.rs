//! What must be told besides the lines: the guess of the local address, why there is nothing, what could not be read.

use std::collections::BTreeSet;

use sip_monitor_engine::Output;

use crate::capture::replay::{Summary, link::NoIp};
use crate::cli::Kind;

/// How many outputs of each kind came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Alert lines.
    pub alerts: u64,
    /// Calls.
    pub calls: u64,
    /// Changes of state.
    pub events: u64,
    /// Streams.
    pub streams: u64,
    /// Registrations.
    pub registrations: u64,
    /// Peers.
    pub peers: u64,
    /// Messages.
    pub messages: u64,
}

impl Seen {
    /// Counts one.
    pub fn count(&mut self, output: &Output) {
        *match output {
            Output::Alert(_) => &mut self.alerts,
            Output::Call(_) => &mut self.calls,
            Output::Event(_) => &mut self.events,
            Output::Stream(_) => &mut self.streams,
            Output::Registration(_) => &mut self.registrations,
            Output::Peer(_) => &mut self.peers,
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
        Kind::Events => seen.events == 0,
        Kind::Streams => seen.streams == 0,
        Kind::Registrations => seen.registrations == 0,
        Kind::Peers => seen.peers == 0,
        Kind::Messages => seen.messages == 0,
    });
    if empty {
        notes.push(why_nothing(summary, kinds));
    }
    notes.extend(not_read(summary));
    notes
}

pub(super) fn guessed(summary: &Summary) -> Option<String> {
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

pub(super) fn list<T: ToString>(items: &BTreeSet<T>) -> String {
    const MOST: usize = 4;
    let mut shown: Vec<String> = items.iter().take(MOST).map(ToString::to_string).collect();
    if items.len() > MOST {
        shown.push(format!("{} more", items.len() - MOST));
    }
    shown.join(", ")
}

/// Why no line came.
pub(super) fn why_nothing(summary: &Summary, kinds: &[Kind]) -> String {
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
pub(super) fn not_read(summary: &Summary) -> Vec<String> {
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
    if summary.half_seen {
        out.push("one direction of signalling only: that nothing came back is no fault of anybody".to_owned());
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
    fn half_a_capture_is_said_to_be_half() {
        let whole = Summary::default();
        assert!(not_read(&whole).is_empty());
        let half = Summary { half_seen: true, ..whole };
        assert!(not_read(&half)[0].starts_with("one direction of signalling only"));
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
