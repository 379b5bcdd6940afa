//! What RFC 6076 measures of each trunk, and how good its audio is, as sums that only grow: ratios are for who reads them to
//! make, over whichever time. Peers that are no configured trunk are one, and so are this host's own addresses.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{Buckets, CodeLabel, codec_label};
use crate::quality::Interval;
use crate::record::MediaWay;

/// Name of all peers that are no configured trunk, and of trunks for which there is no room.
pub const OTHER: &str = "other";
/// Name of this host's own addresses: what it answers and refuses itself.
pub const LOCAL: &str = "local";

/// One thing that is measured of a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// A call was sent to it.
    Attempt,
    /// It made a call.
    Incoming,
    /// Final response to a call; 0 is none.
    Outcome(u16),
    /// It rang or was answered: Session Request Delay (RFC 6076 4.3.1).
    Rang(Duration),
    /// It failed: Session Request Delay (4.3.2).
    Failed(Duration),
    /// A call was ended by a BYE that was answered (4.9).
    Completed {
        /// From the BYE to its answer: Session Disconnect Delay (4.4).
        disconnect: Duration,
        /// From the answer to the BYE: Session Duration Time (4.5.1).
        talked: Option<Duration>,
    },
    /// A call was ended by a BYE that was not answered: Session Duration Time (4.5.2).
    HungUpInVain(Duration),
    /// A registration: Registration Request Delay (4.1).
    Registered(Duration),
    /// A registration failed (4.2).
    RegistrationFailed,
}

/// Sums of one trunk.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Calls sent to it.
    pub attempts: u64,
    /// Calls that it made.
    pub incoming: u64,
    /// Final responses to the calls sent to it.
    pub outcomes: BTreeMap<CodeLabel, u64>,
    /// Calls sent to it that it did not answer at all.
    pub unanswered: u64,
    /// Answered with a 2xx.
    pub answered: u64,
    /// Answered with a 3xx.
    pub redirected: u64,
    /// Answered by what the user did (RFC 6076 4.7).
    pub effective: u64,
    /// Failed since the peer could not (4.8).
    pub ineffective: u64,
    /// Answered and ended by a BYE that was answered (4.9).
    pub completed: u64,
    /// Registrations that came to an end.
    pub registrations: u64,
    /// Those that failed (4.2).
    pub registrations_failed: u64,
    /// Registration Request Delay, seconds (4.1).
    pub rrd: Buckets,
    /// Session Request Delay of calls that rang or were answered, seconds (4.3.1).
    pub srd: Buckets,
    /// The same of those that failed (4.3.2).
    pub srd_failed: Buckets,
    /// Session Disconnect Delay, seconds (4.4).
    pub sdd: Buckets,
    /// Session Duration Time, seconds, of calls whose BYE was answered (4.5.1).
    pub sdt: Buckets,
    /// The same of those whose BYE was not (4.5.2).
    pub sdt_failed: Buckets,
    /// Audio by codec and way.
    pub audio: BTreeMap<(&'static str, MediaWay), Audio>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            attempts: 0,
            incoming: 0,
            outcomes: BTreeMap::new(),
            unanswered: 0,
            answered: 0,
            redirected: 0,
            effective: 0,
            ineffective: 0,
            completed: 0,
            registrations: 0,
            registrations_failed: 0,
            rrd: Buckets::new(Buckets::DELAY_S),
            srd: Buckets::new(Buckets::SETUP_S),
            srd_failed: Buckets::new(Buckets::SETUP_S),
            sdd: Buckets::new(Buckets::DELAY_S),
            sdt: Buckets::new(Buckets::TALK_S),
            sdt_failed: Buckets::new(Buckets::TALK_S),
            audio: BTreeMap::new(),
        }
    }
}

impl Ledger {
    fn add(&mut self, measure: Measure) {
        match measure {
            Measure::Attempt => self.attempts += 1,
            Measure::Incoming => self.incoming += 1,
            Measure::Outcome(code) => self.outcome(code),
            Measure::Rang(delay) => self.srd.add(delay.as_secs_f64()),
            Measure::Failed(delay) => self.srd_failed.add(delay.as_secs_f64()),
            Measure::Completed { disconnect, talked } => {
                self.completed += 1;
                self.sdd.add(disconnect.as_secs_f64());
                talked.into_iter().for_each(|talked| self.sdt.add(talked.as_secs_f64()));
            }
            Measure::HungUpInVain(talked) => self.sdt_failed.add(talked.as_secs_f64()),
            Measure::Registered(delay) => {
                self.registrations += 1;
                self.rrd.add(delay.as_secs_f64());
            }
            Measure::RegistrationFailed => {
                self.registrations += 1;
                self.registrations_failed += 1;
            }
        }
    }

    fn outcome(&mut self, code: u16) {
        match code {
            0 => self.unanswered += 1,
            code => *self.outcomes.entry(CodeLabel::of(code)).or_default() += 1,
        }
        self.answered += u64::from((200..300).contains(&code));
        self.redirected += u64::from((300..400).contains(&code));
        self.effective += u64::from(is_effective(code));
        self.ineffective += u64::from(is_ineffective(code));
    }
}

/// Answered by what the user did: 2xx, 480, 486, 600, 603 (RFC 6076 4.7).
#[must_use]
pub const fn is_effective(code: u16) -> bool {
    matches!(code, 200..300 | 480 | 486 | 600 | 603)
}

/// Failed since the peer could not: 408, 500, 503, 504 or no answer (4.8).
#[must_use]
pub const fn is_ineffective(code: u16) -> bool {
    matches!(code, 0 | 408 | 500 | 503 | 504)
}

/// Audio of one codec from or to a trunk, by intervals of 10 s.
#[derive(Clone, Debug)]
pub struct Audio {
    /// Packets that should have come.
    pub expected: u64,
    /// Those that did not.
    pub lost: u64,
    /// MOS of each interval.
    pub mos: Buckets,
    /// Mean jitter of each interval, seconds.
    pub jitter: Buckets,
    /// Share lost of each interval.
    pub loss: Buckets,
}

impl Audio {
    fn new() -> Self {
        Self {
            expected: 0,
            lost: 0,
            mos: Buckets::new(Buckets::MOS),
            jitter: Buckets::new(Buckets::JITTER_S),
            loss: Buckets::new(Buckets::LOSS_RATIO),
        }
    }

    fn add(&mut self, interval: &Interval) {
        self.expected += interval.expected;
        self.lost += interval.lost.min(interval.expected);
        if let Some(score) = &interval.score {
            self.mos.add(score.mos);
        }
        if let Some(ms) = interval.jitter_ms {
            self.jitter.add(ms / 1e3);
        }
        self.loss.add(interval.loss_percent() / 100.0);
    }
}

/// The ledgers of all trunks.
#[derive(Clone, Debug)]
pub struct Ledgers {
    by_name: Vec<(Box<str>, Ledger)>,
    limit: usize,
}

impl Ledgers {
    /// Which ledger is that of peers without a trunk.
    pub(crate) const OTHER: u16 = 0;
    /// Which is this host's own.
    pub(crate) const LOCAL: u16 = 1;

    /// With room for so many trunks.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let by_name = [OTHER, LOCAL].map(|name| (name.into(), Ledger::default())).into();
        Self { by_name, limit: limit.min(usize::from(u16::MAX) - 2) }
    }

    /// The ledger of a trunk, opened where it is new: a trunk of the same name goes on with it, also after a reload.
    pub(crate) fn open(&mut self, trunk: &str) -> u16 {
        if let Some(index) = self.by_name.iter().position(|(name, _)| **name == *trunk) {
            return u16::try_from(index).unwrap_or(Self::OTHER);
        }
        if self.by_name.len() - 2 >= self.limit {
            return Self::OTHER;
        }
        self.by_name.push((trunk.into(), Ledger::default()));
        u16::try_from(self.by_name.len() - 1).unwrap_or(Self::OTHER)
    }

    /// Puts a measure down.
    pub(crate) fn add(&mut self, ledger: u16, measure: Measure) {
        if let Some((_, ledger)) = self.by_name.get_mut(usize::from(ledger)) {
            ledger.add(measure);
        }
    }

    /// Puts an interval of audio down.
    pub(crate) fn hear(&mut self, ledger: u16, codec: &str, way: MediaWay, interval: &Interval) {
        if let Some((_, ledger)) = self.by_name.get_mut(usize::from(ledger)) {
            ledger.audio.entry((codec_label(codec), way)).or_insert_with(Audio::new).add(interval);
        }
    }

    /// Each with its name: `other`, `local`, then trunks in the order they were first configured.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Ledger)> {
        self.by_name.iter().map(|(name, ledger)| (&**name, ledger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_beyond_the_limit_are_other() {
        let mut ledgers = Ledgers::new(2);
        let opened = ["a", "b", "c", "a"].map(|name| ledgers.open(name));
        assert_eq!(opened, [2, 3, Ledgers::OTHER, 2]);
        ledgers.add(opened[2], Measure::Attempt);
        let names: Vec<_> = ledgers.iter().map(|(name, ledger)| (name, ledger.attempts)).collect();
        assert_eq!(names, [("other", 1), ("local", 0), ("a", 0), ("b", 0)]);
    }

    #[test]
    fn no_name_stands_there_twice() {
        let mut ledgers = Ledgers::new(2);
        assert_eq!(["other", "local"].map(|name| ledgers.open(name)), [Ledgers::OTHER, Ledgers::LOCAL]);
        assert_eq!(ledgers.iter().count(), 2);
    }

    #[test]
    fn numerators_and_denominators_are_those_of_rfc_6076() {
        let mut ledgers = Ledgers::new(0);
        for code in [200, 200, 486, 302, 503, 0, 404, 480] {
            ledgers.add(0, Measure::Outcome(code));
        }
        let (_, ledger) = ledgers.iter().next().unwrap();
        assert_eq!((ledger.answered, ledger.redirected, ledger.effective, ledger.ineffective), (2, 1, 4, 2));
        assert_eq!(ledger.outcomes.values().sum::<u64>() + ledger.unanswered, 8);
    }

    #[test]
    fn codecs_of_any_name_share_few_labels() {
        let mut ledgers = Ledgers::new(0);
        let interval = Interval {
            from: crate::time::Timestamp::ZERO,
            until: crate::time::Timestamp::ZERO,
            expected: 500,
            lost: 5,
            burst_ratio: None,
            jitter_ms: Some(4.0),
            jitter_floor_ms: None,
            score: None,
        };
        for n in 0..1_000 {
            ledgers.hear(0, &format!("codec-{n}"), MediaWay::From, &interval);
        }
        let (_, ledger) = ledgers.iter().next().unwrap();
        assert_eq!(ledger.audio.len(), 1);
        let audio = &ledger.audio[&("other", MediaWay::From)];
        assert_eq!((audio.expected, audio.lost, audio.mos.count(), audio.loss.count()), (500_000, 5_000, 0, 1_000));
    }
}
