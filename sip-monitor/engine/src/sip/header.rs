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
            pub(super) const SINGLE: u128 = 0 $($(| headers!(@bit $variant $single))?)+;

            pub(super) const fn from_compact(letter: u8) -> Self {
                match letter.to_ascii_lowercase() { $($($compact => Self::$variant,)?)+ _ => Self::Other }
            }
        }
    };
    (@bit $variant:ident single) => { (1u128 << HeaderName::$variant as u8) };
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

const _: () = assert!(HeaderName::ALL.len() < 128);

impl HeaderName {
    /// Names a header from its bytes.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Self {
        if let [letter] = name {
            return Self::from_compact(*letter);
        }
        // By length and first letter at most two candidates are left for the comparison.
        let first = name.first().map_or(0, u8::to_ascii_lowercase);
        let candidates: &[Self] = match (name.len(), first) {
            (2, b't') => &[Self::To],
            (3, b'v') => &[Self::Via],
            (4, b'f') => &[Self::From],
            (4, b'c') => &[Self::CSeq],
            (4, b'r') => &[Self::RAck, Self::RSeq],
            (4, b'p') => &[Self::Path],
            (4, b'd') => &[Self::Date],
            (4, b'j') => &[Self::Join],
            (5, b'a') => &[Self::Allow],
            (5, b'r') => &[Self::Route],
            (5, b'e') => &[Self::Event],
            (6, b'a') => &[Self::Accept],
            (6, b's') => &[Self::Server],
            (6, b'r') => &[Self::Reason],
            (6, b'm') => &[Self::MinSe],
            (7, b'c') => &[Self::CallId, Self::Contact],
            (7, b'e') => &[Self::Expires],
            (7, b'r') => &[Self::Require],
            (7, b'w') => &[Self::Warning],
            (7, b'p') => &[Self::Privacy],
            (7, b's') => &[Self::Subject],
            (8, b'r') => &[Self::ReferTo, Self::Replaces],
            (8, b'i') => &[Self::Identity],
            (8, b's') => &[Self::SipEtag],
            (9, b's') => &[Self::Supported],
            (9, b'r') => &[Self::ReferSub],
            (9, b'd') => &[Self::Diversion],
            (9, b't') => &[Self::Timestamp],
            (10, b'u') => &[Self::UserAgent],
            (10, b's') => &[Self::SessionId],
            (11, b'u') => &[Self::Unsupported],
            (11, b'm') => &[Self::MinExpires],
            (11, b'r') => &[Self::RetryAfter, Self::ReferredBy],
            (12, b'm') => &[Self::MaxForwards, Self::MimeVersion],
            (12, b'c') => &[Self::ContentType],
            (12, b'r') => &[Self::RecordRoute],
            (12, b'a') => &[Self::AllowEvents],
            (12, b'h') => &[Self::HistoryInfo],
            (12, b's') => &[Self::SipIfMatch],
            (12, b'o') => &[Self::Organization],
            (13, b'p') => &[Self::ProxyRequire],
            (13, b'a') => &[Self::Authorization],
            (13, b's') => &[Self::ServiceRoute],
            (14, b'c') => &[Self::ContentLength],
            (14, b'a') => &[Self::AcceptContact],
            (14, b'r') => &[Self::RejectContact],
            (15, b's') => &[Self::SessionExpires],
            (15, b'r') => &[Self::RemotePartyId],
            (16, b'w') => &[Self::WwwAuthenticate],
            (16, b'c') => &[Self::ContentEncoding],
            (18, b'p') => &[Self::ProxyAuthenticate],
            (18, b's') => &[Self::SubscriptionState],
            (19, b'p') => &[Self::ProxyAuthorization, Self::PAssertedIdentity],
            (19, b'a') => &[Self::AuthenticationInfo],
            (19, b'r') => &[Self::RequestDisposition],
            (19, b'c') => &[Self::ContentDisposition],
            (20, b'p') => &[Self::PPreferredIdentity],
            _ => &[],
        };
        candidates
            .iter()
            .copied()
            .find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(name))
            .unwrap_or(Self::Other)
    }

    /// Whether a second header of this name is a fault.
    #[must_use]
    pub const fn is_single(self) -> bool {
        Self::SINGLE & self.bit() != 0
    }

    pub(super) const fn bit(self) -> u128 {
        1u128 << self as u8
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
