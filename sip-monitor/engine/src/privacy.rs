//! The one place where phone numbers and user parts are hidden: in alerts, records and logs alike.
//!
//! Addresses and host names stay: they are what an operator acts on. [`Privacy::Mask`] keeps the ends of a number, so
//! that two numbers can be told apart and a prefix recognised. [`Privacy::Hash`] lets equal numbers be matched by whoever
//! reads the lines; who has the key as well can try all numbers and find one, and nobody else can.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::config::{Privacy, PrivacyKey};

/// Schemes whose URIs name a person.
const SCHEMES: [&str; 6] = ["sips:", "sip:", "tel:", "sips%3a", "sip%3a", "tel%3a"];

/// Words after which a long number is an identifier of the protocol, not a telephone number.
const IDENTIFIERS: [&str; 6] = ["tag", "cseq", "rseq", "ssrc", "branch", "call-id"];

/// Digits in a row that make a telephone number where no `+` and no URI says so (E.164 ends at 15).
const BARE_NUMBER_DIGITS: core::ops::RangeInclusive<usize> = 10..=15;

/// Hides what [`Privacy`] asks to hide.
#[derive(Clone, Copy, Debug)]
pub struct Redactor {
    privacy: Privacy,
    key: PrivacyKey,
}

impl Redactor {
    /// One that follows the configuration.
    #[must_use]
    pub const fn new(privacy: Privacy, key: PrivacyKey) -> Self {
        Self { privacy, key }
    }

    /// A URI as it stands in a header, with its user part hidden: `sip:+155******01@example.org;user=phone`.
    #[must_use]
    pub fn uri(&self, uri: &str) -> String {
        if self.privacy == Privacy::Plain {
            return uri.to_owned();
        }
        if SCHEMES.iter().any(|s| starts_with_ignoring_case(uri, s)) {
            return self.text(uri);
        }
        match uri.split_once('@') {
            Some((user, host)) => format!("{}@{host}", self.user(user)),
            None => self.text(uri),
        }
    }

    /// A user part or a telephone number that stands alone.
    #[must_use]
    pub fn user(&self, user: &str) -> String {
        let (name, rest) = user.split_at(user.find([':', ';']).unwrap_or(user.len()));
        // A password (RFC 3261 19.1.1) or telephone-subscriber parameters (RFC 3966) are never of use here.
        let rest = if rest.is_empty() { "" } else { ";***" };
        match self.privacy {
            Privacy::Plain => user.to_owned(),
            Privacy::Mask if name.eq_ignore_ascii_case("anonymous") => name.to_owned() + rest,
            Privacy::Mask => mask(name) + rest,
            Privacy::Hash => hash(self.key, name) + rest,
        }
    }

    /// Any text: user parts of the URIs in it, display names before them and telephone numbers are hidden.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.redact(text, true)
    }

    /// Words that somebody else wrote (a reason phrase, a warning) about a call between these users: besides what
    /// [`Redactor::text`] hides, the users by name and numbers of six digits or more.
    #[must_use]
    pub fn words(&self, text: &str, users: &[&str]) -> String {
        let mut words = self.text(text);
        if self.privacy == Privacy::Plain {
            return words;
        }
        for user in users.iter().map(|user| user_name(user)).filter(|user| user.len() > 1) {
            words = replace_word(&words, user, &self.user(user));
        }
        self.hide_digits(&words)
    }

    /// Hides the middle of numbers of six digits or more that stand alone.
    fn hide_digits(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (index, word) in text.split_inclusive(|c: char| !c.is_alphanumeric()).enumerate() {
            let number = word.trim_end_matches(|c: char| !c.is_alphanumeric());
            let is_number = number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit());
            let in_address = index > 0 && out.ends_with(['.', ':']);
            if is_number && !in_address {
                out.push_str(&self.user(number));
                out.push_str(&word[number.len()..]);
            } else {
                out.push_str(word);
            }
        }
        out
    }

    /// Any text in which a long bare number is an identifier (a tag, a branch): only URIs and `+` numbers are hidden.
    #[must_use]
    pub fn identifier(&self, text: &str) -> String {
        self.redact(text, false)
    }

    fn redact(&self, text: &str, bare_numbers: bool) -> String {
        if self.privacy == Privacy::Plain {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let at_word_start = !out.ends_with(|c: char| c.is_alphanumeric()) || ends_with_escape(&out);
            let taken = if at_word_start { self.take(rest, &out, bare_numbers) } else { None };
            if let Some((length, hidden)) = taken {
                out.push_str(&hidden);
                rest = &rest[length..];
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }

    /// What stands at the start of `rest` and must be hidden: its length and what replaces it.
    fn take(&self, rest: &str, before: &str, bare_numbers: bool) -> Option<(usize, String)> {
        self.take_uri(rest)
            .or_else(|| take_display_name(rest))
            .or_else(|| self.take_number(rest, before, bare_numbers))
            .or_else(|| self.take_address(rest).filter(|_| bare_numbers))
            .or_else(|| self.take_target(rest, before))
    }

    /// `user@host` without a scheme.
    fn take_address(&self, rest: &str) -> Option<(usize, String)> {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "-_.!~*'&=+$;?/%".contains(c)))?;
        let host = rest[end..].strip_prefix('@')?;
        (end > 0 && host.starts_with(|c: char| c.is_alphanumeric() || c == '[')).then(|| (end, self.user(&rest[..end])))
    }

    /// The value of a `target` parameter that names a user without being a URI (RFC 4458 2).
    fn take_target(&self, rest: &str, before: &str) -> Option<(usize, String)> {
        let follows = before.len().checked_sub(8).and_then(|at| before.get(at..))?;
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "-_.!~*'+$%".contains(c))).unwrap_or(rest.len());
        (follows.eq_ignore_ascii_case(";target=") && end > 0).then(|| (end, self.user(&rest[..end])))
    }

    fn take_uri(&self, rest: &str) -> Option<(usize, String)> {
        let scheme = SCHEMES.iter().find(|s| starts_with_ignoring_case(rest, s))?;
        let (scheme, tail) = rest.split_at(scheme.len());
        let end = tail.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'')).unwrap_or(tail.len());
        // Punctuation of the sentence that the URI ends in is none of it.
        let body = tail[..end].trim_end_matches([':', ';', ',', '.']);
        let end = body.len();
        let user_end = if scheme.eq_ignore_ascii_case("tel:") {
            body.find([';', ',']).unwrap_or(end)
        } else {
            body.find('@').or_else(|| body.find("%40"))?
        };
        let user = self.user(&body[..user_end]);
        // Headers of a URI (RFC 3261 19.1.1) may name anybody.
        match body[user_end..].find('?') {
            Some(at) => {
                Some((scheme.len() + end, format!("{scheme}{user}{}?***", self.text(&body[user_end..user_end + at]))))
            }
            None => Some((scheme.len() + user_end, format!("{scheme}{user}"))),
        }
    }

    fn take_number(&self, rest: &str, before: &str, bare_numbers: bool) -> Option<(usize, String)> {
        let end = number_end(rest);
        let number = &rest[..end];
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let hidden = if number.starts_with('+') {
            digits >= 5
        } else {
            let previous = before.trim_end_matches([' ', ':', '=']).to_ascii_lowercase();
            // Part of an address, a version, a parameter or a longer word: no telephone number.
            let stands_alone = before.is_empty() || before.ends_with([' ', '"', '\'', '<', '(', '[', ',']);
            let ends = !rest[end..]
                .starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '@'))
                || rest[end..].starts_with(". ")
                || &rest[end..] == ".";
            let plain = number.bytes().all(|b| b.is_ascii_digit());
            bare_numbers
                && plain
                && stands_alone
                && ends
                && BARE_NUMBER_DIGITS.contains(&digits)
                && !IDENTIFIERS.iter().any(|w| previous.ends_with(w))
        };
        hidden.then(|| (end, self.user(number)))
    }
}

/// The part of `user` before a password or parameters.
fn user_name(user: &str) -> &str {
    let name = user.split([':', ';']).next().unwrap_or_default();
    if name.eq_ignore_ascii_case("anonymous") { "" } else { name }
}

/// Replaces a word wherever it stands alone, whatever its case.
fn replace_word(text: &str, word: &str, with: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '*');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = starts_with_ignoring_case(rest, word)
            && !is_part(out.chars().next_back())
            && !is_part(rest[word.len()..].chars().next());
        let (taken, put) = if found { (word.len(), with) } else { (first.len_utf8(), &rest[..first.len_utf8()]) };
        out.push_str(put);
        rest = &rest[taken..];
    }
    out
}

/// The user parts of the URIs in a text, as sent.
pub fn users_in(text: &str) -> Vec<&str> {
    let mut users = Vec::new();
    for (at, _) in text.match_indices(':') {
        let scheme = text[..at].rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let is_tel = scheme.eq_ignore_ascii_case("tel");
        if !is_tel && !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            continue;
        }
        let body = text[at + 1..].split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')).next();
        let user =
            body.and_then(|body| if is_tel { body.split([';', ',']).next() } else { Some(body.split_once('@')?.0) });
        users.extend(user.map(user_name).filter(|user| !user.is_empty()));
    }
    users
}

/// The end of the number at the start of `text`: digits, and after a `+` also the separators people write between them.
fn number_end(text: &str) -> usize {
    let international = text.starts_with('+');
    let mut end = 0;
    for (i, c) in text.char_indices() {
        match c {
            '0'..='9' => end = i + 1,
            '+' if i == 0 => {}
            '-' | '.' | ' ' | '(' | ')' if international => {}
            _ => break,
        }
    }
    end
}

/// A quoted display name right before `<sip:`.
fn take_display_name(rest: &str) -> Option<(usize, String)> {
    let name = rest.strip_prefix('"')?;
    let end = name.find('"')?;
    let after = name[end + 1..].trim_start().strip_prefix('<')?;
    let names_a_person = SCHEMES.iter().any(|s| starts_with_ignoring_case(after, s));
    (names_a_person && end > 0).then(|| (end + 2, "\"***\"".to_owned()))
}

/// Hides at least half of the characters in the middle, one star each. A leading `+` is no part of the count.
fn mask(name: &str) -> String {
    let (plus, name) = name.strip_prefix('+').map_or(("", name), |rest| ("+", rest));
    let count = name.chars().count();
    let is_number = name.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'(' | b')' | b' '));
    let shown = if is_number { (count / 2).min(6) } else { 1.min(count / 2) };
    let at_the_end = (shown / 2).min(2);
    let first = shown - at_the_end;
    let masked = name.chars().enumerate().map(|(i, c)| if i < first || i >= count - at_the_end { c } else { '*' });
    plus.chars().chain(masked).collect()
}

/// `h` and 16 hexadecimal digits, the same for the same number however it is punctuated.
fn hash(key: PrivacyKey, name: &str) -> String {
    let mut hasher = SipHasher24::new_with_key(&key.0);
    for byte in name.bytes().filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')' | b' ')) {
        hasher.write_u8(byte.to_ascii_lowercase());
    }
    format!("h{:016x}", hasher.finish())
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Whether the last character is an escaped one (RFC 3261 25.1): what follows begins a word.
fn ends_with_escape(text: &str) -> bool {
    matches!(text.as_bytes(), [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PrivacyKey = PrivacyKey([7; 16]);
    const MASK: Redactor = Redactor::new(Privacy::Mask, KEY);
    const HASH: Redactor = Redactor::new(Privacy::Hash, KEY);

    #[test]
    fn the_middle_of_a_number_is_starred_and_its_length_kept() {
        assert_eq!(MASK.uri("sip:+15551230001@example.org;user=phone"), "sip:+155******01@example.org;user=phone");
        assert_eq!(MASK.uri("tel:+15551230001;phone-context=x"), "tel:+155******01;phone-context=x");
        assert_eq!(MASK.uri("sip:1001@10.0.0.1"), "sip:1**1@10.0.0.1");
        assert_eq!(MASK.uri("sip:100@10.0.0.1"), "sip:1**@10.0.0.1");
    }

    #[test]
    fn at_least_half_of_every_user_part_is_hidden() {
        for user in
            ["1", "12", "123", "1234", "12345", "+15551230001", "+123456789012345", "a", "bob", "john.smith", "日本語"]
        {
            let masked = MASK.user(user);
            let stars = masked.chars().filter(|c| *c == '*').count();
            let count = user.trim_start_matches('+').chars().count();
            assert!(stars * 2 >= count, "{user} became {masked}");
            assert_eq!(masked.chars().count(), user.chars().count());
        }
    }

    #[test]
    fn a_password_and_user_parameters_vanish() {
        assert_eq!(MASK.uri("sip:alice:secret@example.org"), "sip:a****;***@example.org");
        assert_eq!(HASH.uri("sip:alice;isub=4711@example.org"), format!("sip:{};***@example.org", hash(KEY, "alice")));
    }

    #[test]
    fn anonymous_is_no_person() {
        assert_eq!(MASK.uri("sip:anonymous@anonymous.invalid"), "sip:anonymous@anonymous.invalid");
    }

    #[test]
    fn a_uri_without_user_part_or_scheme_stays_readable() {
        assert_eq!(MASK.uri("sip:192.168.1.20:5060;lr"), "sip:192.168.1.20:5060;lr");
        assert_eq!(MASK.uri("15551230001@example.org"), "155******01@example.org");
        assert_eq!(MASK.uri(""), "");
    }

    #[test]
    fn uris_numbers_and_display_names_inside_a_text_are_hidden_and_addresses_stay() {
        assert_eq!(
            MASK.text(
                "its Contact is \"Bob Smith\" <sip:bob@192.168.1.20:5060;transport=udp>, sent from 198.51.100.4:5060"
            ),
            "its Contact is \"***\" <sip:b**@192.168.1.20:5060;transport=udp>, sent from 198.51.100.4:5060"
        );
        assert_eq!(
            MASK.text("403 Caller ID +1 (555) 123-0001 not allowed"),
            "403 Caller ID +1 (5**********01 not allowed"
        );
        assert_eq!(MASK.text("Number 15551230001 not allowed."), "Number 155******01 not allowed.");
        assert_eq!(
            MASK.text("calls to tel:+15551230001: 403, sip:bob@x.example, and"),
            "calls to tel:+155******01: 403, sip:b**@x.example, and"
        );
    }

    #[test]
    fn uris_within_parameters_are_hidden_too() {
        let voicemail = "sip:voicemail@vm.example;target=sip:15551230001%40example.com;cause=486";
        assert_eq!(MASK.uri(voicemail), "sip:v********@vm.example;target=sip:155******01%40example.com;cause=486");
        assert!(!MASK.uri("sip:a@b.example?History-Info=%3Csip%3A15551230001%40c.example%3E").contains("5551230001"));
        assert!(!MASK.text("target=SIPS%3A+15551230001%40c.example").contains("5551230001"));
    }

    #[test]
    fn a_user_without_scheme_or_host_is_hidden_where_it_is_known_for_one() {
        assert_eq!(
            MASK.text("forwarded to bob.smith@pbx.example by 10.0.0.1"),
            "forwarded to b********@pbx.example by 10.0.0.1"
        );
        assert_eq!(MASK.uri("sip:vm@vm.example;target=bob;cause=486"), "sip:v*@vm.example;target=b**;cause=486");
        assert_eq!(MASK.uri("sip:vm@vm.example?To=bob&Subject=x"), "sip:v*@vm.example?***");
    }

    #[test]
    fn in_the_words_of_others_the_users_of_the_call_are_hidden() {
        let users = ["bob.smith", "1001", "+15551230001", "anonymous", "a"];
        assert_eq!(MASK.words("User Bob.Smith (1001) is anonymous", &users), "User b******** (1**1) is anonymous");
        assert_eq!(MASK.words("number 5551230 not in service", &users), "number 55****0 not in service");
        assert_eq!(MASK.words("Rejected by 10.0.0.123456 and a rule", &users), "Rejected by 10.0.0.123456 and a rule");
        let plain = Redactor::new(Privacy::Plain, KEY);
        assert_eq!(plain.words("User bob.smith 5551230", &users), "User bob.smith 5551230");
    }

    #[test]
    fn users_of_the_uris_in_a_text_are_found() {
        let text = "a call of sip:bob:pw@x.example to <tel:+1555;phone-context=x>, by sip:10.0.0.1";
        assert_eq!(users_in(text), ["bob", "+1555"]);
    }

    #[test]
    fn what_only_looks_like_a_number_stays() {
        for text in [
            "200 OK sent 11 times in 32 s, no ACK",
            "2001:db8::1234567890",
            "SSRC 0x1234567890ab, port 50600",
            "the ACK has To tag 1928301774",
            "CSeq 1826374859 INVITE",
            "Via SIP/2.0/UDP 10.0.0.1;branch=12345678901",
            "at 2026-11-20T10:15:42.123456Z",
            "abc1234567890 and 1234567890abc",
        ] {
            assert_eq!(MASK.text(text), text);
        }
        assert_eq!(MASK.identifier("1928301774"), "1928301774");
        assert_eq!(MASK.identifier("sip:1928301774@10.0.0.1"), "sip:192*****74@10.0.0.1");
    }

    #[test]
    fn equal_numbers_have_equal_hashes_whatever_their_punctuation() {
        assert_eq!(HASH.user("+1-555-123-0001"), HASH.user("+15551230001"));
        assert_ne!(HASH.user("+15551230002"), HASH.user("+15551230001"));
        assert!(!HASH.text("call sip:+15551230001@a.example").contains("5551230001"));
    }

    #[test]
    fn another_key_gives_other_hashes_and_the_same_key_the_same() {
        let of = |secret: &[u8]| Redactor::new(Privacy::Hash, PrivacyKey::from_secret(secret)).user("+15551230001");
        assert_eq!(of(b"one secret"), of(b"one secret"));
        assert_ne!(of(b"one secret"), of(b"one secret\n"));
        assert_eq!(format!("{KEY:?}"), "PrivacyKey(..)");
    }

    #[test]
    fn plain_changes_nothing() {
        let text = "\"Bob\" <sip:bob:pw@a.example> 15551230001";
        assert_eq!(Redactor::new(Privacy::Plain, KEY).text(text), text);
    }
}
