//! Exit codes after sysexits(3), and the error that carries one.

use std::fmt;

/// Why the program ended, as its exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 64: the command line is wrong.
    Usage,
    /// 65: an input was read and its content is wrong.
    Data,
    /// 66: an input is missing, not readable, or not a capture.
    NoInput,
    /// 69: this kernel or this machine lacks what is needed.
    Unavailable,
    /// 70: an error of the program itself.
    Software,
    /// 74: reading or writing failed.
    Io,
    /// 77: not permitted.
    NoPermission,
    /// 78: the configuration is wrong.
    Config,
}

impl Code {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::Io => 74,
            Self::NoPermission => 77,
            Self::Config => 78,
        }
    }
}

/// For `--help`.
pub const HELP: &str = "\
Exit codes (sysexits):
   0  done
  64  the command line is wrong
  65  an input was read and its content is wrong
  66  an input is missing, not readable, or not a capture file
  69  this kernel or machine lacks what is needed (too old, no eBPF object, no such interface)
  70  an error of sip-monitor itself
  74  reading or writing failed
  77  not permitted (live capture needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)
  78  the configuration file is wrong";

/// A failure that ends the program: what went wrong, how to fix it, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: Code,
    /// What went wrong, outermost context first.
    pub error: anyhow::Error,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Failure {
    /// A failure without further cause.
    pub fn new(code: Code, message: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { code, error: anyhow::Error::msg(message), fix: None }
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)?;
        match &self.fix {
            Some(fix) => write!(f, "\n  fix: {fix}"),
            None => Ok(()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let io = error.chain().find_map(|e| e.downcast_ref::<std::io::Error>());
        let code = match io.map(std::io::Error::kind) {
            Some(std::io::ErrorKind::PermissionDenied) => Code::NoPermission,
            Some(_) => Code::Io,
            None => Code::Software,
        };
        Self { code, error, fix: None }
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// Fails with `code`.
    ///
    /// # Errors
    /// The same error, with `code`.
    fn or_exit(self, code: Code) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, code: Code) -> Result<T, Failure> {
        self.map_err(|e| Failure { code, error: e.into(), fix: None })
    }
}
