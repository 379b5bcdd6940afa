//! Source addresses that knock: how many of their requests are refused, for how many users, and how fast they call. Facts
//! over the last minute, bounded: a source that is accepted leaves little more than a counter.

mod calling;
mod table;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;

use crate::text::StoredText;
use crate::time::Timestamp;

use calling::Calling;
pub use calling::{Fate, Flood, Step};
pub use table::SourceTable;

/// What is counted is counted over this long.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How long credentials may follow a challenge before the request counts as refused.
const DIGEST_WITHIN: Duration = Duration::from_secs(1);
/// Refusals kept for one source.
const REFUSALS_KEPT: usize = 64;
/// Requests with credentials remembered for one source, so that their refusals are known as such.
const DIGESTS_KEPT: usize = 64;
/// Refused requests that make an enumeration, and over how many users.
const ENUMERATION: (usize, usize) = (20, 10);
/// Users refused that may be the beginning of an enumeration: until its window has passed nobody can tell.
const PROBED_USERS: usize = 3;
/// Bindings of one source that are told of as failed and may turn out to be part of a scan.
const KNOCKED_KEPT: usize = 32;
/// Refused requests of a source that is turned away, where none says so by itself.
const TURNED_AWAY: u32 = 3;
/// Refused credentials of one user that make brute force: a phone with a wrong password asks far less often.
const BRUTE_FORCE: usize = 8;

/// One source address.
#[derive(Debug)]
pub struct Source {
    /// The address.
    pub addr: IpAddr,
    /// Where it sent last.
    pub target: SocketAddr,
    /// User-Agent of a known scanner, and when it was seen last.
    pub tool: Option<(StoredText, Timestamp)>,
    /// It tries users: refused requests and users of a minute at their most.
    pub enumeration: Option<(u32, u32)>,
    /// It tries passwords: the user and how many were refused within a minute at their most.
    pub brute_force: Option<(StoredText, u32)>,
    /// A user whose credentials were accepted after others of the same user were refused.
    pub login: Option<StoredText>,
    /// From when on its refused requests belong to the last scan, and until when; without an end while that goes on.
    scan: Option<(Timestamp, Option<Timestamp>)>,
    /// Several users of it are refused and it is let in as hardly any: how many at their most.
    pub probing: Option<u32>,
    /// INVITEs and REGISTERs accepted since it was first seen.
    pub accepted: u32,
    /// Requests of it that were refused since it was first seen, for who it is or whom it asked for. A challenge that it
    /// answered is none.
    refused: u32,
    /// It was told that it may not: 403, or its credentials were refused.
    forbidden: bool,
    /// First and last of what made it suspicious.
    pub since: Timestamp,
    /// Bindings that were told of as failed, the last of them.
    knocked: VecDeque<u64>,
    refusals: VecDeque<RefusedRequest>,
    digests: VecDeque<(u64, u64)>,
    calling: Calling,
    last_at: Timestamp,
    due: Timestamp,
}

#[derive(Debug)]
struct RefusedRequest {
    /// When it counts.
    at: Timestamp,
    user: u64,
    name: StoredText,
    /// It carried credentials.
    digest: bool,
    call_id: u64,
    nonce: Option<u64>,
}

impl Source {
    fn new(addr: IpAddr, target: SocketAddr, now: Timestamp) -> Self {
        Self {
            addr,
            target,
            tool: None,
            enumeration: None,
            brute_force: None,
            login: None,
            scan: None,
            probing: None,
            accepted: 0,
            refused: 0,
            forbidden: false,
            since: now,
            knocked: VecDeque::new(),
            refusals: VecDeque::new(),
            digests: VecDeque::new(),
            calling: Calling::new(now),
            last_at: now,
            due: Timestamp::MAX,
        }
    }

    /// It scans, as far as the last minute shows.
    #[must_use]
    pub const fn is_scanning(&self) -> bool {
        self.tool.is_some() || self.enumeration.is_some() || self.brute_force.is_some()
    }

    /// It was turned away. One wrong number or one challenge is no more than everyday traffic.
    #[must_use]
    pub const fn was_refused(&self) -> bool {
        self.forbidden || self.refused >= TURNED_AWAY
    }

    /// Whether what happened at that time was part of a scan.
    #[must_use]
    pub fn scanned_at(&self, at: Timestamp) -> bool {
        self.scan.is_some_and(|(from, until)| from <= at && until.is_none_or(|until| at <= until))
    }

    /// Remembers since when it scans, and until when it did. What makes a scan lies up to a window before it shows.
    fn note_scan(&mut self, now: Timestamp) {
        self.scan = match (self.is_scanning(), self.scan) {
            (true, Some((from, None))) => Some((from, None)),
            (true, Some((from, Some(until)))) if now.since(until) < WINDOW => Some((from, None)),
            (true, Some(_) | None) => Some((now - WINDOW, None)),
            (false, Some((from, None))) => Some((from, Some(now))),
            (false, scan) => scan,
        };
    }

    /// It calls faster than the threshold, and what becomes of that is known.
    #[must_use]
    pub fn flood(&self) -> Option<(Flood, Fate)> {
        let flood = self.calling.flood?;
        Some((flood, flood.fate?))
    }

    /// Counts anew at `now`. Returns whether something began, grew to another kind, or ended.
    fn count(&mut self, now: Timestamp) -> bool {
        let before = self.kind();
        self.refusals.retain(|refused| now.since(refused.at) < WINDOW || refused.at > now);
        let counted = || self.refusals.iter().filter(|refused| refused.at <= now);
        let refused = counted().count();
        let mut users: Vec<u64> = counted().map(|refused| refused.user).collect();
        users.sort_unstable();
        users.dedup();
        // Whoever is let in as a rule is no scanner: an office behind one address has its wrong passwords too.
        let is_stranger = (self.accepted as usize) * 4 < refused;
        let tries = |user: u64| counted().filter(|refused| refused.digest && refused.user == user).count();
        let most = users.iter().copied().max_by_key(|user| tries(*user)).filter(|user| tries(*user) >= BRUTE_FORCE);
        if refused >= ENUMERATION.0 && users.len() >= ENUMERATION.1 && is_stranger {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let (most_refused, most_users) = self.enumeration.unwrap_or_default();
            self.enumeration = Some((most_refused.max(count(refused)), most_users.max(count(users.len()))));
        }
        let probed = u32::try_from(users.len()).unwrap_or(u32::MAX);
        self.probing = if users.len() >= PROBED_USERS && is_stranger {
            self.probing.max(Some(probed))
        } else {
            self.probing.filter(|_| refused > 0 && is_stranger)
        };
        if let Some(user) = most {
            let tried = u32::try_from(tries(user)).unwrap_or(u32::MAX);
            let name = counted().find(|refused| refused.user == user).map(|refused| refused.name.clone());
            let before = self.brute_force.as_ref().map_or(0, |(_, tried)| *tried);
            self.brute_force = Some((name.unwrap_or_default(), tried.max(before)));
        }
        if self.tool.as_ref().is_some_and(|(_, at)| now.since(*at) >= WINDOW) {
            self.tool = None;
        }
        if self.refusals.is_empty() {
            (self.enumeration, self.brute_force, self.login) = (None, None, None);
        }
        self.note_scan(now);
        let flood_changed = self.calling.look(now);
        if before == (false, false, false, false) {
            self.since = now;
        }
        self.kind() != before || flood_changed
    }

    fn kind(&self) -> (bool, bool, bool, bool) {
        let (enumerates, forces) = (self.enumeration.is_some(), self.brute_force.is_some());
        (self.tool.is_some(), enumerates, forces, self.login.is_some())
    }

    fn is_suspicious(&self) -> bool {
        self.kind() != (false, false, false, false) || self.calling.flood.is_some()
    }

    /// When counting anew may change something.
    fn next_due(&self, now: Timestamp) -> Timestamp {
        let settles = self.refusals.iter().map(|refused| refused.at).filter(|at| *at > now).min();
        let empties = self.refusals.back().map(|last| last.at + WINDOW);
        let tool = self.tool.as_ref().map(|(_, at)| *at + WINDOW);
        let flood = self.calling.due();
        let due = [settles, empties, tool, flood].into_iter().flatten().filter(|at| *at > now).min();
        due.unwrap_or(self.last_at + WINDOW * 10).max(now + Duration::from_millis(1))
    }
}

/// User agents that only scanners call themselves.
#[must_use]
pub fn is_scanner(user_agent: &[u8]) -> bool {
    const TOOLS: [&[u8]; 13] = [
        b"friendly-scanner",
        b"friendly-request",
        b"sipvicious",
        b"sundayddr",
        b"sip-scan",
        b"sipscan",
        b"sipcli",
        b"svmap",
        b"svwar",
        b"svcrack",
        b"siparmyknife",
        b"iwar",
        b"pplsip",
    ];
    TOOLS.iter().any(|tool| user_agent.get(..tool.len()).is_some_and(|head| head.eq_ignore_ascii_case(tool)))
}
