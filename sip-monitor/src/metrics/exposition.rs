//! Writes metric families in the two forms that scrapers ask for: the text format 0.0.4 of Prometheus, which `promtool check
//! metrics` reads, and OpenMetrics 1.0, which carries exemplars.

use std::fmt::Write as _;

use sip_monitor_engine::metrics::{Buckets, Exemplar};

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `text/plain; version=0.0.4`.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Dialect {
    /// The one that an Accept header asks for.
    #[must_use]
    pub fn of_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// Value of Content-Type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

impl Kind {
    /// As the format names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric family. Values of its labels come from bounded sets.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Name, with its unit.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Names of its labels, in the order in which samples give their values.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// OpenMetrics 1.0: an exemplar's labels together take at most 128 characters.
const EXEMPLAR_CHARS: usize = 128 - "call_id".len();

/// The text under way.
#[derive(Debug)]
pub struct Exposition {
    dialect: Dialect,
    out: String,
}

impl Exposition {
    /// An empty one.
    #[must_use]
    pub const fn new(dialect: Dialect) -> Self {
        Self { dialect, out: String::new() }
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, family: &'static Family) -> Samples<'_> {
        // OpenMetrics names the family, the older format the samples.
        let name = match self.dialect {
            Dialect::OpenMetrics if family.kind == Kind::Counter => family.name.trim_end_matches("_total"),
            Dialect::OpenMetrics | Dialect::Text => family.name,
        };
        let (help, kind) = (family.help, family.kind.name());
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Samples { to: self, family }
    }

    /// The whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.dialect == Dialect::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a String does not fail.
        let _ = self.out.write_fmt(text);
    }
}

/// Writes the samples of one family.
#[derive(Debug)]
pub struct Samples<'e> {
    to: &'e mut Exposition,
    family: &'static Family,
}

impl Samples<'_> {
    /// A count.
    pub fn count(&mut self, values: &[&str], count: u64) {
        self.begin("", values, None);
        self.to.put(format_args!(" {count}\n"));
    }

    /// A count, and the last call that was counted.
    pub fn count_of(&mut self, values: &[&str], count: u64, exemplar: Option<&Exemplar>) {
        self.begin("", values, None);
        self.to.put(format_args!(" {count}"));
        self.end(exemplar);
    }

    /// Any number.
    pub fn number(&mut self, values: &[&str], number: f64) {
        self.begin("", values, None);
        self.to.put(format_args!(" {}\n", Number(number)));
    }

    /// All samples of a histogram.
    pub fn histogram(&mut self, values: &[&str], buckets: &Buckets) {
        for (bound, count, exemplar) in buckets.cumulative() {
            self.begin("_bucket", values, Some(bound.unwrap_or(f64::INFINITY)));
            self.to.put(format_args!(" {count}"));
            self.end(exemplar);
        }
        self.begin("_sum", values, None);
        self.to.put(format_args!(" {}\n", Number(buckets.sum())));
        self.begin("_count", values, None);
        self.to.put(format_args!(" {}\n", buckets.count()));
    }

    fn begin(&mut self, suffix: &str, values: &[&str], bound: Option<f64>) {
        let Family { name, labels, .. } = self.family;
        debug_assert_eq!(labels.len(), values.len(), "{name}: a value for each label");
        self.to.put(format_args!("{name}{suffix}"));
        let mut open = '{';
        for (label, value) in labels.iter().zip(values) {
            self.to.put(format_args!("{open}{label}=\"{}\"", Escaped(value)));
            open = ',';
        }
        if let Some(bound) = bound {
            self.to.put(format_args!("{open}le=\"{}\"", Number(bound)));
            open = ',';
        }
        if open == ',' {
            self.to.out.push('}');
        }
    }

    fn end(&mut self, exemplar: Option<&Exemplar>) {
        // A Call-ID is what a peer makes it, and one NUL has Prometheus throw away the whole scrape.
        let fits =
            |e: &&Exemplar| e.call_id.chars().count() <= EXEMPLAR_CHARS && !e.call_id.chars().any(char::is_control);
        if let Some(e) = exemplar.filter(|_| self.to.dialect == Dialect::OpenMetrics).filter(fits) {
            let (id, value) = (Escaped(&e.call_id), Number(e.value));
            let (seconds, ms) = (e.at.unix_ns() / 1_000_000_000, e.at.unix_ns() / 1_000_000 % 1_000);
            self.to.put(format_args!(" # {{call_id=\"{id}\"}} {value} {seconds}.{ms:03}"));
        }
        self.to.out.push('\n');
    }
}

/// A label value between its quotes.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                // The end of the text to Prometheus' reader.
                '\0' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A number as both formats write it: bounds have a point, so that a series is the same one in both.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            n if n.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            n => write!(f, "{n:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_engine::Timestamp;

    static CALLS: Family =
        Family { name: "sipmonitor_x_total", kind: Kind::Counter, labels: &["trunk"], help: "Calls." };
    static TIME: Family = Family { name: "sipmonitor_x_seconds", kind: Kind::Histogram, labels: &[], help: "Time." };

    fn written(dialect: Dialect) -> String {
        let mut exposition = Exposition::new(dialect);
        exposition.family(&CALLS).count(&["a \"b\"\\\n"], 3);
        let mut buckets = Buckets::new(&[0.5, 1.0]);
        buckets.add_of(0.75, "id-1", Timestamp::from_unix_ns(1_700_000_000_123_000_000));
        buckets.add(7.0);
        exposition.family(&TIME).histogram(&[], &buckets);
        exposition.finish()
    }

    #[test]
    fn the_text_format_names_counters_in_full_and_has_no_exemplars() {
        assert_eq!(
            written(Dialect::Text),
            "# HELP sipmonitor_x_total Calls.\n# TYPE sipmonitor_x_total counter\n\
             sipmonitor_x_total{trunk=\"a \\\"b\\\"\\\\\\n\"} 3\n\
             # HELP sipmonitor_x_seconds Time.\n# TYPE sipmonitor_x_seconds histogram\n\
             sipmonitor_x_seconds_bucket{le=\"0.5\"} 0\n\
             sipmonitor_x_seconds_bucket{le=\"1.0\"} 1\n\
             sipmonitor_x_seconds_bucket{le=\"+Inf\"} 2\n\
             sipmonitor_x_seconds_sum 7.75\nsipmonitor_x_seconds_count 2\n"
        );
    }

    #[test]
    fn openmetrics_names_the_family_carries_exemplars_and_ends() {
        let text = written(Dialect::OpenMetrics);
        assert!(text.contains("# TYPE sipmonitor_x counter\nsipmonitor_x_total{"), "{text}");
        assert!(text.contains("{le=\"1.0\"} 1 # {call_id=\"id-1\"} 0.75 1700000000.123\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_call_id_too_long_for_an_exemplar_is_left_out() {
        let mut exposition = Exposition::new(Dialect::OpenMetrics);
        let exemplar = Exemplar { call_id: "x".repeat(122).into(), value: 1.0, at: Timestamp::ZERO };
        exposition.family(&CALLS).count_of(&["t"], 1, Some(&exemplar));
        assert!(exposition.finish().contains("sipmonitor_x_total{trunk=\"t\"} 1\n"));
    }

    #[test]
    fn a_call_id_with_a_control_character_is_left_out_and_others_are_escaped() {
        let written = |call_id: &str| {
            let mut exposition = Exposition::new(Dialect::OpenMetrics);
            let exemplar = Exemplar { call_id: call_id.into(), value: 1.0, at: Timestamp::ZERO };
            exposition.family(&CALLS).count_of(&["t\0"], 1, Some(&exemplar));
            exposition.finish()
        };
        for hostile in ["a\0b", "a\nb", "a\u{1b}[2J", "\u{85}"] {
            assert!(written(hostile).contains("{trunk=\"t\u{fffd}\"} 1\n"), "{}", written(hostile));
        }
        assert!(written("a\"} 2\\").contains(" 1 # {call_id=\"a\\\"} 2\\\\\"} 1.0 0.000\n"), "{}", written("a\"} 2\\"));
    }

    #[test]
    fn a_scraper_gets_openmetrics_only_where_it_asks_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Dialect::of_accept(prometheus), Dialect::OpenMetrics);
        assert_eq!(Dialect::of_accept("*/*"), Dialect::Text);
    }
}
