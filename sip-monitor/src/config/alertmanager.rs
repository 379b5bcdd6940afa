//! Which Alertmanagers alerts are pushed to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use sip_monitor_engine::diagnosis::Severity;

use super::units::Span;

/// `[alertmanager]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alertmanager {
    /// Every member of a cluster; none: nothing is pushed.
    pub urls: Vec<Endpoint>,
    /// Alerts that weigh less are not pushed.
    pub least_severity: LeastSeverity,
    /// How often an alert that fires is sent again; 10 min at most.
    pub resend: Span,
    /// How long an Alertmanager has to answer.
    pub timeout: Span,
}

impl Default for Alertmanager {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            least_severity: LeastSeverity::Warning,
            resend: Span(Duration::from_secs(60)),
            timeout: Span(Duration::from_secs(10)),
        }
    }
}

/// The least that is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeastSeverity {
    /// Everything.
    Info,
    /// Warnings and what is critical.
    Warning,
    /// What is critical.
    Critical,
}

impl From<LeastSeverity> for Severity {
    fn from(least: LeastSeverity) -> Self {
        match least {
            LeastSeverity::Info => Self::Info,
            LeastSeverity::Warning => Self::Warning,
            LeastSeverity::Critical => Self::Critical,
        }
    }
}

/// Where an Alertmanager is asked: `http://host:port`, and a path where it has a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    prefix: String,
}

impl Endpoint {
    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The path of an API behind the prefix.
    #[must_use]
    pub fn path(&self, api: &str) -> String {
        format!("{}{api}", self.prefix)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err(format!(
                "`{text}`: https is not spoken; push to an Alertmanager or a proxy on this host (http://127.0.0.1:9093)"
            ));
        }
        let wrong = || format!("`{text}` is no URL such as http://127.0.0.1:9093");
        let uri: hyper::Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|a| uri.scheme_str() == Some("http") && !a.as_str().contains('@'));
        let host = authority.map(|a| a.host().to_owned()).filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        if uri.query().is_some() {
            return Err(wrong());
        }
        let port = uri.port_u16().unwrap_or(9093);
        Ok(Self { host, port, prefix: uri.path().trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_str;
    use super::*;

    #[test]
    fn an_endpoint_is_read_with_its_port_and_prefix() {
        let endpoint: Endpoint = "http://[::1]/am/".parse().unwrap();
        assert_eq!((endpoint.authority(), endpoint.path("/x")), ("[::1]:9093".to_owned(), "/am/x".to_owned()));
        let endpoint: Endpoint = "http://alerts.example:80".parse().unwrap();
        assert_eq!((endpoint.authority(), endpoint.path("/x")), ("alerts.example:80".to_owned(), "/x".to_owned()));
    }

    #[test]
    fn what_cannot_be_pushed_to_is_refused_with_the_path_of_its_key() {
        for (url, why) in [
            ("https://alerts.example", "https is not spoken"),
            ("127.0.0.1:9093", "no URL such as"),
            ("http://user:secret@host", "no URL such as"),
            ("http://host/?x=1", "no URL such as"),
            ("", "no URL such as"),
        ] {
            let e = from_str(&format!("[alertmanager]\nurls = [\"{url}\"]\n")).unwrap_err();
            assert!(e.contains("alertmanager.urls[0]") && e.contains(why), "{e}");
        }
        let e = from_str("[alertmanager]\nresend = \"0s\"\n").unwrap_err();
        assert!(e.contains("alertmanager.resend"), "{e}");
        let e = from_str("[alertmanager]\nresend = \"11min\"\n").unwrap_err();
        assert!(e.contains("alertmanager.resend: 11min is longer than 10min"), "{e}");
        assert!(from_str("[alertmanager]\nresend = \"10min\"\n").is_ok());
    }
}
