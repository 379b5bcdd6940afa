//! All bindings, by address of record and Contact. Bounded: where there is no room, the oldest binding that was never seen
//! alive goes; where all were, a new one is not taken, and counted.

use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::binding::{Binding, BindingState, CHALLENGE_WITHIN, GRACE, Pending, RegisterFailure, TEXT_BYTES};
use super::response::{accept, refuse};
use crate::call::credentials;
use crate::config::EngineConfig;
use crate::metrics::CodeLabel;
use crate::seen::Seen;
use crate::sip::{Contact, HeaderName, Uri};
use crate::text::StoredText;
use crate::time::Timestamp;
use crate::transaction::{MethodKind, Repeats, Sighting};

/// Contacts kept of one address of record.
const CONTACTS_KEPT: usize = 16;
/// A REGISTER sent so often without a word in return is unanswered (3.5 s).
const SENT_IN_VAIN: u32 = 4;

/// All bindings.
#[derive(Debug)]
pub struct RegistrationTable {
    bindings: HashMap<u64, Box<Binding>, RandomState>,
    /// By hash of the address of record.
    by_aor: HashMap<u64, SmallVec<[u64; 2]>, RandomState>,
    by_age: VecDeque<u64>,
    due: BTreeSet<(Timestamp, u64)>,
    next: u64,
    limit: usize,
    hasher: RandomState,
    /// Bindings that are registered now.
    up: usize,
    /// REGISTERs that failed, by the code of the response; a challenge that is answered is no failure.
    failures: BTreeMap<CodeLabel, u64>,
    /// REGISTERs that nobody answered.
    unanswered: u64,
    /// Bindings that were forgotten for want of room.
    pub evicted: u64,
    /// Bindings that found no room.
    pub refused: u64,
}

impl RegistrationTable {
    /// A table for `limit` bindings.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            bindings: HashMap::default(),
            by_aor: HashMap::default(),
            by_age: VecDeque::new(),
            due: BTreeSet::new(),
            next: 0,
            limit: limit.max(1),
            hasher: RandomState::default(),
            up: 0,
            failures: BTreeMap::new(),
            unanswered: 0,
            evicted: 0,
            refused: 0,
        }
    }

    /// Bindings that are registered now.
    #[must_use]
    pub const fn up(&self) -> usize {
        self.up
    }

    /// REGISTERs that failed, by the code of the response, and those that nobody answered.
    #[must_use]
    pub const fn failures(&self) -> (&BTreeMap<CodeLabel, u64>, u64) {
        (&self.failures, self.unanswered)
    }

    /// The binding of that number.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Binding> {
        self.bindings.get(&id).map(|binding| &**binding)
    }

    /// Bindings now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Whether a response goes to a user who was registered before from there. Calls are left out: an account may be misused.
    pub(crate) fn was_registered(&self, seen: &Seen<'_, '_>) -> bool {
        let asked_by = match seen.kind {
            MethodKind::Register => seen.to,
            MethodKind::Subscribe | MethodKind::Options => seen.from,
            MethodKind::Invite
            | MethodKind::Ack
            | MethodKind::Bye
            | MethodKind::Cancel
            | MethodKind::Prack
            | MethodKind::Update
            | MethodKind::Info
            | MethodKind::Notify
            | MethodKind::Refer
            | MethodKind::Message
            | MethodKind::Publish
            | MethodKind::Other => None,
        };
        let Some(aor) = asked_by.map(|user| user.uri) else { return false };
        let known = self.by_aor.get(&self.aor_hash(aor)).into_iter().flatten().filter_map(|id| self.bindings.get(id));
        known.into_iter().any(|b| b.registered_at.is_some() && b.source.ip() == seen.dst.ip())
    }

    /// Takes a REGISTER or a response to one. Returns the bindings to be judged, and those forgotten to make room.
    pub(crate) fn handle(&mut self, seen: &Seen<'_, '_>, config: &EngineConfig) -> Touched {
        if seen.kind != MethodKind::Register {
            return Touched::default();
        }
        let mut touched = match seen.code {
            None => self.handle_request(seen, config),
            Some(code) => self.handle_response(seen, code),
        };
        for id in touched.judged.iter().chain(&touched.quiet) {
            self.arm(*id, seen.at, config.timers.give_up());
        }
        touched.quiet.clear();
        touched
    }

    fn handle_request(&mut self, seen: &Seen<'_, '_>, config: &EngineConfig) -> Touched {
        let mut touched = Touched::default();
        let Some(aor) = seen.to.map(|to| to.uri) else { return touched };
        let aor_hash = self.aor_hash(aor);
        let call_id = self.hasher.hash_one(seen.message.call_id().unwrap_or_default());
        if seen.message.contacts().flatten().any(|contact| contact == Contact::Wildcard) {
            for id in self.by_aor.get(&aor_hash).cloned().unwrap_or_default() {
                self.begin(id, seen, call_id, Some(0), config);
                touched.quiet.push(id);
            }
            return touched;
        }
        let mut contacts: SmallVec<[(&[u8], Option<u32>); 1]> = seen
            .message
            .contacts()
            .flatten()
            .take(CONTACTS_KEPT)
            .filter_map(|c| Some((c.address()?.uri, c.expires().or_else(|| seen.message.expires()))))
            .collect();
        if contacts.is_empty() {
            contacts.push((b"", None));
        }
        if seen.has_credentials() {
            // The challenge is answered, under whichever Contact.
            for id in self.by_aor.get(&aor_hash).into_iter().flatten() {
                if let Some(binding) = self.bindings.get_mut(id).filter(|b| !b.contact.is_empty()) {
                    binding.answered_elsewhere =
                        !contacts.iter().any(|(uri, _)| binding.contact.matches(uri, TEXT_BYTES));
                }
            }
        }
        for (contact, asked) in contacts {
            let Some(id) = self.find_or_insert(aor_hash, aor, contact, seen, &mut touched) else { continue };
            if self.begin(id, seen, call_id, asked, config) {
                touched.judged.push(id);
            } else {
                touched.quiet.push(id);
            }
        }
        touched
    }

    /// Puts a REGISTER down in a binding. Returns whether it was sent in vain so often that it must be looked at.
    fn begin(&mut self, id: u64, seen: &Seen<'_, '_>, call_id: u64, asked: Option<u32>, config: &EngineConfig) -> bool {
        let hasher = self.hasher.clone();
        let Some(binding) = self.bindings.get_mut(&id) else { return false };
        if let Some(pending) = binding.pending.as_mut().filter(|p| p.call_id == call_id && p.cseq == seen.cseq) {
            // A copy that a proxy relays is no request of its own.
            if binding.source != seen.src || pending.answered {
                return false;
            }
            let again = pending.sent.see(seen.at, seen.ip_id, config.timers.t1) == Sighting::Retransmission;
            let failed = again && Self::fail_unanswered(binding, seen.at, SENT_IN_VAIN);
            self.unanswered += u64::from(failed);
            return failed;
        }
        binding.last_at = seen.at;
        binding.requests = binding.requests.saturating_add(1);
        let own_id = seen.message.call_id().unwrap_or_default();
        if !binding.call_id.matches(own_id, TEXT_BYTES) {
            binding.call_id = StoredText::new(own_id, TEXT_BYTES);
        }
        binding.source = seen.src;
        binding.registrar = seen.dst;
        binding.direction = seen.direction;
        binding.asked_s = asked;
        if binding.user_agent.is_none() {
            binding.user_agent = seen.message.user_agent().map(|agent| StoredText::new(agent, TEXT_BYTES));
        }
        let credentials = if seen.has_credentials() { credentials(seen.message, &hasher) } else { SmallVec::new() };
        if !credentials.is_empty() {
            // Answered; whether well, the response tells.
            if let Some((at, _)) = &mut binding.challenge {
                *at = seen.at;
            }
        }
        binding.pending = Some(Pending {
            call_id,
            cseq: seen.cseq,
            sent: Repeats::once(seen.at, seen.ip_id),
            asked_s: asked,
            resync: seen.message.credentials().is_some_and(|c| c.param("auts").is_some()),
            credentials,
            path: seen.message.header(HeaderName::Path).is_some(),
            answered: false,
            repeats: seen.transport == "udp",
        });
        false
    }

    /// The REGISTER under way has been sent so often without an answer.
    fn fail_unanswered(binding: &mut Binding, at: Timestamp, least: u32) -> bool {
        let Some(pending) = binding.pending.as_ref().filter(|p| !p.answered && p.sent.count() >= least) else {
            return false;
        };
        if binding.failure.as_ref().is_some_and(|f| f.code == 0) {
            return false;
        }
        binding.failure = Some(RegisterFailure {
            at,
            since: binding.failure.as_ref().map_or(at, |f| f.since),
            code: 0,
            phrase: StoredText::default(),
            credentials: pending.credentials.clone(),
            fresh: false,
            stale: false,
            min_expires_s: None,
            sent: pending.sent.count(),
            times: 1,
        });
        true
    }

    fn handle_response(&mut self, seen: &Seen<'_, '_>, code: u16) -> Touched {
        let mut touched = Touched::default();
        let Some(aor) = seen.to.map(|to| to.uri) else { return touched };
        let call_id = self.hasher.hash_one(seen.message.call_id().unwrap_or_default());
        let ids = self.by_aor.get(&self.aor_hash(aor)).cloned().unwrap_or_default();
        for id in &ids {
            let Some(binding) = self.bindings.get_mut(id) else { continue };
            let is_ours = binding.pending.as_ref().is_some_and(|p| {
                p.call_id == call_id && p.cseq == seen.cseq && !p.answered && binding.source.ip() == seen.dst.ip()
            });
            if !is_ours {
                continue;
            }
            binding.last_at = seen.at;
            if code < 200 {
                // The registrar is there; its answer may take its time.
                if binding.failure.as_ref().is_some_and(|f| f.code == 0) {
                    binding.failure = None;
                    touched.judged.push(*id);
                }
                continue;
            }
            if let Some(pending) = &mut binding.pending {
                pending.answered = true;
            }
            binding.final_code = Some(code);
            let was_up = binding.state == BindingState::Up;
            match code {
                200..300 => accept(binding, seen),
                300..400 => {}
                _ => refuse(binding, seen, code, &self.hasher),
            }
            self.up = self.up - usize::from(was_up) + usize::from(binding.state == BindingState::Up);
            if code >= 400 && binding.failure.as_ref().is_some_and(|f| f.at == seen.at && f.code == code) {
                *self.failures.entry(CodeLabel::of(code)).or_default() += 1;
            }
            touched.judged.push(*id);
        }
        // A newer Contact of the same device leaves its older one behind; several devices keep several.
        if (200..300).contains(&code) {
            self.supersede(&ids, &touched.judged.clone(), &mut touched);
            self.forgive(&ids, &mut touched);
        }
        touched
    }

    fn supersede(&mut self, ids: &[u64], accepted: &[u64], touched: &mut Touched) {
        let fresh = accepted.iter().filter_map(|id| self.bindings.get(id)).find(|b| b.state == BindingState::Up);
        let Some((source, agent)) = fresh.map(|b| (b.source.ip(), b.user_agent.clone())) else { return };
        for id in ids.iter().filter(|id| !accepted.contains(id)) {
            if let Some(other) = self.bindings.get_mut(id)
                && (other.source.ip() == source || other.user_agent == agent)
                && !other.superseded
            {
                other.superseded = true;
                touched.judged.push(*id);
            }
        }
    }

    /// The address of record is registered: what failed under its other Contacts is over.
    fn forgive(&mut self, ids: &[u64], touched: &mut Touched) {
        if !touched.judged.iter().any(|id| self.bindings.get(id).is_some_and(|b| b.state == BindingState::Up)) {
            return;
        }
        for id in ids {
            if let Some(other) = self.bindings.get_mut(id)
                && other.failure.take().is_some()
                && !touched.judged.contains(id)
            {
                touched.judged.push(*id);
            }
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Runs what is due of one binding: its number, and the binding where it is now forgotten.
    pub(crate) fn pop_due(&mut self, now: Timestamp, config: &EngineConfig) -> Option<(u64, Option<Box<Binding>>)> {
        let (at, id) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, id));
        let binding = self.bindings.get_mut(&id)?;
        binding.due = Timestamp::MAX;
        let give_up = config.timers.give_up();
        if binding.pending.as_ref().is_some_and(|p| !p.answered && p.sent.first() + give_up <= now) {
            // A client that hears nothing repeats itself, except over TCP: one copy over UDP was answered somewhere unseen.
            let least = if binding.pending.as_ref().is_some_and(|p| p.repeats) { 2 } else { 1 };
            self.unanswered += u64::from(Self::fail_unanswered(binding, now, least));
            if let Some(pending) = &mut binding.pending {
                pending.answered = true;
            }
        }
        if let Some((since, _)) = &binding.challenge
            && *since + CHALLENGE_WITHIN <= now
        {
            let waited = binding.pending.as_ref().is_some_and(|p| p.credentials.is_empty() && p.asked_s != Some(0));
            if waited && !binding.answered_elsewhere && binding.failure.is_none() {
                binding.failure = Some(RegisterFailure {
                    at: now,
                    since: now,
                    code: 401,
                    phrase: StoredText::default(),
                    credentials: SmallVec::new(),
                    fresh: false,
                    stale: false,
                    min_expires_s: None,
                    sent: 1,
                    times: binding.rounds,
                });
                *self.failures.entry(CodeLabel::of(401)).or_default() += 1;
            }
            binding.challenge = None;
        }
        if binding.expires_at().is_some_and(|at| at + GRACE <= now) {
            self.up -= usize::from(binding.state == BindingState::Up);
            binding.change(now, BindingState::Lapsed);
        }
        while binding.changes.first().is_some_and(|at| now.since(*at) >= super::binding::CHANGES_WITHIN) {
            binding.changes.remove(0);
        }
        if binding.free_at() <= now {
            return Some((id, self.remove(id)));
        }
        self.arm(id, now, give_up);
        Some((id, None))
    }

    fn arm(&mut self, id: u64, now: Timestamp, give_up: Duration) {
        let Some(binding) = self.bindings.get_mut(&id) else { return };
        let due = binding.next_due(now, give_up);
        if due != binding.due {
            self.due.remove(&(binding.due, id));
            binding.due = due;
            self.due.insert((due, id));
        }
    }

    fn find_or_insert(
        &mut self,
        aor_hash: u64,
        aor: &[u8],
        contact: &[u8],
        seen: &Seen<'_, '_>,
        touched: &mut Touched,
    ) -> Option<u64> {
        let known = self.by_aor.get(&aor_hash).map(SmallVec::as_slice).unwrap_or_default();
        let same = |id: &&u64| self.bindings.get(*id).is_some_and(|b| b.contact.matches(contact, TEXT_BYTES));
        if let Some(id) = known.iter().find(same) {
            return Some(*id);
        }
        if known.len() >= CONTACTS_KEPT {
            self.refused += 1;
            return None;
        }
        while self.bindings.len() >= self.limit {
            let Some(old) = self.by_age.pop_front() else {
                self.refused += 1;
                return None;
            };
            if self.bindings.get(&old).is_some_and(|b| b.state != BindingState::Up) {
                self.evicted += 1;
                touched.forgotten.extend(self.remove(old).map(|binding| (old, binding)));
            }
        }
        let id = self.next;
        self.next += 1;
        let by = seen.from.map(|from| from.uri).filter(|uri| self.aor_hash(uri) != aor_hash);
        let registered_by = by.map(|uri| StoredText::new(uri, TEXT_BYTES));
        let contact_ip = Uri::parse(contact).ok().and_then(|uri| uri.host).and_then(|host| host.ip());
        self.bindings.insert(
            id,
            Box::new(Binding {
                aor: StoredText::new(aor, TEXT_BYTES),
                contact: StoredText::new(contact, TEXT_BYTES),
                contact_ip,
                source: seen.src,
                registrar: seen.dst,
                call_id: StoredText::default(),
                registered_by,
                direction: seen.direction,
                user_agent: None,
                first_at: seen.at,
                last_at: seen.at,
                state: BindingState::New,
                registered_at: None,
                granted_s: 0,
                asked_s: None,
                requests: 0,
                refreshes: 0,
                challenges: 0,
                came_up: 0,
                final_code: None,
                offline_since: None,
                rounds: 0,
                too_brief: 0,
                changes: SmallVec::new(),
                superseded: false,
                answered_elsewhere: false,
                nat_handled: false,
                challenge: None,
                failure: None,
                scanned: false,
                refused_among: None,
                pending: None,
                due: Timestamp::MAX,
            }),
        );
        self.by_aor.entry(aor_hash).or_default().push(id);
        self.forget_stale_ages();
        self.by_age.push_back(id);
        Some(id)
    }

    /// It was refused within a scan.
    pub(crate) fn note_scanned(&mut self, id: u64) {
        if let Some(binding) = self.bindings.get_mut(&id) {
            binding.scanned = true;
        }
    }

    /// It was refused among so many users of its source.
    pub(crate) fn note_refused_among(&mut self, id: u64, users: u32) {
        if let Some(binding) = self.bindings.get_mut(&id) {
            binding.refused_among = binding.refused_among.max(Some(users));
        }
    }

    /// Bindings of which something failed, in the order they began.
    pub(crate) fn failing(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.bindings.iter().filter(|(_, b)| b.failure.is_some()).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Takes all out, in the order they began.
    pub(crate) fn drain(&mut self) -> Vec<Binding> {
        let mut ids: Vec<(Timestamp, u64)> = self.bindings.iter().map(|(id, b)| (b.first_at, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|(_, id)| self.remove(id)).map(|binding| *binding).collect()
    }

    fn remove(&mut self, id: u64) -> Option<Box<Binding>> {
        let binding = self.bindings.remove(&id)?;
        self.up -= usize::from(binding.state == BindingState::Up);
        self.due.remove(&(binding.due, id));
        let aor_hash = self.aor_hash(binding.aor.as_str().as_bytes());
        if let Some(ids) = self.by_aor.get_mut(&aor_hash) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_aor.remove(&aor_hash);
            }
        }
        Some(binding)
    }

    /// Ids of forgotten bindings stay in the queue of ages until it is twice as long as it has to be.
    fn forget_stale_ages(&mut self) {
        if self.by_age.len() >= 2 * self.bindings.len() + 1024 {
            let bindings = &self.bindings;
            self.by_age.retain(|id| bindings.contains_key(id));
        }
    }

    /// User, host and port of an address of record; parameters do not count (RFC 3261 10.3).
    fn aor_hash(&self, aor: &[u8]) -> u64 {
        let kept = StoredText::new(aor, TEXT_BYTES);
        let uri = kept.as_str();
        let user = Uri::user_of(uri.as_bytes()).unwrap_or_default();
        let host = uri.rsplit('@').next().unwrap_or_default().split([';', '?', '>']).next().unwrap_or_default();
        self.hasher.hash_one((user, host.to_ascii_lowercase()))
    }
}

/// What a message changed.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// To be judged.
    pub judged: SmallVec<[u64; 2]>,
    quiet: SmallVec<[u64; 2]>,
    /// Forgotten to make room.
    pub forgotten: Vec<(u64, Box<Binding>)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{A, B, Sip};

    use crate::packet::{Body, Direction, Packet};
    use crate::sip::Message;
    use crate::testing::at;

    /// A REGISTER of user `n` from one source, and its answer where there is one.
    fn register(table: &mut RegistrationTable, n: u32, code: Option<u16>) {
        let to = format!("To: <sip:{n}@pbx>");
        let contact = format!("Contact: <sip:{n}@198.51.100.10:5060>");
        let request = Sip::request("REGISTER", 1).call_id(&format!("r{n}")).header(&contact);
        for (code, sip) in [(None, request.clone())].into_iter().chain(code.map(|c| (Some(c), request.response(c)))) {
            let bytes = String::from_utf8(sip.bytes()).unwrap().replace("To: <sip:bob@203.0.113.7>", &to);
            let (src, dst) = if code.is_some() { (B, A) } else { (A, B) };
            let packet = Packet {
                time: at(i64::from(n)),
                link: 0,
                direction: if code.is_some() { Direction::Out } else { Direction::In },
                src: src.parse().unwrap(),
                dst: dst.parse().unwrap(),
                ip_id: n,
                ttl: 64,
                dscp: 0,
                body: Body::Udp(bytes.as_bytes()),
            };
            let message = Message::parse(bytes.as_bytes()).unwrap();
            let seen = Seen::new(at(i64::from(n)), &packet, "udp", &message).unwrap();
            table.handle(&seen, &EngineConfig::default());
        }
    }

    #[test]
    fn registrations_that_never_succeed_make_room_and_those_that_did_stay() {
        let mut table = RegistrationTable::new(100);
        for n in 0..50 {
            register(&mut table, n, Some(200));
        }
        for n in 50..5_000 {
            register(&mut table, n, None);
        }
        assert_eq!((table.len(), table.evicted), (100, 4_900));
        assert_eq!(table.bindings.values().filter(|b| b.state == BindingState::Up).count(), 50);
        assert_eq!(table.up(), 50);
        assert!(table.by_aor.len() == 100 && table.due.len() == 100 && table.by_age.len() < 2_000);
    }

    #[test]
    fn where_all_are_registered_a_new_one_is_refused_and_counted() {
        let mut table = RegistrationTable::new(10);
        for n in 0..100 {
            register(&mut table, n, Some(200));
        }
        assert_eq!((table.len(), table.evicted, table.refused), (10, 0, 90));
    }
}
