//! Where a side wants to be reached: its Contact.

use core::net::IpAddr;

use crate::packet::is_private;
use crate::text::StoredText;

/// A Contact URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The URI as sent, without angle brackets.
    pub uri: StoredText,
    /// Its host.
    pub host: ContactHost,
    /// Its port, where one is written.
    pub port: Option<u16>,
}

/// The host of a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactHost {
    /// An address.
    Address(IpAddr),
    /// A name, as sent.
    Name(StoredText),
    /// None could be read.
    Missing,
}

impl Contact {
    /// Its address, where it is one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self.host {
            ContactHost::Address(a) => Some(a),
            ContactHost::Name(_) | ContactHost::Missing => None,
        }
    }

    /// It is an address that cannot be reached from the Internet.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.address().is_some_and(is_private)
    }

    /// It is a name that no public resolver knows: none at all, without a dot, or under a domain kept for private use
    /// (RFC 6761, RFC 6762, RFC 8375).
    #[must_use]
    pub fn is_unresolvable_name(&self) -> bool {
        const PRIVATE: [&str; 5] = [".local", ".internal", ".invalid", ".lan", ".home.arpa"];
        match &self.host {
            ContactHost::Address(_) => false,
            ContactHost::Missing => true,
            ContactHost::Name(name) => {
                let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
                !name.contains('.') || PRIVATE.iter().any(|domain| name.ends_with(domain))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str) -> Contact {
        let host = ContactHost::Name(StoredText::new(host.as_bytes(), 99));
        Contact { uri: StoredText::default(), host, port: None }
    }

    #[test]
    fn names_without_a_dot_or_under_private_domains_do_not_resolve() {
        for host in
            ["pbx", "localhost", "pbx.local", "PBX.Local.", "sip.internal", "x.invalid", "box.lan", "r.home.arpa"]
        {
            assert!(name(host).is_unresolvable_name(), "{host}");
        }
        for host in ["sip.example.org", "local.example.com", "mylan.net"] {
            assert!(!name(host).is_unresolvable_name(), "{host}");
        }
    }
}
