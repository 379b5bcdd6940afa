//! All sources, by address.

use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{DIGEST_WITHIN, DIGESTS_KEPT, KNOCKED_KEPT, REFUSALS_KEPT, RefusedRequest, Source, Step, is_scanner};
use crate::packet::Direction;
use crate::seen::Seen;
use crate::sip::{Auth, HeaderName};
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::MethodKind;

/// Sources kept.
const SOURCES_KEPT: usize = 16_384;
/// Longest user name kept, bytes.
const NAME_BYTES: usize = 64;

/// All sources that were refused, call, or are known by their User-Agent.
#[derive(Debug, Default)]
pub struct SourceTable {
    by_addr: HashMap<IpAddr, Source, RandomState>,
    due: BTreeSet<(Timestamp, IpAddr)>,
    hasher: RandomState,
    /// Sources that found no room.
    pub dropped: u64,
}

impl SourceTable {
    /// The source of that address.
    #[must_use]
    pub fn get(&self, addr: IpAddr) -> Option<&Source> {
        self.by_addr.get(&addr)
    }

    /// Sources now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_addr.is_empty()
    }

    /// Whether what comes from there is part of a scan.
    #[must_use]
    pub fn is_scanning(&self, addr: IpAddr) -> bool {
        self.by_addr.get(&addr).is_some_and(Source::is_scanning)
    }

    /// A binding from there is told of as failed. It is looked at again when it turns out to be part of a scan.
    pub(crate) fn note_knock(&mut self, addr: IpAddr, binding: u64) {
        let Some(source) = self.by_addr.get_mut(&addr).filter(|source| !source.knocked.contains(&binding)) else {
            return;
        };
        if source.knocked.len() >= KNOCKED_KEPT {
            source.knocked.pop_front();
        }
        source.knocked.push_back(binding);
    }

    /// The bindings at which a scanner has knocked so far: each is told of once.
    pub(crate) fn take_knocked(&mut self, addr: IpAddr) -> Vec<u64> {
        self.by_addr.get_mut(&addr).map(|source| source.knocked.drain(..).collect()).unwrap_or_default()
    }

    /// Takes a message that was not seen before. Returns the source to be judged.
    pub(crate) fn handle(&mut self, seen: &Seen<'_, '_>) -> Option<IpAddr> {
        match seen.code {
            None => self.handle_request(seen),
            Some(code) => self.handle_response(seen, code),
        }
    }

    /// Takes a step of a call that this address made; `threshold` is how many may begin within a second. Returns the source
    /// to be judged.
    pub(crate) fn note_call(&mut self, addr: IpAddr, step: Step, now: Timestamp, threshold: u32) -> Option<IpAddr> {
        let changed = self.by_addr.get_mut(&addr)?.calling.step(step, now, threshold);
        self.arm(addr, now);
        changed.then_some(addr)
    }

    fn handle_request(&mut self, seen: &Seen<'_, '_>) -> Option<IpAddr> {
        if seen.in_dialog() {
            return None;
        }
        let is_invite = seen.kind == MethodKind::Invite && seen.direction != Direction::Out;
        let tool = seen.message.user_agent().filter(|agent| is_scanner(agent));
        if tool.is_none() && !is_invite && !self.by_addr.contains_key(&seen.src.ip()) {
            return None;
        }
        let call_id = self.call_id(seen);
        let hasher = self.hasher.clone();
        let source = self.source(seen.src.ip(), seen.dst, seen.at)?;
        let mut changed = false;
        if let Some(agent) = tool {
            changed = source.tool.is_none();
            source.tool = Some((StoredText::new(agent, NAME_BYTES), seen.at));
            source.note_scan(seen.at);
        }
        if seen.has_credentials() {
            let values = seen.message.headers(HeaderName::Authorization);
            let values = values.chain(seen.message.headers(HeaderName::ProxyAuthorization));
            let nonces: Vec<u64> =
                values.filter_map(|value| Some(hasher.hash_one(Auth::parse(value).ok()?.nonce()?))).collect();
            // The challenge is answered: it was no refusal.
            let before = source.refusals.len();
            source.refusals.retain(|refused| {
                refused.digest
                    || refused.nonce.is_none()
                    || (refused.call_id != call_id && !refused.nonce.is_some_and(|nonce| nonces.contains(&nonce)))
            });
            let answered = u32::try_from(before - source.refusals.len()).unwrap_or(u32::MAX);
            source.refused = source.refused.saturating_sub(answered);
            if source.digests.len() >= DIGESTS_KEPT {
                source.digests.pop_front();
            }
            source.digests.push_back((call_id, u64::from(seen.cseq)));
        }
        self.arm(seen.src.ip(), seen.at);
        changed.then(|| seen.src.ip())
    }

    fn handle_response(&mut self, seen: &Seen<'_, '_>, code: u16) -> Option<IpAddr> {
        let asked = matches!(
            seen.kind,
            MethodKind::Invite | MethodKind::Register | MethodKind::Options | MethodKind::Subscribe
        );
        // What this host itself dials is no scan, however many numbers are wrong; passwords that it tries are.
        let own_call = seen.direction == Direction::In && seen.kind == MethodKind::Invite;
        if !asked || own_call || code < 200 {
            return None;
        }
        let addr = seen.dst.ip();
        let call_id = self.call_id(seen);
        if code < 300 {
            let counts = matches!(seen.kind, MethodKind::Invite | MethodKind::Register);
            // A source that was never refused needs no entry; its merits count from its first refusal on.
            let source = self.by_addr.get_mut(&addr).filter(|_| counts)?;
            source.accepted = source.accepted.saturating_add(1);
            let name = seen.to.and_then(|to| user(to.uri)).unwrap_or_default();
            let guessed = source.brute_force.as_ref().is_some_and(|(user, _)| user.matches(name, NAME_BYTES))
                || source.refusals.iter().filter(|r| r.digest && r.name.matches(name, NAME_BYTES)).count() > 2;
            let with_digest = source.digests.contains(&(call_id, u64::from(seen.cseq)));
            if guessed && with_digest && source.login.is_none() {
                source.login = Some(StoredText::new(name, NAME_BYTES));
                return Some(addr);
            }
            return None;
        }
        if !matches!(code, 401 | 403 | 404 | 407 | 604) {
            return None;
        }
        let challenged = matches!(code, 401 | 407);
        let name = seen.to.and_then(|to| user(to.uri)).unwrap_or_default();
        let user = self.hasher.hash_one(name);
        let is_stale = seen.message.challenges().any(|challenge| challenge.is_stale());
        let nonce = seen.message.challenge().and_then(|c| c.nonce()).map(|nonce| self.hasher.hash_one(nonce));
        let source = self.source(addr, seen.src, seen.at)?;
        let digest = source.digests.contains(&(call_id, u64::from(seen.cseq)));
        source.refused = source.refused.saturating_add(1);
        source.forbidden |= code == 403 || (challenged && digest && !is_stale);
        let tentative = challenged && !digest;
        if source.refusals.len() >= REFUSALS_KEPT {
            source.refusals.pop_front();
        }
        source.refusals.push_back(RefusedRequest {
            at: if tentative { seen.at + DIGEST_WITHIN } else { seen.at },
            user,
            name: StoredText::new(name, NAME_BYTES),
            digest,
            call_id,
            nonce: if tentative { nonce.or(Some(0)) } else { None },
        });
        let changed = source.count(seen.at);
        self.arm(addr, seen.at);
        changed.then_some(addr)
    }

    /// When something is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Counts anew what is due. Returns a source to be judged; call again until there is none.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(IpAddr, bool)> {
        let (at, addr) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, addr));
        let source = self.by_addr.get_mut(&addr)?;
        source.due = Timestamp::MAX;
        let changed = source.count(now);
        let idle = now.since(source.last_at) >= super::WINDOW * 10;
        if idle && !changed && !source.is_suspicious() {
            self.by_addr.remove(&addr);
            return Some((addr, false));
        }
        self.arm(addr, now);
        Some((addr, changed))
    }

    fn arm(&mut self, addr: IpAddr, now: Timestamp) {
        let Some(source) = self.by_addr.get_mut(&addr) else { return };
        let due = source.next_due(now);
        if due < source.due {
            self.due.remove(&(source.due, addr));
            source.due = due;
            self.due.insert((due, addr));
        }
    }

    fn source(&mut self, addr: IpAddr, target: SocketAddr, now: Timestamp) -> Option<&mut Source> {
        if !self.by_addr.contains_key(&addr) && self.by_addr.len() >= SOURCES_KEPT {
            self.dropped += 1;
            return None;
        }
        let source = self.by_addr.entry(addr).or_insert_with(|| Source::new(addr, target, now));
        source.target = target;
        source.last_at = now;
        Some(source)
    }

    fn call_id(&self, seen: &Seen<'_, '_>) -> u64 {
        self.hasher.hash_one(seen.message.call_id().unwrap_or_default())
    }
}

fn user(uri: &[u8]) -> Option<&[u8]> {
    crate::sip::Uri::user_of(uri)
}
