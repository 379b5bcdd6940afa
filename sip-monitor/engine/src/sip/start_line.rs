//! The first line of a message.

use super::scan::{decimal, has_lws, is_lws, is_token, split_word, trim};
use super::{Fault, FaultSet, Method};

/// `Request-Line` or `Status-Line` (RFC 3261 7.1, 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// `Method SP Request-URI SP SIP-Version`.
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI as it stands, without surrounding white space.
        uri: &'a [u8],
    },
    /// `SIP-Version SP Status-Code SP Reason-Phrase`.
    Response {
        /// 100 to 699; 0 where the line has no such code ([`super::Fault::StatusCode`]).
        code: u16,
        /// Everything behind the code, without surrounding white space.
        reason: &'a [u8],
    },
}

impl<'a> StartLine<'a> {
    /// Reads a line without its end. `None` where it is no SIP, also no damaged SIP: HTTP and RTSP look alike.
    pub(super) fn parse(line: &'a [u8], faults: &mut FaultSet) -> Option<Self> {
        if starts_with_sip(line) { Self::parse_response(line, faults) } else { Self::parse_request(line, faults) }
    }

    fn parse_response(line: &'a [u8], faults: &mut FaultSet) -> Option<Self> {
        let (version, rest) = split_word(line);
        let (digits, reason) = split_word(rest);
        let number = decimal(digits)?;
        check_version(version, faults);
        let code = match u16::try_from(number) {
            Ok(code @ 100..=699) if digits.len() == 3 => code,
            _ => {
                faults.insert(Fault::StatusCode);
                0
            }
        };
        if line.get(version.len() + 1).is_none_or(|byte| is_lws(*byte)) {
            faults.insert(Fault::StartLineSpace);
        }
        Some(Self::Response { code, reason })
    }

    fn parse_request(line: &'a [u8], faults: &mut FaultSet) -> Option<Self> {
        let (method, rest) = split_word(line);
        if !is_token(method) || rest.is_empty() {
            return None;
        }
        let method_token = Method::from_token(method);
        let space = rest.iter().rposition(|byte| is_lws(*byte));
        let (uri, version) = match space {
            Some(at) => rest.split_at_checked(at)?,
            None => (&b""[..], rest),
        };
        let (uri, version) = (trim(uri), trim(version));
        let (uri, version) = if starts_with_sip(version) {
            check_version(version, faults);
            (uri, version)
        } else {
            // A Request-Line without version: only where everything else is beyond doubt.
            let scheme = rest.iter().position(|byte| *byte == b':').and_then(|at| rest.get(..at));
            let known = scheme.is_some_and(|scheme| {
                [&b"sip"[..], b"sips", b"tel"].iter().any(|known| known.eq_ignore_ascii_case(scheme))
            });
            if space.is_some() || !known || matches!(method_token, Method::Other(_)) {
                return None;
            }
            faults.insert(Fault::Version);
            (rest, &b""[..])
        };
        if uri.is_empty() || has_lws(uri) {
            faults.insert(Fault::RequestUri);
        }
        let separators = usize::from(!uri.is_empty()) + usize::from(!version.is_empty());
        if line.len() != method.len() + uri.len() + version.len() + separators {
            faults.insert(Fault::StartLineSpace);
        }
        Some(Self::Request { method: method_token, uri })
    }
}

fn starts_with_sip(bytes: &[u8]) -> bool {
    bytes.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"SIP/"))
}

/// The version is compared without regard to case (RFC 3261 7.1).
fn check_version(version: &[u8], faults: &mut FaultSet) {
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        faults.insert(Fault::Version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> (Option<StartLine<'_>>, Vec<Fault>) {
        let mut faults = FaultSet::EMPTY;
        let start = StartLine::parse(line, &mut faults);
        (start, faults.iter().collect())
    }

    #[test]
    fn a_request_line_has_three_parts() {
        let (line, faults) = read(b"INVITE sip:a@b SIP/2.0");
        assert_eq!(line, Some(StartLine::Request { method: Method::Invite, uri: b"sip:a@b" }));
        assert_eq!(faults, []);
    }

    #[test]
    fn a_status_line_may_have_no_phrase() {
        assert_eq!(read(b"SIP/2.0 100 "), (Some(StartLine::Response { code: 100, reason: b"" }), vec![]));
        assert_eq!(
            read(b"sip/2.0 180 Ringing it is").0,
            Some(StartLine::Response { code: 180, reason: b"Ringing it is" })
        );
    }

    #[test]
    fn a_code_that_is_none_is_a_fault() {
        for line in [&b"SIP/2.0 4294967301 better not"[..], b"SIP/2.0 700 no", b"SIP/2.0 0200 OK", b"SIP/2.0 99 no"] {
            let (start, faults) = read(line);
            assert!(matches!(start, Some(StartLine::Response { code: 0, .. })));
            assert_eq!(faults, [Fault::StatusCode]);
        }
    }

    #[test]
    fn spaces_too_many_are_a_fault() {
        let uri = StartLine::Request { method: Method::Options, uri: b"sip:a@b" };
        for line in [&b"OPTIONS  sip:a@b SIP/2.0"[..], b"OPTIONS sip:a@b  SIP/2.0", b"OPTIONS sip:a@b SIP/2.0  "] {
            assert_eq!(read(line), (Some(uri), vec![Fault::StartLineSpace]));
        }
        let (line, faults) = read(b"INVITE sip:a@b; lr SIP/2.0");
        assert_eq!(line, Some(StartLine::Request { method: Method::Invite, uri: b"sip:a@b; lr" }));
        assert_eq!(faults, [Fault::RequestUri]);
        assert_eq!(read(b"SIP/2.0  200 OK").1, [Fault::StartLineSpace]);
    }

    #[test]
    fn other_protocols_are_no_sip() {
        for line in [
            &b"GET / HTTP/1.1"[..],
            b"OPTIONS rtsp://h/x RTSP/1.0",
            b"HTTP/1.1 200 OK",
            b"INVITE",
            b"SIP/2.0",
            b"SIP/2.0 OK",
            b"\x80\x00\x12 x SIP/2.0",
            b"PING sip:a@b",
        ] {
            assert_eq!(read(line).0, None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_version_that_is_missing_or_unknown_is_a_fault() {
        assert_eq!(read(b"OPTIONS sip:a@b SIP/7.0").1, [Fault::Version]);
        let (line, faults) = read(b"BYE sip:a@b");
        assert_eq!(line, Some(StartLine::Request { method: Method::Bye, uri: b"sip:a@b" }));
        assert_eq!(faults, [Fault::Version]);
    }

    #[test]
    fn a_missing_request_uri_is_a_fault() {
        let (line, faults) = read(b"INVITE SIP/2.0");
        assert_eq!(line, Some(StartLine::Request { method: Method::Invite, uri: b"" }));
        assert_eq!(faults, [Fault::RequestUri]);
    }
}
