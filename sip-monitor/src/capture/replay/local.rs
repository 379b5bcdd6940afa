//! Which addresses are this host's: those given with `--local`, or a guess from the capture.
//!
//! A guess goes from what proves most to what proves least, and every step gives the same answer for the same capture:
//! the capture's own words about direction, the hardware address that is in every frame, the host that most conversations
//! have in common, and for two hosts alone the private one, the one whose packets passed no router, the one invited first.
//! Where none of it tells, no address is local and every packet is in transit.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sip_monitor_engine::packet::is_private;

use super::survey::{Conversation, Survey};

/// An address or a network, as `--local` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    addr: IpAddr,
    prefix: u8,
}

impl std::str::FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no address and no network such as 10.0.0.0/8");
        let (addr, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let addr: IpAddr = addr.trim_matches(['[', ']']).parse().map_err(|_| error())?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), |p| p.parse().map_err(|_| error()))?;
        if prefix > most { Err(error()) } else { Ok(Self { addr, prefix }) }
    }
}

impl Net {
    /// Whether `addr` is in it.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        let shift = |most: u8| u32::from(most - self.prefix);
        match (self.addr, addr) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// The addresses of `survey` within `given`, and those given as single addresses whether seen or not.
#[must_use]
pub fn given(given: &[Net], survey: &Survey) -> BTreeSet<IpAddr> {
    let single = given.iter().filter(|n| n.prefix == if n.addr.is_ipv4() { 32 } else { 128 }).map(|n| n.addr);
    let seen = survey.hosts.keys().copied().filter(|a| given.iter().any(|n| n.contains(*a)));
    single.chain(seen).collect()
}

/// A guess and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The addresses; none where nothing tells.
    pub addresses: BTreeSet<IpAddr>,
    /// One sentence for the user.
    pub because: &'static str,
}

/// One way to tell; no address where it does not.
type Step = fn(&Survey) -> BTreeSet<IpAddr>;

/// Guesses the host a capture was taken on or for.
#[must_use]
pub fn guess(survey: &Survey) -> Guess {
    let steps: [(Step, &str); 5] = [
        (stated, "the capture says which packets it sent and received"),
        (in_every_frame, "its network card is in every frame"),
        (common, "it takes part in most conversations"),
        (behind_private_address, "it is the private one of two hosts"),
        (near_or_invited, "it is one of two hosts, nearer to the capture or invited first"),
    ];
    for (step, because) in steps {
        let mut addresses = step(survey);
        if !addresses.is_empty() {
            addresses.extend(survey.hosts.keys().filter(|a| a.is_loopback()));
            return Guess { addresses, because };
        }
    }
    let loopback: BTreeSet<IpAddr> = survey.hosts.keys().copied().filter(IpAddr::is_loopback).collect();
    let because = if loopback.is_empty() { "no host stands out" } else { "loopback addresses are always local" };
    Guess { addresses: loopback, because }
}

/// Hosts that the capture itself calls local. On a router the same address comes in and goes out: it is not.
fn stated(survey: &Survey) -> BTreeSet<IpAddr> {
    survey.hosts.iter().filter(|(_, h)| h.stated_local > h.stated_remote).map(|(a, _)| *a).collect()
}

/// Hosts behind the one network card that is in every frame: on a host's own capture that is the host's. Where two are,
/// the other is its router, which has several addresses behind it.
fn in_every_frame(survey: &Survey) -> BTreeSet<IpAddr> {
    let owned = |card: &[u8; 6]| -> BTreeSet<IpAddr> {
        survey.hosts.iter().filter(|(_, h)| h.sends_from.contains(card)).map(|(a, _)| *a).collect()
    };
    let everywhere: Vec<BTreeSet<IpAddr>> =
        survey.hardware.iter().filter(|(_, n)| **n == survey.frames).map(|(card, _)| owned(card)).collect();
    let candidates: Vec<&BTreeSet<IpAddr>> = match everywhere.as_slice() {
        [one] => vec![one],
        // Two hosts, one address each or silent: the frames do not tell which of them took the capture.
        [a, b] if a.len() <= 1 && b.len() <= 1 => vec![],
        [a, b] => [a, b].into_iter().filter(|s| s.len() == 1).collect(),
        _ => vec![],
    };
    match candidates.as_slice() {
        [one] if one.len() <= 4 && !talk_among_themselves(survey, one) => (*one).clone(),
        _ => BTreeSet::new(),
    }
}

/// Whether addresses of one supposed host talk to each other, as those behind a router or of a generated capture do.
fn talk_among_themselves(survey: &Survey, addresses: &BTreeSet<IpAddr>) -> bool {
    survey.conversations.keys().any(|(a, b)| addresses.contains(a) && addresses.contains(b))
}

/// A conversation with SIP in it counts three times one of media alone: who signals with everybody is the switch.
fn weight(conversation: &Conversation) -> u64 {
    if conversation.sip > 0 { 3 } else { 1 }
}

/// The host that at least 60 % of the conversations have in common, and no other as many.
fn common(survey: &Survey) -> BTreeSet<IpAddr> {
    let mut scores = BTreeMap::<IpAddr, u64>::new();
    let mut total = 0;
    for ((a, b), conversation) in &survey.conversations {
        let weight = weight(conversation);
        total += weight;
        *scores.entry(*a).or_default() += weight;
        *scores.entry(*b).or_default() += weight;
    }
    let best = scores.values().copied().max().unwrap_or(0);
    let mut with_best = scores.iter().filter(|(_, n)| **n == best).map(|(a, _)| *a);
    match (with_best.next(), with_best.next()) {
        (Some(addr), None) if best * 10 >= total * 6 => [addr].into(),
        _ => BTreeSet::new(),
    }
}

/// The two hosts, where there are no others.
fn two_hosts(survey: &Survey) -> Option<[IpAddr; 2]> {
    let mut hosts = survey.hosts.keys().copied();
    match (hosts.next(), hosts.next(), hosts.next()) {
        (Some(a), Some(b), None) => Some([a, b]),
        _ => None,
    }
}

/// Of two hosts the private one: a capture that shows its address was taken on its side of the translation.
fn behind_private_address(survey: &Survey) -> BTreeSet<IpAddr> {
    match two_hosts(survey) {
        Some([a, b]) if is_private(a) && !is_private(b) => [a].into(),
        Some([a, b]) if is_private(b) && !is_private(a) => [b].into(),
        _ => BTreeSet::new(),
    }
}

/// Of two hosts the one whose packets passed no router yet, else the one that was invited: captures are mostly taken on
/// servers.
fn near_or_invited(survey: &Survey) -> BTreeSet<IpAddr> {
    let Some(hosts) = two_hosts(survey) else { return BTreeSet::new() };
    let near = |a: &IpAddr| survey.hosts.get(a).is_some_and(|h| h.initial_ttl > 0 && h.other_ttl == 0);
    let far = |a: &IpAddr| survey.hosts.get(a).is_some_and(|h| h.initial_ttl == 0 && h.other_ttl > 0);
    let [a, b] = hosts;
    match () {
        () if near(&a) && far(&b) => [a].into(),
        () if near(&b) && far(&a) => [b].into(),
        () => survey.first_invited.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::survey::Host;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A survey of conversations `(a, b, sip, media)`.
    fn survey(conversations: &[(&str, &str, u64, u64)]) -> Survey {
        let mut survey = Survey::default();
        for (a, b, sip, media) in conversations {
            let (a, b) = (ip(a).min(ip(b)), ip(a).max(ip(b)));
            survey.conversations.insert((a, b), Conversation { sip: *sip, media: *media });
            for host in [a, b] {
                survey.hosts.entry(host).or_default().initial_ttl += 1;
            }
        }
        survey
    }

    #[test]
    fn the_switch_between_two_telephones_is_local() {
        let survey =
            survey(&[("10.0.0.5", "10.0.0.1", 8, 0), ("10.0.0.1", "10.0.0.6", 8, 0), ("10.0.0.5", "10.0.0.6", 0, 900)]);
        assert_eq!(guess(&survey).addresses, [ip("10.0.0.1")].into());
    }

    #[test]
    fn what_the_capture_states_goes_before_everything() {
        let mut survey = survey(&[("10.0.0.5", "10.0.0.1", 8, 0), ("10.0.0.1", "10.0.0.6", 8, 0)]);
        survey.hosts.get_mut(&ip("10.0.0.6")).unwrap().stated_local = 8;
        assert_eq!(guess(&survey).addresses, [ip("10.0.0.6")].into());
    }

    #[test]
    fn on_a_router_nobody_is_stated_local() {
        let mut survey = survey(&[("10.0.0.5", "203.0.113.7", 8, 0), ("10.0.0.6", "203.0.113.8", 8, 0)]);
        // Everything comes in and goes out again.
        for host in survey.hosts.values_mut() {
            (host.stated_local, host.stated_remote) = (8, 8);
        }
        assert_eq!(guess(&survey).addresses, BTreeSet::new());
    }

    #[test]
    fn the_card_in_every_frame_is_the_hosts_and_the_other_the_routers() {
        let mut survey = survey(&[("192.0.2.1", "203.0.113.7", 1, 0), ("192.0.2.1", "203.0.113.8", 1, 0)]);
        let (host, router) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        survey.frames = 4;
        survey.hardware = [(host, 4), (router, 4)].into();
        for (addr, card) in [("192.0.2.1", host), ("203.0.113.7", router), ("203.0.113.8", router)] {
            survey.hosts.entry(ip(addr)).or_default().sends_from.insert(card);
        }
        let guess = guess(&survey);
        assert_eq!(guess.addresses, [ip("192.0.2.1")].into());
        assert!(guess.because.contains("network card"));
    }

    #[test]
    fn of_two_hosts_the_private_the_near_or_the_invited_one_is_local() {
        let private = survey(&[("192.168.1.5", "203.0.113.7", 8, 0)]);
        assert_eq!(guess(&private).addresses, [ip("192.168.1.5")].into());
        let mut near = survey(&[("198.51.100.4", "203.0.113.7", 8, 0)]);
        *near.hosts.get_mut(&ip("203.0.113.7")).unwrap() = Host { other_ttl: 4, ..Host::default() };
        assert_eq!(guess(&near).addresses, [ip("198.51.100.4")].into());
        let mut invited = survey(&[("198.51.100.4", "203.0.113.7", 8, 0)]);
        assert_eq!(guess(&invited).addresses, BTreeSet::new());
        invited.first_invited = Some(ip("203.0.113.7"));
        assert_eq!(guess(&invited).addresses, [ip("203.0.113.7")].into());
    }

    #[test]
    fn where_no_host_stands_out_none_is_local() {
        let survey = survey(&[("198.51.100.4", "203.0.113.7", 8, 0), ("198.51.100.5", "203.0.113.8", 8, 0)]);
        assert_eq!(guess(&survey).addresses, BTreeSet::new());
    }

    #[test]
    fn loopback_is_always_local() {
        let survey = survey(&[("127.0.0.1", "127.0.0.2", 8, 0), ("198.51.100.4", "203.0.113.7", 8, 0)]);
        assert_eq!(guess(&survey).addresses, [ip("127.0.0.1"), ip("127.0.0.2")].into());
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_other() {
        let net: Net = "10.0.0.0/8".parse().unwrap();
        assert!(net.contains(ip("10.255.0.1")) && !net.contains(ip("11.0.0.1")) && !net.contains(ip("::1")));
        assert!("0.0.0.0/0".parse::<Net>().unwrap().contains(ip("203.0.113.7")));
        assert!("2001:db8::/32".parse::<Net>().unwrap().contains(ip("2001:db8:1::4")));
        for wrong in ["", "here", "10.0.0.0/33", "10.0.0.0/x", "2001:db8::/129"] {
            assert!(wrong.parse::<Net>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_single_address_is_local_though_never_seen_and_a_network_only_where_seen() {
        let survey = survey(&[("10.0.0.5", "203.0.113.7", 8, 0)]);
        let nets = ["192.0.2.9".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        assert_eq!(given(&nets, &survey), [ip("192.0.2.9"), ip("10.0.0.5")].into());
    }
}
