//! Headers read by their meaning. Mandatory ones give a [`Fault`] where they are missing or cannot be read; optional ones
//! give `None` in both cases, and [`Message::faults`] tells which.

use super::scan::{decimal, decimal_u32, split_params, split_word};
use super::values::seconds;
use super::{
    Auth, CSeq, Contact, ContentType, Fault, HeaderName, Message, Method, NameAddr, RAck, Reason, Replaces,
    SessionExpires, SessionId, SubscriptionState, Values, Via, Warning,
};

impl<'a> Message<'a> {
    /// Call-ID (RFC 3261 20.8): compared byte by byte.
    ///
    /// # Errors
    /// [`Fault::CallIdMissing`], [`Fault::CallId`] where it is empty
    pub fn call_id(&self) -> Result<&'a [u8], Fault> {
        match self.header(HeaderName::CallId) {
            None => Err(Fault::CallIdMissing),
            Some([]) => Err(Fault::CallId),
            Some(call_id) => Ok(call_id),
        }
    }

    /// CSeq (RFC 3261 20.16).
    ///
    /// # Errors
    /// [`Fault::CSeqMissing`], [`Fault::CSeqNumber`], [`Fault::CSeqMethod`]
    pub fn cseq(&self) -> Result<CSeq<'a>, Fault> {
        CSeq::parse(self.header(HeaderName::CSeq).ok_or(Fault::CSeqMissing)?)
    }

    /// The method in the CSeq, also where its number cannot be read.
    #[must_use]
    pub fn cseq_method(&self) -> Option<Method<'a>> {
        let (_, method) = split_word(self.header(HeaderName::CSeq)?);
        CSeq::parse_method(method)
    }

    /// From (RFC 3261 20.20).
    ///
    /// # Errors
    /// [`Fault::FromMissing`], [`Fault::From`]
    pub fn from(&self) -> Result<NameAddr<'a>, Fault> {
        NameAddr::parse(self.header(HeaderName::From).ok_or(Fault::FromMissing)?, Fault::From)
    }

    /// To (RFC 3261 20.39).
    ///
    /// # Errors
    /// [`Fault::ToMissing`], [`Fault::To`]
    pub fn to(&self) -> Result<NameAddr<'a>, Fault> {
        NameAddr::parse(self.header(HeaderName::To).ok_or(Fault::ToMissing)?, Fault::To)
    }

    /// The values of a list header one by one, over all its lines; empty elements are left out.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + Clone + '_ {
        self.headers(name).flat_map(Values::new)
    }

    /// The Via values, top first (RFC 3261 20.42).
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, Fault>> + Clone + '_ {
        self.list(HeaderName::Via).map(Via::parse)
    }

    /// The Via values below the top one.
    pub fn vias_below_top(&self) -> impl Iterator<Item = Result<Via<'a>, Fault>> + Clone + '_ {
        self.list(HeaderName::Via).skip(1).map(Via::parse)
    }

    /// The topmost Via value.
    ///
    /// # Errors
    /// [`Fault::ViaMissing`], [`Fault::Via`]
    pub fn top_via(&self) -> Result<Via<'a>, Fault> {
        self.vias().next().unwrap_or(Err(Fault::ViaMissing))
    }

    /// The Contact values (RFC 3261 20.10).
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'a>, Fault>> + Clone + '_ {
        self.list(HeaderName::Contact).map(Contact::parse)
    }

    /// The URI of the first Contact that is an address: the remote target of a dialog (RFC 3261 12.1.1).
    #[must_use]
    pub fn contact_uri(&self) -> Option<&'a [u8]> {
        self.contacts().flatten().find_map(|contact| contact.address().map(|address| address.uri))
    }

    /// The Route values, top first (RFC 3261 20.34).
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> + Clone + '_ {
        self.list(HeaderName::Route).map(|value| NameAddr::parse(value, Fault::Route))
    }

    /// The Record-Route values, top first (RFC 3261 20.30).
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> + Clone + '_ {
        self.list(HeaderName::RecordRoute).map(|value| NameAddr::parse(value, Fault::Route))
    }

    /// The values of another header that holds addresses: P-Asserted-Identity, Remote-Party-ID, Path, Diversion, ...
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> + Clone + '_ {
        self.list(name).map(|value| NameAddr::parse(value, Fault::Address))
    }

    /// Who calls, as the network asserts: P-Asserted-Identity (RFC 3325), else Remote-Party-ID.
    #[must_use]
    pub fn asserted_identity(&self) -> Option<NameAddr<'a>> {
        let asserted = self.addresses(HeaderName::PAssertedIdentity).flatten().next();
        asserted.or_else(|| self.addresses(HeaderName::RemotePartyId).flatten().next())
    }

    /// The Reason values (RFC 3326).
    pub fn reasons(&self) -> impl Iterator<Item = Result<Reason<'a>, Fault>> + Clone + '_ {
        self.list(HeaderName::Reason).map(Reason::parse)
    }

    /// The Warning values (RFC 3261 20.43).
    pub fn warnings(&self) -> impl Iterator<Item = Result<Warning<'a>, Fault>> + Clone + '_ {
        self.list(HeaderName::Warning).map(Warning::parse)
    }

    /// RAck of a PRACK (RFC 3262 7.2).
    #[must_use]
    pub fn rack(&self) -> Option<RAck<'a>> {
        RAck::parse(self.header(HeaderName::RAck)?).ok()
    }

    /// RSeq of a reliable provisional response (RFC 3262 7.1).
    #[must_use]
    pub fn rseq(&self) -> Option<u32> {
        decimal_u32(self.header(HeaderName::RSeq)?)
    }

    /// Content-Length (RFC 3261 20.14).
    #[must_use]
    pub fn content_length(&self) -> Option<u32> {
        decimal_u32(self.header(HeaderName::ContentLength)?)
    }

    /// Content-Type (RFC 3261 20.15).
    #[must_use]
    pub fn content_type(&self) -> Option<ContentType<'a>> {
        ContentType::parse(self.header(HeaderName::ContentType)?).ok()
    }

    /// Max-Forwards (RFC 3261 20.22), 0 to 255.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        decimal(self.header(HeaderName::MaxForwards)?).and_then(|hops| u8::try_from(hops).ok())
    }

    /// Expires in seconds (RFC 3261 20.19); too large counts as the largest.
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        seconds(self.header(HeaderName::Expires)?).ok()
    }

    /// Min-Expires in seconds (RFC 3261 20.23).
    #[must_use]
    pub fn min_expires(&self) -> Option<u32> {
        seconds(self.header(HeaderName::MinExpires)?).ok()
    }

    /// Session-Expires (RFC 4028 4).
    #[must_use]
    pub fn session_expires(&self) -> Option<SessionExpires> {
        SessionExpires::parse(self.header(HeaderName::SessionExpires)?).ok()
    }

    /// Min-SE in seconds (RFC 4028 5).
    #[must_use]
    pub fn min_se(&self) -> Option<u32> {
        seconds(self.header(HeaderName::MinSe)?).ok()
    }

    /// Retry-After in seconds (RFC 3261 20.33).
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        seconds(self.header(HeaderName::RetryAfter)?).ok()
    }

    /// Whether a token stands in a list header, without regard to case.
    #[must_use]
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.list(name).any(|written| written.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The option tags of Require (RFC 3261 20.32).
    pub fn require(&self) -> impl Iterator<Item = &'a [u8]> + Clone + '_ {
        self.list(HeaderName::Require)
    }

    /// The option tags of Supported (RFC 3261 20.37).
    pub fn supported(&self) -> impl Iterator<Item = &'a [u8]> + Clone + '_ {
        self.list(HeaderName::Supported)
    }

    /// The methods of Allow (RFC 3261 20.5).
    pub fn allow(&self) -> impl Iterator<Item = Method<'a>> + Clone + '_ {
        self.list(HeaderName::Allow).map(Method::from_token)
    }

    /// The types of Accept (RFC 3261 20.1), parameters included.
    pub fn accept(&self) -> impl Iterator<Item = &'a [u8]> + Clone + '_ {
        self.list(HeaderName::Accept)
    }

    /// The challenges of a 401 (WWW-Authenticate) or 407 (Proxy-Authenticate).
    pub fn challenges(&self) -> impl Iterator<Item = Auth<'a>> + '_ {
        let (own, proxy) = (HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate);
        self.headers(own).chain(self.headers(proxy)).filter_map(|value| Auth::parse(value).ok())
    }

    /// The first challenge.
    #[must_use]
    pub fn challenge(&self) -> Option<Auth<'a>> {
        self.challenges().next()
    }

    /// The first credentials: Authorization, else Proxy-Authorization.
    #[must_use]
    pub fn credentials(&self) -> Option<Auth<'a>> {
        let (own, proxy) = (HeaderName::Authorization, HeaderName::ProxyAuthorization);
        self.headers(own).chain(self.headers(proxy)).find_map(|value| Auth::parse(value).ok())
    }

    /// Refer-To (RFC 3515 2.1).
    #[must_use]
    pub fn refer_to(&self) -> Option<NameAddr<'a>> {
        self.addresses(HeaderName::ReferTo).flatten().next()
    }

    /// Replaces (RFC 3891).
    #[must_use]
    pub fn replaces(&self) -> Option<Replaces<'a>> {
        Replaces::parse(self.header(HeaderName::Replaces)?).ok()
    }

    /// The package of Event (RFC 6665 8.2.1), without its parameters.
    #[must_use]
    pub fn event(&self) -> Option<&'a [u8]> {
        Some(split_params(self.header(HeaderName::Event)?).0)
    }

    /// Subscription-State (RFC 6665 8.2.3).
    #[must_use]
    pub fn subscription_state(&self) -> Option<SubscriptionState<'a>> {
        SubscriptionState::parse(self.header(HeaderName::SubscriptionState)?).ok()
    }

    /// Session-ID (RFC 7989).
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId<'a>> {
        SessionId::parse(self.header(HeaderName::SessionId)?).ok()
    }

    /// User-Agent (RFC 3261 20.41), as it stands.
    #[must_use]
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        self.header(HeaderName::UserAgent)
    }

    /// Server (RFC 3261 20.35), as it stands.
    #[must_use]
    pub fn server(&self) -> Option<&'a [u8]> {
        self.header(HeaderName::Server)
    }
}
