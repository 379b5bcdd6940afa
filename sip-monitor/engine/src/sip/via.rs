//! Via (RFC 3261 20.42, RFC 3581).

use super::scan::{is_token, split_once, split_params, split_word, trim};
use super::{Fault, Host, HostPort, Params};

/// `sent-protocol LWS sent-by *(;via-params)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// Whether the protocol is SIP/2.0.
    pub version_ok: bool,
    /// `UDP`, `TCP`, `TLS`, ... as written.
    pub transport: &'a [u8],
    /// `host[:port]` as written: with the branch, part of a transaction's key (RFC 3261 17.2.3). Compared with each message and
    /// seldom asked for its parts: see [`Via::host_port`].
    pub sent_by: &'a [u8],
    /// The branch; `None` also where it is empty.
    pub branch: Option<&'a [u8]>,
    /// The address the request came from, where it differs (RFC 3261 18.2.1); brackets are tolerated (RFC 5118 4.5).
    pub received: Option<Host<'a>>,
    /// `Some(None)`: asked for, not filled in; `Some(Some(port))`: filled in (RFC 3581).
    pub rport: Option<Option<u16>>,
    /// All parameters.
    pub params: Params<'a>,
    /// The first thing that was wrong and could be read over, but for what [`Via::host_port`] finds.
    fault: Option<Fault>,
}

impl<'a> Via<'a> {
    /// What a branch of RFC 3261 begins with (8.1.1.7).
    pub const MAGIC_COOKIE: &'static [u8] = b"z9hG4bK";

    /// Reads one value.
    ///
    /// # Errors
    /// [`Fault::Via`]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let value = trim(value);
        let (version_ok, rest) = match value.strip_prefix(b"SIP/2.0/") {
            Some(rest) => (true, rest),
            None => {
                let (protocol, rest) = split_once(value, b'/').ok_or(Fault::Via)?;
                let (version, rest) = split_once(rest, b'/').ok_or(Fault::Via)?;
                (protocol.eq_ignore_ascii_case(b"SIP") && version == b"2.0", rest)
            }
        };
        let (before, params) = split_params(rest);
        let (transport, sent_by) = split_word(before);
        if sent_by.is_empty() || !is_token(transport) {
            return Err(Fault::Via);
        }
        let fault = (!version_ok).then_some(Fault::Version);
        let mut via = Self { version_ok, transport, sent_by, branch: None, received: None, rport: None, params, fault };
        for (name, value) in params.iter() {
            let value = value.unwrap_or_default();
            match name.len() {
                5 if name.eq_ignore_ascii_case(b"rport") && via.rport.is_none() => {
                    via.rport = Some(super::scan::port(value));
                    if !value.is_empty() && via.rport == Some(None) {
                        via.fault = via.fault.or(Some(Fault::Port));
                    }
                }
                6 if name.eq_ignore_ascii_case(b"branch") && via.branch.is_none() && !value.is_empty() => {
                    via.branch = Some(value);
                }
                8 if name.eq_ignore_ascii_case(b"received") && via.received.is_none() && !value.is_empty() => {
                    via.received = Some(Host::parse(value));
                }
                _ => {}
            }
        }
        Ok(via)
    }

    /// Host and port of the sent-by.
    #[must_use]
    pub fn host_port(&self) -> HostPort<'a> {
        HostPort::parse(self.sent_by)
    }

    /// The first thing that was wrong and could be read over.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        if self.version_ok { self.host_port().fault.or(self.fault) } else { self.fault }
    }

    /// Whether the branch is unique to its transaction: it begins with the magic cookie and says more than that. Where
    /// not, RFC 2543's rules match the transaction (RFC 3261 17.2.3).
    #[must_use]
    pub fn has_unique_branch(&self) -> bool {
        self.branch.is_some_and(|branch| {
            branch.get(..Self::MAGIC_COOKIE.len()).is_some_and(|cookie| cookie.eq_ignore_ascii_case(Self::MAGIC_COOKIE))
                && branch.len() > Self::MAGIC_COOKIE.len()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_via_has_its_parts() {
        let via = Via::parse(b"SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bKx;rport=41000;received=198.51.100.7").unwrap();
        assert_eq!((via.version_ok, via.transport, via.sent_by), (true, &b"UDP"[..], &b"192.0.2.1:5061"[..]));
        let HostPort { host, port, .. } = via.host_port();
        assert_eq!((host.ip(), port), ("192.0.2.1".parse().ok(), Some(5061)));
        assert_eq!(via.received.and_then(|host| host.ip()), "198.51.100.7".parse().ok());
        assert_eq!((via.branch, via.rport), (Some(&b"z9hG4bKx"[..]), Some(Some(41000))));
        assert!(via.has_unique_branch());
    }

    #[test]
    fn white_space_and_folds_may_stand_between_everything() {
        let via =
            Via::parse(b"SIP  / 2.0\r\n /UDP  host.example.com : 5060 ; branch=\r\n z9hG4bK30239 ; rport").unwrap();
        let HostPort { host, port, .. } = via.host_port();
        assert_eq!((via.version_ok, via.transport, port), (true, &b"UDP"[..], Some(5060)));
        assert_eq!(host, Host::Name(b"host.example.com"));
        assert_eq!((via.branch, via.rport, via.fault()), (Some(&b"z9hG4bK30239"[..]), Some(None), None));
    }

    #[test]
    fn received_is_read_with_and_without_brackets() {
        for value in
            [&b"SIP/2.0/UDP [::1];received=[2001:db8::9:255]"[..], b"SIP/2.0/UDP [::1];received=2001:db8::9:255"]
        {
            assert_eq!(Via::parse(value).unwrap().received, Some(Host::Ipv6("2001:db8::9:255".parse().unwrap())));
        }
    }

    #[test]
    fn the_cookie_alone_is_no_unique_branch() {
        assert!(!Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bK").unwrap().has_unique_branch());
        assert!(!Via::parse(b"SIP/2.0/UDP h;branch=390skdjuw").unwrap().has_unique_branch());
        assert!(!Via::parse(b"SIP/2.0/UDP h").unwrap().has_unique_branch());
    }

    #[test]
    fn a_via_without_sent_by_is_none() {
        for value in [&b";"[..], b"", b"SIP/2.0/UDP", b"SIP/2.0/UDP ;branch=x", b"SIP/2.0 h"] {
            assert_eq!(Via::parse(value), Err(Fault::Via));
        }
        let via = Via::parse(b"SIP/7.0/UDP h;branch=z9hG4bKq").unwrap();
        assert_eq!((via.version_ok, via.fault()), (false, Some(Fault::Version)));
        assert_eq!(Via::parse(b"SIP/2.0/UDP h:x;rport=x").unwrap().fault(), Some(Fault::Port));
        assert_eq!(Via::parse(b"SIP/2.0/UDP ?;rport=x").unwrap().fault(), Some(Fault::Host));
        assert_eq!(Via::parse(b"SIP/2.0/UDP h;rport=x").unwrap().fault(), Some(Fault::Port));
    }
}
