//! Names of headers: long and compact forms, without regard to case (RFC 3261 7.3.1, 7.3.3).

macro_rules! headers {
    ($($variant:ident = $long:literal $(/ $compact:literal)? $(, $single:ident)?;)+) => {
        /// A header this parser knows by name. All others are reached by [`super::Message::headers_named`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = $long] $variant,)+
            /// Any other.
            Other,
        }

        impl HeaderName {
            /// Every name but [`HeaderName::Other`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The long form as the RFC writes it; empty for [`HeaderName::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $long,)+ Self::Other => "" }
            }

            /// Bits of those that may stand only once (RFC 3261 20, table 2: not a comma-separated list).
            pub(super) const SINGLE: u64 = 0 $($(| headers!(@bit $variant $single))?)+;

            pub(super) const fn from_compact(letter: u8) -> Self {
                match letter.to_ascii_lowercase() { $($($compact => Self::$variant,)?)+ _ => Self::Other }
            }
        }
    };
    (@bit $variant:ident single) => { (1u64 << HeaderName::$variant as u8) };
}

headers! {
    Via = "Via" / b'v';
    From = "From" / b'f', single;
    To = "To" / b't', single;
    CallId = "Call-ID" / b'i', single;
    CSeq = "CSeq", single;
    Contact = "Contact" / b'm';
    MaxForwards = "Max-Forwards", single;
    ContentLength = "Content-Length" / b'l', single;
    ContentType = "Content-Type" / b'c', single;
    Route = "Route";
    RecordRoute = "Record-Route";
    Allow = "Allow";
    Supported = "Supported" / b'k';
    Require = "Require";
    ProxyRequire = "Proxy-Require";
    Unsupported = "Unsupported";
    Expires = "Expires", single;
    MinExpires = "Min-Expires", single;
    SessionExpires = "Session-Expires" / b'x', single;
    MinSe = "Min-SE", single;
    Authorization = "Authorization";
    ProxyAuthorization = "Proxy-Authorization";
    WwwAuthenticate = "WWW-Authenticate";
    ProxyAuthenticate = "Proxy-Authenticate";
    AuthenticationInfo = "Authentication-Info";
    UserAgent = "User-Agent", single;
    Server = "Server", single;
    Reason = "Reason";
    RetryAfter = "Retry-After", single;
    Warning = "Warning";
    RAck = "RAck", single;
    RSeq = "RSeq", single;
    ReferTo = "Refer-To" / b'r', single;
    ReferredBy = "Referred-By" / b'b', single;
    ReferSub = "Refer-Sub", single;
    Replaces = "Replaces", single;
    Event = "Event" / b'o', single;
    SubscriptionState = "Subscription-State", single;
    AllowEvents = "Allow-Events" / b'u';
    PAssertedIdentity = "P-Asserted-Identity";
    PPreferredIdentity = "P-Preferred-Identity";
    RemotePartyId = "Remote-Party-ID";
    Privacy = "Privacy";
    Path = "Path";
    ServiceRoute = "Service-Route";
    Accept = "Accept";
    AcceptContact = "Accept-Contact" / b'a';
    RejectContact = "Reject-Contact" / b'j';
    RequestDisposition = "Request-Disposition" / b'd';
    ContentEncoding = "Content-Encoding" / b'e';
    ContentDisposition = "Content-Disposition", single;
    Date = "Date", single;
    Subject = "Subject" / b's', single;
    SessionId = "Session-ID", single;
    HistoryInfo = "History-Info";
    Diversion = "Diversion";
    Identity = "Identity" / b'y';
    Timestamp = "Timestamp", single;
    SipEtag = "SIP-ETag", single;
    SipIfMatch = "SIP-If-Match", single;
    Join = "Join", single;
    Organization = "Organization", single;
    MimeVersion = "MIME-Version", single;
}

const _: () = assert!(HeaderName::ALL.len() < 64);

/// Where a name stands in [`NAMES`]: by its length and its first and last letter without their case. The factors were found
/// by trying; two names in one slot do not compile.
const fn slot(length: usize, first: u8, last: u8) -> usize {
    (length * 2 + (first | 0x20) as usize * 47 + (last | 0x20) as usize * 36) % 256
}

/// Equal without regard to case. Most names are written as the RFC does, so those are compared first: up to 16 letters as two
/// overlapping words, without a call.
fn is_same(known: &[u8], name: &[u8]) -> bool {
    if known.len() != name.len() {
        return false;
    }
    let as_written = match name.len() {
        4..8 => known.first_chunk::<4>() == name.first_chunk() && known.last_chunk::<4>() == name.last_chunk(),
        8..=16 => known.first_chunk::<8>() == name.first_chunk() && known.last_chunk::<8>() == name.last_chunk(),
        _ => false,
    };
    as_written || known.eq_ignore_ascii_case(name)
}

/// Every long form at its slot.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const NAMES: [(&[u8], HeaderName); 256] = {
    let mut names: [(&[u8], HeaderName); 256] = [(b"", HeaderName::Other); 256];
    let mut index = 0;
    while index < HeaderName::ALL.len() {
        let name = HeaderName::ALL[index].as_str().as_bytes();
        let slot = slot(name.len(), name[0], name[name.len() - 1]);
        names[slot] = (name, HeaderName::ALL[index]);
        index += 1;
    }
    names
};

/// Names that stand at their slot: all of them, where none was overwritten by another.
const fn placed() -> usize {
    let (mut slots, mut count) = (NAMES.as_slice(), 0);
    while let [(name, _), rest @ ..] = slots {
        count += !name.is_empty() as usize;
        slots = rest;
    }
    count
}

static TABLE: [(&[u8], HeaderName); 256] = NAMES;

const _: () = assert!(placed() == HeaderName::ALL.len(), "two header names in one slot: choose other factors");

impl HeaderName {
    /// Names a header from its bytes.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            [] => Self::Other,
            [letter] => Self::from_compact(*letter),
            [first, .., last] => match TABLE.get(slot(name.len(), *first, *last)) {
                Some((known, header)) if is_same(known, name) => *header,
                _ => Self::Other,
            },
        }
    }

    /// Whether a second header of this name is a fault.
    #[must_use]
    pub const fn is_single(self) -> bool {
        Self::SINGLE & self.bit() != 0
    }

    pub(super) const fn bit(self) -> u64 {
        1u64 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_long_form_is_found_in_any_case() {
        for name in HeaderName::ALL {
            let upper = name.as_str().to_ascii_uppercase();
            assert_eq!(HeaderName::from_bytes(upper.as_bytes()), *name);
            assert_eq!(HeaderName::from_bytes(name.as_str().as_bytes()), *name);
        }
    }

    #[test]
    fn compact_forms_are_those_of_the_registry() {
        let forms = "vVia fFrom tTo iCall-ID mContact lContent-Length cContent-Type kSupported xSession-Expires rRefer-To \
                     bReferred-By oEvent uAllow-Events aAccept-Contact jReject-Contact dRequest-Disposition \
                     eContent-Encoding sSubject yIdentity";
        for form in forms.split_whitespace() {
            let (letter, long) = form.split_at(1);
            assert_eq!(HeaderName::from_bytes(letter.as_bytes()).as_str(), long);
            assert_eq!(HeaderName::from_bytes(letter.to_uppercase().as_bytes()).as_str(), long);
        }
        assert_eq!(HeaderName::from_bytes(b"z"), HeaderName::Other);
        assert_eq!(HeaderName::from_bytes(b"n"), HeaderName::Other);
    }

    #[test]
    fn an_escaped_name_is_another_name() {
        assert_eq!(HeaderName::from_bytes(b"C%6Fntact"), HeaderName::Other);
        assert_eq!(HeaderName::from_bytes(b""), HeaderName::Other);
    }
}
