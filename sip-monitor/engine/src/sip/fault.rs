//! What can be wrong with a SIP message, and sets of it.

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $rfc:literal;)+) => {
        /// One thing wrong with a message or one of its headers. The names are stable: they are labels of metrics and evidence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault { $($(#[$doc])* #[doc = ""] #[doc = $rfc] $variant,)+ }

        impl Fault {
            /// Every fault, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Stable kebab-case name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The rule that is broken.
            #[must_use]
            pub const fn reference(self) -> &'static str {
                match self { $(Self::$variant => $rfc,)+ }
            }
        }
    };
}

faults! {
    /// The version is not SIP/2.0, or there is none.
    Version = "version", "RFC 3261 7.1";
    /// More than one space between the parts of the start line, or space before or after them.
    StartLineSpace = "start-line-space", "RFC 3261 7.1";
    /// The Request-URI is empty, in angle brackets, holds white space or headers, or is no URI.
    RequestUri = "request-uri", "RFC 3261 7.1, 19.1.1";
    /// The status code is not three digits between 100 and 699.
    StatusCode = "status-code", "RFC 3261 7.2";
    /// A line ends in LF without CR.
    BareLineFeed = "bare-line-feed", "RFC 3261 7, 25.1";
    /// A header line has no colon or no legal name.
    HeaderLine = "header-line", "RFC 3261 7.3.1";
    /// The headers end without the empty line: cut off, or never written.
    HeadersCut = "headers-cut", "RFC 3261 7";
    /// More header lines than are looked at (see `Message::MAX_HEADERS`).
    TooManyHeaders = "too-many-headers", "RFC 3261 21.4.11";
    /// A header that may stand once stands more than once; the first is used.
    DuplicateHeader = "duplicate-header", "RFC 3261 7.3.1";
    /// No Call-ID.
    CallIdMissing = "call-id-missing", "RFC 3261 8.1.1, 8.1.1.4";
    /// The Call-ID is empty or holds white space.
    CallId = "call-id", "RFC 3261 20.8";
    /// No CSeq.
    CSeqMissing = "cseq-missing", "RFC 3261 8.1.1, 8.1.1.5";
    /// The CSeq number is not a number below 2^31.
    CSeqNumber = "cseq-number", "RFC 3261 8.1.1.5, 20.16";
    /// The CSeq has no legal method.
    CSeqMethod = "cseq-method", "RFC 3261 20.16";
    /// The method of the CSeq is not that of the request.
    CSeqMismatch = "cseq-mismatch", "RFC 3261 8.1.1.5";
    /// No From.
    FromMissing = "from-missing", "RFC 3261 8.1.1.3";
    /// The From cannot be read.
    From = "from", "RFC 3261 20.20";
    /// The From has no tag: allowed only for RFC 2543 implementations.
    FromTagMissing = "from-tag-missing", "RFC 3261 8.1.1.3";
    /// No To.
    ToMissing = "to-missing", "RFC 3261 8.1.1.2";
    /// The To cannot be read.
    To = "to", "RFC 3261 20.39";
    /// No Via.
    ViaMissing = "via-missing", "RFC 3261 8.1.1.7";
    /// A Via cannot be read.
    Via = "via", "RFC 3261 20.42";
    /// The top Via has no branch, or one that is only the magic cookie or lacks it.
    Branch = "branch", "RFC 3261 8.1.1.7";
    /// No Max-Forwards in a request.
    MaxForwardsMissing = "max-forwards-missing", "RFC 3261 8.1.1.6";
    /// Max-Forwards is not a number from 0 to 255.
    MaxForwards = "max-forwards", "RFC 3261 20.22";
    /// A Contact cannot be read.
    Contact = "contact", "RFC 3261 20.10";
    /// A Route, Record-Route, Path or Service-Route cannot be read.
    Route = "route", "RFC 3261 20.30, 20.34";
    /// An address in another header cannot be read.
    Address = "address", "RFC 3261 20.10";
    /// A quoted string does not end.
    Quote = "quote", "RFC 3261 25.1";
    /// An angle bracket is not closed.
    AngleBracket = "angle-bracket", "RFC 3261 25.1";
    /// A display name that must be quoted is not.
    DisplayName = "display-name", "RFC 3261 25.1";
    /// An empty parameter or list element: `;;` or `,,`.
    EmptyElement = "empty-element", "RFC 3261 7.3.1";
    /// White space where an address must have none.
    AddressSpace = "address-space", "RFC 3261 25.1";
    /// A URI with a question mark or comma that is not in angle brackets.
    AddressUnbracketed = "address-unbracketed", "RFC 3261 20.10";
    /// A URI has no scheme.
    UriScheme = "uri-scheme", "RFC 3261 19.1.1";
    /// The host of a URI or Via is no name and no address.
    Host = "host", "RFC 3261 25.1";
    /// A port is not a number from 1 to 65535.
    Port = "port", "RFC 3261 19.1.1";
    /// Content-Length is not a number.
    ContentLength = "content-length", "RFC 3261 20.14";
    /// Content-Length is more than there is.
    BodyCut = "body-cut", "RFC 3261 18.3";
    /// Octets after the body that a datagram's Content-Length leaves out; they are ignored.
    TrailingOctets = "trailing-octets", "RFC 3261 18.3";
    /// A body without Content-Type.
    ContentTypeMissing = "content-type-missing", "RFC 3261 20.15";
    /// Content-Type is not `type/subtype`.
    ContentType = "content-type", "RFC 3261 20.15";
    /// A number of seconds is none, or too large to count with.
    Seconds = "seconds", "RFC 3261 20.19, 20.33";
    /// A Date is not in GMT.
    Date = "date", "RFC 3261 20.17";
    /// A Warning cannot be read.
    Warning = "warning", "RFC 3261 20.43";
    /// A Reason cannot be read.
    Reason = "reason", "RFC 3326 2";
    /// RSeq or RAck cannot be read.
    Reliable = "reliable", "RFC 3262 7";
    /// Session-Expires or Min-SE cannot be read.
    SessionTimer = "session-timer", "RFC 4028 4, 5";
    /// A challenge or credentials cannot be read.
    Auth = "auth", "RFC 3261 20.7, 20.44";
    /// Replaces, Event, Subscription-State or Session-ID cannot be read.
    Extension = "extension", "RFC 3891 6.1, RFC 6665 8.2, RFC 7989 5";
}

impl Fault {
    /// Whether RFC 3261 itself tells receivers how to cope with it, so that no peer should drop the message for it: what
    /// RFC 2543 allowed (12.1.1, 17.2.3), no Max-Forwards (16.3), octets behind the body of a datagram (18.3).
    #[must_use]
    pub const fn is_tolerated(self) -> bool {
        matches!(self, Self::Branch | Self::FromTagMissing | Self::MaxForwardsMissing | Self::TrailingOctets)
    }
}

/// A set of [`Fault`]s; iterates in the order of declaration.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FaultSet(u64);

const _: () = assert!(Fault::ALL.len() <= 64);

impl FaultSet {
    /// No fault.
    pub const EMPTY: Self = Self(0);

    /// Adds a fault.
    pub const fn insert(&mut self, fault: Fault) {
        self.0 |= 1 << fault as u8;
    }

    /// Whether the fault is in.
    #[must_use]
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u8) != 0
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Each fault once.
    pub fn iter(self) -> impl Iterator<Item = Fault> + Clone {
        Fault::ALL.iter().copied().filter(move |fault| self.contains(*fault))
    }

    /// Notes the fault of a result and keeps its value.
    pub(super) fn note<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.insert(fault);
                None
            }
        }
    }
}

impl core::ops::BitOr for FaultSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        let mut set = Self::EMPTY;
        faults.into_iter().for_each(|fault| set.insert(fault));
        set
    }
}

impl core::fmt::Debug for FaultSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter().map(Fault::name)).finish()
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_and_unique() {
        let mut names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
    }

    #[test]
    fn a_set_holds_each_fault_once_in_order() {
        let set: FaultSet = Fault::ALL.iter().rev().chain(Fault::ALL).copied().collect();
        assert_eq!(set.len(), Fault::ALL.len());
        assert!(set.iter().eq(Fault::ALL.iter().copied()));
        assert!(FaultSet::EMPTY.is_empty() && !FaultSet::EMPTY.contains(Fault::Version));
    }
}
