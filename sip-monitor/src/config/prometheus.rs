//! What Prometheus scrapes, and where.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `[prometheus]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// Where `/metrics` is answered. Left out: at [`Listen::DEFAULT`] if that can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// Trunks that have series of their own; the others are one.
    pub max_trunks: usize,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { listen: None, max_trunks: 100 }
    }
}

/// An address to listen at, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nothing is opened.
    Off,
    /// There.
    At(SocketAddr),
}

impl Listen {
    /// Where nothing else is said. Outside of 9100 to 9999, which Prometheus' wiki hands out to exporters, of HEP's 9060, and
    /// of the ephemeral ports of Linux.
    pub const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 19_060);
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let is_no_place =
            || format!("`{text}` is no address with a port such as {} or [::1]:19060, nor `off`", Self::DEFAULT);
        let at: SocketAddr = text.parse().map_err(|_| is_no_place())?;
        if at.port() == 0 { Err(is_no_place()) } else { Ok(Self::At(at)) }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(at) => at.fmt(f),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_str;
    use super::*;

    #[test]
    fn an_address_needs_its_port_and_a_name_is_none() {
        let read = |listen: &str| from_str(&format!("[prometheus]\nlisten = \"{listen}\"\n"));
        assert_eq!(read("[::1]:9200").unwrap().prometheus.listen, Some(Listen::At("[::1]:9200".parse().unwrap())));
        assert_eq!(read("off").unwrap().prometheus.listen, Some(Listen::Off));
        for wrong in ["127.0.0.1", "19060", "localhost:19060", "127.0.0.1:0", ""] {
            let e = read(wrong).unwrap_err();
            assert!(e.contains("prometheus.listen") && e.contains("127.0.0.1:19060"), "{e}");
        }
    }

    #[test]
    fn the_number_of_trunks_reaches_the_engine() {
        let config = from_str("[prometheus]\nmax_trunks = 3\n").unwrap();
        assert_eq!(config.to_engine().limits.trunk_metrics, 3);
    }
}
