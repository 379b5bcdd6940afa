//! Why live capture can not begin or go on.

use std::{error::Error, fmt};

/// Each names the object and, where there is one, the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveError {
    /// Built without the eBPF object.
    NoObject,
    /// Capabilities that are missing, by name.
    Permission(Vec<&'static str>),
    /// The kernel can not do what is needed.
    Kernel(String),
    /// No such interface; those that exist.
    NoInterface(String, Vec<String>),
    /// Anything else that failed, with what was being done.
    Failed(String),
}

impl LiveError {
    /// Wraps a failure with what was being done, and all its causes.
    pub(crate) fn failed(doing: &str, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{doing}: {error}"))
    }

    /// As [`LiveError::failed`], for an error that has sources.
    pub(crate) fn caused(doing: &str, error: &dyn Error) -> Self {
        Self::Failed(format!("{doing}: {}", chain(error)))
    }
}

/// An error and its causes in one line, without what a cause only repeats and without the verifier's log.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text.lines().take(1).collect()
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObject => f.write_str(
                "this binary was built without the kernel programs, so it can only replay captures: run `cargo xtask setup` and build again",
            ),
            Self::Permission(names) => write!(
                f,
                "live capture needs {}: run as root, or give the binary these capabilities (setcap {}+ep)",
                names.join(", "),
                names.join(",").to_lowercase()
            ),
            Self::Kernel(what) => write!(f, "this kernel can not run the programs: {what}"),
            Self::NoInterface(name, existing) if name.is_empty() => {
                write!(f, "no interface is up besides loopback; name one with -i ({})", existing.join(", "))
            }
            Self::NoInterface(name, existing) => {
                write!(f, "there is no interface {name:?}; there are: {}", existing.join(", "))
            }
            Self::Failed(what) => f.write_str(what),
        }
    }
}

impl Error for LiveError {}
