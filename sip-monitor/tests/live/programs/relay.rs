//! Kamailio as the proxy of the monitored host with rtpengine for its media: what it relays, it relays both, and users are
//! reached at addresses that the test gives.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use sip_monitor::demo::netns::Namespace;

use super::child::Program;

/// How long it may take to answer its first request on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A user that is reached by the proxy.
pub struct User {
    /// The user part of its URI.
    pub name: String,
    /// Where it is.
    pub at: SocketAddr,
    /// ng socket of the rtpengine that relays its media, as `udp:ADDRESS:PORT`.
    pub rtpengine: String,
}

/// Starts it at `listens` and waits until it answers.
pub fn start(namespace: &Namespace, folder: &Path, listens: SocketAddr, users: &[User]) -> Result<Program> {
    let config = folder.join("relay.cfg");
    std::fs::write(&config, configuration(users))?;
    let mut command = namespace.command("kamailio");
    command.args(["-DD", "-E", "-m", "32", "-f"]).arg(&config).arg("-Y").arg(folder).arg("-w").arg(folder);
    command.args(["-l", &format!("udp:{listens}")]);
    let mut program = Program::start_until(libc::SIGTERM, command, "kamailio", &folder.join("relay.log"))?;
    let socket = namespace.inside(|| Ok(UdpSocket::bind(SocketAddr::new(listens.ip(), 0))?))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let own = socket.local_addr()?;
    // It stays on the loopback of its host, where nobody watches.
    let ping = format!(
        "OPTIONS sip:{listens} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-ready\r\nMax-Forwards: 1\r\n\
         From: <sip:test@{own}>;tag=ready\r\nTo: <sip:{listens}>\r\nCall-ID: ready@{own}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let answers = || {
        socket.send_to(ping.as_bytes(), listens).ok()?;
        socket.recv(&mut [0; 1024]).ok()
    };
    program.wait_until(PATIENCE, answers)?;
    Ok(program)
}

fn configuration(users: &[User]) -> String {
    let mut engines: Vec<&str> = users.iter().map(|user| user.rtpengine.as_str()).collect();
    engines.sort_unstable();
    engines.dedup();
    let set_of = |name: &str| engines.iter().position(|engine| *engine == name).map_or(0, |n| n + 1);
    let sockets: String = engines
        .iter()
        .map(|name| format!("modparam(\"rtpengine\", \"rtpengine_sock\", \"{} == {name}\")\n", set_of(name)))
        .collect();
    let (mut sets, mut routes) = (String::new(), String::new());
    for User { name, at, rtpengine } in users {
        sets += &format!("    if ($tU == \"{name}\") set_rtpengine_set(\"{}\");\n", set_of(rtpengine));
        routes += &format!("    if ($rU == \"{name}\") $du = \"sip:{at}\";\n");
    }
    format!(
        r#"#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "rtpengine.so"
{sockets}
request_route {{
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) {{
            route(SETS);
            if (is_method("BYE")) rtpengine_delete();
            t_relay();
        }}
        exit;
    }}
    if (!is_method("INVITE")) exit;
    record_route();
    route(SETS);
    rtpengine_manage("replace-origin replace-session-connection ICE=remove");
    t_on_reply("ANSWER");
{routes}
    t_relay();
}}

onreply_route[ANSWER] {{
    route(SETS);
    if (has_body("application/sdp")) rtpengine_manage("replace-origin replace-session-connection ICE=remove");
}}

route[SETS] {{
{sets}
    return;
}}
"#
    )
}
