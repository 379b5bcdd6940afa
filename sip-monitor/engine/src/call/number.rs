//! Telephone numbers as they stand in user parts, and whether they are written as E.164 wants: `+`, country code, at most
//! 15 digits (RFC 3966 5.1.4).

use crate::sip::Uri;

/// Digits that make a telephone number rather than an extension.
const NUMBER_DIGITS: usize = 5;
/// Shortest number with country code in use; shorter ones are extensions or short codes.
const SHORTEST_DIGITS: usize = 7;
/// Longest number of E.164.
const LONGEST_DIGITS: usize = 15;

/// A dialled or calling number as sent, visual separators removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// E.164.
    International,
    /// Digits as in E.164, without the `+`.
    NoPlus,
    /// `00` or `011`: how people dial abroad.
    DialledPrefix,
    /// A leading 0: a number within its country.
    National,
    /// `+0`: there is no such country code.
    ZeroAfterPlus,
    /// Too few digits.
    Short,
    /// More than 15 digits.
    Long,
    /// Something between the digits that is none.
    Impure,
}

impl Number {
    /// The number in a user part: it begins with a digit or `+` and has at least 5 digits, else it is a name, an extension
    /// or a feature code.
    #[must_use]
    pub fn of_user(user: &str) -> Option<Self> {
        let user = user.split([';', ':']).next().unwrap_or_default();
        let unescaped;
        let user = if user.contains('%') {
            unescaped = user.replace("%2B", "+").replace("%2b", "+").replace("%23", "#");
            &unescaped
        } else {
            user
        };
        let is_separator = |c: char| matches!(c, '-' | '.' | '(' | ')');
        let is_plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '*' | '#') || is_separator(c);
        // Most users of a company's telephones are names or extensions: nothing is copied for those.
        if user.len() < NUMBER_DIGITS || !user.chars().all(is_plain) {
            return None;
        }
        let number = if user.contains(is_separator) { user.replace(is_separator, "") } else { user.to_owned() };
        let body = number.strip_prefix('+').unwrap_or(&number);
        let digits = body.bytes().filter(u8::is_ascii_digit).count();
        let is_number = body.starts_with(|c: char| c.is_ascii_digit())
            && digits >= NUMBER_DIGITS
            && body.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'*' | b'#'));
        is_number.then_some(Self(number))
    }

    /// The number in a URI.
    #[must_use]
    pub fn of_uri(uri: &str) -> Option<Self> {
        let user = Uri::user_of(uri.as_bytes())?;
        Self::of_user(core::str::from_utf8(user).ok()?)
    }

    /// As sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a `tel:` URI: masked like one wherever it stands, however short it is.
    #[must_use]
    pub fn to_uri(&self) -> String {
        format!("tel:{}", self.0)
    }

    /// How it is written.
    #[must_use]
    pub fn form(&self) -> Form {
        let (plus, digits) = self.0.strip_prefix('+').map_or((false, self.0.as_str()), |rest| (true, rest));
        let count = digits.len();
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            Form::Impure
        } else if plus && digits.starts_with('0') {
            Form::ZeroAfterPlus
        } else if digits.starts_with("00") || (digits.starts_with("011") && count > 11) {
            Form::DialledPrefix
        } else if digits.starts_with('0') {
            Form::National
        } else if count < SHORTEST_DIGITS {
            Form::Short
        } else if count > LONGEST_DIGITS {
            Form::Long
        } else if plus {
            Form::International
        } else {
            Form::NoPlus
        }
    }

    /// Whether two numbers may be the same subscriber's: one ends in the other, without prefixes.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        let (a, b) = (self.significant(), other.significant());
        a.ends_with(b) || b.ends_with(a)
    }

    fn significant(&self) -> &str {
        let digits = self.0.strip_prefix('+').unwrap_or(&self.0);
        digits.strip_prefix("011").filter(|rest| rest.len() > 8).unwrap_or(digits).trim_start_matches('0')
    }
}

impl Form {
    /// Its name in facts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::International => "international",
            Self::NoPlus => "no-plus",
            Self::DialledPrefix => "dialled-prefix",
            Self::National => "national",
            Self::ZeroAfterPlus => "zero-after-plus",
            Self::Short => "short",
            Self::Long => "long",
            Self::Impure => "impure",
        }
    }

    /// The rule of E.164 that it breaks.
    #[must_use]
    pub const fn breaks(self) -> Option<&'static str> {
        match self {
            Self::International => None,
            Self::NoPlus => Some("it does not begin with +"),
            Self::DialledPrefix => Some("it begins with a dialling prefix in place of + and the country code"),
            Self::National => Some("it begins with 0 in place of + and the country code"),
            Self::ZeroAfterPlus => Some("no country code begins with 0"),
            Self::Short => Some("it is too short for + and a country code"),
            Self::Long => Some("it has more than 15 digits"),
            Self::Impure => Some("it has signs in it that are no digits"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(user: &str) -> Option<Form> {
        Number::of_user(user).map(|n| n.form())
    }

    #[test]
    fn e164_begins_with_plus_and_a_country_code() {
        assert_eq!(form("+15551230001"), Some(Form::International));
        assert_eq!(form("%2B1-555-123-0001;npdi"), Some(Form::International));
        assert_eq!(form("15551230001"), Some(Form::NoPlus));
        assert_eq!(form("0044201234567"), Some(Form::DialledPrefix));
        assert_eq!(form("01144201234567"), Some(Form::DialledPrefix));
        assert_eq!(form("0201234567"), Some(Form::National));
        assert_eq!(form("+0201234567"), Some(Form::ZeroAfterPlus));
        assert_eq!(form("12345"), Some(Form::Short));
        assert_eq!(form("+1555123000155512300"), Some(Form::Long));
        assert_eq!(form("9001#15551230001"), Some(Form::Impure));
    }

    #[test]
    fn names_extensions_and_feature_codes_are_no_numbers() {
        for user in ["alice", "1001", "*725551230001", "telephone1", "+", "", "anonymous", "user12345", "日本語12345"]
        {
            assert_eq!(Number::of_user(user), None, "{user}");
        }
    }

    #[test]
    fn the_same_number_may_be_written_with_and_without_prefix() {
        let number = |user| Number::of_user(user).unwrap();
        assert!(number("+15551230001").may_be(&number("5551230001")));
        assert!(number("0044201234567").may_be(&number("+44201234567")));
        assert!(!number("+15551230001").may_be(&number("+15559990001")));
    }

    #[test]
    fn a_uri_may_be_sip_or_tel() {
        assert!(Number::of_uri("tel:+15551230001;phone-context=x").is_some());
        assert!(Number::of_uri("sip:15551230001@example.org").is_some());
        assert!(Number::of_uri("sip:example.org").is_none());
    }
}
