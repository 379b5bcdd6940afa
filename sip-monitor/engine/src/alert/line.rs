//! From a finding to the line people read: names, masking, and a bound on its length.

use std::collections::BTreeMap;

use super::open::Case;
use super::{Alert, AlertCall, AlertCalls, AlertPeer, Status};
use crate::config::EngineConfig;
use crate::diagnosis::{CallIdentity, Confidence, Diagnosis, Finding, Severity, Subject, Value};
use crate::leg::LegRecord;
use crate::privacy::{Redactor, users_in};
use crate::record::Side;
use crate::time::Timestamp;

// The bounds of an alert's parts, in bytes of JSON. Whatever stands in them, a line takes at most 8 KiB: a test adds up.
const SENTENCE_BYTES: usize = 640;
const CALL_ID_BYTES: usize = 640;
const URI_BYTES: usize = 384;
const TAG_BYTES: usize = 192;
const NAME_BYTES: usize = 128;
const SAMPLE_BYTES: usize = 192;
const EVIDENCE_BYTES: usize = 2_048;
const EVIDENCE_TEXT_BYTES: usize = 640;
/// Evidence in the words of somebody else.
const WORDS: [&str; 4] = ["phrase", "warning", "reason", "text"];
const LINKS: usize = 8;
const LEGS: usize = 3;
const LEG_BYTES: usize = 112;
const LEG_PEER_BYTES: usize = 64;

/// Call-IDs named in an alert about several calls.
pub const SAMPLES: usize = 5;

/// Writes alert lines for one engine.
#[derive(Debug)]
pub struct Writer {
    redactor: Redactor,
    host: Option<String>,
    links: Vec<String>,
}

/// What a line says besides the finding.
pub struct Standing<'a> {
    /// Identity of the alert.
    pub id: &'a str,
    /// When.
    pub at: Timestamp,
    /// Where it stands.
    pub status: Status,
    /// Severity after weakening and grouping.
    pub severity: Severity,
    /// Confidence after weakening and grouping.
    pub confidence: Confidence,
    /// Ids of related alerts.
    pub links: Vec<String>,
    /// Calls so far, where the alert is about calls.
    pub calls: Option<AlertCalls>,
}

impl Writer {
    /// One that masks and names as configured.
    pub fn new(config: &EngineConfig) -> Self {
        Self {
            redactor: Redactor::new(config.privacy, config.privacy_key),
            host: (!config.host.is_empty()).then(|| cut(&config.host, NAME_BYTES)),
            links: config.links.clone(),
        }
    }

    /// The line for a finding.
    pub fn line(&self, diagnosis: &Diagnosis, finding: &Finding, case: Case<'_>, standing: Standing<'_>) -> Alert {
        let call = case.call;
        let users = users_of(finding, call);
        Alert {
            schema: 1,
            id: standing.id.to_owned(),
            ts: standing.at,
            status: standing.status,
            code: diagnosis.code.to_owned(),
            cause: finding.cause.to_owned(),
            severity: standing.severity,
            confidence: standing.confidence,
            layer: diagnosis.layer,
            fault: finding.fault,
            summary: cut(&self.sentence(&finding.summary, finding, &users), SENTENCE_BYTES),
            remedy: cut(&self.sentence(&finding.remedy, finding, &users), SENTENCE_BYTES),
            direction: finding.deaf.map(direction),
            call: call.map(|call| self.call(call, finding, standing.at)),
            calls: standing.calls,
            legs: legs(case),
            peer: finding.peer.map(|peer| AlertPeer {
                addr: peer.ip().to_string(),
                port: (peer.port() != 0).then(|| peer.port()),
                transport: call.map(|c| c.transport.to_owned()),
                name: case.peers.trunk_of(peer).map(|trunk| cut(&trunk.name, NAME_BYTES)),
            }),
            evidence: self.evidence(&finding.evidence, &users),
            links: standing.links.into_iter().take(LINKS).collect(),
            refs: diagnosis.refs.iter().map(|&r| r.to_owned()).collect(),
            host: self.host.clone(),
            iface: call
                .and_then(|c| self.links.get(usize::from(c.link?)))
                // A classic pcap names no interface.
                .filter(|name| !name.is_empty())
                .map(|name| cut(name, NAME_BYTES)),
        }
    }

    /// A Call-ID as a sample.
    pub fn sample(call_id: &str) -> String {
        cut(call_id, SAMPLE_BYTES)
    }

    fn call(&self, call: &CallIdentity<'_>, finding: &Finding, now: Timestamp) -> AlertCall {
        let request = finding.request.as_ref();
        let to_tag = finding.to_tag.as_deref().or(call.to_tag);
        AlertCall {
            call_id: cut(call.call_id, CALL_ID_BYTES),
            from: cut(&self.redactor.uri(call.from), URI_BYTES),
            to: cut(&self.redactor.uri(call.to), URI_BYTES),
            from_tag: call.from_tag.map(|tag| cut(tag, TAG_BYTES)),
            to_tag: to_tag.map(|tag| cut(tag, TAG_BYTES)),
            cseq: request.map(|r| r.cseq).or(call.cseq),
            method: request.map(|r| cut(&r.method, TAG_BYTES)).or_else(|| call.cseq.map(|_| "INVITE".to_owned())),
            state: call.state,
            duration_ms: duration_ms(call, now),
        }
    }

    /// A sentence of ours, in which words of others may be quoted: those are hidden as in the evidence.
    fn sentence(&self, sentence: &str, finding: &Finding, users: &[&str]) -> String {
        let mut hidden = self.redactor.text(sentence);
        // A side of the call may stand first.
        if let Some(rest) = hidden.strip_prefix("the ") {
            hidden = format!("The {rest}");
        }
        for (_, value) in finding.evidence.iter().filter(|(key, _)| WORDS.contains(key)) {
            let Value::Text(quoted) = value else { continue };
            let (known, safe) = (self.redactor.text(quoted), self.redactor.words(quoted, users));
            if known != safe {
                hidden = hidden.replace(&known, &safe);
            }
        }
        hidden
    }

    /// Evidence in the order given until the line is full; then `evidence_cut` says so.
    fn evidence(&self, evidence: &[(&'static str, Value)], users: &[&str]) -> BTreeMap<String, Value> {
        let mut left = EVIDENCE_BYTES;
        let mut kept = BTreeMap::new();
        for (key, value) in evidence {
            let Some(value) = self.value(key, value, users) else { continue };
            let bytes = json_bytes(key) + 2 + value_bytes(&value);
            if bytes > left {
                kept.insert("evidence_cut".to_owned(), Value::Flag(true));
                break;
            }
            left -= bytes;
            kept.insert((*key).to_owned(), value);
        }
        kept
    }

    /// A value masked and cut; `None` for a number that JSON has no word for.
    fn value(&self, key: &str, value: &Value, users: &[&str]) -> Option<Value> {
        Some(match value {
            Value::Text(text) => {
                let is_identifier =
                    ["tag", "branch", "via", "ssrc", "call_id", "cseq"].iter().any(|word| key.contains(word));
                let text = match (is_identifier, WORDS.contains(&key)) {
                    (true, _) => self.redactor.identifier(text),
                    (false, true) => self.redactor.words(text, users),
                    (false, false) => self.redactor.text(text),
                };
                Value::Text(cut(&text, EVIDENCE_TEXT_BYTES).into())
            }
            Value::Number(number) if !number.is_finite() => return None,
            Value::List(values) => Value::List(values.iter().filter_map(|v| self.value(key, v, users)).collect()),
            Value::Count(_) | Value::Number(_) | Value::Flag(_) => value.clone(),
        })
    }
}

/// The users that a finding and its call name by URI.
fn users_of<'a>(finding: &'a Finding, call: Option<&CallIdentity<'a>>) -> Vec<&'a str> {
    let texts = finding.evidence.iter().filter_map(|(_, value)| match value {
        Value::Text(text) => Some(text.as_ref()),
        Value::Count(_) | Value::Number(_) | Value::Flag(_) | Value::List(_) => None,
    });
    let of_call = call.into_iter().flat_map(|call| [call.from, call.to]);
    texts.chain([finding.summary.as_str()]).chain(of_call).flat_map(users_in).collect()
}

/// The calls that belong to the one it is about.
pub fn legs(case: Case<'_>) -> Vec<LegRecord> {
    let (Some(legs), Subject::Call(call)) = (case.legs, case.subject) else { return Vec::new() };
    legs.of(call, LEGS).into_iter().map(bounded).collect()
}

fn bounded(leg: LegRecord) -> LegRecord {
    LegRecord { call_id: cut(&leg.call_id, LEG_BYTES), peer: leg.peer.map(|peer| cut(&peer, LEG_PEER_BYTES)), ..leg }
}

/// From the answer to now or to the end of the call.
pub fn duration_ms(call: &CallIdentity<'_>, now: Timestamp) -> Option<u64> {
    let end = call.ended_at.unwrap_or(now).min(now);
    u64::try_from(end.since(call.answered_at?).as_millis()).ok()
}

fn direction(deaf: Side) -> String {
    match deaf {
        Side::Caller => "caller-cannot-hear-callee".to_owned(),
        Side::Callee => "callee-cannot-hear-caller".to_owned(),
    }
}

/// The text, cut at a character so that it takes at most `limit` bytes in JSON; a cut one ends in an ellipsis.
fn cut(text: &str, limit: usize) -> String {
    if json_bytes(text) <= limit {
        return text.to_owned();
    }
    let mut bytes = '…'.len_utf8();
    let fits = text.chars().take_while(|c| {
        bytes += json_char_bytes(*c);
        bytes <= limit
    });
    fits.chain(['…']).collect()
}

fn value_bytes(value: &Value) -> usize {
    match value {
        // Longest: u64 has 20 digits, f64 at most 24 characters in its shortest form.
        Value::Count(_) | Value::Number(_) => 24,
        Value::Flag(_) => 5,
        Value::Text(text) => json_bytes(text) + 2,
        Value::List(values) => 2 + values.iter().map(|v| value_bytes(v) + 1).sum::<usize>(),
    }
}

/// Bytes of a text between the quotes of JSON.
fn json_bytes(text: &str) -> usize {
    text.chars().map(json_char_bytes).sum()
}

fn json_char_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::config::Privacy;
    use crate::diagnosis::{Asks, Fault, Layer, RequestName, Subject};
    use crate::leg::{LegBy, LegRelation};
    use crate::peer::PeerTable;
    use crate::record::{CallState, Output};

    const DIAGNOSIS: Diagnosis = Diagnosis {
        code: "no-ack",
        layer: Layer::Dialog,
        title: "",
        causes: &[],
        refs: &["RFC 3261 13.3.1.4"],
        asks: Asks::Call(|_| None),
        takes_over: &[],
    };

    /// Writes a line about a call, or about nothing.
    fn written(
        config: &EngineConfig,
        finding: &Finding,
        call: Option<&CallIdentity<'_>>,
        standing: Standing<'_>,
    ) -> Alert {
        let peers = PeerTable::new(config, Default::default());
        let case = Case { subject: Subject::Host, now: standing.at, call, peers: &peers, legs: None, part_of: None };
        Writer::new(config).line(&DIAGNOSIS, finding, case, standing)
    }

    fn identity<'a>(call_id: &'a str, from: &'a str) -> CallIdentity<'a> {
        CallIdentity {
            call_id,
            from,
            to: from,
            from_tag: Some(call_id),
            to_tag: Some(call_id),
            cseq: Some(1),
            state: CallState::Confirmed,
            answered_at: Some(Timestamp::from_unix_ns(1_000_000_000)),
            ended_at: None,
            link: Some(0),
            transport: "udp",
        }
    }

    fn standing(samples: Vec<String>) -> Standing<'static> {
        Standing {
            id: "01ARYZ6S410000000000000000",
            at: Timestamp::from_unix_ns(33_004_000_000),
            status: Status::Firing,
            severity: Severity::Critical,
            confidence: Confidence::Likely,
            links: vec!["01ARYZ6S410000000000000000".to_owned(); 20],
            calls: Some(AlertCalls { count: u64::MAX, sample_call_ids: samples }),
        }
    }

    fn json(alert: Alert) -> String {
        serde_json::to_string(&Output::Alert(Box::new(alert))).unwrap()
    }

    const LINE_BYTES: usize = 8 * 1024;

    #[test]
    fn no_line_is_longer_than_8_kib_whatever_stands_in_it() {
        for filler in ["\u{1}", "\"", "é", "日", "x"] {
            let long = filler.repeat(20_000);
            let config = EngineConfig {
                host: long.clone(),
                links: vec![long.clone()],
                privacy: Privacy::Plain,
                ..EngineConfig::default()
            };
            let evidence = ["a", "b", "c", "d", "e", "f", "g"].map(|key| (key, Value::Text(Cow::Owned(long.clone()))));
            let finding = Finding {
                fault: Some(Fault::Network),
                summary: long.clone(),
                remedy: long.clone(),
                evidence: evidence.into(),
                peer: Some("[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap()),
                deaf: Some(Side::Caller),
                request: Some(RequestName { cseq: u32::MAX, method: long.clone().into() }),
                ..Finding::new("contact-unresolvable", Severity::Critical, Confidence::Likely)
            };
            let samples = vec![Writer::sample(&long); SAMPLES];
            let leg = LegRecord {
                call_id: long.clone(),
                relation: LegRelation::Transfer,
                by: LegBy::SessionId,
                confidence: Confidence::Possible,
                peer: Some(long.clone()),
            };
            let mut alert = written(&config, &finding, Some(&identity(&long, &long)), standing(samples));
            alert.legs = vec![bounded(leg); LEGS];
            let line = json(alert);
            assert!(line.len() <= LINE_BYTES, "{} bytes with {filler:?}", line.len());
            assert!(line.contains("\"evidence_cut\":true"), "{line}");
        }
    }

    #[test]
    fn numbers_are_masked_in_every_field_by_default() {
        let finding = Finding {
            summary: "sip:+15551230001@a.example was refused".to_owned(),
            remedy: "Call +15551230001".to_owned(),
            evidence: vec![("contact", Value::from("<sip:+15551230001@192.168.1.20>".to_owned()))],
            ..Finding::new("x", Severity::Warning, Confidence::Certain)
        };
        let call = identity("call-1", "sip:+15551230001@a.example");
        let line = json(written(&EngineConfig::default(), &finding, Some(&call), standing(vec![])));
        assert!(!line.contains("5551230001"), "{line}");
        assert!(line.contains("192.168.1.20"), "{line}");
    }

    #[test]
    fn fields_that_do_not_apply_are_left_out_and_never_null() {
        let finding = Finding {
            evidence: vec![("mos", Value::from(f64::NAN)), ("sent", Value::from(3_u32))],
            ..Finding::new("x", Severity::Warning, Confidence::Certain)
        };
        let standing = Standing { links: vec![], calls: None, ..standing(vec![]) };
        let line = json(written(&EngineConfig::default(), &finding, None, standing));
        assert!(!line.contains("null"), "{line}");
        for field in ["fault", "call", "calls", "peer", "direction", "links", "host", "iface", "mos"] {
            assert!(!line.contains(&format!("\"{field}\":")), "{field} in {line}");
        }
    }

    #[test]
    fn the_duration_runs_from_the_answer_to_the_end_of_the_call() {
        let mut call = identity("c", "f");
        assert_eq!(duration_ms(&call, Timestamp::from_unix_ns(33_004_000_000)), Some(32_004));
        call.ended_at = Some(Timestamp::from_unix_ns(2_000_000_000));
        assert_eq!(duration_ms(&call, Timestamp::from_unix_ns(33_004_000_000)), Some(1_000));
        call.answered_at = None;
        assert_eq!(duration_ms(&call, Timestamp::from_unix_ns(33_004_000_000)), None);
    }

    #[test]
    fn a_one_way_condition_names_who_cannot_hear_whom() {
        let finding = Finding { deaf: Some(Side::Callee), ..Finding::new("x", Severity::Critical, Confidence::Likely) };
        let alert = written(&EngineConfig::default(), &finding, None, standing(vec![]));
        assert_eq!(alert.direction.as_deref(), Some("callee-cannot-hear-caller"));
    }
}
