//! Reads a configuration and checks what types alone cannot: values that contradict each other or cannot be had.

use std::path::Path;

use super::units::Span;
use super::{Config, Legs};
use crate::cli::exit::{Code, Failure};

/// Longest time until an alert that fires is sent again.
const LONGEST_RESEND: Span = Span(std::time::Duration::from_secs(600));

/// Read where no `--config` is given and it exists.
pub const DEFAULT_PATH: &str = "/etc/sip-monitor/sip-monitor.toml";

/// The file named, or [`DEFAULT_PATH`] where it exists, or the defaults.
///
/// # Errors
/// [`Code::NoInput`] where the named file cannot be read, [`Code::Config`] where its content is wrong.
pub fn load_or_default(path: Option<&Path>) -> Result<Config, Failure> {
    match path {
        Some(path) => from_file(path),
        None if Path::new(DEFAULT_PATH).exists() => from_file(Path::new(DEFAULT_PATH)),
        None => Ok(Config::default()),
    }
}

/// Reads a file.
///
/// # Errors
/// As [`load_or_default`].
pub fn from_file(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let code = match e.kind() {
            std::io::ErrorKind::PermissionDenied => Code::NoPermission,
            std::io::ErrorKind::InvalidData => Code::Config,
            _ => Code::NoInput,
        };
        Failure::new(code, format!("configuration {}: {e}", path.display()))
            .fix("name a readable file with --config or SIP_MONITOR_CONFIG")
    })?;
    from_str(&text).map_err(|message| {
        Failure::new(Code::Config, format!("configuration {}: {message}", path.display()))
            .fix("correct it there; the documented example is etc/sip-monitor.toml")
    })
}

/// Reads a text.
///
/// # Errors
/// One sentence that names the key by its path.
pub fn from_str(text: &str) -> Result<Config, String> {
    let deserializer = toml::Deserializer::parse(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    let config: Config = serde_path_to_error::deserialize(deserializer).map_err(|e| {
        let path = e.path().to_string();
        let inner = e.into_inner();
        let line = inner.span().map(|s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        match line {
            Some(line) => format!("line {line}: {path}: {}", inner.message()),
            None => format!("{path}: {}", inner.message()),
        }
    })?;
    check(&config)?;
    Ok(config)
}

/// What the types let through.
fn check(config: &Config) -> Result<(), String> {
    let capture = &config.capture;
    if capture.sip_ports.contains(&0) {
        return Err("capture.sip_ports: 0 is no port".into());
    }
    if capture.sip_ports.len() > 64 {
        return Err(format!("capture.sip_ports: {} ports, at most 64 are watched", capture.sip_ports.len()));
    }
    for (key, ring) in
        [("capture.signalling_ring", capture.signalling_ring), ("capture.media_ring", capture.media_ring)]
    {
        if !ring.0.is_power_of_two() || !(64 << 10..=1 << 30).contains(&ring.0) {
            return Err(format!("{key}: {ring} is no power of two from 64KiB to 1GiB"));
        }
    }
    let timers = &config.timers;
    for (key, span) in [
        ("timers.t1", timers.t1),
        ("timers.t2", timers.t2),
        ("timers.t4", timers.t4),
        ("thresholds.media_absent", config.thresholds.media_absent),
        ("thresholds.media_refused", config.thresholds.media_refused),
        ("thresholds.media_stopped", config.thresholds.media_stopped),
        ("thresholds.hold_too_long", config.thresholds.hold_too_long),
        ("thresholds.transfer_notify", config.thresholds.transfer_notify),
        ("thresholds.alert_window", config.thresholds.alert_window),
        ("alertmanager.resend", config.alertmanager.resend),
        ("alertmanager.timeout", config.alertmanager.timeout),
    ] {
        if span.0.is_zero() {
            return Err(format!("{key}: must be longer than 0"));
        }
    }
    // Alertmanager counts an alert as firing for four times as long after the monitor is gone.
    let resend = config.alertmanager.resend;
    if resend > LONGEST_RESEND {
        return Err(format!("alertmanager.resend: {resend} is longer than {LONGEST_RESEND}"));
    }
    if timers.t2 < timers.t1 {
        return Err(format!("timers.t2: {} is shorter than timers.t1 = {} (RFC 3261 17.1.1.1)", timers.t2, timers.t1));
    }
    let limits = &config.limits;
    for (key, limit) in [
        ("capture.max_streams", capture.max_streams as usize),
        ("thresholds.no_ack_retransmissions", config.thresholds.no_ack_retransmissions as usize),
        ("thresholds.unanswered_retransmissions", config.thresholds.unanswered_retransmissions as usize),
        ("thresholds.invite_flood_per_second", config.thresholds.invite_flood_per_second as usize),
        ("limits.calls", limits.calls),
        ("limits.peers", limits.peers),
        ("limits.registrations", limits.registrations),
        ("limits.streams", limits.streams),
        ("limits.transactions_per_call", limits.transactions_per_call),
        ("limits.dialogs_per_call", limits.dialogs_per_call),
        ("limits.alerts", limits.alerts),
        ("limits.connections", limits.connections),
        ("output.queue", config.output.queue),
    ] {
        if limit == 0 {
            return Err(format!("{key}: must be at least 1"));
        }
    }
    if limits.text.0 < 64 {
        return Err(format!("limits.text: {} is too short to tell Call-IDs apart, at least 64", limits.text));
    }
    check_legs(&config.legs)?;
    for (index, trunk) in config.trunk.iter().enumerate() {
        trunk.check(index, config.trunk.get(..index).unwrap_or_default())?;
    }
    Ok(())
}

/// Headers kept apart by their place in the list, so that there cannot be too many.
const LEG_HEADERS: usize = 16;
/// Longer than any dial plan takes, and the numbers of all calls that came in must be kept for so long.
const NUMBERS_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

fn check_legs(legs: &Legs) -> Result<(), String> {
    if legs.headers.len() > LEG_HEADERS {
        return Err(format!("legs.headers: {} headers, at most {LEG_HEADERS} are read", legs.headers.len()));
    }
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
    for (index, header) in legs.headers.iter().enumerate() {
        let (name, parameter) = header.split_once(';').map_or((header.as_str(), None), |(n, p)| (n, Some(p)));
        if !is_token(name) || !parameter.is_none_or(is_token) {
            return Err(format!("legs.headers[{index}]: {header:?} is neither `Name` nor `Name;parameter`"));
        }
        let is_same = |other: &String| other.eq_ignore_ascii_case(header);
        if legs.headers.iter().take(index).any(is_same) {
            return Err(format!("legs.headers[{index}]: {header:?} stands there twice"));
        }
    }
    if legs.numbers_within.0 > NUMBERS_WITHIN {
        return Err(format!("legs.numbers_within: {} is too long, at most 60s", legs.numbers_within));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(from_str("").unwrap(), Config::default());
    }

    #[test]
    fn the_documented_example_is_the_defaults() {
        let example = include_str!("../../etc/sip-monitor.toml");
        assert_eq!(from_str(example).unwrap(), Config::default());
    }

    #[test]
    fn the_documented_example_names_every_key() {
        let example: toml::Table = toml::from_str(include_str!("../../etc/sip-monitor.toml")).unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        for (section, value) in &defaults {
            let shown = example.get(section).unwrap_or_else(|| panic!("{section} is not in the example"));
            for key in value.as_table().into_iter().flat_map(toml::Table::keys) {
                assert!(shown.get(key).is_some(), "{section}.{key} is not in the example");
            }
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_path_and_the_allowed_ones() {
        let e = from_str("privacy = \"mask\"\n[thresholds]\nmedia_absnt = \"6s\"\n").unwrap_err();
        assert!(e.starts_with("line 3: thresholds.media_absnt: unknown field `media_absnt`, expected one of"), "{e}");
        assert!(e.contains("`media_absent`"), "{e}");
    }

    #[test]
    fn a_wrong_section_is_named_with_the_allowed_ones() {
        let e = from_str("[threshold]\n").unwrap_err();
        assert!(e.contains("unknown field `threshold`") && e.contains("`thresholds`"), "{e}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_path() {
        let e = from_str("[timers]\nt1 = \"fast\"\n").unwrap_err();
        assert!(e.contains("timers.t1: `fast` is no duration"), "{e}");
        let e = from_str("[capture]\nsip_ports = [5060, 70000]\n").unwrap_err();
        assert!(e.contains("capture.sip_ports[1]"), "{e}");
    }

    #[test]
    fn headers_of_legs_are_names_or_names_with_a_parameter() {
        let config = from_str("[legs]\nheaders = [\"X-My-ID\", \"X-Chain;id\"]\nnumbers_within = \"0s\"\n").unwrap();
        let legs = config.to_engine().legs;
        assert_eq!(legs.headers, ["X-My-ID", "X-Chain;id"]);
        assert!(legs.numbers_within.is_zero());
        for (text, why) in [
            ("[legs]\nheaders = [\"X CID\"]", "legs.headers[0]: \"X CID\" is neither"),
            ("[legs]\nheaders = [\"X-CID\", \"\"]", "legs.headers[1]"),
            ("[legs]\nheaders = [\"X-CID;\"]", "legs.headers[0]"),
            ("[legs]\nheaders = [\"X-CID\", \"x-cid\"]", "twice"),
            ("[legs]\nheader = [\"X-CID\"]", "legs.header: unknown field `header`, expected `headers`"),
            ("[legs]\nnumbers_within = \"2min\"", "legs.numbers_within: 2min is too long"),
        ] {
            let e = from_str(text).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        for text in [
            "[capture]\nsip_ports = [0]",
            "[capture]\nsignalling_ring = \"3MiB\"",
            "[timers]\nt2 = \"100ms\"",
            "[thresholds]\nmedia_absent = \"0s\"",
            "[limits]\ncalls = 0",
        ] {
            assert!(from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_no_toml_says_where() {
        let e = from_str("[capture\n").unwrap_err();
        assert!(e.contains("line 1"), "{e}");
    }
}
