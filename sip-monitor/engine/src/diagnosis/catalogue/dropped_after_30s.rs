//! The call is answered, works or seems to, and is cut off after 20 to 40 seconds.
//!
//! Half a minute is no time that people choose: it is 64*T1 without an ACK (32 s), the life of a NAT binding without traffic
//! (30 s), a media time-out (20 or 30 s), or a session timer set too low.
//!
//! **Evidence.** An answered call ends, or sends its first unanswered request within the dialog, 20 to 40 s after its 2xx, and
//! something shows that nobody hung up: the 2xx was never acknowledged, the request went to a NAT whose binding is gone,
//! one direction of media was missing all the time, the session interval is below its minimum, or the BYE says a reason other
//! than normal clearing. A BYE without any of these is a person who hangs up.
//!
//! **Usual causes.** A private Contact or an ALG (see `no-ack`), a phone behind NAT without keep-alives, one-way audio.
//!
//! **Remedy.** That of its cause.

use core::ops::RangeInclusive;
use core::time::Duration;

use crate::call::{Call, Hangup, HopView};
use crate::diagnosis::unacknowledged::given_up_with_the_call;
use crate::diagnosis::{
    Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, RequestName, Severity, UNKNOWN, Value,
};
use crate::dialog::Contact;
use crate::media::flow::{FlowState, Sight};
use crate::packet::{Direction, is_private};
use crate::record::Side;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Transaction};

/// An answered call that is cut off about half a minute after its 2xx.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "dropped-after-30s",
    layer: Layer::Call,
    title: "Answered call cut off after 20 to 40 seconds",
    causes: &[
        Cause {
            name: "no-ack",
            evidence: "the 2xx was never acknowledged, and its sender gave up after 64*T1",
            remedy: "As of no-ack: see the alert it links to",
        },
        Cause {
            name: "nat-binding-expired",
            evidence: "a request to a side behind NAT stays unanswered about 30 s after the last packet that came from there",
            remedy: "Send keep-alives from behind the NAT (OPTIONS or CRLF every 20 s), or raise the UDP time-out of the NAT",
        },
        Cause {
            name: "media-timeout",
            evidence: "Reason or text of a media time-out, or the side that hung up never received media",
            remedy: "Repair the missing direction of media; see one-way-audio",
        },
        Cause {
            name: "session-timer",
            evidence: "the session interval is below 90 s, the minimum of RFC 4028, and ran out",
            remedy: "Raise Session-Expires to 1800 s; 90 s is the lowest value allowed",
        },
        Cause {
            name: "reason-header",
            evidence: "the BYE carries a Reason with a cause that is no normal clearing",
            remedy: "Follow the cause: it names what the side that hung up ran into",
        },
    ],
    refs: &["RFC 3261 13.3.1.4", "RFC 3261 15", "RFC 3326", "RFC 4028 4"],
    asks: Asks::Call(judge),
    takes_over: &["request-unanswered", "session-timer-expired", "teardown-failed"],
};

/// How long after its 2xx a call must end to be one of these.
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(20)..=Duration::from_secs(40);
/// How far a timer's end may be from its nominal time: round trips and coarse clocks.
const SLACK: Duration = Duration::from_secs(2);
/// The lowest session interval (RFC 4028 4).
const MIN_SESSION_INTERVAL_S: u32 = 90;
/// A request sent so often (3.5 s) is unanswered.
const UNANSWERED_AFTER_REPEATS: u32 = 3;
/// A NAT forgets a flow without traffic after 30 s where it is in a hurry.
const BINDING_LIFE: Duration = Duration::from_secs(20);

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let call = facts.call;
    let answered_at = call.answered_at.filter(|_| call.setup_seen())?;
    let hangup =
        call.hangup.as_deref().filter(|h| h.method == MethodKind::Bye && WINDOW.contains(&h.at.since(answered_at)));
    let case = Case { facts, call, answered_at };
    hangup
        .and_then(|hangup| case.no_ack(hangup))
        .or_else(|| case.unanswered_request())
        .or_else(|| case.media_timeout(hangup?))
        .or_else(|| case.session_timer(hangup?))
        .or_else(|| case.reason_header(hangup?))
}

struct Case<'a> {
    facts: &'a CallFacts<'a>,
    call: &'a Call,
    answered_at: Timestamp,
}

impl Case<'_> {
    /// The answerer gives up 64*T1 after its 2xx. Where the other side hangs up just then, it is the same clock.
    fn no_ack(&self, hangup: &Hangup) -> Option<Finding> {
        let config = self.facts.config;
        let answer = self.call.answers.iter().find(|a| a.initial)?;
        let on_time = near(hangup.at.since(answer.first_at()), config.timers.give_up());
        let repeated = answer.goes_unacknowledged(config) && (hangup.side == Some(answer.side) || on_time);
        if !repeated && given_up_with_the_call(self.call, config).is_none() {
            return None;
        }
        let sent = answer.retransmissions() + 1;
        let times = if sent == 1 { "1 time".to_owned() } else { format!("{sent} times") };
        let summary = format!(
            "{} ended the call {} after the answer: the {} was sent {times} and never acknowledged",
            ender(hangup.side),
            self.after(hangup.at),
            answer.code
        );
        Some(Finding {
            rests_on_absence_since: Some(answer.first_at()),
            summary,
            remedy: "Repair what keeps the ACK away: the linked no-ack alert names it".into(),
            evidence: self.evidence(hangup.at, vec![("sent", sent.into())]),
            links: vec!["no-ack"],
            ..self.of_hangup(
                "no-ack",
                if repeated && on_time { Confidence::Certain } else { Confidence::Likely },
                hangup,
            )
        })
    }

    /// A request to the far side that stays unanswered, half a minute after anything came from there.
    fn unanswered_request(&self) -> Option<Finding> {
        let request = self.call.transactions.iter().find(|t| {
            matches!(t.method, MethodKind::Bye | MethodKind::Invite | MethodKind::Update)
                && t.in_dialog
                && self.is_unanswered(t)
        })?;
        let (sent_at, receiver) = (request.sent.first(), request.from?.other());
        let hop = self.call.path(request.path)?;
        if !WINDOW.contains(&sent_at.since(self.answered_at)) || hop.direction == Direction::In {
            return None;
        }
        let silent = sent_at.since(hop.last_back_at?);
        let name = request.method_name();
        let named = Finding {
            rests_on_absence_since: Some(sent_at),
            peer: Some(hop.dst),
            request: Some(RequestName { cseq: request.cseq, method: request.method.name().into() }),
            evidence: self.evidence(
                sent_at,
                vec![("silent_s", seconds(silent).into()), ("request", request.method.name().into())],
            ),
            ..Finding::new(UNKNOWN, Severity::Critical, Confidence::Likely)
        };
        let nat = self.nat_in_front_of(receiver, &hop).filter(|_| silent >= BINDING_LIFE);
        match nat {
            Some(contact) => Some(Finding {
                cause: "nat-binding-expired",
                fault: Some(Fault::Network),
                summary: format!(
                    "{name} to {} unanswered {} after the answer: nothing came from there for {:.0} s, and {} is behind NAT ({contact})",
                    hop.dst,
                    self.after(sent_at),
                    silent.as_secs_f64(),
                    who(Some(receiver)),
                ),
                remedy: format!(
                    "Let {} send keep-alives (OPTIONS or CRLF every 20 s), or raise the UDP time-out of its NAT",
                    hop.dst.ip()
                ),
                ..named
            }),
            // A BYE that nobody answers may still be a person who hung up: that is `teardown-failed`.
            None if request.method == MethodKind::Bye => None,
            None => Some(Finding {
                summary: format!("{name} to {} unanswered {} after the answer", hop.dst, self.after(sent_at)),
                remedy: format!("See whether {} still runs, and what lies between", hop.dst),
                ..named
            }),
        }
    }

    fn media_timeout(&self, hangup: &Hangup) -> Option<Finding> {
        if let Some(text) = said_why(hangup).find(|text| names_media_timeout(text)) {
            return Some(Finding {
                summary: format!("{} ended the call {} after the answer: \"{text}\"", ender(hangup.side), self.after(hangup.at)),
                remedy: "Repair the media that the side that hung up did not receive: its port range, NAT, or a hold without RTP".into(),
                evidence: self.evidence(hangup.at, vec![("reason", text.to_owned().into())]),
                links: vec!["one-way-audio", "blocked-rtp"],
                ..self.of_hangup("media-timeout", Confidence::Certain, hangup)
            });
        }
        let deaf = hangup.side?;
        let flows = self.call.media.flows(self.facts.media, self.facts.config, self.facts.now);
        let flow = flows.iter().find_map(|flows| {
            let (missing, other) = (flows.towards(deaf), flows.towards(deaf.other()));
            let absent = missing.state == FlowState::Absent && missing.sight > Sight::None;
            // Media that was due anew later (a re-INVITE, the end of a hold) was there before.
            let since_the_answer = missing.due_since <= self.answered_at + SLACK;
            (absent && since_the_answer && other.state == FlowState::Flowing && other.packets > 0).then_some(missing)
        })?;
        Some(Finding {
            rests_on_absence_since: Some(flow.due_since),
            summary: format!(
                "{} ended the call {} after the answer and had received no media at {} since then",
                ender(hangup.side),
                self.after(hangup.at),
                flow.endpoint
            ),
            remedy: format!("Repair media towards {}: the linked alert names what keeps it away", flow.endpoint),
            evidence: self.evidence(hangup.at, vec![("no_media_at", flow.endpoint.into())]),
            links: vec!["one-way-audio"],
            ..self.of_hangup(
                "media-timeout",
                if flow.sight == Sight::Full { Confidence::Likely } else { Confidence::Possible },
                hangup,
            )
        })
    }

    /// Who does not refresh sends BYE at SE - min(32 s, SE/3) after the last refresh (RFC 4028 10), or when SE has passed.
    fn session_timer(&self, hangup: &Hangup) -> Option<Finding> {
        let interval_s = self.call.session_interval_s.filter(|s| *s < MIN_SESSION_INTERVAL_S)?;
        let refreshed = self.call.transactions.iter().filter(|t| {
            let refreshes = matches!(t.method, MethodKind::Invite | MethodKind::Update);
            refreshes && t.final_response().is_some_and(|r| r.code < 300)
        });
        let last = refreshed.filter_map(|t| t.final_response()).map(|r| r.sent.first()).max()?;
        let interval = Duration::from_secs(interval_s.into());
        let early = interval - (interval / 3).min(Duration::from_secs(32));
        let since = hangup.at.since(last);
        (near(since, early) || near(since, interval)).then(|| Finding {
            summary: format!(
                "{} ended the call {} after the answer: Session-Expires is {interval_s} s, below the minimum of {MIN_SESSION_INTERVAL_S} s, and was not refreshed",
                ender(hangup.side),
                self.after(hangup.at)
            ),
            remedy: format!("Raise Session-Expires from {interval_s} s to 1800 s on the side that sets it"),
            evidence: self.evidence(hangup.at, vec![("session_expires_s", interval_s.into())]),
            ..self.of_hangup("session-timer", Confidence::Likely, hangup)
        })
    }

    fn reason_header(&self, hangup: &Hangup) -> Option<Finding> {
        let reason = hangup.reason.as_ref()?;
        let cause = reason.cause?;
        let is_normal = match reason.protocol.as_str().to_ascii_uppercase().as_str() {
            "Q.850" => matches!(cause, 0 | 16 | 31),
            "SIP" => cause < 300,
            _ => true,
        };
        if is_normal {
            return None;
        }
        let value = hangup.reason_header.as_ref().map_or_else(String::new, ToString::to_string);
        Some(Finding {
            summary: format!(
                "{} ended the call {} after the answer with the reason {} {cause}{}",
                ender(hangup.side),
                self.after(hangup.at),
                reason.protocol,
                reason.text.as_ref().map_or_else(String::new, |text| format!(" \"{text}\"")),
            ),
            remedy: format!("See on the side that hung up what made it give {} {cause}", reason.protocol),
            evidence: self.evidence(hangup.at, vec![("reason", value.into())]),
            ..self.of_hangup("reason-header", Confidence::Certain, hangup)
        })
    }

    fn of_hangup(&self, cause: &'static str, confidence: Confidence, hangup: &Hangup) -> Finding {
        let peer =
            self.call.path(hangup.path).map(|hop| if hop.direction == Direction::In { hop.src } else { hop.dst });
        Finding {
            peer,
            request: Some(RequestName { cseq: hangup.cseq, method: "BYE".into() }),
            ..Finding::new(cause, Severity::Critical, confidence)
        }
    }

    fn is_unanswered(&self, request: &Transaction) -> bool {
        !request.is_answered()
            && (request.timed_out.is_some() || request.sent.retransmissions() >= UNANSWERED_AFTER_REPEATS)
    }

    /// What shows that a side is behind NAT: its Contact or its Via names another address than its packets come from.
    fn nat_in_front_of(&self, side: Side, hop: &HopView) -> Option<String> {
        let dialog = self.call.main_dialog()?;
        let source = hop.dst.ip();
        let contact = dialog.target_of(side).and_then(Contact::address);
        if let Some(contact) = contact.filter(|contact| *contact != source && is_private(*contact)) {
            return Some(format!("its Contact is {contact}"));
        }
        let mut own = self.call.transactions.iter().filter(|t| t.from == Some(side));
        own.find_map(|t| {
            let sender = self.call.path(t.path)?.src;
            let sent_by = t.sent_by.as_str();
            let host =
                crate::sip::Host::parse(sent_by.rsplit_once(':').map_or(sent_by, |(host, _)| host).as_bytes()).ip()?;
            (sender == hop.dst && host != sender.ip() && is_private(host)).then(|| format!("its Via names {host}"))
        })
    }

    fn after(&self, at: Timestamp) -> String {
        format!("{:.1} s", at.since(self.answered_at).as_secs_f64())
    }

    fn evidence(&self, at: Timestamp, more: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
        let mut evidence = vec![("after_s", seconds(at.since(self.answered_at)).into())];
        if let Some(side) = self.call.hangup.as_ref().and_then(|h| h.side) {
            evidence.push(("ended_by", if side == Side::Caller { "caller".into() } else { "callee".into() }));
        }
        evidence.extend(more);
        evidence
    }
}

/// At the beginning of a sentence.
fn ender(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Caller) => "The caller",
        Some(Side::Callee) => "The callee",
        None => "One side",
    }
}

fn who(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Caller) => "the caller",
        Some(Side::Callee) => "the callee",
        None => "one side",
    }
}

fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

fn near(span: Duration, nominal: Duration) -> bool {
    span.abs_diff(nominal) <= SLACK
}

/// Everything in a BYE that tells why it was sent.
fn said_why(hangup: &Hangup) -> impl Iterator<Item = &str> {
    let reason = hangup.reason.as_ref().and_then(|reason| reason.text.as_ref());
    [reason, hangup.reason_header.as_ref(), hangup.text.as_ref()].into_iter().flatten().map(|text| text.as_str())
}

fn names_media_timeout(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let about_media = ["rtp", "media", "rtcp"].iter().any(|word| text.contains(word));
    let missing =
        ["timeout", "time-out", "time out", "timed out", "inactiv", "no rtp", "no media", "not received", "lost"];
    about_media && missing.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_time_outs_are_named_in_many_ways() {
        for text in
            ["RTP Timeout", "media-timeout", "Media inactivity", "no RTP received", "RTCP timed out", "DTLS media lost"]
        {
            assert!(names_media_timeout(text), "{text}");
        }
        for text in ["Normal call clearing", "Media not supported", "session timeout", "Recovery on timer expiry"] {
            assert!(!names_media_timeout(text), "{text}");
        }
    }
}
