//! What was offered and what was answered, m-line by m-line, as a refusal or an answer that does not fit is judged.

use crate::media::{Description, MediaSession};
use crate::sdp::MediaKind;

/// Formats that carry no voice: an answer of these alone is no common codec.
const AUXILIARY: [&str; 5] = ["telephone-event", "CN", "red", "ulpfec", "rtx"];

/// How an answer does not fit its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Every m-line is refused.
    PortZero,
    /// No codec of the answered audio was offered.
    NoCommonCodec,
    /// The codec that the answer prefers was not offered, others were.
    NotOffered,
}

/// An offer and its answer as one hop saw them.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfit {
    /// How.
    pub misfit: Misfit,
    /// What was offered.
    pub offered: Vec<String>,
    /// What was answered.
    pub answered: Vec<String>,
}

impl MediaSession {
    /// The m-lines of the last offer that is not answered, on the hop where SDP was seen first.
    #[must_use]
    pub fn open_offer(&self) -> Option<Vec<&Description>> {
        let leg = self.legs.first()?;
        let offer = leg.offer.as_ref()?;
        Some(offer.lines.iter().map(|line| &**line).collect())
    }

    /// An answer in force that does not fit its offer.
    #[must_use]
    pub fn unfit_answer(&self) -> Option<Unfit> {
        self.legs.iter().find_map(|leg| {
            let by_caller = leg.offer.as_ref().is_none_or(|offer| offer.from == crate::record::Side::Caller);
            let pairs = || {
                leg.lines.iter().map(move |line| {
                    if by_caller { (&*line.caller, &*line.callee) } else { (&*line.callee, &*line.caller) }
                })
            };
            let misfit = misfit(pairs())?;
            Some(Unfit {
                misfit,
                offered: pairs().flat_map(|(offer, _)| names(offer)).collect(),
                answered: pairs().flat_map(|(_, answer)| names(answer)).collect(),
            })
        })
    }
}

/// Codecs of an m-line as a person reads them; a line without any by its kind and port.
#[must_use]
pub fn names(line: &Description) -> Vec<String> {
    if line.port == 0 || line.codecs.is_empty() {
        return vec![format!("{} port {}", line.kind_name(), line.port)];
    }
    line.codecs
        .iter()
        .map(|c| {
            if c.name.is_empty() {
                format!("payload type {}", c.payload_type)
            } else {
                format!("{}/{}", c.name, c.clock_rate_hz)
            }
        })
        .collect()
}

fn misfit<'a>(pairs: impl Iterator<Item = (&'a Description, &'a Description)> + Clone) -> Option<Misfit> {
    let mut offered_lines = pairs.clone().filter(|(offer, _)| offer.port != 0).peekable();
    offered_lines.peek()?;
    if offered_lines.all(|(_, answer)| answer.port == 0) {
        return Some(Misfit::PortZero);
    }
    let audio = |line: &Description| line.kind == MediaKind::Audio && line.rtp && line.port != 0;
    pairs
        .filter(|(offer, answer)| audio(offer) && audio(answer))
        .find_map(|(offer, answer)| unfit_codecs(offer, answer))
}

fn unfit_codecs(offer: &Description, answer: &Description) -> Option<Misfit> {
    let is_voice = |name: &str| !AUXILIARY.iter().any(|other| other.eq_ignore_ascii_case(name));
    let was_offered = |name: &str, rate: u32, payload_type: u8| {
        offer.codecs.iter().any(|c| {
            if name.is_empty() || c.name.is_empty() {
                c.payload_type == payload_type
            } else {
                c.name.eq_ignore_ascii_case(name) && c.clock_rate_hz == rate
            }
        })
    };
    let offers_voice = offer.codecs.iter().any(|c| is_voice(&c.name));
    // An answer without any format could not be read; that is no statement about codecs.
    if answer.codecs.is_empty() || !offers_voice {
        return None;
    }
    let voice = || answer.codecs.iter().filter(|c| is_voice(&c.name));
    let fits = |c: &crate::media::CodecName| was_offered(&c.name, c.clock_rate_hz, c.payload_type);
    if !voice().any(fits) {
        return Some(Misfit::NoCommonCodec);
    }
    // Further formats behind a common one are legal (RFC 3264 6.1); one that goes before it is what will be sent.
    voice().next().is_some_and(|first| !fits(first)).then_some(Misfit::NotOffered)
}
