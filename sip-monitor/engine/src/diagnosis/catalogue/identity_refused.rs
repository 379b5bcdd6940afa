//! The far end refuses the signature of the caller's identity (STIR/SHAKEN).
//!
//! Calls that carry an Identity header, or that should, fail at once; the same calls without the header, or over another
//! carrier, work.
//!
//! **Evidence.** 428 (`428`: an Identity header is wanted), 436 (`436`: its certificate cannot be fetched), 437 (`437`: the
//! certificate is not accepted), 438 (`438`: the signature does not fit), or 603 with a Reason of the protocol STIR (`603`).
//!
//! **Usual causes.** The signing service was skipped, its certificate expired or its URL is not public, From or Date were changed
//! after signing, clocks differ.
//!
//! **Remedy.** As of the code: sign the call, make the certificate reachable, renew it, or stop rewriting signed headers.

use crate::diagnosis::refused::Refused;
use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Finding, Layer};

/// A signature of the caller's identity that is not accepted.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "identity-refused",
    layer: Layer::Call,
    title: "Call refused for the signature of its caller's identity (STIR/SHAKEN)",
    causes: &[
        Cause {
            name: "428",
            evidence: "428: the call carries no Identity header and should",
            remedy: "Sign calls before they leave",
        },
        Cause {
            name: "436",
            evidence: "436: the certificate named in the Identity header cannot be fetched",
            remedy: "Make the URL in the info parameter of Identity reachable from outside",
        },
        Cause {
            name: "437",
            evidence: "437: the certificate is not accepted",
            remedy: "Renew the certificate, or have one issued by an authority that the far end trusts",
        },
        Cause {
            name: "438",
            evidence: "438: the signature does not fit the call",
            remedy: "Sign after the last rewriting of From, To and Date, and set the clock",
        },
        Cause { name: "603", evidence: "603 with a Reason of the protocol STIR", remedy: "As the Reason says" },
    ],
    refs: &["RFC 8224 6.2.2", "RFC 9410"],
    asks: Asks::Call(judge),
    takes_over: &[],
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    let refused = Refused::ended(facts)?;
    let stir = refused.refusal.reasons.iter().any(|reason| reason.protocol.as_str().eq_ignore_ascii_case("STIR"));
    let (cause, because) = match refused.refusal.code {
        428 => ("428", "it wants calls signed, and this one is not"),
        436 => ("436", "it cannot fetch the certificate that the Identity header names"),
        437 => ("437", "it does not accept the certificate of the signature"),
        438 => ("438", "the signature in the Identity header does not fit the call"),
        603 if stir => ("603", "its Reason names the verification of the caller's identity"),
        _ => return None,
    };
    let remedy = DIAGNOSIS.cause(cause).map_or("", |cause| cause.remedy);
    Some(Finding {
        summary: format!("{} refused the call with {}: {because}", refused.way.dst, refused.words()),
        remedy: format!("{remedy}, on {} or what signs for it", refused.way.src.ip()),
        ..refused.finding(cause, Confidence::Certain, Vec::new())
    })
}
