//! Makes the SIP messages of a ladder: what a line leaves out is what a correct user agent or proxy would send.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Result;
use super::field::Fields;
use super::host::Hosts;
use super::message::Message;
use super::sdp;

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Caller,
    Callee,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Everything said so far under one Call-ID.
#[derive(Debug)]
struct Call {
    number: u32,
    /// Where the first request came from and where it went; the callee is followed through proxies.
    ends: [SocketAddr; 2],
    tags: [Option<String>; 2],
    /// URIs of From and To, then of the Contacts, then the route sets and the highest CSeq of each side.
    names: [String; 2],
    contacts: [Option<String>; 2],
    routes: [Vec<String>; 2],
    cseq: [u32; 2],
    rseq: Option<String>,
    sdp: [(Option<sdp::Sdp>, u64); 2],
    transactions: Vec<Transaction>,
    sent: Vec<Sent>,
}

/// A request on one hop.
#[derive(Debug)]
struct Transaction {
    request: Message,
    src: SocketAddr,
    dst: SocketAddr,
    method: String,
    cseq: u32,
    side: Side,
    final_code: Option<u16>,
}

/// A message as it was sent.
#[derive(Debug)]
struct Sent {
    src: SocketAddr,
    dst: SocketAddr,
    start: String,
    /// Which request it is or answers.
    cseq: u32,
    method: String,
    fields: Fields,
    message: Message,
}

/// All calls of a scenario.
#[derive(Debug, Default)]
pub struct Calls {
    by_number: BTreeMap<u32, Call>,
    branches: u32,
    /// Added to the number of every call: one use of a part is told from another.
    pub offset: u32,
}

impl Calls {
    /// The bytes of one message line. A line that says what was said before means the same bytes again.
    pub fn message(
        &mut self,
        hosts: &Hosts,
        bodies: &BTreeMap<String, String>,
        src: SocketAddr,
        dst: SocketAddr,
        start: &str,
        fields: &Fields,
    ) -> Result<Vec<u8>> {
        let number = fields.number("call")?.unwrap_or(1) + self.offset;
        let in_dialog =
            fields.option("in-dialog").is_some() || matches!(start, "BYE" | "ACK" | "INFO" | "UPDATE" | "PRACK");
        let call = self.by_number.entry(number).or_insert_with(|| Call::new(number, src, dst, in_dialog));
        let mut scribe = Scribe { call, hosts, bodies, branches: &mut self.branches };
        match start.parse::<u16>() {
            Ok(code) => scribe.response(src, dst, code, fields),
            Err(_) => scribe.request(src, dst, start, fields),
        }
    }
}

impl Call {
    fn new(number: u32, src: SocketAddr, dst: SocketAddr, in_dialog: bool) -> Self {
        let name = |side: u32, addr: SocketAddr| format!("sip:+1555{number:03}000{side}@{}", uri_host(addr));
        let tag = |side: &str| in_dialog.then(|| format!("{side}-{number}"));
        Self {
            number,
            ends: [src, dst],
            tags: [tag("caller"), tag("callee")],
            names: [name(1, src), name(2, dst)],
            contacts: [None, None],
            routes: [Vec::new(), Vec::new()],
            cseq: [0, 0],
            rseq: None,
            sdp: [(None, 0), (None, 0)],
            transactions: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn side_of(&self, src: SocketAddr, fields: &Fields) -> Result<Side> {
        match fields.option("as") {
            Some("caller") => Ok(Side::Caller),
            Some("callee") => Ok(Side::Callee),
            Some(other) => Err(format!("as={other}: caller or callee")),
            None if src.ip() == self.ends[0].ip() && src.port() == self.ends[0].port() => Ok(Side::Caller),
            None if src == self.ends[1] => Ok(Side::Callee),
            None if src.ip() == self.ends[0].ip() => Ok(Side::Caller),
            None => Ok(Side::Callee),
        }
    }

    fn contact(&self, side: Side) -> String {
        self.contacts[side.index()]
            .clone()
            .unwrap_or_else(|| contact_of(&self.names[side.index()], self.ends[side.index()]))
    }
}

/// Writes one message of one call.
struct Scribe<'a> {
    call: &'a mut Call,
    hosts: &'a Hosts,
    bodies: &'a BTreeMap<String, String>,
    branches: &'a mut u32,
}

impl Scribe<'_> {
    fn request(&mut self, src: SocketAddr, dst: SocketAddr, method: &str, fields: &Fields) -> Result<Vec<u8>> {
        let is_relayed = fields.option("relay").is_some();
        let before = self.call.sent.iter().rev().find(|s| (s.src, s.dst, s.start.as_str()) == (src, dst, method));
        // An ACK and a CANCEL belong to the last INVITE: with another one they are new, however alike the lines are.
        let still_meant =
            |s: &Sent| !matches!(method, "ACK" | "CANCEL") || s.cseq == self.last_invite(src, dst, fields);
        if let Some(same) = before.filter(|s| (fields.is_bare() || fields.makes_the_same(&s.fields)) && still_meant(s))
            && fields.option("new").is_none()
            && (!is_relayed || self.received(src, method).is_none_or(|r| r.cseq == same.cseq))
        {
            return Ok(same.message.bytes(&same.fields.headers));
        }
        let (mut message, side, cseq) = if is_relayed {
            self.relayed_request(src, dst, method, fields)?
        } else {
            self.own_request(src, dst, method, fields)?
        };
        self.override_tags(&mut message, fields);
        self.add_body(&mut message, side, src, fields)?;
        self.change(&mut message, fields);
        if let Some(uri) = fields.option("uri") {
            message.start_line = format!("{method} {} SIP/2.0", self.hosts.fill_in(uri));
        }
        if matches!(method, "INVITE" | "UPDATE" | "SUBSCRIBE" | "REFER") && !is_relayed {
            self.call.contacts[side.index()] = message.contact_uri().map(str::to_owned);
        }
        if method == "INVITE" && is_relayed && self.call.tags[1].is_none() {
            self.call.ends[1] = dst;
        }
        if method != "ACK" {
            let request = message.clone();
            let method = method.to_owned();
            self.call.transactions.push(Transaction { request, src, dst, method, cseq, side, final_code: None });
        }
        Ok(self.keep(src, dst, method, cseq, method, fields, message))
    }

    fn own_request(
        &mut self,
        src: SocketAddr,
        dst: SocketAddr,
        method: &str,
        fields: &Fields,
    ) -> Result<(Message, Side, u32)> {
        let invite = self.call.transactions.iter().rev().find(|t| t.method == "INVITE" && (t.src, t.dst) == (src, dst));
        if let Some(invite) = invite
            && (method == "CANCEL" || (method == "ACK" && invite.final_code.is_some_and(|code| code >= 300)))
        {
            return Ok(self.hop_request(invite, method));
        }
        let side = self.call.side_of(src, fields)?;
        let (own, other) = (side.index(), side.other().index());
        let cseq = match fields.number("cseq")? {
            Some(cseq) => cseq,
            None if method == "ACK" => self.last_invite(src, dst, fields).max(1),
            None => self.call.cseq[own] + 1,
        };
        self.call.cseq[own] = self.call.cseq[own].max(cseq);
        if self.call.tags[own].is_none() {
            self.call.tags[own] = Some(format!("{}-{}", ["caller", "callee"][own], self.call.number));
        }
        let is_in_dialog = self.call.tags[other].is_some();
        let target = match method {
            "REGISTER" => format!("sip:{}", uri_host(dst)),
            _ if is_in_dialog => self.call.contact(side.other()),
            _ => self.call.names[other].clone(),
        };
        let to = if method == "REGISTER" { own } else { other };
        let tag = |tag: &Option<String>| tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let mut message = Message { start_line: format!("{method} {target} SIP/2.0"), ..Message::default() };
        let branch = self.branch(fields);
        message.push("Via", format!("SIP/2.0/UDP {src};branch={branch}"));
        for route in self.call.routes[own].iter().filter(|_| is_in_dialog) {
            message.push("Route", route);
        }
        message.push("Max-Forwards", "70");
        message.push("From", format!("<{}>{}", self.call.names[own], tag(&self.call.tags[own])));
        message.push(
            "To",
            format!(
                "<{}>{}",
                self.call.names[to],
                if to == other { tag(&self.call.tags[other]) } else { String::new() }
            ),
        );
        message.push("Call-ID", format!("call-{}@scenario.invalid", self.call.number));
        message.push("CSeq", format!("{cseq} {method}"));
        if matches!(method, "INVITE" | "UPDATE" | "SUBSCRIBE" | "REFER" | "REGISTER" | "NOTIFY") {
            message.push("Contact", format!("<{}>", contact_of(&self.call.names[own], src)));
        }
        if let (true, Some(rseq)) = (method == "PRACK", &self.call.rseq) {
            message.push("RAck", format!("{rseq} {} INVITE", self.last_invite(src, dst, fields)));
        }
        Ok((message, side, cseq))
    }

    /// CANCEL, and the ACK to a refusal: of the INVITE's transaction (RFC 3261 9.1, 17.1.1.3).
    fn hop_request(&self, invite: &Transaction, method: &str) -> (Message, Side, u32) {
        let mut message =
            Message { start_line: invite.request.start_line.replacen("INVITE", method, 1), ..Message::default() };
        message.push("Via", invite.request.header("Via").unwrap_or_default());
        message.push("Max-Forwards", "70");
        message.push("From", invite.request.header("From").unwrap_or_default());
        let answered = self.call.sent.iter().rev().find(|s| {
            (s.src, s.dst) == (invite.dst, invite.src)
                && s.cseq == invite.cseq
                && s.start.parse().is_ok_and(|code: u16| code >= 300)
        });
        let to = answered.filter(|_| method == "ACK").and_then(|s| s.message.header("To"));
        message.push("To", to.or(invite.request.header("To")).unwrap_or_default());
        message.push("Call-ID", invite.request.header("Call-ID").unwrap_or_default());
        message.push("CSeq", format!("{} {method}", invite.cseq));
        (message, invite.side, invite.cseq)
    }

    fn relayed_request(
        &mut self,
        src: SocketAddr,
        dst: SocketAddr,
        method: &str,
        fields: &Fields,
    ) -> Result<(Message, Side, u32)> {
        let received =
            self.received(src, method).ok_or_else(|| format!("nothing to relay: {src} has received no {method}"))?;
        let (mut message, cseq) = (received.message.clone(), received.cseq);
        let from = received.src;
        let side = self
            .call
            .transactions
            .iter()
            .rev()
            .find(|t| t.src == from && t.cseq == cseq && t.dst == src)
            .map(|t| t.side);
        let side = match side {
            Some(side) => side,
            None => self.call.side_of(from, fields)?,
        };
        let branch = self.branch(fields);
        message.push_front("Via", &format!("SIP/2.0/UDP {src};branch={branch}"));
        // A route to this proxy itself ends here (RFC 3261 16.4).
        let own = format!("<sip:{src};lr>");
        if message.header("Route") == Some(own.as_str()) {
            message.pop_front("Route");
        }
        if fields.option("rr").is_some() {
            message.push_front("Record-Route", &own);
        }
        let hops = message.header("Max-Forwards").and_then(|h| h.parse::<u32>().ok()).unwrap_or(70);
        message.set("Max-Forwards", &hops.saturating_sub(1).to_string());
        let is_initial = method == "INVITE" && !message.header("To").is_some_and(|to| to.contains(";tag="));
        let target = if is_initial { contact_of(&self.call.names[side.other().index()], dst) } else { String::new() };
        if is_initial {
            message.start_line = format!("{method} {target} SIP/2.0");
        }
        Ok((message, side, cseq))
    }

    fn response(&mut self, src: SocketAddr, dst: SocketAddr, code: u16, fields: &Fields) -> Result<Vec<u8>> {
        let start = code.to_string();
        let at = self.answered(src, dst, code, fields)?;
        let (method, cseq, side) = {
            let transaction = &self.call.transactions[at];
            (transaction.method.clone(), transaction.cseq, transaction.side)
        };
        let is_this = |s: &&Sent| (s.src, s.dst, s.cseq, &s.start, &s.method) == (src, dst, cseq, &start, &method);
        let before = self.call.sent.iter().rev().find(is_this);
        if let Some(same) = before.filter(|s| fields.is_bare() || fields.makes_the_same(&s.fields))
            && fields.option("new").is_none()
        {
            return Ok(same.message.bytes(&same.fields.headers));
        }
        let is_relayed = fields.option("relay").is_some();
        let mut message = if is_relayed {
            let received = self
                .call
                .sent
                .iter()
                .rev()
                .find(|s| s.dst == src && s.start == start && s.cseq == cseq && s.method == method);
            let mut message =
                received.ok_or_else(|| format!("nothing to relay: {src} has received no {code}"))?.message.clone();
            message.pop_front("Via");
            message
        } else {
            self.own_response(at, src, code, fields)
        };
        self.override_tags(&mut message, fields);
        self.add_body(&mut message, side.other(), src, fields)?;
        self.change(&mut message, fields);
        self.learn(&message, code, &method, side, is_relayed);
        if code >= 200 {
            self.call.transactions[at].final_code = Some(code);
        }
        Ok(self.keep(src, dst, &start, cseq, &method, fields, message))
    }

    /// Which request a response answers: the one named by `to=`, else the last open one, else the last of all.
    fn answered(&self, src: SocketAddr, dst: SocketAddr, code: u16, fields: &Fields) -> Result<usize> {
        let wanted = fields.option("to");
        let is_between =
            |t: &Transaction| t.src == dst && t.dst == src && wanted.is_none_or(|method| t.method == method);
        let last =
            |is: &dyn Fn(&Transaction) -> bool| self.call.transactions.iter().rposition(|t| is_between(t) && is(t));
        let is_about_an_invite = code == 487 || (101..200).contains(&code);
        let found = last(&|t| is_about_an_invite && t.method == "INVITE" && t.final_code.is_none())
            .or_else(|| last(&|t| t.final_code.is_none()))
            .or_else(|| last(&|t| t.final_code == Some(code)))
            .or_else(|| last(&|_| true))
            // Sent elsewhere than the request came from.
            .or_else(|| {
                self.call.transactions.iter().rposition(|t| t.dst == src && wanted.is_none_or(|m| t.method == m))
            });
        found.ok_or_else(|| format!("{code} answers nothing: {src} has received no request"))
    }

    fn own_response(&self, at: usize, src: SocketAddr, code: u16, fields: &Fields) -> Message {
        let transaction = &self.call.transactions[at];
        let request = &transaction.request;
        let responder = transaction.side.other();
        let phrase = fields.phrase.clone().unwrap_or_else(|| phrase(code).to_owned());
        let mut message = Message { start_line: format!("SIP/2.0 {code} {phrase}"), ..Message::default() };
        for via in request.all("Via") {
            message.push("Via", via);
        }
        let makes_a_dialog =
            (101..300).contains(&code) && matches!(transaction.method.as_str(), "INVITE" | "SUBSCRIBE");
        for route in request.all("Record-Route").filter(|_| makes_a_dialog) {
            message.push("Record-Route", route);
        }
        message.push("From", request.header("From").unwrap_or_default());
        let to = request.header("To").unwrap_or_default();
        let tag = self.call.tags[responder.index()].clone();
        let tag = tag.unwrap_or_else(|| format!("{}-{}", ["caller", "callee"][responder.index()], self.call.number));
        message.push("To", if code == 100 || to.contains(";tag=") { to.to_owned() } else { format!("{to};tag={tag}") });
        message.push("Call-ID", request.header("Call-ID").unwrap_or_default());
        message.push("CSeq", request.header("CSeq").unwrap_or_default());
        if makes_a_dialog || (transaction.method == "UPDATE" && (200..300).contains(&code)) {
            message.push("Contact", format!("<{}>", contact_of(&self.call.names[responder.index()], src)));
        }
        if transaction.method == "REGISTER" && (200..300).contains(&code) {
            message.push("Contact", format!("{};expires=3600", request.header("Contact").unwrap_or_default()));
        }
        message
    }

    /// What a response changes in the dialog: tag, remote target, route set (RFC 3261 12.1).
    fn learn(&mut self, message: &Message, code: u16, method: &str, asked_by: Side, is_relayed: bool) {
        if !matches!(method, "INVITE" | "SUBSCRIBE" | "UPDATE") || !(101..300).contains(&code) {
            return;
        }
        self.call.rseq = message.header("RSeq").map(str::to_owned).or(self.call.rseq.take());
        let responder = asked_by.other().index();
        let is_new = self.call.tags[responder].is_none();
        let tag = message.header("To").and_then(|to| to.split_once(";tag=")).map(|(_, tag)| tag.to_owned());
        if is_new || code >= 200 {
            self.call.tags[responder] = tag.or(self.call.tags[responder].take());
        }
        if !is_relayed {
            self.call.contacts[responder] =
                message.contact_uri().map(str::to_owned).or(self.call.contacts[responder].take());
        }
        if method != "UPDATE" && !is_relayed && self.call.routes[0].is_empty() {
            let routes: Vec<String> = message.all("Record-Route").map(str::to_owned).collect();
            self.call.routes[responder] = routes.clone();
            self.call.routes[asked_by.index()] = routes.into_iter().rev().collect();
        }
    }

    fn add_body(&mut self, message: &mut Message, side: Side, src: SocketAddr, fields: &Fields) -> Result<()> {
        if let Some(name) = fields.option("body") {
            let body = self.bodies.get(name).ok_or_else(|| format!("no block `body {name}`"))?;
            message.body = self.hosts.fill_in(body);
            message.set("Content-Type", "application/sdp");
        }
        let Some(spec) = fields.option("sdp") else { return Ok(()) };
        let port = [4_000, 5_000][side.index()] + 10 * (u16::try_from(self.call.number).unwrap_or(0).saturating_sub(1));
        let description = sdp::lines(spec, self.hosts, SocketAddr::new(src.ip(), port))?;
        let (last, version) = &mut self.call.sdp[side.index()];
        if last.as_ref() != Some(&description) {
            *version += 1;
            *last = Some(description.clone());
        }
        let session = u64::from(self.call.number) * 10 + side.index() as u64;
        message.body = description.body(session, *version);
        message.set("Content-Type", "application/sdp");
        Ok(())
    }

    fn override_tags(&self, message: &mut Message, fields: &Fields) {
        for (option, header) in [("from-tag", "From"), ("to-tag", "To")] {
            let Some(tag) = fields.option(option) else { continue };
            let value = message.header(header).unwrap_or_default();
            let name = value.split_once(";tag=").map_or(value, |(name, _)| name).to_owned();
            message.set(header, &if tag.is_empty() { name } else { format!("{name};tag={tag}") });
        }
    }

    fn change(&self, message: &mut Message, fields: &Fields) {
        message.change(&fields.headers);
        for (_, value) in &mut message.headers {
            *value = self.hosts.fill_in(value);
        }
    }

    /// CSeq number of the INVITE that an ACK or CANCEL sent here belongs to.
    fn last_invite(&self, src: SocketAddr, dst: SocketAddr, fields: &Fields) -> u32 {
        let invites = || self.call.transactions.iter().rev().filter(|t| t.method == "INVITE");
        if let Some(invite) = invites().find(|t| (t.src, t.dst) == (src, dst)) {
            return invite.cseq;
        }
        let side = self.call.side_of(src, fields);
        invites().find(|t| Ok(t.side) == side).map_or(0, |t| t.cseq)
    }

    /// The last request of that method that a host has received.
    fn received(&self, host: SocketAddr, method: &str) -> Option<&Sent> {
        self.call.sent.iter().rev().find(|s| s.dst == host && s.start == method)
    }

    fn branch(&mut self, fields: &Fields) -> String {
        *self.branches += 1;
        fields.option("branch").map_or_else(|| format!("z9hG4bK-{}-{}", self.call.number, self.branches), str::to_owned)
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a message, each once")]
    fn keep(
        &mut self,
        src: SocketAddr,
        dst: SocketAddr,
        start: &str,
        cseq: u32,
        method: &str,
        fields: &Fields,
        message: Message,
    ) -> Vec<u8> {
        let bytes = message.bytes(&fields.headers);
        let (start, method, fields) = (start.to_owned(), method.to_owned(), fields.clone());
        self.call.sent.push(Sent { src, dst, start, cseq, method, fields, message });
        bytes
    }
}

fn uri_host(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

/// The user part of one URI at an address.
fn contact_of(name: &str, addr: SocketAddr) -> String {
    let user = name.split_once('@').map_or(name, |(user, _)| user);
    format!("{user}@{addr}")
}

fn phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
