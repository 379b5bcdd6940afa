//! Names of hosts and where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use sip_monitor_engine::packet::Direction;

use super::Result;

/// The hosts of a scenario. Those that every ladder knows are a caller elsewhere and a callee on this host.
#[derive(Clone, Debug)]
pub struct Hosts {
    by_name: BTreeMap<String, SocketAddr>,
    local: BTreeSet<IpAddr>,
}

impl Default for Hosts {
    fn default() -> Self {
        let by_name = [("caller", "198.51.100.10:5060"), ("callee", "203.0.113.7:5060")];
        let by_name = by_name.map(|(name, addr)| (name.to_owned(), addr.parse().expect("a literal")));
        Self { by_name: by_name.into(), local: BTreeSet::from([IpAddr::from([203, 0, 113, 7])]) }
    }
}

impl Hosts {
    /// Takes a line `name = ip:port [local]`.
    pub fn declare(&mut self, line: &str) -> Result<()> {
        let (name, rest) =
            line.split_once('=').ok_or_else(|| format!("a host is `name = ip:port [local]`, not {line:?}"))?;
        let mut words = rest.split_whitespace();
        let addr = words.next().unwrap_or_default();
        let addr: SocketAddr = addr.parse().map_err(|_| format!("{addr:?} is no ip:port"))?;
        let is_local = match words.next() {
            None => false,
            Some("local") => true,
            Some(other) => return Err(format!("after the address of a host stands `local` or nothing, not {other:?}")),
        };
        if let Some(before) = self.by_name.insert(name.trim().to_owned(), addr)
            && !self.by_name.values().any(|other| other.ip() == before.ip())
        {
            self.local.remove(&before.ip());
        }
        if is_local {
            self.local.insert(addr.ip());
        } else {
            self.local.remove(&addr.ip());
        }
        Ok(())
    }

    /// The endpoint that `name`, `name:port` or `ip:port` stands for.
    pub fn find(&self, text: &str) -> Result<SocketAddr> {
        if let Some(addr) = self.by_name.get(text) {
            return Ok(*addr);
        }
        if let Ok(addr) = text.parse() {
            return Ok(addr);
        }
        let named = text.rsplit_once(':').and_then(|(name, port)| {
            let ip = self.by_name.get(name)?.ip();
            Some(SocketAddr::new(ip, port.parse().ok()?))
        });
        named.ok_or_else(|| format!("no host {text:?}: declare it in a `hosts` block"))
    }

    /// Addresses of this host.
    pub fn local(&self) -> Vec<IpAddr> {
        self.local.iter().copied().collect()
    }

    /// Which way a packet goes, as seen from this host.
    pub fn direction(&self, src: SocketAddr, dst: SocketAddr) -> Direction {
        if self.local.contains(&src.ip()) {
            Direction::Out
        } else if self.local.contains(&dst.ip()) {
            Direction::In
        } else {
            Direction::Transit
        }
    }

    /// Puts `{name}` (ip:port) and `{name.ip}` into a text.
    pub fn fill_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, addr) in &self.by_name {
            text = text.replace(&format!("{{{name}}}"), &addr.to_string());
            text = text.replace(&format!("{{{name}.ip}}"), &addr.ip().to_string());
        }
        text
    }
}
