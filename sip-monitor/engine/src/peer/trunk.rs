//! Trunks as the configuration names them: a group of addresses, ports and domains that is one peer.

use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;

/// A configured trunk.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Trunk {
    /// Stands in `peer.name` of alerts.
    pub name: String,
    /// Addresses it signals from and is signalled at.
    pub addresses: Vec<Prefix>,
    /// Ports at those addresses; empty: all.
    pub ports: Vec<u16>,
    /// Domains that stand in the Request-URI of what is sent to it, or in the From of what it sends. They find the trunk
    /// where its addresses are not listed.
    pub domains: Vec<String>,
    /// Something must be seen from or to it within this time, else it counts as down.
    pub expect_traffic_within: Option<Duration>,
    /// `peer-unavailable` fires above this share, per cent; the default is 20.
    pub unavailable_percent: Option<u32>,
    /// `low-success-rate` fires below this share, per cent; the default is 50.
    pub success_percent: Option<u32>,
    /// `slow-setup` fires above this time to the first ringing; the default is 5 s.
    pub slow_setup: Option<Duration>,
}

impl Trunk {
    /// Whether the address is one of the trunk's.
    #[must_use]
    pub fn holds(&self, addr: SocketAddr) -> bool {
        (self.ports.is_empty() || self.ports.contains(&addr.port()))
            && self.addresses.iter().any(|prefix| prefix.contains(addr.ip()))
    }

    /// Whether the host of a URI is one of its domains, or below one.
    #[must_use]
    pub fn has_domain(&self, host: &[u8]) -> bool {
        self.domains.iter().any(|domain| {
            let domain = domain.as_bytes();
            let Some(cut) = host.len().checked_sub(domain.len()) else { return false };
            let (head, tail) = host.split_at(cut);
            tail.eq_ignore_ascii_case(domain) && (head.is_empty() || head.ends_with(b"."))
        })
    }
}

/// Addresses that share their first bits, as `203.0.113.0/24` or `2001:db8::/32`; an address alone is itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    addr: IpAddr,
    bits: u8,
}

/// Why a text is no [`Prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// What stands before the slash is no IP address.
    Address,
    /// What stands after it is no length, or longer than the address.
    Length,
}

impl core::fmt::Display for PrefixError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Address => "no IP address, as in 203.0.113.0/24",
            Self::Length => "the length after the slash is longer than the address",
        })
    }
}

impl Prefix {
    /// The address as it was written.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.addr
    }

    /// Whether the address begins with these bits. IPv4 mapped into IPv6 is IPv4.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        let shift = |width: u32| width - u32::from(self.bits);
        match (self.addr, addr.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = u32::from(own) ^ u32::from(other);
                differ.checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = u128::from(own) ^ u128::from(other);
                differ.checked_shr(shift(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (addr, bits) = text.split_once('/').map_or((text, None), |(addr, bits)| (addr, Some(bits)));
        let addr: IpAddr = addr.trim().parse().map_err(|_| PrefixError::Address)?;
        let addr = addr.to_canonical();
        let width = if addr.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |bits| bits.trim().parse().map_err(|_| PrefixError::Length))?;
        if bits > width { Err(PrefixError::Length) } else { Ok(Self { addr, bits }) }
    }
}

impl core::fmt::Display for Prefix {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.addr, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_holds_the_addresses_that_begin_with_its_bits() {
        assert!(prefix("203.0.113.0/24").contains("203.0.113.255".parse().unwrap()));
        assert!(!prefix("203.0.113.0/24").contains("203.0.114.0".parse().unwrap()));
        assert!(prefix("203.0.113.7").contains("::ffff:203.0.113.7".parse().unwrap()));
        assert!(prefix("0.0.0.0/0").contains("8.8.8.8".parse().unwrap()));
        assert!(prefix("2001:db8::/32").contains("2001:db8:1::1".parse().unwrap()));
        assert!(!prefix("2001:db8::/32").contains("203.0.113.7".parse().unwrap()));
    }

    #[test]
    fn what_is_no_prefix_says_why() {
        assert_eq!("carrier".parse::<Prefix>(), Err(PrefixError::Address));
        assert_eq!("203.0.113.0/33".parse::<Prefix>(), Err(PrefixError::Length));
        assert_eq!("203.0.113.0/x".parse::<Prefix>(), Err(PrefixError::Length));
    }

    #[test]
    fn a_trunk_is_found_by_address_and_port_and_by_domain() {
        let trunk = Trunk {
            addresses: vec![prefix("203.0.113.0/28")],
            ports: vec![5060],
            domains: vec!["carrier.example".to_owned()],
            ..Trunk::default()
        };
        assert!(trunk.holds("203.0.113.7:5060".parse().unwrap()));
        assert!(!trunk.holds("203.0.113.7:5070".parse().unwrap()));
        assert!(trunk.has_domain(b"Carrier.example") && trunk.has_domain(b"sbc1.carrier.example"));
        assert!(!trunk.has_domain(b"notcarrier.example"));
    }
}
