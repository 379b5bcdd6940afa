//! Prometheus in a namespace: scrapes the daemon there, and is asked over its API.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sip_monitor::demo::netns::Namespace;

use super::child::Program;
use crate::world::World;

/// Where it listens, in its namespace.
const API: &str = "127.0.0.1:9090";

/// A running Prometheus.
pub struct Prometheus<'w> {
    namespace: &'w Namespace,
    program: Program,
}

impl<'w> Prometheus<'w> {
    /// Scrapes `target` every second and evaluates these rule files.
    pub fn start(world: &'w World, target: &str, rules: &[&str]) -> Result<Self> {
        let namespace = &world.pair.monitored;
        let rules: String = rules.iter().map(|file| format!("  - {file}\n")).collect();
        let config = world.folder.join("prometheus.yml");
        let text = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files:\n{rules}scrape_configs:\n  \
             - job_name: sip-monitor\n    static_configs:\n      - targets: [\"{target}\"]\n"
        );
        std::fs::write(&config, text)?;
        let mut command = namespace.command("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", world.folder.join("tsdb").display()));
        command.args([&format!("--web.listen-address={API}"), "--log.level=warn"]);
        let program = Program::start(command, "prometheus", &world.folder.join("prometheus.log"))?;
        let mut prometheus = Self { namespace, program };
        prometheus.program.wait_until(Duration::from_secs(30), || {
            get(namespace, API, "/-/ready", "").ok().filter(|answer| answer.starts_with("HTTP/1.1 200"))
        })?;
        Ok(prometheus)
    }

    /// Samples of an instant query, by their labels without `instance`, `job` and the name.
    pub fn query(&self, query: &str) -> Result<BTreeMap<String, f64>> {
        let answer = get(self.namespace, API, &format!("/api/v1/query?query={}", percent(query)), "")?;
        let body = answer.split_once("\r\n\r\n").context("an answer of Prometheus")?.1;
        let json: Value = serde_json::from_str(&unchunked(body)).with_context(|| answer.clone())?;
        ensure!(json["status"] == "success", "{query}: {json}");
        let mut samples = BTreeMap::new();
        for sample in json["data"]["result"].as_array().context("the result of a query")? {
            let labels: Vec<String> = sample["metric"]
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| !["__name__", "instance", "job"].contains(&name.as_str()))
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            let value = sample["value"][1].as_str().and_then(|value| value.parse().ok()).context("a value")?;
            samples.insert(labels.join(","), value);
        }
        Ok(samples)
    }

    /// The only sample of a query; 0 where there is none.
    pub fn value(&self, query: &str) -> Result<f64> {
        let samples = self.query(query)?;
        ensure!(samples.len() <= 1, "{query} has {samples:?}");
        Ok(samples.into_values().next().unwrap_or(0.0))
    }

    /// Waits until a query is `wanted`.
    pub fn wait_for(&mut self, query: &str, wanted: f64) -> Result<()> {
        let namespace = self.namespace;
        let program = &mut self.program;
        let asked = Self::ask(namespace, query);
        let mut last = asked;
        program
            .wait_until(Duration::from_secs(20), || {
                last = Self::ask(namespace, query);
                last.as_ref().is_ok_and(|value| *value == wanted).then_some(())
            })
            .with_context(|| format!("{query}: {wanted} wanted, {last:?} found"))
    }

    fn ask(namespace: &'w Namespace, query: &str) -> Result<f64, String> {
        let answer =
            get(namespace, API, &format!("/api/v1/query?query={}", percent(query)), "").map_err(|e| e.to_string())?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| unchunked(body)).unwrap_or_default();
        let json: Value = serde_json::from_str(&body).map_err(|e| e.to_string())?;
        let value = json["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok());
        value.ok_or_else(|| json.to_string())
    }
}

/// Answer to a GET inside a namespace, headers and all.
pub fn get(namespace: &Namespace, at: &str, path: &str, headers: &str) -> Result<String> {
    let at: SocketAddr = at.parse()?;
    namespace.inside(|| {
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\n{headers}Connection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })
}

/// The text between the lengths of a chunked body; another one as it is.
pub fn unchunked(body: &str) -> String {
    let mut text = String::new();
    let mut rest = body;
    while let Some((length, after)) = rest.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length.trim(), 16) else { return body.to_owned() };
        let Some(chunk) = after.get(..length).filter(|_| length > 0) else { return text };
        text.push_str(chunk);
        rest = after.get(length + 2..).unwrap_or_default();
    }
    if text.is_empty() { body.to_owned() } else { text }
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
