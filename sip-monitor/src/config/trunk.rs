//! Trunks: peers that have a name and thresholds of their own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sip_monitor_engine::peer;

use super::units::Span;

/// One `[[trunk]]`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trunk {
    /// Stands in `peer.name` of alerts.
    pub name: String,
    /// Its addresses, each alone or with the length of a prefix.
    pub addresses: Vec<Network>,
    /// Ports at those addresses; empty: all.
    pub ports: Vec<u16>,
    /// Domains in the Request-URI of what is sent to it, or in the From of what it sends.
    pub domains: Vec<String>,
    /// It counts as down where nothing was heard of it for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_traffic_within: Option<Span>,
    /// When conditions fire for it, where that differs from the others.
    pub thresholds: TrunkThresholds,
}

/// When conditions fire for a trunk; what is left out is the default.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkThresholds {
    /// `peer-unavailable`: share of calls that it does not serve, per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable_percent: Option<u32>,
    /// `low-success-rate`: share of calls that are answered, per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_percent: Option<u32>,
    /// `slow-setup`: time to the first ringing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_setup: Option<Span>,
}

/// An address or a prefix, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub peer::Prefix);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|e: peer::PrefixError| format!("`{text}`: {e}"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Trunk {
    /// As the engine takes it.
    #[must_use]
    pub fn to_engine(&self) -> peer::Trunk {
        peer::Trunk {
            name: self.name.clone(),
            addresses: self.addresses.iter().map(|network| network.0).collect(),
            ports: self.ports.clone(),
            domains: self.domains.clone(),
            expect_traffic_within: self.expect_traffic_within.map(|span| span.0),
            unavailable_percent: self.thresholds.unavailable_percent,
            success_percent: self.thresholds.success_percent,
            slow_setup: self.thresholds.slow_setup.map(|span| span.0),
        }
    }

    /// What the types let through.
    pub(super) fn check(&self, index: usize, before: &[Self]) -> Result<(), String> {
        let key = format!("trunk[{index}]");
        if self.name.is_empty() {
            return Err(format!("{key}.name: a trunk needs a name"));
        }
        if before.iter().any(|other| other.name == self.name) {
            return Err(format!("{key}.name: {:?} is the name of another trunk", self.name));
        }
        if self.addresses.is_empty() && self.domains.is_empty() {
            return Err(format!("{key}: {:?} needs addresses or domains, else nothing is known by it", self.name));
        }
        if self.expect_traffic_within.is_some_and(|span| span.0.is_zero()) {
            return Err(format!("{key}.expect_traffic_within: must be longer than 0"));
        }
        for (name, share) in [
            ("unavailable_percent", self.thresholds.unavailable_percent),
            ("success_percent", self.thresholds.success_percent),
        ] {
            if share.is_some_and(|share| share > 100) {
                return Err(format!("{key}.thresholds.{name}: more than 100 per cent"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_str;

    #[test]
    fn a_trunk_is_read_with_its_own_thresholds() {
        let config = from_str(
            "[[trunk]]\nname = \"carrier-a\"\naddresses = [\"203.0.113.0/28\", \"2001:db8::1\"]\nports = [5060]\n\
             domains = [\"carrier-a.example\"]\nexpect_traffic_within = \"10min\"\n\
             thresholds = { unavailable_percent = 30, slow_setup = \"8s\" }\n",
        )
        .unwrap();
        let trunk = &config.to_engine().trunks[0];
        assert!(trunk.holds("203.0.113.7:5060".parse().unwrap()) && !trunk.holds("203.0.113.7:5080".parse().unwrap()));
        assert_eq!(trunk.expect_traffic_within.map(|t| t.as_secs()), Some(600));
        assert_eq!((trunk.unavailable_percent, trunk.success_percent), (Some(30), None));
    }

    #[test]
    fn trunks_that_cannot_be_told_apart_or_found_are_refused() {
        for (text, why) in [
            ("[[trunk]]\naddresses = [\"203.0.113.7\"]", "trunk[0].name"),
            ("[[trunk]]\nname = \"a\"", "needs addresses or domains"),
            ("[[trunk]]\nname = \"a\"\naddresses = [\"203.0.113.0/40\"]", "`203.0.113.0/40`"),
            (
                "[[trunk]]\nname = \"a\"\ndomains = [\"x\"]\n[[trunk]]\nname = \"a\"\ndomains = [\"y\"]",
                "trunk[1].name: \"a\" is the name of another",
            ),
        ] {
            let e = from_str(text).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
    }
}
