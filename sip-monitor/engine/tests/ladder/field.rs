//! What stands behind `src -> dst METHOD` in a ladder: headers and options.

use super::Result;

/// A change to the headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange {
    /// `Name: value`: in place of all headers of that name.
    Set(String, String),
    /// `+Name: value`: behind those of that name.
    Add(String, String),
    /// `-Name`: none of that name.
    Remove(String),
}

/// The fields of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// In the order written.
    pub headers: Vec<HeaderChange>,
    /// Reason phrase or display text in quotes.
    pub phrase: Option<String>,
    /// `key=value`, or `key` alone with an empty value.
    options: Vec<(String, String)>,
    /// `xN`: so many times in all.
    pub times: usize,
    /// `every S`: so many seconds apart; `backoff`: as RFC 3261 repeats.
    pub spacing: Spacing,
}

/// How repetitions follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Spacing {
    /// Doubling from T1 to T2 (17.1.2.2, 13.3.1.4); for an INVITE doubling without bound (17.1.1.2).
    #[default]
    Backoff,
    /// Always the same, in nanoseconds.
    Every(i64),
}

impl Eq for Spacing {}

/// Options a message can have.
const MESSAGE_OPTIONS: [&str; 20] = [
    "call",
    "cseq",
    "new",
    "dup",
    "relay",
    "rr",
    "to",
    "as",
    "uri",
    "sdp",
    "body",
    "from-tag",
    "to-tag",
    "branch",
    "ttl",
    "id",
    "in-dialog",
    "raw",
    "link",
    "cut",
];

impl Fields {
    /// Reads the fields of a message line: apart by two spaces or more, options also by one.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_with(text, &MESSAGE_OPTIONS)
    }

    /// The same with other options.
    pub fn parse_with(text: &str, known: &[&str]) -> Result<Self> {
        let mut fields = Self { times: 1, ..Self::default() };
        for field in text.split("  ").map(str::trim).filter(|f| !f.is_empty()) {
            if let Some(quoted) = field.strip_prefix('"') {
                let phrase = quoted.strip_suffix('"').ok_or_else(|| format!("{field:?} has no closing quote"))?;
                fields.phrase = Some(phrase.to_owned());
            } else if let Some(change) = header_change(field) {
                fields.headers.push(change);
            } else {
                fields.take_options(field, known)?;
            }
        }
        Ok(fields)
    }

    fn take_options(&mut self, field: &str, known: &[&str]) -> Result<()> {
        let mut words = field.split_whitespace();
        while let Some(word) = words.next() {
            if word == "every" {
                let seconds = words.next().unwrap_or_default();
                self.spacing = Spacing::Every(nanoseconds(seconds)?);
            } else if word == "backoff" {
                self.spacing = Spacing::Backoff;
            } else if let Some(times) = word.strip_prefix('x').and_then(|n| n.parse().ok()) {
                self.times = times;
            } else {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                if !known.contains(&key) {
                    return Err(format!("no option {key:?}; there are {}", known.join(", ")));
                }
                self.options.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    /// The value of an option; empty where it stands without one.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The value of an option as a number.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        let parse = |text: &str| text.parse().map_err(|_| format!("{key}={text}: no number"));
        self.option(key).map(parse).transpose()
    }

    /// Whether nothing here changes the bytes of a message.
    pub fn is_bare(&self) -> bool {
        let harmless = ["call", "dup", "to", "ttl", "id", "relay", "as", "link", "cut"];
        self.headers.is_empty()
            && self.phrase.is_none()
            && self.options.iter().all(|(key, _)| harmless.contains(&key.as_str()))
    }

    /// Whether both make the same message.
    pub fn makes_the_same(&self, other: &Self) -> bool {
        self.headers == other.headers && self.phrase == other.phrase && self.options == other.options
    }

    /// When each repetition comes after the first, in nanoseconds.
    pub fn offsets(&self, is_invite: bool) -> Vec<i64> {
        let (mut offset, mut interval) = (0, 500_000_000_i64);
        let mut offsets = Vec::with_capacity(self.times);
        for _ in 0..self.times {
            offsets.push(offset);
            match self.spacing {
                Spacing::Every(ns) => offset += ns,
                Spacing::Backoff => {
                    offset += interval;
                    interval = if is_invite { interval * 2 } else { (interval * 2).min(4_000_000_000) };
                }
            }
        }
        offsets
    }
}

/// `Name: value`, `+Name: value` or `-Name`.
fn header_change(field: &str) -> Option<HeaderChange> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if let Some(name) = field.strip_prefix('-') {
        return is_name(name).then(|| HeaderChange::Remove(name.to_owned()));
    }
    let (name, value) = field.split_once(':')?;
    let value = value.trim().to_owned();
    if let Some(name) = name.strip_prefix('+') {
        return is_name(name).then(|| HeaderChange::Add(name.to_owned(), value));
    }
    is_name(name).then(|| HeaderChange::Set(name.to_owned(), value))
}

/// Seconds with decimals, exactly.
pub fn nanoseconds(text: &str) -> Result<i64> {
    let bad = || format!("{text:?} is no time in seconds");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return Err(bad());
    }
    let fraction: i64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
    Ok(whole.parse::<i64>().map_err(|_| bad())? * 1_000_000_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_stand_apart_by_two_spaces_and_options_by_one() {
        let fields =
            Fields::parse("sdp=caller:4000 call=2  Contact: <sip:b@192.168.1.20>  -Route  +Via: x  x11 backoff")
                .unwrap();
        assert_eq!(fields.option("sdp"), Some("caller:4000"));
        assert_eq!(fields.number::<u32>("call"), Ok(Some(2)));
        assert_eq!(fields.headers.len(), 3);
        assert_eq!(fields.offsets(false).last(), Some(&31_500_000_000), "RFC 3261 13.3.1.4: the eleventh 2xx");
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!(nanoseconds("3.5"), Ok(3_500_000_000));
        assert_eq!(nanoseconds("0.000001"), Ok(1_000));
        assert!(nanoseconds("x").is_err() && nanoseconds(".5").is_err() && nanoseconds("-1").is_err());
    }
}
