//! What the program at `kfree_skb` costs an event: kept, sorted out late, and sorted out early, beside an empty program at the same
//! tracepoint.
//!
//! Real drops, made in network namespaces of our own: datagrams for ports where nobody listens. The tracepoint is
//! system-wide, so whatever else the machine drops meanwhile is in the mean, too.

use std::net::UdpSocket;

use anyhow::{Context as _, Result, bail};
use aya::programs::{Program, ProgramInfo};
use aya::sys::{Stats, enable_stats};
use aya::{Btf, Ebpf};
use sip_monitor::capture::{
    drops::{self, Tracepoint},
    object::{self, LoadOptions},
};
use sip_monitor::demo::netns::Namespace;
use sip_monitor_common::limits::{PROGRAM_DROPS, PROGRAM_DROPS_EMPTY, PROGRAM_DROPS_RAW};

use super::{frames::rtp, mean_ns};

/// Datagrams of one measure.
const DATAGRAMS: u16 = 20_000;

/// Prints a row for each fate of an event: of the program whose reads the kernel checks by their types, and of the raw one.
pub fn run() -> Result<()> {
    let name = |what: &str| format!("sm-bench-{}-{what}", std::process::id());
    let (own, other) = (Namespace::create(&name("own"))?, Namespace::create(&name("other"))?);
    let speech = rtp(7);
    let events = [
        ("kept: RTP of this namespace", &own, &speech[..]),
        ("sorted out: no RTP", &own, &[0x17; 172]),
        ("sorted out: another namespace", &other, &speech),
    ];
    println!("kernel: ns a drop event, with an empty program's time in brackets");
    println!("  {:<34}{:>20}{:>20}", "", "typed", "raw");
    let mut rows = vec![String::new(); events.len()];
    for (tracepoint, program) in [(Tracepoint::Auto, PROGRAM_DROPS), (Tracepoint::Raw, PROGRAM_DROPS_RAW)] {
        let mut ebpf = object::load(&LoadOptions::default())?;
        if let Err(why) = own.inside(|| Ok(drops::watch(&mut ebpf, tracepoint)))? {
            println!("  skipped, {why}");
            return Ok(());
        }
        match ebpf.program_mut(PROGRAM_DROPS_EMPTY).context(PROGRAM_DROPS_EMPTY)? {
            Program::BtfTracePoint(empty) => {
                empty.load("kfree_skb", &Btf::from_sys_fs()?)?;
                empty.attach()?;
            }
            _ => bail!("{PROGRAM_DROPS_EMPTY}: a program of another type"),
        }
        for (row, (_, namespace, payload)) in rows.iter_mut().zip(events) {
            let (full, base) = namespace.inside(|| measure(&ebpf, program, payload))?;
            row.push_str(&format!("{:>20}", format!("{full:.0} ({base:.0})")));
        }
    }
    for (row, (name, ..)) in rows.iter().zip(events) {
        println!("  {name:<34}{row}");
    }
    Ok(())
}

/// Sends to where nobody listens. Mean time of the program and of the empty one.
fn measure(ebpf: &Ebpf, program: &str, payload: &[u8]) -> Result<(f64, f64)> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let _accounting = enable_stats(Stats::RunTime).context("the kernel's accounting of run time")?;
    let before = (info(ebpf, program)?, info(ebpf, PROGRAM_DROPS_EMPTY)?);
    for _ in 0..DATAGRAMS {
        socket.send_to(payload, "127.0.0.1:30000")?;
    }
    let after = (info(ebpf, program)?, info(ebpf, PROGRAM_DROPS_EMPTY)?);
    Ok((mean_ns(&before.0, &after.0), mean_ns(&before.1, &after.1)))
}

fn info(ebpf: &Ebpf, name: &str) -> Result<ProgramInfo> {
    match ebpf.program(name).context(name.to_owned())? {
        Program::BtfTracePoint(program) => Ok(program.info()?),
        Program::RawTracePoint(program) => Ok(program.info()?),
        _ => bail!("{name}: a program of another type"),
    }
}
