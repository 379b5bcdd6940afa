//! Which programs of this machine listen for SIP: `/proc/net` has the sockets, `/proc/PID/fd` their owners.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Finding, Standing};

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listener {
    transport: &'static str,
    addr: SocketAddr,
    inode: u64,
}

pub(super) fn findings(sip_ports: &[u16]) -> Vec<Finding> {
    let mut listeners = Vec::new();
    // State 07 is an unconnected UDP socket, 0A a TCP socket that listens.
    for (file, transport, state) in
        [("udp", "udp", "07"), ("udp6", "udp", "07"), ("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A")]
    {
        let table = std::fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        listeners.extend(parse(&table, transport, state).filter(|l| sip_ports.contains(&l.addr.port())));
    }
    if listeners.is_empty() {
        let ports: Vec<String> = sip_ports.iter().map(ToString::to_string).collect();
        let text =
            format!("none on port {}; calls on other UDP ports are found by their first bytes", ports.join(", "));
        return vec![Finding::new("SIP listeners", Standing::Good, text)];
    }
    listeners.sort();
    let owners = owners();
    listeners
        .iter()
        .map(|l| {
            let owner = owners.get(&l.inode).map_or("a program we may not see", String::as_str);
            Finding::new(format!("SIP on {}/{}", l.addr, l.transport), Standing::Good, owner)
        })
        .collect()
}

/// The sockets of a table of `/proc/net` in the given state.
fn parse<'a>(table: &'a str, transport: &'static str, state: &'a str) -> impl Iterator<Item = Listener> + 'a {
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if *fields.get(3)? != state {
            return None;
        }
        let (addr, port) = fields.get(1)?.split_once(':')?;
        let addr = SocketAddr::new(address(addr)?, u16::from_str_radix(port, 16).ok()?);
        Some(Listener { transport, addr, inode: fields.get(9)?.parse().ok()? })
    })
}

/// An address as `/proc/net` prints it: words of 32 bits in host byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |n: usize| Some(u32::from_str_radix(hex.get(n * 8..n * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let bytes: Vec<u8> = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
        }
        _ => None,
    }
}

/// Owner of each socket, by inode, as far as we may look.
fn owners() -> BTreeMap<u64, String> {
    let mut out = BTreeMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return out };
    for process in processes.flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            let Ok(target) = std::fs::read_link(file.path()) else { continue };
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']')).and_then(|t| t.parse().ok());
            if let Some(inode) = inode {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                out.entry(inode).or_insert_with(|| format!("{} (process {pid})", name.trim()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            1: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0 0\n\
            2: 0100007F:13C5 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4243 2 0 0\n";
        let listeners: Vec<Listener> = parse(table, "udp", "07").collect();
        let expected = Listener { transport: "udp", addr: "127.0.0.1:5060".parse().unwrap(), inode: 4242 };
        assert_eq!(listeners, [expected]);
    }

    #[test]
    fn an_ipv6_address_is_read_word_by_word() {
        assert_eq!(address("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
    }
}
