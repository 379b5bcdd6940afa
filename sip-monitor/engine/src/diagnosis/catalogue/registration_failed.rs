//! A registration is refused or stays unanswered: the phone or trunk is not reachable for calls.
//!
//! The phone shows "registration failed", or calls to it go nowhere while it looks fine; a trunk takes no calls in.
//!
//! **Evidence.** The last REGISTER of the address of record, after its challenge: `credentials` (refused again for the nonce it
//! answered, 403 with a digest, or no digest at all for 64 s), `forbidden` (403 without a digest, or words about something else
//! than the password), `not-found` (404), `interval-too-brief` (423 more than once), `loop` (482, 483), `unanswered` (sent four
//! times, 3.5 s, or 64*T1 without a response, or 408). A challenge that is answered, a nonce that was too old, and one 423 are
//! the normal course. Within a scan it belongs to `scan`: a refusal of a client that was never let in is told after 2 s, where several
//! users of one source are refused after a minute, and then as one alert.
//!
//! **Usual causes.** A wrong password or user, an account that does not exist at that registrar or domain, a registrar that is
//! down or firewalled, an interval shorter than the registrar allows.
//!
//! **Remedy.** As of the cause; user, realm and registrar are told.

use crate::diagnosis::bound::{client, finding, registrar};
use crate::diagnosis::phrase::Topic;
use crate::diagnosis::{
    Asks, Cause, Confidence, Diagnosis, Finding, Layer, RegistrationFacts, Severity, UNKNOWN, Value,
};
use crate::packet::Direction;
use crate::registration::RegisterFailure;
use crate::registration::binding::{PROBING_WAITS, STRANGER_WAITS};

/// A REGISTER that fails.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "registration-failed",
    layer: Layer::Registration,
    title: "Registration refused or unanswered",
    causes: &[
        Cause {
            name: "credentials",
            evidence: "refused with a digest for the nonce of the challenge, 403 with a digest, or no digest for 64 s",
            remedy: "Correct user name and password on the client",
        },
        Cause {
            name: "forbidden",
            evidence: "403 without a digest, or with words about something else than the password",
            remedy: "Have the account or the address admitted at the registrar",
        },
        Cause {
            name: "not-found",
            evidence: "404: the registrar does not know the address of record",
            remedy: "Correct user and domain on the client, or create the account",
        },
        Cause {
            name: "interval-too-brief",
            evidence: "423 more than once in a row",
            remedy: "Ask for at least Min-Expires",
        },
        Cause {
            name: "unanswered",
            evidence: "sent four times or for 64*T1 without a response, or answered with 408",
            remedy: "See whether the registrar is up and the path to it open",
        },
        Cause {
            name: "loop",
            evidence: "482 or 483",
            remedy: "Correct the route or the domain that leads back to the same proxy",
        },
    ],
    refs: &["RFC 3261 10.2", "RFC 3261 10.3", "RFC 3261 22"],
    asks: Asks::Registration(judge),
    takes_over: &[],
};

fn judge(facts: &RegistrationFacts<'_>) -> Option<Finding> {
    let failure = facts.binding.failure.as_ref().filter(|_| !facts.scanning)?;
    let case = Case { facts, failure };
    if case.may_be_a_scan() {
        return None;
    }
    let finding = match failure.code {
        // What a firewall keeps out that was refused before is its purpose.
        0 if facts.kept_out => Finding { severity: Severity::Info, ..case.unanswered() },
        0 | 408 => case.unanswered(),
        401 | 407 => case.credentials(Confidence::Certain),
        403 => case.forbidden(),
        404 => case.not_found(),
        423 => case.too_brief(),
        482 | 483 => case.looped(),
        _ => case.unknown(),
    };
    Some(match case.probing() {
        Some(users) => case.one_of(users, finding),
        None => finding,
    })
}

struct Case<'a> {
    facts: &'a RegistrationFacts<'a>,
    failure: &'a RegisterFailure,
}

impl Case<'_> {
    /// Whether a client that was never let in may yet turn out to be a scanner: the first refusals of a scan look like those of
    /// a telephone with a wrong password.
    fn may_be_a_scan(&self) -> bool {
        let waits = if self.probing().is_some() { PROBING_WAITS } else { STRANGER_WAITS };
        self.is_of_a_stranger() && !self.facts.over && self.facts.now < self.failure.since + waits
    }

    fn is_of_a_stranger(&self) -> bool {
        let binding = self.facts.binding;
        let challenged_only = matches!(self.failure.code, 401 | 407) && self.failure.credentials.is_empty();
        matches!(self.failure.code, 401 | 403 | 404 | 407)
            && !challenged_only
            && binding.registered_at.is_none()
            && binding.direction != Direction::Out
    }

    /// How many users of the same source are refused, where that was known before this one was told of.
    fn probing(&self) -> Option<u32> {
        self.facts.binding.refused_among.filter(|_| self.is_of_a_stranger())
    }

    /// Many users of one source that are refused for one reason are one condition.
    fn one_of(&self, users: u32, finding: Finding) -> Finding {
        let source = self.facts.binding.source.ip();
        let mut evidence = finding.evidence;
        evidence.push(("users_refused", users.into()));
        Finding {
            summary: format!("{}; {users} users of {source} were refused within a minute", finding.summary),
            remedy: format!("{}; block {source} if it is nobody's you know", finding.remedy),
            evidence,
            identity: None,
            ..finding
        }
    }

    fn status(&self) -> String {
        format!("{} {}", self.failure.code, self.failure.phrase).trim_end().to_owned()
    }

    fn finding(&self, cause: &'static str, confidence: Confidence, more: Vec<(&'static str, Value)>) -> Finding {
        let mut evidence: Vec<(&'static str, Value)> = Vec::new();
        if self.failure.code != 0 {
            evidence.push(("code", u32::from(self.failure.code).into()));
            evidence.push(("phrase", self.failure.phrase.to_string().into()));
        }
        evidence.extend(more);
        Finding {
            fault: client(self.facts.binding),
            ..finding(self.facts, cause, Severity::Warning, confidence, evidence)
        }
    }

    fn credentials(&self, confidence: Confidence) -> Finding {
        let binding = self.facts.binding;
        let Some(own) = self.failure.credentials.first() else {
            return Finding {
                rests_on_absence_since: Some(binding.last_at),
                summary: format!(
                    "{} asked {} for credentials and got none within 64 s: {} is not registered",
                    binding.registrar, binding.source, binding.aor
                ),
                remedy: format!("Configure user name and password of {} on {}", binding.aor, binding.source.ip()),
                ..self.finding("credentials", Confidence::Likely, Vec::new())
            };
        };
        let evidence: Vec<(&'static str, Value)> = vec![("realm", own.realm.to_string().into())];
        Finding {
            summary: format!(
                "{} refused to register {} with {} though the REGISTER carried a digest of sip:{}@{}",
                binding.registrar,
                binding.aor,
                self.status(),
                own.username,
                own.realm
            ),
            remedy: format!(
                "Check user name and password for realm \"{}\" on {} against the account at {}",
                own.realm,
                binding.source.ip(),
                binding.registrar.ip()
            ),
            ..self.finding("credentials", confidence, evidence)
        }
    }

    fn forbidden(&self) -> Finding {
        let with_digest = !self.failure.credentials.is_empty();
        match Topic::of_text(self.failure.phrase.as_str()) {
            Some(Topic::Credentials) if with_digest => return self.credentials(Confidence::Certain),
            None if with_digest => return self.credentials(Confidence::Likely),
            Some(_) | None => {}
        }
        let binding = self.facts.binding;
        Finding {
            summary: format!(
                "{} forbids {} to register {}: {}",
                binding.registrar,
                binding.source,
                binding.aor,
                self.status()
            ),
            remedy: format!(
                "Have {} admitted at {}: account enabled, address {} on its list",
                binding.aor,
                binding.registrar.ip(),
                binding.source.ip()
            ),
            ..self.finding("forbidden", Confidence::Certain, Vec::new())
        }
    }

    fn not_found(&self) -> Finding {
        let binding = self.facts.binding;
        Finding {
            summary: format!("{} does not know {}: {}", binding.registrar, binding.aor, self.status()),
            remedy: format!(
                "Check user and domain of {} on {}, or create the account at {}",
                binding.aor,
                binding.source.ip(),
                binding.registrar.ip()
            ),
            ..self.finding("not-found", Confidence::Certain, Vec::new())
        }
    }

    fn too_brief(&self) -> Finding {
        let binding = self.facts.binding;
        let asked = binding.asked_s.map_or_else(|| "no Expires".to_owned(), |s| format!("{s} s"));
        let least = self.failure.min_expires_s.map_or_else(|| "more".to_owned(), |s| format!("at least {s} s"));
        let mut evidence: Vec<(&'static str, Value)> = Vec::new();
        evidence.extend(binding.asked_s.map(|s| ("expires_asked_s", s.into())));
        evidence.extend(self.failure.min_expires_s.map(|s| ("min_expires_s", s.into())));
        Finding {
            summary: format!(
                "{} refuses to register {} again and again: asked for is {asked}, wanted {least}",
                binding.registrar, binding.aor
            ),
            remedy: format!("Set the registration interval on {} to {least}", binding.source.ip()),
            ..self.finding("interval-too-brief", Confidence::Certain, evidence)
        }
    }

    fn unanswered(&self) -> Finding {
        let binding = self.facts.binding;
        let (how, confidence) = if self.failure.code == 408 {
            (format!("was answered with {}", self.status()), Confidence::Certain)
        } else {
            (format!("was sent {} times and not answered", self.failure.sent.max(1)), Confidence::Likely)
        };
        Finding {
            rests_on_absence_since: (self.failure.code == 0).then_some(binding.last_at),
            fault: registrar(binding),
            summary: format!("The REGISTER of {} from {} to {} {how}", binding.aor, binding.source, binding.registrar),
            remedy: format!(
                "See whether a registrar runs at {} and whether firewalls let {} through both ways",
                binding.registrar,
                binding.source.ip()
            ),
            ..self.finding("unanswered", confidence, vec![("sent", self.failure.sent.into())])
        }
    }

    fn looped(&self) -> Finding {
        let binding = self.facts.binding;
        Finding {
            fault: registrar(binding),
            summary: format!(
                "The REGISTER of {} ran in a circle: {} says {}",
                binding.aor,
                binding.registrar,
                self.status()
            ),
            remedy: format!(
                "Correct the route of the domain of {} at {}: it leads back to a proxy already passed",
                binding.aor,
                binding.registrar.ip()
            ),
            ..self.finding("loop", Confidence::Certain, Vec::new())
        }
    }

    fn unknown(&self) -> Finding {
        let binding = self.facts.binding;
        Finding {
            fault: if self.failure.code >= 500 { registrar(binding) } else { None },
            summary: format!("{} refused to register {}: {}", binding.registrar, binding.aor, self.status()),
            remedy: format!("See the log of the registrar {} for {}", binding.registrar.ip(), binding.aor),
            ..self.finding(UNKNOWN, Confidence::Certain, Vec::new())
        }
    }
}
