//! SIP over TLS that does not come up: real OpenSSL on both ends, the host that is monitored as the client of four trunks.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::alerts::Alerts;
use crate::programs::child::Program;
use crate::world::{self, Family, World};

/// 2100-01-01, when every certificate made here has expired.
const LATER: &str = "4102444800";

#[test]
fn a_refused_certificate_is_told_by_its_alert_and_an_accepted_one_is_not() -> Result<()> {
    let Some(_turn) = world::turn_with(world::Turn::Shared, &["openssl"]) else { return Ok(()) };
    let world = World::build("tls", Family::V4, 4)?;
    let file = |name: &str| world.folder.join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let kind = "ec_paramgen_curve:P-256";
    let made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", kind, "-nodes", "-subj", "/CN=trunk", "-days", "30"];
    openssl(&world, &[&made[..], &["-keyout", &key, "-out", &cert]].concat(), true)?;
    let daemon = world.daemon("tc", "alerts")?;
    let mut servers = Vec::new();
    for n in 0..4 {
        let mut command = world.pair.outside.command("openssl");
        let at = format!("{}:5061", world.peer(n).ip());
        command.args(["s_server", "-www", "-accept", &at, "-cert", &cert, "-key", &key]);
        let log = file(&format!("server-{n}.log"));
        let mut server = Program::start(command, "s_server", Path::new(&log))?;
        let listens = || std::fs::read_to_string(&log).ok().filter(|said| said.contains("ACCEPT"));
        server.wait_until(Duration::from_secs(30), listens)?;
        servers.push(server);
    }
    let connect = |n: usize, args: &[&str], works: bool| {
        let at = format!("{}:5061", world.peer(n).ip());
        openssl(&world, &[&["s_client", "-connect", &at, "-verify_return_error"], args].concat(), works)
    };
    connect(0, &["-tls1_2", "-CAfile", &cert, "-attime", LATER], false)?;
    connect(1, &["-tls1_2"], false)?;
    connect(2, &["-tls1_3"], false)?;
    connect(3, &["-tls1_3", "-CAfile", &cert], true)?;
    std::thread::sleep(Duration::from_millis(500));
    let alerts = Alerts::of(daemon.stop()?.0);
    // OpenSSL sends its alert in the open in TLS 1.3, too: it has no key for it yet.
    let expected = ["certificate-expired", "alert"].map(|cause| ("tls-failed".to_owned(), cause.to_owned()));
    ensure!(alerts.about_others(&[]) == BTreeSet::from(expected), "{alerts}");
    Ok(())
}

/// Runs OpenSSL on the host with nothing to say, and checks whether it ends well.
fn openssl(world: &World, args: &[&str], works: bool) -> Result<()> {
    let mut command = world.pair.monitored.command("timeout");
    command.args(["30", "openssl"]).args(args).stdin(Stdio::null());
    let output = command.output().context("starting openssl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() == works, "openssl {}: {} {said}", args.join(" "), output.status);
    Ok(())
}
