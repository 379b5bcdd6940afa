//! A SIP message under construction.

use super::field::HeaderChange;

/// Start line, headers in order, body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Without its line end.
    pub start_line: String,
    /// Name and value as written.
    pub headers: Vec<(String, String)>,
    /// As sent.
    pub body: String,
}

impl Message {
    /// Appends a header.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every header of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Puts the header in place of the first of that name and drops the others; appends it where there is none.
    pub fn set(&mut self, name: &str, value: &str) {
        let first = self.headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)).unwrap_or(self.headers.len());
        self.remove(name);
        let at = first.min(self.headers.len());
        self.headers.insert(at, (name.to_owned(), value.to_owned()));
    }

    /// Drops every header of that name.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Puts a header before all of its name: Via and Record-Route grow at the front.
    pub fn push_front(&mut self, name: &str, value: &str) {
        let at = self.headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)).unwrap_or(self.headers.len());
        self.headers.insert(at, (name.to_owned(), value.to_owned()));
    }

    /// Takes the first header of that name away.
    pub fn pop_front(&mut self, name: &str) {
        if let Some(at) = self.headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)) {
            self.headers.remove(at);
        }
    }

    /// Applies what a ladder line changes.
    pub fn change(&mut self, changes: &[HeaderChange]) {
        for change in changes {
            match change {
                HeaderChange::Set(name, value) => self.set(name, value),
                HeaderChange::Add(name, value) => {
                    let last = self.headers.iter().rposition(|(n, _)| n.eq_ignore_ascii_case(name));
                    let at = last.map_or(self.headers.len(), |last| last + 1);
                    self.headers.insert(at, (name.clone(), value.clone()));
                }
                HeaderChange::Remove(name) => self.remove(name),
            }
        }
    }

    /// The bytes on the wire. Content-Length is right unless the ladder wrote or removed it.
    pub fn bytes(&self, changes: &[HeaderChange]) -> Vec<u8> {
        let own_length = changes.iter().any(|change| match change {
            HeaderChange::Set(name, _) | HeaderChange::Add(name, _) | HeaderChange::Remove(name) => {
                name.eq_ignore_ascii_case("Content-Length")
            }
        });
        let mut text = format!("{}\r\n", self.start_line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !own_length {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }

    /// The URI of the first Contact.
    pub fn contact_uri(&self) -> Option<&str> {
        let value = self.header("Contact")?;
        let inside = value.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        Some(inside.map_or(value, |(uri, _)| uri))
    }
}
