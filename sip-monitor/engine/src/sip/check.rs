//! Everything that is wrong with a message: each header that has a reader is read.

use super::scan::{decimal, has_lws};
use super::values::seconds;
use super::{
    Auth, Contact, ContentType, Fault, FaultSet, HeaderName, Message, NameAddr, Params, RAck, Reason, Replaces,
    SessionExpires, SessionId, StartLine, SubscriptionState, Uri, Values, Via, Warning,
};

/// Lists of addresses, and the fault where one cannot be read.
const ADDRESSES: [(HeaderName, Fault); 11] = [
    (HeaderName::Route, Fault::Route),
    (HeaderName::RecordRoute, Fault::Route),
    (HeaderName::Path, Fault::Route),
    (HeaderName::ServiceRoute, Fault::Route),
    (HeaderName::PAssertedIdentity, Fault::Address),
    (HeaderName::PPreferredIdentity, Fault::Address),
    (HeaderName::RemotePartyId, Fault::Address),
    (HeaderName::ReferTo, Fault::Address),
    (HeaderName::ReferredBy, Fault::Address),
    (HeaderName::Diversion, Fault::Address),
    (HeaderName::HistoryInfo, Fault::Address),
];

impl<'a> Message<'a> {
    /// Everything that is wrong with the message. Reads every header that has a reader: not for the fast path.
    #[must_use]
    pub fn faults(&self) -> FaultSet {
        let mut faults = self.faults;
        self.check_request(&mut faults);
        self.check_identity(&mut faults);
        self.check_addresses(&mut faults);
        self.check_vias(&mut faults);
        self.check_numbers(&mut faults);
        self.check_extensions(&mut faults);
        self.check_body(&mut faults);
        faults
    }

    /// Request-URI and Max-Forwards, which responses have not.
    fn check_request(&self, faults: &mut FaultSet) {
        let StartLine::Request { method, uri } = self.start_line() else {
            return;
        };
        match Uri::parse(uri) {
            Ok(read) => {
                if read.fault.is_some() || !read.headers.is_empty() {
                    faults.insert(Fault::RequestUri);
                }
                read.fault.into_iter().for_each(|fault| faults.insert(fault));
            }
            Err(fault) => {
                faults.insert(Fault::RequestUri);
                faults.insert(fault);
            }
        }
        if self.header(HeaderName::MaxForwards).is_none() {
            faults.insert(Fault::MaxForwardsMissing);
        }
        if self.cseq_method().is_some_and(|in_cseq| in_cseq != method) {
            faults.insert(Fault::CSeqMismatch);
        }
    }

    /// What names call, dialog and transaction.
    fn check_identity(&self, faults: &mut FaultSet) {
        if faults.note(self.call_id()).is_some_and(has_lws) {
            faults.insert(Fault::CallId);
        }
        faults.note(self.cseq());
        if let Some(from) = faults.note(self.from())
            && from.tag().is_none()
        {
            faults.insert(Fault::FromTagMissing);
        }
        faults.note(self.to());
    }

    fn check_addresses(&self, faults: &mut FaultSet) {
        for (name, otherwise) in [(HeaderName::From, Fault::From), (HeaderName::To, Fault::To)] {
            if let Some(value) = self.header(name) {
                check_address(value, NameAddr::parse(value, otherwise), faults);
            }
        }
        for (name, otherwise) in ADDRESSES {
            for value in self.elements(name, faults) {
                check_address(value, NameAddr::parse(value, otherwise), faults);
            }
        }
        for value in self.elements(HeaderName::Contact, faults) {
            match Contact::parse(value) {
                Ok(Contact::Wildcard) => {}
                Ok(Contact::Address(address)) => {
                    check_seconds(address.param("expires"), faults);
                    check_address(value, Ok(address), faults);
                }
                Err(fault) => faults.insert(fault),
            }
        }
    }

    fn check_vias(&self, faults: &mut FaultSet) {
        for value in self.elements(HeaderName::Via, faults) {
            if let Some(via) = faults.note(Via::parse(value)) {
                via.fault().into_iter().for_each(|fault| faults.insert(fault));
                check_params(via.params, faults);
            }
        }
        match self.top_via() {
            Ok(via) if !via.has_unique_branch() => faults.insert(Fault::Branch),
            Ok(_) => {}
            Err(fault) => faults.insert(fault),
        }
    }

    fn check_numbers(&self, faults: &mut FaultSet) {
        if self.header(HeaderName::MaxForwards).is_some() && self.max_forwards().is_none() {
            faults.insert(Fault::MaxForwards);
        }
        for name in [HeaderName::Expires, HeaderName::MinExpires, HeaderName::RetryAfter] {
            check_seconds(self.header(name), faults);
        }
        if self.header(HeaderName::Date).is_some_and(|date| !date.ends_with(b"GMT")) {
            faults.insert(Fault::Date);
        }
        if self.header(HeaderName::RSeq).is_some() && self.rseq().is_none() {
            faults.insert(Fault::Reliable);
        }
        if self.header(HeaderName::MinSe).is_some() && self.min_se().is_none() {
            faults.insert(Fault::SessionTimer);
        }
    }

    fn check_extensions(&self, faults: &mut FaultSet) {
        self.elements(HeaderName::Reason, faults).for_each(|value| note(faults, Reason::parse(value)));
        self.elements(HeaderName::Warning, faults).for_each(|value| note(faults, Warning::parse(value)));
        self.header(HeaderName::RAck).into_iter().for_each(|value| note(faults, RAck::parse(value)));
        self.header(HeaderName::SessionExpires)
            .into_iter()
            .for_each(|value| note(faults, SessionExpires::parse(value)));
        self.header(HeaderName::Replaces).into_iter().for_each(|value| note(faults, Replaces::parse(value)));
        self.header(HeaderName::SessionId).into_iter().for_each(|value| note(faults, SessionId::parse(value)));
        let state = self.header(HeaderName::SubscriptionState);
        state.into_iter().for_each(|value| note(faults, SubscriptionState::parse(value)));
        for name in [
            HeaderName::Authorization,
            HeaderName::ProxyAuthorization,
            HeaderName::WwwAuthenticate,
            HeaderName::ProxyAuthenticate,
        ] {
            self.headers(name).for_each(|value| note(faults, Auth::parse(value)));
        }
    }

    fn check_body(&self, faults: &mut FaultSet) {
        let there = self.behind_head().len();
        match (self.header(HeaderName::ContentLength), self.content_length()) {
            (Some(_), None) => faults.insert(Fault::ContentLength),
            (_, Some(length)) if length as usize > there => faults.insert(Fault::BodyCut),
            (_, Some(length)) if (length as usize) < there => faults.insert(Fault::TrailingOctets),
            (_, Some(_)) | (None, None) => {}
        }
        match self.header(HeaderName::ContentType) {
            Some(value) => note(faults, ContentType::parse(value)),
            None if !self.body().is_empty() => faults.insert(Fault::ContentTypeMissing),
            None => {}
        }
    }

    /// The elements of a list that are not empty; empty ones are noted, unless the whole list is.
    fn elements(&self, name: HeaderName, faults: &mut FaultSet) -> impl Iterator<Item = &'a [u8]> + use<'_, 'a> {
        for value in self.headers(name) {
            let mut values = Values::new(value);
            while let Some(element) = values.next_element() {
                if element.is_empty() && !value.is_empty() {
                    faults.insert(Fault::EmptyElement);
                }
            }
        }
        self.list(name)
    }
}

fn note<T>(faults: &mut FaultSet, result: Result<T, Fault>) {
    faults.note(result);
}

fn check_address(value: &[u8], address: Result<NameAddr<'_>, Fault>, faults: &mut FaultSet) {
    let Some(address) = faults.note(address) else {
        return;
    };
    address.fault.into_iter().for_each(|fault| faults.insert(fault));
    if !NameAddr::has_token_display(value) {
        faults.insert(Fault::DisplayName);
    }
    check_params(address.params, faults);
    if let Some(uri) = faults.note(address.parse_uri()) {
        uri.fault.into_iter().for_each(|fault| faults.insert(fault));
    }
}

fn check_params(params: Params<'_>, faults: &mut FaultSet) {
    if params.has_empty_element() {
        faults.insert(Fault::EmptyElement);
    }
}

/// `delta-seconds` go to 2^32 - 1 (RFC 3261 20.19).
fn check_seconds(value: Option<&[u8]>, faults: &mut FaultSet) {
    let Some(value) = value else {
        return;
    };
    let overlarge = decimal(value).is_some_and(|number| number > u64::from(u32::MAX));
    if overlarge || seconds(value).is_err() {
        faults.insert(Fault::Seconds);
    }
}
