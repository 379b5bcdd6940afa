//! Address and port as the key of an index.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, SocketAddr};

/// A [`SocketAddr`] in 20 bytes and not 32, hashed in one piece: with each report of a stream some are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    ip: [u8; 16],
    /// The port below, 4 or 6 above: an IPv4 address is not the IPv6 address that maps it.
    port: u32,
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        let (ip, version) = match addr.ip() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), 4),
            IpAddr::V6(v6) => (v6.octets(), 6),
        };
        Self { ip, port: version << 16 | u32::from(addr.port()) }
    }
}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.ip));
        state.write_u32(self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_another_one_where_address_port_or_version_differ() {
        let ends = ["192.0.2.1:4000", "192.0.2.1:4001", "192.0.2.2:4000", "[::ffff:192.0.2.1]:4000", "[::1]:4000"];
        let ends = ends.map(|end| Endpoint::from(end.parse::<SocketAddr>().unwrap()));
        for (index, end) in ends.iter().enumerate() {
            assert_eq!(ends.iter().position(|other| other == end), Some(index));
        }
    }
}
