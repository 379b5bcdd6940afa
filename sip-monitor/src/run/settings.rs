//! What the daemon works with: flags before environment before file before default. `clap` joins the first two.

use std::path::PathBuf;

use sip_monitor_engine::EngineConfig;
use sip_monitor_engine::config::MediaSight;

use crate::capture::live::{IngressMode, LiveConfig, Tracepoint};
use crate::cli::exit::Failure;
use crate::cli::{RunArgs, format_for};
use crate::config::{self, Config, Emit, Ingress};
use crate::sink::SinkConfig;

/// Reads the file that `args` name and puts the flags over it.
///
/// # Errors
/// Where the file cannot be read or is wrong.
pub fn load(args: &RunArgs) -> Result<Config, Failure> {
    let mut config = config::load_or_default(args.config.as_deref())?;
    if !args.interfaces.is_empty() {
        config.capture.interfaces = args.interfaces.clone();
    }
    if let Some(ingress) = args.ingress {
        config.capture.ingress = ingress;
    }
    if !args.sip_ports.is_empty() {
        config.capture.sip_ports = args.sip_ports.clone();
    }
    if let Some(path) = &args.alerts_file {
        config.output.alerts_file = Some(path.clone());
    }
    if !args.emit.is_empty() {
        config.output.emit = args.emit.iter().map(|k| k.to_config()).collect();
    }
    if let Some(listen) = args.prometheus {
        config.prometheus.listen = Some(listen);
    }
    if let Some(privacy) = args.privacy {
        config.privacy = privacy;
    }
    Ok(config)
}

/// The part of live capture.
#[must_use]
pub fn live(config: &Config, args: &RunArgs, seed: u64) -> LiveConfig {
    let ring = |bytes: config::units::Bytes| u32::try_from(bytes.0).unwrap_or(1 << 30);
    LiveConfig {
        interfaces: config.capture.interfaces.clone(),
        ingress: match config.capture.ingress {
            Ingress::Auto => IngressMode::Auto,
            Ingress::Xdp => IngressMode::Xdp,
            Ingress::XdpGeneric => IngressMode::XdpGeneric,
            Ingress::Tc => IngressMode::Tc,
        },
        sip_ports: config.capture.sip_ports.clone(),
        max_streams: config.capture.max_streams,
        signalling_ring_bytes: ring(config.capture.signalling_ring),
        media_ring_bytes: ring(config.capture.media_ring),
        tracepoint: Tracepoint::Auto,
        debug: args.debug_ebpf,
        seed,
    }
}

/// The part of the engine; local addresses and interface names come from live capture.
///
/// # Errors
/// Where the key of hashed numbers cannot be had.
pub fn engine(config: &Config) -> Result<EngineConfig, Failure> {
    let privacy_key = config::privacy_key(config)?;
    Ok(EngineConfig { media_sight: MediaSight::Full, privacy_key, host: host_name(), ..config.to_engine() })
}

/// The part of the sinks.
#[must_use]
pub fn sinks(config: &Config, args: &RunArgs) -> SinkConfig {
    SinkConfig {
        format: args.output.unwrap_or_else(|| format_for(config.output.format)),
        alerts: config.output.emit.contains(&Emit::Alerts),
        alerts_file: config.output.alerts_file.clone().filter(|p: &PathBuf| !p.as_os_str().is_empty()),
        queue: config.output.queue,
    }
}

/// What cannot be changed while running, of what differs; the rest of `new` can.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut keys = Vec::new();
    if old.capture != new.capture {
        keys.push("[capture]");
    }
    if old.timers != new.timers {
        keys.push("[timers]");
    }
    if old.limits != new.limits {
        keys.push("[limits]");
    }
    if old.output.queue != new.output.queue {
        keys.push("output.queue");
    }
    if old.prometheus != new.prometheus {
        keys.push("[prometheus]");
    }
    if old.alertmanager != new.alertmanager {
        keys.push("[alertmanager]");
    }
    if old.log != new.log {
        keys.push("log");
    }
    keys
}

/// `new` where it can be changed while running, `old` elsewhere.
#[must_use]
pub fn swapped(old: &Config, new: Config) -> Config {
    let queue = old.output.queue;
    Config {
        trunk: new.trunk,
        legs: new.legs,
        capture: old.capture.clone(),
        timers: old.timers,
        limits: old.limits,
        log: old.log.clone(),
        privacy: new.privacy,
        privacy_key_file: new.privacy_key_file,
        thresholds: new.thresholds,
        output: config::Output { queue, ..new.output },
        prometheus: old.prometheus.clone(),
        alertmanager: old.alertmanager.clone(),
    }
}

/// Name of this machine, empty where the kernel does not tell.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|n| n.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_goes_before_the_file() {
        let dir = std::env::temp_dir().join(format!("sip-monitor-settings-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("c.toml");
        std::fs::write(&path, "[capture]\nsip_ports = [5080]\ningress = \"tc\"\n").unwrap();
        let args = RunArgs { config: Some(path), sip_ports: vec![5070], ..RunArgs::default() };
        let config = load(&args).unwrap();
        assert_eq!(config.capture.sip_ports, [5070]);
        assert_eq!(config.capture.ingress, Ingress::Tc);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn places_where_others_are_told_are_opened_at_the_start_only() {
        let old = Config::default();
        let text = "[prometheus]\nlisten = \"off\"\n[alertmanager]\nurls = [\"http://127.0.0.1:9093\"]\n";
        let new = config::from_str(text).unwrap();
        assert_eq!(needs_restart(&old, &new), ["[prometheus]", "[alertmanager]"]);
        assert!(needs_restart(&old, &swapped(&old, new)).is_empty());
    }

    #[test]
    fn a_reload_swaps_thresholds_and_keeps_what_needs_a_restart() {
        let old = Config::default();
        let new = config::from_str("[thresholds]\nmedia_absent = \"9s\"\n[capture]\nsip_ports = [5080]\n").unwrap();
        assert_eq!(needs_restart(&old, &new), ["[capture]"]);
        let now = swapped(&old, new.clone());
        assert_eq!(now.thresholds, new.thresholds);
        assert_eq!(now.capture, old.capture);
        assert!(needs_restart(&old, &now).is_empty());
    }
}
