//! The two sides do not agree on how their media is encrypted.
//!
//! What people notice: the call connects and nobody hears anything, or hears noise; often only between certain phones.
//!
//! How it is seen, in the SDP of offer and answer alone:
//!
//! - `profile`: one side wrote `RTP/SAVP(F)`, the other `RTP/AVP(F)` for the same m-line. An answer has to keep the profile of
//!   its offer (RFC 3264 6.1). `RTP/AVP` with `a=crypto` on both sides is legal (RFC 8643).
//! - `no-key`: both wrote `SAVP`, and one of them names no way to a key (neither `a=crypto` nor `a=fingerprint` nor
//!   `a=key-mgmt`), or the two name different ones.
//! - `dtls`: both name DTLS, and their `a=setup` do not go together: both want to begin, both wait, or the answer leaves it
//!   open. No handshake can come about.
//!
//! Remedy: the same encryption setting on both sides; the SIP trunk's page usually says which.
//!
//! References: RFC 3264 6.1, RFC 4568, RFC 5763 5, RFC 8643.

use crate::diagnosis::{Asks, CallFacts, Cause, Confidence, Diagnosis, Fault, Finding, Layer, Severity};
use crate::media::{AgreedAudio, Setup};
use crate::record::Side;

/// Offer and answer that cannot be decrypted.
pub const DIAGNOSIS: Diagnosis = Diagnosis {
    code: "srtp-mismatch",
    layer: Layer::Media,
    title: "Offer and answer do not agree on encrypted media",
    causes: &[
        Cause {
            name: "profile",
            evidence: "one side wrote RTP/SAVP, the other RTP/AVP for the same m-line",
            remedy: "Switch encryption on or off on both sides alike",
        },
        Cause {
            name: "no-key",
            evidence: "both wrote RTP/SAVP, and they name no common way to a key",
            remedy: "Have both sides use SDES (a=crypto), or both DTLS (a=fingerprint)",
        },
        Cause {
            name: "dtls",
            evidence: "the a=setup roles of both sides exclude a DTLS handshake",
            remedy: "Have the answerer choose active or passive, the one that the offer leaves",
        },
    ],
    refs: &["RFC 3264 6.1", "RFC 4568 5", "RFC 5763 5", "RFC 8643 3"],
    takes_over: &[],
    asks: Asks::Call(judge),
};

fn judge(facts: &CallFacts<'_>) -> Option<Finding> {
    facts.call.answered_at?;
    facts.call.media.agreed_audio().find_map(|audio| mismatch(facts, &audio))
}

fn mismatch(facts: &CallFacts<'_>, audio: &AgreedAudio<'_>) -> Option<Finding> {
    let (offer, answer) = (audio.of(audio.offerer), audio.of(audio.offerer.other()));
    let profile = |secure: bool| if secure { "RTP/SAVP" } else { "RTP/AVP" };
    let (cause, what, remedy) = if offer.secure != answer.secure {
        (
            "profile",
            format!("{} was offered and {} answered", profile(offer.secure), profile(answer.secure)),
            format!(
                "Switch SRTP on at both sides or off at both: the answer has to keep the offered profile {}, or refuse the call \
                 by 488",
                profile(offer.secure)
            ),
        )
    } else if !offer.secure {
        return None;
    } else if !(offer.keying.has_any() && answer.keying.has_any() && offer.keying.fits(&answer.keying)) {
        let ways = |d: &crate::media::Description| match (d.keying.sdes, d.keying.dtls, d.keying.mikey) {
            (false, false, false) => "no key",
            (true, false, _) => "a=crypto",
            (true, true, _) => "a=crypto and a=fingerprint",
            (false, true, _) => "a=fingerprint",
            (false, false, true) => "a=key-mgmt",
        };
        (
            "no-key",
            format!("RTP/SAVP was agreed on, with {} in the offer and {} in the answer", ways(offer), ways(answer)),
            "Have both sides use the same: SDES (a=crypto, over TLS signalling) or DTLS (a=fingerprint)".to_owned(),
        )
    } else {
        let sdes = offer.keying.sdes && answer.keying.sdes;
        let (one, other) = (offer.keying.setup?, answer.keying.setup?);
        let excluded = matches!(
            (one, other),
            (_, Setup::ActPass) | (Setup::Active, Setup::Active) | (Setup::Passive, Setup::Passive)
        );
        if sdes || !excluded {
            return None;
        }
        (
            "dtls",
            format!(
                "DTLS was agreed on with a=setup:{} in the offer and a=setup:{} in the answer",
                one.name(),
                other.name()
            ),
            format!(
                "Have the answerer choose the role that a=setup:{} leaves: active or passive, not {}",
                one.name(),
                other.name()
            ),
        )
    };
    let answerer = audio.offerer.other();
    let near = match answerer {
        Side::Caller => audio.hop.0,
        Side::Callee => audio.hop.1,
    };
    let is_ours = facts.media.is_local(near.ip());
    Some(Finding {
        fault: Some(if is_ours { Fault::Local } else { Fault::Remote }),
        summary: format!("The media of this call cannot be decrypted: {what}"),
        remedy,
        evidence: vec![
            ("offered", profile(offer.secure).into()),
            ("answered", profile(answer.secure).into()),
            ("answered_by", near.into()),
        ],
        peer: Some(audio.peer(facts.media)),
        ..Finding::new(cause, Severity::Warning, Confidence::Certain)
    })
}
