//! SIP over TLS does not come up.
//!
//! What people notice: a trunk or phones with TLS are down from one moment to the next, often in the night in which a
//! certificate expired; nothing of it stands in the SIP logs, since no SIP was ever sent.
//!
//! **Evidence.** A TLS handshake on a SIP port (5061, and those that are configured) that ends in an alert which stands in the
//! open, or a client that closes after the server's hello and certificate and never finishes: in TLS 1.3 its alert may be
//! encrypted, and only its length shows. A connection of this host counts at once; of others, three within the window:
//! strangers try everywhere.
//!
//! - `certificate-expired`: the alert says so.
//! - `alert`: another alert, named by its description: an unknown authority, no common version or cipher, a name that is not served.
//! - `cut`: the client does not like what the server showed, as a rule its certificate.
//!
//! **Usual causes.** An expired certificate; one of an authority that the client does not know, or without its
//! intermediate; a name in it that is not the one called; an old phone that knows no TLS 1.2.
//!
//! **Remedy.** `openssl s_client -connect SERVER -showcerts` shows what the client is shown.

use crate::diagnosis::{Asks, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity, Value, WireFacts};
use crate::packet::Direction;
use crate::tcp::{TlsEnd, TlsFailure, alert_name};
use crate::wire::Sign;

/// A handshake that does not come to its end.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "tls-failed",
    layer: Layer::Host,
    title: "TLS handshakes on a SIP port fail",
    causes: &[
        Cause {
            name: "certificate-expired",
            evidence: "one side sent the alert certificate_expired",
            remedy: "Renew the certificate of the other side, and see that its clock is right",
        },
        Cause {
            name: "alert",
            evidence: "one side sent another alert than close_notify before anything was encrypted",
            remedy: "As the alert says: authority, version, cipher or name",
        },
        Cause {
            name: "cut",
            evidence: "the client closed after the server's hello and certificate, and sent no more than an encrypted alert",
            remedy: "See in the client's log what it has against the certificate",
        },
    ],
    refs: &["RFC 8446 6", "RFC 5246 7.2", "RFC 3261 26.3.1"],
    asks: Asks::Wire(judge),
    takes_over: &[],
};

/// Failures that count where this host did not open the connection itself.
const FROM_OTHERS: u64 = 3;
/// Its certificate has expired, or is not valid yet.
const CERTIFICATE_EXPIRED: u8 = 45;

fn judge(facts: &WireFacts<'_>) -> Option<Finding> {
    let wire = facts.wire;
    let Sign::Tls(failure) = &wire.sign else { return None };
    let ours = failure.direction == Direction::Out;
    if !ours && wire.count < FROM_OTHERS {
        return None;
    }
    let TlsFailure { end, client, server, by, version, after_hello, .. } = *failure;
    // Who gives up is not at fault for what it was shown.
    let (other, by_client) = if by == client { (server, true) } else { (client, false) };
    let (cause, confidence, summary, remedy) = match end {
        TlsEnd::Alert(CERTIFICATE_EXPIRED) => (
            "certificate-expired",
            Confidence::Certain,
            format!("{by} refuses TLS with {other}: its certificate has expired"),
            format!(
                "Renew the certificate of {other} (`openssl s_client -connect {server} | openssl x509 -noout -dates`), and see that \
                 the clock of {} is right",
                by.ip()
            ),
        ),
        TlsEnd::Alert(description) => {
            let name = alert_name(description);
            (
                "alert",
                Confidence::Certain,
                format!("{by} ends the TLS handshake with {other} by the alert {name} ({description})"),
                advice(description, client, server),
            )
        }
        TlsEnd::Cut => (
            "cut",
            Confidence::Likely,
            format!(
                "{by} closed the connection after the hello and certificate of {server}; the handshake was never finished"
            ),
            format!(
                "See in the log of {client} what it has against the certificate of {server}: expired, an authority it does not know, \
                 another name; `openssl s_client -connect {server} -showcerts` shows it"
            ),
        ),
    };
    // Whose fault: of a refused certificate, who showed it; of anything else both may be.
    let at_fault = match end {
        TlsEnd::Alert(42..=46 | 48) | TlsEnd::Cut => Some(if by_client { server } else { client }),
        TlsEnd::Alert(_) => None,
    };
    let fault = at_fault.and_then(|who| match (failure.direction, who == server) {
        (Direction::Out, true) | (Direction::In, false) => Some(Fault::Remote),
        (Direction::Out, false) | (Direction::In, true) => Some(Fault::Local),
        (Direction::Transit, _) => None,
    });
    // What a stranger's client cannot do, this host's server need not; and one that reads the certificate and goes may only be looking.
    let may_only_look = matches!(end, TlsEnd::Cut) && facts.peers.trunk_of(client).is_none();
    let is_strangers = !ours && (!by_client || may_only_look);
    let mut evidence: Vec<(&'static str, Value)> = vec![("client", client.into()), ("server", server.into())];
    if let TlsEnd::Alert(description) = end {
        evidence.push(("alert", alert_name(description).into()));
        evidence.push(("alert_description", u32::from(description).into()));
    } else {
        evidence.push(("bytes_after_hello", after_hello.into()));
    }
    evidence.push(("ended_by", by.into()));
    evidence.extend(version.map(|version| ("version", version_name(version).into())));
    evidence.push(("connections", wire.count.into()));
    evidence.push(("after_ms", u64::try_from(failure.after.as_millis()).unwrap_or(u64::MAX).into()));
    Some(Finding {
        fault,
        summary,
        remedy,
        evidence,
        peer: Some(if ours { server } else { client }),
        ..Finding::new(cause, if is_strangers { Severity::Info } else { Severity::Warning }, confidence)
    })
}

/// What to do about an alert.
fn advice(description: u8, client: core::net::SocketAddr, server: core::net::SocketAddr) -> String {
    let (client, host) = (client.ip(), server.ip());
    match description {
        42 | 43 | 46 => format!(
            "See in the log of the side that refused what is wrong with the certificate: `openssl s_client -connect {server} -showcerts`"
        ),
        44 => format!("The certificate was revoked: give {host} another one"),
        48 => format!(
            "Send the whole chain from {host} (its intermediate is often missing), or make its authority known to {client}"
        ),
        40 | 71 => format!("Compare the ciphers that {client} offers with those that {host} allows"),
        70 => format!("Compare the TLS versions of {client} and {host}: one of them knows only old ones"),
        112 => format!("See which server names {host} has certificates for: {client} asks for another one"),
        116 => format!("{host} asks for a client certificate: give {client} one"),
        120 => format!("{client} asks for an application protocol (ALPN) that {host} does not speak"),
        _ => format!("See the TLS logs of {client} and {host}"),
    }
}

const fn version_name(version: u16) -> &'static str {
    match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => "unknown",
    }
}
