//! Which interfaces there are and how each would be watched.

use std::path::Path;

use super::{Finding, Standing};
use crate::cli::exit::Code;
use crate::config::Ingress;

const FOLDER: &str = "/sys/class/net";

/// An interface as sysfs describes it.
struct Interface {
    name: String,
    up: bool,
    loopback: bool,
    /// A device stands behind it: a network card, not a veth or a bridge.
    hardware: bool,
    driver: String,
    mtu: String,
}

pub(super) fn findings(names: &[String], ingress: Ingress) -> Vec<Finding> {
    let all = interfaces(Path::new(FOLDER));
    let mut out = Vec::new();
    for name in names {
        if !all.iter().any(|i| i.name == *name) {
            let existing: Vec<&str> = all.iter().map(|i| i.name.as_str()).collect();
            out.push(Finding::new(
                format!("interface {name}"),
                Standing::Missing(Code::Unavailable),
                format!("not there; there are: {}", existing.join(", ")),
            ));
        }
    }
    let chosen = |i: &&Interface| if names.is_empty() { i.up && !i.loopback } else { names.contains(&i.name) };
    let watched: Vec<&Interface> = all.iter().filter(chosen).collect();
    for i in &watched {
        let standing = if i.up { Standing::Good } else { Standing::Limited };
        let down = if i.up { "" } else { "; it is down" };
        out.push(Finding::new(
            format!("interface {}", i.name),
            standing,
            format!("{}, MTU {}{down}: {}", i.driver, i.mtu, mode(i, ingress)),
        ));
    }
    if watched.is_empty() && names.is_empty() {
        out.push(Finding::new(
            "interfaces",
            Standing::Missing(Code::Unavailable),
            "none is up besides loopback; bring one up or name one with -i",
        ));
    }
    out
}

/// How it would be watched and why.
fn mode(i: &Interface, ingress: Ingress) -> String {
    match ingress {
        Ingress::Xdp => "native XDP in, tc out, as asked for".into(),
        Ingress::XdpGeneric => "generic XDP in, tc out, as asked for".into(),
        Ingress::Tc => "tc in and out, as asked for".into(),
        Ingress::Auto if i.loopback => "tc in and out: loopback has no native XDP".into(),
        Ingress::Auto if !i.hardware => {
            format!("tc in and out: native XDP on {} would cost its peer its offloads", i.driver)
        }
        Ingress::Auto => "native XDP in, tc out; tc in where the driver has no XDP or another program is there".into(),
    }
}

fn interfaces(folder: &Path) -> Vec<Interface> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut all: Vec<Interface> = entries
        .flatten()
        .filter(|e| e.path().join("ifindex").exists())
        .map(|entry| {
            let path = entry.path();
            let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap_or_default().trim().to_owned();
            let flags = u32::from_str_radix(read("flags").trim_start_matches("0x"), 16).unwrap_or(0);
            let hardware = path.join("device").exists();
            let loopback = flags & libc::IFF_LOOPBACK.cast_unsigned() != 0;
            let link = |p: &str| {
                let target = std::fs::read_link(path.join(p)).ok()?;
                Some(target.file_name()?.to_string_lossy().into_owned())
            };
            let driver = match link("device/driver") {
                Some(driver) => driver,
                None if loopback => "loopback".into(),
                None if read("uevent").contains("DEVTYPE=bridge") => "bridge".into(),
                None => "a virtual device".into(),
            };
            Interface {
                name: entry.file_name().to_string_lossy().into_owned(),
                up: flags & libc::IFF_UP.cast_unsigned() != 0,
                loopback,
                hardware,
                driver,
                mtu: read("mtu"),
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_missing() {
        let findings = findings(&["no-such-if".into()], Ingress::Auto);
        assert_eq!(findings[0].standing, Standing::Missing(Code::Unavailable));
        assert!(findings[0].text.contains("lo"), "{}", findings[0].text);
    }
}
