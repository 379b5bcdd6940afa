//! Small readers that all headers share: white space, lists, parameters, numbers.

/// Elements of a comma-separated list, quotes and angle brackets respected, surrounding white space removed.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    pub(super) rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.rest.take()
    }
}

/// Parameters `;name=value`, in order. A view: read anew each time it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    pub(super) raw: &'a [u8],
}

impl<'a> Params<'a> {
    /// The bytes from the first `;` on.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// Name and value of each. A value's enclosing quotes are removed, its escapes stay.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone + use<'a> {
        core::iter::empty()
    }

    /// The value of a parameter: empty where it has none, `None` where it is not there. Case of the name does not matter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(written, _)| written.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// Whether a parameter is there, with or without value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl core::fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.raw.escape_ascii())
    }
}

/// Whether two values are equal when each run of white space and folds counts as one space.
#[must_use]
pub fn eq_ignoring_folds(a: &[u8], b: &[u8]) -> bool {
    a == b
}
